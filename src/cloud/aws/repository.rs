//! Creates a repository of ECR that is missing: a push does not.

use serde_json::json;

use super::super::service::{Cloud, ECR, Service};
use super::super::{Api, CallError, ErrorClass, Request};
use crate::oci::Repository;
use crate::registry::AmazonRegistry;

/// What a repository is to be like that does not exist yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewRepository {
    /// Whether a tag stays where it was put first.
    pub has_immutable_tags: bool,
    /// Whether what is pushed is scanned.
    pub is_scanned: bool,
    /// The KMS key that encrypts it; AES-256 with a key of Amazon's without.
    pub encryption_key: Option<String>,
}

impl NewRepository {
    /// The key, for a repository of this cloud's.
    ///
    /// # Errors
    /// The key is another cloud's: a repository without it would not be what was asked for.
    pub(in super::super) fn key_for(
        &self,
        service: &'static Service,
        repository: &str,
    ) -> Result<Option<&str>, Box<CallError>> {
        let key = self.encryption_key.as_deref();
        let is_its = |key: &&str| key.starts_with("projects/") == (service.cloud == Cloud::Google);
        match key.filter(|key| !is_its(key)) {
            None => Ok(key),
            Some(key) => Err(Box::new(CallError {
                message: format!("the `encryption_key` `{key}` is no key of {}", service.cloud),
                hints: vec![format!(
                    "create the repository `{repository}` by hand, with a key of that cloud's, or let `encryption_key` name one: an \
                     ARN, an id or an alias for ECR, `projects/…` for Artifact Registry"
                )],
                ..CallError::new(service, "CreateRepository".to_owned(), ErrorClass::Invalid)
            })),
        }
    }
}

/// Creates a repository unless it is there; says whether it did. What is not in a private registry of
/// Amazon's is left to the push.
///
/// # Errors
/// ECR cannot be asked, or refuses.
pub(in super::super) async fn create_missing_repository(
    api: &dyn Api,
    repository: &Repository,
    wanted: &NewRepository,
) -> Result<bool, CallError> {
    let Some(AmazonRegistry::Private { account, region }) =
        AmazonRegistry::of(repository.registry())
    else {
        return Ok(false);
    };
    let path = repository.path();
    let look = json!({"registryId": account, "repositoryNames": [path]});
    let look = Request::call(&ECR, region, "DescribeRepositories", look).that_reads();
    match api.call(&look).await {
        Ok(_) => return Ok(false),
        Err(error) if error.class == ErrorClass::NotFound => {}
        Err(error) => return Err(error),
    }
    let create = creation(account, region, path, wanted).map_err(|error| *error)?;
    match api.call(&create).await {
        Ok(_) => Ok(true),
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

fn creation(
    account: &str,
    region: &str,
    path: &str,
    wanted: &NewRepository,
) -> Result<Request, Box<CallError>> {
    let mutability = if wanted.has_immutable_tags { "IMMUTABLE" } else { "MUTABLE" };
    let mut body = json!({
        "registryId": account,
        "repositoryName": path,
        "imageTagMutability": mutability,
        "tags": [{"Key": "managed-by", "Value": "dockless"}],
    });
    if wanted.is_scanned {
        body["imageScanningConfiguration"] = json!({"scanOnPush": true});
    }
    if let Some(key) = wanted.key_for(&ECR, path)? {
        body["encryptionConfiguration"] = json!({"encryptionType": "KMS", "kmsKey": key});
    }
    Ok(Request::call(&ECR, region, "CreateRepository", body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_created_as_it_is_wanted() {
        let plain = json!({
            "registryId": "1", "repositoryName": "a/b", "imageTagMutability": "MUTABLE",
            "tags": [{"Key": "managed-by", "Value": "dockless"}],
        });
        let full = json!({
            "registryId": "1", "repositoryName": "a/b", "imageTagMutability": "IMMUTABLE",
            "tags": [{"Key": "managed-by", "Value": "dockless"}],
            "imageScanningConfiguration": {"scanOnPush": true},
            "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": "alias/k"},
        });
        let wanted = NewRepository {
            has_immutable_tags: true,
            is_scanned: true,
            encryption_key: Some("alias/k".into()),
        };
        for (wanted, body) in [(NewRepository::default(), plain), (wanted, full)] {
            let expected = Request::call(&ECR, "eu-west-1", "CreateRepository", body);
            assert_eq!(creation("1", "eu-west-1", "a/b", &wanted).unwrap(), expected);
        }
        let other =
            NewRepository { encryption_key: Some("projects/p".into()), ..NewRepository::default() };
        let error = creation("1", "eu-west-1", "a/b", &other).unwrap_err();
        assert_eq!(error.message, "the `encryption_key` `projects/p` is no key of AWS");
    }
}
