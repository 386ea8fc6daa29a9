//! Trees that are deep or have many files.

use std::fs;
use std::path::Path;

use super::{Story, need};
use crate::support::child::{Child, peak_memory_kib};

/// L8: two open files are enough, however deep and wide the tree is.
#[test]
fn a_deep_tree_is_listed_with_few_open_files() {
    if Child::folder().is_none() {
        let limited = ["sh", "-c", "ulimit -n 64 && exec \"$@\"", "sh"];
        let test = "files::large_trees::a_deep_tree_is_listed_with_few_open_files";
        return Child::below(&limited, test, Path::new("")).pass();
    }
    let story = Story::new();
    let mut folder = story.path("deep");
    for depth in 0..200 {
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("file"), "").unwrap();
        folder.push(format!("d{depth}"));
    }
    for number in 0..200 {
        fs::write(story.path(&format!("deep/wide/{number}")), "").unwrap();
    }
    assert_eq!(story.list(&need("deep")).unwrap().entries.len(), 200 + 200 + 1 + 200);
}

/// L11.
#[test]
#[cfg(target_os = "linux")]
fn a_hundred_thousand_files_take_little_memory() {
    if Child::folder().is_none() {
        let test = "files::large_trees::a_hundred_thousand_files_take_little_memory";
        return Child::below(&[], test, Path::new("")).pass();
    }
    let story = Story::new();
    for folder in 0..100 {
        let folder = story.path(&format!("data/folder-{folder}/a-longer-name-below-it"));
        fs::create_dir_all(&folder).unwrap();
        // Links to one file are made, and removed, faster than files.
        let first = folder.join("document-number-0.md");
        fs::File::create(&first).unwrap();
        for file in 1..1000 {
            fs::hard_link(&first, folder.join(format!("document-number-{file}.md"))).unwrap();
        }
    }
    let tree = story.list(&need(".")).unwrap();
    assert_eq!(tree.entries.len(), 100_000 + 202);
    assert!(peak_memory_kib() < 100 * 1024, "{} KiB", peak_memory_kib());
}
