//! Lists one folder of the project with everything in it.
//!
//! Folders are opened one at a time and by their path from the project's folder, so that two open
//! files are enough at any depth (L8), and no link is followed on the way (L21). What is excluded
//! is neither opened nor complained about. Files are opened to see that they can be read; those that
//! were read before, and did not change since, are only looked at.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::rc::Rc;

use super::error::FaultCause;
use super::filter::{Filter, Judgement};
use super::folder::{FileLook, Folder, Look, LookKind, Name};
use super::project::{Place, Project, is_version_control, join, name_of, parts};
use super::remarks::{Remarks, has_capability};
use crate::plan::pattern::PatternUse;
use crate::plan::{DiskFile, Links, TreeEntry, TreeEntryKind};
use crate::sys::beneath;

/// How many entries a tree may get through links: folders of links to each other have no end.
const MAX_LINKED: usize = 1_000_000;

/// What a walk found.
#[derive(Debug)]
pub(super) struct Listing<'a> {
    /// Sorted by path; the first is the source itself.
    pub(super) entries: Vec<TreeEntry>,
    /// What cannot be had, by path below the project's folder.
    pub(super) faults: Vec<(String, FaultCause)>,
    /// What should be known of it.
    pub(super) remarks: Remarks,
    /// What was passed over without being asked to.
    pub(super) left_out: Vec<String>,
    /// Which exclude patterns matched.
    pub(super) exclude_use: PatternUse<'a>,
    /// Which include patterns matched.
    pub(super) include_use: Vec<PatternUse<'a>>,
}

/// A walk through one source.
pub(super) struct Walk<'a> {
    project: &'a Project,
    /// The source's real path below the project's folder.
    source: String,
    links: Links,
    filter: &'a Filter,
    /// Folders that are in the tree only if something below them is.
    tentative: BTreeMap<String, TreeEntry>,
    pending: Vec<PendingFolder>,
    linked: usize,
    found: Listing<'a>,
}

/// A folder still to be listed.
struct PendingFolder {
    /// Below the source.
    path: String,
    /// Below the project's folder, no part a link.
    real: String,
    judgement: Judgement,
    /// The real folders that it was reached through; kept only where links are followed.
    way: Option<Rc<Way>>,
}

struct Way {
    real: String,
    before: Option<Rc<Way>>,
}

/// A name that was looked at, before it becomes an entry.
struct Candidate {
    path: String,
    real: String,
    look: Look,
    judgement: Judgement,
    is_wanted: bool,
    /// Whether something below it may be wanted.
    is_open: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(project: &'a Project, links: Links, filter: &'a Filter) -> Self {
        Self {
            project,
            source: String::new(),
            links,
            filter,
            tentative: BTreeMap::new(),
            pending: Vec::new(),
            linked: 0,
            found: Listing {
                entries: Vec::new(),
                faults: Vec::new(),
                remarks: Remarks::default(),
                left_out: Vec::new(),
                exclude_use: PatternUse::new(&filter.exclude),
                include_use: filter.include.iter().map(PatternUse::new).collect(),
            },
        }
    }

    /// Lists what stands at a place.
    pub(super) fn list(mut self, place: Place) -> Listing<'a> {
        self.source.clone_from(&place.path);
        let judgement = Judgement::of_source(self.filter, &place.path);
        let (is_wanted, is_open) = self.filter.decide(&judgement, "", &place.path);
        let excluded_by = judgement.ignore.as_ref().and_then(|verdict| {
            self.filter.ignore.describe(verdict.decided_by.filter(|_| verdict.is_match)?)
        });
        let is_directory = place.look.kind == LookKind::Directory;
        let root = Candidate {
            path: String::new(),
            real: place.path,
            look: place.look,
            judgement,
            // The lists of the source are about what is in it.
            is_wanted: is_directory || is_wanted,
            is_open,
        };
        self.visit_root(root);
        while let Some(folder) = self.pending.pop() {
            self.list_folder(&folder);
        }
        self.finish();
        let is_bare = self.found.entries.len() <= usize::from(is_directory);
        if let (true, true, Some(by)) = (is_bare, self.found.faults.is_empty(), excluded_by) {
            let source = self.source.clone();
            self.found.faults.push((source, FaultCause::Excluded { by }));
        }
        self.found
    }

    fn visit_root(&mut self, root: Candidate) {
        if root.look.kind == LookKind::Directory {
            return self.place(root, None);
        }
        if !root.is_wanted {
            return;
        }
        let name = name_of(&root.real).to_owned();
        if name.starts_with(".wh.") {
            return self.fault(&root.path, FaultCause::Whiteout);
        }
        let folder = root.real.rsplit_once('/').map_or("", |(folder, _)| folder);
        match self.project.folder(folder) {
            Ok(folder) => self.keep(&folder, OsStr::new(&name), root, None),
            Err(cause) => self.fault("", cause),
        }
    }

    fn list_folder(&mut self, folder: &PendingFolder) {
        let opened = self.project.folder(&folder.real).and_then(|opened| {
            let names = opened.names().map_err(|error| FaultCause::of_io(&error))?;
            Ok((opened, names))
        });
        let (opened, mut names) = match opened {
            Ok(both) => both,
            Err(cause) => return self.fault(&folder.path, cause),
        };
        names.sort_unstable();
        let mut kept = Vec::new();
        for name in names {
            if self.visit(&opened, folder, &name) {
                kept.push(name.text.to_string_lossy().into_owned());
            }
        }
        self.found.remarks.names(&join(&self.source, &folder.path), &kept);
    }

    /// Looks at one name of a folder, and says whether it is wanted.
    fn visit(&mut self, opened: &Folder, folder: &PendingFolder, name: &Name) -> bool {
        let Name { text: name, is_file } = name;
        let text = name.to_string_lossy();
        let (path, real) = (join(&folder.path, &text), join(&folder.real, &text));
        self.see(&path);
        if self.is_left_out(&text, &real) {
            self.skip(&path);
            self.found.left_out.push(join(&self.source, &path));
            return false;
        }
        let in_project = join(&self.source, &path);
        let judgement = folder.judgement.below(self.filter, &path, &in_project);
        let (is_wanted, is_open) = self.filter.decide(&judgement, &path, &in_project);
        // What a file is besides is asked when it is open.
        let look = match if *is_file { Ok(Look::FILE) } else { opened.look(name) } {
            Ok(look) => look,
            Err(error) => {
                if is_wanted {
                    self.fault(&path, FaultCause::of_io(&error));
                }
                return is_wanted;
            }
        };
        if look.kind == LookKind::Directory && self.is_layout(&real) {
            self.skip(&path);
            self.found.left_out.push(in_project);
            return false;
        }
        let is_container = match look.kind {
            LookKind::Directory => true,
            LookKind::Symlink => self.links == Links::Follow,
            _ => false,
        };
        let is_worth_a_look = is_wanted || (is_container && is_open);
        if !is_worth_a_look {
            if is_container {
                self.skip(&path);
            }
            return false;
        }
        let is_whiteout = text.starts_with(".wh.");
        if is_whiteout || name.to_str().is_none() {
            let cause = if is_whiteout { FaultCause::Whiteout } else { FaultCause::NotUtf8 };
            self.fault(&path, cause);
            return false;
        }
        let candidate = Candidate { path, real, look, judgement, is_wanted, is_open };
        self.keep(opened, name, candidate, folder.way.as_ref());
        is_wanted
    }

    /// Makes an entry of a name that is wanted, or holds what may be.
    fn keep(&mut self, opened: &Folder, name: &OsStr, candidate: Candidate, way: Option<&Rc<Way>>) {
        match candidate.look.kind {
            LookKind::Directory => self.place(candidate, way),
            LookKind::File => match self.read_before(opened, name, &candidate) {
                Some(look) => self.add_file(candidate, look, false),
                None => self.add_opened(candidate, opened.open_file(name)),
            },
            LookKind::Symlink if self.links == Links::Follow => self.follow(candidate, way),
            LookKind::Symlink => {
                let target = opened.read_link(name).map_err(|error| FaultCause::of_io(&error));
                match target
                    .and_then(|target| target.into_string().map_err(|_| FaultCause::NotUtf8))
                {
                    Ok(target) => self.add_link(candidate, target),
                    Err(cause) => self.fault(&candidate.path, cause),
                }
            }
            LookKind::Special(kind) => self.fault(&candidate.path, FaultCause::Special { kind }),
        }
    }

    /// Puts what a link leads to in its place.
    fn follow(&mut self, link: Candidate, way: Option<&Rc<Way>>) {
        let place = match self.project.resolve(&link.real, true) {
            Ok(place) => place,
            // The link itself was there a moment ago.
            Err(FaultCause::Missing { .. }) => return self.fault(&link.path, FaultCause::Vanished),
            Err(cause) if link.is_wanted => return self.fault(&link.path, cause),
            Err(_) => return,
        };
        // A link is no way around what keeps a file out of the image.
        let is_ignored = self.filter.ignore.matches_from_root(&place.path).is_match;
        if is_ignored || self.leads_to_what_is_left_out(&place.path) {
            self.skip(&link.path);
            self.found.left_out.push(join(&self.source, &link.path));
            return;
        }
        self.linked += 1;
        let candidate = Candidate { real: place.path, look: place.look, ..link };
        match candidate.look.kind {
            LookKind::Directory => self.place(candidate, way),
            LookKind::File if candidate.is_wanted => {
                let opened = beneath::open(self.project.directory(), &candidate.real);
                self.add_opened(candidate, opened);
            }
            LookKind::Special(kind) if candidate.is_wanted => {
                self.fault(&candidate.path, FaultCause::Special { kind });
            }
            _ => {}
        }
    }

    /// Adds a folder, at once or when something below it is added, and puts it on the list.
    fn place(&mut self, folder: Candidate, way: Option<&Rc<Way>>) {
        let Candidate { path, real, look, judgement, is_wanted, is_open } = folder;
        let mut next = None;
        if self.links == Links::Follow {
            let steps = std::iter::successors(way, |step| step.before.as_ref());
            if steps.map(|step| &step.real).any(|before| *before == real) {
                return self.fault(&path, FaultCause::LinkLoop);
            }
            self.linked += usize::from(self.linked > 0);
            if self.linked > MAX_LINKED {
                self.pending.clear();
                return self.fault("", FaultCause::TooManyLinked { limit: MAX_LINKED });
            }
            next = Some(Rc::new(Way { real: real.clone(), before: way.cloned() }));
        }
        let entry =
            TreeEntry { path: path.clone(), kind: TreeEntryKind::Directory, mode: look.mode };
        if is_wanted {
            self.found.entries.push(entry);
        } else {
            self.tentative.insert(path.clone(), entry);
        }
        if is_open {
            self.pending.push(PendingFolder { path, real, judgement, way: next });
        } else {
            self.skip(&path);
        }
    }

    fn add_opened(&mut self, candidate: Candidate, opened: io::Result<File>) {
        match opened.and_then(|file| Ok((FileLook::of(&file)?, file))) {
            Ok((Some(look), file)) => {
                let has_capability = is_executable(look) && has_capability(&file);
                self.add_file(candidate, look, has_capability);
            }
            Ok((None, _)) => self.fault(&candidate.path, FaultCause::Changed),
            Err(error) => self.fault(&candidate.path, FaultCause::of_io(&error)),
        }
    }

    fn add_file(&mut self, candidate: Candidate, look: FileLook, has_capability: bool) {
        let Candidate { path, real, .. } = candidate;
        self.found.remarks.file(&join(&self.source, &path), &look, has_capability);
        let kind = TreeEntryKind::File(DiskFile { path: real, stamp: look.stamp });
        self.found.entries.push(TreeEntry { path, kind, mode: look.mode });
    }

    fn add_link(&mut self, candidate: Candidate, target: String) {
        let Candidate { path, real, look, .. } = candidate;
        // A link that is itself the source has nothing but the project around it.
        if leaves(if path.is_empty() { &real } else { &path }, &target) {
            self.found.remarks.link_leaves(&join(&self.source, &path), &target);
        }
        let kind = TreeEntryKind::Symlink(target);
        self.found.entries.push(TreeEntry { path, kind, mode: look.mode });
    }

    /// What is told of a file that was read before: that it can be read needs no second proof.
    fn read_before(&self, opened: &Folder, name: &OsStr, file: &Candidate) -> Option<FileLook> {
        let read_files = self.project.read_files()?;
        let look = opened.look_at_file(name).ok()??;
        // Capabilities are asked of an open file.
        (!is_executable(look) && read_files.has(&file.real, &look.stamp)).then_some(look)
    }

    /// Adds the folders above what was found, and sorts.
    fn finish(&mut self) {
        let mut parents = Vec::new();
        for entry in &self.found.entries {
            let mut path = entry.path.as_str();
            while let Some((parent, _)) = path.rsplit_once('/') {
                match self.tentative.remove(parent) {
                    Some(entry) => parents.push(entry),
                    None => break,
                }
                path = parent;
            }
        }
        self.found.entries.extend(parents);
        // Folders are sorted already: a stable sort only merges them.
        self.found.entries.sort_by(|left, right| left.path.cmp(&right.path));
    }

    fn is_left_out(&self, name: &str, real: &str) -> bool {
        let is_asked_for = || parts(&self.source).any(is_version_control);
        self.project.is_output(real) || (is_version_control(name) && !is_asked_for())
    }

    /// Whether a folder is an OCI layout: an image that was built here earlier is no part of the next.
    fn is_layout(&self, real: &str) -> bool {
        let has = |folder: &Folder, name: &str| folder.look(name.as_ref()).is_ok();
        self.project
            .folder(real)
            .is_ok_and(|folder| has(&folder, "oci-layout") && has(&folder, "index.json"))
    }

    fn leads_to_what_is_left_out(&self, real: &str) -> bool {
        let ends = real.match_indices('/').map(|(end, _)| end).chain([real.len()]);
        ends.map(|end| &real[..end]).any(|path| self.is_left_out(name_of(path), path))
    }

    fn see(&mut self, path: &str) {
        self.found.exclude_use.see(path);
        self.found.include_use.iter_mut().for_each(|include| include.see(path));
    }

    fn skip(&mut self, folder: &str) {
        self.found.exclude_use.skip(folder);
        self.found.include_use.iter_mut().for_each(|include| include.skip(folder));
    }

    fn fault(&mut self, path: &str, cause: FaultCause) {
        let path = join(&self.source, path);
        let path = if path.is_empty() { ".".to_owned() } else { path };
        self.found.faults.push((path, cause));
    }
}

fn is_executable(look: FileLook) -> bool {
    look.mode & 0o111 != 0
}

/// Whether a link at a path, followed by its text alone, leaves the folder that the path is below.
fn leaves(path: &str, target: &str) -> bool {
    let mut depth = path.matches('/').count();
    target.starts_with('/')
        || parts(target).any(|part| match (part, depth.checked_sub(1)) {
            ("..", None) => true,
            ("..", Some(less)) => {
                depth = less;
                false
            }
            _ => {
                depth += 1;
                false
            }
        })
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::process::Command;
    use std::sync::Arc;

    use super::super::ReadFiles;
    use super::*;
    use crate::plan::FileStamp;
    use crate::plan::pattern::PatternSet;

    #[test]
    fn a_link_leaves_by_its_text() {
        let table = [
            ("a", "b", false),
            ("a", "/b", true),
            ("a", "../b", true),
            ("a/b", "../c", false),
            ("a/b", "../../c", true),
            ("a/b", "x/../../c", false),
            ("a/b", "x/../../../c", true),
            ("a/b", "./.././c", false),
        ];
        for (path, target, expected) in table {
            assert_eq!(leaves(path, target), expected, "{path} → {target}");
        }
    }

    /// L15, L17, L21: a file is looked at, then something happens, then it is opened.
    fn fault_after(happening: impl FnOnce(&std::path::Path)) -> Option<FaultCause> {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("name"), "x").unwrap();
        let project = Project::open(root.path(), None, &[]).unwrap();
        let filter =
            Filter { ignore: Rc::default(), exclude: PatternSet::default(), include: Vec::new() };
        let mut walk = Walk::new(&project, Links::Keep, &filter);
        let opened = project.folder("").unwrap();
        let candidate = Candidate {
            path: "name".into(),
            real: "name".into(),
            look: opened.look("name".as_ref()).unwrap(),
            judgement: Judgement::default(),
            is_wanted: true,
            is_open: true,
        };
        happening(&root.path().join("name"));
        walk.keep(&opened, "name".as_ref(), candidate, None);
        walk.found.faults.pop().map(|(_, cause)| cause)
    }

    #[test]
    fn what_happens_between_looking_and_opening_is_noticed() {
        assert_eq!(fault_after(|_| {}), None);
        assert_eq!(fault_after(|path| fs::remove_file(path).unwrap()), Some(FaultCause::Vanished));
        let swaps: [fn(&std::path::Path); 3] = [
            |path| symlink("/etc/passwd", path).unwrap(),
            |path| fs::create_dir(path).unwrap(),
            // Opening a FIFO to read waits for a writer, unless asked not to.
            |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        ];
        for swap in swaps {
            let fault = fault_after(|path| {
                fs::remove_file(path).unwrap();
                swap(path);
            });
            assert_eq!(fault, Some(FaultCause::Changed));
        }
    }

    /// Says of files with these paths that they were read.
    #[derive(Debug)]
    struct Read(&'static [&'static str]);

    impl ReadFiles for Read {
        fn has(&self, path: &str, _stamp: &FileStamp) -> bool {
            self.0.contains(&path)
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn only_files_that_were_not_read_before_are_opened() {
        use std::os::unix::fs::PermissionsExt as _;

        use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};

        let root = tempfile::tempdir().unwrap();
        for name in ["known", "new", "runs"] {
            fs::write(root.path().join(name), "x").unwrap();
        }
        fs::set_permissions(root.path().join("runs"), fs::Permissions::from_mode(0o755)).unwrap();
        let filter =
            Filter { ignore: Rc::default(), exclude: PatternSet::default(), include: Vec::new() };
        let list = |project: &Project| {
            let watch = init(CreateFlags::NONBLOCK).unwrap();
            add_watch(&watch, root.path(), WatchFlags::OPEN).unwrap();
            let listing =
                Walk::new(project, Links::Keep, &filter).list(project.resolve("", true).unwrap());
            let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
            let mut events = Reader::new(&watch, &mut buffer);
            let mut opened = Vec::new();
            while let Ok(event) = events.next() {
                opened.extend(event.file_name().map(|name| name.to_str().unwrap().to_owned()));
            }
            (listing.entries, opened)
        };
        let project = Project::open(root.path(), None, &[]).unwrap();
        let (entries, opened) = list(&project);
        assert_eq!(opened, ["known", "new", "runs"]);
        let project = project.with_read_files(Arc::new(Read(&["known", "runs"])));
        assert_eq!(list(&project), (entries, vec!["new".to_owned(), "runs".to_owned()]));
    }

    #[test]
    fn a_folder_swapped_for_a_link_is_not_entered() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "x").unwrap();
        let project = Project::open(root.path(), None, &[]).unwrap();
        let filter =
            Filter { ignore: Rc::default(), exclude: PatternSet::default(), include: Vec::new() };
        for (swap, cause) in [(true, FaultCause::Changed), (false, FaultCause::Vanished)] {
            if swap {
                symlink(outside.path(), root.path().join("folder")).unwrap();
            } else {
                fs::remove_file(root.path().join("folder")).unwrap();
            }
            let mut walk = Walk::new(&project, Links::Keep, &filter);
            walk.list_folder(&PendingFolder {
                path: "folder".into(),
                real: "folder".into(),
                judgement: Judgement::default(),
                way: None,
            });
            assert_eq!(walk.found.faults, [("folder".to_owned(), cause)]);
            assert_eq!(walk.found.entries, []);
        }
    }
}
