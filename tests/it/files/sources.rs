//! What a source names: the project, a folder, a file, or nothing that may be had.

use std::fs;
use std::path::Path;

use dockless::config::Position;
use dockless::event::Events;
use dockless::gather::{Project, gather_files, list_tree, read_file};
use dockless::plan::{Need, TreeEntryKind};

use super::{Story, lines, need};
use crate::support::cli::Sandbox;

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
