//! What there is of a service of ECS Express Mode.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::EcsExpress;
use super::state::{Facts, Write, seconds};
use crate::cloud::{Answer, CallError, ECS, ErrorClass, Request};
use crate::deploy::aws::{
    ObservedRole, ObservedSecrets, Place, RoleSpec, SecretStore, find_tag, read_pages,
};
use crate::deploy::{Observed, Ownership, Previous, Service, Session};
use crate::error::Result;

/// What planning knows beside the service itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Details {
    pub(super) account: String,
    pub(super) execution_role: Option<ObservedRole>,
    pub(super) infrastructure_role: Option<ObservedRole>,
    pub(super) secrets: ObservedSecrets,
    /// The tags of the service.
    pub(super) tags: Value,
    /// The deployment that goes on, if one does.
    pub(super) running_deployment: Option<String>,
    /// The clusters that there are, where the one that is named is not.
    pub(super) other_clusters: Option<Vec<String>>,
}

/// The service with its deployments and revisions, as ECS tells of them.
#[derive(Debug, Default)]
struct Found {
    /// The entry of the service; null where there is none, or only the memory of one.
    entry: Value,
    /// The service as Express Mode tells it; null where the entry is none of its.
    service: Value,
    /// The newest first.
    deployments: Vec<Value>,
    revisions: Vec<Value>,
    /// The clusters that there are, where the one that is named is not.
    other_clusters: Option<Vec<String>>,
    /// Now, by the clock of ECS: ours may be minutes away from it.
    now: Option<f64>,
}

impl EcsExpress {
    /// Asks everything.
    pub(super) async fn look(&self, session: &Session) -> Result<Observed> {
        let place = Place::of_caller(session, &self.settings.region).await?;
        let found = self.find(session, &place).await?;
        let service = &found.service;
        let active = found.active();
        let execution = self.execution_role(active["executionRoleArn"].as_str(), &place);
        let infrastructure =
            self.infrastructure_role(service["infrastructureRoleArn"].as_str(), &place);
        let store = self.store();
        let details = Details {
            execution_role: RoleSpec::observe_if_ours(execution.as_ref(), session, &place.region)
                .await?,
            infrastructure_role: RoleSpec::observe_if_ours(
                infrastructure.as_ref(),
                session,
                &place.region,
            )
            .await?,
            secrets: store.observe(session, &place.region, secrets_of(active)).await?,
            tags: service["tags"].clone(),
            running_deployment: found.running_deployment(),
            other_clusters: found.other_clusters.clone(),
            account: place.account,
        };
        let write = self.memory.look(found.newest_deployment());
        let service = found.entry.is_object().then(|| found.observed(session, write.as_ref()));
        let details = serde_json::to_value(details).expect("texts and numbers are JSON");
        Ok(Observed { service, details, ..Observed::default() })
    }

    /// Where the container's lines go.
    pub(super) async fn find_log_group(&self, session: &Session) -> Result<String> {
        let place = Place::of_caller(session, &self.settings.region).await?;
        let found = self.find(session, &place).await?;
        if !found.entry.is_object() {
            return Err(self.nothing("there is no such service").into());
        }
        let set = found.active().pointer("/primaryContainer/awsLogsConfiguration/logGroup");
        let made = found
            .serving()
            .and_then(|revision| revision.pointer("/ecsManagedResources/logGroups/0/logGroupName"));
        let group = set.or(made).and_then(Value::as_str);
        Ok(group.ok_or_else(|| self.nothing("it has no log group yet"))?.to_owned())
    }

    async fn find(&self, session: &Session, place: &Place) -> Result<Found, CallError> {
        let settings = &self.settings;
        let body = json!({
            "cluster": settings.cluster, "services": [settings.name], "include": ["TAGS"],
        });
        let Some(answer) = self.ask(session, "DescribeServices", body).await? else {
            // ECS makes the default one itself.
            let is_needed = settings.cluster != "default";
            let other_clusters = if is_needed { Some(self.clusters(session).await?) } else { None };
            return Ok(Found { other_clusters, ..Found::default() });
        };
        let entries = answer.body["services"].as_array().cloned().unwrap_or_default();
        // Of a service that was deleted an entry stays for some time.
        let entry = entries.into_iter().find(|entry| entry["status"] != "INACTIVE");
        let Some(entry) = entry else { return Ok(Found::default()) };
        let path = format!("service/{}/{}", settings.cluster, settings.name);
        let arn =
            entry["serviceArn"].as_str().map_or_else(|| place.arn("ecs", &path), str::to_owned);
        let body = json!({"serviceArn": arn, "include": ["TAGS"]});
        let express = self.ask(session, "DescribeExpressGatewayService", body).await?;
        let now = express.as_ref().and_then(answered_at);
        let service = express.map(|answer| answer.body["service"].clone()).unwrap_or_default();
        if service.pointer("/status/statusCode").is_some_and(|status| status == "INACTIVE") {
            return Ok(Found::default());
        }
        let mut found = Found { entry, service, now, ..Found::default() };
        if found.service.is_object() {
            found.deployments = self.deployments(session, &found.service).await?;
            found.revisions = self.revisions(session, &found.wanted_revisions()).await?;
        }
        Ok(found)
    }

    /// The names of all clusters; none where the caller may not see them.
    async fn clusters(&self, session: &Session) -> Result<Vec<String>, CallError> {
        let ask = |token: Option<&str>| {
            let body = token.map_or_else(|| json!({}), |token| json!({"nextToken": token}));
            Request::call(&ECS, &self.settings.region, "ListClusters", body).that_reads()
        };
        let pages = match read_pages(session, "/nextToken", ask).await {
            Err(error) if error.class == ErrorClass::Denied => Vec::new(),
            pages => pages?,
        };
        let arns = pages.iter().filter_map(|page| page["clusterArns"].as_array()).flatten();
        let names = arns.filter_map(|arn| arn.as_str()?.rsplit('/').next());
        Ok(names.map(str::to_owned).collect())
    }

    /// The last deployments, the newest first, with all that ECS says of them.
    async fn deployments(
        &self,
        session: &Session,
        service: &Value,
    ) -> Result<Vec<Value>, CallError> {
        let Self { settings, .. } = self;
        let body = json!({"cluster": settings.cluster, "service": settings.name});
        let listed = self.ask(session, "ListServiceDeployments", body).await?;
        let listed = listed.map(|answer| answer.body["serviceDeployments"].clone());
        let mut listed = listed.and_then(|list| list.as_array().cloned()).unwrap_or_default();
        sort_newest_first(&mut listed);
        // No more than 20 can be described at once; two matter.
        let mut arns: Vec<_> =
            listed.iter().take(10).map(|one| &one["serviceDeploymentArn"]).collect();
        let current = &service["currentDeployment"];
        if current.is_string() && !arns.contains(&current) {
            arns.push(current);
        }
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let body = json!({"serviceDeploymentArns": arns});
        let described = self.ask(session, "DescribeServiceDeployments", body).await?;
        let described = described.map(|answer| answer.body["serviceDeployments"].clone());
        let mut described = described.and_then(|list| list.as_array().cloned()).unwrap_or_default();
        sort_newest_first(&mut described);
        Ok(described)
    }

    async fn revisions(&self, session: &Session, arns: &[&str]) -> Result<Vec<Value>, CallError> {
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let body = json!({"serviceRevisionArns": arns});
        let answer = self.ask(session, "DescribeServiceRevisions", body).await?;
        let found = answer.map(|answer| answer.body["serviceRevisions"].clone());
        Ok(found.and_then(|list| list.as_array().cloned()).unwrap_or_default())
    }

    async fn ask(
        &self,
        session: &Session,
        operation: &'static str,
        body: Value,
    ) -> Result<Option<Answer>, CallError> {
        let request = Request::call(&ECS, &self.settings.region, operation, body).that_reads();
        match session.find(&request).await {
            // ECS has no code of its own for it.
            Err(error)
                if error.code == "InvalidParameterException"
                    && error.message.contains("Resource not found") =>
            {
                Ok(None)
            }
            result => result,
        }
    }

    /// The secrets of the workload, with what ECS pulls with.
    pub(super) fn store(&self) -> SecretStore<'_> {
        SecretStore::new(&self.workload, "ecs-express", &self.settings.name).with_pull()
    }
}

impl Found {
    /// The configuration that serves, or that is to.
    fn active(&self) -> &Value {
        let all = self.service["activeConfigurations"].as_array().map_or(&[][..], Vec::as_slice);
        let last = self.deployments.first();
        let target = last.and_then(|last| last.pointer("/targetServiceRevision/arn"));
        let is_target = |one: &&Value| Some(&one["serviceRevisionArn"]) == target;
        let is_taken_back = last.is_some_and(|last| {
            let status = last["status"].as_str().unwrap_or_default();
            status.starts_with("ROLLBACK") || status.starts_with("STOP")
        });
        let found = if is_taken_back {
            all.iter().find(|one| !is_target(one))
        } else {
            all.iter().find(is_target)
        };
        found.or(all.first()).unwrap_or(&Value::Null)
    }

    /// The revision of it.
    fn serving(&self) -> Option<&Value> {
        let arn = &self.active()["serviceRevisionArn"];
        self.revisions.iter().find(|revision| revision["serviceRevisionArn"] == *arn)
    }

    /// The revision that a deployment made serve before the one that serves.
    fn previous_arn(&self) -> Option<&str> {
        let serving = &self.active()["serviceRevisionArn"];
        let done = self.deployments.iter().filter(|one| one["status"] == "SUCCESSFUL");
        let mut targets = done.filter_map(|one| one.pointer("/targetServiceRevision/arn"));
        targets.find(|arn| *arn != serving)?.as_str()
    }

    fn wanted_revisions(&self) -> Vec<&str> {
        let serving = self.active()["serviceRevisionArn"].as_str();
        serving.into_iter().chain(self.previous_arn()).collect()
    }

    fn running_deployment(&self) -> Option<String> {
        let last = self.deployments.first()?;
        let is_running = ["PENDING", "IN_PROGRESS"].contains(&last["status"].as_str()?);
        is_running.then(|| last["serviceDeploymentArn"].as_str().map(str::to_owned))?
    }

    fn newest_deployment(&self) -> Option<&str> {
        self.deployments.first()?["serviceDeploymentArn"].as_str()
    }

    /// `write` is the last one of this run, if there was any.
    fn observed(self, session: &Session, write: Option<&Write>) -> Service {
        let active = self.active();
        let path = &active["ingressPaths"][0];
        let url = path["endpoint"].as_str().filter(|endpoint| !endpoint.is_empty());
        let url = url.map(|url| match url.split_once("://") {
            Some(_) => url.to_owned(),
            None => format!("https://{url}"),
        });
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
        let now = self.now.unwrap_or_else(|| session.clock.unix_seconds() as f64);
        let facts = Facts {
            service: &self.service,
            deployment: self.deployments.first(),
            revision: self.serving(),
            now,
            write,
        };
        let tags = &self.service["tags"];
        let previous = self.previous_arn().and_then(|arn| {
            let revision = self.revisions.iter().find(|one| one["serviceRevisionArn"] == arn)?;
            Some(Previous { revision: Some(arn.to_owned()), image: image_of(revision)? })
        });
        Service {
            image: active
                .pointer("/primaryContainer/image")
                .and_then(Value::as_str)
                .map(str::to_owned),
            is_public: path["accessType"] == "PUBLIC",
            state: facts.state(),
            revision: active["serviceRevisionArn"].as_str().map(str::to_owned),
            previous,
            ownership: Ownership::read(|key| find_tag(tags, key)),
            url,
            raw: json!({"service": self.service, "active": active}),
        }
    }
}

/// When a service answered, by its own clock, in seconds since 1970.
#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
fn answered_at(answer: &Answer) -> Option<f64> {
    let date = jiff::fmt::rfc2822::parse(answer.headers.get("date")?).ok()?;
    Some(date.timestamp().as_second() as f64)
}

/// The image of a revision, by digest.
fn image_of(revision: &Value) -> Option<String> {
    let images = revision["containerImages"].as_array()?;
    let main = images.iter().find(|one| one["containerName"] == "Main").or(images.first())?;
    let image = main["image"].as_str()?;
    if image.contains('@') {
        return Some(image.to_owned());
    }
    let digest = main["imageDigest"].as_str()?;
    // A colon after the last slash begins a tag.
    let repository = match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => image,
    };
    Some(format!("{repository}@{digest}"))
}

/// The ARNs of the secrets that a configuration refers to.
fn secrets_of(active: &Value) -> Vec<&str> {
    let container = &active["primaryContainer"];
    let secrets = container["secrets"].as_array().into_iter().flatten();
    let secrets = secrets.filter_map(|secret| secret["valueFrom"].as_str());
    let pull = container.pointer("/repositoryCredentials/credentialsParameter");
    secrets.chain(pull.and_then(Value::as_str)).collect()
}

fn sort_newest_first(deployments: &mut [Value]) {
    deployments
        .sort_by(|one, other| seconds(other, "createdAt").total_cmp(&seconds(one, "createdAt")));
}
