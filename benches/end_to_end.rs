//! The whole command, measured from outside: `cargo bench --bench end_to_end`.
//!
//! Generates 5,000 files of 200 MB (three quarters text, one quarter incompressible) and one sparse
//! file of 2 GB in a temporary folder, builds and pushes them to a `docker-registry` that it starts
//! on a free port, and prints for each step: wall time, MB/s of input, requests the registry saw,
//! bytes sent, and peak memory. Needs `docker-registry` and `python3`.

#![expect(clippy::disallowed_methods, reason = "a bench drives the real machine")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::cast_precision_loss, reason = "figures for people need no more digits")]

#[path = "support/registry.rs"]
mod registry;
#[path = "support/tree.rs"]
mod tree;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use registry::Registry;

const FILES: u64 = 5_000;
const FILE_BYTES: u64 = 40_000;
const LARGE_FILE_BYTES: u64 = 2_000_000_000;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let root = folder.path();
    tree::generate(&root.join("tree/src"), FILES, FILE_BYTES);
    write_config(&root.join("tree"), "src");
    generate_large(&root.join("large"));
    let registry = Registry::start(root);
    let to = format!("127.0.0.1:{}/bench/tree", registry.port);

    println!(
        "{:<28} {:>8} {:>8} {:>9} {:>10} {:>9}",
        "step", "wall s", "MB/s", "requests", "bytes", "peak MB"
    );
    let tree = Step { root, registry: &registry, input_bytes: FILES * FILE_BYTES };
    let project = root.join("tree").display().to_string();
    tree.run("build, empty cache", &["build", &project]);
    tree.run("build, nothing changed", &["build", &project]);
    tree.run("first push", &["push", &project, "--to", &to]);
    tree.run("push, nothing changed", &["push", &project, "--to", &to]);
    fs::write(root.join("tree/src/d0/f0.txt"), "changed").expect("the file can be written");
    tree.run("push, one file changed", &["push", &project, "--to", &to]);
    let large = Step { root, registry: &registry, input_bytes: LARGE_FILE_BYTES };
    large.run("build, one file of 2 GB", &["build", &root.join("large").display().to_string()]);
}

/// What a step is run against.
struct Step<'a> {
    root: &'a Path,
    registry: &'a Registry,
    input_bytes: u64,
}

impl Step<'_> {
    /// Runs the command below a small Python program that reports its peak memory.
    fn run(&self, name: &str, arguments: &[&str]) {
        const WRAPPER: &str = "import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)";
        let (requests, bytes) = (self.registry.requests().len(), self.registry.stored_bytes());
        let start = Instant::now();
        let output = Command::new("python3")
            .args(["-c", WRAPPER, env!("CARGO_BIN_EXE_dockless"), "-q"])
            .args(arguments)
            .env("DOCKLESS_CACHE_DIR", self.root.join("cache"))
            .stderr(Stdio::inherit())
            .output()
            .expect("python3 is installed");
        let seconds = start.elapsed().as_secs_f64();
        assert!(output.status.success(), "{name} failed");
        let peak: u64 =
            String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number of kB");
        let (requests_after, bytes_after) =
            (self.registry.requests().len(), self.registry.stored_bytes());
        println!(
            "{name:<28} {seconds:>8.2} {:>8.0} {:>9} {:>10} {:>9}",
            self.input_bytes as f64 / 1e6 / seconds,
            requests_after - requests,
            bytes_after - bytes,
            peak / 1000,
        );
    }
}

/// Writes the project with one large file: a pattern every megabyte, holes between.
fn generate_large(root: &Path) {
    use std::io::{Seek as _, SeekFrom};

    fs::create_dir_all(root).expect("the folder can be made");
    let mut file = File::create(root.join("large.bin")).expect("the file can be made");
    file.set_len(LARGE_FILE_BYTES).expect("the file can be extended");
    for position in (0..LARGE_FILE_BYTES - 16).step_by(1_000_000) {
        file.seek(SeekFrom::Start(position)).expect("the position is inside");
        file.write_all(&position.to_le_bytes()).expect("the file can be written");
    }
    write_config(root, "large.bin");
}

fn write_config(root: &Path, source: &str) {
    let text = format!(
        "name: bench\nbase: builtin:static\nlayers:\n  - {{kind: files, copy: [{{src: {source}, dest: /data/}}]}}\n"
    );
    fs::write(root.join("dockless.yaml"), text).expect("the config can be written");
}
