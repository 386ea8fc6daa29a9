//! Manifests and tags, and what registries say about them.

use std::sync::Arc;

use bytes::Bytes;
use dockless::error::ErrorKind;
use dockless::event::{Event, Events};
use dockless::oci::{Descriptor, Digest, MediaType};
use dockless::registry::{
    Client, ClientOptions, Error as RegistryError, ManifestOutcome, Settings, TagLookup,
};
use dockless::sys::ManualClock;

use super::super::support::fault_proxy::{Fault, FaultProxy, refusal, saying, status};
use super::super::support::registry::Registry;
use super::{Story, cause, repository};

#[tokio::test]
async fn a_registry_that_lost_content_is_told_apart() {
    let registry = Registry::start();
    let story = Story::new();
    let reference = repository(&registry.host(), "a").at_tag("v1");
    let error = story.put(&reference).await.unwrap_err();
    assert!(matches!(cause(&error), RegistryError::ContentMissing { .. }), "{error}");
    assert!(story.clock.waits().is_empty());
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
    for refused in [
        refusal(400, "TAG_INVALID"),
        refusal(412, "PRECONDITION"),
        saying(403, "DENIED", "cannot be updated due to immutability settings"),
    ] {
        proxy.on("PUT", "/manifests/", [refused]);
        let error = other.push(&reference).await.unwrap_err();
        assert!(
            matches!(cause(&error), RegistryError::TagIsImmutable { existing: stays, .. } if *stays == Some(existing)),
            "{error}"
        );
    }
    // The same digest needs no permission to stay.
    proxy.on("PUT", "/manifests/", [refusal(400, "TAG_INVALID")]);
    assert_eq!(story.push(&reference).await.unwrap(), ManifestOutcome::Unchanged);
}

#[tokio::test]
async fn a_refusal_with_other_words_is_not_about_the_tag() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let story = Story::new();
    let reference = repository(&proxy.server().host(), "a").at_tag("v1");
    story.push(&reference).await.unwrap();
    let other = Story { config: Bytes::from_static(b"{}"), ..Story::new() };
    let quota = "will exceed the configured upper limit of 5 GiB";
    for (refused, expected) in [
        (saying(403, "DENIED", quota), format!("denies it: DENIED: {quota}")),
        (refusal(403, "DENIED"), "denies it: DENIED: on purpose".into()),
        (saying(409, "CONFLICT", "try again"), "answered 409: CONFLICT: try again".into()),
    ] {
        proxy.on("PUT", "/manifests/", [refused]);
        let error = other.push(&reference).await.unwrap_err().to_string();
        assert!(error.ends_with(&expected), "{error}");
    }
}

#[tokio::test]
async fn a_tag_is_looked_up_before_a_push_where_that_is_allowed() {
    let registry = Registry::start();
    let story = Story::new();
    let direct = repository(&registry.host(), "a").at_tag("v1");
    story.push(&direct).await.unwrap();
    let there = Descriptor::of(MediaType::OciManifest, &story.manifest()).digest.to_string();
    let twice = |code| [("HEAD", status(405, None)), ("GET", status(code, None))].to_vec();
    for (faults, expected) in [
        (vec![("HEAD", Fault::Pass)], &*there),
        (vec![("HEAD", status(405, None))], &there),
        (vec![("HEAD", Fault::Header("docker-content-digest", String::new()))], &there),
        (vec![("HEAD", status(404, None))], "absent"),
        (twice(404), "absent"),
        // What else is answered says nothing about the tag.
        (vec![("HEAD", status(403, None))], "unknown"),
        (vec![("HEAD", status(400, None))], "unknown"),
        (twice(403), "unknown"),
        (twice(405), "unknown"),
    ] {
        let proxy = FaultProxy::start(&registry.host()).await;
        for (method, fault) in faults {
            proxy.on(method, "/manifests/", [fault]);
        }
        let reference = repository(&proxy.server().host(), "a").at_tag("v1");
        let found = match story.client.look_before_push(&reference).await.unwrap() {
            TagLookup::Found(found) => found.digest.to_string(),
            TagLookup::Absent => "absent".to_owned(),
            TagLookup::Unknown(_) => "unknown".to_owned(),
        };
        assert_eq!(found, expected);
        assert!(proxy.is_exhausted());
    }
}

#[tokio::test]
async fn a_tag_that_may_not_move_is_not_even_tried() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let story = Story::new();
    let reference = repository(&proxy.server().host(), "a").at_tag("v1");
    story.push(&reference).await.unwrap();
    let create = async |document: &[u8]| {
        let bytes = Bytes::copy_from_slice(document);
        let descriptor = Descriptor::of(MediaType::OciManifest, &bytes);
        story.client.create_tag(&reference, &descriptor, &bytes).await
    };
    assert_eq!(create(&story.manifest()).await.unwrap(), ManifestOutcome::Unchanged);
    let error = create(b"{}").await.unwrap_err();
    let stays = Digest::of(&story.manifest());
    assert!(
        matches!(cause(&error), RegistryError::TagIsImmutable { existing, .. } if *existing == Some(stays)),
        "{error}"
    );
    // Nor is one of which nothing is known.
    proxy.on("HEAD", "/manifests/", [status(403, None)]);
    let error = create(b"{}").await.unwrap_err();
    assert!(matches!(cause(&error), RegistryError::TagUnknown { .. }), "{error}");
    let puts =
        proxy.server().requests().iter().filter(|line| line.starts_with("PUT /v2/a/m")).count();
    assert_eq!(puts, 1);
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
        cleanup: tokio_util::task::TaskTracker::new(),
    });
    let host = proxy.server().host();
    for _ in 0..2 {
        client.resolve(&repository(&host, "a").at_tag("v1")).await.unwrap();
    }
    drop(client);
    let text = format!("`{host}` says: the end is near");
    let warning = Event::Warning { code: "registry-warning", text, hint: None };
    let is_warning = |event: &Event| matches!(event, Event::Warning { .. });
    assert_eq!(receiver.iter().filter(is_warning).collect::<Vec<_>>(), [warning]);
}

#[tokio::test]
async fn what_is_pulled_and_does_not_exist_is_the_users_turn() {
    let registry = Registry::start();
    let story = Story::new();
    let repository = repository(&registry.host(), "acme/base");
    story.push(&repository.at_tag("v1")).await.unwrap();
    let hint = format!(
        "check the name and the tag; `skopeo list-tags --tls-verify=false docker://{repository}` shows those that exist"
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
