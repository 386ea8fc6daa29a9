//! The requests of the distribution API, as a proxy recognises them whoever sends them.

use hyper::header::CONTENT_LENGTH;
use hyper::{Method, Request};

/// A request at which something can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    /// Is the blob there?
    HeadBlob,
    /// An upload begins; not a mount.
    StartUpload,
    /// A mount is asked for.
    Mount,
    /// The bytes of a blob: `PATCH`, or the `PUT` that carries them all.
    SendBlob,
    /// The `PUT` that names the digest, with or without the bytes.
    CommitBlob,
    /// Is the tag, or the manifest, there?
    HeadManifest,
    /// A manifest is put.
    PutManifest,
    /// A manifest is fetched.
    GetManifest,
    /// A blob is fetched.
    GetBlob,
}

impl Point {
    /// Whether a request is one of these.
    pub(crate) fn is<B>(self, request: &Request<B>) -> bool {
        let path = request.uri().path();
        let query = request.uri().query().unwrap_or_default();
        let method = request.method();
        let is_upload = path.contains("/blobs/uploads/");
        let is_blob = path.contains("/blobs/") && !is_upload;
        let is_manifest = path.contains("/manifests/");
        match self {
            Self::HeadBlob => method == Method::HEAD && is_blob,
            Self::StartUpload => method == Method::POST && is_upload && !query.contains("mount="),
            Self::Mount => method == Method::POST && is_upload && query.contains("mount="),
            Self::SendBlob => {
                let is_whole = method == Method::PUT && is_upload && has_body(request);
                is_whole || (method == Method::PATCH && is_upload)
            }
            Self::CommitBlob => method == Method::PUT && is_upload,
            Self::HeadManifest => method == Method::HEAD && is_manifest,
            Self::PutManifest => method == Method::PUT && is_manifest,
            Self::GetManifest => method == Method::GET && is_manifest,
            Self::GetBlob => method == Method::GET && is_blob,
        }
    }

    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HeadBlob => "HEAD blob",
            Self::StartUpload => "POST upload",
            Self::Mount => "POST mount",
            Self::SendBlob => "blob bytes",
            Self::CommitBlob => "blob commit",
            Self::HeadManifest => "HEAD manifest",
            Self::PutManifest => "PUT manifest",
            Self::GetManifest => "GET manifest",
            Self::GetBlob => "GET blob",
        }
    }
}

fn has_body<B>(request: &Request<B>) -> bool {
    request.headers().get(CONTENT_LENGTH).is_none_or(|length| length != "0")
}
