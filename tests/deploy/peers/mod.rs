//! Independent programs, in Python: one that plays a cloud, and the vendors' own clients of clouds.
//!
//! A script of this folder drives the server that a story names, and prints what it was told as JSON.

mod boto3;
mod google;
mod moto;
mod on_moto;
mod wires;

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;

pub(crate) use moto::Moto;

/// What every client says that it is: no cloud knows it.
pub(crate) const CREDENTIALS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("AWS_REGION", "eu-west-1"),
];

/// Runs a script against a server, and gives what it prints.
///
/// # Panics
/// It fails, or Python's packages are not there.
pub(crate) async fn drive(script: &str, url: &str) -> Value {
    let mut command = Command::new(python());
    command.arg(folder().join(script)).arg(url).env_clear().kill_on_drop(true);
    command.env("PYTHONPYCACHEPREFIX", cache());
    let output = command.output().await.expect("Python can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{script}: {error}\n{said}"))
}

/// The Python that has the packages of `requirements.txt`.
fn python() -> PathBuf {
    let default = || root().join("target/tools/python/bin/python");
    let python = std::env::var_os("DOCKLESS_TEST_PYTHON").map_or_else(default, PathBuf::from);
    let installed = python.ancestors().nth(2).unwrap().join("installed.txt");
    let [wanted, installed] = [folder().join("requirements.txt"), installed];
    let [wanted, installed] = [wanted, installed].map(|list| std::fs::read_to_string(list).ok());
    let place = python.display();
    assert!(
        wanted.is_some() && installed == wanted,
        "`tests/run peers` installs what {place} lacks"
    );
    python
}

/// Where Python keeps what it compiled: not among our sources.
fn cache() -> PathBuf {
    root().join("target/tools/python-cache")
}

fn folder() -> PathBuf {
    root().join("tests/deploy/peers")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
