//! Options about the network: settings of the machine, never of a project.

use clap::Args;

use crate::oci::Repository;
use crate::pipeline::NetworkRequest;

/// How to reach registries.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(super) struct NetworkOptions {
    /// A registry that may be reached without TLS, for the base as for pushing: `HOST` or
    /// `HOST:PORT`; repeat it or separate by commas. This machine's own always may
    #[arg(
        long,
        value_name = "HOST",
        value_delimiter = ',',
        value_parser = parse_registry,
        env = "DOCKLESS_INSECURE_REGISTRY"
    )]
    insecure_registry: Vec<String>,
}

impl NetworkOptions {
    /// What the command line and the environment say.
    pub(super) fn request(self) -> NetworkRequest {
        NetworkRequest { insecure: self.insecure_registry.into_iter().collect() }
    }
}

/// Reads the host of a registry as references name it: `HOST` or `HOST:PORT`.
fn parse_registry(text: &str) -> Result<String, String> {
    let repository: Option<Repository> = format!("{text}/a/b").parse().ok();
    repository
        .map(|repository| repository.registry().to_owned())
        .filter(|registry| registry.eq_ignore_ascii_case(text))
        .ok_or_else(|| {
            "expected HOST or HOST:PORT as in references, without `http://` or a path".into()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_a_host_as_references_write_it() {
        for (text, expected) in [
            ("r.io", Some("r.io")),
            ("Registry:5000", Some("registry:5000")),
            ("10.0.0.1:80", Some("10.0.0.1:80")),
            ("[fd00::1]:5000", Some("[fd00::1]:5000")),
            ("http://r.io", None),
            ("r.io/a", None),
            ("registry", None),
            ("r.io:", None),
            ("", None),
        ] {
            assert_eq!(parse_registry(text).ok().as_deref(), expected, "{text}");
        }
    }
}
