//! When and where it ran.

use std::fs;

use super::tool::Tool;
use super::tools::first_line;

/// The head of the results: date, machine, versions.
pub(crate) fn describe(tools: &[Box<dyn Tool>], missing: &[&str]) -> String {
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d");
    let value = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = value("/proc/meminfo", "MemTotal");
    let memory = memory.strip_suffix(" kB").and_then(|number| number.parse::<f64>().ok());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut versions: Vec<_> = tools.iter().map(|tool| tool.version()).collect();
    versions.push(first_line("docker-registry", &["--version"]));
    if !missing.is_empty() {
        versions.push(format!("not installed: {}", missing.join(", ")));
    }
    format!(
        "# The last run\n\nWritten by `cargo bench --bench compare -- --write-results` on {date}. What is measured, and how: \
         [README.md](README.md).\n\n- {}, {cores} cores, {:.0} GB, Linux {}\n- {}\n",
        value("/proc/cpuinfo", "model name"),
        memory.unwrap_or(f64::NAN) / 1e6,
        kernel.trim(),
        versions.join("\n- "),
    )
}
