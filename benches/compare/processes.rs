//! What a daemon and its child processes have taken so far, from /proc.

use std::fs;
use std::time::Duration;

/// How long a clock tick of /proc is: the same on all architectures that Linux has today.
const TICK: Duration = Duration::from_millis(10);

/// The CPU time of a process, of those below it, and of those below it that have ended.
pub(crate) fn cpu(root: u32) -> Duration {
    let numbers = |fields: Vec<String>| -> u32 {
        // utime, stime, cutime, cstime: fields 14 to 17 of proc_pid_stat(5).
        fields[11..15].iter().filter_map(|field| field.parse::<u32>().ok()).sum()
    };
    TICK * tree(root).into_iter().filter_map(fields).map(numbers).sum::<u32>()
}

/// The sum of the most memory that each process of the tree needed since `forget_peak`.
pub(crate) fn peak_bytes(root: u32) -> u64 {
    let peak = |process: u32| -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    };
    1024 * tree(root).into_iter().filter_map(peak).sum::<u64>()
}

/// Begins to watch the peak anew.
pub(crate) fn forget_peak(root: u32) {
    for process in tree(root) {
        // A process may have ended meanwhile.
        let _ = fs::write(format!("/proc/{process}/clear_refs"), "5");
    }
}

/// A process and all that it started.
fn tree(root: u32) -> Vec<u32> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes: Vec<(u32, u32)> = names
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|process| Some((process, fields(process)?[1].parse().ok()?)))
        .collect();
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(parent) = tree.get(next).copied() {
        tree.extend(processes.iter().filter(|(_, of)| *of == parent).map(|(process, _)| process));
        next += 1;
    }
    tree
}

/// The fields of proc_pid_stat(5) from the third on: the second, the name, may contain anything.
fn fields(process: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}
