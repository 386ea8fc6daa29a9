//! What stays out of every image: by the `.dockerignore`, and by what it is.

use std::fs;

use dockless::event::Events;
use dockless::gather::{Project, list_tree};
use dockless::plan::TreeNeed;

use super::{Story, lines, need, remarks};

/// L36.
#[test]
fn a_dockerignore_keeps_files_out() {
    let story = Story::new()
        .file(
            ".dockerignore",
            "\u{feff}# comment\r\n*.log\r\n!keep.log\r\n  src/secret \r\n/dist/\r\n**/cache\r\n!**/cache/keep\r\n",
        )
        .file("a.log", "")
        .file("keep.log", "")
        .file("src/b.log", "")
        .file("src/secret/key", "")
        .file("dist/x", "")
        .file("src/cache/drop", "")
        .file("src/cache/keep", "");
    let list = |source| lines(&story.list(&need(source)).unwrap());
    assert_eq!(
        list("."),
        ["/", ".dockerignore", "keep.log", "src/", "src/b.log", "src/cache/", "src/cache/keep"]
    );
    // The patterns stay rooted at the project, whatever the source is.
    assert_eq!(list("src"), ["/", "b.log", "cache/", "cache/keep"]);
    assert_eq!(list("src/cache"), ["/", "keep"]);
    let all = TreeNeed { has_dockerignore: false, ..need("src/secret") };
    assert_eq!(lines(&story.list(&all).unwrap()), ["/", "key"]);
}

#[test]
fn a_source_that_is_ignored_as_a_whole_is_refused_with_the_line() {
    let story = Story::new()
        .file(".dockerignore", "# none\nsecret\n*.key\n")
        .file("secret/deep/a", "")
        .file("b.key", "");
    for (source, by) in [
        ("secret", "`secret` (`.dockerignore:2`)"),
        ("secret/deep", "`secret` (`.dockerignore:2`)"),
        ("secret/deep/a", "`secret` (`.dockerignore:2`)"),
        ("b.key", "`*.key` (`.dockerignore:3`)"),
    ] {
        assert_eq!(
            story.refusal(&need(source)),
            [format!("dockless.yaml:7:13: `{source}` is excluded by {by}")]
        );
    }
}

/// L36.
#[test]
fn a_dockerignore_may_have_a_line_of_a_megabyte_and_its_errors_have_lines() {
    let story = Story::new().file("a", "").file("b", "");
    for piece in ["x", "?", "*/", "**/x"] {
        let text = format!("{}\nb\n", piece.repeat(1024 * 1024 / piece.len()));
        fs::write(story.path(".dockerignore"), text).unwrap();
        assert_eq!(lines(&story.list(&need(".")).unwrap()), ["/", ".dockerignore", "a"]);
    }
    fs::write(story.path(".dockerignore"), "a\n\n!\n").unwrap();
    assert_eq!(
        story.refusal(&need(".")),
        ["`!` in `.dockerignore:3` is not a pattern: `!` needs a pattern after it"]
    );
}

/// L34.
#[test]
fn what_we_write_and_version_control_are_never_listed() {
    let story = Story::new()
        .file("a", "")
        .file("out/index.json", "")
        .file("deep/image.digest", "")
        .file("deep/out", "")
        .file(".dockless/state", "")
        .file("deep/.dockless-a1b2.tmp", "")
        .file(".git/config", "")
        .file("module/.git", "gitdir: ../.git/modules/module")
        .file(".gitignore", "");
    let outputs = [story.path("out"), story.path("deep/image.digest"), story.path("gone")];
    let project = Project::open(&story.path("."), None, &outputs).unwrap();
    let tree = list_tree(&project, &need("."), &Events::none()).unwrap();
    assert_eq!(lines(&tree), ["/", ".gitignore", "a", "deep/", "deep/out", "module/"]);
    let details =
        remarks(|events| drop(list_tree(&project, &need("."), events).expect("it can be listed")));
    assert_eq!(
        details,
        [".dockless", ".git", "out", "module/.git", "deep/.dockless-a1b2.tmp", "deep/image.digest"]
            .map(|path| format!("left out `{path}`"))
    );
    // Whoever names it gets it.
    assert_eq!(
        lines(&list_tree(&project, &need(".git"), &Events::none()).unwrap()),
        ["/", "config"]
    );
}

/// L34: a layout that an earlier command wrote.
#[test]
fn an_image_that_was_built_here_is_no_part_of_the_next() {
    let story = Story::new()
        .file("a", "")
        .file("old/oci-layout", "{}")
        .file("old/index.json", "{}")
        .file("old/blobs/sha256/00", "")
        .file("data/index.json", "{}");
    let project = Project::open(&story.path("."), None, &[]).unwrap();
    let tree = list_tree(&project, &need("."), &Events::none()).unwrap();
    assert_eq!(lines(&tree), ["/", "a", "data/", "data/index.json"]);
    // Whoever names it gets it.
    let named = list_tree(&project, &need("old/blobs"), &Events::none()).unwrap();
    assert_eq!(lines(&named), ["/", "sha256/", "sha256/00"]);
}
