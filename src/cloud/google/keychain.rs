//! Credentials for Google's registries: those that we have at Google Cloud.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::sources::{Nowhere, Source, Sources};
use crate::oci::Repository;
use crate::registry::{Credential, Keychain, Lookup, Secret};
use crate::sys::Environment;
use crate::sys::command::Commands;

/// A token is good for some minutes at least when it is given; then we ask again.
const LIFE: Duration = Duration::from_mins(3);

/// Artifact Registry and `gcr.io`.
#[derive(Debug)]
pub(in super::super) struct GoogleRegistries {
    sources: Sources,
    /// The source that had credentials, as long as it has more of them.
    kept: Mutex<Option<Arc<Source>>>,
}

impl GoogleRegistries {
    /// Asks nobody yet.
    pub(in super::super) fn new(environment: &Environment, commands: &Arc<dyn Commands>) -> Self {
        let sources = Sources::new(environment, Arc::clone(commands));
        Self { sources, kept: Mutex::default() }
    }

    /// The source that has credentials. One whose token is used up some day is not kept, nor is a failure.
    async fn source(&self) -> Result<Arc<Source>, Nowhere> {
        let mut kept = self.kept.lock().await;
        if let Some(source) = kept.as_ref() {
            return Ok(Arc::clone(source));
        }
        let source = Arc::new(self.sources.find().await?);
        *kept = (!source.is_used_up()).then(|| Arc::clone(&source));
        Ok(source)
    }
}

#[async_trait]
impl Keychain for GoogleRegistries {
    fn name(&self, _: &Repository) -> String {
        "Google Cloud".to_owned()
    }

    fn serves(&self, repository: &Repository) -> bool {
        is_googles(repository.registry())
    }

    async fn find(&self, repository: &Repository) -> Lookup {
        if !is_googles(repository.registry()) {
            return Lookup::Nothing("it is no registry of Google's".to_owned());
        }
        let source = match self.source().await {
            Ok(source) => source,
            Err(nowhere) => return Lookup::Nothing(nowhere.tried.join("; ")),
        };
        let password = |username: &str, password: Secret| Credential::Password {
            username: username.to_owned(),
            password,
        };
        // A service account signs its own tokens, which its APIs take; registries take the key.
        if let Some(key) = &source.key {
            return Lookup::Found(password("_json_key", key.clone()));
        }
        match source.token().await {
            Ok(token) => Lookup::Lent(password("oauth2accesstoken", token), LIFE),
            Err(reason) => Lookup::Nothing(format!("{}: {reason}", source.name)),
        }
    }
}

/// Whether a host is a registry of Google's. `mirror.gcr.io` is open to everybody.
fn is_googles(host: &str) -> bool {
    (host == "gcr.io" || host.ends_with(".gcr.io") || host.ends_with("-docker.pkg.dev"))
        && host != "mirror.gcr.io"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::command::FakeCommands;

    #[tokio::test]
    async fn lends_a_token_to_registries_of_google_and_to_nobody_else() {
        let environment = Environment::of([("CLOUDSDK_AUTH_ACCESS_TOKEN", "canary")]);
        let commands: Arc<dyn Commands> = Arc::new(FakeCommands::default());
        let keychain = GoogleRegistries::new(&environment, &commands);
        let lent = Lookup::Lent(
            Credential::Password {
                username: "oauth2accesstoken".into(),
                password: Secret::new("canary"),
            },
            LIFE,
        );
        let nothing = Lookup::Nothing("it is no registry of Google's".into());
        for (host, expected) in [
            ("europe-west1-docker.pkg.dev", &lent),
            ("gcr.io", &lent),
            ("eu.gcr.io", &lent),
            ("mirror.gcr.io", &nothing),
            ("docker.pkg.dev.evil.io", &nothing),
            ("evilgcr.io", &nothing),
            ("ghcr.io", &nothing),
        ] {
            let repository = format!("{host}/p/r/image").parse().unwrap();
            assert_eq!(keychain.find(&repository).await, *expected, "{host}");
        }
    }

    #[tokio::test]
    async fn a_token_of_the_command_and_a_failure_are_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        let environment = Environment::of([("HOME", home), ("NO_GCE_CHECK", "true")]);
        let repository = "gcr.io/p/image".parse().unwrap();
        let asked = [("gcloud auth print-access-token", 0, "canary-1")];
        let commands = Arc::new(FakeCommands::of(asked));
        let shared: Arc<dyn Commands> = Arc::<FakeCommands>::clone(&commands);
        let keychain = GoogleRegistries::new(&environment, &shared);
        for _ in 0..2 {
            assert!(matches!(keychain.find(&repository).await, Lookup::Lent(..)));
            assert!(keychain.kept.lock().await.is_none());
        }

        let path = folder.path().join("credentials.json");
        let named = [("GOOGLE_APPLICATION_CREDENTIALS", path.to_str().unwrap())];
        let keychain = GoogleRegistries::new(&Environment::of(named), &shared);
        assert!(matches!(keychain.find(&repository).await, Lookup::Nothing(_)));
        let user = r#"{"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c"}"#;
        std::fs::write(&path, user).unwrap();
        assert!(keychain.source().await.is_ok(), "it is there now");
        assert!(keychain.kept.lock().await.is_some());
    }

    #[tokio::test]
    async fn says_what_was_tried() {
        let environment = Environment::of([("GOOGLE_APPLICATION_CREDENTIALS", "/not/there")]);
        let commands: Arc<dyn Commands> = Arc::new(FakeCommands::default());
        let keychain = GoogleRegistries::new(&environment, &commands);
        assert_eq!(
            keychain.find(&"gcr.io/p/image".parse().unwrap()).await,
            Lookup::Nothing(
                "`/not/there` (`GOOGLE_APPLICATION_CREDENTIALS`): it is not there".into()
            )
        );
    }
}
