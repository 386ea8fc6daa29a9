//! What waits for different things is done at the same time. A server holds one request until another one
//! has come: whoever does one after the other gets no further.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::Arc;

use dockless::publish::read_layout;
use hyper::Request;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::sync::watch;

use crate::support::cli::{Sandbox, TWO_LAYERS};
use crate::support::fault_proxy::forward;
use crate::support::registry::Registry;
use crate::support::server::Server;

/// Ends what gets no further; nothing depends on it otherwise.
const IN_VAIN: [&str; 2] = ["--timeout", "60s"];

/// What has happened so far, by name.
type Happened = watch::Sender<BTreeSet<String>>;

/// A request that is held: its method, the end of its path or a part of it, and what it waits for.
struct Held {
    method: &'static str,
    part: String,
    until: &'static str,
}

impl Held {
    fn is(&self, request: &Request<Incoming>) -> bool {
        request.method() == self.method && request.uri().path().contains(&self.part)
    }
}

fn held(method: &'static str, part: impl Into<String>, until: &'static str) -> Held {
    Held { method, part: part.into(), until }
}

/// Stands before a registry. That a held request came happens by the name of its method.
async fn holding(registry: &Registry, happened: &Happened, list: [Held; 2]) -> Server {
    let (upstream, happened, list) = (registry.host(), happened.clone(), Arc::new(list));
    Server::start("127.0.0.1", move |request| {
        let (upstream, happened, list) = (upstream.clone(), happened.clone(), list.clone());
        Box::pin(async move {
            if let Some(held) = list.iter().find(|held| held.is(&request)) {
                happen(&happened, held.method);
                let mut seen = happened.subscribe();
                seen.wait_for(|seen| seen.contains(held.until)).await.unwrap();
            }
            forward(request, &upstream).await
        })
    })
    .await
}

fn happen(happened: &Happened, what: &str) {
    happened.send_modify(|seen| {
        seen.insert(what.to_owned());
    });
}

/// A project of two layers.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("p/dockless.yaml", TWO_LAYERS);
    sandbox.write("p/one", "one");
    sandbox.write("p/two", "two");
    sandbox
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_is_looked_at_while_the_base_is_resolved() {
    let (sandbox, registry, happened) = (sandbox(), Registry::start(), Happened::default());
    let base = |host: &str| format!("{host}/base:1");
    sandbox.succeed(["push", "p", "-t", &base(&registry.host())]);
    let list = [held("HEAD", "/a/b/manifests/v1", "GET"), held("GET", "/base/manifests/1", "HEAD")];
    let server = holding(&registry, &happened, list).await;
    let to = format!("{}/a/b:v1", server.host());
    let words = ["push", "p", "--base", &base(&server.host()), "--to", &to];
    let pushed = sandbox.run(words.into_iter().chain(IN_VAIN));
    assert_eq!(pushed.code, 0, "{pushed:#?}");
    assert_eq!(happened.borrow().len(), 2);
}

/// The second layer is taken over, which takes an answer; so it can be told when it is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_layer_is_sent_while_the_next_one_is_made() {
    let (sandbox, registry, happened) = (sandbox(), Registry::start(), Happened::default());
    let earlier = |host: &str| format!("{host}/cache/p:1");
    sandbox.succeed(["push", "p", "-t", &earlier(&registry.host())]);
    sandbox.succeed(["build", "p", "-o", "oci:out"]);
    let built = read_layout(&sandbox.work().join("out"), None).unwrap();
    let two = built.images[0].layers.last().unwrap().descriptor.digest;

    sandbox.write("p/one", "another one");
    std::fs::remove_dir_all(sandbox.cache()).unwrap();
    let list = [
        held("PUT", "/a/b/blobs/uploads/", "two is made"),
        held("HEAD", format!("/cache/p/blobs/{two}"), "PUT"),
    ];
    let server = holding(&registry, &happened, list).await;
    let (to, from) = (format!("{}/a/b:v1", server.host()), earlier(&server.host()));
    let words = ["push", "p", "--to", &to, "--cache-from", &from, "--progress", "json"];
    let mut command = sandbox.command(words.into_iter().chain(IN_VAIN));
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let (mut id, mut made, mut all) = (Value::Null, None, Vec::new());
    for line in lines {
        let event: Value = serde_json::from_str(&line).unwrap();
        all.push(line);
        if event["action"] == "pack" && event["subject"] == "files two → /srv/two" {
            id = event["id"].clone();
        } else if event["event"] == "task_finished" && event["id"] == id {
            made = event["detail"].as_str().map(str::to_owned);
            happen(&happened, "two is made");
        }
    }
    assert!(child.wait().unwrap().success(), "{all:#?}");
    assert!(made.is_some_and(|made| made.starts_with("taken over from ")), "{all:#?}");
    assert_eq!(happened.borrow().len(), 3);
}

/// A layer of the base is held until both of ours are packed.
#[tokio::test(flavor = "multi_thread")]
async fn layers_are_packed_while_the_base_is_read() {
    let (sandbox, registry, happened) = (sandbox(), Registry::start(), Happened::default());
    let base = |host: &str| format!("{host}/base:1");
    let push = |host: &str, more: &[&str]| {
        let (base, to) = (base(host), format!("{}/a/b:v1", registry.host()));
        let words = ["push", "p", "--base", &base, "--to", &to].map(str::to_owned);
        let more = more.iter().chain(&IN_VAIN).map(|word| (*word).to_owned());
        words.into_iter().chain(more).collect::<Vec<_>>()
    };
    for (name, options) in [
        // What the base has is as if we had made it.
        ("alike", ""),
        // The folder that both are in has another mode there: the guess was wrong.
        ("unlike", "directories: [{path: /srv, mode: \"0700\"}], "),
    ] {
        let layer = format!("{{kind: files, {options}copy: [{{src: file, dest: /srv/base}}]}}");
        let config = format!("name: base\nbase: builtin:static\nlayers:\n- {layer}\n");
        sandbox.write(&format!("{name}/dockless.yaml"), &config);
        sandbox.write(&format!("{name}/file"), name);
        sandbox.succeed(["push", name, "-t", &base(&registry.host())]);
        sandbox.succeed(["build", name, "-o", &format!("oci:{name}-out")]);
        let built = read_layout(&sandbox.work().join(format!("{name}-out")), None).unwrap();
        let digest = built.images[0].layers.last().unwrap().descriptor.digest;
        std::fs::remove_dir_all(sandbox.cache()).unwrap();
        happened.send_replace(BTreeSet::new());
        let list = [
            held("GET", format!("/base/blobs/{digest}"), "both are packed"),
            held("DELETE", "nothing", "nothing"),
        ];
        let server = holding(&registry, &happened, list).await;
        let mut command = sandbox.command(push(&server.host(), &["--progress", "json"]));
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let (mut told, mut ready) = (0, 0);
        for line in lines {
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["action"] == "pack" {
                told += 1;
            } else if event["text"]
                .as_str()
                .is_some_and(|text| text.ends_with(" is ready before its base was read"))
            {
                ready += 1;
                if ready == 2 {
                    happen(&happened, "both are packed");
                }
            }
        }
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{name}");
        assert_eq!((ready, told), (2, 2), "{name}");
        // By now it is known what the base has.
        let again = sandbox.succeed(push(&server.host(), &[]));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{again}\n"), "{name}");
    }
}

#[test]
fn what_the_guard_refuses_is_not_packed_while_the_base_is_read() {
    let (sandbox, registry) = (sandbox(), Registry::start());
    let base = format!("{}/base:1", registry.host());
    sandbox.succeed(["push", "p", "-t", &base]);
    sandbox.succeed(["cache", "prune", "--all"]);
    let key = format!("key = {}{}", "AKIA", "Q3EGXZ7LJ2MN5RTB");
    sandbox.write("p/one", &key);
    let to = format!("{}/a/b:v1", registry.host());
    let outcome = sandbox.run(["push", "p", "--base", &base, "--to", &to]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let blobs = sandbox.cache().join("blobs/sha256");
    let layers = std::fs::read_dir(blobs).into_iter().flatten().filter(|blob| {
        let file = std::fs::File::open(blob.as_ref().unwrap().path()).unwrap();
        flate2::read::GzDecoder::new(file).header().is_some()
    });
    assert_eq!(layers.count(), 0, "nothing of the project is kept");
}
