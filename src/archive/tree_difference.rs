//! What is different about two file systems that stand on the same layers.

use std::collections::BTreeSet;

use super::change_set::{ChangeSet, Node, State};
use super::difference::{attributes, kind, target};
use super::members::{Member, MemberKind};

/// A path that is not the same in two file systems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathDifference {
    /// Without a leading `/`; what is not UTF-8 is replaced.
    pub path: String,
    /// How it changed.
    pub change: Change,
    /// Whether one side has what the layers below have there, which are not known: what was added may
    /// replace something, and what was removed may uncover it.
    pub is_over_below: bool,
}

/// How a path changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is there now; what it is, where that is known.
    Added(Option<Node>),
    /// It was there; what it was, where that is known.
    Removed(Option<Node>),
    /// It is another one now.
    Changed {
        /// As it was.
        before: Box<Node>,
        /// As it is.
        after: Box<Node>,
    },
    /// A folder got back what the layers below have in it.
    Uncovered,
    /// A folder lost what the layers below have in it.
    Emptied,
}

/// Compares two file systems. With `has_below`, both stand on the same layers, of which nothing is known.
pub fn tree_difference(
    mut before: ChangeSet,
    mut after: ChangeSet,
    has_below: bool,
) -> Vec<PathDifference> {
    if !has_below {
        before.complete();
        after.complete();
    }
    let paths: BTreeSet<&Vec<u8>> = before.paths().chain(after.paths()).collect();
    let mut found: Vec<_> = paths
        .into_iter()
        .filter_map(|path| difference_at(path, before.state(path), after.state(path)))
        .collect();
    if has_below {
        let emptied: BTreeSet<&Vec<u8>> = before.emptied().chain(after.emptied()).collect();
        found.extend(emptied.into_iter().filter_map(|folder| rest(folder, &before, &after)));
        found.sort_by(|one, other| one.path.cmp(&other.path));
    }
    found
}

fn difference_at(path: &[u8], before: State<'_>, after: State<'_>) -> Option<PathDifference> {
    let change = match (before, after) {
        (State::Node(before), State::Node(after)) => {
            if before == after {
                return None;
            }
            Change::Changed { before: before.clone().into(), after: after.clone().into() }
        }
        (_, State::Node(node)) => Change::Added(Some(node.clone())),
        (State::Node(node), _) => Change::Removed(Some(node.clone())),
        (State::Absent, State::Below) => Change::Added(None),
        (State::Below, State::Absent) => Change::Removed(None),
        (State::Absent, State::Absent) | (State::Below, State::Below) => return None,
    };
    let is_over_below = [before, after].contains(&State::Below);
    Some(PathDifference { path: text(path), change, is_over_below })
}

/// What became of the things that the layers below have in a folder that is there before and after.
fn rest(folder: &[u8], before: &ChangeSet, after: &ChangeSet) -> Option<PathDifference> {
    if [before, after].iter().any(|set| set.state(folder) == State::Absent) {
        return None;
    }
    // No file has this name: the path stands for all of them.
    let any = [folder, b"/\0"].concat();
    let any = any.strip_prefix(b"/").unwrap_or(&any);
    let change = match (before.state(any), after.state(any)) {
        (State::Below, State::Absent) => Change::Emptied,
        (State::Absent, State::Below) => Change::Uncovered,
        _ => return None,
    };
    Some(PathDifference { path: text(folder), change, is_over_below: true })
}

/// A field as it is shown.
type Show = fn(&Node) -> String;

impl PathDifference {
    /// The fields in which what is there differs from what was there, with both values.
    pub fn fields(&self) -> Vec<(&'static str, String, String)> {
        let Change::Changed { before, after } = &self.change else { return Vec::new() };
        let fields: [(&str, Show); 6] = [
            ("type", |node| kind(&node.member)),
            ("mode", mode),
            ("owner", |node| format!("{}:{}", node.member.uid, node.member.gid)),
            ("target", |node| target(&node.member)),
            ("attributes", |node| attributes(&node.member)),
            ("content", content),
        ];
        let fields = fields.into_iter().map(|(field, show)| (field, show(before), show(after)));
        let is_same_kind = std::mem::discriminant(&before.member.kind)
            == std::mem::discriminant(&after.member.kind);
        fields
            .filter(|(_, before, after)| before != after)
            // Of two things of another kind, the rest says little.
            .filter(|(field, ..)| is_same_kind || ["type", "mode", "owner"].contains(field))
            .collect()
    }
}

impl Node {
    /// What it is, in a word or two: `file`, `symbolic link`.
    pub fn kind(&self) -> String {
        kind(&self.member)
    }

    /// Where a link leads.
    pub fn target(&self) -> Option<String> {
        match &self.member.kind {
            MemberKind::Symlink(target) | MemberKind::HardLink(target) => Some(text(target)),
            _ => None,
        }
    }
}

fn mode(node: &Node) -> String {
    match &node.member {
        // Nobody heeds it.
        Member { kind: MemberKind::Symlink(_), .. } => String::new(),
        Member { mode, .. } => format!("{mode:04o}"),
    }
}

fn content(node: &Node) -> String {
    let digest = node.content.map(|digest| digest.short());
    digest.map_or_else(String::new, |digest| format!("{} bytes {digest}", node.member.size_bytes))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use tar::{Builder, EntryType, Header};

    use super::*;

    /// A layer from words: `a/` folder, `a@b` link, `a=text` file, `a+b` hard link, `a!` folder 0700, `-a`
    /// whiteout, `*a` opaque folder.
    fn layer(words: &str) -> ChangeSet {
        let mut builder = Builder::new(Vec::new());
        for word in words.split(' ').filter(|word| !word.is_empty()) {
            let mut header = Header::new_gnu();
            header.set_mode(0o755);
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(0);
            let mut add = |path: &str, kind: EntryType, content: &[u8]| {
                header.set_entry_type(kind);
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, path, content).unwrap();
            };
            if let Some(path) = word.strip_prefix('-') {
                let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
                add(&format!("{folder}/.wh.{name}"), EntryType::Regular, b"");
            } else if let Some(path) = word.strip_prefix('*') {
                add(&format!("./{path}/.wh..wh..opq"), EntryType::Regular, b"");
            } else if let Some(path) = word.strip_suffix('/') {
                add(path, EntryType::Directory, b"");
            } else if let Some((path, content)) = word.split_once('=') {
                add(path, EntryType::Regular, content.as_bytes());
            } else if let Some((path, target)) = word.split_once('@') {
                header.set_entry_type(EntryType::Symlink);
                builder.append_link(&mut header, path, target).unwrap();
            } else if let Some((path, target)) = word.split_once('+') {
                header.set_entry_type(EntryType::Link);
                builder.append_link(&mut header, path, target).unwrap();
            } else if let Some(path) = word.strip_suffix('!') {
                header.set_mode(0o700);
                header.set_entry_type(EntryType::Directory);
                builder.append_data(&mut header, path, &b""[..]).unwrap();
            }
        }
        ChangeSet::of(&builder.into_inner().unwrap())
    }

    fn merged(layers: &[&str]) -> ChangeSet {
        let mut set = ChangeSet::default();
        for words in layers {
            set.apply(&layer(words));
        }
        set
    }

    /// `+` added, `-` removed, `~` changed with its fields, `(` emptied, `)` uncovered; `?` where what is below
    /// may matter.
    fn differences(before: &[&str], after: &[&str], has_below: bool) -> String {
        let found = tree_difference(merged(before), merged(after), has_below);
        let show = |found: &PathDifference| {
            let mark = match &found.change {
                Change::Added(_) => "+",
                Change::Removed(_) => "-",
                Change::Changed { .. } => "~",
                Change::Uncovered => ")",
                Change::Emptied => "(",
            };
            let fields: Vec<_> = found.fields().iter().map(|(field, ..)| *field).collect();
            let below = if found.is_over_below { "?" } else { "" };
            format!("{mark}{}{below}{}", found.path, fields.join(","))
        };
        found.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    type Layers<'a> = &'a [&'a str];

    #[test]
    fn whole_file_systems_are_compared() {
        let cases: [(Layers, Layers, &str); 16] = [
            (&["a/ a/b=1"], &["a/ a/b=1"], ""),
            (&["a/ a/b=1"], &["a/", "./a//b=1"], ""),
            (&["a/b=1"], &["a/ a/b=1"], ""),
            (&["a/b=1"], &["a! a/b=1"], "~amode"),
            (&["a=1"], &["a=2"], "~acontent"),
            (&["a=1 b=2"], &["b=2 c=3"], "-a +c"),
            (&["a@x"], &["a@y"], "~atarget"),
            (&["a@x"], &["a=1"], "~atype,mode"),
            (&["a=1 b=1"], &["a=1 b+a"], ""),
            (&["a=1 b=2", "-a"], &["b=2"], ""),
            (&["a/ a/b=1 a/c=1", "*a a/d=1"], &["a/ a/d=1"], ""),
            (&["a/ a/b=1", "a=1"], &["a=1"], ""),
            (&["a=1", "a/ a/b=1"], &["a/ a/b=1"], ""),
            (&["a=1", "a/b=1"], &["a/b=1"], ""),
            (&["a/ a/b=1", "-a a/ a/c=1"], &["a/ a/c=1"], ""),
            (&["a/ a/b=1 ab=1", "-a"], &["ab=1"], ""),
        ];
        for (before, after, expected) in cases {
            assert_eq!(differences(before, after, false), expected, "{before:?} {after:?}");
        }
    }

    #[test]
    fn what_lies_below_is_not_guessed() {
        let cases: [(Layers, Layers, &str); 14] = [
            (&["a=1"], &[""], "-a?"),
            (&[""], &["a=1"], "+a?"),
            (&["-a"], &["a=1"], "+a"),
            (&["-a"], &[""], "+a?"),
            (&[""], &["-a"], "-a?"),
            (&["-a"], &["-a"], ""),
            (&["-a"], &["-a/b"], "+a?"),
            (&["*a"], &[""], ")a?"),
            (&["a/"], &["a/ *a a/b=1"], "(a? +a/b?"),
            (&["a/ *a"], &["-a a/"], ""),
            (&["-a a/ a/b=1"], &["a/"], ")a? -a/b?"),
            (&["a=1"], &["a/"], "~atype ?"),
            (&["a=1"], &["a=1", "-a"], "-a"),
            (&["a/", "a=1", "a/"], &["-a a/"], ""),
        ];
        for (before, after, expected) in cases {
            let expected = expected.trim_end_matches(" ?");
            assert_eq!(differences(before, after, true), expected, "{before:?} {after:?}");
        }
    }
}
