//! Layers and the store, as readers that nobody here wrote see them, and on a bad day.
#![expect(clippy::unwrap_used, reason = "a helper of a test panics when the test cannot go on")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use dockless::error::{ErrorKind, Result};
use dockless::event::{Action, Events};
use dockless::layer::{Compressors, FileDigests, Layer, Packing, TarWriter, pack};
use dockless::oci::{Descriptor, Digest, MediaType};
use dockless::plan::{
    DiskFile, Entry, EntryKind, FileSource, FileStamp, LayerCompression, LayerContent, LayerPlan,
};
use dockless::store::Store;
use dockless::sys::SystemClock;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio_util::sync::CancellationToken;

use crate::support::child::{Child, peak_memory_kib};

/// What a reader says about an entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
struct Seen {
    path: String,
    kind: char,
    mode: u32,
    uid: u64,
    gid: u64,
    mtime: i64,
    target: String,
    content: Digest,
}

impl Seen {
    fn of(entry: &Entry) -> Self {
        let (kind, target, content) = match &entry.kind {
            EntryKind::Directory => ('d', String::new(), Digest::of(b"")),
            EntryKind::Symlink(target) => ('l', target.clone(), Digest::of(b"")),
            EntryKind::File(FileSource::Bytes(bytes)) => ('f', String::new(), Digest::of(bytes)),
            EntryKind::File(FileSource::Disk(_)) => unreachable!("stories pack bytes"),
        };
        let Entry { path, mode, uid, gid, mtime, .. } = entry.clone();
        Self { path, kind, mode, uid, gid, mtime, target, content }
    }
}

fn entry(path: &str, kind: EntryKind) -> Entry {
    Entry { path: path.into(), kind, mode: 0o755, uid: 0, gid: 0, mtime: 0 }
}

fn file(path: &str, content: impl Into<Bytes>) -> Entry {
    let kind = EntryKind::File(FileSource::Bytes(content.into()));
    Entry { mode: 0o644, ..entry(path, kind) }
}

/// Packs entries from this folder into the store.
fn pack_from(project: &Path, entries: Vec<Entry>, store: &Store, threads: usize) -> Result<Layer> {
    let plan = LayerPlan {
        name: "story".into(),
        created_by: "story".into(),
        content: LayerContent::Pack(entries),
    };
    let events = Events::none();
    let task = events.task(Action::Pack, "story", None);
    let cancel = CancellationToken::new();
    let digests = &FileDigests::none(project);
    let (clock, events, task, cancel) = (&SystemClock, &events, &task, &cancel);
    let (compression, compressors) = (LayerCompression::Gzip, &Compressors::new(threads));
    let packing =
        Packing { project, store, digests, clock, compression, compressors, events, task, cancel };
    pack(&plan, &packing)
}

/// Packs entries that need no files, and gives the path of the blob.
fn pack_bytes(entries: &[Entry], store: &Store) -> (Layer, PathBuf) {
    let layer = pack_from(Path::new("/"), entries.to_vec(), store, 2).unwrap();
    let path = store.blob_path(&layer.descriptor.digest);
    (layer, path)
}

/// Runs a program to its end and gives what it printed.
fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {stderr}", output.status);
    output.stdout
}

// Every reader sees the same.

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

fn seen_by_tar_crate(blob: &Path) -> Vec<Seen> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(File::open(blob).unwrap()));
    let seen = |entry: io::Result<tar::Entry<_>>| {
        let mut entry = entry.unwrap();
        let records: BTreeMap<_, _> = entry
            .pax_extensions()
            .unwrap()
            .into_iter()
            .flatten()
            .map(Result::unwrap)
            .map(|record| (record.key().unwrap().to_owned(), record.value().unwrap().to_owned()))
            .collect();
        let target = entry.link_name_bytes().unwrap_or_default().into_owned();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let header = entry.header();
        // The crate leaves this record to its caller.
        let mtime = records.get("mtime").map(|value| value.parse().unwrap());
        Seen {
            path: path.strip_suffix('/').unwrap_or(&path).to_owned(),
            kind: match header.entry_type() {
                tar::EntryType::Directory => 'd',
                tar::EntryType::Symlink => 'l',
                tar::EntryType::Regular => 'f',
                other => panic!("{other:?}"),
            },
            mode: header.mode().unwrap(),
            uid: header.uid().unwrap(),
            gid: header.gid().unwrap(),
            mtime: mtime.unwrap_or_else(|| i64::try_from(header.mtime().unwrap()).unwrap()),
            target: String::from_utf8(target).unwrap(),
            content: Digest::of(&content),
        }
    };
    archive.entries().unwrap().map(seen).collect()
}

fn seen_by_python(blob: &Path) -> Vec<Seen> {
    // `r|gz` reads a stream and stops after the first gzip member.
    const SCRIPT: &str = r#"
import hashlib, json, sys, tarfile
with tarfile.open(sys.argv[1], "r|gz") as archive:
    for member in archive:
        content = archive.extractfile(member).read() if member.isreg() else b""
        print(json.dumps({
            "path": member.name,
            "kind": "d" if member.isdir() else "l" if member.issym() else "f" if member.isreg() else "?",
            "mode": member.mode, "uid": member.uid, "gid": member.gid, "mtime": int(member.mtime),
            "target": member.linkname,
            "content": "sha256:" + hashlib.sha256(content).hexdigest(),
        }))
"#;
    let output = run(Command::new("python3").args(["-c", SCRIPT]).arg(blob));
    let lines = output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// Unpacks as root and looks at the disk, by path.
fn seen_after_gnu_tar(blob: &Path) -> Vec<Seen> {
    let listing = run(Command::new("tar").arg("-tzf").arg(blob));
    drop(listing);
    let folder = tempfile::tempdir().unwrap();
    run(Command::new("tar")
        .args(["--numeric-owner", "--delay-directory-restore", "-xpzf"])
        .arg(blob)
        .arg("-C")
        .arg(folder.path()));
    walk(folder.path())
}

fn walk(root: &Path) -> Vec<Seen> {
    fn below(root: &Path, folder: &Path, seen: &mut Vec<Seen>) {
        for item in fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let (kind, target, content) = if metadata.is_dir() {
                ('d', String::new(), Digest::of(b""))
            } else if metadata.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                ('l', target.into_os_string().into_string().unwrap(), Digest::of(b""))
            } else {
                ('f', String::new(), Digest::of(&fs::read(&path).unwrap()))
            };
            seen.push(Seen {
                path: path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(),
                kind,
                mode: metadata.mode() & 0o7777,
                uid: metadata.uid().into(),
                gid: metadata.gid().into(),
                mtime: metadata.mtime(),
                target,
                content,
            });
            if metadata.is_dir() {
                below(root, &path, seen);
            }
        }
    }
    let mut seen = Vec::new();
    below(root, root, &mut seen);
    seen.sort();
    seen
}

/// What a disk can hold of it: links have no mode of their own.
fn on_disk(seen: &[Seen]) -> Vec<Seen> {
    let mut seen = seen.to_vec();
    for link in seen.iter_mut().filter(|seen| seen.kind == 'l') {
        link.mode = 0o777;
    }
    seen.sort();
    seen
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

#[test]
fn other_decompressors_read_the_one_member() {
    // Several blocks and a bit, of numbers, text, noise and zeros.
    let mut random = fastrand::Rng::with_seed(1);
    let mut content: Vec<u8> = (0..900_000_u32).flat_map(u32::to_le_bytes).collect();
    let words = ["layer ", "image ", "of ", "the ", "\n", "registry "];
    for _ in 0..200_000 {
        content.extend_from_slice(words[random.usize(..words.len())].as_bytes());
    }
    content.extend(std::iter::repeat_with(|| random.u8(..)).take(1 << 20));
    content.resize(content.len() + (1 << 20) + 17, 0);
    let store = Store::temporary().unwrap();
    let (layer, blob) = pack_bytes(&[file("a", content)], &store);

    let python = "import gzip, sys; sys.stdout.buffer.write(gzip.open(sys.argv[1]).read())";
    let zlib = "import sys, zlib; d = zlib.decompressobj(31); \
                sys.stdout.buffer.write(d.decompress(open(sys.argv[1], 'rb').read())); \
                assert d.eof and not d.unused_data";
    for (program, arguments) in
        [("gzip", vec!["-dc"]), ("python3", vec!["-c", python]), ("python3", vec!["-c", zlib])]
    {
        let input = File::open(&blob).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).stdin(input);
        if program == "python3" {
            command.arg(&blob);
        }
        assert_eq!(Digest::of(&run(&mut command)), layer.diff_id, "{command:?}");
    }
}

/// L37: folder, order of creation and number of threads do not show in the digest.
#[test]
fn the_same_files_give_the_same_layer_everywhere() {
    let names = ["a", "b/c", "b/d", "ü"];
    let layer = |order: &[&str], threads| {
        let project = tempfile::tempdir().unwrap();
        fs::create_dir(project.path().join("b")).unwrap();
        for name in order {
            fs::write(project.path().join(name), name.repeat(700_000)).unwrap();
        }
        let mut entries = vec![entry("b", EntryKind::Directory)];
        for name in names {
            let stamp = FileStamp::from(&fs::metadata(project.path().join(name)).unwrap());
            let disk = DiskFile { path: name.into(), stamp };
            entries.push(entry(name, EntryKind::File(FileSource::Disk(disk))));
        }
        entries.sort_by(|left, right| left.path.cmp(&right.path));
        pack_from(project.path(), entries, &Store::temporary().unwrap(), threads).unwrap()
    };
    let expected = layer(&names, 1);
    for threads in [2, 3, 8] {
        assert_eq!(layer(&["ü", "b/d", "b/c", "a"], threads), expected, "{threads}");
    }
    // What a clean build gives with this version of the writer.
    assert_eq!(
        expected.descriptor.digest.to_string(),
        "sha256:1c9e92703f8226e401f725084289136dfc85c8a72b8024c271ee0aa08ba0f144"
    );
}

// A bad day.

/// A file system of one mebibyte, gone at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=1m", "tmpfs"];
        let status = Command::new("mount").args(mount).arg(folder.path()).status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "this test mounts a tmpfs: run it as root, with the right to mount"
        );
        Self(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// L1.
#[test]
fn a_full_disk_is_named_and_loses_nothing() {
    let disk = SmallDisk::mount();
    let store = Store::open(disk.0.path()).unwrap();
    let kept = store.put(b"kept").unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(4 << 20).collect();

    let error = pack_from(Path::new("/"), vec![file("a", noise.clone())], &store, 2).unwrap_err();
    let blobs = disk.0.path().join("blobs/sha256");
    assert_eq!(error.kind(), ErrorKind::Failed);
    let lines = error.lines();
    assert!(
        lines[0].starts_with("cannot write a blob of at least ")
            && lines[0].ends_with(&format!(" bytes to `{}`", blobs.display())),
        "{lines:?}"
    );
    assert_eq!(lines[1..], ["No space left on device (os error 28)"]);
    assert_eq!(
        error.hints(),
        ["free some space, or name a folder on another disk in `DOCKLESS_CACHE_DIR`"]
    );
    assert_eq!(store.put(&noise).unwrap_err().kind(), ErrorKind::Failed);

    let names: Vec<_> = fs::read_dir(&blobs)
        .unwrap()
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, [kept.hex()]);
}

/// L7.
#[test]
fn a_folder_that_may_not_be_written_is_an_error_at_once() {
    if let Some(folder) = Child::folder() {
        let error = Store::open(&folder).unwrap_err();
        let lines = error.lines();
        assert_eq!(lines[0], format!("cannot keep blobs in `{}`", folder.display()));
        assert!(lines[1].starts_with("Permission denied (os error 13)"), "{lines:?}");
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(error.hints(), ["name a folder that you may write in `DOCKLESS_CACHE_DIR`"]);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    Store::open(folder.path()).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let test = "layers::a_folder_that_may_not_be_written_is_an_error_at_once";
    Child::without_rights(test, folder.path()).pass();
}

/// L2.
#[test]
fn processes_share_a_store() {
    const MANY: u32 = 100;
    if let Some(folder) = Child::folder() {
        let store = Store::open(&folder).unwrap();
        for number in 0..MANY {
            store.put(&numbered(number)).unwrap();
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                Child::below(&[], "layers::processes_share_a_store", folder.path()).pass();
            });
        }
    });
    let store = Store::open(folder.path()).unwrap();
    for number in 0..MANY {
        let bytes = numbered(number);
        assert!(store.verify(&Descriptor::of(MediaType::OciLayer, &bytes)).unwrap());
    }
    assert_eq!(fs::read_dir(folder.path().join("blobs/sha256")).unwrap().count(), 100);
}

/// L4.
#[test]
fn what_a_killed_process_left_is_never_a_blob_and_is_swept() {
    if let Some(folder) = Child::folder() {
        let mut writer = Store::open(&folder).unwrap().writer().unwrap();
        writer.write_all(b"half").unwrap();
        println!("half");
        io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "layers::what_a_killed_process_left_is_never_a_blob_and_is_swept";
    let mut again = Child::below(&[], test, folder.path());
    let command = again.command().stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with("half")));
    child.kill().unwrap();
    child.wait().unwrap();

    let leftovers = || -> Vec<PathBuf> {
        let items = fs::read_dir(folder.path().join("blobs/sha256")).unwrap();
        items.map(|item| item.unwrap().path()).collect()
    };
    let [leftover] = leftovers().try_into().unwrap();
    Store::open(folder.path()).unwrap();
    assert_eq!(leftovers(), std::slice::from_ref(&leftover), "it may belong to a running process");
    let yesterday = SystemTime::now() - Duration::from_hours(25);
    File::options().write(true).open(&leftover).unwrap().set_modified(yesterday).unwrap();
    Store::open(folder.path()).unwrap();
    assert_eq!(leftovers(), [] as [PathBuf; 0]);
}

/// L8, L11, L12: neither file handles nor memory grow with what is packed.
#[test]
fn packing_needs_few_handles_and_little_memory() {
    if let Some(folder) = Child::folder() {
        let mut names: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|item| item.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let disk_entry = |name: String| {
            let stamp = FileStamp::from(&fs::metadata(folder.join(&name)).unwrap());
            let source = FileSource::Disk(DiskFile { path: name.clone(), stamp });
            entry(&name, EntryKind::File(source))
        };
        let entries = names.into_iter().map(disk_entry).collect();
        pack_from(&folder, entries, &Store::temporary().unwrap(), 8).unwrap();
        assert!(peak_memory_kib() < 100 * 1024, "{} KiB", peak_memory_kib());
        return;
    }
    let project = tempfile::tempdir().unwrap();
    File::create(project.path().join("large")).unwrap().set_len(256 << 20).unwrap();
    for number in 0..100 {
        fs::write(project.path().join(format!("small-{number:03}")), numbered(number)).unwrap();
    }
    let limited = ["sh", "-c", "ulimit -n 32 && exec \"$@\"", "sh"];
    let test = "layers::packing_needs_few_handles_and_little_memory";
    Child::below(&limited, test, project.path()).pass();
}

fn numbered(number: u32) -> Vec<u8> {
    number.to_le_bytes().repeat(1000)
}
