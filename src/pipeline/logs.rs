//! `dockless logs`: what the containers of an environment print.

use std::time::Duration;

use super::clouds::Clouds;
use super::environment::{self, Values};
use super::{Context, EnvironmentRequest, project, runtime};
use crate::deploy::{DeployError, LogLine, LogQuery, Session, Target};
use crate::error::{Attempting as _, Result};

/// Between two questions for new lines.
const FOLLOW_WAIT: Duration = Duration::from_secs(2);

/// Which lines.
#[derive(Debug, Clone, Copy)]
pub struct LogRequest {
    /// How old they may be.
    pub since: Duration,
    /// Whether to go on until the command is interrupted.
    pub has_follow: bool,
}

/// Gives the lines of every target's log, the oldest first, each with the name of its service where there are
/// several.
///
/// # Errors
/// The project cannot be understood, or a log cannot be read.
pub fn logs(
    request: &EnvironmentRequest,
    which: LogRequest,
    mut show: impl FnMut(Option<&str>, &LogLine) -> Result<()>,
    context: &Context,
) -> Result<()> {
    let project = project::load_to_pin(&request.project, context)?;
    let name = request.environment.as_deref();
    let chosen = environment::choose(&project, name, Values::Optional, context)?;
    let clouds = Clouds::new(context, &request.project.network, request.wait_limit);
    runtime::run(context, request.project.network.timeout, async {
        let session = clouds.looking();
        let since = i64::try_from(which.since.as_secs()).unwrap_or(i64::MAX);
        let since_ms = context.clock.unix_seconds().saturating_sub(since).saturating_mul(1000);
        let began_ms = context.clock.unix_seconds().saturating_add(1).saturating_mul(1000);
        let has_several = chosen.targets.len() > 1;
        let mut queries: Vec<_> =
            chosen.targets.iter().map(|_| LogQuery { since_ms, cursor: None }).collect();
        let mut has_lines = false;
        let mut is_first = true;
        loop {
            let mut has_more = false;
            let mut absent = Vec::new();
            for (target, query) in chosen.targets.iter().zip(&mut queries) {
                let subject = target.subject();
                let (lines, cursor) = target
                    .logs(query, &session)
                    .await
                    .attempting(|| format!("read the log of {subject}"))?;
                if is_first && lines.is_empty() {
                    absent.extend(absence(target.as_ref(), &session).await?);
                }
                let name = has_several.then_some(subject.name.as_str());
                // What is printed while this goes on is for those who follow.
                let is_over = !which.has_follow && lines.iter().any(|line| line.at_ms > began_ms);
                for line in lines.iter().filter(|line| which.has_follow || line.at_ms <= began_ms) {
                    has_lines = true;
                    show(name, line)?;
                }
                has_more |=
                    !is_over && !lines.is_empty() && cursor.is_some() && cursor != query.cursor;
                query.cursor = cursor.or(query.cursor.take());
            }
            is_first = false;
            if absent.len() == chosen.targets.len() {
                return Err(absent.remove(0).into());
            }
            for error in absent {
                context.events.note(error.to_string());
            }
            match (has_more, which.has_follow) {
                (true, _) => {}
                (false, true) => context.clock.sleep(FOLLOW_WAIT).await,
                (false, false) => {
                    if !has_lines {
                        let minutes = which.since.as_secs().div_ceil(60);
                        let text = format!(
                            "nothing was printed in the last {minutes} min; `--since` looks farther back"
                        );
                        context.events.note(text);
                    }
                    return Ok(());
                }
            }
        }
    })
}

/// Why there is no log, where that is because there is no service.
async fn absence(target: &dyn Target, session: &Session) -> Result<Option<DeployError>> {
    let subject = target.subject().to_string();
    let observed = target.observe(session).await.attempting(|| format!("look at {subject}"))?;
    Ok(observed.service.is_none().then(|| DeployError::Nothing {
        subject,
        reason: "it is not there".to_owned(),
        hint: format!("deploy it first: `{}`", target.workload().command("deploy")),
    }))
}
