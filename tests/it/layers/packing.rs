//! What packing gives, and what it takes.

use std::fs::{self, File};
use std::process::Command;

use dockless::oci::Digest;
use dockless::plan::{DiskFile, EntryKind, FileSource, FileStamp};
use dockless::store::Store;

use super::{entry, file, numbered, pack_bytes, pack_from, run};
use crate::support::child::{Child, peak_memory_kib};

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
    let test = "layers::packing::packing_needs_few_handles_and_little_memory";
    Child::below(&limited, test, project.path()).pass();
}
