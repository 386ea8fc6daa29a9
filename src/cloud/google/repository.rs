//! Creates a repository of Artifact Registry that is missing: a push does not.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::aws::NewRepository;
use super::super::service::ARTIFACT_REGISTRY;
use super::super::{Api, CallError, ErrorClass, Method, Request};
use super::refusal::operation_failure;
use crate::oci::Repository;
use crate::sys::Clock;

/// From one look at an operation to the next.
const PAUSE: Duration = Duration::from_millis(500);
/// How often it is looked at: half a minute, where a repository takes some seconds.
const MAX_LOOKS: usize = 60;

/// A repository of Artifact Registry, which holds images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct ArtifactRepository {
    project: String,
    location: String,
    id: String,
}

impl ArtifactRepository {
    /// The one that an image is in: `LOCATION-docker.pkg.dev/PROJECT/REPOSITORY/…`. What `gcr.io` leads to is not
    /// ours to make.
    pub(in super::super) fn of(image: &Repository) -> Option<Self> {
        let location = image.registry().strip_suffix("-docker.pkg.dev")?;
        let mut parts = image.path().split('/');
        let first = parts.next()?;
        // Old projects are in a domain: `acme.com:agents`, of which a path makes two parts.
        let project = if first.contains('.') {
            format!("{first}:{}", parts.next()?)
        } else {
            first.to_owned()
        };
        let id = parts.next()?.to_owned();
        parts.next()?;
        Some(Self { project, location: location.to_owned(), id })
    }

    fn parent(&self) -> String {
        format!("/v1/projects/{}/locations/{}/repositories", self.project, self.location)
    }

    /// Creates it unless it is there; says whether it did.
    ///
    /// # Errors
    /// Artifact Registry cannot be asked, or refuses.
    pub(in super::super) async fn create_if_missing(
        &self,
        api: &dyn Api,
        clock: &dyn Clock,
        wanted: &NewRepository,
    ) -> Result<bool, CallError> {
        let look = self.request("GetRepository", Method::Get, &format!("/{}", self.id));
        match api.call(&look).await {
            Ok(_) => return Ok(false),
            Err(error) if error.class == ErrorClass::NotFound => {}
            Err(error) => return Err(error),
        }
        let create = self.creation(wanted).map_err(|error| *error)?;
        let created = match api.call(&create).await {
            Ok(answer) => finish(&create, answer.body, api, clock).await,
            Err(error) => Err(error),
        };
        match created {
            Ok(()) => Ok(true),
            // Somebody else was faster.
            Err(error) if error.class == ErrorClass::Exists => Ok(false),
            // Nobody knows whether it was done: whoever looks does.
            Err(error) if error.class == ErrorClass::Lost => match api.call(&look).await {
                Ok(_) => Ok(true),
                Err(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    fn creation(&self, wanted: &NewRepository) -> Result<Request, Box<CallError>> {
        let mut body = json!({"format": "DOCKER", "labels": {"managed-by": "dockless"}});
        if wanted.has_immutable_tags {
            body["dockerConfig"] = json!({"immutableTags": true});
        }
        if let Some(key) = wanted.key_for(&ARTIFACT_REGISTRY, &self.id)? {
            body["kmsKeyName"] = key.into();
        }
        Ok(self
            .request("CreateRepository", Method::Post, "")
            .with_query("repositoryId", &self.id)
            .with_body(body))
    }

    fn request(&self, operation: &'static str, method: Method, path: &str) -> Request {
        let path = format!("{}{path}", self.parent());
        Request::rest(&ARTIFACT_REGISTRY, &self.location, operation, method, path)
    }
}

/// Waits until an operation is done that a request has begun.
async fn finish(
    begun_by: &Request,
    mut operation: Value,
    api: &dyn Api,
    clock: &dyn Clock,
) -> Result<(), CallError> {
    for _ in 0..MAX_LOOKS {
        if operation["done"] == Value::Bool(true) {
            return match operation.get("error") {
                Some(error) => Err(operation_failure(begun_by, error)),
                None => Ok(()),
            };
        }
        let Some(name) = operation["name"].as_str().filter(|name| name.starts_with("projects/"))
        else {
            break;
        };
        clock.sleep(PAUSE).await;
        let path = format!("/v1/{name}");
        let look =
            Request::rest(&ARTIFACT_REGISTRY, &begun_by.region, "GetOperation", Method::Get, path);
        operation = api.call(&look).await?.body;
    }
    Err(CallError {
        message: "it is not told whether this was done".to_owned(),
        ..CallError::new(&ARTIFACT_REGISTRY, begun_by.title(), ErrorClass::Lost)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_artifact_registry_have_repositories_to_create() {
        let found = |project: &str, location: &str, id: &str| {
            Some(ArtifactRepository {
                project: project.into(),
                location: location.into(),
                id: id.into(),
            })
        };
        for (image, expected) in [
            ("europe-west1-docker.pkg.dev/p/r/agent", found("p", "europe-west1", "r")),
            ("us-docker.pkg.dev/p/r/team/agent", found("p", "us", "r")),
            ("us-docker.pkg.dev/acme.com/p/r/agent", found("acme.com:p", "us", "r")),
            ("us-docker.pkg.dev/p/r", None),
            ("gcr.io/p/agent", None),
            ("eu.gcr.io/p/agent", None),
            ("docker.pkg.dev.evil.io/p/r/agent", None),
        ] {
            assert_eq!(ArtifactRepository::of(&image.parse().unwrap()), expected, "{image}");
        }
    }

    #[test]
    fn a_repository_is_created_as_it_is_wanted() {
        let image = "europe-west1-docker.pkg.dev/p/r/agent".parse().unwrap();
        let place = ArtifactRepository::of(&image).unwrap();
        let key = "projects/p/locations/europe-west1/keyRings/a/cryptoKeys/b";
        let of = |immutable: bool, key: &str| NewRepository {
            has_immutable_tags: immutable,
            encryption_key: Some(key.into()),
            ..NewRepository::default()
        };
        let plain = json!({"format": "DOCKER", "labels": {"managed-by": "dockless"}});
        let full = json!({
            "format": "DOCKER", "labels": {"managed-by": "dockless"},
            "dockerConfig": {"immutableTags": true}, "kmsKeyName": key,
        });
        let error = place.creation(&of(false, "alias/k")).unwrap_err();
        assert_eq!(error.message, "the `encryption_key` `alias/k` is no key of Google Cloud");
        for (wanted, body) in [(NewRepository::default(), &plain), (of(true, key), &full)] {
            let request = place.creation(&wanted).unwrap();
            assert_eq!(request.body.as_ref(), Some(body));
            assert_eq!(
                request.title(),
                "POST /v1/projects/p/locations/europe-west1/repositories?repositoryId=r"
            );
        }
    }
}
