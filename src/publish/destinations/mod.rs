//! The places where an image can go. A new one is one file and its two lines here.

mod docker_archive;
mod layout;
mod oci_archive;
mod registry;

use super::{DestinationKind, ParsedDestination, PublishError};
use crate::oci::without_password;

/// Every kind of destination, in the order of the docs. The first that knows a text takes it.
pub static DESTINATIONS: &[&DestinationKind] = &[
    &layout::KIND,
    &oci_archive::KIND,
    &docker_archive::KIND,
    // The last: it takes whatever reads as a repository.
    &registry::KIND,
];

/// Reads what a user wrote as a destination.
///
/// # Errors
///
/// [`PublishError`] when no kind knows the text, or the one that does refuses it.
pub fn parse(text: &str) -> ParsedDestination {
    if let Some(scheme) = scheme(text) {
        return Err(PublishError::Url { text: without_password(text), scheme: scheme.to_owned() });
    }
    DESTINATIONS.iter().find_map(|kind| (kind.parse)(text)).unwrap_or_else(|| {
        let word = text.split(':').next().unwrap_or_default();
        let similar = DESTINATIONS
            .iter()
            .find(|kind| !kind.is_remote && strsim::damerau_levenshtein(kind.name, word) <= 2)
            .map(|kind| kind.syntax);
        Err(PublishError::UnknownDestination { text: without_password(text), similar })
    })
}

/// `https://`, when a text begins as a URL does; `docker://` is what skopeo calls a repository.
fn scheme(text: &str) -> Option<&str> {
    let (name, _) = text.split_once("://")?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_kind = DESTINATIONS.iter().any(|kind| kind.name == name);
    (is_name && !is_kind).then(|| &text[..name.len() + "://".len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_destination_is_known() {
        for (text, kind, description) in [
            ("oci:out", "oci", "oci:out"),
            ("oci:out:v1", "oci", "oci:out:v1"),
            ("oci:/a/b:localhost:5000/x:v1", "oci", "oci:/a/b:localhost:5000/x:v1"),
            ("oci-archive:a.tar", "oci-archive", "oci-archive:a.tar"),
            ("oci-archive:-", "oci-archive", "oci-archive:-"),
            ("docker-archive:a.tar", "docker-archive", "docker-archive:a.tar"),
            ("-", "docker-archive", "docker-archive:-"),
            ("localhost:5000/a/b", "registry", "localhost:5000/a/b"),
            ("ghcr.io/a/b:v1", "registry", "ghcr.io/a/b:v1"),
            ("acme/agent", "registry", "docker.io/acme/agent"),
        ] {
            let destination = parse(text).unwrap();
            assert_eq!(
                (destination.kind().name, destination.describe().as_str()),
                (kind, description),
                "{text}"
            );
        }
    }

    #[test]
    fn says_what_is_wrong_with_one() {
        for (text, message) in [
            ("oci:", "`oci:` is no destination: it names no folder"),
            ("oci::v1", "`oci::v1` is no destination: it names no folder"),
            ("oci:a:", "`oci:a:` is no destination: the name after the folder is empty"),
            (
                "oci:a:b c",
                "`oci:a:b c` is no destination: a name in a layout has letters, digits and `-._:@+/`",
            ),
            ("oci-archive:", "`oci-archive:` is no destination: it names no file"),
            ("docker-archive:", "`docker-archive:` is no destination: it names no file"),
            ("oci-archve:x", "`oci-archve:x` is no destination"),
            ("agent", "`agent` is no destination"),
            ("", "`` is no destination"),
            ("ghcr.io/A/b", "this is no place to push to"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), message, "{text}");
        }
        let digest = crate::oci::Digest::of(b"");
        let error = parse(&format!("a.io/b@{digest}")).unwrap_err().to_string();
        assert!(
            error.ends_with("a digest is what comes of pushing, it cannot be chosen"),
            "{error}"
        );
    }

    #[test]
    fn a_url_is_no_repository() {
        use crate::error::Classified as _;
        for (text, scheme, hints) in [
            ("https://r.io/a/b:v1", "https://", &["leave out `https://`: `r.io/a/b:v1`"][..]),
            ("docker://r.io/a", "docker://", &["leave out `docker://`: `r.io/a`"]),
            (
                "http://r.io:5000/a",
                "http://",
                &[
                    "leave out `http://`: `r.io:5000/a`",
                    "a registry without TLS is named in `--insecure-registry`",
                ],
            ),
        ] {
            let error = parse(text).unwrap_err();
            let message =
                format!("`{text}` is no destination: a repository is written without `{scheme}`");
            assert_eq!(
                (error.to_string(), error.hints()),
                (message, hints.iter().map(|hint| (*hint).to_owned()).collect())
            );
        }
        assert!(parse("oci:///srv/out").is_ok());
    }

    #[test]
    fn a_slip_of_the_pen_is_no_repository() {
        use crate::error::Classified as _;
        let hints = |text| parse(text).unwrap_err().hints();
        assert_eq!(hints("oci-archve:x"), ["did you mean `oci-archive:FILE`?"]);
        assert_eq!(
            hints("agent"),
            ["write it as `oci:DIR[:NAME]`, `oci-archive:FILE`, `docker-archive:FILE`, \
              `HOST/REPOSITORY[:TAG]`"]
        );
    }
}
