//! Names of files and folders that usually hold credentials, in any case of letters.
//!
//! Most of them are refused for their name alone. Some are as often harmless: their content decides. What
//! package managers install (`site-packages`, `node_modules`) was published by others, tests with their keys
//! included: there only names count that nobody publishes, and contents.

use super::Sort;

/// A path that looks like credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Suspect<'a> {
    /// The path, or the part of it that leads to a folder that is refused as a whole.
    pub(super) path: &'a str,
    /// What it looks like.
    pub(super) sort: Sort,
    /// What lets it pass.
    pub(super) excuse: Excuse,
}

/// What in a content speaks for a file with a suspicious name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Excuse {
    /// Nothing does.
    None,
    /// That it holds certificates or public keys, and nothing else.
    Public,
    /// That it sets no password or token.
    NothingAssigned,
}

/// Folders that are refused with all that is in them.
const FOLDERS: [(&str, Sort); 6] = [
    (".aws", Sort::PrivateFolder),
    (".azure", Sort::PrivateFolder),
    (".git", Sort::VersionControl),
    (".gnupg", Sort::PrivateFolder),
    (".ssh", Sort::PrivateFolder),
    (".terraform", Sort::PrivateFolder),
];

/// Where the Google Cloud SDK keeps its tokens: a folder in a folder, refused likewise.
const GCLOUD: (&str, &str) = (".config", "gcloud");

/// Files that hold credentials in a certain folder.
const IN_FOLDERS: [(&str, &str); 5] = [
    (".cargo", "credentials"),
    (".cargo", "credentials.toml"),
    (".docker", "config.json"),
    (".kube", "config"),
    (".streamlit", "secrets.toml"),
];

/// Files that hold credentials wherever they lie.
const FILES: [&str; 9] = [
    ".dockercfg",
    ".git-credentials",
    ".netrc",
    ".pgpass",
    ".s3cfg",
    ".vault-token",
    "_netrc",
    "application_default_credentials.json",
    "kubeconfig",
];

/// Files that hold credentials unless they were published.
const UNPUBLISHED_FILES: [&str; 9] = [
    ".htpasswd",
    "secret.json",
    "secret.toml",
    "secret.yaml",
    "secret.yml",
    "secrets.json",
    "secrets.toml",
    "secrets.yaml",
    "secrets.yml",
];

/// Settings of package managers and shells, with credentials or without.
const SETTINGS: [&str; 6] = [".envrc", ".npmrc", ".pypirc", ".yarnrc", ".yarnrc.yml", "pip.conf"];

/// What a private key of SSH begins with.
const SSH_KEYS: [&str; 4] = ["id_dsa", "id_ecdsa", "id_ed25519", "id_rsa"];

/// What a store of keys ends in.
const KEY_STORES: [&str; 6] = ["jks", "kdbx", "keystore", "p12", "pfx", "ppk"];

/// What a file of variables ends in that is meant to be shown around.
const SAMPLES: [&str; 4] = ["dist", "example", "sample", "template"];

/// Where package managers put what others have published.
const INSTALLED: [&str; 3] = ["dist-packages", "node_modules", "site-packages"];

/// Those of Python.
const PYTHON: [&str; 2] = ["dist-packages", "site-packages"];

/// Words for what is there to try a package out.
const TRIALS: [&str; 10] = [
    "__tests__",
    "demo",
    "demos",
    "example",
    "examples",
    "fixtures",
    "spec",
    "test",
    "testing",
    "tests",
];

/// What a path below the project, or in the image, looks like. Whether the file is part of an installed
/// package may show in either.
pub(super) fn suspect(path: &str, is_installed: bool) -> Option<Suspect<'_>> {
    let lower = path.to_ascii_lowercase();
    let (folders, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
    let name = without_backup(name);
    let (mut end, mut parent) = (0, "");
    for folder in folders.split('/') {
        end += folder.len();
        let known = FOLDERS.iter().find(|(known, _)| *known == folder).map(|(_, sort)| *sort);
        let is_gcloud = (parent, folder) == GCLOUD;
        if let Some(sort) = known.or(is_gcloud.then_some(Sort::PrivateFolder)) {
            return Some(Suspect { path: &path[..end], sort, excuse: Excuse::None });
        }
        (end, parent) = (end + 1, folder);
    }
    // Packages of npm have such files by mistake, those of Python never: that one was put there.
    let has_samples = is_installed && !folders.split('/').any(|folder| PYTHON.contains(&folder));
    let is_dotenv =
        name == ".env" || [".env.", ".env-", ".env_"].iter().any(|env| name.starts_with(env));
    if is_dotenv && !has_samples && !is_sample(name) {
        return Some(Suspect { path, sort: Sort::EnvironmentFile, excuse: Excuse::None });
    }
    let (sort, excuse) = suspect_name(parent, name, is_installed)?;
    Some(Suspect { path, sort, excuse })
}

/// The name of the file that this one is a copy of, as editors and people make them.
fn without_backup(name: &str) -> &str {
    let ends = ["~", ".bak", ".backup", ".old", ".orig", ".save", ".swp"];
    ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

/// What a file looks like by its name and that of its folder, both in lower case.
fn suspect_name(parent: &str, name: &str, is_installed: bool) -> Option<(Sort, Excuse)> {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let is_ssh_key = || SSH_KEYS.iter().any(|key| name.starts_with(key)) && extension != "pub";
    let has = |word: &str| stem.contains(word);
    let is_named_json = || {
        extension == "json"
            && (has("credentials") || has("service-account") || has("service_account"))
    };
    if FILES.contains(&name) || IN_FOLDERS.contains(&(parent, name)) {
        return Some((Sort::CredentialFile, Excuse::None));
    }
    if is_ssh_key() {
        return Some((Sort::KeyFile, Excuse::None));
    }
    if name.split('.').skip(1).any(|part| part == "tfstate") {
        return Some((Sort::TerraformState, Excuse::None));
    }
    if SETTINGS.contains(&name) {
        return Some((Sort::CredentialFile, Excuse::NothingAssigned));
    }
    let is_dotenv = name.starts_with(".env.") && !is_sample(name);
    if is_dotenv || extension == "env" {
        return Some((Sort::EnvironmentFile, Excuse::NothingAssigned));
    }
    if is_installed {
        return None;
    }
    if extension == "tfvars" || name.ends_with(".tfvars.json") {
        return Some((Sort::EnvironmentFile, Excuse::None));
    }
    if UNPUBLISHED_FILES.contains(&name) || is_named_json() {
        return Some((Sort::CredentialFile, Excuse::None));
    }
    if KEY_STORES.contains(&extension) {
        return Some((Sort::KeyStore, Excuse::None));
    }
    matches!(extension, "key" | "pem").then_some((Sort::KeyFile, Excuse::Public))
}

/// Whether a file of variables is meant to be shown around.
fn is_sample(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| SAMPLES.contains(&extension))
}

/// Whether a file is one of keys or certificates, which may be large.
pub(super) fn is_pem(path: &str) -> bool {
    let extension = path.rsplit(['.', '/']).next().unwrap_or_default();
    ["cer", "crt", "key", "pem"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Whether what was found in a file is nobody's secret, by the file's place: keys of the tests of an
/// installed package, and keys for browsers, which packages publish for anybody to use.
pub(super) fn is_published(path: &str, sort: Sort) -> bool {
    let lower = path.to_ascii_lowercase();
    let place = lower.match_indices('/').map(|(end, _)| end).find(|end| {
        let folder = lower[..*end].rsplit('/').next().unwrap_or_default();
        INSTALLED.contains(&folder)
    });
    let Some(place) = place else { return false };
    let is_trial = || {
        let words = lower[place..].split(['/', '.', '_', '-']);
        lower[place..].split('/').chain(words).any(|word| TRIALS.contains(&word))
    };
    sort == Sort::GoogleKey || (sort == Sort::PrivateKey && is_trial())
}

/// Whether a path leads to what a package manager has installed.
pub(super) fn is_installed(path: &str) -> bool {
    let is_known = |folder: &str| INSTALLED.iter().any(|known| folder.eq_ignore_ascii_case(known));
    path.rsplit('/').skip(1).any(is_known)
}

/// Whether a file is one of settings or variables, which may be harmless.
pub(super) fn is_settings(path: &str) -> bool {
    suspect(path, true).is_some_and(|suspect| suspect.excuse == Excuse::NothingAssigned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sort(path: &str) -> Option<(Sort, Excuse)> {
        suspect(path, is_installed(path)).map(|suspect| (suspect.sort, suspect.excuse))
    }

    #[test]
    fn names_tell() {
        use Excuse::{None, NothingAssigned, Public};
        use Sort::{CredentialFile, EnvironmentFile, KeyFile, KeyStore, TerraformState};
        let table = [
            (
                EnvironmentFile,
                None,
                &[
                    ".env",
                    "a/.ENV.production",
                    ".env.local",
                    ".env.key",
                    "site-packages/a/.env",
                    "lib/dist-packages/.env.local",
                    ".env~",
                    ".env.bak",
                    ".env-prod",
                    ".env_prod",
                    "prod.tfvars",
                    "prod.auto.tfvars",
                    "a/b.tfvars.json",
                ][..],
            ),
            (
                EnvironmentFile,
                NothingAssigned,
                &[
                    "prod.env",
                    "deploy/Local.Env",
                    "node_modules/bottleneck/.env",
                    "node_modules/a/.env.x",
                ],
            ),
            (KeyFile, Public, &["certs/server.PEM", "tls.key", "test.key", "key.pem"]),
            (
                KeyFile,
                None,
                &[
                    "id_rsa",
                    "keys/id_ed25519_work",
                    "ID_ECDSA",
                    "id_dsa.bak",
                    "site-packages/a/id_rsa",
                ],
            ),
            (
                CredentialFile,
                None,
                &[
                    "credentials.json",
                    "gcp-Credentials-1.json",
                    "my-service-account.json",
                    "service_account.json",
                    "a/.netrc",
                    "_netrc",
                    ".git-credentials",
                    ".vault-token",
                    "application_default_credentials.json",
                    "home/.docker/config.json",
                    ".kube/config",
                    ".cargo/credentials",
                    ".cargo/credentials.toml",
                    ".streamlit/secrets.toml",
                    "config/secrets.yaml",
                    "k8s/secret.yml",
                    "secret.toml",
                    ".htpasswd",
                    "node_modules/a/.netrc",
                ],
            ),
            (
                CredentialFile,
                NothingAssigned,
                &[".npmrc", ".pypirc", "node_modules/a/.npmrc", "pip.conf"],
            ),
            (KeyStore, None, &["store.p12", "a.PFX", "debug.keystore", "trust.jks", "vault.kdbx"]),
            (
                TerraformState,
                None,
                &["terraform.tfstate", "terraform.tfstate.backup", "a.tfstate.lock.info"],
            ),
        ];
        for (expected, excuse, paths) in table {
            for path in paths {
                assert_eq!(sort(path), Some((expected, excuse)), "{path}");
            }
        }
    }

    #[test]
    fn a_folder_is_meant_as_a_whole() {
        for (path, folder) in [
            (".ssh/known_hosts", ".ssh"),
            ("home/.AWS/sso/cache/x", "home/.AWS"),
            ("a/.git/objects/00/1", "a/.git"),
            (".terraform/x", ".terraform"),
            ("root/.azure/msal_token_cache.json", "root/.azure"),
            ("root/.config/gcloud/access_tokens.db", "root/.config/gcloud"),
        ] {
            let suspect = suspect(path, false).unwrap();
            assert_eq!((suspect.path, suspect.excuse), (folder, Excuse::None));
        }
    }

    /// Names as they stand in projects and in what package managers install.
    #[test]
    fn other_names_pass() {
        for path in [
            "",
            "main.py",
            "key.py",
            "keys.json",
            "credentials.py",
            "credentials.md",
            "config.json",
            "src/config",
            "env",
            ".environment",
            ".env.example",
            ".env.example.bak",
            ".environment",
            ".env.production.sample",
            "monkey",
            "prod.tfvars.example",
            ".config/htop/htoprc",
            "gcloud/main.py",
            "node_modules/a/x.tfvars",
            "node_modules/a/secret.json",
            "site-packages/a/.env.example",
            "id_rsa.pub",
            "id_ed25519_work.pub",
            "ca.crt",
            ".github/dependabot.yml",
            ".gitignore",
            "secrets.py",
            "data/secrets-of-cooking.md",
            "site-packages/certifi/cacert.pem",
            "site-packages/botocore/cacert.pem",
            "site-packages/botocore/credentials.py",
            "site-packages/botocore/data/sts/2011-06-15/service-2.json",
            "site-packages/google/auth/credentials.py",
            "site-packages/google/oauth2/service_account.py",
            "site-packages/googleapiclient/discovery_cache/documents/iamcredentials.v1.json",
            "lib/python3/dist-packages/tornado/test/test.key",
            "site-packages/tornado/test/test.crt",
            "site-packages/future/backports/test/keycert.passwd.pem",
            "site-packages/docker/credentials/store.py",
            "site-packages/keyring/credentials.py",
            "node_modules/@aws-sdk/credential-provider-ini/package.json",
            "node_modules/aws-sdk/lib/credentials.js",
            "node_modules/public-encrypt/test/test_key.pem",
            "node_modules/agent-base/test/ssl-cert-snakeoil.key",
            "node_modules/gtoken/build/src/index.js",
            "node_modules/env/index.js",
            "node_modules/a/service-account.json",
        ] {
            assert_eq!(sort(path), None, "{path}");
        }
    }

    #[test]
    fn what_packages_publish_is_nobodys_secret() {
        for (path, sort, expected) in [
            ("lib/site-packages/tornado/test/test.key", Sort::PrivateKey, true),
            ("site-packages/twisted/conch/test/keydata.py", Sort::PrivateKey, true),
            ("node_modules/a/test_key.pem", Sort::PrivateKey, true),
            ("node_modules/a/server.pem", Sort::PrivateKey, false),
            ("site-packages/latest/key.pem", Sort::PrivateKey, false),
            ("tests/site-packages/a/key.pem", Sort::PrivateKey, false),
            ("tests/key.pem", Sort::PrivateKey, false),
            ("site-packages/yt_dlp/extractor/youtube.py", Sort::GoogleKey, true),
            ("app/youtube.py", Sort::GoogleKey, false),
            ("site-packages/a/test/b.py", Sort::AwsKey, false),
        ] {
            assert_eq!(is_published(path, sort), expected, "{path}");
        }
    }
}
