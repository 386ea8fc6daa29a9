//! Names of files that usually hold credentials. Only names are looked at, in any case of letters.

/// File names that hold credentials.
const NAMES: &[&str] = &[
    ".git-credentials",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".vault-token",
    "_netrc",
    "application_default_credentials.json",
];

/// What a file that holds keys ends in.
const EXTENSIONS: &[&str] = &["jks", "key", "keystore", "p12", "pem", "pfx", "tfstate"];

/// Folders, and the files in them: any when there is no name.
const FOLDERS: &[(&str, Option<&str>)] = &[
    (".aws", None),
    (".cargo", Some("credentials")),
    (".cargo", Some("credentials.toml")),
    (".docker", Some("config.json")),
    (".kube", Some("config")),
    (".ssh", None),
    (".streamlit", Some("secrets.toml")),
    (".terraform", None),
];

/// What a `.env.…` ends in that is meant to be shown around.
const SAMPLES: &[&str] = &["dist", "example", "sample", "template"];

/// Whether a path below the project looks like a file with credentials.
pub(super) fn is_credential(path: &str) -> bool {
    let path = path.to_lowercase();
    let mut parts = path.rsplit('/');
    let name = parts.next().unwrap_or_default();
    let mut folders = parts;
    let extension = name.rsplit('.').next().unwrap_or_default();
    let is_sample = || SAMPLES.contains(&extension);
    let is_environment = name == ".env" || name.starts_with(".env.");
    let is_key = ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"]
        .iter()
        .any(|key| name.starts_with(key) && extension != "pub");
    let is_json = extension == "json"
        && ["credentials", "service-account", "service_account"]
            .iter()
            .any(|word| name.contains(word));
    let extensions = || name.split('.').skip(1);
    let has_extension = extensions().last().is_some_and(|end| EXTENSIONS.contains(&end))
        || extensions().any(|part| part == "tfstate");
    (is_environment && !is_sample())
        || NAMES.contains(&name)
        || is_key
        || is_json
        || has_extension
        || folders.any(|folder| {
            FOLDERS
                .iter()
                .any(|(known, only)| *known == folder && only.is_none_or(|only| only == name))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell() {
        for path in [
            ".env",
            "a/.ENV.production",
            "certs/server.PEM",
            "tls.key",
            "id_rsa",
            "id_ed25519_work",
            "gcp-credentials-1.json",
            "my-service-account.json",
            ".npmrc",
            ".netrc",
            "home/.aws/credentials",
            ".docker/config.json",
            ".kube/config",
            "store.p12",
            "terraform.tfstate.backup",
            ".ssh/known",
            ".streamlit/secrets.toml",
        ] {
            assert!(is_credential(path), "{path}");
        }
        for path in [
            "",
            "main.py",
            ".env.example",
            "env",
            "id_rsa.pub",
            "keys.json",
            "credentials.py",
            "config.json",
            "src/config",
            "monkey",
            ".github/secrets.toml",
        ] {
            assert!(!is_credential(path), "{path}");
        }
    }
}
