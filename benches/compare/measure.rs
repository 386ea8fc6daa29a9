//! Runs a line of shell and says what it took.
//!
//! The bench starts itself once more for it: the system tells a process only of all its children
//! together what memory they needed at most, so every measurement has a parent of its own.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::{Deserialize, Serialize};

use super::workplace;

/// Set in the process that measures: the line to run.
const SCRIPT: &str = "DOCKLESS_BENCH_SCRIPT";

/// What a run and its child processes took.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) wall: Duration,
    /// User and system time.
    pub(crate) cpu: Duration,
    /// The largest process's memory.
    pub(crate) peak_bytes: u64,
}

/// Runs the line with these variables.
pub(crate) fn measure(script: &str, variables: &[(&str, String)]) -> Usage {
    workplace::go_on();
    rustix::fs::sync();
    let output = Command::new(std::env::current_exe().expect("the bench has a path"))
        .env(SCRIPT, script)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .expect("the bench can start itself");
    let errors = String::from_utf8_lossy(&output.stderr);
    workplace::go_on();
    assert!(output.status.success(), "`{script}` failed: {errors}");
    serde_json::from_slice(&output.stdout).expect("the measuring process prints its usage")
}

/// Whether this process is the one that measures.
pub(crate) fn is_asked() -> bool {
    std::env::var_os(SCRIPT).is_some()
}

/// Runs the line and prints its usage.
pub(crate) fn run_script() {
    let script = std::env::var(SCRIPT).expect("lines are text");
    let start = Instant::now();
    let status = Command::new("sh")
        .args(["-ec", &script])
        .env_remove(SCRIPT)
        .stdout(Stdio::null())
        .status()
        .expect("there is a shell");
    let wall = start.elapsed();
    assert!(status.success(), "it ended with {status}");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the system keeps accounts");
    let cpu = duration(usage.user_time()) + duration(usage.system_time());
    let peak_bytes = 1024 * u64::try_from(usage.max_rss()).unwrap_or_default();
    let usage = Usage { wall, cpu, peak_bytes };
    println!("{}", serde_json::to_string(&usage).expect("numbers can be written"));
}

fn duration(time: TimeVal) -> Duration {
    let microseconds = time.tv_sec() * 1_000_000 + time.tv_usec();
    Duration::from_micros(u64::try_from(microseconds).unwrap_or_default())
}
