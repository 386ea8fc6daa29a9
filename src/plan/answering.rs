//! Answers from a tree that is known as a whole. The folders that are looked at are not noted.

use super::question::{Account, Answer, GROUP, PASSWD, Question, in_folder};
use super::{RootNode, RootTree, python};

/// How many names an answer lists.
const MOST_NAMES: usize = 40;

impl RootTree {
    /// Answers a question; `None` where nobody knows, which is noted as with a path.
    pub(super) fn ask(&self, question: &Question) -> Option<Answer> {
        let answer =
            if self.is_whole() { Some(self.answer(question)) } else { self.told(question) };
        self.lookups.note_answer(question, answer.as_ref());
        answer
    }

    fn answer(&self, question: &Question) -> Answer {
        match question {
            Question::User(name) => self.named(PASSWD, name, |fields| {
                let [uid, gid] = [fields.get(2)?, fields.get(3)?].map(|id| id.parse::<u32>().ok());
                Some(Answer::Account(Account { uid: uid?.into(), gid: gid?.into() }))
            }),
            Question::Group(name) => self.named(GROUP, name, |fields| {
                Some(Answer::Group(fields.get(2)?.parse::<u32>().ok()?.into()))
            }),
            Question::Program { name, search } => {
                self.find_program(name, search).map_or(Answer::Nothing, Answer::Path)
            }
            Question::Python { search, distributions } => {
                let python = python::find(self, search, distributions);
                python.map_or(Answer::Nothing, Answer::Python)
            }
        }
    }

    /// What the line of this name says. Lines that say nothing are passed over, as the C library does.
    fn named(&self, file: &str, name: &str, read: impl Fn(&[&str]) -> Option<Answer>) -> Answer {
        let Some(text) = self.text(file) else {
            // A link that leads nowhere may lead somewhere in a container.
            let is_there = self.nodes.contains_key(file) || self.resolve_quietly(file).is_none();
            return if is_there { Answer::Unreadable } else { Answer::NoFile };
        };
        let lines = || {
            text.lines().filter_map(|line| {
                let fields: Vec<_> = line.split(':').collect();
                Some((fields[0], read(&fields)?))
            })
        };
        if let Some((_, answer)) = lines().find(|(known, _)| *known == name) {
            return answer;
        }
        Answer::Names(lines().map(|(known, _)| known.to_owned()).take(MOST_NAMES).collect())
    }

    /// What stands in a file whose content was kept.
    fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(&self.resolve_quietly(path)?).map(String::as_str)
    }

    /// Where a program is found, as the search path spells it.
    pub(super) fn find_program(&self, name: &str, search: &[String]) -> Option<String> {
        let folders = search.iter().filter(|folder| folder.starts_with('/'));
        folders.map(|folder| in_folder(folder, name)).find(|path| {
            let node = self.resolve_quietly(path).and_then(|path| self.nodes.get(&path));
            node == Some(&RootNode::File)
        })
    }

    /// The names of what stands in a folder.
    pub(super) fn names_in<'a>(&'a self, folder: &str) -> impl Iterator<Item = &'a str> {
        let below = format!("{folder}/");
        let start = below.len();
        self.nodes
            .range(below.clone()..)
            .map(|(path, _)| path.as_str())
            .take_while(move |path| path.starts_with(&below))
            .map(move |path| &path[start..])
            .filter(|name| !name.contains('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD_TEXT: &str = "root:x:0:0::/root:/bin/sh\n# a comment\nbad:x:one:1\n+\n\
                               agent:x:1000:50::/:\nagent:x:7:7::/:\n";

    fn tree() -> RootTree {
        let mut tree = RootTree::default();
        for path in ["etc", "usr", "usr/bin", "usr/local/bin", "opt"] {
            tree.insert(path, RootNode::Directory { mode: 0o755, uid: 0, gid: 0 });
        }
        for path in [PASSWD, GROUP, "usr/bin/dash", "usr/bin/curl", "usr/local/bin/curl"] {
            tree.insert(path, RootNode::File);
        }
        for (path, target) in
            [("bin", "usr/bin"), ("usr/bin/sh", "dash"), ("usr/bin/gone", "nothing")]
        {
            tree.insert(path, RootNode::Symlink(target.into()));
        }
        tree.keep_text(PASSWD.into(), PASSWD_TEXT.into());
        tree.keep_text(GROUP.into(), "root:x:0:\nstaff:x:50:agent\n".into());
        tree
    }

    #[test]
    fn names_have_numbers() {
        let user = |name: &str| tree().ask(&Question::User(name.into())).unwrap();
        let names = || Answer::Names(vec!["root".into(), "agent".into(), "agent".into()]);
        assert_eq!(user("root"), Answer::Account(Account { uid: 0, gid: 0 }));
        assert_eq!(user("agent"), Answer::Account(Account { uid: 1000, gid: 50 }));
        for unknown in ["bad", "+", "x", "", "# a comment"] {
            assert_eq!(user(unknown), names(), "{unknown}");
        }
        let group = |name: &str| tree().ask(&Question::Group(name.into())).unwrap();
        assert_eq!(group("staff"), Answer::Group(50));
        assert_eq!(group("agent"), Answer::Names(vec!["root".into(), "staff".into()]));
    }

    #[test]
    fn names_are_read_where_the_file_of_names_leads() {
        let question = Question::User("agent".into());
        let account = Answer::Account(Account { uid: 1000, gid: 50 });
        let link = |path: &str, target: &str| {
            let mut tree = tree();
            tree.insert(path, RootNode::Symlink(target.into()));
            tree.ask(&question).unwrap()
        };
        // Nobody kept what stands elsewhere, nor what is not there.
        for target in ["../usr/bin/dash", "nothing", "passwd"] {
            assert_eq!(link(PASSWD, target), Answer::Unreadable, "{target}");
        }
        assert_eq!(link("etc/alias", "passwd"), account);
        let mut unread = RootTree::default();
        assert_eq!(unread.ask(&question), Some(Answer::NoFile));
        unread.insert(PASSWD, RootNode::File);
        assert_eq!(unread.ask(&question), Some(Answer::Unreadable));
    }

    #[test]
    fn programs_are_found_in_the_first_folder_that_has_them() {
        for (name, search, expected) in [
            ("curl", "/usr/local/bin:/usr/bin", Some("/usr/local/bin/curl")),
            ("curl", "/usr/bin:/usr/local/bin", Some("/usr/bin/curl")),
            ("sh", "/usr/local/bin:/bin", Some("/bin/sh")),
            ("sh", "/bin/:/usr/bin", Some("/bin/sh")),
            ("gone", "/usr/bin", None),
            ("bin", "/usr/local", None),
            ("curl", "usr/bin:.:", None),
            ("curl", "/opt/../usr/bin", Some("/opt/../usr/bin/curl")),
        ] {
            let search = search.split(':').map(str::to_owned).collect();
            let answer = tree().ask(&Question::Program { name: name.into(), search });
            let expected = expected.map_or(Answer::Nothing, |path| Answer::Path(path.into()));
            assert_eq!(answer, Some(expected), "{name}");
        }
    }
}
