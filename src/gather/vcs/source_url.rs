//! The address of a repository as a link that a person can open.

/// Turns the address of a git remote into an https address without user, password and `.git`;
/// nothing when it is a path on this machine.
///
/// Addresses for ssh lose their port. An http address with a port of its own stays http: nothing
/// says that https is served there.
pub(super) fn normalise(remote: &str) -> Option<String> {
    let remote = remote.trim();
    if remote.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return None;
    }
    let (scheme, rest) = match remote.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest.to_owned()),
        // `user@host:path`, as scp writes it.
        None => ("ssh".to_owned(), scp_like(remote)?),
    };
    let scheme = scheme.strip_prefix("git+").unwrap_or(&scheme);
    let (authority, path) = rest.split_once('/')?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_ascii_lowercase();
    let (name, port) = split_port(&host);
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/');
    if name.is_empty() || path.is_empty() {
        return None;
    }
    match (scheme, port) {
        ("https", Some(port)) if port != "443" => Some(format!("https://{name}:{port}/{path}")),
        ("http", Some(port)) if port != "80" => Some(format!("http://{name}:{port}/{path}")),
        ("https" | "http", _) => Some(format!("https://{name}/{path}")),
        ("ssh" | "git", _) => Some(for_ssh(name, path)),
        _ => None,
    }
}

/// `host/path` of `user@host:path`; nothing for a path, and for a drive such as `C:`.
fn scp_like(remote: &str) -> Option<String> {
    let (host, path) = remote.split_once(':')?;
    let is_path = host.contains('/') || host.contains('\\') || host.len() < 2;
    // `user:password@host:path` is no address that git takes; its password goes nowhere.
    (!is_path && !path.contains('@')).then(|| format!("{host}/{}", path.trim_start_matches('/')))
}

fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        // The colons of `[::1]` are not a port's.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (name, Some(port).filter(|port| !port.is_empty()))
        }
        _ => (host, None),
    }
}

/// Some forges serve ssh under another name than their pages.
fn for_ssh(host: &str, path: &str) -> String {
    let azure = || {
        let mut parts = path.strip_prefix("v3/")?.splitn(3, '/');
        let (organisation, project, name) = (parts.next()?, parts.next()?, parts.next()?);
        Some(format!("https://dev.azure.com/{organisation}/{project}/_git/{name}"))
    };
    let host = match host {
        "ssh.github.com" => "github.com",
        "altssh.gitlab.com" => "gitlab.com",
        "altssh.bitbucket.org" => "bitbucket.org",
        "ssh.dev.azure.com" => match azure() {
            Some(address) => return address,
            None => host,
        },
        _ => host,
    };
    format!("https://{host}/{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_links_without_secrets() {
        let table = [
            ("https://github.com/acme/agent.git", Some("https://github.com/acme/agent")),
            ("https://github.com/acme/agent/", Some("https://github.com/acme/agent")),
            ("https://GitHub.com/Acme/Agent", Some("https://github.com/Acme/Agent")),
            ("https://token@github.com/acme/agent", Some("https://github.com/acme/agent")),
            ("https://u:p%40@git.example/a/b.git?x=y#z", Some("https://git.example/a/b")),
            ("https://u:p@@git.example/a", Some("https://git.example/a")),
            ("https://git.example:8443/a/b", Some("https://git.example:8443/a/b")),
            ("https://git.example:443/a/b", Some("https://git.example/a/b")),
            ("http://git.example/a", Some("https://git.example/a")),
            ("http://git.example:3000/a", Some("http://git.example:3000/a")),
            ("git@github.com:acme/agent.git", Some("https://github.com/acme/agent")),
            ("git@github.com:/acme/agent.git", Some("https://github.com/acme/agent")),
            ("github.com:acme/agent", Some("https://github.com/acme/agent")),
            ("ssh://git@git.example:2222/a/b.git", Some("https://git.example/a/b")),
            ("git+ssh://git@git.example/a/b", Some("https://git.example/a/b")),
            ("git://git.example/a/b.git", Some("https://git.example/a/b")),
            ("ssh://git@ssh.github.com:443/a/b.git", Some("https://github.com/a/b")),
            ("git@ssh.dev.azure.com:v3/o/p/r", Some("https://dev.azure.com/o/p/_git/r")),
            ("https://[::1]:8443/a", Some("https://[::1]:8443/a")),
            ("ssh://[::1]/a", Some("https://[::1]/a")),
            ("user:pass@git.example:acme/agent", None),
            ("user:p/w@git.example:acme/agent", None),
            ("/srv/git/agent.git", None),
            ("../agent", None),
            ("./a:b", None),
            ("C:/work/agent", None),
            ("C:\\work\\agent", None),
            ("file:///srv/git/agent.git", None),
            ("https://github.com", None),
            ("https:///a", None),
            ("https://git.example/a\nb", None),
            ("", None),
        ];
        for (remote, expected) in table {
            assert_eq!(normalise(remote).as_deref(), expected, "{remote}");
        }
    }
}
