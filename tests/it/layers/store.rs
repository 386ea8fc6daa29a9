//! The store on a bad day: a full disk, a folder that is closed, processes at once, a killed one.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use dockless::error::ErrorKind;
use dockless::oci::{Descriptor, MediaType};
use dockless::store::Store;

use super::{file, numbered, pack_from};
use crate::support::child::Child;

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
    let test = "layers::store::a_folder_that_may_not_be_written_is_an_error_at_once";
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
                Child::below(&[], "layers::store::processes_share_a_store", folder.path()).pass();
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
    let test = "layers::store::what_a_killed_process_left_is_never_a_blob_and_is_swept";
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
