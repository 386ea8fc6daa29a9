//! What an agent needs of its image: programs that its MCP tools run, and Python distributions.
//!
//! HoloDeck puts Node.js into the image of an agent whose tools run it, and installs extras of
//! `holodeck-ai`: which, is said here as its release 0.7.1 says it.

use crate::config::{Needed, Node, Requirement};

/// The extra of each `database.provider`, with what it brings.
const PROVIDERS: [(&str, &str, &str); 4] = [
    ("chromadb", "chromadb", "chromadb"),
    ("qdrant", "qdrant", "qdrant-client"),
    ("pinecone", "pinecone", "pinecone"),
    ("postgres", "postgres", "psycopg"),
];

/// The same of each kind of address in `source`.
const SCHEMES: [(&str, &str, &str); 2] =
    [("az://", "azure-blob", "azure-storage-blob"), ("s3://", "s3", "boto3")];

/// Programs with the recipe that brings them, and whether HoloDeck's own image has them then.
const PROGRAMS: [(&str, Option<&str>, bool); 7] = [
    ("node", Some("node"), true),
    ("npx", Some("node"), true),
    ("yarn", None, false),
    ("pnpm", None, false),
    ("uv", Some("uv"), false),
    ("uvx", Some("uv"), false),
    ("docker", None, false),
];

/// Everything that can be told from the file, in its order.
pub(super) fn requirements(root: &Node) -> Vec<Requirement> {
    let provider = root.get("model").and_then(|model| model.get("provider"));
    let anthropic = provider.filter(|node| node.as_text() == Some("anthropic"));
    let otel = anthropic.map(|node| {
        let distribution = ("claude-otel", "otel-instrumentation-claude-agent-sdk");
        extra(distribution, "`model.provider` is `anthropic`".to_owned(), node)
    });
    let tools = root.get("tools").map(Node::items).unwrap_or_default();
    let of_tool = |tool| programs(tool).into_iter().chain(distributions(tool));
    otel.into_iter().chain(tools.iter().flat_map(of_tool)).collect()
}

/// What the `command` of a tool needs, unless the tool has a `PATH` of its own.
fn programs(tool: &Node) -> Vec<Requirement> {
    let has_path = tool.get("env").and_then(|env| env.get("PATH")).is_some();
    let Some(command) = tool.get("command").filter(|_| !has_path) else { return Vec::new() };
    let Some(text) = command.as_text() else { return Vec::new() };
    let name = text.rsplit('/').next().unwrap_or(text);
    let interpreter = matches!(name, "npx" | "yarn" | "pnpm").then_some("node");
    let needed = |program: &str, name: &str| {
        let (_, recipe, is_vital) = PROGRAMS.iter().find(|(known, ..)| *known == name)?;
        Some(Requirement {
            needed: Needed::Program {
                name: program.to_owned(),
                recipe: *recipe,
                is_vital: *is_vital,
            },
            reason: format!("{} runs `{}`", called("MCP tool", tool), text.escape_debug()),
            position: command.position.clone(),
        })
    };
    let interpreter = interpreter.and_then(|interpreter| needed(interpreter, interpreter));
    interpreter.into_iter().chain(needed(text, name)).collect()
}

/// What a tool that searches needs. A `database` that is a name stands in a file that is not judged.
fn distributions(tool: &Node) -> Vec<Requirement> {
    if !matches!(tool.get_text("type"), Some("vectorstore" | "hierarchical_document")) {
        return Vec::new();
    }
    let tool_name = called("tool", tool);
    let provider = tool.get("database").and_then(|database| database.get("provider"));
    let provider = provider.and_then(|node| {
        let (name, extra_name, distribution) =
            PROVIDERS.iter().find(|(name, ..)| node.as_text() == Some(name))?;
        let reason = format!("the database of {tool_name} is `{name}`");
        Some(extra((extra_name, distribution), reason, node))
    });
    let source = tool.get("source").and_then(|node| {
        let text = node.as_text()?;
        let (scheme, extra_name, distribution) =
            SCHEMES.iter().find(|(scheme, ..)| text.starts_with(scheme))?;
        let reason = format!("the source of {tool_name} begins with `{scheme}`");
        Some(extra((extra_name, distribution), reason, node))
    });
    provider.into_iter().chain(source).collect()
}

fn extra((extra, name): (&'static str, &'static str), reason: String, node: &Node) -> Requirement {
    let needed = Needed::Distribution { name, extra };
    Requirement { needed, reason, position: node.position.clone() }
}

/// "the MCP tool `search`".
fn called(kind: &str, tool: &Node) -> String {
    match tool.get_text("name") {
        Some(name) => format!("the {kind} `{}`", name.escape_debug()),
        None => format!("a{} {kind} without a name", if kind == "MCP tool" { "n" } else { "" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Problems;

    /// "line needed: reason" of everything; `!` marks what is vital.
    fn needed(yaml: &str) -> Vec<String> {
        let root = Node::parse_yaml(yaml, "agent.yaml", &mut Problems::new()).unwrap();
        let line = |requirement: Requirement| {
            let needed = match requirement.needed {
                Needed::Program { name, recipe, is_vital } => {
                    let mark = if is_vital { "!" } else { "" };
                    format!("{name}{mark} from {}", recipe.unwrap_or("-"))
                }
                Needed::Distribution { name, extra } => format!("{name} [{extra}]"),
            };
            format!("{} {needed}: {}", requirement.position.line, requirement.reason)
        };
        requirements(&root).into_iter().map(line).collect()
    }

    #[test]
    fn the_programs_of_tools_are_needed() {
        for (tool, expected) in [
            (
                "{name: a, command: npx}",
                &[
                    "1 node! from node: the MCP tool `a` runs `npx`",
                    "1 npx! from node: the MCP tool `a` runs `npx`",
                ][..],
            ),
            ("{command: node}", &["1 node! from node: an MCP tool without a name runs `node`"]),
            (
                "{name: a, command: /opt/bin/pnpm}",
                &[
                    "1 node! from node: the MCP tool `a` runs `/opt/bin/pnpm`",
                    "1 /opt/bin/pnpm from -: the MCP tool `a` runs `/opt/bin/pnpm`",
                ],
            ),
            ("{name: a, command: uvx}", &["1 uvx from uv: the MCP tool `a` runs `uvx`"]),
            ("{name: a, command: docker}", &["1 docker from -: the MCP tool `a` runs `docker`"]),
            ("{name: a, command: npx, env: {PATH: /opt/bin}}", &[]),
            ("{name: a, command: [npx]}", &[]),
            ("{name: a, command: npx-like}", &[]),
            ("{name: a, type: mcp, url: 'https://npx'}", &[]),
            ("npx", &[]),
        ] {
            assert_eq!(needed(&format!("tools: [{tool}]")), expected, "{tool}");
        }
    }

    #[test]
    fn the_extras_of_an_agent_are_needed() {
        let text = "model: {provider: anthropic}\ntools:\n\
                    - {name: a, type: vectorstore, database: {provider: qdrant}, source: 's3://x'}\n\
                    - {name: b, type: hierarchical_document, source: 'az://x', database: {provider: postgres}}\n\
                    - {name: c, type: vectorstore, database: named, source: data}\n\
                    - {name: d, type: vectorstore, database: {provider: in-memory}}\n\
                    - {name: e, type: function, database: {provider: qdrant}, source: 's3://x'}\n\
                    - {type: vectorstore, database: {provider: chromadb}}\n\
                    - {name: f, type: vectorstore, database: {provider: pinecone}}\n";
        assert_eq!(
            needed(text),
            [
                "1 otel-instrumentation-claude-agent-sdk [claude-otel]: `model.provider` is `anthropic`",
                "3 qdrant-client [qdrant]: the database of the tool `a` is `qdrant`",
                "3 boto3 [s3]: the source of the tool `a` begins with `s3://`",
                "4 psycopg [postgres]: the database of the tool `b` is `postgres`",
                "4 azure-storage-blob [azure-blob]: the source of the tool `b` begins with `az://`",
                "8 chromadb [chromadb]: the database of a tool without a name is `chromadb`",
                "9 pinecone [pinecone]: the database of the tool `f` is `pinecone`",
            ]
        );
        for text in ["model: {provider: openai}", "model: x", "tools: 3", "{}", "[]"] {
            assert_eq!(needed(text), [""; 0], "{text}");
        }
    }
}
