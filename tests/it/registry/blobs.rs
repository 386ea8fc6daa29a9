//! Blobs: pushed, mounted, streamed, read back.

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dockless::event::{Action, Event, Events};
use dockless::oci::{Descriptor, Digest, MediaType};
use dockless::registry::{
    BlobLookup, BlobOutcome, BlobPush, BlobSource, Error as RegistryError, ManifestOutcome,
    Settings,
};
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::Response;
use hyper::body::Frame;

use super::super::support::fault_proxy::{Fault, FaultProxy, refusal, saying, status};
use super::super::support::registry::Registry;
use super::super::support::server::{Cut, Seen, Server, reply};
use super::{LAYER_BYTES, Story, cause, impatient, more_than_buffers_take, read, repository};

/// So much of an answer comes at once.
const PIECE_BYTES: usize = 16 * 1024;

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
    assert!(story.clock.waits().is_empty());
}

#[tokio::test]
async fn a_blob_is_looked_for_without_being_fetched() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let story = Story::new();
    let repository = repository(&proxy.server().host(), "a");
    let layer = story.layer_descriptor();
    let look = async |descriptor: &Descriptor| {
        story.client.look_for_blob(&repository, descriptor).await.unwrap()
    };
    assert_eq!(look(&layer).await, BlobLookup::Absent);
    story.push_layer(&repository).await.unwrap();
    let before = proxy.server().seen().len();
    assert_eq!(look(&layer).await, BlobLookup::Present);
    let lying = Descriptor { size: 7, ..layer.clone() };
    assert_eq!(look(&lying).await, BlobLookup::OtherSize(LAYER_BYTES as u64));
    let head = format!("HEAD /v2/a/blobs/{}", layer.digest);
    let lines = || -> Vec<_> { proxy.server().seen()[before..].iter().map(Seen::line).collect() };
    assert_eq!(lines(), [head.as_str(); 2]);
    // Who knows no `HEAD`, or refuses it, is asked for the blob.
    for answer in [405, 403] {
        proxy.on("HEAD", "/blobs/", [status(answer, None), status(answer, None)]);
        assert_eq!(look(&layer).await, BlobLookup::Present, "{answer}");
        let absent = Descriptor::of(MediaType::OciLayer, b"absent");
        assert_eq!(look(&absent).await, BlobLookup::Absent, "{answer}");
    }
    assert!(proxy.is_exhausted());
}

#[tokio::test]
async fn says_how_large_a_blob_is_as_far_as_the_registry_does() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let story = Story::new();
    let (repository, layer) = (repository(&proxy.server().host(), "a"), story.layer_descriptor());
    let ask = async || story.client.blob_size(&repository, &layer.digest).await;
    let error = ask().await.unwrap_err();
    assert!(matches!(cause(&error), RegistryError::NotFound { .. }), "{error}");
    story.push_layer(&repository).await.unwrap();
    assert_eq!(ask().await.unwrap(), Some(layer.size));
    for silent in
        [Fault::Header("content-length", "0".into()), status(405, None), status(403, None)]
    {
        proxy.on("HEAD", "/blobs/", [silent]);
        assert_eq!(ask().await.unwrap(), None);
    }
    assert!(proxy.is_exhausted());
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
    let push = BlobPush {
        repository: &repository,
        descriptor: &layer,
        source: &source,
        mount_from: None,
        spare: None,
        is_hardly_there: false,
    };
    story.client.push_blob(push, &task).await.unwrap();
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
async fn a_new_repository_is_asked_only_where_that_can_save_a_lot() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let story = Story::new();
    let at = |path: &str| repository(&proxy.server().host(), path);
    let (large, small) = (story.layer.clone(), story.config.clone());
    let push = async |to: &str, bytes: &bytes::Bytes, from: Option<&str>| {
        let before = proxy.server().requests().len();
        let (repository, from) = (at(to), from.map(&at));
        let task = Events::none().task(Action::Upload, "blob", None);
        let push = BlobPush {
            repository: &repository,
            descriptor: &Descriptor::of(MediaType::OciLayer, bytes),
            source: &BlobSource::Bytes(bytes.clone()),
            mount_from: from.as_ref(),
            spare: None,
            is_hardly_there: true,
        };
        let outcome = story.client.push_blob(push, &task).await.unwrap();
        let seen = proxy.server().seen()[before..].to_vec();
        (outcome, seen.iter().map(|seen| seen.method.clone()).collect::<Vec<_>>().join(" "))
    };
    let outcome = |outcome, requests: &str| (outcome, requests.to_owned());
    let uploaded = |requests: &str| outcome(BlobOutcome::Uploaded, requests);
    assert_eq!(push("a", &small, None).await, uploaded("POST PUT"));
    assert_eq!(push("a", &large, None).await, uploaded("HEAD POST PUT"));
    // A blob that is there all the same.
    assert_eq!(push("a", &small, None).await, uploaded("POST PUT"));
    assert_eq!(push("a", &large, None).await, outcome(BlobOutcome::Present, "HEAD"));
    for bytes in [&small, &large] {
        assert_eq!(push("b", bytes, Some("a")).await, outcome(BlobOutcome::Mounted, "POST"));
    }
    // The other repository has nothing.
    assert_eq!(push("c", &small, Some("x")).await, uploaded("POST PUT"));
    assert_eq!(push("c", &large, Some("x")).await, uploaded("POST HEAD PUT"));
    let present = outcome(BlobOutcome::Present, "POST HEAD DELETE");
    assert_eq!(push("c", &large, Some("x")).await, present);
    // After a fault nobody knows.
    proxy.on("PUT", "/d/blobs/uploads/", [Fault::LoseAnswer]);
    let lost = push("d", &small, None).await;
    assert_eq!(lost.0, BlobOutcome::Uploaded);
    assert!(lost.1.starts_with("POST PUT HEAD"), "{lost:?}");
}

#[tokio::test]
async fn a_small_blob_of_another_registry_is_asked_for_before_it_is_fetched() {
    let (registry, elsewhere) = (Registry::start(), Registry::start());
    let proxy = FaultProxy::start(&elsewhere.host()).await;
    let story = Story::new();
    let from = repository(&proxy.server().host(), "base");
    let layer = Descriptor::of(MediaType::OciLayer, &story.config);
    let bytes = BlobSource::Bytes(story.config.clone());
    story.push_blob(&from, &layer, &bytes, None).await.unwrap();
    let before = proxy.server().requests().len();
    for expected in [BlobOutcome::Uploaded, BlobOutcome::Present] {
        let task = Events::none().task(Action::Upload, "blob", None);
        let push = BlobPush {
            repository: &repository(&registry.host(), "a"),
            descriptor: &layer,
            source: &BlobSource::Registry(from.clone()),
            mount_from: None,
            spare: None,
            is_hardly_there: true,
        };
        assert_eq!(story.client.push_blob(push, &task).await.unwrap(), expected);
    }
    let fetched = format!("GET /v2/base/blobs/{}", layer.digest);
    assert_eq!(proxy.server().requests()[before..], [fetched]);
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
async fn a_mount_that_is_put_off_is_asked_for_again_a_few_times() {
    let registry = Registry::start();
    let wait = Duration::from_secs(7);
    for (times, expected, waits) in
        [(2, BlobOutcome::Mounted, vec![wait; 2]), (4, BlobOutcome::Uploaded, vec![wait; 3])]
    {
        let proxy = FaultProxy::start(&registry.host()).await;
        let host = proxy.server().host();
        let (base, target) =
            (repository(&host, "base"), repository(&host, &format!("target{times}")));
        Story::new().push_layer(&base).await.unwrap();
        let story = Story::new();
        proxy.on("POST", "mount=", vec![status(503, Some(("Retry-After", "7"))); times]);
        let (layer, source) = (story.layer_descriptor(), BlobSource::Bytes(story.layer.clone()));
        let outcome = story.push_blob(&target, &layer, &source, Some(&base)).await.unwrap();
        assert_eq!((outcome, story.clock.waits()), (expected, waits));
        assert!(proxy.is_exhausted());
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_true_does_not_count_as_presence() {
    let registry = Registry::start();
    for (length, expected) in [
        ("5", BlobOutcome::Uploaded),
        ("0", BlobOutcome::Present),
        ("3145728", BlobOutcome::Present),
    ] {
        let server = Server::start("127.0.0.1", move |request| {
            Box::pin(async move {
                Ok(match request.method().as_str() {
                    "HEAD" => reply(200, &[("Content-Length", length)], ""),
                    "POST" => reply(202, &[("Location", "/v2/a/blobs/uploads/1")], ""),
                    _ => {
                        let _ = request.into_body().collect().await;
                        reply(201, &[], "")
                    }
                })
            })
        })
        .await;
        let outcome = Story::new().push_layer(&repository(&server.host(), "a")).await;
        assert_eq!(outcome.unwrap(), expected, "{length}");
    }
    // A registry that has a blob which nobody sent it, nor asked it to take from elsewhere.
    let proxy = FaultProxy::start(&registry.host()).await;
    proxy.on("POST", "/blobs/uploads/", [status(201, None)]);
    let target = repository(&proxy.server().host(), "a");
    let error = Story::new().push_layer(&target).await.unwrap_err();
    let told = "it says that a blob is there which it has not been sent";
    assert!(error.to_string().ends_with(told), "{error}");
}

#[tokio::test]
async fn what_a_registry_says_of_chunks_does_not_matter() {
    let registry = Registry::start();
    let story = Story::new();
    for (place, (name, value)) in [
        ("range", "0-0"),
        ("range", "0-999999999"),
        ("range", "junk"),
        ("oci-chunk-min-length", "999999999"),
        ("docker-upload-uuid", ""),
        ("docker-upload-uuid", "another"),
    ]
    .into_iter()
    .enumerate()
    {
        let proxy = FaultProxy::start(&registry.host()).await;
        proxy.on("POST", "/blobs/uploads/", [Fault::Header(name, value.into())]);
        let target = repository(&proxy.server().host(), &format!("chunks{place}"));
        let outcome = story.push_layer(&target).await.unwrap();
        assert_eq!(outcome, BlobOutcome::Uploaded, "{name}: {value}");
        let methods: Vec<_> = proxy.server().seen().into_iter().map(|seen| seen.method).collect();
        assert_eq!(methods, ["HEAD", "POST", "PUT"], "{name}: {value}");
    }
}

#[tokio::test]
async fn a_blob_that_may_not_be_looked_for_is_sent() {
    let registry = Registry::start();
    let story = Story::new();
    for code in [403, 405] {
        let proxy = FaultProxy::start(&registry.host()).await;
        proxy.on("HEAD", "/blobs/", [status(code, None)]);
        let target = repository(&proxy.server().host(), &format!("blind{code}"));
        assert_eq!(story.push_layer(&target).await.unwrap(), BlobOutcome::Uploaded, "{code}");
        assert!(proxy.is_exhausted());
    }
}

#[tokio::test]
async fn a_full_project_says_so_in_the_registrys_words() {
    let registry = Registry::start();
    for (method, path, code) in
        [("PUT", "/blobs/uploads/", 403), ("PUT", "/manifests/", 403), ("PUT", "/manifests/", 507)]
    {
        let proxy = FaultProxy::start(&registry.host()).await;
        let tag = repository(&proxy.server().host(), &format!("full{code}")).at_tag("v1");
        // That the tag is there does not make it a question of the tag.
        let before = Story { config: b"{}".as_slice().into(), ..Story::new() };
        before.push(&tag).await.unwrap();
        proxy.on(method, path, [saying(code, "DENIED", "quota of 5 GiB exceeded")]);
        let story = Story::new();
        let error = story.push(&tag).await.unwrap_err();
        assert!(error.to_string().ends_with(": DENIED: quota of 5 GiB exceeded"), "{error}");
        assert!(story.clock.waits().is_empty());
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

/// A registry that checks nothing, and the digests of what it took; where it is hasty, it says that all
/// is well before it has the bytes.
async fn careless_registry(is_hasty: bool) -> (Server, Arc<Mutex<Vec<Digest>>>) {
    let taken: Arc<Mutex<Vec<Digest>>> = Arc::default();
    let kept = Arc::clone(&taken);
    let server = Server::start("127.0.0.1", move |request| {
        let kept = Arc::clone(&kept);
        Box::pin(async move {
            Ok(match request.method().as_str() {
                "POST" => reply(202, &[("Location", "/v2/target/blobs/uploads/1")], ""),
                "PUT" if is_hasty => reply(201, &[], ""),
                "PUT" => {
                    let body = request.into_body().collect().await.map_err(|_| Cut)?;
                    kept.lock().unwrap().push(Digest::of(&body.to_bytes()));
                    reply(201, &[], "")
                }
                "DELETE" => reply(204, &[], ""),
                _ => reply(404, &[], ""),
            })
        })
    })
    .await;
    (server, taken)
}

#[tokio::test]
async fn wrong_bytes_are_never_passed_on_whole() {
    let story = Story::new();
    let layer = story.layer_descriptor();
    let empty = Descriptor::new(MediaType::OciLayer, layer.digest, 0);
    let from = Registry::start();
    story.push_layer(&repository(&from.host(), "base")).await.unwrap();
    let proxy = FaultProxy::start(&from.host()).await;
    let base = repository(&proxy.server().host(), "base");
    let source = BlobSource::Registry(base.clone());
    let mut damaged = story.layer.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    for (is_hasty, bytes, descriptor) in
        [(false, damaged.clone(), &layer), (true, damaged, &layer), (false, Vec::new(), &empty)]
    {
        let (server, taken) = careless_registry(is_hasty).await;
        let target = repository(&server.host(), "target");
        proxy.on("GET", "/blobs/", vec![Fault::Body(bytes.clone().into()); 2]);
        let error = story.push_blob(&target, descriptor, &source, None).await.unwrap_err();
        let told = format!(
            "cannot download blob `{}` from `{base}`: expected {}, got {}",
            layer.digest.short(),
            layer.digest,
            Digest::of(&bytes)
        );
        assert_eq!(error.lines().last(), Some(&told));
        assert_eq!(*taken.lock().unwrap(), []);
    }
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

#[tokio::test]
async fn a_download_goes_on_where_it_broke() {
    let registry = Registry::start();
    // What a try leaves must not be in the way of the next one.
    let story = Story::with(Settings { concurrency: 1, ..impatient() }, Vec::new());
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
async fn no_more_comes_at_once_than_is_allowed() {
    // How many answers are on their way now, and how many there were at most.
    let open = Arc::new(Mutex::new((0, 0)));
    let mut story = Story::with(Settings { concurrency: 2, ..Settings::default() }, Vec::new());
    story.layer = more_than_buffers_take();
    let (layer, counter) = (story.layer.clone(), Arc::clone(&open));
    let registry = Server::start("127.0.0.1", move |_| {
        let (layer, counter) = (layer.clone(), Arc::clone(&counter));
        Box::pin(async move {
            {
                let mut open = counter.lock().unwrap();
                open.0 += 1;
                open.1 = open.1.max(open.0);
            }
            let size = layer.len();
            let pieces = stream::iter((0..size).step_by(PIECE_BYTES)).map(move |start| {
                let end = size.min(start + PIECE_BYTES);
                if end == size {
                    counter.lock().unwrap().0 -= 1;
                }
                Ok(Frame::data(layer.slice(start..end)))
            });
            let body = StreamBody::new(pieces).boxed_unsync();
            Ok(Response::builder().header("Content-Length", size).body(body).unwrap())
        })
    })
    .await;
    let (repository, layer) = (repository(&registry.host(), "a"), story.layer_descriptor());
    let downloads = (0..4).map(|_| read(&story.client, &repository, &layer));
    for bytes in futures_util::future::join_all(downloads).await {
        assert!(bytes.unwrap() == story.layer);
    }
    assert_eq!(*open.lock().unwrap(), (0, 2));
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
    assert!(story.clock.waits().is_empty());
}
