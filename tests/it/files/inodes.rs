//! What a file is besides its name: its kind, rights, holes and attributes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use dockless::event::Events;
use dockless::gather::{Project, list_tree};
use dockless::plan::TreeNeed;

use super::{Story, lines, need, patterns};
use crate::support::child::Child;

/// L16.
#[test]
fn all_unreadable_files_and_folders_are_told_at_once() {
    if Child::folder().is_none() {
        let test = "files::inodes::all_unreadable_files_and_folders_are_told_at_once";
        return Child::without_rights(test, Path::new("")).pass();
    }
    let mut story = Story::new();
    for number in 0..22 {
        let path = format!("src/{number:02}");
        story = story.file(&path, "").mode(&path, 0o000);
    }
    let story = story
        .file("src/readable", "")
        .file("src/ignored", "")
        .mode("src/ignored", 0o000)
        .file("closed/x", "")
        .mode("closed", 0o000)
        .file("no-search/x", "")
        .mode("no-search", 0o600);
    let listed = TreeNeed { exclude: patterns(&["ignored"]), ..need("src") };
    let denied = |path: &str| {
        format!("dockless.yaml:7:13: cannot read `{path}`: Permission denied (os error 13)")
    };
    let mut expected: Vec<_> = (0..20).map(|number| denied(&format!("src/{number:02}"))).collect();
    expected.push("… and 2 more like this".to_owned());
    assert_eq!(story.refusal(&listed), expected);
    assert_eq!(story.refusal(&need("closed")), [denied("closed")]);
    assert_eq!(story.refusal(&need("no-search")), [denied("no-search/x")]);
    let error = story.list(&need("closed")).unwrap_err();
    assert_eq!(
        error.hints(),
        ["make it readable (`chmod u+r`, for folders `u+rx`), or exclude it"]
    );
    story.mode("closed", 0o700).mode("no-search", 0o700);
}

/// L17: nothing is opened that could block or act.
#[test]
fn fifos_sockets_and_devices_are_refused_by_name() {
    let story = Story::new().file("src/ok", "").file("src/skipped/x", "");
    let fifo = |path: &str| {
        let status = Command::new("mkfifo").arg(story.path(path)).status().unwrap();
        assert!(status.success());
    };
    fifo("src/pipe");
    fifo("src/skipped/pipe");
    let _socket = std::os::unix::net::UnixListener::bind(story.path("src/socket")).unwrap();
    let listed = TreeNeed { exclude: patterns(&["skipped/pipe"]), ..need("src") };
    assert_eq!(
        story.refusal(&listed),
        [
            "dockless.yaml:7:13: `src/pipe` is a FIFO",
            "dockless.yaml:7:13: `src/socket` is a socket"
        ]
    );
    assert_eq!(story.refusal(&need("src/pipe")), ["dockless.yaml:7:13: `src/pipe` is a FIFO"]);
    let devices = Project::open(Path::new("/dev"), None, &[]).unwrap();
    let error = list_tree(&devices, &need("null"), &Events::none()).unwrap_err();
    assert_eq!(error.to_string(), "dockless.yaml:7:13: `null` is a device");
}

/// L27, L35: the listing tells what is on disk; what becomes of it is the layer's business.
#[test]
fn every_permission_bit_is_told() {
    let story = Story::new();
    let modes = [0o4755, 0o2755, 0o1777, 0o600, 0o644, 0o775, 0o444];
    let mut expected = Vec::new();
    for mode in modes {
        let path = format!("src/{mode:04o}");
        fs::write(story.path(&path), "").unwrap();
        fs::set_permissions(story.path(&path), fs::Permissions::from_mode(mode)).unwrap();
        expected.push(mode);
    }
    expected.sort_by_key(|mode| format!("{mode:04o}"));
    let tree = story.list(&need("src")).unwrap();
    let told: Vec<_> = tree.entries.iter().skip(1).map(|entry| entry.mode).collect();
    assert_eq!(told, expected);
}

/// L29.
#[test]
fn hard_links_are_separate_files() {
    let story = Story::new().file("src/a", "x");
    fs::hard_link(story.path("src/a"), story.path("src/b")).unwrap();
    assert_eq!(lines(&story.list(&need("src")).unwrap()), ["/", "a", "b"]);
}

/// L30.
#[test]
#[cfg(target_os = "linux")]
fn a_capability_is_dropped_with_a_warning() {
    use rustix::fs::{XattrFlags, setxattr};
    let story = Story::new().file("src/ping", "").file("src/plain", "");
    // A `vfs_cap_data` of version 2 with CAP_NET_RAW permitted and effective.
    let mut capability = [0_u8; 20];
    capability[..4].copy_from_slice(&0x0200_0001_u32.to_le_bytes());
    capability[4..8].copy_from_slice(&(1_u32 << 13).to_le_bytes());
    let file = story.path("src/ping");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    setxattr(&file, "security.capability", &capability, XattrFlags::empty())
        .expect("giving a file a capability takes CAP_SETFCAP");
    setxattr(story.path("src/plain"), "user.note", b"x", XattrFlags::empty())
        .expect("the temp folder has extended attributes");
    assert_eq!(
        story.remarks(&need("src")),
        ["capability-dropped: files whose capabilities are dropped: `src/ping`"]
    );
}

/// L13, L33.
#[test]
fn holes_and_great_sizes_are_warned_about() {
    let story = Story::new().file("src/a", "");
    let file = fs::File::create(story.path("src/disk.img")).unwrap();
    file.set_len(1024 * 1024 * 1024 + 1).unwrap();
    assert_eq!(
        story.remarks(&need("src")),
        [
            "sparse-file: files with holes, which are packed as zeros: `src/disk.img` (1.0 GiB)",
            "large-source: `src` holds 1.0 GiB",
        ]
    );
    file.set_len(1024 * 1024).unwrap();
    assert_eq!(story.remarks(&need("src")), Vec::<String>::new());
}
