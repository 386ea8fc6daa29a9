//! Names that are odd, cannot be in an image, or mean something else on another system.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

use dockless::plan::TreeNeed;

use super::{Story, lines, need, patterns};

/// L22.
#[test]
#[cfg(target_os = "linux")]
fn names_that_are_not_text_are_refused_by_name() {
    let story = Story::new().file("src/ok", "");
    let bad = |bytes: &[u8]| story.path("src").join(std::ffi::OsStr::from_bytes(bytes));
    fs::write(bad(b"a\xff"), "").unwrap();
    fs::create_dir(bad(b"b\xfe")).unwrap();
    fs::write(bad(b"skipped\xfe"), "").unwrap();
    symlink(std::ffi::OsStr::from_bytes(b"x\xff"), story.path("src/link")).unwrap();
    let listed = TreeNeed { exclude: patterns(&["skipped*"]), ..need("src") };
    assert_eq!(
        story.refusal(&listed),
        ["src/a\u{fffd}", "src/b\u{fffd}", "src/link"].map(|path| format!(
            "dockless.yaml:7:13: `{path}` has a name or a link target that is not UTF-8"
        ))
    );
}

/// L24.
#[test]
fn odd_names_are_kept_and_escaped_in_messages() {
    let odd = ["-rf", "a\nb", "a\tb", "a\\b", "a:b", "x\u{1b}[31m", "ü"];
    let mut story = Story::new();
    for name in odd {
        story = story.file(&format!("src/{name}"), "");
    }
    let mut expected = odd.to_vec();
    expected.push("/");
    expected.sort_by_key(|name| name.trim_matches('/'));
    assert_eq!(lines(&story.list(&need("src")).unwrap()), expected);
    let story = Story::new().file("src/.wh.\u{1b}[31m\n", "");
    assert_eq!(
        story.refusal(&need("src")),
        ["dockless.yaml:7:13: `src/.wh.\\u{1b}[31m\\n` cannot be in an image: a name with `.wh.` \
          in front deletes a file"]
    );
}

/// L25.
#[test]
fn whiteout_names_are_refused_by_name() {
    let story = Story::new()
        .file("src/.wh.a", "")
        .file("src/.wh..wh..opq", "")
        .file("src/.wh.folder/x", "")
        .file("src/a.wh.b", "")
        .file("src/.white", "");
    assert_eq!(
        story.refusal(&need("src")),
        ["src/.wh..wh..opq", "src/.wh.a", "src/.wh.folder"].map(|path| format!(
            "dockless.yaml:7:13: `{path}` cannot be in an image: a name with `.wh.` in front \
             deletes a file"
        ))
    );
    assert_eq!(story.refusal(&need("src/.wh.a")).len(), 1);
    let listed = TreeNeed { exclude: patterns(&[".wh.*"]), ..need("src") };
    assert_eq!(lines(&story.list(&listed).unwrap()), ["/", ".white", "a.wh.b"]);
}

/// L31.
#[test]
#[cfg(target_os = "linux")]
fn names_that_other_systems_confuse_are_warned_about() {
    let story = Story::new()
        .file("src/README", "")
        .file("src/ReadMe", "")
        .file("src/a/x", "")
        .file("src/b/X", "")
        .file("src/\u{e9}", "")
        .file("src/e\u{301}", "");
    assert_eq!(story.list(&need("src")).unwrap().entries.len(), 9);
    assert_eq!(
        story.remarks(&need("src")),
        [
            "case-collision: names that differ in case alone: `README` and `ReadMe` in `src`",
            "unicode-twins: names that look the same and are written in two Unicode forms: \
             `e\u{301}` and `é` in `src` (`e\\u{301}`, `\\u{e9}`)",
        ]
    );
    let listed = TreeNeed { exclude: patterns(&["ReadMe", "é"]), ..need("src") };
    assert_eq!(story.remarks(&listed), Vec::<String>::new());
}
