//! How fast a layer is made, part by part: `cargo bench --bench layers`.
//!
//! `tar`, `gzip`, `zstd` and `sha256` work in memory; `pack` does all of it at once into a store, and
//! `memory` packs one file of 2 GB in a process of its own and prints what it needed at most.
#![expect(clippy::unwrap_used, reason = "a bench panics when it cannot go on")]
#![expect(clippy::disallowed_methods, reason = "a bench drives the real machine")]

use std::hint::black_box;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use divan::Bencher;
use divan::counter::BytesCount;
use dockless::event::{Action, Events};
use dockless::layer::{
    Compressors, FileDigests, GzipWriter, Packing, TarWriter, ZstdWriter, diff_id, pack,
};
use dockless::oci::Digest;
use dockless::plan::{
    DiskFile, Entry, EntryKind, FileSource, FileStamp, LayerCompression, LayerContent, LayerPlan,
};
use dockless::store::Store;
use dockless::sys::SystemClock;
use tokio_util::sync::CancellationToken;

const MEBIBYTE: usize = 1024 * 1024;

/// Set in the process that packs the large file: the folder it lies in.
const MEMORY_FOLDER: &str = "DOCKLESS_BENCH_MEMORY";

fn main() {
    if let Some(folder) = std::env::var_os(MEMORY_FOLDER) {
        return pack_large(Path::new(&folder));
    }
    divan::main();
    // Tests and listings of the benches must stay fast.
    let is_asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    if is_asked("--bench") && !is_asked("--test") && !is_asked("--list") {
        report_memory();
    }
}

/// What an agent is made of: three quarters text, one quarter that does not compress.
fn content(size_bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    let words: Vec<Vec<u8>> = (0..4000)
        .map(|_| (0..random.usize(1..9)).map(|_| random.u8(b'a'..=b'z')).chain([b' ']).collect())
        .collect();
    let mut bytes = Vec::with_capacity(size_bytes + MEBIBYTE);
    while bytes.len() < size_bytes {
        let is_text = random.u8(..4) > 0;
        let end = bytes.len() + random.usize(10_000..400_000);
        while bytes.len() < end {
            if is_text {
                // Few words are frequent, most are rare.
                let frequent = random.usize(..words.len()).min(random.usize(..words.len()));
                bytes.extend_from_slice(&words[frequent.min(random.usize(..words.len()))]);
            } else {
                bytes.push(random.u8(..));
            }
        }
    }
    bytes.truncate(size_bytes);
    bytes
}

fn file(path: String, source: FileSource) -> Entry {
    Entry { path, kind: EntryKind::File(source), mode: 0o644, uid: 0, gid: 0, mtime: 0 }
}

/// 5,000 files of 40 KB.
fn entries() -> Vec<Entry> {
    let content = Bytes::from(content(200_000_000));
    let entry = |number: usize| {
        let start = number * 40_000;
        let part = content.slice(start..start + 40_000);
        file(format!("file-{number:05}"), FileSource::Bytes(part))
    };
    (0..5000).map(entry).collect()
}

fn plan(entries: Vec<Entry>) -> LayerPlan {
    let content = LayerContent::Pack(entries);
    LayerPlan { name: "bench".into(), created_by: "bench".into(), content }
}

#[divan::bench(sample_count = 10)]
fn tar(bencher: Bencher<'_, '_>) {
    let entries = entries();
    bencher.counter(BytesCount::new(200_000_000_usize)).bench_local(|| {
        let mut writer = TarWriter::new(io::sink());
        for entry in &entries {
            let EntryKind::File(FileSource::Bytes(bytes)) = &entry.kind else { continue };
            writer.append(entry, bytes.as_ref()).unwrap();
        }
        writer.finish().unwrap()
    });
}

#[divan::bench(args = [1, 2], sample_count = 5)]
fn gzip(bencher: Bencher<'_, '_>, threads: usize) {
    let (content, compressors) = (content(100_000_000), Compressors::new(threads));
    bencher.counter(BytesCount::of_slice(&content)).bench_local(|| {
        let mut writer = GzipWriter::new(io::sink(), &compressors);
        writer.write_all(&content).unwrap();
        writer.finish().unwrap()
    });
}

/// Bytes that do not compress are stored.
#[divan::bench(args = [1, 2], sample_count = 5)]
fn gzip_of_noise(bencher: Bencher<'_, '_>, threads: usize) {
    let mut random = fastrand::Rng::with_seed(1);
    let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(100 * MEBIBYTE).collect();
    let compressors = Compressors::new(threads);
    bencher.counter(BytesCount::of_slice(&noise)).bench_local(|| {
        let mut writer = GzipWriter::new(io::sink(), &compressors);
        writer.write_all(&noise).unwrap();
        writer.finish().unwrap()
    });
}

#[divan::bench(args = [1, 2], sample_count = 5)]
fn zstd(bencher: Bencher<'_, '_>, threads: usize) {
    let (content, compressors) = (content(100_000_000), Compressors::new(threads));
    bencher.counter(BytesCount::of_slice(&content)).bench_local(|| {
        let mut writer = ZstdWriter::new(io::sink(), &compressors).unwrap();
        writer.write_all(&content).unwrap();
        writer.finish().unwrap()
    });
}

#[divan::bench(sample_count = 10)]
fn sha256(bencher: Bencher<'_, '_>) {
    let content = content(100_000_000);
    bencher.counter(BytesCount::of_slice(&content)).bench_local(|| Digest::of(black_box(&content)));
}

#[divan::bench(args = [1, 2], sample_count = 3)]
fn pack_5000_files(bencher: Bencher<'_, '_>, threads: usize) {
    let plan = plan(entries());
    let compressors = Compressors::new(threads);
    bencher
        .counter(BytesCount::new(200_000_000_usize))
        .with_inputs(|| Store::temporary().unwrap())
        .bench_local_refs(|store| {
            with_packing(Path::new("/"), store, &compressors, |packing| {
                pack(&plan, packing).unwrap()
            })
        });
}

/// As many layers, of 10 MB, as the same files make, four at a time.
#[divan::bench(args = [1, 2], sample_count = 3)]
fn pack_20_layers(bencher: Bencher<'_, '_>, threads: usize) {
    let plans: Vec<_> = entries().chunks(250).map(|entries| plan(entries.to_vec())).collect();
    let compressors = Compressors::new(threads);
    bencher
        .counter(BytesCount::new(200_000_000_usize))
        .with_inputs(|| Store::temporary().unwrap())
        .bench_local_refs(|store| {
            let next = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        while let Some(plan) = plans.get(next.fetch_add(1, Ordering::Relaxed)) {
                            with_packing(Path::new("/"), store, &compressors, |packing| {
                                pack(plan, packing).unwrap()
                            });
                        }
                    });
                }
            });
        });
}

#[divan::bench(sample_count = 3)]
fn diff_id_of_5000_files(bencher: Bencher<'_, '_>) {
    let plan = plan(entries());
    let (store, compressors) = (Store::temporary().unwrap(), Compressors::new(1));
    bencher.counter(BytesCount::new(200_000_000_usize)).bench_local(|| {
        with_packing(Path::new("/"), &store, &compressors, |packing| {
            diff_id(&plan, packing).unwrap()
        })
    });
}

/// Calls this with what packing needs.
fn with_packing<T>(
    project: &Path,
    store: &Store,
    compressors: &Compressors,
    pack: impl FnOnce(&Packing) -> T,
) -> T {
    let (events, cancel) = (Events::none(), CancellationToken::new());
    let task = events.task(Action::Pack, "bench", None);
    pack(&Packing {
        project,
        store,
        digests: &FileDigests::none(project),
        clock: &SystemClock,
        compression: LayerCompression::Gzip,
        compressors,
        events: &events,
        task: &task,
        cancel: &cancel,
    })
}

#[expect(clippy::print_stdout, reason = "a bench prints its result")]
fn report_memory() {
    let folder = tempfile::tempdir().unwrap();
    let large = std::fs::File::create(folder.path().join("large")).unwrap();
    large.set_len(2_000_000_000).unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let output = child.env(MEMORY_FOLDER, folder.path()).output().unwrap();
    println!("memory: one file of 2 GB needs {}", String::from_utf8_lossy(&output.stdout).trim());
}

/// Packs the file `large` of the folder and prints the peak of this process's memory.
#[expect(clippy::print_stdout, reason = "a bench prints its result")]
fn pack_large(folder: &Path) {
    let stamp = FileStamp::from(&std::fs::metadata(folder.join("large")).unwrap());
    let source = FileSource::Disk(DiskFile { path: "large".into(), stamp });
    let plan = plan(vec![file("large".into(), source)]);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (store, compressors) = (Store::temporary().unwrap(), Compressors::new(threads));
    with_packing(folder, &store, &compressors, |packing| pack(&plan, packing).unwrap());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    println!("{}", peak.map_or("an unknown amount", str::trim));
}
