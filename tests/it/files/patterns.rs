//! Which files of a source its patterns take.

use dockless::event::{Event, Events};
use dockless::gather::list_tree;
use dockless::plan::TreeNeed;

use super::{Story, lines, need, patterns};

#[test]
fn wildcards_take_what_matches_below_the_fixed_folder() {
    let story = Story::new()
        .file("data/a.md", "")
        .file("data/b.txt", "")
        .file("data/deep/c.md", "")
        .file("data/*.txt", "");
    let list = |source| lines(&story.list(&need(source)).unwrap());
    assert_eq!(list("data/a*"), ["/", "a.md"]);
    assert_eq!(list("data/**/*.md"), ["/", "a.md", "deep/", "deep/c.md"]);
    assert_eq!(list("d?ta/deep"), ["/", "data/", "data/deep/", "data/deep/c.md"]);
    // A file of that very name comes first.
    assert_eq!(list("data/*.txt"), [""]);
    assert_eq!(
        story.refusal(&need("data/*.pdf")),
        ["dockless.yaml:7:13: nothing in `data/*.pdf` matches `*.pdf`"]
    );
}

#[test]
fn include_and_exclude_are_rooted_at_the_source() {
    let story = Story::new()
        .file("src/a.py", "")
        .file("src/a.pyc", "")
        .file("src/deep/b.py", "")
        .file("src/deep/b.txt", "")
        .file("src/other/c.txt", "");
    let list = |include: &[&str], exclude: &[&str]| {
        let need =
            TreeNeed { include: patterns(include), exclude: patterns(exclude), ..need("src") };
        lines(&story.list(&need).unwrap())
    };
    assert_eq!(list(&["**/*.py"], &[]), ["/", "a.py", "deep/", "deep/b.py"]);
    assert_eq!(list(&["deep"], &["**/*.py"]), ["/", "deep/", "deep/b.txt"]);
    assert_eq!(list(&["**", "!deep"], &["*.pyc"]), ["/", "a.py", "other/", "other/c.txt"]);
    assert_eq!(list(&[], &["*", "!deep/b.py"]), ["/", "deep/", "deep/b.py"]);
    assert_eq!(list(&[], &["*"]), ["/"]);
    let need = TreeNeed { include: patterns(&["*.md"]), ..need("src") };
    assert_eq!(story.refusal(&need), ["dockless.yaml:7:13: nothing in `src` matches `*.md`"]);
    let need = TreeNeed { include: patterns(&["[z-a]"]), ..need };
    assert_eq!(
        story.refusal(&need),
        ["`[z-a]` in `include` is not a pattern: a range in a class runs backwards"]
            .map(|message| format!("dockless.yaml:7:13: {message}"))
    );
}

#[test]
fn a_pattern_that_matches_nothing_is_told_with_one_that_would() {
    let story = Story::new()
        .file("src/deep/x.tmp", "")
        .file("src/y", "")
        .file("src/gone/z.log", "")
        .file(".dockerignore", "*.never");
    let exclude = ["*.tmp", "src/y", "**/deep/**", "nowhere", "gone", "gone/*.log"];
    let listed = TreeNeed { exclude: patterns(&exclude), ..need("src") };
    assert_eq!(
        story.remarks(&listed),
        ["*.tmp", "src/y", "nowhere"].map(|pattern| format!(
            "exclude-matches-nothing: dockless.yaml:7:13: the exclude pattern `{pattern}` matches \
             nothing in `src`"
        ))
    );
    let (events, receiver) = Events::channel();
    let listed = TreeNeed { exclude: patterns(&["src/y", "*.tmp", "no"]), ..need("src") };
    list_tree(&story.project(), &listed, &events).unwrap();
    drop(events);
    let hints: Vec<_> = receiver
        .iter()
        .filter_map(|event| match event {
            Event::Warning { hint, .. } => hint,
            _ => None,
        })
        .collect();
    assert_eq!(
        hints,
        [
            "`y` would: patterns are rooted at `src`",
            "`**/*.tmp` would: patterns are rooted at `src`",
            "patterns are rooted at `src`; remove this one if it has no use",
        ]
    );
}
