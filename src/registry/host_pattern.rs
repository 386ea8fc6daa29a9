//! Recognises the registries of clouds and services by their host, and nobody who only looks like one.

/// A host whose labels are compared one by one, from the first to the last: `*` stands for one or
/// more characters of one label, never for a dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HostPattern(pub(super) &'static str);

impl HostPattern {
    /// What each `*` stands for where a registry is one of these; another port than 443 is another
    /// service.
    pub(super) fn parts(self, registry: &str) -> Option<Vec<&str>> {
        let registry = registry.strip_suffix(":443").unwrap_or(registry);
        let (mut labels, mut patterns) = (registry.split('.'), self.0.split('.'));
        let mut parts = Vec::new();
        loop {
            match (labels.next(), patterns.next()) {
                (None, None) => return Some(parts),
                (Some(label), Some(pattern)) => match pattern.split_once('*') {
                    Some((before, after)) => parts.push(between(label, before, after)?),
                    None if label.eq_ignore_ascii_case(pattern) => {}
                    None => return None,
                },
                _ => return None,
            }
        }
    }
}

/// What of a label is between these two, where it is fit for one.
fn between<'a>(label: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let part = label.strip_prefix(before)?.strip_suffix(after)?;
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (!part.is_empty() && part.bytes().all(is_letter)).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_real_hosts_match() {
        let (azure, amazon, google) =
            ("*.azurecr.io", "*.dkr.ecr.*.amazonaws.com", "*-docker.pkg.dev");
        for (pattern, registry, expected) in [
            (azure, "acme.azurecr.io", true),
            (azure, "acme.azurecr.io:443", true),
            (azure, "acme.azurecr.io:5000", false),
            (azure, "acme.azurecr.io.evil.com", false),
            (azure, "evil.com/azurecr.io", false),
            (azure, "evil.com/.azurecr.io", false),
            (azure, "user@acme.azurecr.io", false),
            (azure, "acme.azurecr.io@evil.com", false),
            (azure, "acme.azurecr.io.", false),
            (azure, ".azurecr.io", false),
            (azure, "azurecr.io", false),
            (azure, "a.b.azurecr.io", false),
            (azure, "acmeazurecr.io", false),
            (azure, "", false),
            (amazon, "123456789012.dkr.ecr.eu-west-1.amazonaws.com", true),
            (amazon, "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.com", false),
            (amazon, "1.dkr.ecr.evil.com.amazonaws.com", false),
            (google, "europe-west1-docker.pkg.dev", true),
            (google, "-docker.pkg.dev", false),
            (google, "europe-docker.pkg.dev.evil.com", false),
            ("ghcr.io", "ghcr.io", true),
            ("ghcr.io", "xghcr.io", false),
            ("ghcr.io", "a.ghcr.io", false),
        ] {
            let is_one = HostPattern(pattern).parts(registry).is_some();
            assert_eq!(is_one, expected, "{pattern} {registry}");
        }
    }
}
