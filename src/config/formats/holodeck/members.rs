//! The members of an agent, as HoloDeck's release 0.7.1 knows them: it starts with no other and
//! without none that it must have.

use crate::config::near_names::nearest;
use crate::config::validate::shown;
use crate::config::{Node, Problem, Problems};

/// Everything that stands at the top of an agent.
const KNOWN: [&str; 16] = [
    "author",
    "claude",
    "deployment",
    "description",
    "embedding_provider",
    "evaluations",
    "execution",
    "instructions",
    "model",
    "name",
    "observability",
    "openai",
    "response_format",
    "test_cases",
    "test_cases_file",
    "tools",
];

/// What an agent must have beside its name, and how it is written.
const REQUIRED: [(&str, &str); 2] = [
    ("model", "write `model: {provider: …, name: …}`"),
    ("instructions", "write `instructions: {file: …}` or `instructions: {inline: …}`"),
];

/// Reports what no agent starts without.
pub(super) fn check(root: &Node, problems: &mut Problems) {
    for (name, hint) in REQUIRED {
        if root.get(name).is_none() {
            problems.report_with_hint(&root.position, format!("the agent has no `{name}`"), hint);
        }
    }
}

/// The keys that are unknown. A later HoloDeck may know them.
pub(super) fn unknown(root: &Node) -> Vec<Problem> {
    let keys = root.members().iter().map(|(key, _)| key);
    let unknown = keys.filter(|key| !KNOWN.contains(&key.text.as_str()));
    let problem = |key: &crate::config::Key| Problem {
        position: key.position.clone(),
        message: format!("HoloDeck knows no key `{}` in an agent", shown(&key.text)),
        hint: Some(match nearest(&key.text, &KNOWN) {
            Some(name) => format!("did you mean `{name}`?"),
            None => "remove it: an agent with an unknown key does not start".to_owned(),
        }),
    };
    unknown.map(problem).collect()
}
