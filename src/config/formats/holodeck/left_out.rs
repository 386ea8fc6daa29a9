//! What an agent mentions and its image lacks: HoloDeck leaves it out, and so the user should know.

use super::files::shortest;
use crate::config::validate::shown;
use crate::config::{LayerSpec, Node, ParseContext, Position, Problem};

/// The settings of Claude's that are files of the project.
const PROJECT_SETTINGS: &[&str] = &["project", "local", "all"];

/// Everything that is left out, in the order of the file; `layers` are those of the agent.
pub(super) fn left_out(root: &Node, layers: &[LayerSpec], context: &ParseContext) -> Vec<Problem> {
    let mut found = Vec::new();
    let tools = root.get("tools").map(Node::items).unwrap_or_default();
    for tool in tools {
        match tool.get_text("type") {
            Some("mcp") => server(tool, layers, context, &mut found),
            Some("vectorstore" | "hierarchical_document") => database(tool, &mut found),
            _ => {}
        }
    }
    let sources = root.get("claude").and_then(|claude| claude.get("setting_sources"));
    let is_projects =
        |node: &&Node| node.as_text().is_some_and(|text| PROJECT_SETTINGS.contains(&text));
    if let Some(node) = sources.map(Node::items).unwrap_or_default().iter().find(is_projects) {
        let message = "`CLAUDE.md` and `.claude/`, which this setting reads, are not in the image";
        found.push(problem(&node.position, message, add_files(context)));
    }
    found
}

/// The files of an MCP server: variables, and paths among its arguments.
fn server(tool: &Node, layers: &[LayerSpec], context: &ParseContext, found: &mut Vec<Problem>) {
    if let Some(node) = tool.get("env_file")
        && let Some(text) = node.as_text()
    {
        let message = format!("`{}` in `env_file` is not in the image", shown(text));
        let hint = "give its variables to the container, and name them in `env` of the tool";
        found.push(problem(&node.position, message, hint.into()));
    }
    for node in tool.get("args").map(Node::items).unwrap_or_default() {
        let Some(text) = node.as_text().filter(|text| text.starts_with("./")) else { continue };
        if shortest(text).is_none_or(|path| !is_copied(&path, layers)) {
            let message = format!("`{}` in `args` is not in the image", shown(text));
            found.push(problem(&node.position, message, add_files(context)));
        }
    }
}

/// A database that is only named is looked up in HoloDeck's `config.yaml`, which is full of secrets.
fn database(tool: &Node, found: &mut Vec<Problem>) {
    let Some(node) = tool.get("database") else { return };
    if let Some(text) = node.as_text() {
        let message = format!(
            "the database `{}` is described in HoloDeck's `config.yaml`, which is not in the image: \
             the agent would search in its memory instead",
            shown(text)
        );
        let hint = "describe it in the agent: `database: {provider: …}`";
        found.push(problem(&node.position, message, hint.into()));
    }
}

/// Whether a path of the agent is one that a layer copies, or lies below one.
fn is_copied(path: &str, layers: &[LayerSpec]) -> bool {
    let items = layers.iter().filter_map(|layer| layer.settings.get("copy")).flat_map(Node::items);
    let mut destinations = items.filter_map(|item| item.get_text("dest"));
    let path = format!("{}/{path}/", super::APP);
    destinations.any(|dest| path.starts_with(&format!("{dest}/")))
}

fn add_files(context: &ParseContext) -> String {
    let agent = context.path.as_deref().unwrap_or("agent.yaml");
    format!(
        "to add it, write a `dockless.yaml` with `agent: {agent}` and `layers: [{{kind: files, copy: \
         [{{src: …, dest: /app/…}}]}}]`"
    )
}

fn problem(position: &Position, message: impl Into<String>, hint: String) -> Problem {
    Problem { position: position.clone(), message: message.into(), hint: Some(hint) }
}
