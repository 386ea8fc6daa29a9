//! Readers of layers that nobody here wrote, and what each of them says about the entries.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use dockless::error::Result;
use dockless::oci::Digest;
use dockless::plan::{Entry, EntryKind, FileSource};

use super::run;

/// What a reader says about an entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
pub(super) struct Seen {
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
    pub(super) fn of(entry: &Entry) -> Self {
        let (kind, target, content) = match &entry.kind {
            EntryKind::Directory => ('d', String::new(), Digest::of(b"")),
            EntryKind::Symlink(target) => ('l', target.clone(), Digest::of(b"")),
            EntryKind::File(FileSource::Bytes(bytes)) => ('f', String::new(), Digest::of(bytes)),
            EntryKind::File(FileSource::Disk(_) | FileSource::Stored(_)) => {
                unreachable!("stories pack bytes")
            }
        };
        let Entry { path, mode, uid, gid, mtime, .. } = entry.clone();
        Self { path, kind, mode, uid, gid, mtime, target, content }
    }
}

pub(super) fn seen_by_tar_crate(blob: &Path) -> Vec<Seen> {
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

pub(super) fn seen_by_python(blob: &Path) -> Vec<Seen> {
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
pub(super) fn seen_after_gnu_tar(blob: &Path) -> Vec<Seen> {
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

pub(super) fn walk(root: &Path) -> Vec<Seen> {
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
pub(super) fn on_disk(seen: &[Seen]) -> Vec<Seen> {
    let mut seen = seen.to_vec();
    for link in seen.iter_mut().filter(|seen| seen.kind == 'l') {
        link.mode = 0o777;
    }
    seen.sort();
    seen
}
