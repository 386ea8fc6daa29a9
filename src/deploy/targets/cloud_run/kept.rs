//! Secrets that the config names, and Secret Manager is to have already.

use serde::{Deserialize, Serialize};

use super::CloudRun;
use super::observe::{Details, all_pages, last_part};
use super::settings::kept_secret;
use crate::cloud::Method;
use crate::config::near_names::nearest;
use crate::deploy::{DeployError, SecretValue, Session};

/// One that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MissingSecret {
    /// Its id.
    id: String,
    /// What is there instead, and called nearly so.
    near: Option<String>,
}

impl CloudRun {
    /// Looks for what is named in our project; what may not be seen counts as there.
    pub(super) async fn look_for_kept(&self, session: &Session) -> Vec<MissingSecret> {
        let mut missing = Vec::new();
        for id in self.kept_ids() {
            let request = self.secret_request("GetSecret", Method::Get, &format!("/{id}"));
            match session.find(&request).await {
                Ok(Some(_)) => {}
                Ok(None) => {
                    let near = self.near(&id, session).await;
                    missing.push(MissingSecret { id, near });
                }
                Err(error) => {
                    session.events.detail(format!("the secret `{id}` is not known: {error}"));
                }
            }
        }
        missing
    }

    fn kept_ids(&self) -> Vec<String> {
        let ours = format!("projects/{}/secrets/", self.settings.project);
        let kept = self.workload.secrets.values().filter_map(|value| match value {
            SecretValue::Kept(reference) => Some(kept_secret(reference)?.0),
            SecretValue::Given(_) | SecretValue::Unset => None,
        });
        let in_project = kept.filter_map(|path| match path.strip_prefix(&ours) {
            Some(id) => Some(id.to_owned()),
            None => (!path.contains('/')).then_some(path),
        });
        in_project.collect()
    }

    /// What a misspelt name probably means, where we may see what there is.
    async fn near(&self, id: &str, session: &Session) -> Option<String> {
        let request = self.secret_request("ListSecrets", Method::Get, "");
        let secrets = all_pages(&request, "secrets", session).await.ok()?;
        let ids: Vec<_> = secrets.iter().map(|secret| last_part(&secret["name"])).collect();
        nearest(id, &ids).map(str::to_owned)
    }

    /// Refuses to deploy what could not start.
    pub(super) fn check_kept(&self, details: &Details) -> Result<(), DeployError> {
        if details.missing.is_empty() {
            return Ok(());
        }
        let project = &self.settings.project;
        let missing = details.missing.iter();
        let what = missing.clone().map(|one| format!("the secret `{}` in {project}", one.id));
        let hints = missing.map(|MissingSecret { id, near }| match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "create it: `gcloud secrets create {id} --project={project} --data-file=FILE`"
            ),
        });
        Err(DeployError::Missing { what: what.collect(), hints: hints.collect() })
    }
}
