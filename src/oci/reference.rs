//! Image references as Docker and the distribution specification write them.

use std::fmt;
use std::str::FromStr;

use super::Digest;

/// A registry and a repository in it: `ghcr.io/acme/agent`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    registry: String,
    path: String,
}

/// A repository with a tag, a digest, both, or neither.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Where.
    pub repository: Repository,
    /// The tag, if one was written.
    pub tag: Option<String>,
    /// The digest, if one was written; it rules over the tag.
    pub digest: Option<Digest>,
}

/// The text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not an image reference: {reason}", text.escape_debug())]
pub struct InvalidReference {
    text: String,
    reason: String,
}

/// The registry of names without a host.
const DOCKER_HUB: &str = "docker.io";
/// Hosts of Docker Hub that stand for it.
const DOCKER_HUB_ALIASES: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];

impl Repository {
    /// The host and port as written: `docker.io`, `localhost:5000`, `[::1]:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path below the registry: `library/python`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// This repository at a tag.
    pub fn at_tag(&self, tag: impl Into<String>) -> Reference {
        Reference { repository: self.clone(), tag: Some(tag.into()), digest: None }
    }

    /// This repository at a digest.
    pub fn at_digest(&self, digest: Digest) -> Reference {
        Reference { repository: self.clone(), tag: None, digest: Some(digest) }
    }
}

impl Reference {
    /// What the registry is asked for: the digest, else the tag, else `latest`.
    pub fn target(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".into(),
        }
    }

    /// Whether a text begins with a host and a `/`: what follows is in that registry, and not on Docker
    /// Hub because nothing else was said.
    pub fn has_host(text: &str) -> bool {
        text.split_once('/').is_some_and(|(host, _)| is_host(host))
    }

    /// Whether this is a valid tag: 1 to 128 of `[A-Za-z0-9_.-]`, not starting with `.` or `-`.
    pub fn is_tag(text: &str) -> bool {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        matches!(text.as_bytes(), [first, rest @ ..]
            if is_word(*first)
                && rest.len() < 128
                && rest.iter().all(|&byte| is_word(byte) || byte == b'.' || byte == b'-'))
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.path)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(formatter, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Repository {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let reference: Reference = text.parse()?;
        match (&reference.tag, &reference.digest) {
            (None, None) => Ok(reference.repository),
            (Some(_), _) => Err(invalid(text, "expected a repository without a tag")),
            (None, Some(_)) => Err(invalid(text, "expected a repository without a digest")),
        }
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        if text.is_empty() {
            return Err(invalid(text, "it is empty"));
        }
        if credentials_end(text).is_some() {
            return Err(invalid(text, "no credentials stand in a reference"));
        }
        let (rest, digest) = match text.split_once('@') {
            None => (text, None),
            Some((rest, digest)) => {
                let digest = digest.parse().map_err(|_| {
                    invalid(text, "after `@` comes `sha256:` and 64 lower-case hexadecimal digits")
                })?;
                (rest, Some(digest))
            }
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag
            && !Self::is_tag(tag)
        {
            return Err(invalid(
                text,
                "a tag has 1 to 128 letters, digits, `_`, `.` or `-`, and starts with none of the last two",
            ));
        }
        let repository = parse_repository(name).map_err(|reason| invalid(text, reason))?;
        Ok(Self { repository, tag: tag.map(str::to_owned), digest })
    }
}

fn invalid(text: &str, reason: impl Into<String>) -> InvalidReference {
    InvalidReference { text: without_password(text), reason: reason.into() }
}

/// The text for a message: at most 300 characters, and without the credentials of
/// `https://user:password@host/…` or `user:password@host/…`.
pub fn without_password(text: &str) -> String {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let shown = match credentials_end(rest) {
        Some(end) => format!("{}…{}", &text[..text.len() - rest.len()], &rest[end..]),
        None => text.to_owned(),
    };
    shown.chars().take(300).collect()
}

/// The `@` behind credentials: the last, unless what follows reads like a digest.
fn credentials_end(text: &str) -> Option<usize> {
    let is_digest = |end: &str| end.starts_with("sha") && !end.contains(['/', '.']);
    let name =
        text.rsplit_once('@').filter(|(_, end)| is_digest(end)).map_or(text, |(name, _)| name);
    name.rfind('@')
}

/// Splits a name as Docker does: the first part is a host when it has a `.` or a `:`, or is `localhost`.
/// An upper-case letter makes none: in lower case the same text would be a part of Docker Hub.
fn parse_repository(name: &str) -> Result<Repository, String> {
    let (registry, path) = match name.split_once('/') {
        Some((host, path)) if is_host(host) => (host, path.to_owned()),
        _ => (DOCKER_HUB, name.to_owned()),
    };
    let registry = match registry.to_ascii_lowercase() {
        alias if DOCKER_HUB_ALIASES.contains(&alias.as_str()) => DOCKER_HUB.to_owned(),
        other => other,
    };
    let path = if registry == DOCKER_HUB && !path.contains('/') {
        format!("library/{path}")
    } else {
        path
    };
    check_host(&registry)?;
    check_path(&path)?;
    if registry.len() + path.len() >= 255 {
        return Err("a name has at most 255 characters".into());
    }
    Ok(Repository { registry, path })
}

fn is_host(text: &str) -> bool {
    text == "localhost" || text.contains(['.', ':']) || text.starts_with('[')
}

fn check_host(registry: &str) -> Result<(), String> {
    let error = || format!("`{}` is not a registry host", registry.escape_debug());
    let (host, port) = match registry.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or_else(error)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| error())?;
            (None, port.strip_prefix(':').or((!port.is_empty()).then_some("none")))
        }
        None => match registry.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(registry), None),
        },
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if !host.is_none_or(|host| host.split('.').all(is_label)) {
        return Err(error());
    }
    match port.map(str::parse::<u16>) {
        None | Some(Ok(1..)) => Ok(()),
        _ => Err(error()),
    }
}

/// Checks the path: `[a-z0-9]+` joined by `.`, `_`, `__` or any number of `-`, in parts joined by
/// `/` (distribution-spec, "Pulling manifests", `<name>`).
fn check_path(path: &str) -> Result<(), String> {
    for part in path.split('/') {
        if part.is_empty() {
            return Err("a part between two `/` is empty".into());
        }
        if part.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err("a repository is written in lower case".into());
        }
        if !is_path_part(part) {
            return Err(format!(
                "`{}` is not lower-case letters and digits joined by `.`, `_`, `__` or `-`",
                part.escape_debug()
            ));
        }
    }
    Ok(())
}

fn is_path_part(part: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut separator = String::new();
    for byte in part.bytes() {
        if is_word(byte) {
            let is_joined = matches!(separator.as_str(), "" | "." | "_" | "__")
                || separator.bytes().all(|byte| byte == b'-');
            if !is_joined {
                return false;
            }
            separator.clear();
        } else {
            separator.push(char::from(byte));
        }
    }
    separator.is_empty() && part.bytes().next().is_some_and(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn reads_what_docker_reads() {
        for (text, canonical) in [
            ("python", "docker.io/library/python"),
            ("python:3.12-slim", "docker.io/library/python:3.12-slim"),
            ("acme/agent", "docker.io/acme/agent"),
            ("index.docker.io/python", "docker.io/library/python"),
            ("Registry-1.Docker.io/python", "docker.io/library/python"),
            ("docker.io/python", "docker.io/library/python"),
            ("localhost/agent", "localhost/agent"),
            ("localhost:5000/acme/hello:v1", "localhost:5000/acme/hello:v1"),
            ("127.0.0.1:5000/a", "127.0.0.1:5000/a"),
            ("[::1]:5000/a:b", "[::1]:5000/a:b"),
            ("GHCR.io/acme/agent", "ghcr.io/acme/agent"),
            ("a.b/c__d/e-f/g---h/i.j:T_a.g-1", "a.b/c__d/e-f/g---h/i.j:T_a.g-1"),
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com/x",
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com/x",
            ),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), canonical, "{text}");
        }
        let both: Reference = format!("python:3.12@{DIGEST}").parse().unwrap();
        assert_eq!(both.to_string(), format!("docker.io/library/python:3.12@{DIGEST}"));
        assert_eq!(both.target(), DIGEST);
        assert_eq!("a/b".parse::<Reference>().unwrap().target(), "latest");
    }

    #[test]
    fn says_why_it_refuses() {
        for (text, reason) in [
            ("", "it is empty"),
            ("ghcr.io/Acme/agent", "lower case"),
            ("Acme/agent", "lower case"),
            ("ghcr.io/acme//agent", "between two `/` is empty"),
            ("ghcr.io/", "between two `/` is empty"),
            ("a/b:", "a tag has"),
            ("a/b:-x", "a tag has"),
            ("a/b:x y", "a tag has"),
            ("a/b:x\r\nHost: evil", "a tag has"),
            ("a/b@sha256:abc", "after `@`"),
            ("a/b@sha512:abc", "after `@`"),
            ("a/.b", "joined by"),
            ("a/b___c", "joined by"),
            ("a/b_", "joined by"),
            ("a/../b", "joined by"),
            ("https://ghcr.io/a", "is not a registry host"),
            ("host:99999/a", "is not a registry host"),
            ("host:0/a", "is not a registry host"),
            ("user@host.io/a", "no credentials"),
            ("-a.io/b", "is not a registry host"),
            ("[::1/a", "is not a registry host"),
        ] {
            let message = text.parse::<Reference>().unwrap_err().to_string();
            assert!(message.contains(reason), "{text}: {message}");
        }
    }

    #[test]
    fn a_host_has_a_dot_or_a_port_or_is_this_machine() {
        for (text, has_host) in [
            ("r.io/a", true),
            ("registry:5000/a:v1", true),
            ("localhost/a", true),
            ("[::1]/a", true),
            ("feature/foo", false),
            ("feature/v1.2", false),
            ("v1:2", false),
            ("localhost:5000", false),
            ("python", false),
        ] {
            assert_eq!(Reference::has_host(text), has_host, "{text}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        for (text, shown) in [
            ("https://user:canary@host.io/a/b", "https://…@host.io/a/b"),
            ("user:canary@host.io/a", "…@host.io/a"),
            ("user:can/ary@host.io:5000/a", "…@host.io:5000/a"),
            ("canary@localhost/a", "…@localhost/a"),
            ("user:canary@sha.io/a@sha256:abc", "…@sha.io/a@sha256:abc"),
        ] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            let reason = "no credentials stand in a reference";
            assert_eq!(error, format!("`{shown}` is not an image reference: {reason}"));
        }
        assert_eq!(without_password("a/b@sha256:abc"), "a/b@sha256:abc");
        assert_eq!(without_password(&format!("{}@r.io/a", "canary".repeat(99))), "…@r.io/a");
    }

    #[test]
    fn a_tag_has_at_most_128_characters() {
        assert!(Reference::is_tag(&"a".repeat(128)));
        assert!(!Reference::is_tag(&"a".repeat(129)));
        assert!(!Reference::is_tag(""));
    }
}
