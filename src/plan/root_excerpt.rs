//! The part of a base's file system that a plan asked about.
//!
//! A plan asks about few paths: the folders above what it writes. An excerpt holds all that is in these
//! folders, so that it answers for files that are added later, too. It is kept on this machine and
//! travels with the image; where it does not answer, the base's layers are read. What a plan
//! [asks](super::question) beyond paths stands beside the folders with its answers.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::question::{Answer, Question};
use super::{RootNode, RootTree};
use crate::oci::Digest;

/// The annotation of a manifest that holds what was asked of the base's file system, as JSON.
pub const BASE_FILES_ANNOTATION: &str = "dev.dockless.base-files";

/// Longer ones do not travel, and the next fresh machine reads the base: a manifest has 4 MiB at most, and
/// is read at every pull.
const MAX_ANNOTATION_BYTES: usize = 16 * 1024;

/// The most that Linux takes for a path.
const MAX_PATH_BYTES: usize = 4096;

/// What was asked of a tree. Two trees are the same whatever was asked of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Lookups(Arc<Mutex<Asked>>);

#[derive(Debug, Default)]
struct Asked {
    /// The folders of the paths.
    folders: HashSet<String>,
    answers: Answers,
    /// Whether something was asked that nobody knows.
    has_missed: bool,
}

impl Lookups {
    pub(super) fn note(&self, path: &str, is_known: bool) {
        let folder = folder_of(path);
        let mut asked = self.lock();
        asked.has_missed |= !is_known;
        if !asked.folders.contains(folder) {
            asked.folders.insert(folder.to_owned());
        }
    }

    pub(super) fn note_answer(&self, question: &Question, answer: Option<&Answer>) {
        let mut asked = self.lock();
        match answer {
            Some(answer) => drop(asked.answers.0.insert(question.clone(), answer.clone())),
            None => asked.has_missed = true,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Lookups {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Lookups {}

/// Questions with their answers; in JSON a list of pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(Question, Answer)>", into = "Vec<(Question, Answer)>")]
pub(super) struct Answers(BTreeMap<Question, Answer>);

impl From<Vec<(Question, Answer)>> for Answers {
    fn from(pairs: Vec<(Question, Answer)>) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl From<Answers> for Vec<(Question, Answer)> {
    fn from(answers: Answers) -> Self {
        answers.0.into_iter().collect()
    }
}

impl Answers {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Folders of a base with all that is in them, and answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootExcerpt {
    /// Whose content is known; the root is the empty path.
    folders: BTreeSet<String>,
    /// Path, mode, uid, gid.
    directories: Vec<(String, u32, u64, u64)>,
    /// Path, target.
    links: Vec<(String, String)>,
    files: Vec<String>,
    /// What was asked beyond paths.
    #[serde(default, skip_serializing_if = "Answers::is_empty")]
    answers: Answers,
}

impl RootTree {
    /// Whether nothing of the tree is unknown.
    pub fn is_whole(&self) -> bool {
        self.known.is_none()
    }

    /// Whether everything that was asked of the tree, and of its copies, was known.
    pub fn is_sufficient(&self) -> bool {
        !self.lookups.lock().has_missed
    }

    /// Whether anything was asked of the tree, or of its copies.
    pub(super) fn was_asked(&self) -> bool {
        let asked = self.lookups.lock();
        !(asked.folders.is_empty() && asked.answers.is_empty())
    }

    /// Whether nothing stands in it and nothing is told of it.
    pub(super) fn is_blank(&self) -> bool {
        self.is_whole() && self.nodes.is_empty()
    }

    /// What is told of the tree.
    pub(super) fn told(&self, question: &Question) -> Option<Answer> {
        self.answers.0.get(question).cloned()
    }

    /// What answers everything that was asked of the tree, and of its copies.
    pub fn excerpt(&self) -> RootExcerpt {
        let asked = self.lookups.lock();
        let mut excerpt = RootExcerpt { answers: asked.answers.clone(), ..RootExcerpt::default() };
        for folder in &asked.folders {
            let is_there = folder.is_empty()
                || matches!(self.nodes.get(folder), Some(RootNode::Directory { .. }));
            if is_there {
                excerpt.folders.insert(folder.clone());
            }
        }
        for (path, node) in &self.nodes {
            if !path.is_empty() && !excerpt.folders.contains(folder_of(path)) {
                continue;
            }
            match node {
                RootNode::Directory { mode, uid, gid } => {
                    excerpt.directories.push((path.clone(), *mode, *uid, *gid));
                }
                RootNode::Symlink(target) => excerpt.links.push((path.clone(), target.clone())),
                RootNode::File => excerpt.files.push(path.clone()),
            }
        }
        excerpt
    }

    /// Whether it is known what stands at a path, or that nothing does.
    pub(super) fn covers(&self, path: &str) -> bool {
        let Some(known) = &self.known else { return true };
        let mut folder = path;
        // The nearest folder that stands there decides: in one that does not, there is nothing.
        while !folder.is_empty() {
            folder = folder_of(folder);
            if known.contains(folder) {
                return true;
            }
            if self.nodes.contains_key(folder) {
                return false;
            }
        }
        false
    }
}

impl RootExcerpt {
    /// The tree of which this much is known.
    pub fn into_tree(self) -> RootTree {
        let Self { folders, directories, links, files, answers } = self;
        let directories = directories
            .into_iter()
            .map(|(path, mode, uid, gid)| (path, RootNode::Directory { mode, uid, gid }));
        let links = links.into_iter().map(|(path, target)| (path, RootNode::Symlink(target)));
        let files = files.into_iter().map(|path| (path, RootNode::File));
        let nodes: BTreeMap<_, _> = directories.chain(links).chain(files).collect();
        RootTree { nodes, answers, known: Some(folders), ..RootTree::default() }
    }

    /// The annotation that tells it of the base with this digest; `None` when it would be too long.
    pub(super) fn to_annotation(&self, base: Digest) -> Option<String> {
        let told = Told { base, excerpt: self.clone() };
        let text = serde_json::to_string(&told).expect("it is plain data");
        (text.len() <= MAX_ANNOTATION_BYTES).then_some(text)
    }

    /// What an annotation tells of the base with this digest: nothing when it is not one of ours.
    pub fn from_annotation(text: &str, base: &Digest) -> Option<Self> {
        if text.len() > MAX_ANNOTATION_BYTES {
            return None;
        }
        let told: Told = serde_json::from_str(text).ok()?;
        (told.base == *base && told.excerpt.is_plausible()).then_some(told.excerpt)
    }

    /// Whether a file system could be like that.
    pub(super) fn is_plausible(&self) -> bool {
        let Self { folders, directories, links, files, answers } = self;
        let is_path = |path: &str| {
            path.len() <= MAX_PATH_BYTES
                && !path.contains('\0')
                && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        };
        let is_target =
            |target: &str| (1..=MAX_PATH_BYTES).contains(&target.len()) && !target.contains('\0');
        let most = u64::from(u32::MAX);
        folders.iter().all(|folder| folder.is_empty() || is_path(folder))
            && directories.iter().all(|(path, mode, uid, gid)| {
                (path.is_empty() || is_path(path)) && *mode <= 0o7777 && *uid.max(gid) <= most
            })
            && links.iter().all(|(path, target)| is_path(path) && is_target(target))
            && files.iter().all(|path| is_path(path))
            && answers.0.iter().all(|(question, answer)| answer.is_plausible(question))
    }
}

/// The annotation.
#[derive(Serialize, Deserialize)]
struct Told {
    /// The digest of the base's manifest.
    base: Digest,
    #[serde(flatten)]
    excerpt: RootExcerpt,
}

/// The folder of a path; that of the root is the root.
fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::super::root::FinalLink;
    use super::*;

    fn base() -> RootTree {
        let mut tree = RootTree::default();
        for path in ["app", "usr", "usr/bin", "usr/lib", "usr/lib/deep", "run"] {
            tree.insert(path, RootNode::Directory { mode: 0o755, uid: 0, gid: 0 });
        }
        tree.insert("bin", RootNode::Symlink("usr/bin".into()));
        tree.insert("var/run", RootNode::Symlink("/run".into()));
        tree.insert("usr/bin/sh", RootNode::File);
        tree
    }

    fn resolve(tree: &RootTree, paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| tree.resolve(path, FinalLink::Kept).unwrap()).collect()
    }

    #[test]
    fn an_excerpt_answers_what_was_asked_and_what_lies_beside_it() {
        let whole = base();
        resolve(&whole, &["app/x", "bin/y", "srv/a/b"]);
        let excerpt = whole.excerpt();
        let folders: Vec<_> = excerpt.folders.iter().map(String::as_str).collect();
        assert_eq!(folders, ["", "usr"]);
        let part = excerpt.clone().into_tree();
        assert_eq!(
            resolve(&part, &["app/x", "bin/y", "srv/a/b", "srv/a/c", "new/x", "opt"]),
            ["app/x", "usr/bin/y", "srv/a/b", "srv/a/c", "new/x", "opt"]
        );
        assert!(part.is_sufficient());
        // What is taken from the part is what is taken from the whole.
        let (again, whole) = (excerpt.into_tree(), base());
        for tree in [&again, &whole] {
            resolve(tree, &["app/x", "bin/y", "srv/a/b"]);
        }
        assert_eq!(again.excerpt(), whole.excerpt());
    }

    #[test]
    fn an_excerpt_travels_as_an_annotation() {
        let whole = base();
        resolve(&whole, &["app/x", "bin/y"]);
        let (digest, excerpt) = (Digest::of(b"base"), whole.excerpt());
        let text = excerpt.to_annotation(digest).unwrap();
        assert_eq!(
            text,
            format!(
                r#"{{"base":"{digest}","folders":["","usr"],"directories":[["app",493,0,0],["run",493,0,0],["usr",493,0,0],["usr/bin",493,0,0],["usr/lib",493,0,0]],"links":[["bin","usr/bin"]],"files":[]}}"#
            )
        );
        assert_eq!(RootExcerpt::from_annotation(&text, &digest), Some(excerpt));
        assert_eq!(RootExcerpt::from_annotation(&text, &Digest::of(b"other")), None);
        assert_eq!(RootExcerpt::from_annotation("{", &digest), None);
        for (ours, forged) in [
            ("493,0,0", "4095,4294967295,0"),
            ("493,0,0", "4096,0,0"),
            ("493,0,0", "493,4294967296,0"),
            ("\"usr/bin\"]]", "\"\"]]"),
            ("\"usr/bin\"]]", "\"a\\u0000b\"]]"),
            ("[\"app\"", "[\"app/../etc\""),
            ("\"files\":[]", "\"files\":[\"/etc\"]"),
        ] {
            let forged = text.replacen(ours, forged, 1);
            assert_ne!(forged, text);
            let is_possible = forged.contains("4095");
            let read = RootExcerpt::from_annotation(&forged, &digest);
            assert_eq!(read.is_some(), is_possible, "{forged}");
        }
        let long = format!("{text}{}", " ".repeat(MAX_ANNOTATION_BYTES));
        assert_eq!(RootExcerpt::from_annotation(&long, &digest), None);

        let mut crowded = base();
        for number in 0..2000 {
            crowded.insert(format!("file-{number}"), RootNode::File);
        }
        crowded.get("app");
        assert_eq!(crowded.excerpt().to_annotation(digest), None);
    }

    #[test]
    fn answers_travel_with_their_questions() {
        let mut whole = base();
        whole.keep_text("etc/passwd".into(), "agent:x:1000:50:::".into());
        let user = |name: &str| Question::User(name.into());
        let search = || vec!["/bin".into()];
        let program = |name: &str| Question::Program { name: name.into(), search: search() };
        let python = |name: &str| Question::Python {
            search: search(),
            distributions: vec![name.to_owned()],
        };
        let questions = [user("agent"), program("sh"), program("curl"), python("six")];
        let answers = questions.each_ref().map(|question| whole.ask(question).unwrap());
        let (digest, excerpt) = (Digest::of(b"base"), whole.excerpt());
        let text = excerpt.to_annotation(digest).unwrap();
        assert_eq!(
            text,
            format!(
                r#"{{"base":"{digest}","folders":[],"directories":[],"links":[],"files":[],"answers":[[{{"user":"agent"}},{{"account":{{"uid":1000,"gid":50}}}}],[{{"program":{{"name":"curl","search":["/bin"]}}}},"nothing"],[{{"program":{{"name":"sh","search":["/bin"]}}}},{{"path":"/bin/sh"}}],[{{"python":{{"search":["/bin"],"distributions":["six"]}}}},"nothing"]]}}"#
            )
        );
        for (ours, forged, is_possible) in [
            ("1000", "4294967295", true),
            ("1000", "4294967296", false),
            (r#"{"account":{"uid":1000,"gid":50}}"#, r#""nothing""#, false),
            (r#"{"account":{"uid":1000,"gid":50}}"#, r#""nofile""#, true),
            (r#"{"path":"/bin/sh"}"#, r#"{"path":"/usr/bin/sh"}"#, false),
            (r#"{"path":"/bin/sh"}"#, r#"{"group":7}"#, false),
            (
                r#"["six"]}},"nothing"]"#,
                r#"["six"]}},{"python":{"version":"3.1","site_packages":"/a","distributions":{"six":"1"}}}]"#,
                true,
            ),
            (
                r#"["six"]}},"nothing"]"#,
                r#"["six"]}},{"python":{"version":"3.1","site_packages":"/a","distributions":{"a":"1"}}}]"#,
                false,
            ),
        ] {
            let forged = text.replacen(ours, forged, 1);
            assert_ne!(forged, text);
            let read = RootExcerpt::from_annotation(&forged, &digest);
            assert_eq!(read.is_some(), is_possible, "{forged}");
        }
        let part = RootExcerpt::from_annotation(&text, &digest).unwrap().into_tree();
        assert_eq!(questions.each_ref().map(|question| part.ask(question).unwrap()), answers);
        assert!(part.is_sufficient());
        assert_eq!(part.excerpt(), excerpt);
        assert_eq!(part.ask(&user("root")), None);
        assert!(!part.is_sufficient());
    }

    #[test]
    fn what_an_excerpt_does_not_know_is_noticed() {
        let whole = base();
        resolve(&whole, &["app/x"]);
        for (path, is_known) in
            [("app", true), ("srv/x/y", true), ("usr/bin", false), ("app/deep/x", false)]
        {
            let part = whole.excerpt().into_tree();
            part.get(path);
            assert_eq!(part.is_sufficient(), is_known, "{path}");
        }
        assert!(whole.is_sufficient(), "it is the whole tree");
    }

    #[test]
    fn what_we_put_there_is_known() {
        let whole = base();
        whole.get("app");
        let mut part = whole.excerpt().into_tree();
        let folder = || RootNode::Directory { mode: 0o700, uid: 1, gid: 1 };
        part.insert("srv", folder());
        assert_eq!((part.get("srv"), part.get("srv/x")), (Some(&folder()), None));
        assert!(part.is_sufficient());
        // A folder of the base is not known by being written over.
        part.insert("usr", folder());
        part.get("usr/bin");
        assert!(!part.is_sufficient());
    }
}
