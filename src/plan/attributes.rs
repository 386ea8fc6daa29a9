//! What several layer kinds let a user say of an entry: its path in the image, mode and owner; and
//! the paths of the project that entries are made from.

use super::{Entry, EntryKind};
use crate::config::{Node, Problems};

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

impl Owner {
    /// Reads `uid` or `uid:gid`; without a group it is the one with the user's number.
    pub(super) fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = node.as_text()?;
        let (user, group) = text.split_once(':').unwrap_or((text, text));
        // 2^32 - 1 means "unchanged" to chown: no file can belong to it.
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number != u32::MAX);
        if let (Some(uid), Some(gid)) = (number(user), number(group)) {
            return Some(Self { uid: uid.into(), gid: gid.into() });
        }
        problems.report_with_hint(
            &node.position,
            format!("`owner` is `uid` or `uid:gid`, not `{}`", text.escape_debug()),
            "owners are numbers: a name means whatever the base's /etc/passwd says; look the number \
             up there",
        );
        None
    }
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
    use crate::config::Position;

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
    fn owners_are_numbers() {
        for (text, expected) in [
            ("0", Some((0, 0))),
            ("1000", Some((1000, 1000))),
            ("1000:50", Some((1000, 50))),
            ("4294967294", Some((4_294_967_294, 4_294_967_294))),
            ("4294967295", None),
            ("holodeck", None),
            ("0:root", None),
            ("1:2:3", None),
            ("-1", None),
            ("", None),
        ] {
            let found = read(text, Owner::parse).ok();
            assert_eq!(found, expected.map(|(uid, gid)| Owner { uid, gid }), "{text}");
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
