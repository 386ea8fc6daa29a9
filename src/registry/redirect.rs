//! Which redirects are followed. Credentials are not decided here: they go to one origin only.

use reqwest::{Method, StatusCode, Url};

/// Redirects of one request that are followed before we call it a loop.
pub(super) const MAX_REDIRECTS: usize = 10;

/// Where a redirect leads; `Err` says why it is not followed.
///
/// `from` is the URL that was asked, against which a relative `Location` is read (RFC 3986).
pub(super) fn follow(
    method: &Method,
    status: StatusCode,
    from: &Url,
    location: Option<&str>,
) -> Result<Url, String> {
    let keeps_method = matches!(status.as_u16(), 307 | 308);
    if !keeps_method && !matches!(*method, Method::GET | Method::HEAD) {
        let status = status.as_u16();
        let to = location.and_then(|location| from.join(location).ok());
        let other =
            to.as_ref().and_then(Url::host_str).filter(|host| from.host_str() != Some(host));
        let other = other.map(|host| format!(" to `{}`", host.escape_debug())).unwrap_or_default();
        return Err(format!(
            "it redirects a {method} with {status}{other}, which would make it a GET"
        ));
    }
    let location = location.ok_or_else(|| "it redirects to nowhere".to_owned())?;
    resolve(from, location)
}

/// Whether a status is a redirect that can be followed.
pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Reads a `Location` against the URL that was asked, and refuses what leads somewhere unsafe.
pub(super) fn resolve(from: &Url, location: &str) -> Result<Url, String> {
    if location.trim().is_empty() {
        return Err("its `Location` is empty".into());
    }
    let url = from.join(location).map_err(|_| "its `Location` is not a URL".to_owned())?;
    match (from.scheme(), url.scheme()) {
        ("https", "https") | ("http", "http" | "https") => {}
        ("https", "http") => return Err("it leads from https to http".into()),
        (_, other) => return Err(format!("it leads to the scheme `{}`", other.escape_debug())),
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("its `Location` has no host".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its `Location` holds a user name or password".into());
    }
    Ok(url)
}

/// The URL that commits an upload: the `Location` with `digest=` added to whatever query it has.
pub(super) fn with_digest(location: &Url, digest: &crate::oci::Digest) -> Url {
    let mut url = location.clone();
    let mut query: Vec<&str> = location
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("digest="))
        .collect();
    let digest = format!("digest=sha256%3A{}", digest.hex());
    query.push(&digest);
    url.set_query(Some(&query.join("&")));
    url.set_fragment(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Digest;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn methods_survive_or_the_redirect_is_refused() {
        let from = url("https://r.io/v2/a/blobs/x");
        let to = |method: Method, status: u16| {
            follow(&method, StatusCode::from_u16(status).unwrap(), &from, Some("https://cdn.io/x"))
                .map(String::from)
        };
        for (method, status) in [
            (Method::GET, 301),
            (Method::GET, 302),
            (Method::HEAD, 303),
            (Method::GET, 307),
            (Method::PUT, 307),
            (Method::POST, 308),
        ] {
            assert_eq!(to(method, status), Ok("https://cdn.io/x".into()));
        }
        for status in [301, 302, 303] {
            let reason =
                format!("it redirects a PUT with {status} to `cdn.io`, which would make it a GET");
            assert_eq!(to(Method::PUT, status), Err(reason));
        }
        let nowhere = follow(&Method::GET, StatusCode::FOUND, &from, None);
        assert_eq!(nowhere, Err("it redirects to nowhere".into()));
    }

    #[test]
    fn locations_are_read_against_the_url_that_was_asked() {
        let from = "https://r.io:8443/v2/a/b/blobs/uploads/?from=x";
        for (location, expected) in [
            ("https://r.io/x?_state=a%2Fb%3D", Ok("https://r.io/x?_state=a%2Fb%3D")),
            ("/v2/up/1", Ok("https://r.io:8443/v2/up/1")),
            ("./1?_state=q", Ok("https://r.io:8443/v2/a/b/blobs/uploads/1?_state=q")),
            ("1", Ok("https://r.io:8443/v2/a/b/blobs/uploads/1")),
            ("../1", Ok("https://r.io:8443/v2/a/b/blobs/1")),
            ("//cdn.io/1", Ok("https://cdn.io/1")),
            ("?_state=z", Ok("https://r.io:8443/v2/a/b/blobs/uploads/?_state=z")),
            ("", Err("its `Location` is empty")),
            ("http://r.io/1", Err("it leads from https to http")),
            ("file:///etc/passwd", Err("it leads to the scheme `file`")),
            ("https://", Err("its `Location` is not a URL")),
            ("https://u:p@r.io/1", Err("its `Location` holds a user name or password")),
        ] {
            let resolved = resolve(&url(from), location).map(String::from);
            assert_eq!(resolved, expected.map(String::from).map_err(String::from), "{location}");
        }
        assert!(resolve(&url("http://localhost:5000/"), "https://cdn.io/x").is_ok());
    }

    proptest::proptest! {
        #[test]
        fn no_location_weakens_the_connection(location in ".*") {
            if let Ok(url) = resolve(&url("https://r.io/v2/a/b"), &location) {
                assert_eq!((url.scheme(), url.username(), url.password()), ("https", "", None));
                assert!(url.host_str().is_some());
            }
        }
    }

    #[test]
    fn the_digest_is_added_and_the_rest_of_the_query_stays_byte_for_byte() {
        let digest = Digest::of(b"");
        let added = format!("digest=sha256%3A{}", digest.hex());
        for (location, expected) in [
            ("https://r.io/u/1", format!("https://r.io/u/1?{added}")),
            ("https://r.io/u/1?", format!("https://r.io/u/1?{added}")),
            (
                "https://r.io/u/1?_state=a-b_c%3D%3D&x=%20+y",
                format!("https://r.io/u/1?_state=a-b_c%3D%3D&x=%20+y&{added}"),
            ),
            ("https://r.io/u?digest=old&a=b#frag", format!("https://r.io/u?a=b&{added}")),
        ] {
            assert_eq!(with_digest(&url(location), &digest).as_str(), expected);
        }
    }
}
