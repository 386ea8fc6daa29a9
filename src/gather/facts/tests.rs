//! Layers as GNU tar and Python write them, and layers that nobody should write.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::oci::{Digest, MediaType};
use crate::plan::RootNode;

/// Writes one long name each for ustar, GNU and PAX, odd spellings, links, whiteouts.
const PYTHON: &str = r#"
import io, sys, tarfile
formats = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
out = io.BytesIO()
with tarfile.open(fileobj=out, mode="w", format=formats[sys.argv[1]]) as tar:
    def add(name, kind, link="", content=b"", uid=0, mode=0o755, pax={}):
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.uid, info.mode = kind, link, uid, mode
        info.size, info.pax_headers = len(content), pax
        tar.addfile(info, io.BytesIO(content))
    add("./", tarfile.DIRTYPE)
    add("app", tarfile.DIRTYPE, uid=1000, mode=0o2775)
    add("./app/file", tarfile.REGTYPE, content=b"x" * 1000)
    add("bin", tarfile.SYMTYPE, "usr/bin")
    add("hard", tarfile.LNKTYPE, "app/file")
    add("dev/null", tarfile.CHRTYPE)
    add("etc/.wh.passwd", tarfile.REGTYPE)
    add("opt/.wh..wh..opq", tarfile.REGTYPE)
    if sys.argv[1] != "ustar":
        add("n" * 120 + "/" + "m" * 120, tarfile.REGTYPE, content=b"y")
        add("long", tarfile.SYMTYPE, "t" * 150)
        add("big-uid", tarfile.DIRTYPE, uid=3000000000)
    if sys.argv[1] == "pax":
        capability = {"SCHILY.xattr.security.capability": "a\n\nb\n9 path=z\n"}
        add("p" * 110 + "/ü", tarfile.REGTYPE, content=b"z", pax=capability)
sys.stdout.buffer.write(out.getvalue())
"#;

fn run(program: &str, arguments: &[&str], folder: &Path) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("it is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn read(blob: &[u8], limits: Limits) -> Result<LayerIndex, FactsError> {
    scan(blob, false, &Descriptor::of(MediaType::OciLayerGzip, blob), limits, index)
}

fn directory(mode: u32, uid: u64) -> RootNode {
    RootNode::Directory { mode, uid, gid: 0 }
}

/// What [`PYTHON`] writes in every format.
fn common() -> LayerIndex {
    LayerIndex {
        nodes: [
            (String::new(), directory(0o755, 0)),
            ("app".into(), directory(0o2775, 1000)),
            ("app/file".into(), RootNode::File),
            ("bin".into(), RootNode::Symlink("usr/bin".into())),
            ("dev/null".into(), RootNode::File),
            ("hard".into(), RootNode::File),
        ]
        .into(),
        whiteouts: ["etc/passwd".into()].into(),
        opaque: ["opt".into()].into(),
        ..LayerIndex::default()
    }
}

#[test]
fn reads_every_format_that_python_writes() {
    for format in ["ustar", "gnu", "pax"] {
        let tar = run("python3", &["-c", PYTHON, format], Path::new("/"));
        let mut expected = common();
        if format != "ustar" {
            let long = format!("{}/{}", "n".repeat(120), "m".repeat(120));
            expected.nodes.insert(long, RootNode::File);
            expected.nodes.insert("long".into(), RootNode::Symlink("t".repeat(150)));
            expected.nodes.insert("big-uid".into(), directory(0o755, 3_000_000_000));
        }
        if format == "pax" {
            expected.nodes.insert(format!("{}/ü", "p".repeat(110)), RootNode::File);
        }
        assert_eq!(read(&tar, Limits::GENEROUS).unwrap(), expected, "{format}");
    }
}

#[test]
fn reads_what_gnu_tar_writes() {
    let folder = tempfile::tempdir().unwrap();
    let script = "umask 022; mkdir -p a/b; echo x > a/b/c; ln a/b/c a/hard; ln -s ../a a/b/link; \
                  mkfifo a/fifo; chmod 1777 a; touch a/.wh.gone; \
                  mkdir $(printf 'd%.0s' $(seq 150)); touch $(printf 'd%.0s' $(seq 150))/f";
    run("sh", &["-c", script], folder.path());
    let long = "d".repeat(150);
    let expected: Vec<(String, RootNode)> = vec![
        (String::new(), directory(0o755, 7)),
        ("a".into(), directory(0o1777, 7)),
        ("a/b".into(), directory(0o755, 7)),
        ("a/b/c".into(), RootNode::File),
        ("a/b/link".into(), RootNode::Symlink("../a".into())),
        ("a/fifo".into(), RootNode::File),
        ("a/hard".into(), RootNode::File),
        (long.clone(), directory(0o755, 7)),
        (format!("{long}/f"), RootNode::File),
    ];
    let expected = LayerIndex {
        nodes: expected.into_iter().collect(),
        whiteouts: ["a/gone".into()].into(),
        ..LayerIndex::default()
    };
    run("chmod", &["755", "."], folder.path());
    for (format, packing) in [
        ("gnu", "--no-auto-compress"),
        ("posix", "--gzip"),
        ("oldgnu", "--gzip"),
        ("posix", "--zstd"),
    ] {
        let format = format!("--format={format}");
        let tar = ["-cf", "-", &format, packing, "--owner=7", "--group=0", "--numeric-owner", "."];
        let tar = run("tar", &tar, folder.path());
        assert_eq!(read(&tar, Limits::GENEROUS).unwrap(), expected, "{format} {packing}");
    }
}

/// A tar of ustar headers: name, type, size as the header says, content.
fn tar(members: &[(&str, u8, u64, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, kind, size, content) in members {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(tar::EntryType::new(*kind));
        header.set_size(*size);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes
}

#[test]
fn an_archive_may_end_without_its_zero_blocks_and_go_on_behind_them() {
    let mut expected = LayerIndex::default();
    expected.nodes.insert("a".into(), RootNode::File);
    let bare = tar(&[("a", b'0', 3, b"abc")]);
    let behind = [&bare[..], &[0; 1024], b"rubbish"].concat();
    for blob in [bare, behind] {
        assert_eq!(read(&blob, Limits::GENEROUS).unwrap(), expected);
    }
    assert_eq!(read(b"", Limits::GENEROUS).unwrap(), LayerIndex::default());
}

#[test]
fn a_size_in_a_pax_header_moves_the_next_header() {
    let inner = tar(&[("hidden", b'0', 0, b"")]);
    let blob =
        tar(&[("x", b'x', 12, b"12 size=512\n"), ("a", b'0', 0, &inner), ("b", b'0', 0, b"")]);
    let paths: Vec<_> = read(&blob, Limits::GENEROUS).unwrap().nodes.into_keys().collect();
    assert_eq!(paths, ["a", "b"]);
}

#[test]
fn sizes_of_links_and_folders_are_not_heeded() {
    let blob = tar(&[("a/", b'5', 4096, b""), ("b", b'2', 7, b""), ("c", b'0', 0, b"")]);
    let paths: Vec<_> = read(&blob, Limits::GENEROUS).unwrap().nodes.into_keys().collect();
    assert_eq!(paths, ["a", "b", "c"]);
}

#[test]
fn says_why_a_layer_cannot_be_used() {
    let small = Limits { entries: 2, name_bytes: 10, extension_bytes: 20, ..Limits::GENEROUS };
    let three = [("a", b'0', 0, &b""[..]), ("b", b'0', 0, b""), ("c", b'0', 0, b"")];
    for (blob, reason) in [
        (b"<html>".to_vec(), "its tar archive is cut off"),
        (vec![b'x'; 1024], "it is no tar archive"),
        (tar(&[("a", b'0', 5000, b"short")]), "its tar archive is cut off"),
        (tar(&[("a", b'x', 7, b"9 a=bc\n")]), "a PAX header is malformed"),
        (tar(&[("a", b'x', 7, b"+7 a=b\n")]), "a PAX header is malformed"),
        (tar(&[("a", b'x', 9, b"9 size=x\n")]), "a PAX header is malformed"),
        (tar(&[("a", b'x', u64::MAX >> 1, b"")]), "it has more than 20 bytes in extended headers"),
        (tar(&[("a", b'L', 21, &[b'n'; 21])]), "it has more than 20 bytes in extended headers"),
        (tar(&[("a", b'S', 0, b"")]), "it holds a sparse file, which no runtime unpacks"),
        (tar(&three), "it has more than 2 entries"),
        (
            tar(&[("long-names", b'0', 0, b""), ("x", b'0', 0, b"")]),
            "it has more than 10 bytes of names",
        ),
        // Folders that a path leads through are made, too.
        (tar(&[("a/b/c/d", b'0', 0, b"")]), "it has more than 10 bytes of names"),
    ] {
        let message = format!("layer `{}` cannot be used: {reason}", Digest::of(&blob));
        assert_eq!(read(&blob, small).unwrap_err().to_string(), message);
    }
}

#[test]
fn paths_that_no_system_unpacks_are_refused() {
    let long = "a/".repeat(2049);
    let refused = "it has more than 4096 bytes in a path";
    for (kind, name) in [(b'L', "name"), (b'K', "link")] {
        let members = [("x", kind, long.len() as u64, long.as_bytes()), (name, b'2', 0, b"")];
        let blob = tar(&members);
        let message = format!("layer `{}` cannot be used: {refused}", Digest::of(&blob));
        assert_eq!(read(&blob, Limits::GENEROUS).unwrap_err().to_string(), message, "{name}");
    }
    let folders = Limits { name_bytes: 9 + 7 + 5 + 3 + 1 + 9, ..Limits::GENEROUS };
    let shared = [("a/b/c/d/e", b'0', 0, &b""[..]), ("a/b/c/d/f", b'0', 0, b"")];
    assert!(read(&tar(&shared), folders).is_ok(), "folders count once");
}

#[test]
fn a_damaged_blob_is_reported_as_damaged_whatever_it_holds() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
    encoder.write_all(&tar(&[("a", b'0', 0, b"")])).unwrap();
    let blob = encoder.finish().unwrap();
    let promised = Descriptor::of(MediaType::OciLayerGzip, &blob);
    let mut flipped = blob.clone();
    flipped[15] ^= 0xff;
    let longer = [&blob[..], b"more"].concat();
    for (actual, actual_bytes) in [
        (&flipped[..], blob.len() as u64),
        (&blob[..12], 12),
        (&longer, blob.len() as u64 + 1),
        (&[], 0),
    ] {
        match scan(actual, false, &promised, Limits::GENEROUS, index) {
            Err(FactsError::Damaged { expected, actual_bytes: read, .. }) => {
                assert_eq!((expected, read), (promised.digest, actual_bytes));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_source_that_fails_behind_the_archive_gives_no_facts() {
    struct Wrong;
    impl Read for Wrong {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("its digest is wrong"))
        }
    }
    let blob = [&tar(&[("a", b'0', 0, b"")])[..], &[0; 1024]].concat();
    let descriptor = Descriptor::of(MediaType::OciLayer, &blob);
    assert!(scan(&blob[..], true, &descriptor, Limits::GENEROUS, index).is_ok());
    match scan((&blob[..]).chain(Wrong), true, &descriptor, Limits::GENEROUS, index) {
        Err(FactsError::Read { source, .. }) => {
            assert_eq!(source.to_string(), "its digest is wrong");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn reading_ends_when_nobody_waits_for_it() {
    let blob = tar(&[("a", b'0', 0, b"")]);
    let descriptor = Descriptor::of(MediaType::OciLayer, &blob);
    let task = Events::none().task(Action::Inspect, "layer", None);
    let cancel = CancellationToken::new();
    let watched = || Watched { bytes: &blob[..], task: &task, cancel: cancel.clone() };
    assert!(scan(watched(), false, &descriptor, Limits::GENEROUS, index).is_ok());
    cancel.cancel();
    match scan(watched(), false, &descriptor, Limits::GENEROUS, index) {
        Err(FactsError::Read { source, .. }) => {
            assert_eq!(source.to_string(), "nobody waits for it any more");
        }
        other => panic!("{other:?}"),
    }
}
