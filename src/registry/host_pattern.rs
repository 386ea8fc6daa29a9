//! Recognises the registries of clouds and services by their host, and nobody who only looks like one.

/// A host whose labels are compared one by one, from the first to the last: `*` stands for one or
/// more characters of one label, never for a dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HostPattern(pub(super) &'static str);

impl HostPattern {
    /// Whether a registry is one of these; another port than 443 is another service.
    pub(super) fn matches(self, registry: &str) -> bool {
        let registry = registry.strip_suffix(":443").unwrap_or(registry);
        let (mut labels, mut patterns) = (registry.split('.'), self.0.split('.'));
        loop {
            match (labels.next(), patterns.next()) {
                (None, None) => return true,
                (Some(label), Some(pattern)) if label_matches(label, pattern) => {}
                _ => return false,
            }
        }
    }
}

fn label_matches(label: &str, pattern: &str) -> bool {
    let is_label = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    match pattern.split_once('*') {
        None => label.eq_ignore_ascii_case(pattern),
        Some((before, after)) => label
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .is_some_and(is_label),
    }
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
            assert_eq!(HostPattern(pattern).matches(registry), expected, "{pattern} {registry}");
        }
    }
}
