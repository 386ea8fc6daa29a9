//! Which hosts are Azure's registries.

/// The ends of the names of Azure's registries, in all of its clouds.
const ENDS: [&str; 3] = [".azurecr.io", ".azurecr.cn", ".azurecr.us"];

/// Whether a host is a registry of Azure: exactly one label before an end, so that nobody else's host gets
/// what is meant for it.
pub fn is_azure_registry(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let label = ENDS.iter().find_map(|end| host.strip_suffix(end)).unwrap_or_default();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !label.is_empty() && label.bytes().all(is_word) && !label.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_host_names_count() {
        for host in ["acme.azurecr.io", "ACME.azurecr.io", "acme-b1c2.azurecr.cn", "a.azurecr.us"] {
            assert!(is_azure_registry(host), "{host}");
        }
        for host in [
            "acme.azurecr.io.evil.com",
            "evil.com/acme.azurecr.io",
            "user@acme.azurecr.io",
            "acme.azurecr.io.",
            "acme.azurecr.io:443",
            "acmeazurecr.io",
            ".azurecr.io",
            "a.b.azurecr.io",
            "azurecr.io",
            "acme.azurecr.io@evil.com",
        ] {
            assert!(!is_azure_registry(host), "{host}");
        }
    }
}
