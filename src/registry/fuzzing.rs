//! What the fuzz targets reach of this module: headers and bodies that a registry chooses.
//!
//! Every function panics when something does not hold that must hold for every input.

use reqwest::Url;

use super::challenge::{Challenge, choose};
use super::error_body::ErrorBody;
use super::mask::Mask;
use super::origin::Origin;
use super::{download, redirect, referrers, retry_after};
use crate::oci::Digest;

/// A challenge that is accepted leads to a place that passwords may go to.
pub fn challenge(header: &str) {
    let home = Url::parse("https://r.io/").expect("it is a URL");
    let home = Origin::of(&home).expect("it has an origin");
    if let Ok(Challenge::Bearer { realm, .. }) = choose(&home, [header]) {
        assert_eq!(realm.scheme(), "https");
        assert!(realm.username().is_empty() && realm.password().is_none());
    }
}

/// A `Location` that is accepted is no step down, and takes a digest.
pub fn location(header: &str) {
    let from = Url::parse("https://r.io/v2/a/blobs/uploads/?x=1").expect("it is a URL");
    if let Ok(url) = redirect::resolve(&from, header) {
        assert_eq!(url.scheme(), "https");
        let digest = Digest::of(header.as_bytes());
        let url = redirect::with_digest(&url, &digest);
        let expected = digest.to_string();
        assert!(url.query_pairs().any(|(name, value)| name == "digest" && value == expected));
    }
}

/// `Content-Range`, `Link` and `Retry-After` are read or passed over.
pub fn headers(header: &str) {
    if let Some((start, total)) = download::range_start(header) {
        assert!(start < total);
    }
    if let Some(target) = referrers::next_target(header) {
        assert!(header.contains(target));
    }
    let _ = retry_after::parse(header, Some(header), 0);
}

/// What is shown of an error is short and fit for a terminal.
pub fn error_body(bytes: &[u8]) {
    let body = ErrorBody::parse(bytes, &Mask::default());
    assert!(!body.text().contains(char::is_control));
    assert!(body.text().chars().count() < 2000);
}
