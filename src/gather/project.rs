//! The project's folder: what never belongs to an image, and where a path in it really leads.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::error::FaultCause;
use super::folder::{Folder, Look, LookKind};
use crate::plan::pattern::PatternSet;
use crate::plan::{FileStamp, LOCK_FILE};

/// The folder of our own state.
const STATE: &str = ".dockless";

/// The folders (or, in a worktree, files) of version control systems.
const VERSION_CONTROL: [&str; 3] = [".git", ".hg", ".svn"];

/// How many links one path may lead through, as on Linux.
const MAX_LINKS: usize = 40;

/// Which files were read before.
pub trait ReadFiles: std::fmt::Debug + Send + Sync {
    /// Whether the file with this path below the project's folder was read when it had this stamp.
    fn has(&self, path: &str, stamp: &FileStamp) -> bool;
}

/// The folder that every path of a config is below.
#[derive(Debug, Clone)]
pub struct Project {
    /// Absolute and without links.
    directory: PathBuf,
    /// The user's home folder, where it is known.
    home: Option<PathBuf>,
    /// What we write ourselves, below the project's folder.
    outputs: Vec<String>,
    /// What is left out of every tree, whatever the need says.
    ignore: PatternSet,
    /// Files that need not be opened while they are listed; `None` when none is known.
    read_files: Option<Arc<dyn ReadFiles>>,
}

/// Where a path leads when every link on the way is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Below the project's folder, no part but perhaps the last a link; empty for the folder itself.
    pub(super) path: String,
    /// What stands there.
    pub(super) look: Look,
}

impl Project {
    /// The project in a folder, for a user with this home folder.
    ///
    /// `outputs` are files and folders that the command is about to write, or wrote earlier: what
    /// lies below the project's folder is never listed. They need not exist.
    ///
    /// # Errors
    /// The folder does not exist.
    pub fn open(
        directory: &Path,
        home: Option<&Path>,
        outputs: &[PathBuf],
    ) -> std::io::Result<Self> {
        let directory = std::fs::canonicalize(directory)?;
        let home =
            home.map(|home| std::fs::canonicalize(home).unwrap_or_else(|_| home.to_path_buf()));
        let outputs = places_of(&directory, outputs).into_iter().collect();
        Ok(Self { directory, home, outputs, ignore: PatternSet::default(), read_files: None })
    }

    /// What these patterns match is left out of every tree.
    pub fn with_ignore(self, ignore: PatternSet) -> Self {
        Self { ignore, ..self }
    }

    /// Files that were read before are looked at, and not opened, while they are listed.
    pub fn with_read_files(self, read_files: Arc<dyn ReadFiles>) -> Self {
        Self { read_files: Some(read_files), ..self }
    }

    /// The folder: absolute, without links.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What we write ourselves, below the project's folder.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.outputs.iter().map(String::as_str).chain([STATE])
    }

    /// Where files lie below the project's folder, in order; what lies elsewhere is not in it.
    pub fn places_of<'a>(&self, paths: impl IntoIterator<Item = &'a PathBuf>) -> BTreeSet<String> {
        places_of(&self.directory, paths)
    }

    /// What is left out of every tree.
    pub(super) fn ignore(&self) -> &PatternSet {
        &self.ignore
    }

    pub(super) fn read_files(&self) -> Option<&dyn ReadFiles> {
        self.read_files.as_deref()
    }

    /// Whether a path is something that we write ourselves, in this command or for later ones.
    pub(super) fn is_output(&self, path: &str) -> bool {
        let name = name_of(path);
        // What an interrupted `sys::atomic_file` may leave.
        let is_temporary =
            name.strip_suffix(".tmp").is_some_and(|rest| rest.starts_with(".dockless-"));
        is_temporary || path == LOCK_FILE || self.outputs().any(|output| output == path)
    }

    /// Whether a folder is the root of the file system or the user's home.
    pub(super) fn is_too_broad(&self, path: &str) -> bool {
        let path = if path.is_empty() { self.directory.clone() } else { self.directory.join(path) };
        path.parent().is_none() || self.home.as_deref() == Some(&path)
    }

    /// Finds where a path leads. Links on the way are followed as long as they stay in the project;
    /// the last part is followed when `follows_last` says so.
    pub(super) fn resolve(&self, written: &str, follows_last: bool) -> Result<Place, FaultCause> {
        if Path::new(written).is_absolute() || written.starts_with('/') {
            return Err(FaultCause::OutsideProject);
        }
        let mut rest: VecDeque<String> = parts(written).map(str::to_owned).collect();
        let mut path: Vec<String> = Vec::new();
        let mut links: Vec<String> = Vec::new();
        let mut found = None;
        while let Some(part) = rest.pop_front() {
            found = None;
            if part == ".." {
                let leaves = || match links.last() {
                    None => FaultCause::OutsideProject,
                    Some(target) => FaultCause::LinkLeaves { target: target.clone() },
                };
                path.pop().ok_or_else(leaves)?;
                continue;
            }
            let folder = self.folder(&path.join("/"))?;
            let look = match folder.look(part.as_ref()) {
                Ok(look) => look,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(missing(&folder, &path, &part, links.last()));
                }
                Err(error) => return Err(FaultCause::of_io(&error)),
            };
            if look.kind == LookKind::Symlink && (follows_last || !rest.is_empty()) {
                let target = folder.read_link(part.as_ref());
                let target = target.map_err(|error| FaultCause::of_io(&error))?;
                let target = target.into_string().map_err(|_| FaultCause::NotUtf8)?;
                if links.len() == MAX_LINKS {
                    return Err(FaultCause::LinkLoop);
                }
                if Path::new(&target).is_absolute() {
                    // An absolute link into the project is as good as a relative one.
                    let inside = below(&self.directory, Path::new(&target))
                        .ok_or_else(|| FaultCause::LinkLeaves { target: target.clone() })?;
                    path.clear();
                    prepend(&mut rest, &inside);
                } else {
                    prepend(&mut rest, &target);
                }
                links.push(target);
                continue;
            }
            if look.kind != LookKind::Directory && !rest.is_empty() {
                return Err(FaultCause::Missing { similar: None });
            }
            path.push(part);
            found = Some(look);
        }
        let path = path.join("/");
        let look = match found {
            Some(look) => look,
            None => {
                self.folder(&path)?.look_at_itself().map_err(|error| FaultCause::of_io(&error))?
            }
        };
        Ok(Place { path, look })
    }

    /// Opens a folder by its real path.
    pub(super) fn folder(&self, path: &str) -> Result<Folder, FaultCause> {
        Folder::open(&self.directory, path).map_err(|error| FaultCause::of_io(&error))
    }
}

/// Whether a name belongs to version control.
pub(super) fn is_version_control(name: &str) -> bool {
    VERSION_CONTROL.contains(&name)
}

/// The last part of a path.
pub(super) fn name_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// The parts of a path that mean something.
pub(super) fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}

/// Joins two paths, either of which may be empty.
pub(super) fn join(folder: &str, name: &str) -> String {
    let between = if folder.is_empty() || name.is_empty() { "" } else { "/" };
    [folder, between, name].concat()
}

fn prepend(rest: &mut VecDeque<String>, path: &str) {
    for part in parts(path).collect::<Vec<_>>().into_iter().rev() {
        rest.push_front(part.to_owned());
    }
}

/// Where outputs lie below a folder; they may be relative to where the command runs.
fn places_of<'a>(
    directory: &Path,
    outputs: impl IntoIterator<Item = &'a PathBuf>,
) -> BTreeSet<String> {
    let places = outputs.into_iter().map(|output| match std::path::absolute(output) {
        Ok(output) => places(directory, &output),
        // It is empty: nothing can be written there.
        Err(_) => BTreeSet::new(),
    });
    places.flatten().collect()
}

/// Where an output lies below a folder: as it is written, and where its links lead. It may be spelled
/// with `..`, and end in parts that do not exist yet.
fn places(directory: &Path, output: &Path) -> BTreeSet<String> {
    let mut written = PathBuf::new();
    for component in output.components() {
        match component {
            Component::ParentDir => {
                written.pop();
            }
            Component::CurDir => {}
            other => written.push(other),
        }
    }
    let real = output.ancestors().find_map(|ancestor| {
        let rest = output.strip_prefix(ancestor).ok()?;
        Some(std::fs::canonicalize(ancestor).ok()?.join(rest))
    });
    // What lies above the project holds all of it: that is not ours alone.
    let is_inside = |place: &String| !place.is_empty();
    let found = [Some(written), real].into_iter().flatten();
    found.filter_map(|path| below(directory, &path)).filter(is_inside).collect()
}

/// The part of an absolute path below a folder, whatever links lead there; the path may end in
/// parts that do not exist.
fn below(directory: &Path, path: &Path) -> Option<String> {
    let plain = path.strip_prefix(directory).map(Path::to_path_buf).ok();
    let inside = plain.or_else(|| {
        let real = path.ancestors().find_map(|ancestor| {
            let rest = path.strip_prefix(ancestor).ok()?;
            Some(std::fs::canonicalize(ancestor).ok()?.join(rest))
        })?;
        real.strip_prefix(directory).map(Path::to_path_buf).ok()
    })?;
    let names = inside.components().map(|component| match component {
        Component::Normal(name) => name.to_str(),
        Component::ParentDir => Some(".."),
        _ => None,
    });
    Some(names.collect::<Option<Vec<_>>>()?.join("/"))
}

fn missing(folder: &Folder, path: &[String], part: &str, link: Option<&String>) -> FaultCause {
    if let Some(target) = link {
        return FaultCause::LinkBroken { target: target.clone() };
    }
    let names = folder.names().unwrap_or_default();
    let names = names.iter().filter_map(|name| name.text.to_str());
    let similar = names
        .map(|name| (strsim::damerau_levenshtein(&part.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| {
            *distance <= 1 + name.chars().count().min(part.chars().count()) / 4
        })
        .min()
        .map(|(_, name)| join(&path.join("/"), name));
    FaultCause::Missing { similar }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn project() -> (tempfile::TempDir, Project) {
        let root = tempfile::tempdir().unwrap();
        let project = root.path().join("project");
        fs::create_dir_all(project.join("data/deep")).unwrap();
        fs::write(project.join("data/notes.md"), "x").unwrap();
        fs::write(root.path().join("secret"), "x").unwrap();
        for (target, link) in [
            ("data", "link"),
            ("link/deep/../notes.md", "file"),
            ("../../secret", "data/out"),
            ("/etc/passwd", "absolute"),
            ("gone", "broken"),
            ("turn", "around"),
            ("around", "turn"),
        ] {
            symlink(target, project.join(link)).unwrap();
        }
        symlink(project.join("data"), project.join("inside")).unwrap();
        let project = Project::open(&project, None, &[]).unwrap();
        (root, project)
    }

    #[test]
    fn an_output_is_known_however_it_is_spelled() {
        let (root, project) = project();
        let directory = project.directory().to_owned();
        let outputs = |paths: &[&str]| -> Vec<String> {
            let paths: Vec<_> = paths.iter().map(|path| directory.join(path)).collect();
            Project::open(&directory, None, &paths).unwrap().outputs
        };
        assert_eq!(outputs(&["data/../out", "./data/./x"]), ["data/x", "out"]);
        assert_eq!(outputs(&["link/new"]), ["data/new", "link/new"]);
        assert_eq!(outputs(&["", "..", "../secret"]), Vec::<String>::new());
        symlink(&directory, root.path().join("other")).unwrap();
        let other = root.path().join("other/out");
        assert_eq!(Project::open(&directory, None, &[other]).unwrap().outputs, ["out"]);
    }

    #[test]
    fn a_path_is_followed_as_long_as_it_stays_in_the_project() {
        let (_root, project) = project();
        let leaves = |target: &str| FaultCause::LinkLeaves { target: target.into() };
        let missing =
            |similar: Option<&str>| FaultCause::Missing { similar: similar.map(str::to_owned) };
        let table = [
            (".", Ok("")),
            ("./data//deep/", Ok("data/deep")),
            ("data/deep/..", Ok("data")),
            ("link", Ok("data")),
            ("link/", Ok("data")),
            ("link/notes.md", Ok("data/notes.md")),
            ("file", Ok("data/notes.md")),
            ("inside/notes.md", Ok("data/notes.md")),
            ("..", Err(FaultCause::OutsideProject)),
            ("data/../../secret", Err(FaultCause::OutsideProject)),
            ("/etc/passwd", Err(FaultCause::OutsideProject)),
            ("data/out", Err(leaves("../../secret"))),
            ("absolute", Err(leaves("/etc/passwd"))),
            ("broken", Err(FaultCause::LinkBroken { target: "gone".into() })),
            ("around", Err(FaultCause::LinkLoop)),
            ("data/note.md", Err(missing(Some("data/notes.md")))),
            ("Data", Err(missing(Some("data")))),
            ("quite-else", Err(missing(None))),
            ("data/notes.md/x", Err(missing(None))),
        ];
        for (written, expected) in table {
            let path = project.resolve(written, true).map(|place| place.path);
            assert_eq!(path, expected.map(str::to_owned), "{written}");
        }
    }

    #[test]
    fn the_last_link_is_kept_when_asked() {
        let (_root, project) = project();
        for written in ["link", "./link/", "absolute", "broken", "inside/../link"] {
            let place = project.resolve(written, false).unwrap();
            assert_eq!(place.look.kind, LookKind::Symlink, "{written}");
        }
        assert_eq!(project.resolve("link/out", false).unwrap().path, "data/out");
    }

    #[test]
    fn outputs_below_the_project_are_known_through_links_too() {
        let (root, _) = project();
        symlink(root.path().join("project"), root.path().join("way")).unwrap();
        let outputs = ["project/out", "way/a/b", "elsewhere", "project2/out"];
        let outputs: Vec<_> = outputs.iter().map(|path| root.path().join(path)).collect();
        let project = Project::open(&root.path().join("way"), None, &outputs).unwrap();
        assert_eq!(project.outputs().collect::<Vec<_>>(), ["a/b", "out", ".dockless"]);
        assert!(project.is_output("a/.dockless-x.tmp"));
        assert!(!project.is_output("a/.dockless"));
        assert!(project.is_output("dockless.lock") && !project.is_output("a/dockless.lock"));
    }
}
