//! What a base says of its users and programs decides owners and warnings, and travels with the image.

use std::path::Path;
use std::process::Command;

use dockless::event::Events;
use dockless::oci::Platform;
use dockless::publish::destinations::parse;
use dockless::store::Store;
use serde_json::Value;

use crate::support::cli::{Outcome, Sandbox};
use crate::support::image::{assembly, client, file, image, layer, link, publish_context};
use crate::support::registry::Registry;

const AGENT: &str = "name: p\nbase: oci:base\nuser: agent\nentrypoint: [/app/run]\nlayers:\n\
    - kind: files\n  copy: [{src: run, dest: /app/run, owner: 'agent', mode: '0755'}]\n  \
    directories: [{path: /var/work, owner: '1000:staff'}]\n";

/// A layout with a base for two platforms, where `agent` has other numbers.
fn base(sandbox: &Sandbox) {
    let store = Store::temporary().unwrap();
    let images =
        [(Platform::linux_amd64(), "1001:50"), (Platform::new("linux", "arm64", None), "2002:7")];
    let images = images.map(|(platform, ids)| {
        let lower = [
            file("etc/passwd", &format!("root:x:0:0::/:\nagent:x:{ids}::/:/bin/sh\n")),
            file("etc/group", "root:x:0:\nstaff:x:50:\n"),
            file("usr/bin/sh", ""),
            link("bin", "usr/bin"),
        ];
        image(&platform, vec![layer(&store, "base", &lower)])
    });
    let to = format!("oci:{}", sandbox.work().join("p/base").display());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let events = Events::none();
        let client = client(&events);
        let context = publish_context(&store, &client, &events);
        let session = parse(&to).unwrap().open(&context, &[]).await.unwrap();
        session.finish(&assembly(images.into())).await.unwrap();
    });
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("p/run", "x");
    sandbox.write("p/dockless.yaml", AGENT);
    base(&sandbox);
    sandbox
}

fn document(layout: &Path, digest: &Value) -> Value {
    let path = layout.join("blobs").join(digest.as_str().unwrap().replace(':', "/"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Owner and path of every entry of the topmost layer.
fn owners(layout: &Path, manifest: &Value) -> Vec<String> {
    let digest = manifest["layers"].as_array().unwrap().last().unwrap()["digest"].as_str().unwrap();
    let blob = layout.join("blobs").join(digest.replace(':', "/"));
    let output = Command::new("tar").args(["--numeric-owner", "-tvzf"]).arg(blob).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let listing = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        format!("{} {}", words[1], words[5])
    };
    listing.lines().map(line).collect()
}

#[test]
fn an_owner_is_whom_the_base_of_each_platform_knows() {
    let sandbox = sandbox();
    let built =
        sandbox.run(["build", "p", "--platform", "linux/amd64,linux/arm64", "-o", "oci:out"]);
    assert_eq!(built.code, 0, "{built:#?}");
    assert!(!built.stderr.contains("warning"), "{built:#?}");
    let layout = sandbox.work().join("out");
    let index = document(&layout, &Value::from(built.stdout.trim()));
    let found: Vec<_> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|manifest| owners(&layout, &document(&layout, &manifest["digest"])))
        .collect();
    let expected = |agent: &str| {
        ["0/0 app/", &format!("{agent} app/run"), "0/0 var/", "1000/50 var/work/"]
            .map(str::to_owned)
    };
    assert_eq!(found, [expected("1001/50"), expected("2002/7")]);
}

#[test]
fn an_unknown_owner_is_refused_with_the_names_that_there_are() {
    let sandbox = sandbox();
    for (ours, wrong, message) in [
        ("owner: 'agent'", "owner: 'agnet'", "the user `agnet`: `/etc/passwd` has root, agent"),
        ("1000:staff", "1000:stuff", "the group `stuff`: `/etc/group` has root, staff"),
    ] {
        sandbox.write("p/dockless.yaml", AGENT.replace(ours, wrong));
        let built = sandbox.run(["build", "p"]);
        assert_eq!(built.code, 2, "{built:#?}");
        let line = format!("base `oci:base` does not know {message}");
        assert!(built.stderr.contains(&line), "{line}: {built:#?}");
    }
    // The same on a base that knows nobody, where numbers can be said as well.
    let owner = |owner: &str| AGENT.replace("oci:base", "scratch").replace("1000:staff", owner);
    sandbox.write("p/dockless.yaml", owner("1000"));
    let built = sandbox.run(["build", "p"]);
    assert!(built.stderr.contains("the user `agent`: it has no `/etc/passwd`"), "{built:#?}");
    let numbers = owner("agent|7:8").replace("'agent'", "'agent|1000:1000'");
    sandbox.write("p/dockless.yaml", numbers.replace("user: agent\n", ""));
    sandbox.succeed(["build", "p"]);
}

#[test]
fn a_container_that_cannot_start_is_warned_of() {
    let sandbox = sandbox();
    let warnings = |change: &dyn Fn(String) -> String| -> Vec<String> {
        sandbox.write("p/dockless.yaml", change(AGENT.to_owned()));
        let built = sandbox.run(["build", "p"]);
        assert_eq!(built.code, 0, "{built:#?}");
        let warnings = built.stderr.lines().filter_map(|line| line.strip_prefix("warning: "));
        warnings.map(str::to_owned).collect()
    };
    assert!(warnings(&|text| text).is_empty());
    assert_eq!(
        warnings(&|text| text.replace("user: agent", "user: agnet")),
        ["the image does not know the user `agnet`: `/etc/passwd` has root, agent"]
    );
    assert_eq!(
        warnings(&|text| text.replace(", mode: '0755'", "")),
        ["`/app/run`, which `entrypoint` starts, is not executable"]
    );
    assert_eq!(
        warnings(&|text| text.replace("[/app/run]", "[python, -m, agent]")),
        ["the image has no program `python`, which `entrypoint` starts"]
    );
    assert_eq!(
        warnings(&|text| text + "health: {test: 'curl -f http://localhost || exit 1'}\n"),
        ["the image has no program `curl`, which the health check needs"]
    );
    sandbox.write("p/start", "#!/bin/bash\n");
    let script = "- {kind: template, file: start, dest: /app/start, mode: '0755'}\n";
    assert_eq!(
        warnings(&|text| text.replace("[/app/run]", "[/app/start]") + script),
        ["the image has no `/bin/bash`, which runs `/app/start`"]
    );
}

#[test]
fn a_fresh_machine_reads_a_base_only_when_asked_something_new() {
    let (sandbox, registry) = (sandbox(), Registry::start());
    sandbox.write(
        "q/dockless.yaml",
        "name: base\nbase: scratch\nlayers: [{kind: files, copy: [{src: etc, dest: /etc}]}]\n",
    );
    sandbox.write("q/etc/passwd", "agent:x:1001:50::/:\nother:x:7:7::/:\n");
    sandbox.write("q/etc/group", "staff:x:50:\n");
    let base = format!("{}/base:1", registry.host());
    sandbox.succeed(["push", "q", "-t", &base]);
    let to = format!("{}/a/b", registry.host());
    let push = || {
        let cache = tempfile::tempdir().unwrap();
        let words = ["push", "p", "--base", &base, "--to", &to, "-t", "v1"];
        let outcome = Outcome::of(sandbox.command(words).env("DOCKLESS_CACHE_DIR", cache.path()));
        assert_eq!(outcome.code, 0, "{outcome:#?}");
        (outcome.stderr.matches("inspected").count(), outcome.stdout)
    };
    let (read, first) = push();
    assert_eq!(read, 1);
    assert_eq!(push(), (0, first));
    // Another user, then another program.
    sandbox.write("p/dockless.yaml", AGENT.replace("owner: 'agent'", "owner: 'other'"));
    assert_eq!((push().0, push().0), (1, 0));
    sandbox.write("p/dockless.yaml", AGENT.replace("/app/run]", "python]"));
    assert_eq!((push().0, push().0), (1, 0));
}
