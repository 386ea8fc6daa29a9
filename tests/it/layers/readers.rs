//! Every reader sees what was planned.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write};
use std::process::Command;

use dockless::layer::TarWriter;
use dockless::oci::{Descriptor, MediaType};
use dockless::plan::{DiskFile, Entry, EntryKind, FileSource, FileStamp};
use dockless::store::Store;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::seen::{Seen, on_disk, seen_after_gnu_tar, seen_by_python, seen_by_tar_crate, walk};
use super::{entry, file, pack_bytes, run};

/// A part of a path that every file system takes.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-z]{1,8}",
        2 => "[ -.0-~\\n\\t]{1,12}",
        1 => "[a-zäöü€🦀]{1,20}",
        1 => "[a-z]{90,255}",
    ]
    .prop_filter("a name that is refused", |part| {
        !matches!(part.as_str(), "." | "..") && !part.starts_with(".wh.") && part.len() <= 255
    })
}

/// Entries as a plan has them: sorted, parents first, everything that tar can say.
fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let kind = prop_oneof![
        Just(EntryKind::Directory),
        prop::collection::vec(any::<u8>(), 0..1500)
            .prop_map(|bytes| EntryKind::File(FileSource::Bytes(bytes.into()))),
        prop_oneof!["[a-z./]{1,30}", "[ -~]{95,140}", "[äöü/]{1,9}"].prop_map(EntryKind::Symlink),
    ];
    // Up to what ext4 holds in an inode of 256 bytes, so that it can be asked after unpacking.
    let mtime = prop_oneof![Just(0), -(1_i64 << 31)..(1 << 33) + (1 << 32)];
    let owner = || prop_oneof![Just(0), 0..u64::from(u32::MAX)];
    let leaf = (prop::collection::vec(part(), 1..5), kind, 0..0o10000_u32, owner(), owner(), mtime);
    prop::collection::vec(leaf, 0..12).prop_map(|leaves| {
        let mut entries = BTreeMap::new();
        for (parts, kind, mode, uid, gid, mtime) in leaves {
            let paths: Vec<_> = (1..=parts.len()).map(|count| parts[..count].join("/")).collect();
            let (path, parents) = paths.split_last().unwrap();
            let is_folder = |parent: &String| {
                entries.get(parent).is_none_or(|entry: &Entry| entry.kind == EntryKind::Directory)
            };
            if entries.contains_key(path) || !parents.iter().all(is_folder) {
                continue;
            }
            for parent in parents {
                let folder = || entry(parent, EntryKind::Directory);
                entries.entry(parent.clone()).or_insert_with(folder);
            }
            let path = path.clone();
            entries.insert(path.clone(), Entry { path, kind, mode, uid, gid, mtime });
        }
        entries.into_values().collect()
    })
}

#[test]
fn every_reader_sees_the_entries_that_were_planned() {
    let config = Config { cases: 32, failure_persistence: None, ..Config::default() };
    let seen_by_all = |entries: Vec<Entry>| {
        let store = Store::temporary().unwrap();
        let (_, blob) = pack_bytes(&entries, &store);
        let expected: Vec<_> = entries.iter().map(Seen::of).collect();
        // The crate `tar` takes a line break in a PAX record for its end.
        if !entries.iter().any(|entry| entry.path.contains('\n')) {
            prop_assert_eq!(&seen_by_tar_crate(&blob), &expected, "the crate `tar`");
        }
        prop_assert_eq!(&seen_by_python(&blob), &expected, "Python's tarfile");
        prop_assert_eq!(seen_after_gnu_tar(&blob), on_disk(&expected), "GNU tar");
        Ok(())
    };
    TestRunner::new(config).run(&entries(), seen_by_all).unwrap();
}

/// L12, L23, L24, L28: everything that needs a PAX record, and names that invite trouble.
fn awkward_entries() -> Vec<Entry> {
    let folder = |path: &str| entry(path, EntryKind::Directory);
    let link = |path: &str, target: &str| entry(path, EntryKind::Symlink(target.into()));
    let long = "n".repeat(255);
    let mut entries = vec![
        folder("app"),
        file("app/-rf", "x"),
        file("app/a\nb", "x"),
        file("app/c:\\d", "x"),
        file("app/empty", ""),
        folder(&format!("app/{long}")),
        file(&format!("app/{long}/{long}"), "x"),
        link("app/long", &"t/".repeat(60)),
        link("app/loop", "loop"),
        link("app/out", "../../etc/passwd"),
        Entry { mode: 0o4755, uid: 4_000_000, gid: 3_000_000, ..file("app/owned", "x") },
        file("app/ü", "x"),
        file("app/🦀", "x"),
        Entry { mode: 0o1777, ..folder("tmp") },
        Entry { mtime: 1 << 33, ..file("tmp/late", "x") },
    ];
    entries.sort_by(|left, right| left.path.cmp(&right.path));
    entries
}

/// umoci unpacks as the runtimes do: with Go's `archive/tar`.
#[test]
fn umoci_unpacks_what_was_planned() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    let store = Store::open(&layout).unwrap();
    let (layer, _) = pack_bytes(&awkward_entries(), &store);
    let put = |media_type: MediaType, json: serde_json::Value| {
        let bytes = json.to_string();
        store.put(bytes.as_bytes()).unwrap();
        serde_json::to_value(Descriptor::of(media_type, bytes.as_bytes())).unwrap()
    };
    let config = put(
        MediaType::OciConfig,
        serde_json::json!({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        }),
    );
    let mut manifest = put(
        MediaType::OciManifest,
        serde_json::json!({"schemaVersion": 2, "config": config, "layers": [layer.descriptor]}),
    );
    manifest["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": "story"});
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();

    let root = folder.path().join("root");
    let image = format!("{}:story", layout.display());
    run(Command::new("umoci").args(["raw", "unpack", "--image", &image]).arg(&root));
    let expected: Vec<_> = awkward_entries().iter().map(Seen::of).collect();
    assert_eq!(walk(&root), on_disk(&expected));
}

/// L12: a size that ustar cannot say. The content is a hole, so that nobody has to move 8 GiB.
#[test]
fn a_file_of_eight_gibibytes_is_listed_with_its_size() {
    const SIZE_BYTES: u64 = 8 << 30;
    let stamp = FileStamp { size_bytes: SIZE_BYTES, ..FileStamp::default() };
    let kind = EntryKind::File(FileSource::Disk(DiskFile { path: "weights".into(), stamp }));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.tar");
    let mut tar = TarWriter::new(Holes(File::create(&path).unwrap()));
    tar.append(&entry("weights", kind), io::repeat(0).take(SIZE_BYTES)).unwrap();
    tar.append(&file("x", "x"), b"x".as_slice()).unwrap();
    tar.finish().unwrap();

    let listing = run(Command::new("tar")
        .args(["--numeric-owner", "--full-time", "--utc", "-tvf"])
        .arg(&path));
    assert_eq!(
        String::from_utf8(listing).unwrap(),
        "-rwxr-xr-x 0/0      8589934592 1970-01-01 00:00:00 weights\n\
         -rw-r--r-- 0/0               1 1970-01-01 00:00:00 x\n"
    );
}

/// Leaves a hole for every large write: here they are zeros.
struct Holes(File);

impl Write for Holes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > 8192 {
            self.0.seek_relative(i64::try_from(bytes.len()).unwrap())?;
            return Ok(bytes.len());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
