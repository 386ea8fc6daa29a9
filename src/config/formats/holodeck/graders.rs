//! The Python modules of code graders: HoloDeck imports them whenever it reads the agent.

use super::files::shortest;
use crate::config::validate::shown;
use crate::config::{Node, Position, Problems, ProjectFiles};

/// The package of HoloDeck itself, which the base has.
const OWN_PACKAGE: &str = "holodeck";

/// A module that lies beside the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Module {
    /// The first part of its name: of `graders.accuracy`, `graders`.
    name: String,
    /// The rest of its name as a path below its folder: of `graders.accuracy`, `accuracy`.
    rest: Option<String>,
    /// The grader that needs it.
    pub(super) position: Position,
}

impl Module {
    /// The files that tell a package from a single file, or whether there is such a module in it.
    pub(super) fn reads(&self) -> Vec<String> {
        match &self.rest {
            Some(rest) => self.forms_of(rest).into(),
            None => vec![self.marker(), self.file()],
        }
    }

    /// The file that its package, which is there, lacks.
    pub(super) fn missing(&self, files: &ProjectFiles) -> Option<String> {
        let [file, package] = self.forms_of(self.rest.as_ref()?);
        let is_absent = |path: &String| matches!(files.get(path), Some(None));
        (is_absent(&file) && is_absent(&package)).then_some(file)
    }

    fn forms_of(&self, rest: &str) -> [String; 2] {
        let path = format!("{}/{rest}", self.name);
        [format!("{path}.py"), format!("{path}/__init__.py")]
    }

    /// Its folder or its file, as Python would choose; its folder when there is neither.
    pub(super) fn path(&self, files: &ProjectFiles) -> String {
        if self.is_file(files) { self.file() } else { self.name.clone() }
    }

    /// Whether it is a single file.
    pub(super) fn is_file(&self, files: &ProjectFiles) -> bool {
        let exists = |path: String| matches!(files.get(&path), Some(Some(_)));
        self.rest.is_none() && !exists(self.marker()) && exists(self.file())
    }

    fn marker(&self) -> String {
        format!("{}/__init__.py", self.name)
    }

    fn file(&self) -> String {
        format!("{}.py", self.name)
    }
}

/// The path of the file that has the test cases, when the agent names one in the project.
pub(super) fn test_cases_file(root: &Node) -> Option<String> {
    let path = root.get_text("test_cases_file")?;
    let is_in_project = !path.contains("://") && !path.starts_with('/');
    shortest(path).filter(|path| is_in_project && !path.is_empty())
}

/// The modules of all graders: of the agent, of its test cases and of their turns. `test_cases` is
/// the file that has the cases, if they have one.
pub(super) fn modules(
    root: &Node,
    test_cases: Option<&Node>,
    problems: &mut Problems,
) -> Vec<Module> {
    let mut metrics: Vec<&Node> = Vec::new();
    metrics.extend(items(root.get("evaluations"), "metrics"));
    let listed = test_cases.map(|file| file.get("test_cases").unwrap_or(file));
    for case in listed.or(root.get("test_cases")).map(Node::items).unwrap_or_default() {
        metrics.extend(items(Some(case), "evaluations"));
        let turns = items(Some(case), "turns");
        metrics.extend(turns.iter().flat_map(|turn| items(Some(turn), "evaluations")));
    }
    metrics.into_iter().filter_map(|metric| module(metric, problems)).collect()
}

fn items<'n>(node: Option<&'n Node>, name: &str) -> &'n [Node] {
    node.and_then(|node| node.get(name)).map(Node::items).unwrap_or_default()
}

/// The module of a metric that is a grader. In test cases it may leave out its `type`.
fn module(metric: &Node, problems: &mut Problems) -> Option<Module> {
    if !matches!(metric.get_text("type"), None | Some("code")) {
        return None;
    }
    let grader = metric.get("grader")?;
    let position = &grader.position;
    let Some((name, rest)) = grader.as_text().and_then(first_part) else {
        let message = match grader.as_text() {
            Some(text) => format!("`{}` in `grader` is no `module:function`", shown(text)),
            None => format!("`grader` is a text, not {}", grader.kind()),
        };
        let hint = "write `graders.accuracy:check` for `check` in `graders/accuracy.py`";
        problems.report_with_hint(position, message, hint);
        return None;
    };
    (name != OWN_PACKAGE).then(|| Module {
        name: name.to_owned(),
        rest,
        position: position.clone(),
    })
}

/// The first part of `module.path:function`, and the others as a path.
fn first_part(grader: &str) -> Option<(&str, Option<String>)> {
    let (module, function) = grader.split_once(':')?;
    let is_word = |word: &str| {
        !word.is_empty() && word.chars().all(|char| char.is_alphanumeric() || char == '_')
    };
    let mut parts = module.split('.');
    let is_path = is_word(function) && parts.clone().all(is_word);
    let first = parts.next()?;
    let rest: Vec<_> = parts.collect();
    is_path.then(|| (first, (!rest.is_empty()).then(|| rest.join("/"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grader_names_a_module_and_a_function() {
        for (grader, part) in [
            ("graders.accuracy:check", Some(("graders", Some("accuracy")))),
            ("graders:check", Some(("graders", None))),
            ("a.b.c:check", Some(("a", Some("b/c")))),
            ("größe:prüfe", Some(("größe", None))),
            ("graders", None),
            ("graders:", None),
            (":check", None),
            (".graders:check", None),
            ("graders/accuracy.py:check", None),
            ("a:b:c", None),
            ("${GRADER}", None),
        ] {
            let part = part.map(|(first, rest)| (first, rest.map(str::to_owned)));
            assert_eq!(first_part(grader), part, "{grader}");
        }
    }

    #[test]
    fn a_module_without_parts_is_a_package_or_a_file() {
        let file = || Some(crate::config::ProjectFile { label: "x".into(), text: String::new() });
        let module = |is_package: bool| Module {
            name: "graders".into(),
            rest: is_package.then(|| "a".into()),
            position: Position::default(),
        };
        for (is_package, marker, alone, path) in [
            (false, None, file(), "graders.py"),
            (false, file(), file(), "graders"),
            (false, None, None, "graders"),
            (true, None, file(), "graders"),
        ] {
            let files = ProjectFiles::from([
                ("graders/__init__.py".to_owned(), marker),
                ("graders.py".to_owned(), alone),
            ]);
            assert_eq!(module(is_package).path(&files), path);
        }
    }
}
