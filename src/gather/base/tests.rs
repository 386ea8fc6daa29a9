use std::sync::Arc;

use super::*;
use crate::registry::{ClientOptions, Settings};
use crate::sys::ManualClock;

/// Runs against a registry that is never asked anything.
async fn with_found<T>(test: impl AsyncFnOnce(Found<'_>) -> T) -> T {
    let events = Events::none();
    let client = Client::new(ClientOptions {
        settings: Settings::default(),
        keychains: Vec::new(),
        events: events.clone(),
        clock: Arc::new(ManualClock::at(0)),
        cleanup: tokio_util::task::TaskTracker::new(),
    });
    let repository = "a.io/b".parse().expect("it is a repository");
    test(Found {
        role: "base",
        name: "a.io/b".into(),
        canonical_name: None,
        source: Source::Registry { client: &client, repository },
        events: &events,
    })
    .await
}

#[tokio::test]
async fn a_document_of_another_type_is_no_base() {
    for (media_type, message) in [
        (
            SCHEMA_1[0],
            "base `a.io/b` has a manifest of Docker's schema 1, which ceased to be served in 2020",
        ),
        (
            SCHEMA_1[1],
            "base `a.io/b` has a manifest of Docker's schema 1, which ceased to be served in 2020",
        ),
        ("text/html", "base `a.io/b` is no container image: its type is `text/html`"),
    ] {
        let error = with_found(async |found| {
            let bytes = Bytes::from_static(b"{}");
            found.images(bytes, MediaType::parse(media_type), &[]).await.unwrap_err()
        });
        assert_eq!(error.await.to_string(), message);
    }
}

#[tokio::test]
async fn a_base_has_at_most_127_layers() {
    let descriptor = Descriptor::of(MediaType::OciLayerGzip, b"");
    let of = |count: usize| {
        let config = Descriptor::of(MediaType::OciConfig, b"{}");
        let manifest = Manifest::new(config, vec![descriptor.clone(); count]);
        let mut config = ImageConfig::scratch(&Platform::linux_amd64());
        config.rootfs.diff_ids = vec![Digest::of(b""); count];
        (manifest, config)
    };
    with_found(async |found| {
        let (manifest, config) = of(127);
        assert_eq!(found.layers(&manifest, &config).unwrap().len(), 127);
        let (manifest, config) = of(128);
        assert_eq!(
            found.layers(&manifest, &config).unwrap_err().to_string(),
            "base `a.io/b` has 128 layers, more than 127"
        );
    })
    .await;
}

#[test]
fn the_canonical_name_is_how_the_same_image_is_asked_for_again() {
    let digest = Digest::of(b"");
    for (text, expected) in [
        ("python", "docker.io/library/python:latest".to_owned()),
        ("python:3.12", "docker.io/library/python:3.12".to_owned()),
        (&format!("a.io/b:1@{digest}"), "a.io/b:1".to_owned()),
        (&format!("a.io/b@{digest}"), format!("a.io/b@{digest}")),
    ] {
        let reference: Reference = text.parse().expect("it is a reference");
        assert_eq!(canonical_name(&reference), expected);
    }
}
