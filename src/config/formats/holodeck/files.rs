//! The layers of an agent: the files that `agent.yaml` names, where HoloDeck puts them.
//!
//! What changes often goes on top: the start script and the work folder lie lowest, then the data,
//! then the tools, then the instructions and `agent.yaml` itself. A layer without content is left out.

use std::collections::BTreeSet;

use super::APP;
use super::graders::{self, Module};
use crate::config::validate::shown;
use crate::config::{Key, LayerSpec, Node, ParseContext, Position, Problems, Value};

/// The script that starts the agent.
pub(super) const ENTRYPOINT: &str = "/app/entrypoint.sh";

/// Where `agent.yaml` lies, whatever its name in the project.
pub(super) const AGENT: &str = "/app/agent.yaml";

/// The folder the agent may write to.
const WORK: &str = "/var/holodeck/work";

/// The user that an agent runs as: the base's, else as HoloDeck documents its own base.
const OWNER: &str = "holodeck|1000:1000";

/// All layers, lowest first, and the places that name a file and no folder.
pub(super) fn layers(
    root: &Node,
    test_cases: Option<&Node>,
    context: &ParseContext,
    problems: &mut Problems,
) -> (Vec<LayerSpec>, BTreeSet<Position>) {
    let mut named = Named { seen: BTreeSet::new(), files: BTreeSet::new(), context, problems };
    let data = named.data(root);
    let mut tools = named.tools(root);
    tools.extend(named.graders(root, test_cases));
    let mut texts = named.texts(root);
    texts.extend(named.agent(&root.position));
    let files_only = named.files;
    let here = &root.position;
    let mut layers = vec![work_folder(here), entrypoint(here)];
    layers.extend([data, tools, texts].into_iter().filter_map(files));
    (layers, files_only)
}

/// A `files` layer with these items, if there are any.
fn files(items: Vec<Node>) -> Option<LayerSpec> {
    let position = items.first()?.position.clone();
    Some(layer("files", [("copy", Node::sequence(items, &position))], &position))
}

fn layer<'a>(
    kind: &str,
    settings: impl IntoIterator<Item = (&'a str, Node)>,
    position: &Position,
) -> LayerSpec {
    let members = std::iter::once(("kind", Node::text(kind, position))).chain(settings);
    LayerSpec {
        kind: kind.to_owned(),
        kind_position: position.clone(),
        settings: Node::mapping(members, position),
    }
}

fn work_folder(position: &Position) -> LayerSpec {
    let text = |text| Node::text(text, position);
    let folder = [("path", text(WORK)), ("mode", text("0755")), ("owner", text(OWNER))];
    let folders = Node::sequence([Node::mapping(folder, position)], position);
    layer("files", [("directories", folders)], position)
}

fn entrypoint(position: &Position) -> LayerSpec {
    let text = |text| Node::text(text, position);
    let settings = [
        ("template", text("holodeck-entrypoint.sh")),
        ("dest", text(ENTRYPOINT)),
        ("mode", text("0755")),
    ];
    layer("template", settings, position)
}

/// Collects the files that are named, each once.
struct Named<'a> {
    seen: BTreeSet<String>,
    files: BTreeSet<Position>,
    context: &'a ParseContext,
    problems: &'a mut Problems,
}

impl Named<'_> {
    /// What the agent searches, and its test cases: files, folders or patterns.
    fn data(&mut self, root: &Node) -> Vec<Node> {
        let mut items = Vec::new();
        for tool in self.tools_of_type(root, &["vectorstore", "hierarchical_document"]) {
            items.extend(self.copy(tool, "source"));
        }
        items.extend(self.copy(root, "test_cases_file"));
        items
    }

    fn tools(&mut self, root: &Node) -> Vec<Node> {
        let tools = self.tools_of_type(root, &["function"]);
        tools.into_iter().filter_map(|tool| self.copy(tool, "file")).collect()
    }

    /// The Python that grades test cases; the agent does not start without it, though it runs none.
    fn graders(&mut self, root: &Node, test_cases: Option<&Node>) -> Vec<Node> {
        let modules = graders::modules(root, test_cases, self.problems);
        modules.iter().filter_map(|module| self.grader(module)).collect()
    }

    fn grader(&mut self, module: &Module) -> Option<Node> {
        let position = &module.position;
        if let Some(file) = module.missing(&self.context.files)
            && let Some((folder, _)) = file.rsplit_once('/')
        {
            let message = format!("there is no `{file}`, which this grader is in");
            let hint =
                format!("look at what is in `{folder}`: the agent does not start without it");
            self.problems.report_with_hint(position, message, hint);
            return None;
        }
        let mut item = self.copy_path(&module.path(&self.context.files), position)?;
        if let (Value::Mapping(members), false) =
            (&mut item.value, module.is_file(&self.context.files))
        {
            // What Python leaves behind would make the image another one after each test run.
            let caches = Node::sequence([Node::text("**/__pycache__", position)], position);
            members.push((Key { text: "exclude".into(), position: position.clone() }, caches));
        }
        Some(item)
    }

    /// The instructions of the agent and of its sub-agents, and the form of its answers.
    fn texts(&mut self, root: &Node) -> Vec<Node> {
        let mut items = Vec::new();
        if let Some(instructions) = self.mapping(root, "instructions") {
            items.extend(self.copy(instructions, "file"));
        }
        if root.get_text("response_format").is_some() {
            items.extend(self.copy(root, "response_format"));
        }
        let agents = self.mapping(root, "claude").and_then(|claude| self.mapping(claude, "agents"));
        for (_, agent) in agents.into_iter().flat_map(Node::members) {
            items.extend(self.copy(agent, "prompt_file"));
        }
        items
    }

    /// `agent.yaml` as it is. The agent reads it under a user of its own, so it must be readable.
    fn agent(&mut self, position: &Position) -> Option<Node> {
        let Some(path) = &self.context.path else {
            let message = "the agent lies outside of the project's folder".to_owned();
            self.problems.report_with_hint(position, message, "name the agent's folder instead");
            return None;
        };
        let members = [
            ("src", Node::text(path, position)),
            ("dest", Node::text(AGENT, position)),
            ("mode", Node::text("0644", position)),
            ("links", Node::text("follow", position)),
            ("ignore_file", Node::plain("false", position)),
        ];
        Some(Node::mapping(members, position))
    }

    fn tools_of_type<'n>(&mut self, root: &'n Node, types: &[&str]) -> Vec<&'n Node> {
        let Some(tools) = root.get("tools") else { return Vec::new() };
        if !matches!(tools.value, Value::Sequence(_)) {
            let message = format!("`tools` is a list, not {}", tools.kind());
            self.problems.report(&tools.position, message);
        }
        let is_wanted =
            |tool: &&Node| tool.get_text("type").is_some_and(|kind| types.contains(&kind));
        tools.items().iter().filter(is_wanted).collect()
    }

    fn mapping<'n>(&mut self, node: &'n Node, name: &str) -> Option<&'n Node> {
        let member = node.get(name)?;
        if matches!(member.value, Value::Mapping(_)) {
            return Some(member);
        }
        let message = format!("`{name}` is a mapping, not {}", member.kind());
        self.problems.report(&member.position, message);
        None
    }

    /// The item that copies what a member names, unless it is copied already or is no file.
    fn copy(&mut self, node: &Node, name: &str) -> Option<Node> {
        let member = node.get(name)?;
        let position = &member.position;
        let Some(text) = member.as_text() else {
            let message = format!("`{name}` is a path, not {}", member.kind());
            self.problems.report(position, message);
            return None;
        };
        if text.contains("://") {
            return None;
        }
        let path = self.path(text, name, position)?;
        if name != "source" {
            self.files.insert(position.clone());
        }
        self.copy_path(&path, position)
    }

    /// The same for a path in its shortest form.
    fn copy_path(&mut self, path: &str, position: &Position) -> Option<Node> {
        if !self.seen.insert(path.to_owned()) {
            return None;
        }
        let (folder, pattern) = split_pattern(path);
        let source = below(self.context.folder(), folder);
        let mut members = vec![
            ("src", Node::text(if source.is_empty() { "." } else { &source }, position)),
            ("dest", Node::text(below(APP, folder), position)),
        ];
        if let Some(pattern) = pattern {
            let patterns = Node::sequence([Node::text(pattern, position)], position);
            members.push(("include", patterns));
        }
        members.extend([
            ("links", Node::text("follow", position)),
            ("read_only", Node::plain("true", position)),
            ("ignore_file", Node::plain("false", position)),
        ]);
        Some(Node::mapping(members, position))
    }

    /// The path in its shortest form; one that leaves the agent's folder is a problem.
    fn path(&mut self, text: &str, name: &str, position: &Position) -> Option<String> {
        let (reason, hint) = if text.contains("${") {
            (
                "depends on the environment",
                "write the path out: what is in the image must not change with it",
            )
        } else if text.starts_with('/') {
            ("is absolute", "write it relative to the agent's folder")
        } else if text.trim().is_empty() {
            ("is empty", "name a file below the agent's folder")
        } else if text.contains('\0') {
            ("has a NUL character", "remove it")
        } else if let Some(path) = shortest(text) {
            return Some(path);
        } else {
            ("leaves the agent's folder", "move the file below the agent's folder")
        };
        let message = format!("the path `{}` in `{name}` {reason}", shown(text));
        self.problems.report_with_hint(position, message, hint);
        None
    }
}

/// Drops `.`, `..` and empty parts; nothing when the path leaves its folder.
pub(super) fn shortest(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Splits `data/*.md` into the folder that is sure and the pattern below it.
fn split_pattern(path: &str) -> (&str, Option<&str>) {
    let Some(wild) = path.find(['*', '?']) else { return (path, None) };
    match path[..wild].rfind('/') {
        Some(slash) => (&path[..slash], Some(&path[slash + 1..])),
        None => ("", Some(path)),
    }
}

fn below(folder: &str, path: &str) -> String {
    match (folder, path) {
        ("", path) => path.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, path) => format!("{folder}/{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_in_one_way() {
        for (path, short) in [
            ("data", Some("data")),
            ("./data/", Some("data")),
            ("a//b/./c", Some("a/b/c")),
            ("a/../b", Some("b")),
            (".", Some("")),
            ("..", None),
            ("a/../../b", None),
        ] {
            assert_eq!(shortest(path).as_deref(), short, "{path}");
        }
    }

    #[test]
    fn a_pattern_begins_where_the_path_is_unsure() {
        for (path, split) in [
            ("data/x.md", ("data/x.md", None)),
            ("data/*.md", ("data", Some("*.md"))),
            ("a/b?/c/*.md", ("a", Some("b?/c/*.md"))),
            ("*.md", ("", Some("*.md"))),
        ] {
            assert_eq!(split_pattern(path), split, "{path}");
        }
    }
}
