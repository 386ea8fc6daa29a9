//! Images made by hand, so that a story can say what is in them.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use dockless::event::Events;
use dockless::image::{Assembly, Image};
use dockless::layer::Layer;
use dockless::oci::{
    Descriptor, Digest, Document, History, ImageConfig, Index, Manifest, MediaType, Platform,
    Repository,
};
use dockless::plan::Origin;
use dockless::publish::{ExistingTag, Output, PublishContext, Whereabouts};
use dockless::registry::{Client, ClientOptions, Settings};
use dockless::store::Store;
use dockless::sys::ManualClock;

/// A member of a layer's tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Member {
    /// Path, mode, uid.
    Folder(String, u32, u64),
    /// Path, content.
    File(String, String),
    /// Path, target.
    Link(String, String),
    /// Path, the path of the file that it is too.
    HardLink(String, String),
}

/// A folder 0755 of root.
pub(crate) fn folder(path: &str) -> Member {
    Member::Folder(path.into(), 0o755, 0)
}

/// A file 0644 of root.
pub(crate) fn file(path: &str, content: &str) -> Member {
    Member::File(path.into(), content.into())
}

/// A symbolic link.
pub(crate) fn link(path: &str, target: &str) -> Member {
    Member::Link(path.into(), target.into())
}

/// A tar of these members, in this order.
pub(crate) fn tar(members: &[Member]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for member in members {
        let mut header = tar::Header::new_gnu();
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        match member {
            Member::Folder(path, mode, uid) => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(*mode);
                header.set_uid(*uid);
                header.set_gid(*uid);
                builder.append_data(&mut header, format!("{path}/"), &[][..]).unwrap();
            }
            Member::File(path, content) => {
                header.set_mode(0o644);
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, path, content.as_bytes()).unwrap();
            }
            Member::Link(path, target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                builder.append_link(&mut header, path, target).unwrap();
            }
            Member::HardLink(path, target) => {
                header.set_entry_type(tar::EntryType::Link);
                header.set_mode(0o644);
                builder.append_link(&mut header, path, target).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

/// Puts a gzip layer of these members into the store.
pub(crate) fn layer(store: &Store, name: &str, members: &[Member]) -> Layer {
    let tar = tar(members);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(&tar).unwrap();
    let blob = encoder.finish().unwrap();
    store.put(&blob).unwrap();
    Layer {
        name: name.into(),
        created_by: format!("test: {name}"),
        descriptor: Descriptor::of(MediaType::OciLayerGzip, &blob),
        diff_id: Digest::of(&tar),
        origin: Origin::Store,
    }
}

/// An image of these layers.
pub(crate) fn image(platform: &Platform, layers: Vec<Layer>) -> Image {
    let mut config = ImageConfig::scratch(platform);
    config.created = Some("1970-01-01T00:00:00Z".into());
    config.config.entrypoint = Some(vec!["/app/run".into()]);
    config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id).collect();
    config.history = layers
        .iter()
        .map(|layer| History {
            created: Some("1970-01-01T00:00:00Z".into()),
            created_by: Some(layer.created_by.clone()),
            ..History::default()
        })
        .collect();
    let config = Document::write(config, MediaType::OciConfig);
    let descriptors = layers.iter().map(|layer| layer.descriptor.clone()).collect();
    let manifest = Manifest::new(config.descriptor.clone(), descriptors);
    let manifest = Document::write(manifest, MediaType::OciManifest);
    Image { platform: platform.clone(), config, manifest, layers }
}

/// An assembly of these images; several get an index.
pub(crate) fn assembly(images: Vec<Image>) -> Assembly {
    let listed = images.iter().map(|image| Descriptor {
        platform: Some(image.platform.clone()),
        ..image.manifest.descriptor.clone()
    });
    let index = (images.len() > 1)
        .then(|| Document::write(Index::new(listed.collect()), MediaType::OciIndex));
    Assembly { images, index }
}

/// An image of two layers for linux/amd64.
pub(crate) fn hello(store: &Store) -> Assembly {
    let below = layer(
        store,
        "below",
        &[folder("app"), file("app/run", "#!/bin/sh\necho hello\n"), link("bin", "usr/bin")],
    );
    let above = layer(store, "above", &[folder("app"), file("app/data", "42\n")]);
    assembly(vec![image(&Platform::linux_amd64(), vec![below, above])])
}

/// The same image with its layers lying elsewhere.
pub(crate) fn with_origin(mut assembly: Assembly, origin: &Origin) -> Assembly {
    for image in &mut assembly.images {
        for layer in &mut image.layers {
            layer.origin = origin.clone();
        }
    }
    assembly
}

/// A repository of a registry.
pub(crate) fn repository(host: &str, path: &str) -> Repository {
    format!("{host}/{path}").parse().unwrap()
}

/// A client without credentials.
pub(crate) fn client(events: &Events) -> Client {
    Client::new(ClientOptions {
        settings: Settings::default(),
        keychains: Vec::new(),
        events: events.clone(),
        clock: Arc::new(ManualClock::at(0)),
        cleanup: tokio_util::task::TaskTracker::new(),
    })
}

/// What publishes from this store; tags move, and nothing is known of earlier images.
pub(crate) fn publish_context(store: &Store, client: &Client, events: &Events) -> PublishContext {
    PublishContext {
        store: store.clone(),
        client: client.clone(),
        events: events.clone(),
        name: "hello".into(),
        stdout: Output::new(std::io::sink()),
        whereabouts: Whereabouts::default(),
        existing_tag: ExistingTag::Move,
        takes_tags_word: true,
        earlier_tags: None,
    }
}

/// Runs a program to its end and gives what it prints; its failure is the test's.
pub(crate) fn run(program: &str, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error} (apt install {program})"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}
