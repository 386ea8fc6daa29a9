//! `dockless cache`.

use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, Subcommand};

use super::Edge;
use super::network::read_duration;
use crate::error::Result;
use crate::pipeline::{self, PruneRequest};

/// Look at the cache, or clean it up
#[derive(Debug, Args)]
pub(super) struct Cache {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
    /// Say where the cache is and how much is in it
    Info,
    Prune(Prune),
}

/// Remove from the cache what was not used for longest
///
/// What was used within the last hour stays, and so does what is being written, so that builds can go on
/// meanwhile. Whatever is removed is made or fetched again when it is needed.
#[derive(Debug, Args)]
struct Prune {
    /// Remove what was not used for this long: `30d`, `12h`, or seconds; `30d` unless `--max-size` is given
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = parse_age,
        env = "DOCKLESS_CACHE_OLDER_THAN",
        help_heading = "What goes"
    )]
    older_than: Option<Duration>,
    /// Remove the longest unused until no more than this is left: `5GB`, `500MB`, `2GiB`, or bytes
    #[arg(
        long,
        value_name = "SIZE",
        value_parser = parse_size,
        env = "DOCKLESS_CACHE_MAX_SIZE",
        help_heading = "What goes"
    )]
    max_size: Option<u64>,
    /// Remove everything but what is being written, also what a running build may be about to use
    #[arg(long, conflicts_with_all = ["older_than", "max_size"], help_heading = "What goes")]
    all: bool,
    /// Say what would be removed, and remove nothing
    #[arg(
        long,
        env = "DOCKLESS_DRY_RUN",
        value_parser = FalseyValueParser::new(),
        help_heading = "What goes"
    )]
    dry_run: bool,
}

impl Cache {
    pub(super) fn run(self, edge: &Edge) -> Result<()> {
        match self.command {
            CacheCommand::Info => {
                let report = pipeline::cache_info(&edge.context)?;
                let lines = report.lines();
                edge.output.result(&report.document(), lines.iter().map(String::as_str))
            }
            CacheCommand::Prune(Prune { older_than, max_size, all, dry_run }) => {
                let request = PruneRequest {
                    older_than,
                    max_bytes: max_size,
                    is_all: all,
                    is_dry_run: dry_run,
                };
                let report = pipeline::cache_prune(&request, &edge.context)?;
                edge.output.result(&report.document(), [report.line().as_str()])
            }
        }
    }
}

/// Reads a time as for `--timeout`, or with days: `30d`, `1d12h`.
fn parse_age(text: &str) -> Result<Duration, String> {
    let with_days = || {
        let (days, rest) = text.split_once('d')?;
        let seconds = days.parse::<u64>().ok()?.checked_mul(24 * 60 * 60)?;
        let rest = if rest.is_empty() { Duration::ZERO } else { read_duration(rest)? };
        Duration::from_secs(seconds).checked_add(rest)
    };
    read_duration(text)
        .or_else(with_days)
        .ok_or_else(|| "expected a time such as `30d`, `12h` or `1d12h`, or whole seconds".into())
}

/// Reads a size in bytes, with a decimal (`kB`, `MB`, `GB`, `TB`) or a binary unit (`KiB`, `MiB`, `GiB`, `TiB`).
fn parse_size(text: &str) -> Result<u64, String> {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "kb" => Some(1_000),
        "mb" => Some(1_000_000),
        "gb" => Some(1_000_000_000),
        "tb" => Some(1_000_000_000_000),
        "kib" => Some(1 << 10),
        "mib" => Some(1 << 20),
        "gib" => Some(1 << 30),
        "tib" => Some(1 << 40),
        _ => None,
    };
    let size = factor.and_then(|factor| number.parse::<u64>().ok()?.checked_mul(factor));
    size.ok_or_else(|| "expected a size such as `5GB`, `500MB` or `2GiB`, or whole bytes".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_may_have_days() {
        for (text, seconds) in [
            ("30d", Some(30 * 86_400)),
            ("1d12h", Some(129_600)),
            ("12h", Some(43_200)),
            ("0", Some(0)),
            ("90", Some(90)),
            ("d", None),
            ("-1d", None),
            ("1d-1h", None),
            ("1dx", None),
            ("99999999999999999d", None),
            ("", None),
        ] {
            assert_eq!(parse_age(text).ok(), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn a_size_has_a_unit_or_is_in_bytes() {
        for (text, expected) in [
            ("5GB", Some(5_000_000_000)),
            ("500mb", Some(500_000_000)),
            ("2GiB", Some(2 << 30)),
            ("1 KiB", Some(1024)),
            ("10", Some(10)),
            ("0", Some(0)),
            ("1.5GB", None),
            ("5G", None),
            ("GB", None),
            ("-1", None),
            ("99999999TB", None),
            ("", None),
        ] {
            assert_eq!(parse_size(text).ok(), expected, "{text}");
        }
    }
}
