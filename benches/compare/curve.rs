//! How dockless grows with files and with bytes.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use super::measure::{Usage, measure};
use super::registry::Registry;
use super::table::Table;
use super::tools::DOCKLESS;
use super::tree;
use super::workplace::{self, Workplace};

const FILES: [u64; 3] = [1_000, 10_000, 100_000];
const FILE_BYTES: u64 = 4_000;
const SIZES: [u64; 3] = [100_000_000, 1_000_000_000, 10_000_000_000];
/// A large file is this much content again and again: more than a compressor looks back.
const BLOCK_BYTES: u64 = 20_000_000;

const HEAD: [&str; 7] =
    ["", "first push s", "MB/s", "CPU s", "peak MB", "nothing changed s", "peak MB"];

/// Pushes of many small files.
pub(crate) fn files(place: &Workplace) -> Table {
    let mut table = Table::new("dockless: more files, of 4 kB each", &HEAD);
    for count in FILES {
        point(place, &mut table, &format!("{count} files"), count * FILE_BYTES, |folder| {
            tree::generate(folder, count, FILE_BYTES);
        });
    }
    table
}

/// Pushes of one large file.
pub(crate) fn bytes(place: &Workplace) -> Table {
    let mut table = Table::new("dockless: one file, of more bytes", &HEAD);
    for size in SIZES {
        point(place, &mut table, &format!("{} MB", size / 1_000_000), size, |folder| {
            write_large(folder, size);
        });
    }
    table
}

/// Generates a project, pushes it twice, and removes everything.
fn point(place: &Workplace, table: &mut Table, name: &str, bytes: u64, generate: impl Fn(&Path)) {
    eprintln!("{name}");
    let folder = place.folder("curve");
    let project = folder.join("project");
    fs::create_dir_all(project.join("app")).expect("the folder can be made");
    generate(&project.join("app"));
    let config = "name: curve\nbase: builtin:static\nlayers:\n  - {kind: files, copy: [{src: app, dest: /app}]}\n";
    fs::write(project.join("dockless.yaml"), config).expect("the file can be written");
    let registry = Registry::start(&folder);
    let push = || -> Usage {
        workplace::settle();
        measure(
            "\"$DOCKLESS\" push -q \"$PROJECT\" --to \"$TARGET\"",
            &[
                ("DOCKLESS", DOCKLESS.to_owned()),
                ("DOCKLESS_CACHE_DIR", folder.join("cache").display().to_string()),
                ("PROJECT", project.display().to_string()),
                ("TARGET", format!("127.0.0.1:{}/acme/agent:v1", registry.port)),
            ],
        )
    };
    let (first, again) = (push(), push());
    drop(registry);
    workplace::remove(&folder);
    let megabytes = |bytes: u64| format!("{:.0}", bytes as f64 / 1e6);
    table.row([
        name.to_owned(),
        format!("{:.3}", first.wall.as_secs_f64()),
        format!("{:.0}", bytes as f64 / 1e6 / first.wall.as_secs_f64()),
        format!("{:.3}", first.cpu.as_secs_f64()),
        megabytes(first.peak_bytes),
        format!("{:.3}", again.wall.as_secs_f64()),
        megabytes(again.peak_bytes),
    ]);
}

/// Writes one file: three quarters text, one quarter noise.
fn write_large(folder: &Path, size: u64) {
    let mut random = fastrand::Rng::with_seed(1);
    let words = tree::words(&mut random);
    let block: Vec<u8> = (0..4)
        .flat_map(|part| tree::content(&mut random, &words, part < 3, BLOCK_BYTES / 4))
        .collect();
    let mut file = File::create(folder.join("large")).expect("the file can be made");
    for _ in 0..size / BLOCK_BYTES {
        workplace::go_on();
        file.write_all(&block).expect("the disk has room for the file, twice packed");
    }
}
