//! What a push costs in requests: `cargo bench --bench requests`.
//!
//! Pushes a small project with five layers to a `docker-registry` that it starts on a free port, and
//! prints for each step what the registry was asked and how many bytes it stored. No times: requests
//! are the same on every machine. Needs `docker-registry`.

#![expect(clippy::disallowed_methods, reason = "a bench drives the real machine")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "support/registry.rs"]
mod registry;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use registry::Registry;

/// Layers of the project, besides the base's.
const LAYERS: usize = 4;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let root = folder.path();
    let registry = Registry::start(root);
    generate(&root.join("project"));
    let to = |path: &str| format!("127.0.0.1:{}/bench/{path}", registry.port);
    let one = to("one");
    let both = format!("{one},{}", to("two"));

    println!("{:<32} {:>8} {:>9}  kinds", "step", "requests", "stored B");
    let step = |name: &str, rest: &[&str]| run(name, root, &registry, rest);
    step("first push", &["--to", &one, "-t", "v1"]);
    step("push, nothing changed", &["--to", &one, "-t", "v1"]);
    step("push, nothing but a new tag", &["--to", &one, "-t", "v1,v2"]);
    fs::write(root.join("project/f0"), "changed").expect("the file can be written");
    step("push, one file changed", &["--to", &one, "-t", "v1"]);
    step("push to a second repository", &["--to", &both, "-t", "v1"]);
    fs::remove_dir_all(root.join("cache")).expect("the cache was made by the first push");
    step("push, nothing changed, no cache", &["--to", &one, "-t", "v1"]);
}

fn run(name: &str, root: &Path, registry: &Registry, rest: &[&str]) {
    let (before, stored) = (registry.requests().len(), registry.stored_bytes());
    let status = Command::new(env!("CARGO_BIN_EXE_dockless"))
        .args(["push", "-q"])
        .arg(root.join("project"))
        .args(rest)
        .env("DOCKLESS_CACHE_DIR", root.join("cache"))
        .stdout(Stdio::null())
        .status()
        .expect("the binary was built for this bench");
    assert!(status.success(), "{name} failed");
    let requests = registry.requests();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for (method, path) in &requests[before..] {
        let kind = match path {
            path if path.contains("mount=") => "mount",
            path if path.contains("/uploads/") => "upload",
            path if path.contains("/blobs/") => "blob",
            _ => "manifest",
        };
        *kinds.entry(format!("{method} {kind}")).or_default() += 1;
    }
    let kinds: Vec<_> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let count = requests.len() - before;
    // What a cancelled upload takes with it makes the store smaller.
    let stored = registry.stored_bytes().saturating_sub(stored);
    println!("{name:<32} {count:>8} {stored:>9}  {}", kinds.join(", "));
}

/// Writes a project of one small file per layer.
fn generate(root: &Path) {
    fs::create_dir_all(root).expect("the folder can be made");
    let mut config = vec!["name: bench\nbase: builtin:static\nlayers:".to_owned()];
    for number in 0..LAYERS {
        fs::write(root.join(format!("f{number}")), number.to_string())
            .expect("the file can be written");
        let copy = format!("[{{src: f{number}, dest: /srv/f{number}}}]");
        config.push(format!("  - {{kind: files, copy: {copy}}}"));
    }
    fs::write(root.join("dockless.yaml"), config.join("\n")).expect("the config can be written");
}
