//! A file of credentials: of a user, a service account, or of an identity that Google trusts.

use std::path::Path;

use google_cloud_auth::credentials::{
    AccessTokenCredentials, external_account, impersonated, service_account, user_account,
};
use serde_json::Value;

use crate::registry::Secret;

/// What may be asked with the credentials: IAM says what is allowed.
pub(super) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Credentials out of a file.
#[derive(Debug)]
pub(super) struct CredentialsFile {
    /// They fetch tokens, and keep them as long as they are good.
    pub(super) credentials: AccessTokenCredentials,
    /// Whose they are, where the file tells.
    pub(super) identity: Option<String>,
    /// The whole file, where it is the key of a service account: registries take it as a password.
    pub(super) key: Option<Secret>,
}

/// Reads a file; nothing when it is not there.
///
/// # Errors
/// Why it cannot be used.
pub(super) async fn read(
    path: &Path,
    quota_project: Option<&str>,
) -> Result<Option<CredentialsFile>, String> {
    let text = match tokio::fs::read_to_string(path).await {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("it cannot be read: {error}")),
    };
    // What the parser says of the file may show what is in it.
    let document: Value = serde_json::from_str(&text).map_err(|_| "it is not JSON".to_owned())?;
    let kind = document["type"].as_str().unwrap_or_default().to_owned();
    let identity = identity(&kind, &document);
    let key = (kind == "service_account").then(|| Secret::new(text));
    let credentials = build(&kind, document, quota_project)?;
    Ok(Some(CredentialsFile { credentials, identity, key }))
}

/// The file's credentials by its `type`.
fn build(
    kind: &str,
    document: Value,
    quota_project: Option<&str>,
) -> Result<AccessTokenCredentials, String> {
    macro_rules! built {
        ($builder:expr) => {{
            let builder = $builder;
            match quota_project {
                Some(project) => builder.with_quota_project_id(project),
                None => builder,
            }
            .build_access_token_credentials()
        }};
    }
    let built = match kind {
        "authorized_user" => built!(user_account::Builder::new(document).with_scopes([SCOPE])),
        "service_account" => {
            let scopes = service_account::AccessSpecifier::from_scopes([SCOPE]);
            built!(service_account::Builder::new(document).with_access_specifier(scopes))
        }
        "impersonated_service_account" => {
            built!(impersonated::Builder::new(document).with_scopes([SCOPE]))
        }
        "external_account" => {
            built!(external_account::Builder::new(document).with_scopes([SCOPE]))
        }
        "" => return Err("it has no `type`".to_owned()),
        kind => return Err(format!("credentials of type `{}` are not known", kind.escape_debug())),
    };
    built.map_err(|error| error.to_string())
}

/// Whose credentials they are.
fn identity(kind: &str, document: &Value) -> Option<String> {
    let text = |name: &str| document[name].as_str().filter(|text| !text.is_empty());
    let impersonated = || {
        let (_, rest) =
            text("service_account_impersonation_url")?.split_once("/serviceAccounts/")?;
        rest.split(':').next()
    };
    let found = match kind {
        "service_account" => text("client_email"),
        "authorized_user" => text("account"),
        "external_account" => impersonated().or(text("audience")),
        _ => impersonated(),
    };
    found.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_tells_whose_it_is() {
        let url = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/ci@p.iam.gserviceaccount.com:generateAccessToken";
        let pool = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/providers/github";
        for (document, expected) in [
            (json!({"type": "service_account", "client_email": "sa@p.iam"}), Some("sa@p.iam")),
            (json!({"type": "authorized_user", "account": ""}), None),
            (json!({"type": "authorized_user", "account": "bob@acme.io"}), Some("bob@acme.io")),
            (
                json!({"type": "external_account", "audience": pool, "service_account_impersonation_url": url}),
                Some("ci@p.iam.gserviceaccount.com"),
            ),
            (json!({"type": "external_account", "audience": pool}), Some(pool)),
            (
                json!({"type": "impersonated_service_account", "service_account_impersonation_url": url}),
                Some("ci@p.iam.gserviceaccount.com"),
            ),
        ] {
            let kind = document["type"].as_str().unwrap().to_owned();
            assert_eq!(identity(&kind, &document).as_deref(), expected, "{document}");
        }
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_says_why_and_not_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.json");
        assert!(matches!(read(&path, None).await, Ok(None)));
        for (text, expected) in [
            ("canary", "it is not JSON"),
            ("{}", "it has no `type`"),
            (
                r#"{"type": "gdch_service_account"}"#,
                "credentials of type `gdch_service_account` are not known",
            ),
            (
                r#"{"type": "service_account", "private_key": 7}"#,
                "cannot parse the credentials file invalid type: integer `7`, expected a string",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path, None).await.unwrap_err(), expected, "{text}");
        }
    }
}
