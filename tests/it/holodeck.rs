//! Agents of HoloDeck, built as their users would: what is said, and what does not matter.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::support::cli::{Outcome, Sandbox};

/// A build of the agent in `agent`, on the embedded base.
fn build(sandbox: &Sandbox) -> Outcome {
    sandbox.run(["build", "agent", "--base", "builtin:static", "-o", "oci:out", "--quiet"])
}

/// An agent with these lines, and a small file for each path.
fn agent(lines: &str, files: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    let last = if lines.contains("instructions:") { "" } else { "instructions: {inline: x}" };
    sandbox.write("agent/agent.yaml", format!("name: a\nmodel: x\n{lines}\n{last}\n"));
    for file in files {
        sandbox.write(&format!("agent/{file}"), "x");
    }
    sandbox
}

#[test]
fn a_file_that_is_named_and_not_there_is_shown_in_its_line() {
    let grader = "evaluations: {metrics: [{type: code, grader: 'graders.a:b'}]}";
    for (lines, files, message) in [
        (
            "instructions: {file: prompt.md}",
            &["prompts.md"][..],
            "agent.yaml:3:22: there is no `prompt.md`\n",
        ),
        (
            "tools: [{type: vectorstore, source: 'data/*.md'}]",
            &["data/a.txt"],
            "agent.yaml:3:37: nothing in `data` matches `*.md`\n",
        ),
        (
            grader,
            &["graders.py"],
            "agent.yaml:3:46: there is no `graders/a.py`, which this grader is in\n",
        ),
        (
            grader,
            &["graders/b.py", "graders/__init__.py"],
            "agent.yaml:3:46: there is no `graders/a.py`, which this grader is in\n",
        ),
        (
            "instructions: {file: prompts}",
            &["prompts/a.md"],
            "agent.yaml:3:22: `prompts` is a folder, not a file\n",
        ),
        (
            "tools: [{type: function, file: tools}]",
            &["tools/a.py"],
            "agent.yaml:3:32: `tools` is a folder, not a file\n",
        ),
    ] {
        let outcome = build(&agent(lines, files));
        assert_eq!(outcome.code, 2, "{outcome:#?}");
        assert!(outcome.stderr.contains(message), "`{message}` is not in\n{}", outcome.stderr);
    }
}

#[test]
fn a_grader_in_the_file_of_test_cases_is_shown_there() {
    let sandbox = agent("test_cases_file: tests/cases.yaml", &[]);
    let cases = "- input: x\n  evaluations: [{grader: 'graders.a:b'}]\n";
    sandbox.write("agent/tests/cases.yaml", cases);
    let outcome = build(&sandbox);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let message = "tests/cases.yaml:2:26: there is no `graders/a.py`, which this grader is in\n";
    assert!(outcome.stderr.contains(message), "{}", outcome.stderr);
    sandbox.write("agent/graders/a.py", "");
    assert_eq!(build(&sandbox).code, 0);
}

#[test]
fn modes_and_the_ignore_file_do_not_matter() {
    let lines = "tools: [{type: vectorstore, source: data}]\ninstructions: {file: link.md}";
    let files = ["data/a.txt", "data/deep/.hidden", "target.md"];
    let build_with = |file: u32, folder: u32, ignore: Option<&str>| {
        let sandbox = agent(lines, &files);
        let agent = sandbox.work().join("agent");
        symlink("target.md", agent.join("link.md")).unwrap();
        for name in files.iter().chain(&["agent.yaml"]) {
            std::fs::set_permissions(agent.join(name), Permissions::from_mode(file)).unwrap();
        }
        for name in ["data/deep", "data"] {
            std::fs::set_permissions(agent.join(name), Permissions::from_mode(folder)).unwrap();
        }
        if let Some(text) = ignore {
            sandbox.write("agent/.dockerignore", text);
        }
        let outcome = build(&sandbox);
        assert_eq!(outcome.code, 0, "{outcome:#?}");
        outcome.stdout
    };
    let usual = build_with(0o644, 0o755, None);
    assert_eq!(build_with(0o600, 0o700, Some("*\n")), usual);
    assert_eq!(build_with(0o664, 0o2775, None), usual);
}

#[test]
fn what_the_agent_mentions_and_the_image_lacks_is_said() {
    let sandbox = Sandbox::new();
    sandbox.project("holodeck-complete");
    let outcome = sandbox.run([
        "build",
        "holodeck-complete",
        "--base",
        "builtin:static",
        "--platform",
        "linux/amd64",
        "-o",
        "oci:out",
    ]);
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    for said in [
        "required at run time: ANTHROPIC_API_KEY, CHROMA_HOST, CHROMA_URL, OPENAI_API_KEY, SUPPORT_LINE, TESTER\n",
        ":68:74: `./reports` in `args` is not in the image",
        ":69:15: `mcp.vars` in `env_file` is not in the image",
        ":50:15: the database `pricing` is described in HoloDeck's `config.yaml`",
        "config.yaml:1:1: the image lacks this file, and the agent what it says of `vectorstores`",
        ":21:21: `CLAUDE.md` and `.claude/`, which this setting reads, are not in the image",
    ] {
        assert!(outcome.stderr.contains(said), "`{said}` is not in\n{}", outcome.stderr);
    }
}

#[test]
fn an_agent_is_told_of_keys_and_places_in_its_own_words() {
    let sandbox = agent("toolz: []", &[]);
    let outcome = sandbox.run(["build", "agent", "--base", "builtin:static", "-o", "oci:out"]);
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    let warning = "agent.yaml:3:1: HoloDeck knows no key `toolz` in an agent";
    assert!(outcome.stderr.contains(warning), "{}", outcome.stderr);
    let push = |arguments: &[&str]| {
        let outcome = sandbox.run(arguments);
        assert_eq!(outcome.code, 2, "{outcome:#?}");
        outcome.stderr
    };
    assert_eq!(
        push(&["push", "agent", "--base", "builtin:static", "--quiet"]).lines().last().unwrap(),
        "hint: give `--to HOST/REPOSITORY`, `-t HOST/REPOSITORY:TAG`, or add `deployment: \
         {registry: {url: HOST, repository: REPOSITORY}}` to the config"
    );
    assert_eq!(
        push(&["push", "oci:out", "--quiet"]),
        "error: nothing says where to push to\nhint: give `--to HOST/REPOSITORY`\n"
    );
}

#[test]
fn a_layout_needs_no_tag_where_git_knows_none() {
    let registry = "registry: {url: ghcr.io, repository: a/b}";
    let sandbox = agent(&format!("deployment: {{{registry}}}"), &[]);
    let arguments = ["build", "agent", "--base", "builtin:static", "-o", "oci:out"];
    let outcome = sandbox.run(arguments);
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    let note = "a push could not have the tag `git_sha` here: ";
    assert!(outcome.stderr.contains(note), "{}", outcome.stderr);
    let outcome = sandbox.run([&arguments[..], &["-t", "git_sha"]].concat());
    assert_eq!(outcome.code, 2, "{outcome:#?}");
}
