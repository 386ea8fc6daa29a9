//! The requests of the distribution API that we make, as values (distribution-spec, "Endpoints").

use std::collections::BTreeSet;

use reqwest::{Method, Url};

use super::limit::Direction;
use crate::oci::{Digest, MediaType, Repository};

/// One request: what it is, not how it is sent.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) repository: Repository,
    pub(super) method: Method,
    pub(super) place: Place,
    /// What the token for it must allow.
    pub(super) scopes: BTreeSet<String>,
    /// The `Accept` header, for manifests.
    pub(super) accept: Option<String>,
    /// For messages: "upload blob `ab…` to `r.io/a`".
    pub(super) action: String,
}

/// Where a request goes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Below the registry's root.
    Path(String),
    /// Where the registry told us to go.
    Url(Url),
}

/// Whom the request is made for: it decides which rights are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    Pull,
    Push,
}

impl Endpoint {
    /// Asks whether a blob is there.
    pub(super) fn head_blob(repository: &Repository, digest: &Digest, right: Right) -> Self {
        let path = format!("blobs/{digest}");
        let action = format!("look for blob `{}` in `{repository}`", digest.short());
        Self::new(repository, Method::HEAD, &path, right, action)
    }

    /// Fetches a blob.
    pub(super) fn get_blob(repository: &Repository, digest: &Digest) -> Self {
        let path = format!("blobs/{digest}");
        let action = format!("download blob `{}` from `{repository}`", digest.short());
        Self::new(repository, Method::GET, &path, Right::Pull, action)
    }

    /// Begins an upload.
    pub(super) fn start_upload(repository: &Repository, digest: &Digest) -> Self {
        let action = format!("start the upload of blob `{}` to `{repository}`", digest.short());
        Self::new(repository, Method::POST, "blobs/uploads/", Right::Push, action)
    }

    /// Begins an upload that may end at once, because another repository has the blob.
    pub(super) fn mount(repository: &Repository, digest: &Digest, from: &Repository) -> Self {
        let path = format!("blobs/uploads/?mount={digest}&from={}", from.path());
        let action = format!("mount blob `{}` from `{from}` in `{repository}`", digest.short());
        let mut endpoint = Self::new(repository, Method::POST, &path, Right::Push, action);
        endpoint.scopes.insert(scope(from, Right::Pull));
        endpoint
    }

    /// Sends a blob to where its upload was started, and commits it.
    pub(super) fn finish_upload(repository: &Repository, digest: &Digest, url: Url) -> Self {
        let action = format!("upload blob `{}` to `{repository}`", digest.short());
        Self::new(repository, Method::PUT, "", Right::Push, action).at(url)
    }

    /// Drops an upload that was started.
    pub(super) fn cancel_upload(repository: &Repository, url: Url) -> Self {
        let action = format!("cancel an upload to `{repository}`");
        Self::new(repository, Method::DELETE, "", Right::Push, action).at(url)
    }

    /// Asks what a tag or digest is.
    pub(super) fn head_manifest(repository: &Repository, target: &str, right: Right) -> Self {
        let path = format!("manifests/{target}");
        let action = format!("look up `{target}` in `{repository}`");
        Self::new(repository, Method::HEAD, &path, right, action).accepting_manifests()
    }

    /// Fetches a manifest or index.
    pub(super) fn get_manifest(repository: &Repository, target: &str, right: Right) -> Self {
        let path = format!("manifests/{target}");
        let action = format!("fetch the manifest `{target}` from `{repository}`");
        Self::new(repository, Method::GET, &path, right, action).accepting_manifests()
    }

    /// Puts a manifest or index.
    pub(super) fn put_manifest(repository: &Repository, target: &str) -> Self {
        let path = format!("manifests/{target}");
        let action = format!("put the manifest `{target}` into `{repository}`");
        Self::new(repository, Method::PUT, &path, Right::Push, action)
    }

    /// Lists what refers to a manifest.
    pub(super) fn referrers(
        repository: &Repository,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Self {
        let mut path = format!("referrers/{subject}");
        if let Some(wanted) = artifact_type {
            let escaped: String = wanted.bytes().map(escape).collect();
            path = format!("{path}?artifactType={escaped}");
        }
        let action = format!("list what refers to `{}` in `{repository}`", subject.short());
        let endpoint = Self::new(repository, Method::GET, &path, Right::Pull, action);
        Self { accept: Some(MediaType::OciIndex.as_str().to_owned()), ..endpoint }
    }

    /// Asks for a tag with the rights of a push, before there is anything to push.
    pub(super) fn look_before_push(repository: &Repository, tag: &str) -> Self {
        let action = format!("push to `{repository}`");
        Self { action, ..Self::head_manifest(repository, tag, Right::Push) }
    }

    /// Begins an upload that nothing is sent to.
    pub(super) fn begin_before_push(repository: &Repository) -> Self {
        let action = format!("push to `{repository}`");
        Self::new(repository, Method::POST, "blobs/uploads/", Right::Push, action)
    }

    /// Asks whether this is a registry and knows us; the repository only says which registry.
    pub(super) fn log_in(repository: &Repository) -> Self {
        let action = format!("log in to `{}`", repository.registry());
        Self {
            place: Place::Path("v2/".into()),
            scopes: BTreeSet::new(),
            ..Self::new(repository, Method::GET, "", Right::Pull, action)
        }
    }

    /// Whether a blob of another repository is asked for.
    pub(super) fn is_mount(&self) -> bool {
        matches!(&self.place, Place::Path(path) if path.contains("?mount="))
    }

    /// Whether bytes come to us or go from us.
    pub(super) fn direction(&self) -> Direction {
        let is_read = matches!(self.method, Method::GET | Method::HEAD);
        if is_read { Direction::Read } else { Direction::Write }
    }

    fn new(
        repository: &Repository,
        method: Method,
        path: &str,
        right: Right,
        action: String,
    ) -> Self {
        Self {
            repository: repository.clone(),
            method,
            place: Place::Path(format!("v2/{}/{path}", repository.path())),
            scopes: BTreeSet::from([scope(repository, right)]),
            accept: None,
            action,
        }
    }

    /// The same at a place that the registry named.
    pub(super) fn at(mut self, url: Url) -> Self {
        self.place = Place::Url(url);
        self
    }

    fn accepting_manifests(mut self) -> Self {
        let types = MediaType::accepted_manifests();
        let names: Vec<_> = types.iter().map(MediaType::as_str).collect();
        self.accept = Some(names.join(", "));
        self
    }
}

/// A byte of a value in a query (RFC 3986, "unreserved").
fn escape(byte: u8) -> String {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    }
}

fn scope(repository: &Repository, right: Right) -> String {
    let actions = match right {
        Right::Pull => "pull",
        Right::Push => "pull,push",
    };
    format!("repository:{}:{actions}", repository.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_endpoint_asks_for_the_rights_it_needs() {
        let repository: Repository = "r.io/a/b".parse().unwrap();
        let other: Repository = "r.io/base".parse().unwrap();
        let digest = Digest::of(b"");
        let at: Url = "https://r.io/up?x=1".parse().unwrap();
        let path = |path: String| Place::Path(format!("v2/a/b/{path}"));
        let push = "repository:a/b:pull,push";
        let pull = "repository:a/b:pull";
        for (endpoint, method, place, scopes) in [
            (
                Endpoint::head_blob(&repository, &digest, Right::Push),
                Method::HEAD,
                path(format!("blobs/{digest}")),
                vec![push],
            ),
            (
                Endpoint::get_blob(&repository, &digest),
                Method::GET,
                path(format!("blobs/{digest}")),
                vec![pull],
            ),
            (
                Endpoint::start_upload(&repository, &digest),
                Method::POST,
                path("blobs/uploads/".into()),
                vec![push],
            ),
            (
                Endpoint::mount(&repository, &digest, &other),
                Method::POST,
                path(format!("blobs/uploads/?mount={digest}&from=base")),
                vec![push, "repository:base:pull"],
            ),
            (
                Endpoint::finish_upload(&repository, &digest, at.clone()),
                Method::PUT,
                Place::Url(at.clone()),
                vec![push],
            ),
            (
                Endpoint::cancel_upload(&repository, at.clone()),
                Method::DELETE,
                Place::Url(at),
                vec![push],
            ),
            (
                Endpoint::head_manifest(&repository, "v1", Right::Pull),
                Method::HEAD,
                path("manifests/v1".into()),
                vec![pull],
            ),
            (
                Endpoint::referrers(&repository, &digest, Some("a/b+c")),
                Method::GET,
                path(format!("referrers/{digest}?artifactType=a%2Fb%2Bc")),
                vec![pull],
            ),
            (
                Endpoint::put_manifest(&repository, "v1"),
                Method::PUT,
                path("manifests/v1".into()),
                vec![push],
            ),
        ] {
            let scopes: BTreeSet<_> = scopes.into_iter().map(str::to_owned).collect();
            assert_eq!(
                (&endpoint.method, &endpoint.place, &endpoint.scopes),
                (&method, &place, &scopes),
                "{}",
                endpoint.action
            );
        }
    }
}
