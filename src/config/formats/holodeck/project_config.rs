//! HoloDeck's `config.yaml` beside the agent: `holodeck deploy build` reads it, the image lacks it.

use crate::config::{Node, ParseContext, ParsedFile, Problem, Problems, Value};

/// Its names, the preferred one first.
pub(super) const NAMES: [&str; 2] = ["config.yml", "config.yaml"];

/// The section that decides about the image. Others are read when the agent starts.
const DEPLOYMENT: &str = "deployment";

/// Reads the file, if there is one.
pub(super) fn read(context: &ParseContext, problems: &mut Problems) -> Option<Node> {
    let file = NAMES.iter().find_map(|name| context.files.get(*name)?.as_ref())?;
    if file.text.trim().is_empty() {
        return None;
    }
    let parsed = ParsedFile::parse(&file.text, &file.label, problems)?;
    parsed.report_duplicates(|section| section == DEPLOYMENT, problems);
    Some(parsed.root)
}

/// The `deployment` of both files; what the agent says wins, member by member.
pub(super) fn deployment(agent: &Node, config: Option<&Node>) -> Option<Node> {
    let below = config.and_then(|config| config.get(DEPLOYMENT));
    match (below, agent.get(DEPLOYMENT)) {
        (Some(below), Some(above)) => Some(merge(below, above)),
        (below, above) => above.or(below).cloned(),
    }
}

/// What the agent will miss of the file.
pub(super) fn left_out(config: Option<&Node>) -> Option<Problem> {
    let members = config.map(Node::members).unwrap_or_default();
    let missed: Vec<_> = members.iter().filter(|(key, _)| key.text != DEPLOYMENT).collect();
    let (first, _) = missed.first()?;
    let names: Vec<_> =
        missed.iter().map(|(key, _)| format!("`{}`", key.text.escape_debug())).collect();
    Some(Problem {
        position: first.position.clone(),
        message: format!(
            "the image lacks this file, and the agent what it says of {}",
            names.join(", ")
        ),
        hint: Some("write what the agent needs into the agent itself".into()),
    })
}

/// Both mappings as one, in the order of the lower one; a member of the upper one replaces its like.
fn merge(below: &Node, above: &Node) -> Node {
    let (Value::Mapping(lower), Value::Mapping(upper)) = (&below.value, &above.value) else {
        return above.clone();
    };
    let mut members = lower.clone();
    for (key, value) in upper {
        match members.iter_mut().find(|(existing, _)| existing.text == key.text) {
            Some(member) => *member = (key.clone(), merge(&member.1, value)),
            None => members.push((key.clone(), value.clone())),
        }
    }
    Node { value: Value::Mapping(members), position: above.position.clone() }
}
