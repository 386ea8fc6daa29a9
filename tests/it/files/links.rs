//! Symbolic links: kept as they are, or followed within the project.

use dockless::plan::{TreeEntryKind, TreeNeed};

use super::{Story, following, lines, need, patterns};

/// L18, L19, L20.
#[test]
fn links_are_kept_and_never_followed() {
    let story = Story::new()
        .file("src/real/file", "")
        .file("other/file", "")
        .link("src/dangling", "nowhere")
        .link("src/folder", "real")
        .link("src/around", "around")
        .link("src/real/up", "..")
        .link("src/absolute", "/etc/passwd")
        .link("src/escape", "../other/file");
    assert_eq!(
        lines(&story.list(&need("src")).unwrap()),
        [
            "/",
            "absolute → /etc/passwd",
            "around → around",
            "dangling → nowhere",
            "escape → ../other/file",
            "folder → real",
            "real/",
            "real/file",
            "real/up → ..",
        ]
    );
    assert_eq!(
        story.remarks(&need("src")),
        ["link-leaves-project: links that point out of `src`: `src/absolute` → `/etc/passwd`, \
          `src/escape` → `../other/file`"]
    );
    // The source itself may be a link, and may be reached through one.
    assert_eq!(lines(&story.list(&need("src/folder")).unwrap()), [" → real"]);
    assert_eq!(lines(&story.list(&need("src/folder/file")).unwrap()), [""]);
}

#[test]
fn links_inside_the_project_are_followed_when_asked() {
    let story = Story::new()
        .file("src/own", "")
        .file("common/docs/a.md", "")
        .file("common/b.md", "")
        .link("src/docs", "../common/docs")
        .link("src/again", "docs")
        .link("src/b.md", "../common/b.md")
        .link("source", "src");
    let expected = ["/", "again/", "again/a.md", "b.md", "docs/", "docs/a.md", "own"];
    for source in ["src", "source"] {
        let tree = story.list(&following(source)).unwrap();
        assert_eq!(lines(&tree), expected, "{source}");
        let real = |entry: &dockless::plan::TreeEntry| match &entry.kind {
            TreeEntryKind::File(file) => Some(file.path.clone()),
            _ => None,
        };
        let real: Vec<_> = tree.entries.iter().filter_map(real).collect();
        assert_eq!(real, ["common/docs/a.md", "common/b.md", "common/docs/a.md", "src/own"]);
    }
    assert_eq!(lines(&story.list(&following("src/b.md")).unwrap()), [""]);
}

#[test]
fn links_that_lead_out_nowhere_or_around_are_refused_when_followed() {
    let story = Story::new()
        .file("src/deep/file", "")
        .link("src/absolute", "/etc/passwd")
        .link("src/escape", "../../x")
        .link("src/dangling", "nowhere")
        .link("src/around", "around")
        .link("src/deep/up", "..")
        .link("src/excluded", "nowhere");
    let listed = TreeNeed { exclude: patterns(&["excluded"]), ..following("src") };
    assert_eq!(
        story.refusal(&listed),
        [
            "the link `src/absolute` leads out of the project's folder, to `/etc/passwd`",
            "the link `src/escape` leads out of the project's folder, to `../../x`",
            "the link `src/around` leads back to itself",
            "the link `src/deep/up` leads back to itself",
            "the link `src/dangling` leads nowhere: `nowhere`",
        ]
        .map(|line| format!("dockless.yaml:7:13: {line}"))
    );
}

#[test]
fn a_followed_link_is_no_way_around_the_ignore_file() {
    let story = Story::new()
        .file(".dockerignore", "secret\n")
        .file("secret/key", "")
        .file(".git/config", "")
        .file("src/a", "")
        .link("src/key", "../secret/key")
        .link("src/git", "../.git");
    assert_eq!(lines(&story.list(&following("src")).unwrap()), ["/", "a"]);
    assert_eq!(story.remarks(&following("src")), ["left out `src/git`", "left out `src/key`"]);
}
