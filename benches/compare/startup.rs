//! How soon dockless answers.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::table::{Table, median};
use super::tools::DOCKLESS;
use super::workplace::{self, Workplace};

const RUNS: u32 = 50;
const PROJECT: &str = "name: tiny\nbase: builtin:static\nlayers:\n  - {kind: files, copy: [{src: file, dest: /file}]}\n";

/// Runs commands that have little to do.
pub(crate) fn table(place: &Workplace) -> Table {
    let mut table = Table::new("dockless: how soon it answers", &["", "median ms", "slowest ms"]);
    for (name, text) in [("broken", "name: ["), ("tiny", PROJECT)] {
        let folder = place.folder(name);
        fs::write(folder.join("dockless.yaml"), text).expect("the file can be written");
        fs::write(folder.join("file"), name).expect("the file can be written");
    }
    workplace::settle();
    for (name, arguments, code) in [
        ("`dockless --version`", &["--version"][..], 0),
        ("a config that is not YAML", &["build", "broken"], 2),
        ("`dockless build` of one small file", &["build", "tiny"], 0),
    ] {
        let times: Vec<_> = (0..RUNS).map(|_| milliseconds(place, arguments, code)).collect();
        let slowest = times.iter().copied().fold(0.0, f64::max);
        table.row([
            name.to_owned(),
            format!("{:.1}", median(times.into_iter())),
            format!("{slowest:.1}"),
        ]);
    }
    table.note(&format!("To reach: less than 10 ms for the first two. {RUNS} runs each."));
    table
}

/// From the start of the process to its end, which is this exit code.
fn milliseconds(place: &Workplace, arguments: &[&str], code: i32) -> f64 {
    workplace::go_on();
    let start = Instant::now();
    let status = Command::new(DOCKLESS)
        .args(arguments)
        .current_dir(place.path())
        .env("DOCKLESS_CACHE_DIR", place.path().join("startup-cache"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the binary was built for this bench");
    let time: Duration = start.elapsed();
    assert_eq!(status.code(), Some(code), "dockless {arguments:?}");
    time.as_secs_f64() * 1e3
}
