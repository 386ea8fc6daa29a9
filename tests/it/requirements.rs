//! What an agent needs beyond its files is looked for in its image before anything is built.

use std::path::Path;

use dockless::event::Events;
use dockless::oci::Platform;
use dockless::publish::destinations::parse;
use dockless::store::Store;

use crate::support::cli::{Outcome, Sandbox};
use crate::support::image::{assembly, client, file, image, layer, link, publish_context};

const SITE_PACKAGES: &str = "usr/local/lib/python3.10/site-packages";

/// Lines 3 to 7: Node.js for a tool, an extra for another.
const AGENT: &str = "name: a\nmodel: {provider: openai}\ntools:\n\
    - name: search\n  type: mcp\n  command: npx\n\
    - {name: policies, type: vectorstore, source: data, database: {provider: qdrant}}\n\
    instructions: {inline: x}\n";

/// An agent, and a base as HoloDeck's with these files more.
fn sandbox(more: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("a/agent.yaml", AGENT);
    sandbox.write("a/data/policy.md", "");
    let store = Store::temporary().unwrap();
    let mut members = vec![
        file("etc/passwd", "holodeck:x:1000:1000::/:\n"),
        file("etc/group", ""),
        file("usr/bin/bash", ""),
        file("usr/bin/sh", ""),
        file("usr/bin/curl", ""),
        link("bin", "usr/bin"),
        link("usr/local/bin/python3", "python3.10"),
        file("usr/local/bin/python3.10", ""),
        file("usr/local/bin/holodeck", ""),
        file(&format!("{SITE_PACKAGES}/holodeck_ai-0.7.1.dist-info/METADATA"), ""),
    ];
    members.extend(more.iter().map(|path| file(path, "")));
    let image = image(&Platform::linux_amd64(), vec![layer(&store, "base", &members)]);
    write_layout(&sandbox.work().join("base"), &store, &assembly(vec![image]));
    sandbox
}

fn write_layout(to: &Path, store: &Store, assembly: &dockless::image::Assembly) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let events = Events::none();
        let client = client(&events);
        let context = publish_context(store, &client, &events);
        let to = format!("oci:{}", to.display());
        let session = parse(&to).unwrap().open(&context, &[]).await.unwrap();
        session.finish(assembly).await.unwrap();
    });
}

fn build(sandbox: &Sandbox) -> Outcome {
    sandbox.run(["build", "a", "--base", "oci:base"])
}

/// What was warned of.
fn warnings(outcome: &Outcome) -> Vec<&str> {
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    let lines = outcome.stderr.lines().skip_while(|line| !line.starts_with("warning: "));
    lines.take_while(|line| line.starts_with("warning: ") || line.starts_with("  hint: ")).collect()
}

const NODE: [&str; 2] = ["usr/local/bin/node", "usr/local/bin/npx"];

fn qdrant() -> String {
    format!("{SITE_PACKAGES}/qdrant_client-1.9.0.dist-info/METADATA")
}

#[test]
fn an_agent_whose_tools_run_node_needs_it_in_its_image() {
    let sandbox = sandbox(&[&qdrant()]);
    let refused = build(&sandbox);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused:#?}");
    let error = refused.stderr.find("error: ").expect("it says why");
    assert_eq!(
        &refused.stderr[error..],
        "error: a/agent.yaml:6:12: the image has no program `node`: the MCP tool `search` runs `npx`\n\
         \x20   6 |   command: npx\n      |            ^\n    hint: write a `dockless.yaml` beside \
         `agent.yaml`, with the two lines `agent: agent.yaml` and `layers: [{kind: from-image, recipe: \
         node}]`\n"
    );
    // What the hint says, with files of the project instead of an image from a registry.
    for name in ["node", "npx"] {
        sandbox.write(&format!("a/tools/{name}"), "");
    }
    let layer = |folder: &str| {
        let text = format!(
            "agent: agent.yaml\nlayers: [{{kind: files, copy: [{{src: tools, dest: {folder}}}]}}]\n"
        );
        sandbox.write("a/dockless.yaml", text);
        build(&sandbox)
    };
    assert!(warnings(&layer("/usr/local/bin")).is_empty());
    let elsewhere = layer("/opt/node");
    assert_eq!(elsewhere.code, 2, "nobody looks there: {elsewhere:#?}");
    let hint = "hint: add `- {kind: from-image, recipe: node}` to `layers`\n";
    assert!(elsewhere.stderr.contains(hint), "{elsewhere:#?}");
}

#[test]
fn a_base_that_has_everything_is_not_remarked_on() {
    let sandbox = sandbox(&[&NODE[..], &[&qdrant()]].concat());
    assert!(warnings(&build(&sandbox)).is_empty());
}

#[test]
fn extras_that_the_base_lacks_are_told_with_the_way_to_get_them() {
    let sandbox = sandbox(&NODE);
    let built = build(&sandbox);
    assert_eq!(
        warnings(&built),
        [
            "warning: the image's Python 3.10 lacks `qdrant-client` (extra `qdrant`: the database of the \
             tool `policies` is `qdrant`)",
            "  hint: choose a base that has them, with `RUN pip install 'holodeck-ai[qdrant]==0.7.1'` in \
             its Dockerfile; or run `uv pip install --target python --python-version 3.10 \
             --python-platform x86_64-manylinux_2_28 --only-binary :all: qdrant-client` and write a \
             `dockless.yaml` beside `agent.yaml`, with the two lines `agent: agent.yaml` and `layers: \
             [{kind: files, copy: [{src: python, dest: /usr/local/lib/python3.10/site-packages}]}]`",
        ]
    );
    sandbox.write("a/python/qdrant_client-1.9.0.dist-info/METADATA", "");
    let text = format!(
        "agent: agent.yaml\nlayers: [{{kind: files, copy: [{{src: python, dest: /{SITE_PACKAGES}}}]}}]\n"
    );
    sandbox.write("a/dockless.yaml", text);
    assert!(warnings(&build(&sandbox)).is_empty());
}
