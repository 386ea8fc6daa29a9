//! How fast the layers of a base are read: `cargo bench --bench archive`.
//!
//! `members` unpacks one gzip layer in memory and walks through its tar; `root_tree` does for five
//! layers of an OCI layout what a build does with a base that it meets for the first time.
#![expect(clippy::unwrap_used, reason = "a bench panics when it cannot go on")]
#![expect(clippy::disallowed_methods, reason = "a bench drives the real machine")]

#[expect(dead_code, reason = "the benches share it")]
#[path = "support/tree.rs"]
mod tree;

use std::fs;
use std::io::{Read, Write as _};
use std::path::Path;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::BytesCount;
use dockless::archive::{LayerReader, Limits, Members};
use dockless::event::Events;
use dockless::gather::facts::{FactsContext, root_tree};
use dockless::oci::{Descriptor, Digest, MediaType};
use dockless::plan::{BaseLayer, Origin};
use dockless::registry::{Client, ClientOptions, Settings};
use dockless::store::Store;
use dockless::sys::SystemClock;
use tokio_util::task::TaskTracker;

const FILES: u64 = 3_000;
const FILE_BYTES: u64 = 33_000;

fn main() {
    divan::main();
}

/// A gzip layer of 3,000 files and 100 MB, the same bytes for the same number.
fn layer(number: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number);
    let words = tree::words(&mut random);
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    let mut archive = tar::Builder::new(encoder);
    for file in 0..FILES {
        let content = tree::content(&mut random, &words, file % 4 != 3, FILE_BYTES);
        let mut header = tar::Header::new_ustar();
        header.set_size(FILE_BYTES);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        let path = format!("opt/layer-{number}/d{}/f{file}", file % 50);
        archive.append_data(&mut header, path, &content[..]).unwrap();
    }
    let mut blob = archive.into_inner().unwrap().finish().unwrap();
    blob.flush().unwrap();
    blob
}

fn count(blob: impl Read) -> u64 {
    let reader = LayerReader::try_new(blob, Limits::GENEROUS).unwrap();
    let mut members = Members::new(reader, Limits::GENEROUS);
    let mut count = 0;
    while members.next().unwrap().is_some() {
        count += 1;
    }
    count
}

#[divan::bench(sample_count = 10)]
fn members(bencher: Bencher<'_, '_>) {
    let blob = layer(0);
    bencher
        .counter(BytesCount::new(FILES * FILE_BYTES))
        .bench_local(|| assert_eq!(count(&blob[..]), FILES));
}

#[divan::bench(sample_count = 5)]
fn facts(bencher: Bencher<'_, '_>) {
    let folder = tempfile::tempdir().unwrap();
    let layers: Vec<_> = (0..5).map(|number| store(folder.path(), &layer(number))).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = client();
    let events = Events::none();
    bencher
        .counter(BytesCount::new(5 * FILES * FILE_BYTES))
        .with_inputs(|| Store::temporary().unwrap())
        .bench_local_refs(|store| {
            let context = FactsContext { client: &client, store, events: &events };
            runtime.block_on(root_tree(&layers, context)).unwrap()
        });
}

fn store(layout: &Path, blob: &[u8]) -> BaseLayer {
    let descriptor = Descriptor::of(MediaType::OciLayerGzip, blob);
    let path = Store::read_only(layout).blob_path(&descriptor.digest);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, blob).unwrap();
    BaseLayer { descriptor, diff_id: Digest::of(b""), origin: Origin::Layout(layout.to_owned()) }
}

/// It is never asked.
fn client() -> Client {
    Client::new(ClientOptions {
        settings: Settings::default(),
        keychains: Vec::new(),
        events: Events::none(),
        clock: Arc::new(SystemClock),
        cleanup: TaskTracker::new(),
    })
}
