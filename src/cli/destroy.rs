//! `dockless destroy`.

use std::io::{BufRead as _, IsTerminal as _};

use clap::Args;
use clap::builder::FalseyValueParser;

use super::Edge;
use super::environment::ChangeOptions;
use crate::error::{Classified, ErrorKind, Result};
use crate::pipeline;

/// Remove what was deployed to an environment
///
/// Asks first. Removes only what is tagged as the project's own in this environment; images, repositories,
/// networks and what other tools made stay.
#[derive(Debug, Args)]
pub(super) struct Destroy {
    #[command(flatten)]
    service: ChangeOptions,
    /// Do not ask
    #[arg(short, long, env = "DOCKLESS_YES", value_parser = FalseyValueParser::new())]
    yes: bool,
    /// Print what would be removed, and remove nothing
    #[arg(long, env = "DOCKLESS_DRY_RUN", value_parser = FalseyValueParser::new())]
    dry_run: bool,
}

/// Nobody agreed.
#[derive(Debug, thiserror::Error)]
enum NotAgreed {
    #[error("nothing was removed: nobody is here to ask")]
    NobodyToAsk,
    #[error("nothing was removed")]
    No,
}

impl Classified for NotAgreed {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NobodyToAsk => ErrorKind::Usage,
            Self::No => ErrorKind::No,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NobodyToAsk => vec!["say it with `--yes`".to_owned()],
            Self::No => Vec::new(),
        }
    }
}

impl Destroy {
    pub(super) fn run(self, edge: &Edge) -> Result<()> {
        let mut request = self.service.request(true);
        if !self.yes || self.dry_run {
            let planned = pipeline::destroy(&request, &edge.context)?;
            if self.dry_run || planned.is_empty() {
                return edge.output.result(&planned.document(), planned.text().lines());
            }
            for line in planned.text().lines() {
                edge.context.events.note(line);
            }
            agree(edge)?;
        }
        request.project.is_dry_run = false;
        let report = pipeline::destroy(&request, &edge.context)?;
        edge.output.result(&report.document(), report.text().lines())?;
        report.into_result()
    }
}

/// Asks a person at a terminal.
fn agree(edge: &Edge) -> Result<(), NotAgreed> {
    if !std::io::stdin().is_terminal() || !edge.is_terminal {
        return Err(NotAgreed::NobodyToAsk);
    }
    edge.context.events.note("type `yes` to remove this");
    let mut answer = String::new();
    // Whoever does not answer does not agree.
    let _ = std::io::stdin().lock().read_line(&mut answer);
    if answer.trim() == "yes" { Ok(()) } else { Err(NotAgreed::No) }
}
