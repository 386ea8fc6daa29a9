//! The distribution client against real registries, with faults on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use dockless::error::{Error, ErrorKind};
use dockless::event::{Action, Event, Events};
use dockless::oci::{Descriptor, Digest, MediaType, Reference, Repository};
use dockless::registry::keychains::{AuthFile, Explicit};
use dockless::registry::{
    BlobOutcome, BlobSource, Client, ClientOptions, Error as RegistryError, Keychain,
    ManifestOutcome, Secret, Settings, StallLimits, TlsProblem,
};
use dockless::sys::command::{Commands, FakeCommands};
use dockless::sys::{Clock as _, ManualClock};
use tokio::io::AsyncReadExt as _;

use super::support::fault_proxy::{Fault, FaultProxy, Gate, refusal, status};
use super::support::registry::{PASSWORD, Registry, USERNAME};
use super::support::server::{Seen, Server, reply};

/// Big enough that a reset can hit its middle, small enough to be fast.
const LAYER_BYTES: usize = 3 * 1024 * 1024;

/// An image of one layer, and a client to push it with.
struct Story {
    client: Client,
    clock: Arc<ManualClock>,
    layer: Bytes,
    config: Bytes,
}

impl Story {
    fn new() -> Self {
        Self::with(Settings::default(), Vec::new())
    }

    fn with(settings: Settings, keychains: Vec<Arc<dyn Keychain>>) -> Self {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let clock = Arc::new(ManualClock::at(784_111_777));
        let client = Client::new(ClientOptions {
            settings,
            keychains,
            events: Events::none(),
            clock: clock.clone(),
        });
        let layer = (0..=250).cycle().take(LAYER_BYTES).collect::<Vec<u8>>().into();
        let config = Bytes::from_static(br#"{"architecture":"amd64","os":"linux"}"#);
        Self { client, clock, layer, config }
    }

    fn logged_in(host: &str, username: &str, password: &str) -> Self {
        Self::with(Settings::default(), vec![explicit(host, username, password)])
    }

    fn layer_descriptor(&self) -> Descriptor {
        Descriptor::of(MediaType::OciLayer, &self.layer)
    }

    fn manifest(&self) -> Bytes {
        let manifest = dockless::oci::Manifest::new(
            Descriptor::of(MediaType::OciConfig, &self.config),
            vec![self.layer_descriptor()],
        );
        dockless::oci::Document::write(manifest, MediaType::OciManifest).bytes
    }

    async fn push_layer(&self, repository: &Repository) -> Result<BlobOutcome, Error> {
        let source = BlobSource::Bytes(self.layer.clone());
        self.push_blob(repository, &self.layer_descriptor(), &source, None).await
    }

    async fn push_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        source: &BlobSource,
        from: Option<&Repository>,
    ) -> Result<BlobOutcome, Error> {
        let task = Events::none().task(Action::Upload, "blob", Some(descriptor.size));
        self.client.push_blob(repository, descriptor, source, from, &task).await
    }

    async fn put(&self, reference: &Reference) -> Result<ManifestOutcome, Error> {
        let manifest = self.manifest();
        let descriptor = Descriptor::of(MediaType::OciManifest, &manifest);
        self.client.put_manifest(reference, &descriptor, &manifest).await
    }

    /// Pushes layer, config and manifest.
    async fn push(&self, reference: &Reference) -> Result<ManifestOutcome, Error> {
        let repository = &reference.repository;
        self.push_layer(repository).await?;
        let config = Descriptor::of(MediaType::OciConfig, &self.config);
        let source = BlobSource::Bytes(self.config.clone());
        self.push_blob(repository, &config, &source, None).await?;
        self.put(reference).await
    }

    /// Reads everything back, straight from the registry, and compares.
    async fn assert_pushed(&self, registry: &Registry, reference: &Reference) {
        let repository = repository(&registry.host(), reference.repository.path());
        let tag = repository.at_tag(reference.tag.clone().unwrap());
        let fetched = self.client.fetch_manifest(&tag).await.unwrap();
        assert_eq!(fetched.bytes, self.manifest());
        assert_eq!(
            read(&self.client, &repository, &self.layer_descriptor()).await.unwrap(),
            self.layer
        );
        let config = Descriptor::of(MediaType::OciConfig, &self.config);
        assert_eq!(self.client.fetch_blob(&repository, &config).await.unwrap(), self.config);
    }
}

fn explicit(host: &str, username: &str, password: &str) -> Arc<dyn Keychain> {
    Arc::new(Explicit::new(host, username, Secret::new(password)))
}

fn repository(host: &str, path: &str) -> Repository {
    format!("{host}/{path}").parse().unwrap()
}

async fn read(
    client: &Client,
    repository: &Repository,
    descriptor: &Descriptor,
) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = Vec::new();
    let mut reader = client
        .open_blob(repository, descriptor)
        .await
        .map_err(|error| std::io::Error::other(error.to_string()))?;
    reader.read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// A layer that does not vanish in the buffers of a connection on loopback.
fn more_than_buffers_take() -> Bytes {
    vec![7; 16 * 1024 * 1024].into()
}

fn cause(error: &Error) -> &RegistryError {
    error.downcast_ref::<RegistryError>().expect("the client has one kind of error").root()
}

/// Limits so short that a test does not wait, and long enough for a busy machine.
fn impatient() -> Settings {
    let stall = StallLimits {
        silence: Duration::from_millis(400),
        answer: Duration::from_millis(1500),
        ..StallLimits::default()
    };
    Settings { stall, ..Settings::default() }
}

#[tokio::test]
async fn reads_back_what_it_pushed() {
    let registry = Registry::start();
    let story = Story::new();
    let tag = repository(&registry.host(), "acme/hello").at_tag("v1");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&story.layer).unwrap();
    let source = BlobSource::File(file.path().to_owned());
    let layer = story.layer_descriptor();

    assert_eq!(story.client.resolve(&tag).await.unwrap(), None);
    let outcome = story.push_blob(&tag.repository, &layer, &source, None).await.unwrap();
    assert_eq!(outcome, BlobOutcome::Uploaded);
    assert_eq!(story.push_layer(&tag.repository).await.unwrap(), BlobOutcome::Present);
    assert_eq!(story.push(&tag).await.unwrap(), ManifestOutcome::Put);
    assert_eq!(story.put(&tag).await.unwrap(), ManifestOutcome::Unchanged);
    story.assert_pushed(&registry, &tag).await;

    let manifest = Descriptor::of(MediaType::OciManifest, &story.manifest());
    assert_eq!(story.client.resolve(&tag).await.unwrap(), Some(manifest.clone()));
    let by_digest = tag.repository.at_digest(manifest.digest);
    assert_eq!(story.client.fetch_manifest(&by_digest).await.unwrap().digest, manifest.digest);
    assert_eq!(story.clock.waits(), []);
}

#[tokio::test]
async fn tells_its_task_of_every_byte() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    proxy.on("PUT", "/blobs/uploads/", [Fault::CutRequest(1024 * 1024)]);
    let story = Story::new();
    let (events, receiver) = Events::channel();
    let task = events.task(Action::Upload, "layer", Some(LAYER_BYTES as u64));
    let repository = repository(&proxy.server().host(), "a");
    let source = BlobSource::Bytes(story.layer.clone());
    let layer = story.layer_descriptor();
    story.client.push_blob(&repository, &layer, &source, None, &task).await.unwrap();
    task.finish("done");
    drop(events);
    let sums: Vec<u64> = receiver
        .iter()
        .filter_map(|event| match event {
            Event::TaskProgress { bytes, .. } => Some(bytes),
            _ => None,
        })
        .collect();
    assert!(sums.contains(&0), "the second try starts at zero: {sums:?}");
    assert_eq!(sums.last(), Some(&(LAYER_BYTES as u64)));
}

#[tokio::test]
async fn mounts_what_another_repository_has() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let host = proxy.server().host();
    let story = Story::new();
    let (base, target) = (repository(&host, "base"), repository(&host, "target"));
    story.push_layer(&base).await.unwrap();
    let before = proxy.server().requests().len();
    let layer = story.layer_descriptor();
    let source = BlobSource::Registry(base.clone());
    let outcome = story.push_blob(&target, &layer, &source, Some(&base)).await.unwrap();
    assert_eq!(outcome, BlobOutcome::Mounted);
    assert_eq!(
        proxy.server().requests()[before..],
        [
            format!("HEAD /v2/target/blobs/{}", layer.digest),
            "POST /v2/target/blobs/uploads/".into()
        ]
    );
    assert_eq!(read(&story.client, &target, &layer).await.unwrap(), story.layer);
}

#[tokio::test]
async fn uploads_when_a_mount_is_refused() {
    let registry = Registry::start();
    for refused in [401, 403, 404, 405, 500] {
        let proxy = FaultProxy::start(&registry.host()).await;
        let host = proxy.server().host();
        proxy.on("POST", "mount=", [refusal(refused, "DENIED")]);
        let story = Story::new();
        let target = repository(&host, &format!("refused{refused}"));
        let (layer, source) = (story.layer_descriptor(), BlobSource::Bytes(story.layer.clone()));
        let from = repository(&host, "base");
        let outcome = story.push_blob(&target, &layer, &source, Some(&from)).await.unwrap();
        assert_eq!(outcome, BlobOutcome::Uploaded, "{refused}");
        assert!(proxy.is_exhausted(), "{refused}");
    }
}

#[tokio::test]
async fn goes_on_in_the_session_that_a_failed_mount_opens() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let story = Story::new();
    let (base, target) =
        (repository(&proxy.server().host(), "empty"), repository(&proxy.server().host(), "target"));
    let (layer, source) = (story.layer_descriptor(), BlobSource::Bytes(story.layer.clone()));
    let outcome = story.push_blob(&target, &layer, &source, Some(&base)).await.unwrap();
    assert_eq!(outcome, BlobOutcome::Uploaded);
    let methods: Vec<_> = proxy.server().seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, ["HEAD", "POST", "PUT"]);
}

#[tokio::test]
async fn damage_at_the_source_is_asked_for_once_more() {
    let (from, to) = (Registry::start(), Registry::start());
    let story = Story::new();
    story.push_layer(&repository(&from.host(), "base")).await.unwrap();
    let proxy = FaultProxy::start(&from.host()).await;
    let source = BlobSource::Registry(repository(&proxy.server().host(), "base"));
    let (layer, target) = (story.layer_descriptor(), repository(&to.host(), "target"));
    proxy.on("GET", "/blobs/", [Fault::Corrupt]);
    story.push_blob(&target, &layer, &source, None).await.unwrap();
    assert_eq!(read(&story.client, &target, &layer).await.unwrap(), story.layer);

    let target = repository(&to.host(), "other");
    proxy.on("GET", "/blobs/", [Fault::Corrupt, Fault::Corrupt]);
    assert!(story.push_blob(&target, &layer, &source, None).await.is_err());
    let missing = story.client.open_blob(&target, &layer).await;
    assert!(missing.is_err_and(|error| matches!(cause(&error), RegistryError::NotFound { .. })));
}

#[tokio::test]
async fn streams_from_one_registry_to_another() {
    let (from, to) = (Registry::start(), Registry::start());
    let proxy = FaultProxy::start(&from.host()).await;
    proxy.on("GET", "/blobs/", [Fault::CutAnswer(1024 * 1024)]);
    let story = Story::new();
    let base = repository(&proxy.server().host(), "base");
    story.push_layer(&base).await.unwrap();
    let target = repository(&to.host(), "target");
    let source = BlobSource::Registry(base);
    let layer = story.layer_descriptor();
    let outcome = story.push_blob(&target, &layer, &source, None).await.unwrap();
    assert_eq!(outcome, BlobOutcome::Uploaded);
    assert!(proxy.is_exhausted());
    assert_eq!(read(&story.client, &target, &layer).await.unwrap(), story.layer);
}

/// Name, method, part of the path, and what goes wrong there, once or more often.
type Case = (&'static str, &'static str, &'static str, Vec<Fault>);

/// Faults after which a push must succeed.
fn transient_faults() -> Vec<Case> {
    let seconds = || status(429, Some(("Retry-After", "7")));
    let date = || status(429, Some(("Retry-After", "Sun, 06 Nov 1994 08:49:47 GMT")));
    let mut cases: Vec<Case> = Vec::new();
    for (name, method, path) in [
        ("HEAD blob", "HEAD", "/blobs/"),
        ("POST upload", "POST", "/blobs/uploads/"),
        ("PUT blob", "PUT", "/blobs/uploads/"),
        ("HEAD manifest", "HEAD", "/manifests/"),
        ("PUT manifest", "PUT", "/manifests/"),
    ] {
        cases.push((name, method, path, vec![seconds()]));
        cases.push((name, method, path, vec![date()]));
        cases.push((name, method, path, vec![status(429, None); 3]));
        let codes = [408, 500, 502, 503, 504, 503];
        cases.push((name, method, path, codes.map(|code| status(code, None)).into()));
        cases.push((name, method, path, vec![Fault::CutRequest(0)]));
        cases.push((name, method, path, vec![Fault::LoseAnswer]));
    }
    let blob = |fault| ("PUT blob", "PUT", "/blobs/uploads/", vec![fault]);
    cases.extend([
        blob(Fault::CutRequest(64 * 1024)),
        blob(Fault::CutRequest(2 * 1024 * 1024)),
        blob(Fault::CutRequest(LAYER_BYTES as u64)),
        blob(refusal(404, "BLOB_UPLOAD_UNKNOWN")),
        blob(refusal(404, "BLOB_UPLOAD_INVALID")),
        blob(refusal(400, "DIGEST_INVALID")),
        blob(status(416, None)),
    ]);
    let location = |value: &str| {
        ("Location", "POST", "/blobs/uploads/", vec![Fault::Header("location", value.into())])
    };
    cases.extend([location(""), location("http://["), location("ftp://127.0.0.1/x")]);
    cases
}

#[tokio::test]
async fn survives_every_transient_fault_of_a_push() {
    let registry = Registry::start();
    let story = Story::new();
    for (place, (name, method, path, faults)) in transient_faults().into_iter().enumerate() {
        let proxy = FaultProxy::start(&registry.host()).await;
        let case = format!("{name}: {faults:?}");
        proxy.on(method, path, faults);
        let reference = repository(&proxy.server().host(), &format!("case{place}")).at_tag("v1");
        let outcome = story.push(&reference).await;
        assert_eq!(
            outcome.unwrap_or_else(|error| panic!("{case}: {error}")),
            ManifestOutcome::Put,
            "{case}"
        );
        assert!(proxy.is_exhausted(), "{case}");
        story.assert_pushed(&registry, &reference).await;
    }
}

#[tokio::test]
async fn waits_as_long_as_the_registry_asks() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let retry_after = |value| status(429, Some(("Retry-After", value)));
    let date = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = vec![
        date("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        date("Retry-After", "Sun, 06 Nov 1994 08:50:00 GMT"),
    ];
    let by_its_clock = Fault::Answer { status: 429, headers, body: String::new() };
    proxy.on("PUT", "/manifests/", [retry_after("7"), by_its_clock, retry_after("999999")]);
    let story = Story::new();
    story.push(&repository(&proxy.server().host(), "a").at_tag("v1")).await.unwrap();
    let waits: Vec<_> = story.clock.waits().iter().map(Duration::as_secs).collect();
    assert_eq!(waits, [7, 23, 60]);
}

#[tokio::test]
async fn refuses_at_once_what_would_fail_again() {
    let registry = Registry::start();
    for (place, (method, path, fault, message)) in [
        ("HEAD", "/blobs/", refusal(400, "NAME_INVALID"), "answered 400"),
        (
            "POST",
            "/blobs/uploads/",
            refusal(404, "NAME_UNKNOWN"),
            "does not have it: NAME_UNKNOWN: on purpose",
        ),
        ("POST", "/blobs/uploads/", refusal(403, "DENIED"), "denies it: DENIED: on purpose"),
        ("POST", "/blobs/uploads/", status(405, None), "answered 405"),
        (
            "PUT",
            "/blobs/uploads/",
            Fault::Answer { status: 413, headers: Vec::new(), body: "<html>413</html>".into() },
            "answered 413: an HTML page",
        ),
        (
            "PUT",
            "/manifests/",
            refusal(400, "MANIFEST_INVALID"),
            "answered 400: MANIFEST_INVALID: on purpose",
        ),
        ("PUT", "/manifests/", status(507, None), "answered 507"),
        (
            "PUT",
            "/blobs/uploads/",
            status(302, Some(("Location", "/elsewhere"))),
            "sends us to an unsafe place: it redirects a PUT with 302, which would make it a GET",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let proxy = FaultProxy::start(&registry.host()).await;
        let host = proxy.server().host();
        proxy.on(method, path, [fault]);
        let story = Story::new();
        let error = story.push(&repository(&host, &format!("case{place}")).at_tag("v1")).await;
        let error = error.unwrap_err().to_string();
        assert!(error.ends_with(&format!("`{host}` {message}")), "{error}");
        assert_eq!(story.clock.waits(), [], "{message}");
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_is_sent_is_heard() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let headers = Vec::new();
    let body = "<html>413</html>".into();
    proxy.on("PUT", "/blobs/uploads/", [Fault::EarlyAnswer { status: 413, headers, body }]);
    let story = Story { layer: more_than_buffers_take(), ..Story::new() };
    let error = story.push_layer(&repository(&proxy.server().host(), "a")).await.unwrap_err();
    assert!(matches!(cause(&error), RegistryError::Refused { status: 413, .. }), "{error}");
    assert_eq!(story.clock.waits(), []);
}

#[tokio::test]
async fn gives_up_five_minutes_after_the_last_progress() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    proxy.on("PUT", "/manifests/", vec![status(503, Some(("Retry-After", "junk"))); 1000]);
    let story = Story::new();
    let reference = repository(&proxy.server().host(), "a").at_tag("v1");
    let error = story.push(&reference).await.unwrap_err();
    assert!(matches!(cause(&error), RegistryError::Refused { status: 503, .. }), "{error}");
    assert!(error.to_string().ends_with("answered 503: it says `Retry-After: junk`"), "{error}");
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Failed, true));
    let waited: Duration = story.clock.waits().iter().sum();
    assert!(waited <= Duration::from_mins(5), "{waited:?}");
    assert!(waited > Duration::from_mins(4), "{waited:?}");
    assert_eq!(
        Story::new().client.resolve(&repository(&registry.host(), "a").at_tag("v1")).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_tried_a_few_times() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let story = Story::new();
    let error = story.push(&repository(&host, "a").at_tag("v1")).await.unwrap_err();
    assert!(matches!(cause(&error), RegistryError::Unreachable { .. }), "{error}");
    assert_eq!((error.kind(), story.clock.waits().len()), (ErrorKind::Failed, 3));
    assert_eq!(error.lines().last().unwrap(), "Connection refused (os error 111)");
}

#[tokio::test]
async fn a_registry_that_lost_content_is_told_apart() {
    let registry = Registry::start();
    let story = Story::new();
    let reference = repository(&registry.host(), "a").at_tag("v1");
    let error = story.put(&reference).await.unwrap_err();
    assert!(matches!(cause(&error), RegistryError::ContentMissing { .. }), "{error}");
    assert_eq!(story.clock.waits(), []);
}

#[tokio::test]
async fn an_immutable_tag_says_what_it_points_at() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let story = Story::new();
    let reference = repository(&proxy.server().host(), "a").at_tag("v1");
    story.push(&reference).await.unwrap();
    let existing = Digest::of(&story.manifest());
    let other = Story { config: Bytes::from_static(b"{}"), ..Story::new() };
    for refused in
        [refusal(400, "TAG_INVALID"), refusal(412, "PRECONDITION"), refusal(403, "DENIED")]
    {
        proxy.on("PUT", "/manifests/", [refused]);
        let error = other.push(&reference).await.unwrap_err();
        assert!(
            matches!(cause(&error), RegistryError::TagIsImmutable { existing: stays, .. } if *stays == existing),
            "{error}"
        );
    }
    // The same digest needs no permission to stay.
    proxy.on("PUT", "/manifests/", [refusal(400, "TAG_INVALID")]);
    assert_eq!(story.push(&reference).await.unwrap(), ManifestOutcome::Unchanged);
}

#[tokio::test]
async fn asks_for_the_document_where_head_is_not_enough() {
    let registry = Registry::start();
    let story = Story::new();
    let direct = repository(&registry.host(), "a").at_tag("v1");
    story.push(&direct).await.unwrap();
    for fault in [status(405, None), Fault::Header("docker-content-digest", String::new())] {
        let proxy = FaultProxy::start(&registry.host()).await;
        proxy.on("HEAD", "/manifests/", [fault.clone(), fault]);
        let reference = repository(&proxy.server().host(), "a").at_tag("v1");
        let manifest = Descriptor::of(MediaType::OciManifest, &story.manifest());
        assert_eq!(story.client.resolve(&reference).await.unwrap(), Some(manifest));
        assert_eq!(story.put(&reference).await.unwrap(), ManifestOutcome::Unchanged);
        assert!(proxy.is_exhausted());
    }
}

#[tokio::test]
async fn a_download_goes_on_where_it_broke() {
    let registry = Registry::start();
    let story = Story::with(impatient(), Vec::new());
    let direct = repository(&registry.host(), "a");
    story.push_layer(&direct).await.unwrap();
    let layer = story.layer_descriptor();
    let half = 1024 * 1024;
    let range = |value: &str| Fault::Header("content-range", value.into());
    for (faults, requests) in [
        (vec![Fault::CutAnswer(half)], 2),
        (vec![Fault::CutAnswer(0)], 2),
        (vec![Fault::CutAnswer(half), Fault::CutAnswer(half)], 3),
        (vec![Fault::StallAnswer(half)], 2),
        (vec![status(503, None), status(502, None)], 3),
        (vec![Fault::CutAnswer(half), Fault::HideRange], 2),
        // An answer for another range is not trusted: everything is asked for again.
        (vec![Fault::CutAnswer(half), range("bytes 5-9/10")], 3),
        (vec![Fault::CutAnswer(half), range("")], 3),
        (vec![Fault::CutAnswer(half), status(416, None)], 3),
    ] {
        let proxy = FaultProxy::start(&registry.host()).await;
        let case = format!("{faults:?}");
        proxy.on("GET", "/blobs/", faults);
        let repository = repository(&proxy.server().host(), "a");
        let bytes = read(&story.client, &repository, &layer).await;
        assert!(bytes.unwrap_or_else(|error| panic!("{case}: {error}")) == story.layer, "{case}");
        assert_eq!(proxy.server().requests().len(), requests, "{case}");
    }
}

#[tokio::test]
async fn wrong_bytes_are_never_taken() {
    let registry = Registry::start();
    let story = Story::new();
    let direct = repository(&registry.host(), "a");
    let reference = direct.at_tag("v1");
    story.push(&reference).await.unwrap();
    let proxy = FaultProxy::start(&registry.host()).await;
    let repository = repository(&proxy.server().host(), "a");

    proxy.on("GET", "/blobs/", [Fault::Corrupt]);
    let layer = story.layer_descriptor();
    let error = read(&story.client, &repository, &layer).await.unwrap_err();
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<RegistryError>());
    assert!(
        matches!(cause, Some(RegistryError::WrongDigest { expected, .. }) if *expected == layer.digest),
        "{error}"
    );

    // One bad answer may be a bad cache; two are a bad registry.
    let config = Descriptor::of(MediaType::OciConfig, &story.config);
    proxy.on("GET", "/blobs/", [Fault::Corrupt]);
    assert_eq!(story.client.fetch_blob(&repository, &config).await.unwrap(), story.config);
    proxy.on("GET", "/blobs/", [Fault::Corrupt, Fault::Corrupt]);
    let error = story.client.fetch_blob(&repository, &config).await.unwrap_err();
    assert!(matches!(self::cause(&error), RegistryError::WrongDigest { .. }), "{error}");

    let by_digest = repository.at_digest(Digest::of(&story.manifest()));
    proxy.on("GET", "/manifests/", [Fault::Corrupt]);
    assert_eq!(story.client.fetch_manifest(&by_digest).await.unwrap().bytes, story.manifest());
    proxy.on("GET", "/manifests/", [Fault::Corrupt, Fault::Corrupt]);
    assert!(story.client.fetch_manifest(&by_digest).await.is_err());

    // The descriptor's size rules, whatever the registry sends.
    for (size, is_whole) in [(layer.size - 1, false), (layer.size, true)] {
        let descriptor = Descriptor::new(MediaType::OciLayer, layer.digest, size);
        assert_eq!(read(&story.client, &repository, &descriptor).await.is_ok(), is_whole, "{size}");
    }
    proxy.on("GET", "/blobs/", [Fault::Header("content-encoding", "gzip".into())]);
    assert!(read(&story.client, &repository, &layer).await.is_err());
}

#[tokio::test]
async fn a_stalled_transfer_is_started_again() {
    let registry = Registry::start();
    for (place, (method, path, fault)) in [
        ("PUT", "/blobs/uploads/", Fault::StallRequest),
        ("PUT", "/blobs/uploads/", Fault::Hang),
        ("HEAD", "/blobs/", Fault::Hang),
        ("PUT", "/manifests/", Fault::Hang),
    ]
    .into_iter()
    .enumerate()
    {
        let proxy = FaultProxy::start(&registry.host()).await;
        proxy.on(method, path, [fault]);
        let mut story = Story::with(impatient(), Vec::new());
        if place == 0 {
            story.layer = more_than_buffers_take();
        }
        let reference = repository(&proxy.server().host(), &format!("case{place}")).at_tag("v1");
        story.push(&reference).await.unwrap();
        assert!(proxy.is_exhausted());
        story.assert_pushed(&registry, &reference).await;
    }
}

#[tokio::test]
async fn a_file_that_changed_is_not_sent() {
    let registry = Registry::start();
    let story = Story::new();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"shorter").unwrap();
    let source = BlobSource::File(file.path().to_owned());
    let target = repository(&registry.host(), "a");
    let layer = story.layer_descriptor();
    let error = story.push_blob(&target, &layer, &source, None).await.unwrap_err();
    assert!(matches!(cause(&error), RegistryError::Source { .. }), "{error}");
    assert_eq!(error.lines().last().unwrap(), "it has 7 bytes and had 3145728 when it was hashed");
    assert_eq!(story.clock.waits(), []);
}

#[tokio::test]
async fn logs_in_with_a_password() {
    let registry = Registry::start_with_password();
    let reference = repository(&registry.host(), "a").at_tag("v1");
    let story = Story::logged_in(&registry.host(), USERNAME, PASSWORD);
    story.push(&reference).await.unwrap();
    assert_eq!(story.client.fetch_manifest(&reference).await.unwrap().bytes, story.manifest());

    let host = registry.host();
    let wrong = Story::logged_in(&host, USERNAME, "canary");
    let error = wrong.push(&reference).await.unwrap_err();
    let layer = wrong.layer_descriptor().digest.short();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot look for blob `{layer}` in `{host}/a`: `{host}` does not accept user `bob` from the flags"
        )
    );
    assert_eq!((error.kind(), wrong.clock.waits().len()), (ErrorKind::Usage, 0));

    let other = Story::logged_in("other.io", USERNAME, PASSWORD);
    let error = other.push(&reference).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert_eq!(
        error.hints(),
        [
            format!(
                "log in to `{host}`: `docker login {host}`; or, where you push to it, set `DOCKLESS_REGISTRY_USERNAME` and `DOCKLESS_REGISTRY_PASSWORD`"
            ),
            "tried: the flags: it is for `other.io` only".into(),
        ]
    );
}

#[tokio::test]
async fn a_refusal_names_whom_it_refuses() {
    let registry = Registry::start_with_password();
    let proxy = FaultProxy::start(&registry.host()).await;
    let host = proxy.server().host();
    proxy.on("POST", "/blobs/uploads/", [Fault::Pass, refusal(403, "DENIED")]);
    let story = Story::logged_in(&host, USERNAME, PASSWORD);
    story.push_layer(&repository(&host, "a")).await.unwrap();
    let error = story.push_layer(&repository(&host, "b")).await.unwrap_err();
    let layer = story.layer_descriptor().digest.short();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot start the upload of blob `{layer}` to `{host}/b`: `{host}` denies it to user `bob` from the flags: DENIED: on purpose"
        )
    );
    assert_eq!(error.kind(), ErrorKind::Failed);
}

/// A token server and the gate of a registry that takes its tokens.
struct TokenServer {
    server: Server,
    tokens: Arc<Mutex<Tokens>>,
}

#[derive(Default)]
struct Tokens {
    issued: u32,
    /// Valid tokens, how often each may be used, and for what it is good.
    valid: BTreeMap<String, (u32, BTreeSet<String>)>,
}

impl TokenServer {
    /// Tokens that may be used so often; `authorization` is what the server wants to see.
    async fn start(uses: u32, authorization: Option<String>) -> Self {
        let tokens: Arc<Mutex<Tokens>> = Arc::default();
        let issued = Arc::clone(&tokens);
        let server = Server::start("127.0.0.1", move |request| {
            let header = request
                .headers()
                .get("authorization")
                .map(|value| value.to_str().unwrap().to_owned());
            if authorization.is_some() && header != authorization {
                let body = r#"{"details":"incorrect username or password"}"#;
                return Box::pin(async move { Ok(reply(401, &[], body)) });
            }
            let url = reqwest::Url::parse(&format!("http://t{}", request.uri())).unwrap();
            let scopes = url.query_pairs().filter(|(name, _)| name == "scope");
            let scopes = scopes.map(|(_, scope)| scope.into_owned()).collect();
            let mut tokens = issued.lock().unwrap();
            tokens.issued += 1;
            let token = format!("token{}", tokens.issued);
            tokens.valid.insert(token.clone(), (uses, scopes));
            let body = format!(r#"{{"token":"{token}","expires_in":300}}"#);
            Box::pin(async move { Ok(reply(200, &[], body)) })
        })
        .await;
        Self { server, tokens }
    }

    /// Lets requests with a valid token pass.
    fn gate(&self) -> Gate {
        let tokens = Arc::clone(&self.tokens);
        let realm = format!("http://{}/token", self.server.host());
        Arc::new(move |request| {
            let header = request.headers().get("authorization");
            let token = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
            let mut tokens = tokens.lock().unwrap();
            let uses = token.and_then(|token| tokens.valid.get_mut(token)).map(|(uses, _)| uses);
            if let Some(uses @ 1..) = uses {
                *uses -= 1;
                return None;
            }
            let challenge = format!(r#"Bearer realm="{realm}",service="test""#);
            Some(reply(401, &[("WWW-Authenticate", &challenge)], ""))
        })
    }

    fn issued(&self) -> u32 {
        self.tokens.lock().unwrap().issued
    }
}

fn basic(username: &str, password: &str) -> String {
    let pair = base64::prelude::BASE64_STANDARD.encode(format!("{username}:{password}"));
    format!("Basic {pair}")
}

#[tokio::test]
async fn fetches_a_token_once_for_all_workers() {
    let registry = Registry::start();
    let tokens = TokenServer::start(u32::MAX, Some(basic("bob", "pw"))).await;
    let proxy = FaultProxy::start_gated(&registry.host(), tokens.gate()).await;
    let host = proxy.server().host();
    let story = Story::logged_in(&host, "bob", "pw");
    let target = repository(&host, "a");
    let pushes = (0..8).map(|_| story.push_layer(&target));
    for outcome in futures_util::future::join_all(pushes).await {
        outcome.unwrap();
    }
    story.push(&target.at_tag("v1")).await.unwrap();
    assert_eq!(tokens.issued(), 1);
    assert_eq!(
        tokens.server.seen()[0].path,
        "/token?service=test&scope=repository%3Aa%3Apull%2Cpush"
    );
    // Reading asks for the right to read, not for more.
    story.client.fetch_manifest(&target.at_tag("v1")).await.unwrap();
    assert_eq!(tokens.server.seen()[1].path, "/token?service=test&scope=repository%3Aa%3Apull");
}

#[tokio::test]
async fn a_token_is_replaced_before_it_expires() {
    let registry = Registry::start();
    let tokens = TokenServer::start(u32::MAX, None).await;
    let proxy = FaultProxy::start_gated(&registry.host(), tokens.gate()).await;
    let story = Story::new();
    let tag = repository(&proxy.server().host(), "a").at_tag("v1");
    // It lives for 300 s, of which a tenth is kept in reserve.
    for (seconds, issued) in [(0, 1), (269, 1), (2, 2), (269, 2), (2, 3)] {
        story.clock.sleep(Duration::from_secs(seconds)).await;
        story.client.resolve(&tag).await.unwrap();
        assert_eq!(tokens.issued(), issued);
    }
    // One refusal taught us how to log in; no request was sent in vain after it.
    assert_eq!(proxy.server().requests().len(), 6);
}

#[tokio::test]
async fn a_mount_asks_for_the_rights_of_both_repositories() {
    let registry = Registry::start();
    let tokens = TokenServer::start(u32::MAX, None).await;
    let proxy = FaultProxy::start_gated(&registry.host(), tokens.gate()).await;
    let host = proxy.server().host();
    let story = Story::new();
    let (base, target) = (repository(&host, "base"), repository(&host, "target"));
    story.push_layer(&base).await.unwrap();
    let (layer, source) = (story.layer_descriptor(), BlobSource::Bytes(story.layer.clone()));
    let outcome = story.push_blob(&target, &layer, &source, Some(&base)).await.unwrap();
    assert_eq!(outcome, BlobOutcome::Mounted);
    let scopes = "scope=repository%3Abase%3Apull&scope=repository%3Atarget%3Apull%2Cpush";
    assert_eq!(tokens.server.seen().last().unwrap().path, format!("/token?service=test&{scopes}"));
}

#[tokio::test]
async fn survives_tokens_that_die_in_the_middle() {
    let registry = Registry::start();
    for uses in [1, 2, 3] {
        let tokens = TokenServer::start(uses, None).await;
        let proxy = FaultProxy::start_gated(&registry.host(), tokens.gate()).await;
        let story = Story::new();
        let reference = repository(&proxy.server().host(), &format!("uses{uses}")).at_tag("v1");
        story.push(&reference).await.unwrap();
        story.assert_pushed(&registry, &reference).await;
        assert_eq!(story.clock.waits(), []);
    }
}

#[tokio::test]
async fn a_wrong_password_at_the_token_server_is_the_users_turn() {
    let registry = Registry::start();
    let tokens = TokenServer::start(u32::MAX, Some(basic("bob", "right"))).await;
    let proxy = FaultProxy::start_gated(&registry.host(), tokens.gate()).await;
    let host = proxy.server().host();
    let story = Story::logged_in(&host, "bob", "canary");
    let error = story.push(&repository(&host, "a").at_tag("v1")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot get a token for `127.0.0.1`: `127.0.0.1` does not accept user `bob` from the flags: incorrect username or password"
    );
    assert_eq!((error.kind(), story.clock.waits().len()), (ErrorKind::Usage, 0));
    assert_eq!(tokens.server.seen().len(), 1);
}

#[tokio::test]
async fn identity_tokens_are_exchanged_or_used_as_a_password() {
    let registry = Registry::start();
    for knows_oauth in [true, false] {
        let tokens = TokenServer::start(u32::MAX, None).await;
        let oauth = FaultProxy::start(&tokens.server.host()).await;
        if !knows_oauth {
            oauth.on("POST", "/token", [status(404, None)]);
        }
        let proxy = FaultProxy::start_gated(
            &registry.host(),
            moved(tokens.gate(), tokens.server.host(), oauth.server().host()),
        )
        .await;
        let host = proxy.server().host();
        let config = format!(r#"{{"auths":{{"{host}":{{"identitytoken":"refresh/me"}}}}}}"#);
        let commands: Arc<dyn Commands> = Arc::new(FakeCommands::default());
        let keychain = AuthFile::variable("DOCKER_AUTH_CONFIG", &config, &commands);
        let story = Story::with(Settings::default(), vec![Arc::new(keychain)]);
        story.push_layer(&repository(&host, "a")).await.unwrap();
        let requests = oauth.server().requests();
        if knows_oauth {
            assert_eq!(requests, ["POST /token"]);
        } else {
            assert_eq!(requests, ["POST /token", "GET /token"]);
            assert!(oauth.server().seen()[1].holds(&basic("<token>", "refresh/me")));
        }
    }
}

/// A gate whose token server lies behind another address.
fn moved(gate: Gate, from: String, to: String) -> Gate {
    Arc::new(move |request| {
        let mut answer = gate(request)?;
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
        let challenge = challenge.replace(&from, &to).parse().unwrap();
        answer.headers_mut().insert("www-authenticate", challenge);
        Some(answer)
    })
}

#[tokio::test]
async fn survives_a_token_server_with_a_bad_day() {
    let registry = Registry::start();
    let tokens = TokenServer::start(u32::MAX, None).await;
    let troubled = FaultProxy::start(&tokens.server.host()).await;
    let html = Fault::Answer { status: 200, headers: Vec::new(), body: "<html>".into() };
    let empty = Fault::Answer { status: 200, headers: Vec::new(), body: r#"{"token":""}"#.into() };
    troubled.on("GET", "/token", [status(503, None), status(429, None), Fault::LoseAnswer]);
    troubled.on("GET", "/token", [html, empty]);
    let gate = moved(tokens.gate(), tokens.server.host(), troubled.server().host());
    let proxy = FaultProxy::start_gated(&registry.host(), gate).await;
    let story = Story::new();
    story.client.resolve(&repository(&proxy.server().host(), "a").at_tag("v1")).await.unwrap();
    assert_eq!(story.clock.waits().len(), 5);
    assert!(troubled.is_exhausted());
}

#[tokio::test]
async fn credentials_go_to_their_own_origin_only() {
    const CANARY: &str = "canary-5e1f";
    let secrets = [CANARY.to_owned(), basic("bob", CANARY), "token1".to_owned()];
    let registry = Registry::start();
    let story = Story::new();
    story.push(&repository(&registry.host(), "a").at_tag("v1")).await.unwrap();
    // Another address and another port are other origins, with everything a thief could want.
    let layer = story.layer.clone();
    let thief = Server::start("127.0.0.2", move |request| {
        let layer = layer.clone();
        Box::pin(async move {
            if request.method() == "GET" {
                return Ok(reply(200, &[], layer));
            }
            let challenge = [("WWW-Authenticate", r#"Basic realm="give me""#)];
            Ok(reply(401, &challenge, ""))
        })
    })
    .await;
    let elsewhere = format!("http://{}/x", thief.host());
    let tokens = TokenServer::start(u32::MAX, Some(basic("bob", CANARY))).await;
    let proxy = FaultProxy::start_gated(&registry.host(), tokens.gate()).await;
    let host = proxy.server().host();
    let story = Story::logged_in(&host, "bob", CANARY);
    let target = repository(&host, "a");

    // A download that is redirected to a storage host works without credentials.
    let redirect = || status(307, Some(("Location", &elsewhere)));
    proxy.on("GET", "/blobs/", [redirect()]);
    let bytes = read(&story.client, &target, &story.layer_descriptor()).await.unwrap();
    assert!(bytes == story.layer);
    // Uploads sent elsewhere, by redirect or by Location, are refused by the thief and fail.
    let target = repository(&host, "b");
    proxy.on("POST", "/blobs/uploads/", [redirect()]);
    assert!(story.push_layer(&target).await.is_err());
    proxy.on("POST", "/blobs/uploads/", [Fault::Header("location", elsewhere.clone())]);
    assert!(story.push_layer(&target).await.is_err());
    proxy.on("PUT", "/blobs/uploads/", [redirect()]);
    assert!(story.push_layer(&target).await.is_err());
    // An honest push still works.
    story.push(&target.at_tag("v1")).await.unwrap();

    assert_eq!(thief.seen().len(), 4);
    for seen in thief.seen() {
        assert!(!secrets.iter().any(|secret| seen.holds(secret)), "{seen:?}");
        assert!(!seen.headers.contains("authorization:"), "{seen:?}");
    }
    // The password goes to the token server, the registry sees tokens only.
    let saw_password = |seen: &Seen| seen.holds(&basic("bob", CANARY));
    assert!(tokens.server.seen().iter().all(saw_password));
    assert!(!proxy.server().seen().iter().any(saw_password));
}

#[tokio::test]
async fn a_registry_of_the_public_may_not_send_us_inside() {
    // The registry is on this machine, so private addresses are fine, the metadata service is not.
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let story = Story::new();
    let repository = repository(&proxy.server().host(), "a");
    for location in ["http://169.254.169.254/latest", "http://0.0.0.0:1/", "http://[fe80::1]/"] {
        proxy.on("GET", "/manifests/", [status(307, Some(("Location", location)))]);
        let error = story.client.fetch_manifest(&repository.at_tag("v1")).await.unwrap_err();
        assert!(matches!(cause(&error), RegistryError::Unsafe { .. }), "{error}");
    }
    let realm = r#"Bearer realm="http://169.254.169.254/token""#;
    proxy.on("GET", "/manifests/", [status(401, Some(("WWW-Authenticate", realm)))]);
    let error = story.client.fetch_manifest(&repository.at_tag("v1")).await.unwrap_err();
    assert!(matches!(cause(&error), RegistryError::Unsafe { .. }), "{error}");
}

#[tokio::test]
async fn a_tag_that_is_none_is_never_sent() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let story = Story::new();
    for tag in ["", "../../catalog", "a?b", "a b", "-x"] {
        let reference = repository(&proxy.server().host(), "a").at_tag(tag);
        for error in [
            story.client.resolve(&reference).await.unwrap_err(),
            story.client.fetch_manifest(&reference).await.unwrap_err(),
            story.put(&reference).await.unwrap_err(),
        ] {
            assert_eq!(error.to_string(), format!("`{tag}` is not a tag"));
            assert_eq!(error.kind(), ErrorKind::Usage);
        }
    }
    assert_eq!(proxy.server().requests(), [""; 0]);
}

#[tokio::test]
async fn redirects_end() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let loops = || status(307, Some(("Location", "?again")));
    proxy.on("GET", "/manifests/", vec![loops(); 100]);
    let story = Story::new();
    let reference = repository(&proxy.server().host(), "a").at_tag("v1");
    let error = story.client.fetch_manifest(&reference).await.unwrap_err();
    assert!(error.to_string().ends_with("it redirects more than 10 times"), "{error}");
    assert_eq!(proxy.server().requests().len(), 11);
}

#[tokio::test]
async fn an_upload_follows_a_redirect_with_its_body() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let story = Story::new();
    let reference = repository(&proxy.server().host(), "a").at_tag("v1");
    let same = format!("http://{}/v2/a/manifests/v1", proxy.server().host());
    proxy.on("PUT", "/manifests/", [status(307, Some(("Location", &same)))]);
    story.push(&reference).await.unwrap();
    assert!(proxy.is_exhausted());
    story.assert_pushed(&registry, &reference).await;
}

#[tokio::test]
async fn tls_is_found_on_loopback_and_never_taken_on_trust() {
    let (registry, certificate) = Registry::start_with_tls();
    let host = registry.host();
    let reference = repository(&host, "a").at_tag("v1");
    let trusting = Settings {
        certificates: BTreeMap::from([(host.clone(), certificate)]),
        ..Settings::default()
    };
    let careless =
        Settings { skip_tls_verify: BTreeSet::from([host.clone()]), ..Settings::default() };
    for settings in [trusting, careless] {
        let story = Story::with(settings, Vec::new());
        story.push(&reference).await.unwrap();
        assert_eq!(story.client.fetch_manifest(&reference).await.unwrap().bytes, story.manifest());
    }
    let story = Story::new();
    let error = story.client.fetch_manifest(&reference).await.unwrap_err();
    assert!(
        matches!(cause(&error), RegistryError::Tls { problem: TlsProblem::UnknownAuthority, .. }),
        "{error}"
    );
    assert_eq!(story.clock.waits(), []);
}

#[tokio::test]
async fn error_bodies_are_cut_and_cleaned() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let body = format!("\x1b[31m{}", "x".repeat(10 * 1024 * 1024));
    proxy.on("GET", "/manifests/", [Fault::Answer { status: 400, headers: Vec::new(), body }]);
    let story = Story::new();
    let reference = repository(&proxy.server().host(), "a").at_tag("v1");
    let error = story.client.fetch_manifest(&reference).await.unwrap_err().to_string();
    assert!(error.chars().count() < 500 && !error.contains('\x1b'), "{error}");
}

#[tokio::test]
async fn a_warning_of_the_registry_is_shown_once() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let warning = Fault::Header("warning", r#"299 - "the end is near""#.into());
    proxy.on("HEAD", "/manifests/", vec![warning; 2]);
    let (events, receiver) = Events::channel();
    let client = Client::new(ClientOptions {
        settings: Settings::default(),
        keychains: Vec::new(),
        events,
        clock: Arc::new(ManualClock::at(0)),
    });
    let host = proxy.server().host();
    for _ in 0..2 {
        client.resolve(&repository(&host, "a").at_tag("v1")).await.unwrap();
    }
    drop(client);
    let text = format!("`{host}` says: the end is near");
    let warning = Event::Warning { code: "registry-warning", text, hint: None };
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [warning]);
}

#[tokio::test]
async fn what_is_pulled_and_does_not_exist_is_the_users_turn() {
    let registry = Registry::start();
    let story = Story::new();
    let repository = repository(&registry.host(), "acme/base");
    story.push(&repository.at_tag("v1")).await.unwrap();
    let hint = format!(
        "check the name and the tag; `skopeo list-tags docker://{repository}` shows those that exist"
    );
    let digest = Digest::of(b"nope");
    for (reference, what) in [
        (repository.at_tag("nope"), "tag `nope`".to_owned()),
        (repository.at_digest(digest), format!("image `{digest}`")),
    ] {
        let error = story.client.fetch_manifest(&reference).await.unwrap_err();
        let text = error.to_string();
        let expected = format!("there is no {what} in `{repository}`: MANIFEST_UNKNOWN");
        assert!(text.starts_with(&expected), "{text}");
        assert_eq!((error.kind(), error.hints()), (ErrorKind::Usage, vec![hint.clone()]));
    }
}

#[tokio::test]
async fn the_right_to_push_is_proved_without_pushing() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let repository = repository(&proxy.server().host(), "a");
    let story = Story::new();
    // The tag is not there: that is no matter.
    story.client.prove_push(&repository, "v1").await.unwrap();
    // A robot that may only push is not allowed to look.
    proxy.on("HEAD", "/manifests/v1", [refusal(403, "DENIED"), refusal(403, "DENIED")]);
    proxy.on("POST", "/blobs/uploads/", [Fault::Pass, refusal(403, "DENIED")]);
    story.client.prove_push(&repository, "v1").await.unwrap();
    let error = story.client.prove_push(&repository, "v1").await.unwrap_err();
    assert!(matches!(cause(&error), RegistryError::Denied { .. }), "{error}");
    let seen = proxy.server().requests();
    let methods: Vec<_> = seen.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(methods, ["HEAD", "HEAD", "POST", "DELETE", "HEAD", "POST"]);

    let closed = Registry::start_with_password();
    let host = closed.host();
    let repository = self::repository(&host, "a");
    let wrong = Story::logged_in(&host, USERNAME, "canary");
    let error = wrong.client.prove_push(&repository, "v1").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot push to `{host}/a`: `{host}` does not accept user `bob` from the flags")
    );
    assert_eq!(error.kind(), ErrorKind::Usage);
}
