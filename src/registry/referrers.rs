//! Lists what refers to a manifest, and makes something refer to it (distribution-spec, "Listing
//! Referrers", "Pushing Manifests with Subject").
//!
//! A registry without the API (N43) has the same list in an index under the tag `sha256-<hex>`, which
//! every client edits on its own. Two at once can lose an entry of each other, so the index is read
//! again after it was written, and written again when the entry is gone.

use std::collections::BTreeSet;
use std::sync::Arc;

use reqwest::header::{HeaderMap, LINK};
use reqwest::{StatusCode, Url};
use serde_json::Value;

use super::answer::Answer;
use super::endpoint::{Endpoint, Right};
use super::error::Error;
use super::manifests::{self, Sent};
use super::origin::Origin;
use super::redirect;
use super::retry::Fault;
use super::transport::{Call, Transport};
use crate::oci::{
    Descriptor, Digest, Document, Index, MAX_DOCUMENT_BYTES, Manifest, MediaType, Reference,
    Repository,
};

/// The most pages of a list that are read (N58).
const MAX_PAGES: usize = 100;
/// How often the index of a registry without the API is written before others win.
const MAX_WRITES: usize = 5;
/// A part of a list, and where the next one is.
struct Page {
    index: Index,
    next: Option<Url>,
}

/// The member of a descriptor that says what an artifact is.
const ARTIFACT_TYPE: &str = "artifactType";

/// Everything that refers to a digest, in the registry's order, each once; of one type where one is
/// given.
pub(super) async fn list(
    transport: &Arc<Transport>,
    repository: &Repository,
    subject: &Digest,
    artifact_type: Option<&str>,
) -> Result<Vec<Descriptor>, Error> {
    let listed = match list_by_api(transport, repository, subject, artifact_type).await? {
        Some(listed) => listed,
        None => match fallback_index(transport, repository, subject).await? {
            Some(index) => index.manifests,
            None => Vec::new(),
        },
    };
    let mut seen = BTreeSet::new();
    // A registry need not filter; what is filtered already stays as it is.
    let is_wanted = |descriptor: &Descriptor| {
        let own = descriptor.other.get(ARTIFACT_TYPE).and_then(Value::as_str);
        artifact_type.is_none_or(|wanted| own == Some(wanted)) && seen.insert(descriptor.digest)
    };
    let mut listed = listed;
    listed.retain(is_wanted);
    Ok(listed)
}

/// Puts a manifest by its digest, and makes sure that it is listed where it has a subject.
///
/// # Errors
///
/// [`Error::Protocol`] when others take its entry out of the list again and again.
pub(super) async fn attach(
    transport: &Arc<Transport>,
    repository: &Repository,
    manifest: &Document<Manifest>,
) -> Result<(), Error> {
    let reference = repository.at_digest(manifest.descriptor.digest);
    let Document { descriptor, bytes, .. } = manifest;
    manifests::put(transport, &reference, Sent { descriptor, bytes, may_move: true }).await?;
    let Some(Descriptor { digest: subject, .. }) = &manifest.value.subject else { return Ok(()) };
    // A registry with the API lists what it took: `OCI-Subject` says so beforehand, but not of a
    // manifest that was there already.
    if list_by_api(transport, repository, subject, None).await?.is_some() {
        return Ok(());
    }
    let entry = entry(manifest);
    for _ in 0..MAX_WRITES {
        let mut index = fallback_index(transport, repository, subject)
            .await?
            .unwrap_or_else(|| Index::new(Vec::new()));
        if index.manifests.iter().any(|listed| listed.digest == entry.digest) {
            return Ok(());
        }
        index.manifests.push(entry.clone());
        let index = Document::write(index, MediaType::OciIndex);
        let sent = Sent { descriptor: &index.descriptor, bytes: &index.bytes, may_move: true };
        manifests::put(transport, &fallback_tag(repository, subject), sent).await?;
    }
    match fallback_index(transport, repository, subject).await? {
        Some(index) if index.manifests.iter().any(|listed| listed.digest == entry.digest) => Ok(()),
        _ => Err(Error::Protocol {
            action: format!("attach `{}` to `{subject}` in `{repository}`", entry.digest),
            host: repository.registry().to_owned(),
            reason: format!("its list lost the entry {MAX_WRITES} times"),
        }),
    }
}

/// What a list says of a manifest (image-spec, descriptor.md, `artifactType`).
fn entry(manifest: &Document<Manifest>) -> Descriptor {
    let mut entry = manifest.descriptor.clone();
    entry.annotations.clone_from(&manifest.value.annotations);
    let own = manifest.value.other.get(ARTIFACT_TYPE).and_then(Value::as_str);
    let artifact_type = own.unwrap_or(manifest.value.config.media_type.as_str());
    entry.other.insert(ARTIFACT_TYPE.to_owned(), artifact_type.into());
    entry
}

/// Asks the API; `None` where there is none.
async fn list_by_api(
    transport: &Arc<Transport>,
    repository: &Repository,
    subject: &Digest,
    artifact_type: Option<&str>,
) -> Result<Option<Vec<Descriptor>>, Error> {
    let mut endpoint = Endpoint::referrers(repository, subject, artifact_type);
    let mut listed = Vec::new();
    for number in 0..MAX_PAGES {
        let mut tries = transport.patience.begin();
        let page = loop {
            match page(transport, &endpoint, number == 0).await {
                Ok(page) => break page,
                Err(fault) => tries.outlast(fault).await?,
            }
        };
        let Some(Page { index, next }) = page else { return Ok(None) };
        listed.extend(index.manifests);
        match next {
            Some(url) => endpoint = endpoint.at(url),
            None => return Ok(Some(listed)),
        }
    }
    Err(Error::Protocol {
        action: endpoint.action.clone(),
        host: repository.registry().to_owned(),
        reason: format!("its list has more than {MAX_PAGES} pages"),
    })
}

/// Reads one page, once; `None` where the first shows that there is no API.
async fn page(
    transport: &Transport,
    endpoint: &Endpoint,
    is_first: bool,
) -> Result<Option<Page>, Fault> {
    let headers = HeaderMap::new();
    let mut answer = transport.once(Call::plain(endpoint, &headers)).await?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED if is_first => return Ok(None),
        _ => return Err(transport.refusal(endpoint, answer).await),
    }
    let next = next_page(&answer).map_err(Fault::permanent)?;
    let body = answer.body(MAX_DOCUMENT_BYTES).await?;
    match Document::<Index>::parse_index(body, MediaType::OciIndex) {
        Ok(index) => Ok(Some(Page { index: index.value, next })),
        // A page for people, from a server that answers everything (N43).
        Err(_) if is_first => Ok(None),
        Err(_) => {
            let reason = "a later page of the list is no index";
            Err(Fault::permanent(answer.nonsense(reason)))
        }
    }
}

/// Where the next page is (RFC 8288, `rel="next"`); it must be where this one came from.
fn next_page(answer: &Answer) -> Result<Option<Url>, Error> {
    let links = answer.headers().get_all(LINK);
    let Some(target) = links.iter().find_map(|link| next_target(link.to_str().ok()?)) else {
        return Ok(None);
    };
    let url = redirect::resolve(answer.url(), target).map_err(|reason| answer.nonsense(reason))?;
    if Origin::of(&url) != Origin::of(answer.url()) {
        return Err(answer.nonsense("the next page of its list is on another host"));
    }
    Ok(Some(url))
}

/// The target of the link that leads on, in one header.
pub(super) fn next_target(header: &str) -> Option<&str> {
    header.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let mut parameters = parameters.split(';').map(str::trim);
        parameters
            .any(|parameter| {
                parameter.split_once('=').is_some_and(|(name, value)| {
                    name.eq_ignore_ascii_case("rel") && value.trim_matches('"') == "next"
                })
            })
            .then_some(target)
    })
}

fn fallback_tag(repository: &Repository, subject: &Digest) -> Reference {
    repository.at_tag(format!("sha256-{}", subject.hex()))
}

/// The index that stands for the API; `None` when nothing was ever attached.
async fn fallback_index(
    transport: &Arc<Transport>,
    repository: &Repository,
    subject: &Digest,
) -> Result<Option<Index>, Error> {
    let tag = fallback_tag(repository, subject);
    let fetched = match manifests::fetch(transport, &tag, Right::Pull).await {
        Ok(fetched) => fetched,
        Err(error) if matches!(error.root(), Error::NoImage { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    match Document::<Index>::parse_index(fetched.bytes, fetched.media_type) {
        Ok(index) => Ok(Some(index.value)),
        Err(error) => Err(Error::Protocol {
            action: format!("list what refers to `{subject}` in `{repository}`"),
            host: repository.registry().to_owned(),
            reason: format!("`{tag}` is no list: {error}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_the_link_that_says_so() {
        for (header, expected) in [
            (r#"</v2/a/referrers/x?n=2>; rel="next""#, Some("/v2/a/referrers/x?n=2")),
            ("<x>;rel=next", Some("x")),
            (r#"<a>; rel="prev", <b>; title="x"; REL="next""#, Some("b")),
            (r#"<a>; rel="prev""#, None),
            ("a; rel=next", None),
            ("<a", None),
            ("", None),
        ] {
            assert_eq!(next_target(header), expected, "{header}");
        }
    }
}
