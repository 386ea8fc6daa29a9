//! The file format that docker and podman share (containers-auth.json(5), docker's `config.json`).

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;

use super::super::keychain::{Credential, Keychain, Lookup};
use super::super::secret::Secret;
use super::{helper, same_host};
use crate::oci::Repository;
use crate::sys::command::Commands;

/// The largest file that is read.
pub(super) const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// The key under which Docker Hub's credentials are kept, and by which helpers know them.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
/// Some writers leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Credentials in a file, or in a variable that holds such a file's text.
#[derive(Debug, Clone)]
pub struct AuthFile {
    place: Place,
    commands: Arc<dyn Commands>,
}

#[derive(Debug, Clone)]
enum Place {
    File(PathBuf),
    Variable { name: &'static str, text: Secret },
}

impl AuthFile {
    /// The file at this path.
    pub fn file(path: impl Into<PathBuf>, commands: &Arc<dyn Commands>) -> Self {
        Self { place: Place::File(path.into()), commands: Arc::clone(commands) }
    }

    /// The text of a variable.
    pub fn variable(name: &'static str, text: &str, commands: &Arc<dyn Commands>) -> Self {
        let place = Place::Variable { name, text: Secret::new(text) };
        Self { place, commands: Arc::clone(commands) }
    }

    /// The text; `Err` says why there is none.
    async fn text(&self) -> Result<Secret, Lookup> {
        let path = match &self.place {
            Place::Variable { text, .. } => return Ok(text.clone()),
            Place::File(path) => path,
        };
        let read = async {
            let mut text = String::new();
            let file = tokio::fs::File::open(path).await?;
            file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).await?;
            io::Result::Ok(text)
        };
        match read.await {
            Ok(text) if text.len() as u64 > MAX_FILE_BYTES => {
                Err(Lookup::Broken(format!("it has more than {MAX_FILE_BYTES} bytes")))
            }
            Ok(text) => Ok(Secret::new(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Lookup::Nothing("there is no such file".into()))
            }
            Err(error) => Err(Lookup::Broken(format!("it cannot be read: {error}"))),
        }
    }
}

#[async_trait]
impl Keychain for AuthFile {
    fn name(&self, _: &Repository) -> String {
        match &self.place {
            Place::File(path) => format!("`{}`", path.display()),
            Place::Variable { name, .. } => format!("`{name}`"),
        }
    }

    async fn find(&self, repository: &Repository) -> Lookup {
        let text = match self.text().await {
            Ok(text) => text,
            Err(lookup) => return lookup,
        };
        let content = match Content::parse(text.expose()) {
            Ok(content) => content,
            Err(reason) => return Lookup::Broken(reason),
        };
        if content.has_no_auths() {
            let reason = "it has no `auths`, under which credentials stand".to_owned();
            return match self.place {
                Place::File(_) => Lookup::Nothing(reason),
                // Whoever sets the variable means credentials.
                Place::Variable { .. } => Lookup::Broken(reason),
            };
        }
        let mut broken = None;
        if let Some(name) = content.helper(repository.registry()) {
            match helper::get(self.commands.as_ref(), name, server(repository.registry())).await {
                Lookup::Nothing(_) => {}
                Lookup::Broken(reason) => broken = Some(Lookup::Broken(reason)),
                found => return found,
            }
        }
        match content.entry(repository) {
            nothing @ Lookup::Nothing(_) => broken.unwrap_or(nothing),
            entry => entry,
        }
    }
}

/// What of such a file is of interest.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Content {
    #[serde(default)]
    auths: Option<BTreeMap<String, Option<Entry>>>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, serde_json::Value>,
}

#[derive(Default, Deserialize)]
struct Entry {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    identitytoken: Option<String>,
    #[serde(default)]
    registrytoken: Option<String>,
}

impl Content {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        // The parser's own message may quote a secret: only the position is told.
        serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("it is not valid JSON of this format, line {line} column {column}")
        })
    }

    /// Whether it holds something, and no credentials: often the hosts stand without `auths` around
    /// them.
    fn has_no_auths(&self) -> bool {
        let Self { auths, cred_helpers, creds_store, others } = self;
        auths.is_none() && cred_helpers.is_empty() && creds_store.is_none() && !others.is_empty()
    }

    /// The helper for a registry: its own, else the one for all.
    pub(super) fn helper(&self, registry: &str) -> Option<&str> {
        let wanted = canonical(registry);
        let own = self.cred_helpers.iter().find(|(key, _)| canonical(key) == wanted);
        let name = own.map(|(_, name)| name).or(self.creds_store.as_ref())?;
        Some(name.as_str()).filter(|name| !name.is_empty())
    }

    /// The entry whose key is the longest beginning of the repository's name.
    fn entry(&self, repository: &Repository) -> Lookup {
        let name = format!("{}/{}", canonical(repository.registry()), repository.path());
        let best = self
            .auths
            .iter()
            .flatten()
            .filter_map(|(key, entry)| Some((canonical(key), entry.as_ref()?)))
            .filter(|(key, entry)| is_prefix(key, &name) && !entry.is_empty())
            .max_by_key(|(key, _)| key.len());
        match best {
            Some((_, entry)) => entry.credential(),
            None => Lookup::Nothing(format!("it has no entry for `{}`", repository.registry())),
        }
    }
}

impl Entry {
    /// Docker leaves empty entries for registries whose credentials a helper keeps.
    fn is_empty(&self) -> bool {
        let all = [&self.auth, &self.username, &self.identitytoken, &self.registrytoken];
        all.into_iter().all(|member| member.as_ref().is_none_or(String::is_empty))
    }

    fn credential(&self) -> Lookup {
        let filled = |member: &Option<String>| member.clone().filter(|text| !text.is_empty());
        if let Some(token) = filled(&self.identitytoken) {
            return Lookup::Found(Credential::Identity { token: Secret::new(token) });
        }
        if let Some(token) = filled(&self.registrytoken) {
            return Lookup::Found(Credential::Bearer { token: Secret::new(token) });
        }
        if let Some(auth) = filled(&self.auth) {
            return match decode(&auth) {
                Some((username, password)) => credential(username, password),
                None => Lookup::Broken("an `auth` is not base64 of `user:password`".into()),
            };
        }
        match (filled(&self.username), filled(&self.password)) {
            (Some(username), Some(password)) => credential(username, password),
            _ => Lookup::Nothing("its entry has no password".into()),
        }
    }
}

/// A pair as helpers and files give it: the user `<token>` marks an identity token.
pub(super) fn credential(username: String, password: String) -> Lookup {
    let secret = Secret::new(password);
    Lookup::Found(if username == "<token>" {
        Credential::Identity { token: secret }
    } else {
        Credential::Password { username, password: secret }
    })
}

/// Splits at the first `:`, since passwords may hold more; old writers appended zero bytes.
fn decode(auth: &str) -> Option<(String, String)> {
    let text = String::from_utf8(BASE64.decode(auth.trim()).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    Some((username.to_owned(), password.trim_end_matches('\0').to_owned()))
}

/// A key in the form in which it is compared. With a scheme, only its host counts, as for docker;
/// without one, a path narrows it to repositories below that path, as for podman.
pub(super) fn canonical(key: &str) -> String {
    let without_scheme = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let key = match without_scheme {
        Some(rest) => rest.split('/').next().unwrap_or_default(),
        None => key.trim_end_matches('/'),
    };
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    let host = match same_host(host) {
        host if matches!(host.as_str(), "index.docker.io" | "registry-1.docker.io") => {
            "docker.io".into()
        }
        host => host,
    };
    let is_api_version = matches!(path, "v1" | "v2");
    if path.is_empty() || is_api_version { host } else { format!("{host}/{path}") }
}

/// Whether a key covers a name: whole parts only, so that `r.io/a` does not cover `r.io/ab`.
fn is_prefix(key: &str, name: &str) -> bool {
    name.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// How helpers, and the entries that docker writes, know a registry.
pub(super) fn server(registry: &str) -> &str {
    if registry == "docker.io" { DOCKER_HUB_KEY } else { registry }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::command::FakeCommands;

    fn password(username: &str, password: &str) -> Lookup {
        credential(username.into(), password.into())
    }

    fn lent(username: &str) -> Lookup {
        helper::lent(password(username, "s"))
    }

    fn nothing(text: &str) -> Lookup {
        Lookup::Nothing(text.into())
    }

    fn found(config: &str, repository: &str) -> Lookup {
        Content::parse(config).unwrap().entry(&repository.parse().unwrap())
    }

    #[test]
    fn keys_are_matched_as_docker_and_podman_do() {
        // base64 of `u:p`, and of names that say which entry was taken.
        let config = r#"{"auths": {
            "r.io": {"username": "host", "password": "p"},
            "r.io/team": {"username": "team", "password": "p"},
            "r.io/team/app": {"username": "app", "password": "p"},
            "https://index.docker.io/v1/": {"username": "hub", "password": "p"},
            "https://schemed.io/v2/ignored": {"username": "schemed", "password": "p"},
            "upper.IO": {"username": "upper", "password": "p"},
            "port.io:5000": {"username": "port", "password": "p"},
            "empty.io": {},
            "null.io": null,
            "quay.io/only/this": {"username": "narrow", "password": "p"}
        }}"#;
        for (repository, username) in [
            ("r.io/other", Some("host")),
            ("r.io/teams/app", Some("host")),
            ("r.io/team/x", Some("team")),
            ("r.io/team/app", Some("app")),
            ("r.io/team/app/sub", Some("app")),
            ("python", Some("hub")),
            ("docker.io/acme/x", Some("hub")),
            ("schemed.io/a", Some("schemed")),
            ("upper.io/a", Some("upper")),
            ("port.io:5000/a", Some("port")),
            ("port.io/a", None),
            ("empty.io/a", None),
            ("null.io/a", None),
            ("quay.io/only", None),
            ("quay.io/only/this", Some("narrow")),
            ("evil-r.io/a", None),
            ("r.io.evil.com/a", None),
        ] {
            let lookup = found(config, repository);
            let registry = repository.split('/').next().unwrap();
            let nothing = nothing(&format!("it has no entry for `{registry}`"));
            let expected = username.map_or(nothing, |username| password(username, "p"));
            assert_eq!(lookup, expected, "{repository}");
        }
    }

    #[test]
    fn every_shape_of_entry_is_read() {
        let broken = Lookup::Broken("an `auth` is not base64 of `user:password`".into());
        let token = |text| Secret::new(text);
        for (entry, expected) in [
            // u:p:with:colons
            (r#"{"auth":"dTpwOndpdGg6Y29sb25z"}"#, password("u", "p:with:colons")),
            (r#"{"auth":"dTpwAAA="}"#, password("u", "p")),
            (r#"{"auth":"dTpwdw"}"#, password("u", "pw")),
            (
                r#"{"auth":"dTpw","identitytoken":"i"}"#,
                Lookup::Found(Credential::Identity { token: token("i") }),
            ),
            (r#"{"registrytoken":"r"}"#, Lookup::Found(Credential::Bearer { token: token("r") })),
            // <token>:i
            (
                r#"{"auth":"PHRva2VuPjpp"}"#,
                Lookup::Found(Credential::Identity { token: token("i") }),
            ),
            (r#"{"auth":"!!!"}"#, broken.clone()),
            (r#"{"auth":"dQ=="}"#, broken),
            (r#"{"username":"u"}"#, nothing("its entry has no password")),
            (r#"{"auth":"","email":"x"}"#, nothing("it has no entry for `r.io`")),
        ] {
            let config = format!(r#"{{"auths":{{"r.io":{entry}}}}}"#);
            assert_eq!(found(&config, "r.io/a"), expected, "{entry}");
        }
    }

    #[tokio::test]
    async fn hosts_without_auths_around_them_are_told() {
        let no_auths = "it has no `auths`, under which credentials stand";
        for (config, expected) in [
            (r#"{"r.io":{"auth":"dTpw"}}"#, Lookup::Broken(no_auths.into())),
            ("{}", nothing("it has no entry for `r.io`")),
            (r#"{"auths":{},"psFormat":"x"}"#, nothing("it has no entry for `r.io`")),
        ] {
            let file = variable(config, FakeCommands::default());
            assert_eq!(file.find(&"r.io/a".parse().unwrap()).await, expected, "{config}");
        }
    }

    fn variable(text: &str, commands: FakeCommands) -> AuthFile {
        let commands: Arc<dyn Commands> = Arc::new(commands);
        AuthFile::variable("X", text, &commands)
    }

    #[tokio::test]
    async fn helpers_come_before_entries() {
        let commands = || {
            FakeCommands::of([
                ("docker-credential-one get", 0, r#"{"Username":"one","Secret":"s"}"#),
                ("docker-credential-all get", 0, r#"{"Username":"all","Secret":"s"}"#),
                ("docker-credential-none get", 1, "credentials not found in native keychain\n"),
            ])
        };
        let entry = r#""auths":{"r.io":{"username":"entry","password":"p"}}"#;
        let not_installed = Lookup::Broken("`docker-credential-gone` is not installed".into());
        for (config, repository, expected) in [
            (
                format!(r#"{{{entry},"credHelpers":{{"r.io":"one"}},"credsStore":"all"}}"#),
                "r.io/a",
                lent("one"),
            ),
            (format!(r#"{{{entry},"credsStore":"all"}}"#), "r.io/a", lent("all")),
            (format!(r#"{{{entry},"credsStore":"none"}}"#), "r.io/a", password("entry", "p")),
            (format!(r#"{{{entry},"credsStore":"gone"}}"#), "r.io/a", password("entry", "p")),
            (r#"{"credsStore":"gone"}"#.into(), "r.io/a", not_installed),
            (r#"{"credsStore":"none"}"#.into(), "r.io/a", nothing("it has no entry for `r.io`")),
            (
                r#"{"credHelpers":{"https://index.docker.io/v1/":"one"}}"#.into(),
                "python",
                lent("one"),
            ),
        ] {
            let lookup = variable(&config, commands()).find(&repository.parse().unwrap()).await;
            assert_eq!(lookup, expected, "{config}");
        }
    }

    #[tokio::test]
    async fn a_damaged_file_is_reported_without_its_content() {
        let lookup = variable(r#"{"auths":{"r.io":{"auth":"canary}"#, FakeCommands::default())
            .find(&"r.io/a".parse().unwrap())
            .await;
        let reason = "it is not valid JSON of this format, line 1 column 33";
        assert_eq!(lookup, Lookup::Broken(reason.into()));
    }

    #[tokio::test]
    async fn a_missing_or_endless_file_is_no_accident() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        let commands: Arc<dyn Commands> = Arc::new(FakeCommands::default());
        let repository: Repository = "r.io/a".parse().unwrap();
        let file = AuthFile::file(&path, &commands);
        assert_eq!(file.find(&repository).await, nothing("there is no such file"));
        std::fs::write(&path, " ".repeat(1024 * 1024 + 1)).unwrap();
        let reason = "it has more than 1048576 bytes";
        assert_eq!(file.find(&repository).await, Lookup::Broken(reason.into()));
    }
}
