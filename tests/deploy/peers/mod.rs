//! Independent programs, in Python: one that plays a cloud, and the vendors' own clients of clouds.
//!
//! A script of this folder drives the server that a story names, and prints what it was told as JSON.

mod moto;

use std::ffi::OsString;
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
    let output = command.output().await.expect("Python can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{script}: {error}\n{said}"))
}

/// The Python that has the packages of `requirements.txt`.
fn python() -> PathBuf {
    let default = || OsString::from(root().join("target/tools/python/bin/python"));
    let path = PathBuf::from(std::env::var_os("DOCKLESS_TEST_PYTHON").unwrap_or_else(default));
    let marks = [folder().join("requirements.txt"), path.join("../../installed.txt")];
    let [wanted, installed] = marks.map(|mark| std::fs::read_to_string(mark).ok());
    assert!(installed.is_some() && installed == wanted, "run `tests/run peers` first: {path:?}");
    path
}

fn folder() -> PathBuf {
    root().join("tests/deploy/peers")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
