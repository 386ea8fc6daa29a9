//! `dockless cache`: what is in the cache, and cleaning it up.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::cli::{Outcome, Sandbox};

const HOUR: Duration = Duration::from_hours(1);

/// A sandbox with a project that was built: three blobs are in its cache.
fn built() -> Sandbox {
    let sandbox = Sandbox::new();
    let config =
        "name: p\nbase: scratch\nlayers: [{kind: files, copy: [{src: a, dest: /srv/a}]}]\n";
    sandbox.write("p/dockless.yaml", config);
    sandbox.write("p/a", "content");
    sandbox.succeed(["build", "p"]);
    assert_eq!(blobs(&sandbox).len(), 3);
    sandbox
}

fn blobs(sandbox: &Sandbox) -> Vec<PathBuf> {
    let folder = fs::read_dir(sandbox.cache().join("blobs/sha256")).unwrap();
    let mut paths: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn set_age(path: &Path, age: Duration) {
    let time = SystemTime::now() - age;
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn document(outcome: &Outcome) -> Value {
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn info_counts_what_is_there() {
    let sandbox = built();
    let size_bytes: u64 =
        blobs(&sandbox).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    let temporary = sandbox.cache().join("blobs/sha256/.dockless-x.tmp");
    fs::write(temporary, "half").unwrap();
    fs::remove_dir_all(sandbox.cache().join("records")).unwrap();
    let records = sandbox.cache().join("records/files-1");
    fs::create_dir_all(&records).unwrap();
    fs::write(records.join("0".repeat(64)), "binary").unwrap();
    let tally = |files: u64, size_bytes: u64| json!({"files": files, "size_bytes": size_bytes});
    let mut info = document(&sandbox.run(["cache", "info", "--json"]));
    let last_used = info.as_object_mut().unwrap().remove("last_used").unwrap();
    assert!(last_used.as_str().unwrap().ends_with('Z'), "{last_used}");
    assert_eq!(
        info,
        json!({
            "folder": sandbox.cache(),
            "blobs": tally(3, size_bytes),
            "records": {"files-1": tally(1, 6)},
            "temporary": tally(1, 4),
            "total": tally(5, size_bytes + 10),
        })
    );
    let text = sandbox.succeed(["cache", "info"]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], sandbox.cache().to_str().unwrap());
    assert!(lines[1].starts_with("  layers and documents of images: 3 files, "), "{text}");
    assert_eq!(
        lines[2..4],
        ["  digests of projects' files: 1 file, 6 B", "  half-written files: 1 file, 4 B"]
    );
    assert!(lines[4].starts_with("  together: 5 files, "), "{text}");
    assert_eq!(lines[5..], ["last used within the last ten minutes"]);
}

#[test]
fn a_cache_that_is_not_there_is_empty_and_stays_away() {
    let sandbox = Sandbox::new();
    fs::remove_dir(sandbox.cache()).unwrap();
    for words in [["cache", "info"], ["cache", "prune"]] {
        sandbox.succeed(words);
        assert!(!sandbox.cache().exists());
    }
}

#[test]
fn prune_removes_what_was_not_used_for_long() {
    let sandbox = built();
    let [old, recent, new] = &blobs(&sandbox)[..] else { panic!("{:?}", blobs(&sandbox)) };
    set_age(old, HOUR * 31 * 24);
    set_age(recent, HOUR * 5);
    let old_size = fs::metadata(old).unwrap().len();

    let outcome = sandbox.run(["cache", "prune", "--dry-run", "--json"]);
    let planned = document(&outcome);
    let removed = json!({
        "blobs": {"files": 1, "size_bytes": old_size},
        "records": {},
        "temporary": {"files": 0, "size_bytes": 0},
        "total": {"files": 1, "size_bytes": old_size},
    });
    assert_eq!((&planned["removed"], &planned["is_dry_run"]), (&removed, &json!(true)));
    assert!(old.exists());
    let said = sandbox.succeed(["cache", "prune"]);
    let expected = " (blobs: 1, records: 0, temporary files: 0); ";
    assert!(said.starts_with("removed ") && said.contains(expected), "{said}");
    assert_eq!(blobs(&sandbox), [recent.clone(), new.clone()]);
    // What was used within the last hour may be in use.
    sandbox.succeed(["cache", "prune", "--max-size", "0"]);
    assert_eq!(blobs(&sandbox), std::slice::from_ref(new));
    sandbox.succeed(["cache", "prune", "--older-than", "0s"]);
    assert_eq!(blobs(&sandbox), std::slice::from_ref(new));
    sandbox.succeed(["cache", "prune", "--all"]);
    assert!(blobs(&sandbox).is_empty());
    // All of it can be made again.
    sandbox.succeed(["build", "p"]);
    assert_eq!(blobs(&sandbox).len(), 3);
}

#[test]
fn what_is_being_written_stays_and_what_nobody_writes_goes() {
    let sandbox = built();
    let folder = sandbox.cache().join("blobs/sha256");
    let (half, left) = (folder.join(".dockless-half.tmp"), folder.join(".dockless-left.tmp"));
    for (path, hours) in [(&half, 23), (&left, 25)] {
        fs::write(path, "half").unwrap();
        set_age(path, HOUR * hours);
    }
    sandbox.succeed(["cache", "prune", "--all"]);
    assert_eq!(blobs(&sandbox), [half]);
}

#[test]
fn a_use_keeps_a_blob() {
    let sandbox = built();
    for path in blobs(&sandbox) {
        set_age(&path, HOUR * 31 * 24);
    }
    sandbox.succeed(["build", "p"]);
    sandbox.succeed(["cache", "prune"]);
    assert_eq!(blobs(&sandbox).len(), 3);
}

#[test]
fn a_folder_of_somebody_else_is_not_pruned() {
    let sandbox = built();
    let photo = sandbox.write("else/records/photos/a.jpg", "mine");
    let blob = sandbox.write(&format!("else/blobs/sha256/{}", "0".repeat(64)), "mine");
    let mut command = sandbox.command(["cache", "prune", "--all"]);
    let outcome = Outcome::of(command.env("DOCKLESS_CACHE_DIR", "else"));
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let reason = "`else` is no cache of dockless: it has no file `CACHEDIR.TAG`";
    assert!(outcome.stderr.contains(reason), "{outcome:#?}");
    assert!(photo.exists() && blob.exists());
}

#[test]
fn only_a_cache_is_pruned() {
    let sandbox = built();
    sandbox.succeed(["build", "p", "-o", "oci:out"]);
    let mut command = sandbox.command(["cache", "prune", "--all"]);
    command.env("DOCKLESS_CACHE_DIR", "out");
    let outcome = Outcome::of(&mut command);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert!(outcome.stderr.contains("`out` is no cache but an OCI layout"), "{outcome:#?}");
    assert_eq!(fs::read_dir(sandbox.work().join("out/blobs/sha256")).unwrap().count(), 3);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let sandbox = Sandbox::new();
    for words in
        [&["--older-than", "soon"][..], &["--max-size", "big"], &["--all", "--max-size", "5GB"]]
    {
        let outcome = sandbox.run([&["cache", "prune"], words].concat());
        assert_eq!(outcome.code, 2, "{outcome:#?}");
    }
    // A variable is blamed for what it says.
    let mut command = sandbox.command(["cache", "prune"]);
    command.env("DOCKLESS_CACHE_MAX_SIZE", "big");
    let outcome = Outcome::of(&mut command);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert!(outcome.stderr.contains("'DOCKLESS_CACHE_MAX_SIZE'"), "{outcome:#?}");
}
