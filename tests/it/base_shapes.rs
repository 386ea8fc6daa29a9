//! Bases of every shape that registries have: what stands in our layer is the same as on a plain
//! base with the same file system, folder for folder.

use std::fs;
use std::process::Command;

use bytes::Bytes;
use dockless::event::Events;
use dockless::image::Image;
use dockless::layer::Layer;
use dockless::oci::{Descriptor, Digest, Document, Index, MediaType, Platform, Repository};
use dockless::plan::Origin;
use dockless::publish::destinations::parse;
use dockless::store::Store;
use serde_json::Value;

use super::support::cli::Sandbox;
use super::support::image::{
    Member, assembly, client, file, folder, image, link, publish_context, repository, run,
};
use super::support::registry::Registry;

/// Files below folders with owners and modes of their own, below links, and below nothing.
const AGENT: &str = "\
name: agent
base: scratch
layers:
  - kind: files
    copy:
      - {src: run, dest: /app/run}
      - {src: run, dest: /bin/tool}
      - {src: run, dest: /opt/new/file}
      - {src: run, dest: /tmp/file}
      - {src: run, dest: /var/run/file}
";

/// Our layer on a base whose `/bin` and `/var/run` are links.
const ON_LINKS: &str = "\
drwxr-xr-x 1000/1000 app/
-rw-r--r-- 0/0 app/run
drwxrwsr-x 50/50 opt/
drwxr-xr-x 0/0 opt/new/
-rw-r--r-- 0/0 opt/new/file
drwxr-xr-x 0/0 run/
-rw-r--r-- 0/0 run/file
drwxrwxrwt 0/0 tmp/
-rw-r--r-- 0/0 tmp/file
drwxr-xr-x 0/0 usr/
drwxr-xr-x 0/0 usr/bin/
-rw-r--r-- 0/0 usr/bin/tool
";

/// Our layer on a base whose `/bin` and `/var/run` are folders.
const ON_FOLDERS: &str = "\
drwxr-xr-x 1000/1000 app/
-rw-r--r-- 0/0 app/run
drwx--x--x 0/0 bin/
-rw-r--r-- 0/0 bin/tool
drwxrwsr-x 50/50 opt/
drwxr-xr-x 0/0 opt/new/
-rw-r--r-- 0/0 opt/new/file
drwxrwxrwt 0/0 tmp/
-rw-r--r-- 0/0 tmp/file
drwxr-xr-x 0/0 var/
drwxrwxr-x 7/7 var/run/
-rw-r--r-- 0/0 var/run/file
";

fn of(path: &str, mode: u32, owner: u64) -> Member {
    Member::Folder(path.into(), mode, owner)
}

/// What both file systems have.
fn common() -> Vec<Member> {
    vec![of("app", 0o755, 1000), of("opt", 0o2775, 50), of("tmp", 0o1777, 0)]
}

/// A file system as distributions have it today.
fn with_links() -> Vec<Member> {
    let own = [
        link("bin", "usr/bin"),
        folder("run"),
        folder("usr"),
        folder("usr/bin"),
        file("usr/bin/sh", "#!"),
        folder("var"),
        link("var/run", "/run"),
    ];
    [common(), own.into()].concat()
}

/// A file system as distributions had it.
fn with_folders() -> Vec<Member> {
    let own = [of("bin", 0o711, 0), file("bin/sh", "#!"), folder("var"), of("var/run", 0o775, 7)];
    [common(), own.into()].concat()
}

/// The same members with `./` before their paths, and the root folder itself.
fn with_dots(members: Vec<Member>) -> Vec<Member> {
    let dotted = members.into_iter().map(|member| match member {
        Member::Folder(path, mode, owner) => Member::Folder(format!("./{path}"), mode, owner),
        Member::File(path, content) => Member::File(format!("./{path}"), content),
        Member::Link(path, target) => Member::Link(format!("./{path}"), target),
        Member::HardLink(path, target) => {
            Member::HardLink(format!("./{path}"), format!("./{target}"))
        }
    });
    [folder(".")].into_iter().chain(dotted).collect()
}

/// A tar with the names as they are given.
fn tar(members: &[Member]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for member in members {
        let mut header = tar::Header::new_ustar();
        let (name, kind, mode, owner, content, target) = match member {
            Member::Folder(path, mode, owner) => {
                (format!("{path}/"), tar::EntryType::Directory, *mode, *owner, "", "")
            }
            Member::File(path, content) => {
                (path.clone(), tar::EntryType::Regular, 0o644, 0, content.as_str(), "")
            }
            Member::Link(path, target) => {
                (path.clone(), tar::EntryType::Symlink, 0o777, 0, "", target.as_str())
            }
            Member::HardLink(path, target) => {
                (path.clone(), tar::EntryType::Link, 0o644, 0, "", target.as_str())
            }
        };
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_gid(owner);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// How the layers of a base are compressed.
#[derive(Clone, Copy)]
enum Packing {
    Gzip,
    Zstd,
}

struct Story {
    sandbox: Sandbox,
    registry: Registry,
    store: Store,
}

impl Story {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.write("agent/dockless.yaml", AGENT);
        sandbox.write("agent/run", "x");
        Self { sandbox, registry: Registry::start(), store: Store::temporary().unwrap() }
    }

    fn layer(&self, members: &[Member], packing: Packing) -> Layer {
        let tar = tar(members);
        let (kind, blob) = match packing {
            Packing::Gzip => {
                let level = flate2::Compression::new(6);
                let mut reader = flate2::read::GzEncoder::new(&tar[..], level);
                let mut blob = Vec::new();
                std::io::copy(&mut reader, &mut blob).unwrap();
                (MediaType::OciLayerGzip, blob)
            }
            Packing::Zstd => (MediaType::OciLayerZstd, zstd::encode_all(&tar[..], 3).unwrap()),
        };
        self.store.put(&blob).unwrap();
        Layer {
            name: "base".into(),
            created_by: "test".into(),
            descriptor: Descriptor::of(kind, &blob),
            diff_id: Digest::of(&tar),
            origin: Origin::Store,
        }
    }

    fn image(&self, platform: &Platform, layers: &[Vec<Member>], packing: Packing) -> Image {
        let layers = layers.iter().map(|members| self.layer(members, packing)).collect();
        image(platform, layers)
    }

    fn repository(&self) -> Repository {
        repository(&self.registry.host(), "base")
    }

    async fn publish(&self, image: Image, tag: &str) {
        let client = client(&Events::none());
        let context = publish_context(&self.store, &client, &Events::none());
        let to = parse(&self.repository().to_string()).unwrap();
        let session = to.open(&context, &[tag.to_owned()]).await.unwrap();
        session.finish(&assembly(vec![image])).await.unwrap();
    }

    /// Our layer on a base with this tag: mode, owner and path of everything in it.
    #[track_caller]
    fn listing(&self, tag: &str, platform: &str) -> String {
        let base = format!("{}:{tag}", self.repository());
        let words = ["build", "agent", "--platform", platform, "--base", &base, "-o", "oci:out"];
        let digest = self.sandbox.succeed(words);
        let blobs = self.sandbox.work().join("out/blobs");
        let manifest = fs::read(blobs.join(digest.replace(':', "/"))).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let layer = manifest["layers"].as_array().unwrap().last().unwrap();
        let output = Command::new("tar")
            .args(["--numeric-owner", "-tvzf"])
            .arg(blobs.join(layer["digest"].as_str().unwrap().replace(':', "/")))
            .output()
            .unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let line = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            format!("{} {} {}\n", words[0], words[1], words[5])
        };
        text.lines().map(line).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_layer_is_the_same_however_the_base_is_packed() {
    let whiteout = |path: &str| file(path, "");
    let hard = Member::HardLink("usr/bin/dash".into(), "usr/bin/sh".into());
    let without_usr = with_links()
        .into_iter()
        .filter(|member| !matches!(member, Member::Folder(path, ..) if path.starts_with("usr")));
    let story = Story::new();
    for (name, layers, packing, expected) in [
        ("links", vec![with_links()], Packing::Gzip, ON_LINKS),
        ("folders", vec![with_folders()], Packing::Gzip, ON_FOLDERS),
        ("dots", vec![with_dots(with_links())], Packing::Gzip, ON_LINKS),
        (
            "hard-links",
            vec![with_dots([with_links(), vec![hard]].concat())],
            Packing::Gzip,
            ON_LINKS,
        ),
        ("implied-folders", vec![without_usr.collect()], Packing::Gzip, ON_LINKS),
        ("zstd", vec![with_links()], Packing::Zstd, ON_LINKS),
        (
            "whiteouts",
            vec![
                with_folders(),
                vec![
                    whiteout(".wh.bin"),
                    folder("var"),
                    whiteout("var/.wh.run"),
                    folder("run"),
                    file("usr/bin/sh", "#!"),
                ],
                vec![link("bin", "usr/bin"), link("var/run", "../run")],
            ],
            Packing::Gzip,
            ON_LINKS,
        ),
        (
            "opaque",
            vec![
                [with_links(), vec![of("opt/new", 0o700, 9), file("opt/new/old", "")]].concat(),
                vec![of("opt", 0o2775, 50), whiteout("opt/.wh..wh..opq")],
            ],
            Packing::Gzip,
            ON_LINKS,
        ),
        (
            "replaced",
            vec![with_dots([with_folders(), vec![of("app", 0o700, 3)]].concat()), with_links()],
            Packing::Zstd,
            ON_LINKS,
        ),
        ("links-become-folders", vec![with_links(), with_folders()], Packing::Gzip, ON_FOLDERS),
    ] {
        story.publish(story.image(&Platform::linux_amd64(), &layers, packing), name).await;
        assert_eq!(story.listing(name, "linux/amd64"), expected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_layer_is_the_same_on_docker_s_manifests() {
    let story = Story::new();
    let image = story.image(&Platform::linux_amd64(), &[with_links()], Packing::Gzip);
    story.publish(image, "oci").await;
    let name = |tag: &str| format!("docker://{}:{tag}", story.repository());
    let copy = ["copy", "--quiet", "--format", "v2s2"];
    let plain = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    let names = [name("oci"), name("docker")];
    let words = [&copy[..], &plain, &[names[0].as_str(), names[1].as_str()]].concat();
    run("skopeo", &words, &story.sandbox.work());
    assert_eq!(story.listing("docker", "linux/amd64"), ON_LINKS);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_platform_of_an_index_has_its_own_file_system() {
    let story = Story::new();
    let arm64 = Platform::new("linux", "arm64", None);
    let images = [
        story.image(&arm64, &[with_folders()], Packing::Gzip),
        story.image(&Platform::linux_amd64(), &[with_links()], Packing::Gzip),
    ];
    let mut listed: Vec<_> = images
        .iter()
        .map(|image| Descriptor {
            platform: Some(image.platform.clone()),
            ..image.manifest.descriptor.clone()
        })
        .collect();
    // As buildx writes them: attestations are images of a platform that nobody has.
    let unknown = Platform::new("unknown", "unknown", None);
    listed.insert(0, Descriptor { platform: Some(unknown), ..listed[0].clone() });
    for (image, tag) in images.into_iter().zip(["arm64", "amd64"]) {
        story.publish(image, tag).await;
    }
    let index = Document::write(Index::new(listed), MediaType::OciIndex);
    let bytes = Bytes::copy_from_slice(&index.bytes);
    let reference = story.repository().at_tag("index");
    let client = client(&Events::none());
    client.put_manifest(&reference, &index.descriptor, &bytes).await.unwrap();
    assert_eq!(story.listing("index", "linux/amd64"), ON_LINKS);
    assert_eq!(story.listing("index", "linux/arm64"), ON_FOLDERS);
}
