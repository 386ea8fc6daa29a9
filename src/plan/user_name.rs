//! Whether the user that a container runs as has an entry in the image, where that can be told.

use super::question::{GROUP, PASSWD, Question};
use super::{BaseImage, EntryKind, FileSource, LayerContent, LayerPlan};

/// Warns of a user or group that an image does not know by that name: a container does not start.
pub(super) fn unknown_user(
    base: &BaseImage,
    layers: &[LayerPlan],
    user: &str,
) -> Option<(&'static str, String, Option<String>)> {
    let (user, group) = user.split_once(':').unwrap_or((user, ""));
    [(PASSWD, Question::User(user.to_owned())), (GROUP, Question::Group(group.to_owned()))]
        .into_iter()
        .find_map(|(file, question)| unknown(base, layers, file, &question))
}

fn unknown(
    base: &BaseImage,
    layers: &[LayerPlan],
    file: &str,
    question: &Question,
) -> Option<(&'static str, String, Option<String>)> {
    let (Question::User(name) | Question::Group(name)) = question else { return None };
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let why = match names(layers, file) {
        Names::Known(names) if names.contains(&name.as_str()) => return None,
        Names::Known(names) => format!("`/{file}` has {}", names.join(", ")),
        Names::Unknown => return None,
        Names::OfBase => base.why_unknown(question)?,
    };
    let text = format!("the image does not know the {question}: {why}");
    let example = match question {
        Question::Group(_) => "65532:65532",
        _ => "65532",
    };
    let hint = format!(
        "write its number, as in `user: \"{example}\"`: a container with a name that is not known does \
         not start"
    );
    Some(("unknown-user", text, Some(hint)))
}

/// What stands in a file of names.
enum Names<'a> {
    /// These.
    Known(Vec<&'a str>),
    /// No layer of ours has it.
    OfBase,
    /// It is a file of the project, or in a layer that nobody reads.
    Unknown,
}

/// The names in a file, as its topmost layer has it.
fn names<'a>(layers: &'a [LayerPlan], file: &str) -> Names<'a> {
    for layer in layers.iter().rev() {
        let LayerContent::Pack(entries) = &layer.content else { return Names::Unknown };
        let Some(entry) = entries.iter().find(|entry| entry.path == file) else { continue };
        return match &entry.kind {
            EntryKind::File(FileSource::Bytes(bytes)) => {
                let lines = std::str::from_utf8(bytes).unwrap_or_default().lines();
                Names::Known(lines.filter_map(|line| line.split(':').next()).collect())
            }
            _ => Names::Unknown,
        };
    }
    Names::OfBase
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::oci::{Descriptor, Digest, MediaType, Platform};
    use crate::plan::testing::base as base_of;
    use crate::plan::{BaseLayer, Entry, Origin, RootNode, RootTree, builtin_base};

    fn layer(kind: EntryKind) -> LayerPlan {
        let entry =
            Entry { path: "etc/passwd".into(), kind, mode: 0o644, uid: 0, gid: 0, mtime: 0 };
        let (name, created_by) = ("passwd".into(), String::new());
        LayerPlan { name, created_by, content: LayerContent::Pack(vec![entry]) }
    }

    fn text(base: &BaseImage, layers: &[LayerPlan], user: &str) -> Option<String> {
        unknown_user(base, layers, user).map(|(_, text, _)| text)
    }

    #[test]
    fn the_hint_is_for_what_is_not_known() {
        let base = base_of(&Platform::linux_amd64(), RootTree::default());
        for (user, example) in [("agent", "\"65532\""), ("1000:agents", "\"65532:65532\"")] {
            let (_, _, hint) = unknown_user(&base, &[], user).unwrap();
            let start = format!("write its number, as in `user: {example}`: ");
            assert!(hint.unwrap().starts_with(&start), "{user}");
        }
    }

    #[test]
    fn a_name_is_looked_up_where_the_file_is_known() {
        let base = base_of(&Platform::linux_amd64(), RootTree::default());
        let builtin = || builtin_base("static").unwrap().layers;
        let own = Bytes::from_static(b"agent:x:1000:1000::/:/bin/sh\n");
        let own = || layer(EntryKind::File(FileSource::Bytes(own.clone())));
        let link = || layer(EntryKind::Symlink("elsewhere".into()));
        let none = "the image does not know the user `agent`: it has no `/etc/passwd`";
        let other =
            "the image does not know the user `agent`: `/etc/passwd` has root, nobody, nonroot";
        let group = "the image does not know the group `agents`: `/etc/group` has root, tty, nobody, nonroot";
        for (user, layers, expected) in [
            ("agent", builtin(), Some(other)),
            ("nonroot", builtin(), None),
            ("65532:65532", builtin(), None),
            ("nonroot:agents", builtin(), Some(group)),
            ("agent", [builtin(), vec![own()]].concat(), None),
            ("agent", [builtin(), vec![link()]].concat(), None),
            ("agent", vec![], Some(none)),
            ("1000", vec![], None),
        ] {
            let found = text(&base, &layers, user);
            assert_eq!(found.as_deref(), expected, "{user}");
        }
        let mut base = base;
        let agent = |base: &BaseImage| text(base, &[], "agent");
        base.layers.push(BaseLayer {
            descriptor: Descriptor::of(MediaType::OciLayer, b""),
            diff_id: Digest::of(b""),
            origin: Origin::Store,
        });
        assert_eq!(agent(&base), None, "nobody has read it");
        base.root.insert(PASSWD, RootNode::File);
        assert_eq!(agent(&base), None, "its text was not kept");
        base.root.keep_text(PASSWD.into(), "root:x:0:0".into());
        let expected = "the image does not know the user `agent`: `/etc/passwd` has root";
        assert_eq!(agent(&base).as_deref(), Some(expected));
        base.root.keep_text(PASSWD.into(), "agent:x:1:1".into());
        assert_eq!(agent(&base), None);
    }
}
