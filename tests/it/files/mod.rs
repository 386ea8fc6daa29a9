//! What is taken from a project's folder, and what is refused: the local files of the catalogue.
//!
//! Tests that need fewer rights or open files than the test runner has run themselves again in a
//! child process: [`Child`](super::support::child::Child).

mod inodes;
mod large_trees;
mod left_out;
mod links;
mod names;
mod patterns;
mod sources;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use dockless::config::Position;
use dockless::error::{Error, ErrorKind};
use dockless::event::{Event, Events};
use dockless::gather::{Project, list_tree};
use dockless::plan::{Links, Tree, TreeEntryKind, TreeNeed};

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
