//! What several layer kinds let a user say of an entry: its path in the image, mode and owner; and
//! the paths of the project that entries are made from.

use super::question::Question;
use super::{BaseImage, Entry, EntryKind, Inputs, PlanError};
use crate::config::{Node, Position, Problems};
use crate::oci::Platform;

/// The longest path that Linux takes.
const MAX_PATH_BYTES: usize = 4096;

/// A path in the image, as a user writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImagePath {
    /// Parts joined by `/`, without `/` at either end; the root is empty.
    pub(super) path: String,
    /// Whether it was written with `/` at its end: the folder to put things into.
    pub(super) is_folder: bool,
}

/// Who owns an entry, as a user writes it. Names mean what the base says: they may differ per platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnerName {
    /// A name or a number.
    user: String,
    /// Without it, it is the user's: the primary group of a name, the same number for a number.
    group: Option<String>,
    /// Who counts where the base does not know a name; without it that is an error.
    otherwise: Option<Owner>,
    position: Position,
}

/// Who owns an entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Owner {
    /// The user.
    pub(super) uid: u64,
    /// The group.
    pub(super) gid: u64,
}

impl ImagePath {
    /// Reads an absolute path; `.` and doubled `/` are dropped, `..` is refused.
    pub(super) fn parse(node: &Node, key: &str, problems: &mut Problems) -> Option<Self> {
        let text = node.as_text()?;
        let shown = text.escape_debug();
        let refuse = |problems: &mut Problems, message: String, hint: String| {
            problems.report_with_hint(&node.position, message, hint);
            None
        };
        let Some(rest) = text.strip_prefix('/') else {
            let message = format!("`{key}` is an absolute path in the image, not `{shown}`");
            let hint = format!("write `/{}`", text.trim_start_matches("./").escape_debug());
            return refuse(problems, message, hint);
        };
        let parts: Vec<_> = rest.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        let path = parts.join("/");
        if parts.contains(&"..") {
            let message = format!("`{key}` contains `..`: `{shown}`");
            return refuse(problems, message, "write where it leads".into());
        }
        if text.contains('\0') || path.len() >= MAX_PATH_BYTES {
            let message = format!("`{key}` is no path that Linux takes");
            let hint = format!("a path has at most {} bytes and no NUL", MAX_PATH_BYTES - 1);
            return refuse(problems, message, hint);
        }
        if let Some(part) = parts.iter().find(|part| part.starts_with(".wh.")) {
            let message = format!("`{}` cannot be in an image", part.escape_debug());
            let hint = "names that start with `.wh.` delete files of lower layers".into();
            return refuse(problems, message, hint);
        }
        let is_folder = parts.is_empty() || matches!(rest.rsplit('/').next(), Some("" | "."));
        Some(Self { path, is_folder })
    }

    /// Where something of this name goes: the path itself, or below it when that is a folder.
    pub(super) fn place(&self, name: &str) -> String {
        if self.is_folder { join(&self.path, name) } else { self.path.clone() }
    }
}

impl OwnerName {
    /// Root, where nothing else is said.
    pub(super) fn root() -> Self {
        let position = Position::default();
        Self { user: "0".to_owned(), group: None, otherwise: None, position }
    }

    /// Reads `user` or `user:group`, in names or numbers, and behind a `|` the numbers that count where the
    /// base does not know the names.
    pub(super) fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = node.as_text()?;
        let owner = match text.split_once('|') {
            None => Self::read(text, node),
            Some((names, numbers)) => Self::read(names, node).and_then(|owner| {
                let numbers = Self::read(numbers, node)?.find(None).ok()?;
                Some(Self { otherwise: Some(numbers), ..owner })
            }),
        };
        if owner.is_none() {
            problems.report_with_hint(
                &node.position,
                format!("`owner` is `user` or `user:group`, not `{}`", text.escape_debug()),
                "write numbers, as in `1000:50`, or names that the base knows; `agent|1000:1000` is \
                 1000:1000 on a base that does not know `agent`",
            );
        }
        owner
    }

    fn read(text: &str, node: &Node) -> Option<Self> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        (is_id(user) && group.is_none_or(is_id)).then(|| Self {
            user: user.to_owned(),
            group: group.map(str::to_owned),
            otherwise: None,
            position: node.position.clone(),
        })
    }

    /// The numbers in the image for this platform.
    ///
    /// # Errors
    /// The base does not know a name.
    pub(super) fn resolve(&self, inputs: &Inputs, platform: &Platform) -> Result<Owner, PlanError> {
        let base = inputs.bases.get(platform);
        self.find(base)
            .or_else(|unknown| self.otherwise.ok_or_else(|| self.refusal(&unknown, base)))
    }

    /// The numbers, or what the base does not know.
    fn find(&self, base: Option<&BaseImage>) -> Result<Owner, Question> {
        let account = match number(&self.user) {
            Some(id) => Some((id, id)),
            None => base
                .and_then(|base| base.account(&self.user))
                .map(|account| (account.uid, account.gid)),
        };
        let (uid, own) = account.ok_or_else(|| Question::User(self.user.clone()))?;
        let Some(group) = &self.group else { return Ok(Owner { uid, gid: own }) };
        let gid = number(group).or_else(|| base?.group(group));
        Ok(Owner { uid, gid: gid.ok_or_else(|| Question::Group(group.clone()))? })
    }

    fn refusal(&self, unknown: &Question, base: Option<&BaseImage>) -> PlanError {
        let base_name = base.map_or("", |base| &base.name).escape_debug();
        let why = base.and_then(|base| base.why_unknown(unknown));
        let why = why.unwrap_or_else(|| "its file of names cannot be read".to_owned());
        PlanError {
            position: self.position.clone(),
            message: format!("base `{base_name}` does not know the {unknown}: {why}"),
            hint: Some(
                "write a name that the base knows, or a number, as in `owner: \"1000:1000\"`"
                    .into(),
            ),
        }
    }
}

/// Whether this may be a user or a group.
fn is_id(text: &str) -> bool {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return number(text).is_some();
    }
    let is_part =
        |char: char| !char.is_whitespace() && !char.is_control() && !":|/,".contains(char);
    !text.starts_with(['-', '+', '~']) && text.chars().all(is_part)
}

/// 2^32 - 1 means "unchanged" to chown: no file can belong to it.
fn number(text: &str) -> Option<u64> {
    text.parse::<u32>().ok().filter(|number| *number != u32::MAX).map(u64::from)
}

/// Reads permission bits in octal: three or four digits.
pub(super) fn parse_mode(node: &Node, key: &str, problems: &mut Problems) -> Option<u32> {
    let text = node.as_text()?;
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let mode = u32::from_str_radix(digits, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777 && matches!(digits.len(), 3..=5));
    if mode.is_none() || digits.starts_with('+') {
        problems.report_with_hint(
            &node.position,
            format!("`{key}` is permission bits in octal, not `{}`", text.escape_debug()),
            "write `0644` for files or `0755` for programs and folders",
        );
        return None;
    }
    mode
}

/// Reads a path of the project: relative, without `..`; `.` is the project's folder.
pub(super) fn parse_source(node: &Node, key: &str, problems: &mut Problems) -> Option<String> {
    let text = node.as_text()?;
    let parts: Vec<_> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let reason = if text.is_empty() {
        "is empty"
    } else if text.starts_with('/') {
        "is absolute"
    } else if parts.contains(&"..") {
        "contains `..`"
    } else if text.contains('\0') {
        "contains NUL"
    } else {
        return Some(if parts.is_empty() { ".".into() } else { parts.join("/") });
    };
    problems.report_with_hint(
        &node.position,
        format!("`{key}` {reason}: `{}`", text.escape_debug()),
        "everything in an image comes from the project's folder: write a path below it, such as \
         `src`, or `.` for all of it",
    );
    None
}

/// Reads a member that may be left out; nothing when it is there and wrong.
pub(super) fn member<T>(
    item: &Node,
    key: &str,
    default: T,
    parse: impl FnOnce(&Node) -> Option<T>,
) -> Option<T> {
    item.get(key).map_or(Some(default), parse)
}

/// An entry with everything that its header says.
pub(super) fn entry(path: String, kind: EntryKind, mode: u32, owner: Owner, mtime: i64) -> Entry {
    Entry { path, kind, mode, uid: owner.uid, gid: owner.gid, mtime }
}

/// Joins two paths, each of which may be empty.
pub(super) fn join(folder: &str, below: &str) -> String {
    match (folder, below) {
        ("", path) | (path, "") => path.to_owned(),
        _ => format!("{folder}/{below}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::question::{GROUP, PASSWD};
    use crate::plan::testing::base;
    use crate::plan::{RootNode, RootTree};

    fn read<T>(text: &str, read: impl Fn(&Node, &mut Problems) -> Option<T>) -> Result<T, String> {
        let mut problems = Problems::new();
        let value = read(&Node::plain(text, &Position::default()), &mut problems);
        match (value, problems.list().pop()) {
            (Some(value), None) => Ok(value),
            (None, Some(problem)) => Err(problem.message),
            (value, problem) => panic!("{:?} with {problem:?}", value.is_some()),
        }
    }

    #[test]
    fn paths_in_the_image_are_absolute_and_clean() {
        for (text, expected) in [
            ("/app", Ok(("app", false))),
            ("/app/", Ok(("app", true))),
            ("/app/.", Ok(("app", true))),
            ("//app//./x", Ok(("app/x", false))),
            ("/", Ok(("", true))),
            ("/ä b\n", Ok(("ä b\n", false))),
            ("app", Err("`dest` is an absolute path in the image, not `app`")),
            ("", Err("`dest` is an absolute path in the image, not ``")),
            ("/app/../etc", Err("`dest` contains `..`: `/app/../etc`")),
            ("/a\0", Err("`dest` is no path that Linux takes")),
            ("/a/.wh.b", Err("`.wh.b` cannot be in an image")),
            ("/a/.wh..wh..opq", Err("`.wh..wh..opq` cannot be in an image")),
        ] {
            let expected = expected
                .map(|(path, is_folder)| ImagePath { path: path.to_owned(), is_folder })
                .map_err(str::to_owned);
            let found = read(text, |node, problems| ImagePath::parse(node, "dest", problems));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn owners_are_names_or_numbers() {
        let platform = Platform::linux_amd64();
        let mut root = RootTree::default();
        for (path, text) in
            [(PASSWD, "root:x:0:0\nagent:x:1001:50"), (GROUP, "root:x:0:\nstaff:x:50:\n")]
        {
            root.insert(path, RootNode::File);
            root.keep_text(path.into(), text.into());
        }
        let named = base(&platform, root);
        let nameless = base(&platform, RootTree::default());
        let malformed =
            |text: &str| Err(format!("`owner` is `user` or `user:group`, not `{text}`"));
        let unknown = |text: &str| Err(format!("base `scratch` does not know the {text}"));
        for (text, expected, on_nothing) in [
            ("0", Ok((0, 0)), Ok((0, 0))),
            ("1000", Ok((1000, 1000)), Ok((1000, 1000))),
            ("1000:50", Ok((1000, 50)), Ok((1000, 50))),
            ("4294967294", Ok((4_294_967_294, 4_294_967_294)), Ok((4_294_967_294, 4_294_967_294))),
            ("agent", Ok((1001, 50)), unknown("user `agent`: it has no `/etc/passwd`")),
            ("agent:root", Ok((1001, 0)), unknown("user `agent`: it has no `/etc/passwd`")),
            ("agent:7", Ok((1001, 7)), unknown("user `agent`: it has no `/etc/passwd`")),
            ("7:staff", Ok((7, 50)), unknown("group `staff`: it has no `/etc/group`")),
            ("agent|1000:1000", Ok((1001, 50)), Ok((1000, 1000))),
            ("holodeck|1000", Ok((1000, 1000)), Ok((1000, 1000))),
            (
                "holodeck",
                unknown("user `holodeck`: `/etc/passwd` has root, agent"),
                unknown("user `holodeck`: it has no `/etc/passwd`"),
            ),
            (
                "agent:wheel",
                unknown("group `wheel`: `/etc/group` has root, staff"),
                unknown("user `agent`: it has no `/etc/passwd`"),
            ),
            ("4294967295", malformed("4294967295"), malformed("4294967295")),
            ("1:2:3", malformed("1:2:3"), malformed("1:2:3")),
            ("-1", malformed("-1"), malformed("-1")),
            ("", malformed(""), malformed("")),
            ("agent:", malformed("agent:"), malformed("agent:")),
            ("a b", malformed("a b"), malformed("a b")),
            ("agent|other", malformed("agent|other"), malformed("agent|other")),
        ] {
            for (base, expected) in [(&named, expected), (&nameless, on_nothing)] {
                let bases = [(platform.clone(), base.clone())].into();
                let inputs = Inputs { bases, ..Inputs::default() };
                let owner = read(text, OwnerName::parse).and_then(|name| {
                    name.resolve(&inputs, &platform).map_err(|error| error.message)
                });
                assert_eq!(owner, expected.map(|(uid, gid)| Owner { uid, gid }), "{text}");
            }
        }
    }

    #[test]
    fn modes_are_octal() {
        for (text, expected) in [
            ("0644", Some(0o644)),
            ("644", Some(0o644)),
            ("0o755", Some(0o755)),
            ("4755", Some(0o4755)),
            ("01777", Some(0o1777)),
            ("0000", Some(0)),
            ("888", None),
            ("10000", None),
            ("+644", None),
            ("u+x", None),
            ("6", None),
            ("420.0", None),
        ] {
            let found = read(text, |node, problems| parse_mode(node, "mode", problems)).ok();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn sources_stay_in_the_project() {
        for (text, expected) in [
            ("src", Ok("src")),
            ("./src//a/", Ok("src/a")),
            (".", Ok(".")),
            ("./", Ok(".")),
            ("..hidden", Ok("..hidden")),
            ("", Err("`src` is empty: ``")),
            ("../x", Err("`src` contains `..`: `../x`")),
            ("a/../b", Err("`src` contains `..`: `a/../b`")),
            ("/etc", Err("`src` is absolute: `/etc`")),
        ] {
            let found = read(text, |node, problems| parse_source(node, "src", problems));
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }
}
