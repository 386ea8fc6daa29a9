//! What is taken from a project's folder, and what is refused: the local files of the catalogue.
//!
//! Tests that need fewer rights or open files than the test runner has run themselves again in a
//! child process: [`Rerun`].

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::child::{Child, peak_memory_kib};
use crate::support::cli::Sandbox;
use dockless::config::Position;
use dockless::error::{Error, ErrorKind};
use dockless::event::{Event, Events};
use dockless::gather::{Project, gather_files, list_tree, read_file};
use dockless::plan::{Links, Need, Tree, TreeEntryKind, TreeNeed};

/// A folder for a project, with its surroundings.
struct Story {
    root: tempfile::TempDir,
}

impl Story {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("the temp folder can be written");
        fs::create_dir(root.path().join("project")).expect("it is new");
        Self { root }
    }

    /// A path below the project's folder, its parents made.
    fn path(&self, path: &str) -> PathBuf {
        let path = self.root.path().join("project").join(path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
        path
    }

    fn file(self, path: &str, text: &str) -> Self {
        fs::write(self.path(path), text).expect("it can be written");
        self
    }

    fn link(self, path: &str, target: &str) -> Self {
        symlink(target, self.path(path)).expect("it is new");
        self
    }

    fn mode(self, path: &str, mode: u32) -> Self {
        let path = self.path(path);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
        self
    }

    fn project(&self) -> Project {
        Project::open(&self.path("."), None, &[]).expect("it exists")
    }

    fn list(&self, need: &TreeNeed) -> Result<Tree, Error> {
        list_tree(&self.project(), need, &Events::none())
    }

    /// The lines of the error of a listing.
    fn refusal(&self, need: &TreeNeed) -> Vec<String> {
        let error = self.list(need).expect_err("it is refused");
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        error.lines().iter().flat_map(|line| line.lines()).map(str::to_owned).collect()
    }

    /// What is said while it is listed: code and text of warnings, text of details.
    fn remarks(&self, need: &TreeNeed) -> Vec<String> {
        remarks(|events| drop(list_tree(&self.project(), need, events).expect("it can be listed")))
    }
}

fn remarks(act: impl FnOnce(&Events)) -> Vec<String> {
    let (events, receiver) = Events::channel();
    act(&events);
    drop(events);
    let text = |event| match event {
        Event::Warning { code, text, .. } => Some(format!("{code}: {text}")),
        Event::Detail { text } => Some(text),
        _ => None,
    };
    receiver.iter().filter_map(text).collect()
}

fn need(source: &str) -> TreeNeed {
    TreeNeed {
        source: source.to_owned(),
        include: Vec::new(),
        exclude: Vec::new(),
        links: Links::Keep,
        has_dockerignore: true,
        position: Position { file: "dockless.yaml".into(), line: 7, column: 13 },
    }
}

fn following(source: &str) -> TreeNeed {
    TreeNeed { links: Links::Follow, ..need(source) }
}

fn patterns(list: &[&str]) -> Vec<String> {
    list.iter().map(|pattern| (*pattern).to_owned()).collect()
}

/// One line per entry: the path, `/` after folders, `→` and the target after links.
fn lines(tree: &Tree) -> Vec<String> {
    let line = |entry: &dockless::plan::TreeEntry| match &entry.kind {
        TreeEntryKind::Directory => format!("{}/", entry.path),
        TreeEntryKind::File(_) => entry.path.clone(),
        TreeEntryKind::Symlink(target) => format!("{} → {target}", entry.path),
    };
    tree.entries.iter().map(line).collect()
}

#[test]
fn a_folder_is_listed_sorted_with_modes_and_stamps() {
    let story = Story::new()
        .file("src/b.py", "print()")
        .file("src/b/x", "")
        .file("src/a", "")
        .mode("src/b.py", 0o754)
        .mode("src/b", 0o710);
    let tree = story.list(&need("src")).unwrap();
    assert_eq!(lines(&tree), ["/", "a", "b/", "b.py", "b/x"]);
    let mode = |path| tree.entries.iter().find(|entry| entry.path == path).unwrap().mode;
    assert_eq!((mode("b.py"), mode("b")), (0o754, 0o710));
    let TreeEntryKind::File(file) = &tree.entries[3].kind else { panic!("it is a file") };
    let metadata = fs::metadata(story.path("src/b.py")).unwrap();
    assert_eq!((file.path.as_str(), file.stamp), ("src/b.py", (&metadata).into()));
}

#[test]
fn a_single_file_is_the_only_entry() {
    let story = Story::new().file("data/notes.md", "x");
    for source in ["data/notes.md", "./data//notes.md", "data/../data/notes.md"] {
        let tree = story.list(&need(source)).unwrap();
        assert_eq!(lines(&tree), [""], "{source}");
    }
}

#[test]
fn every_way_of_writing_the_project_itself_lists_it() {
    let story = Story::new().file("a", "");
    for source in [".", "./", "", "b/.."] {
        fs::create_dir_all(story.path("b")).unwrap();
        assert_eq!(lines(&story.list(&need(source)).unwrap()), ["/", "a", "b/"], "{source:?}");
    }
}

#[test]
fn a_missing_source_is_told_with_the_one_that_is_there() {
    let story = Story::new().file("data/notes.md", "");
    assert_eq!(
        story.refusal(&need("data/note.md")),
        ["dockless.yaml:7:13: there is no `data/note.md`"]
    );
    let hints = |source| story.list(&need(source)).unwrap_err().hints();
    assert_eq!(hints("data/note.md"), ["did you mean `data/notes.md`?"]);
    assert_eq!(hints("date"), ["did you mean `data`?"]);
    assert_eq!(hints("something"), Vec::<String>::new());
}

#[test]
fn a_source_outside_the_project_is_refused() {
    let story = Story::new().file("a/b", "").link("way", "..");
    for source in ["..", "../project", "/etc/passwd", "a/../../x"] {
        assert_eq!(
            story.refusal(&need(source)),
            [format!("dockless.yaml:7:13: `{source}` is not below the project's folder")]
        );
    }
    assert_eq!(
        story.refusal(&need("way/x")),
        ["dockless.yaml:7:13: the link `way/x` leads out of the project's folder, to `..`"]
    );
}

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

/// L8: two open files are enough, however deep and wide the tree is.
#[test]
fn a_deep_tree_is_listed_with_few_open_files() {
    if Child::folder().is_none() {
        let limited = ["sh", "-c", "ulimit -n 64 && exec \"$@\"", "sh"];
        let test = "files::a_deep_tree_is_listed_with_few_open_files";
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
        let test = "files::a_hundred_thousand_files_take_little_memory";
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

/// L16.
#[test]
fn all_unreadable_files_and_folders_are_told_at_once() {
    if Child::folder().is_none() {
        let test = "files::all_unreadable_files_and_folders_are_told_at_once";
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

#[test]
fn files_that_look_like_credentials_are_remarked_on_once() {
    let story = Story::new()
        .file("src/.ENV", "")
        .file("src/.env.example", "")
        .file("src/tls/server.key", "")
        .file("src/main.py", "");
    assert_eq!(
        story.remarks(&need("src")),
        ["looks-like-credential: files in `src` that look like credentials: `src/.ENV`, \
             `src/tls/server.key`"]
    );
}

#[test]
fn a_missing_source_is_shown_in_the_config() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "dockless.yaml",
        "name: x\nbase: scratch\nlayers:\n  - {kind: files, copy: [{src: srk, dest: /a}]}\n",
    );
    sandbox.write("src/a", "a");
    let outcome = sandbox.run(["build", "."]);
    assert_eq!(outcome.code, 2);
    let shown = "dockless.yaml:4:32: there is no `srk`\n  \
                 4 |   - {kind: files, copy: [{src: srk, dest: /a}]}\n    \
                 |                                ^\n  hint: did you mean `src`?";
    let stderr = outcome.stderr;
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(squeeze(&stderr).contains(&squeeze(shown)), "{stderr}");
    assert!(!stderr.contains("failed"), "{stderr}");
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

/// L33.
#[test]
fn the_root_and_the_home_folder_are_refused() {
    let story = Story::new().file("home/a", "");
    let list = |directory: &Path, source: &str| {
        let home = story.path("home");
        let project = Project::open(directory, Some(&home), &[]).unwrap();
        list_tree(&project, &need(source), &Events::none()).map(|tree| lines(&tree))
    };
    let message = |source: &str| {
        format!("dockless.yaml:7:13: `{source}` is the root of the file system or your home folder")
    };
    assert_eq!(list(&story.path("home"), ".").unwrap_err().to_string(), message("."));
    assert_eq!(list(&story.path("."), "home").unwrap_err().to_string(), message("home"));
    assert_eq!(list(Path::new("/"), ".").unwrap_err().to_string(), message("."));
    assert_eq!(list(&story.path("home"), "a").unwrap(), [""]);
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

/// L37: the listing depends on nothing but the names.
#[test]
fn the_order_of_creation_does_not_show() {
    let names = ["b", "a/z", "a/a", "a.b", "A", "ä", "z"];
    let list = |names: &mut dyn Iterator<Item = &&str>| {
        let story = names.fold(Story::new(), |story, name| story.file(name, ""));
        lines(&story.list(&need(".")).expect("it can be listed"))
    };
    assert_eq!(list(&mut names.iter()), list(&mut names.iter().rev()));
}

#[test]
fn small_files_are_read_and_large_ones_refused() {
    let story = Story::new()
        .file("a.j2", "text")
        .file("full", &"x".repeat(1024 * 1024))
        .file("large", &"x".repeat(1024 * 1024 + 1))
        .link("link", "a.j2")
        .link("out", "/etc/passwd");
    let project = story.project();
    let read = |path| read_file(&project, path).map_err(|error| error.to_string());
    assert_eq!(read("a.j2").unwrap(), "text");
    assert_eq!(read("link").unwrap(), "text");
    assert_eq!(read("full").unwrap().len(), 1024 * 1024);
    assert_eq!(read("large").unwrap_err(), "`large` is larger than 1048576 bytes");
    assert_eq!(read(".").unwrap_err(), "`.` is not a file");
    assert_eq!(read("gone").unwrap_err(), "there is no `gone`");
    assert_eq!(
        read("out").unwrap_err(),
        "the link `out` leads out of the project's folder, to `/etc/passwd`"
    );
    let devices = Project::open(Path::new("/dev"), None, &[]).unwrap();
    assert_eq!(read_file(&devices, "zero").unwrap_err().to_string(), "`zero` is a device");
}

#[test]
fn the_errors_of_all_needs_come_at_once() {
    let story = Story::new().file("src/.wh.x", "").file("data/a", "").file("b", "x");
    let file = |path: &str| Need::File {
        path: path.to_owned(),
        position: Position { file: "dockless.yaml".into(), line: 9, column: 5 },
    };
    let needs = [Need::Tree(need("src")), Need::Tree(need("date")), file("gone"), file("b")];
    let error = gather_files(&needs, &story.project(), &Events::none()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "dockless.yaml:7:13: there is no `date`\n\
         dockless.yaml:7:13: `src/.wh.x` cannot be in an image: a name with `.wh.` in front \
         deletes a file\n\
         dockless.yaml:9:5: there is no `gone`"
    );
    let needs = [Need::Tree(need("data")), file("b")];
    let (trees, files) = gather_files(&needs, &story.project(), &Events::none()).unwrap();
    assert_eq!(trees.values().map(lines).collect::<Vec<_>>(), [["/", "a"]]);
    assert_eq!(files.into_iter().collect::<Vec<_>>(), [("b".to_owned(), "x".into())]);
}
