//! Archives, in the form of OCI and in that of `docker load`.

use std::fs;

use dockless::error::ErrorKind;
use dockless::oci::{Descriptor, Digest};
use dockless::plan::LayerCompression;
use dockless::publish::destinations::parse;
use serde_json::{Value, json};

use super::{Story, files};
use crate::support::image::{assembly, file, hello, image, layer, run};

#[tokio::test(flavor = "multi_thread")]
async fn every_platform_is_kept_in_a_layout_and_in_an_archive() {
    let story = Story::new();
    let shared = layer(&story.context.store, "shared", &[file("shared", "x")]);
    let images: Vec<_> = ["linux/amd64", "linux/arm64"]
        .map(|platform| {
            let own = layer(&story.context.store, platform, &[file("own", platform)]);
            image(&platform.parse().unwrap(), vec![shared.clone(), own])
        })
        .into();
    let both = assembly(images);
    let layout = story.publish(&story.local("oci", "out"), &both, &["v1"]).await;
    story.publish(&story.local("oci-archive", "out.tar"), &both, &["v1"]).await;
    let names: Vec<_> = layout.platforms.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["linux/amd64", "linux/arm64"]);
    for from in ["oci:out:v1", "oci-archive:out.tar:v1"] {
        let raw = run("skopeo", &["inspect", "--raw", from], story.path());
        assert_eq!(Digest::of(raw.as_bytes()), both.descriptor().digest, "{from}");
        run("skopeo", &["copy", "-q", "--all", from, "dir:all"], story.path());
        for arch in ["amd64", "arm64"] {
            let arguments = ["inspect", "--config", "--override-arch", arch, from];
            let config: Value =
                serde_json::from_str(&run("skopeo", &arguments, story.path())).unwrap();
            assert_eq!(config["architecture"], arch);
        }
    }
    let error =
        story.try_publish(&story.local("docker-archive", "d.tar"), &both, &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(!story.path().join("d.tar").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oci_archive_is_a_layout_in_a_tar_and_the_same_every_time() {
    let story = Story::new();
    let hello = hello(&story.context.store);
    story.publish(&story.local("oci-archive", "a.tar"), &hello, &["v1"]).await;
    story.publish(&story.local("oci-archive", "b.tar"), &hello, &["v1"]).await;
    story.publish("oci-archive:-", &hello, &["v1"]).await;
    let archive = fs::read(story.path().join("a.tar")).unwrap();
    assert_eq!(fs::read(story.path().join("b.tar")).unwrap(), archive);
    assert_eq!(*story.stdout.0.lock().unwrap(), archive);

    run("skopeo", &["copy", "-q", "oci-archive:a.tar:v1", "dir:copy"], story.path());
    let manifest = fs::read(story.path().join("copy/manifest.json")).unwrap();
    assert_eq!(Digest::of(&manifest), hello.descriptor().digest);
    // The tar unpacked is what `oci:` writes.
    story.publish(&story.local("oci", "out"), &hello, &["v1"]).await;
    fs::create_dir(story.path().join("unpacked")).unwrap();
    run("tar", &["-xf", "a.tar", "-C", "unpacked"], story.path());
    assert_eq!(files(&story.path().join("unpacked")), files(&story.path().join("out")));
    let listed = run("tar", &["-tf", "a.tar"], story.path());
    let listed: Vec<_> = listed.lines().filter(|name| name.len() < 70).collect();
    assert_eq!(listed, ["blobs/", "blobs/sha256/", "index.json", "oci-layout"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_docker_archive_is_what_docker_load_reads() {
    let story = Story::new();
    let hello = hello(&story.context.store);
    let to = story.local("docker-archive", "a.tar");
    let published = story.publish(&to, &hello, &["v1", "latest"]).await;
    assert_eq!(published.tags, ["v1", "latest"]);
    story.publish("-", &hello, &["v1", "latest"]).await;
    let archive = fs::read(story.path().join("a.tar")).unwrap();
    assert_eq!(*story.stdout.0.lock().unwrap(), archive);

    let manifest = run("tar", &["-xOf", "a.tar", "manifest.json"], story.path());
    let image = &hello.images[0];
    let blob = |descriptor: &Descriptor| format!("blobs/sha256/{}", descriptor.digest.hex());
    assert_eq!(
        serde_json::from_str::<Value>(&manifest).unwrap(),
        json!([{
            "Config": blob(&image.config.descriptor),
            "RepoTags": ["hello:v1", "hello:latest"],
            "Layers": [blob(&image.layers[0].descriptor), blob(&image.layers[1].descriptor)],
        }])
    );
    let copy = ["copy", "-q", "docker-archive:a.tar:hello:v1", "oci:copy:v1"];
    run("skopeo", &copy, story.path());
    run("umoci", &["unpack", "--rootless", "--image", "copy:v1", "bundle"], story.path());
    let run = story.path().join("bundle/rootfs/app/run");
    assert_eq!(fs::read_to_string(run).unwrap(), "#!/bin/sh\necho hello\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_replaces_a_file_and_never_a_folder() {
    let story = Story::new();
    let hello = hello(&story.context.store);
    fs::create_dir(story.path().join("folder")).unwrap();
    for (name, reason) in [("folder", "it is a folder"), ("no/a.tar", "its folder does not exist")]
    {
        let to = story.local("oci-archive", name);
        let message =
            format!("cannot write an archive to `{}`: {reason}", story.path().join(name).display());
        assert_eq!(
            parse(&to).unwrap().check(&[], LayerCompression::Gzip).unwrap_err().to_string(),
            message
        );
        let error = story.try_publish(&to, &hello, &[]).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Usage, message));
    }
    fs::write(story.path().join("real.tar"), "old").unwrap();
    std::os::unix::fs::symlink("real.tar", story.path().join("link.tar")).unwrap();
    story.publish(&story.local("oci-archive", "link.tar"), &hello, &[]).await;
    assert!(story.path().join("link.tar").is_symlink());
    run("tar", &["-tf", "real.tar"], story.path());
    // A device is written to, and is full.
    let error = story.try_publish("oci-archive:/dev/full", &hello, &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert_eq!(error.lines()[0], "write an archive to `/dev/full`");
    // A pipe takes the bytes itself.
    run("mkfifo", &["pipe"], story.path());
    let pipe = story.path().join("pipe");
    let reader = tokio::task::spawn_blocking(move || fs::read(pipe).unwrap());
    story.publish(&story.local("oci-archive", "pipe"), &hello, &[]).await;
    assert_eq!(reader.await.unwrap(), fs::read(story.path().join("real.tar")).unwrap());
}
