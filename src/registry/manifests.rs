//! Looks up, fetches and puts manifests and indexes.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::answer::Answer;
use super::endpoint::{Endpoint, Right};
use super::error::Error;
use super::error_body::{ErrorBody, clean};
use super::immutable_tag::is_immutable;
use super::retry::{Fault, Retry};
use super::transport::{Body, Call, Transport};
use super::{FetchedManifest, ManifestOutcome};
use crate::error::Classified as _;
use crate::oci::{Descriptor, Digest, MAX_DOCUMENT_BYTES, MediaType, Reference};

/// The header in which registries name what they send or took.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// Asks what a tag or digest is; `None` when it does not exist.
///
/// A registry that knows no `HEAD`, or does not name the digest, is asked for the whole document.
pub(super) async fn resolve(
    transport: &Arc<Transport>,
    reference: &Reference,
) -> Result<Option<Descriptor>, Error> {
    let target = target(reference)?;
    let endpoint = Endpoint::head_manifest(&reference.repository, &target, Right::Pull);
    let headers = HeaderMap::new();
    let answer = transport.send(Call::plain(&endpoint, &headers)).await?;
    match answer.status() {
        StatusCode::OK => {
            if let Some(descriptor) = descriptor(&answer)
                && reference.digest.is_none_or(|digest| digest == descriptor.digest)
            {
                return Ok(Some(descriptor));
            }
        }
        StatusCode::NOT_FOUND => return Ok(None),
        StatusCode::METHOD_NOT_ALLOWED => {}
        _ => return Err(*transport.refusal(&endpoint, answer).await.error),
    }
    match fetch(transport, reference, Right::Pull).await {
        Ok(manifest) => Ok(Some(Descriptor::of(manifest.media_type, &manifest.bytes))),
        Err(error) if matches!(error.root(), Error::NoImage { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What came of asking what a tag is, with the rights of a push.
#[derive(Debug)]
pub enum TagLookup {
    /// There is no such tag.
    Absent,
    /// It points at this.
    Found(Descriptor),
    /// It is not to be found out, and this is why: a robot may push and not look (N21).
    Unknown(Box<Error>),
}

/// Asks what a tag is, with the rights of a push, before it is put.
pub(super) async fn look_before_push(
    transport: &Arc<Transport>,
    reference: &Reference,
) -> Result<TagLookup, Error> {
    let endpoint = Endpoint::look_before_push(&reference.repository, &target(reference)?);
    let mut tries = transport.patience.begin();
    loop {
        match look(transport, reference, &endpoint).await {
            Ok(found) => return Ok(found),
            Err(fault) => tries.outlast(fault).await?,
        }
    }
}

/// Asks with `HEAD`, and for the whole document where that does not tell; once.
async fn look(
    transport: &Transport,
    reference: &Reference,
    endpoint: &Endpoint,
) -> Result<TagLookup, Fault> {
    let headers = HeaderMap::new();
    let answer = transport.once(Call::plain(endpoint, &headers)).await?;
    match answer.status() {
        StatusCode::OK if let Some(found) = descriptor(&answer) => {
            return Ok(TagLookup::Found(found));
        }
        StatusCode::OK | StatusCode::METHOD_NOT_ALLOWED => {}
        StatusCode::NOT_FOUND => return Ok(TagLookup::Absent),
        _ => return Ok(TagLookup::Unknown(transport.refusal(endpoint, answer).await.error)),
    }
    let target = reference.target();
    let endpoint = Endpoint::get_manifest(&reference.repository, &target, Right::Push);
    match fetch_once(transport, reference, &endpoint).await {
        Ok(manifest) => Ok(TagLookup::Found(Descriptor::of(manifest.media_type, &manifest.bytes))),
        Err(fault) => match *fault.error {
            Error::NoImage { .. } => Ok(TagLookup::Absent),
            Error::Denied { .. }
            | Error::Page { .. }
            | Error::Refused { .. }
            | Error::Protocol { .. }
            | Error::TooLarge { .. }
                if !fault.error.is_retryable() =>
            {
                Ok(TagLookup::Unknown(fault.error))
            }
            _ => Err(fault),
        },
    }
}

/// Fetches a document; the digest is that of its bytes, and the one asked for when there was one.
pub(super) async fn fetch(
    transport: &Arc<Transport>,
    reference: &Reference,
    right: Right,
) -> Result<FetchedManifest, Error> {
    let target = target(reference)?;
    let endpoint = Endpoint::get_manifest(&reference.repository, &target, right);
    let mut tries = transport.patience.begin();
    loop {
        match fetch_once(transport, reference, &endpoint).await {
            Ok(manifest) => {
                transport.patience.confirm_progress();
                return Ok(manifest);
            }
            Err(fault) => tries.outlast(fault).await?,
        }
    }
}

async fn fetch_once(
    transport: &Transport,
    reference: &Reference,
    endpoint: &Endpoint,
) -> Result<FetchedManifest, Fault> {
    let headers = HeaderMap::new();
    let mut answer = transport.once(Call::plain(endpoint, &headers)).await?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => {
            let body = answer.error_body().await;
            if body.is_page {
                return Err(answer.refusal_with(&body));
            }
            return Err(Fault::permanent(no_image(transport, reference, body.text().to_owned())));
        }
        _ => return Err(transport.refusal(endpoint, answer).await),
    }
    let bytes = answer.body(MAX_DOCUMENT_BYTES).await?;
    let digest = Digest::of(&bytes);
    if let Some(expected) = reference.digest.filter(|expected| *expected != digest) {
        let action = endpoint.action.clone();
        let error = Error::WrongDigest { action, expected, actual: digest };
        return Err(Fault::new(error, Retry::Once));
    }
    warn_of_other_digest(transport, &answer, digest);
    let media_type = media_type(answer.header("content-type"), &bytes)
        // A tag has no digest to hold the bytes against; what is no document may have been damaged.
        .map_err(|reason| {
            let body = ErrorBody::parse(&bytes, &transport.mask);
            let fault = if body.is_page {
                answer.refusal_with(&body)
            } else {
                Fault::permanent(answer.nonsense(reason))
            };
            Fault { retry: Retry::Once, ..fault }
        })?;
    Ok(FetchedManifest { bytes, media_type, digest })
}

fn no_image(transport: &Transport, reference: &Reference, detail: String) -> Error {
    let Reference { repository, .. } = reference;
    let kind = if reference.digest.is_some() { "image" } else { "tag" };
    Error::NoImage {
        target: format!("{kind} `{}`", reference.target()),
        repository: repository.to_string(),
        is_plain: transport.scheme(repository.registry()) == Some("http"),
        detail,
    }
}

/// A document to put.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) descriptor: &'a Descriptor,
    pub(super) bytes: &'a Bytes,
    /// Whether a tag may be taken from another document.
    pub(super) may_move: bool,
}

/// Puts a document under a tag or its digest. An outcome that nobody saw is asked for.
pub(super) async fn put(
    transport: &Arc<Transport>,
    reference: &Reference,
    sent: Sent<'_>,
) -> Result<ManifestOutcome, Error> {
    let digest = reference.tag.is_none().then_some(sent.descriptor.digest);
    let reference = Reference { digest, ..reference.clone() };
    let target = target(&reference)?;
    let put = Put { transport, reference, target, sent };
    let mut tries = transport.patience.begin();
    let mut was_sent = false;
    loop {
        match put.attempt(&mut was_sent).await {
            Ok(outcome) => {
                transport.patience.confirm_progress();
                return Ok(outcome);
            }
            Err(fault) => tries.outlast(fault).await?,
        }
    }
}

/// What is asked for, fit for a URL: tags of a reference that was not parsed are not checked yet.
fn target(reference: &Reference) -> Result<String, Error> {
    let target = reference.target();
    if reference.digest.is_none() && !Reference::is_tag(&target) {
        return Err(Error::InvalidTag { tag: target });
    }
    Ok(target)
}

/// One document on its way.
struct Put<'a> {
    transport: &'a Arc<Transport>,
    /// With a tag or a digest, not both.
    reference: Reference,
    target: String,
    sent: Sent<'a>,
}

impl Put<'_> {
    /// Looks first, in the first try as in every later one: then nothing has to be done, or an
    /// earlier try had worked and its answer was lost.
    async fn attempt(&self, was_sent: &mut bool) -> Result<ManifestOutcome, Fault> {
        let repository = &self.reference.repository;
        let Sent { descriptor, bytes, may_move } = self.sent;
        let head = Endpoint::head_manifest(repository, &self.target, Right::Push);
        let endpoint = Endpoint::put_manifest(repository, &self.target);
        let existing = match look(self.transport, &self.reference, &head).await? {
            TagLookup::Found(found) if found.digest == descriptor.digest => {
                let put = ManifestOutcome::Put;
                return Ok(if *was_sent { put } else { ManifestOutcome::Unchanged });
            }
            TagLookup::Found(found) if !may_move => {
                let error = self.immutable(&endpoint, Some(found.digest), String::new());
                return Err(Fault::permanent(error));
            }
            TagLookup::Unknown(source) if !may_move => {
                let tag = self.reference.to_string();
                return Err(Fault::permanent(Error::TagUnknown { tag, source }));
            }
            TagLookup::Found(found) => Some(found.digest),
            TagLookup::Absent | TagLookup::Unknown(_) => None,
        };
        *was_sent = true;
        let media_type = HeaderValue::from_str(descriptor.media_type.as_str())
            .map_err(|_| Fault::permanent(self.unsendable(&endpoint)))?;
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, media_type)]);
        let call = Call { endpoint: &endpoint, headers: &headers, body: Body::Bytes(bytes) };
        let mut answer = self.transport.once(call).await?;
        if answer.status().is_success() {
            warn_of_other_digest(self.transport, &answer, descriptor.digest);
            return Ok(ManifestOutcome::Put);
        }
        let body = answer.error_body().await;
        Err(self.refusal(&endpoint, &answer, &body, existing))
    }

    fn refusal(
        &self,
        endpoint: &Endpoint,
        answer: &Answer,
        body: &ErrorBody,
        existing: Option<Digest>,
    ) -> Fault {
        let fault = self.transport.with_identity(endpoint, answer.refusal_with(body));
        let status = answer.status().as_u16();
        let detail = body.text().to_owned();
        let action = endpoint.action.clone();
        let is_content_missing = matches!(status, 400 | 404)
            && ["MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"]
                .iter()
                .any(|code| body.has(code));
        if is_content_missing {
            let host = self.reference.repository.registry().to_owned();
            return Fault::permanent(Error::ContentMissing { action, host, detail });
        }
        if is_immutable(status, body, existing.is_some()) {
            return Fault::permanent(self.immutable(endpoint, existing, detail));
        }
        fault
    }

    fn immutable(&self, endpoint: &Endpoint, existing: Option<Digest>, detail: String) -> Error {
        let (action, wanted) = (endpoint.action.clone(), self.sent.descriptor.digest);
        Error::TagIsImmutable { action, existing, wanted, detail }
    }

    fn unsendable(&self, endpoint: &Endpoint) -> Error {
        Error::Protocol {
            action: endpoint.action.clone(),
            host: self.reference.repository.registry().to_owned(),
            reason: "its media type does not fit into a header".into(),
        }
    }
}

/// What a `HEAD` says, when it says all of it.
fn descriptor(answer: &Answer) -> Option<Descriptor> {
    let digest = answer.header(CONTENT_DIGEST)?.parse().ok()?;
    let size = answer.header("content-length")?.parse().ok()?;
    let media_type = MediaType::parse(answer.header("content-type")?);
    Some(Descriptor::new(media_type, digest, size))
}

/// The digest that was computed counts; a registry that names another one is worth a word.
fn warn_of_other_digest(transport: &Transport, answer: &Answer, computed: Digest) {
    let named = answer.header(CONTENT_DIGEST).and_then(|text| text.parse::<Digest>().ok());
    if named.is_some_and(|named| named != computed) {
        let text = format!("cannot trust the digest a registry names: {}", answer.action());
        transport.events.warn("registry-digest-differs", text, None);
    }
}

/// The members that say what a document is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    media_type: Option<MediaType>,
    #[serde(default)]
    manifests: Option<IgnoredAny>,
    #[serde(default)]
    layers: Option<IgnoredAny>,
}

/// The type of a document: the header's, or its own where the header is general. They must agree,
/// or the same bytes could be read in two ways (CVE-2021-41190).
fn media_type(header: Option<&str>, bytes: &[u8]) -> Result<MediaType, String> {
    let declared = header.map(MediaType::parse).filter(is_document);
    let shape: Shape = serde_json::from_slice(bytes).map_err(|_| "it is not JSON".to_owned())?;
    let own = shape.media_type.filter(is_document);
    match (declared, own) {
        (Some(declared), Some(own)) if declared != own => {
            Err(format!("it is declared as `{declared}` and says that it is `{own}`"))
        }
        (Some(known), _) | (None, Some(known)) => Ok(known),
        (None, None) if shape.manifests.is_some() && shape.layers.is_none() => {
            Ok(MediaType::OciIndex)
        }
        (None, None) if shape.layers.is_some() && shape.manifests.is_none() => {
            Ok(MediaType::OciManifest)
        }
        (None, None) => {
            let found = clean(header.unwrap_or("nothing"));
            Err(format!("it is neither a manifest nor an index but `{found}`"))
        }
    }
}

fn is_document(media_type: &MediaType) -> bool {
    media_type.is_manifest() || media_type.is_index()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_and_document_must_agree_on_the_type() {
        const INDEX: &str = "application/vnd.oci.image.index.v1+json";
        const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
        let own_index = format!(r#"{{"mediaType":"{INDEX}"}}"#);
        for (header, body, expected) in [
            (Some(INDEX), "{}", Ok(MediaType::OciIndex)),
            (Some(INDEX), &*own_index, Ok(MediaType::OciIndex)),
            (Some("application/json"), &*own_index, Ok(MediaType::OciIndex)),
            (None, &*own_index, Ok(MediaType::OciIndex)),
            (Some("text/plain; charset=utf-8"), r#"{"layers":[]}"#, Ok(MediaType::OciManifest)),
            (None, r#"{"manifests":[]}"#, Ok(MediaType::OciIndex)),
            (
                Some(MANIFEST),
                &*own_index,
                Err(format!("it is declared as `{MANIFEST}` and says that it is `{INDEX}`")),
            ),
            (
                None,
                r#"{"manifests":[],"layers":[]}"#,
                Err("it is neither a manifest nor an index but `nothing`".into()),
            ),
            (
                Some("text/html"),
                "{}",
                Err("it is neither a manifest nor an index but `text/html`".into()),
            ),
            (Some(INDEX), "<html>", Err("it is not JSON".into())),
        ] {
            assert_eq!(media_type(header, body.as_bytes()), expected, "{header:?} {body}");
        }
    }
}
