//! `dockless logs`.

use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;
use jiff::Timestamp;
use serde_json::json;

use super::Edge;
use super::environment::LookOptions;
use super::network::parse_duration;
use super::output;
use crate::deploy::LogLine;
use crate::error::Result;
use crate::pipeline::{self, LogRequest};

/// How far back, where nobody says.
const DEFAULT_SINCE: &str = "1h";

/// Show what the containers of an environment print
///
/// One line per line of the log, with its time; with `--json` one JSON document per line.
#[derive(Debug, Args)]
pub(super) struct Logs {
    #[command(flatten)]
    service: LookOptions,
    /// How old lines may be: `90s`, `10m`, `2h`
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = parse_duration,
        default_value = DEFAULT_SINCE,
        env = "DOCKLESS_SINCE"
    )]
    since: Duration,
    /// Go on with new lines until interrupted
    #[arg(long, env = "DOCKLESS_FOLLOW", value_parser = FalseyValueParser::new())]
    follow: bool,
}

impl Logs {
    pub(super) fn run(self, edge: &Edge) -> Result<()> {
        let which = LogRequest { since: self.since, has_follow: self.follow };
        let request = self.service.request();
        let show = |service: Option<&str>, line: &LogLine| {
            let at = Timestamp::from_millisecond(line.at_ms).ok().filter(|_| line.at_ms > 0);
            let at = at.map(|at| at.to_string());
            if edge.output.is_json() {
                let document = json!({"at": at, "service": service, "text": line.text});
                return output::line(&document.to_string());
            }
            let text = shown(&line.text);
            let parts = [at.as_deref(), service, Some(&text)];
            output::line(&parts.into_iter().flatten().collect::<Vec<_>>().join(" "))
        };
        pipeline::logs(&request, which, show, &edge.context)
    }
}

/// A line without what would move a terminal's cursor: whoever calls a service can make it print.
fn shown(text: &str) -> String {
    let letter =
        |letter: char| if letter.is_control() && letter != '\t' { '\u{fffd}' } else { letter };
    text.trim_end_matches(['\r', '\n']).chars().map(letter).collect()
}
