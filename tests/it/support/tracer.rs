//! Runs a program and kills it at a system call, counted over all its threads (`ptrace(2)`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;

use nix::errno::Errno;
use nix::libc::{self, c_long};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Begins a program when a line comes in, so that whoever wants to watch it is there by then.
pub(crate) const ON_A_LINE: [&str; 4] = ["sh", "-c", r#"read -r _; exec "$@""#, "sh"];

/// System calls that change, or prepare to change, what outlives the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CallKind {
    Open,
    Write,
    Send,
    Sync,
    Rename,
    Remove,
}

/// A run that was watched.
#[derive(Debug, Default)]
pub(crate) struct Traced {
    /// How many calls of each kind were begun.
    pub(crate) calls: BTreeMap<CallKind, u64>,
    pub(crate) was_killed: bool,
    /// The exit code, unless a signal ended it.
    pub(crate) code: Option<i32>,
}

/// Runs a command that begins with [`ON_A_LINE`]; kills it before its n-th call of a kind, when it
/// comes to that.
pub(crate) fn trace(command: &mut Command, kill_at: Option<(CallKind, u64)>) -> Traced {
    // Only the thread that attached may watch, and it must meet no other child.
    thread::scope(|scope| scope.spawn(|| watch(command, kill_at)).join().unwrap())
}

#[expect(clippy::zombie_processes, reason = "its end is among what is waited for")]
fn watch(command: &mut Command, kill_at: Option<(CallKind, u64)>) -> Traced {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let process = Pid::from_raw(child.id().try_into().unwrap());
    let options = Options::PTRACE_O_EXITKILL
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACESYSGOOD;
    ptrace::seize(process, options).unwrap();
    ptrace::interrupt(process).unwrap();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();

    let (mut traced, mut inside, mut has_begun) = (Traced::default(), BTreeSet::new(), false);
    loop {
        let status = match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
            Ok(status) => status,
            Err(Errno::EINTR) => continue,
            Err(error) => panic!("cannot watch: {error}"),
        };
        let (thread, signal) = match status {
            WaitStatus::Exited(thread, code) if thread == process => {
                return Traced { code: Some(code), ..traced };
            }
            WaitStatus::Signaled(thread, ..) if thread == process => return traced,
            WaitStatus::PtraceSyscall(thread) => {
                // Each call stops twice; the second time it is over.
                if !inside.remove(&thread) {
                    inside.insert(thread);
                    let kind = has_begun.then(|| call_of(thread)).flatten().and_then(kind_of);
                    if let Some(kind) = kind {
                        let count = traced.calls.entry(kind).or_default();
                        *count += 1;
                        if kill_at == Some((kind, *count)) {
                            kill(process, Signal::SIGKILL).unwrap();
                            traced.was_killed = true;
                        }
                    }
                }
                (thread, None)
            }
            WaitStatus::PtraceEvent(thread, _, event) => {
                has_begun |= event == libc::PTRACE_EVENT_EXEC;
                (thread, None)
            }
            WaitStatus::Stopped(thread, signal) => (thread, Some(signal)),
            WaitStatus::Exited(thread, _) | WaitStatus::Signaled(thread, ..) => {
                inside.remove(&thread);
                continue;
            }
            _ => continue,
        };
        // One that was killed meanwhile is gone; the next turn of the loop hears of it.
        match ptrace::syscall(thread, signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => panic!("cannot go on: {error}"),
        }
    }
}

/// The number of the call that a thread is about to make; none when it is gone.
#[cfg(target_arch = "x86_64")]
fn call_of(thread: Pid) -> Option<c_long> {
    ptrace::getregs(thread).ok().and_then(|registers| registers.orig_rax.try_into().ok())
}

/// The number of the call that a thread is about to make; none when it is gone.
#[cfg(target_arch = "aarch64")]
fn call_of(thread: Pid) -> Option<c_long> {
    let registers = ptrace::getregset::<ptrace::regset::NT_PRSTATUS>(thread).ok();
    registers.and_then(|registers| registers.regs[8].try_into().ok())
}

fn kind_of(call: c_long) -> Option<CallKind> {
    // What only older processors have is left out elsewhere.
    #[cfg(target_arch = "x86_64")]
    match call {
        libc::SYS_open | libc::SYS_creat => return Some(CallKind::Open),
        libc::SYS_rename | libc::SYS_link => return Some(CallKind::Rename),
        libc::SYS_unlink | libc::SYS_rmdir => return Some(CallKind::Remove),
        _ => {}
    }
    Some(match call {
        libc::SYS_openat => CallKind::Open,
        libc::SYS_write | libc::SYS_pwrite64 => CallKind::Write,
        libc::SYS_writev | libc::SYS_sendto | libc::SYS_sendmsg => CallKind::Send,
        libc::SYS_fsync | libc::SYS_fdatasync => CallKind::Sync,
        libc::SYS_renameat2 | libc::SYS_linkat => CallKind::Rename,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_renameat => CallKind::Rename,
        libc::SYS_unlinkat => CallKind::Remove,
        _ => return None,
    })
}
