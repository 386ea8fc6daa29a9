//! Blobs that are gone or damaged before they are published.

use std::fs;

use dockless::error::ErrorKind;

use super::Story;
use crate::support::image::hello;
use crate::support::registry::Registry;

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_leaves_nothing_behind() {
    let story = Story::new();
    let hello = hello(&story.context.store);
    let lost = &hello.images[0].layers[1].descriptor.digest;
    fs::remove_file(story.context.store.blob_path(lost)).unwrap();
    for to in [
        story.local("oci", "a/b"),
        story.local("oci-archive", "a.tar"),
        story.local("docker-archive", "b.tar"),
    ] {
        let error = story.try_publish(&to, &hello, &[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed);
        let lines = error.lines();
        assert_eq!(
            lines.last().unwrap(),
            &format!("blob `{lost}` is gone from the cache, or damaged"),
        );
    }
    assert_eq!(fs::read_dir(story.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_blob_of_the_cache_goes_nowhere() {
    let story = Story::new();
    let hello = hello(&story.context.store);
    let digest = &hello.images[0].layers[0].descriptor.digest;
    let blob = story.context.store.blob_path(digest);
    let mut bytes = fs::read(&blob).unwrap();
    bytes[20] ^= 1;
    fs::write(&blob, bytes).unwrap();
    for to in [story.local("oci", "out"), story.local("oci-archive", "a.tar")] {
        let error = story.try_publish(&to, &hello, &[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed, "{error}");
    }
    assert_eq!(fs::read_dir(story.path()).unwrap().count(), 0);
}

/// Somebody cleaned up the cache in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_gone_from_the_cache_is_named() {
    let (story, registry) = (Story::new(), Registry::start());
    let hello = hello(&story.context.store);
    let digest = &hello.images[0].layers[0].descriptor.digest;
    fs::remove_file(story.context.store.blob_path(digest)).unwrap();
    let to_registry = format!("{}/a/b", registry.host());
    for to in [to_registry, story.local("oci", "out"), story.local("oci-archive", "a.tar")] {
        let error = story.try_publish(&to, &hello, &[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed, "{error}");
        let expected = format!("blob `{digest}` is gone from the cache, or damaged");
        assert!(error.lines().contains(&expected), "{to}: {error}");
        assert_eq!(error.hints(), ["build the image again"], "{to}");
    }
}
