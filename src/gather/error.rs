//! What can be wrong with the files that a config asks for.

use std::fmt;
use std::io;

use crate::config::{Position, Problems};
use crate::error::{Classified, ErrorKind};
use crate::plan::pattern::PatternError;

/// How many faults of one sort are shown.
const SHOWN: usize = 20;

/// Everything that is wrong with the files that were asked for: at least one fault.
#[derive(Debug)]
pub struct FilesError {
    /// The faults by place in the config and path, those of one sort together.
    pub faults: Vec<Fault>,
}

/// One file or folder that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where the config asks for it; without a file when the config does not.
    pub position: Position,
    /// What is wrong.
    pub cause: FaultCause,
    /// The path below the project's folder.
    pub path: String,
}

/// What is wrong with a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultCause {
    /// There is no such file or folder.
    Missing {
        /// A path that exists and differs little.
        similar: Option<String>,
    },
    /// The path leads out of the project's folder.
    OutsideProject,
    /// All of it is excluded.
    Excluded {
        /// The pattern and its place.
        by: String,
    },
    /// No file is left to copy.
    NothingMatches {
        /// The patterns, as written.
        patterns: Vec<String>,
    },
    /// The folder is the root of the file system or the user's home.
    TooBroad,
    /// A file was asked for and this is none.
    NotAFile,
    /// A file that is read whole is larger than this.
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// A list of patterns cannot be read.
    Pattern {
        /// The message.
        message: String,
        /// What to do.
        hints: Vec<String>,
    },
    /// It cannot be opened or read.
    Unreadable {
        /// Whether permissions are the reason: the user's turn.
        is_denied: bool,
        /// What the system says.
        reason: String,
    },
    /// A FIFO, a socket or a device.
    Special {
        /// Which.
        kind: &'static str,
    },
    /// A name that begins with `.wh.`: in an image it would delete what lies below.
    Whiteout,
    /// A name, or the target of a link, that is not UTF-8.
    NotUtf8,
    /// A link that was to be followed leads out of the project's folder.
    LinkLeaves {
        /// Its target.
        target: String,
    },
    /// A link that was to be followed leads nowhere.
    LinkBroken {
        /// Its target.
        target: String,
    },
    /// Links that lead in a circle, or a folder that contains itself through a link.
    LinkLoop,
    /// Links multiply the files without end.
    TooManyLinked {
        /// The limit.
        limit: usize,
    },
    /// It was there when the folder was listed and then was not.
    Vanished,
    /// It became something else while it was listed.
    Changed,
}

impl FilesError {
    /// These faults, put in order.
    pub(super) fn of(mut faults: Vec<Fault>) -> Self {
        faults.sort_by(|left, right| {
            (&left.position, &left.path).cmp(&(&right.position, &right.path))
        });
        faults.dedup();
        let mut ordered = Vec::with_capacity(faults.len());
        while let Some(first) = faults.first().cloned() {
            let (same, rest) = faults.into_iter().partition(|fault: &Fault| fault.is_like(&first));
            ordered.extend::<Vec<_>>(same);
            faults = rest;
        }
        Self { faults: ordered }
    }

    /// Adds the faults to the problems of the config that asks for the files: those of one sort and
    /// place as one, with its hint.
    pub fn report(&self, problems: &mut Problems) {
        for group in self.faults.chunk_by(Fault::is_like) {
            let placeless =
                |fault: &Fault| Fault { position: Position::default(), ..fault.clone() };
            let faults = group.iter().map(placeless).collect();
            let mut hints = Vec::new();
            for hint in group.iter().flat_map(|fault| fault.cause.hints()) {
                if !hints.contains(&hint) {
                    hints.push(hint);
                }
            }
            let message = Self { faults }.to_string();
            if hints.is_empty() {
                problems.report(&group[0].position, message);
            } else {
                problems.report_with_hint(&group[0].position, message, hints.join("; "));
            }
        }
    }
}

impl Fault {
    /// Whether both are of one sort and asked for at one place.
    fn is_like(&self, other: &Self) -> bool {
        let sort = |fault: &Self| std::mem::discriminant(&fault.cause);
        self.position == other.position && sort(self) == sort(other)
    }
}

impl FaultCause {
    /// What an error of opening or reading something that was listed means.
    pub(super) fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Vanished,
            // What `O_DIRECTORY` and `O_NOFOLLOW` say: it was a folder, or no link, before.
            io::ErrorKind::NotADirectory => Self::Changed,
            _ if is_link(error) => Self::Changed,
            kind => Self::Unreadable {
                is_denied: kind == io::ErrorKind::PermissionDenied,
                reason: error.to_string(),
            },
        }
    }

    /// Whether the user must change something; otherwise the machine failed us.
    fn is_the_users(&self) -> bool {
        !matches!(self, Self::Vanished | Self::Changed | Self::Unreadable { is_denied: false, .. })
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Missing { similar: Some(similar) } => {
                format!("did you mean `{}`?", similar.escape_debug())
            }
            Self::OutsideProject | Self::LinkLeaves { .. } => {
                "only files below the project's folder can be copied: move or copy it there".into()
            }
            Self::Excluded { .. } => {
                "the config names it: change that pattern, add an exception (`!PATH`) after it, or name it no longer"
                    .into()
            }
            Self::NothingMatches { .. } => {
                "patterns are rooted at `src`: `**/*.md` matches at every depth, `*.md` at the top"
                    .into()
            }
            Self::TooBroad => "name the folder that holds the agent".into(),
            Self::Pattern { hints, .. } => return hints.clone(),
            Self::Unreadable { is_denied: true, .. } => {
                "make it readable (`chmod u+r`, for folders `u+rx`), or exclude it".into()
            }
            Self::Special { .. } | Self::Whiteout => "remove it or exclude it".into(),
            Self::NotUtf8 => "rename it or exclude it".into(),
            Self::LinkBroken { .. } | Self::LinkLoop | Self::TooManyLinked { .. } => {
                "remove the link or exclude it".into()
            }
            Self::Vanished | Self::Changed => {
                "run the command again when nothing writes to the project's folder".into()
            }
            Self::Missing { similar: None }
            | Self::NotAFile
            | Self::TooLarge { .. }
            | Self::Unreadable { .. } => return Vec::new(),
        };
        vec![hint]
    }
}

/// Whether `O_NOFOLLOW` met a link.
fn is_link(error: &io::Error) -> bool {
    #[cfg(unix)]
    let code = Some(rustix::io::Errno::LOOP.raw_os_error());
    #[cfg(not(unix))]
    let code = None;
    code.is_some() && error.raw_os_error() == code
}

impl From<PatternError> for FaultCause {
    fn from(error: PatternError) -> Self {
        Self::Pattern { hints: error.hints(), message: error.to_string() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.position.file.is_empty() {
            write!(formatter, "{}: ", self.position)?;
        }
        let path = format!("`{}`", self.path.escape_debug());
        match &self.cause {
            FaultCause::Missing { .. } => write!(formatter, "there is no {path}"),
            FaultCause::OutsideProject => {
                write!(formatter, "{path} is not below the project's folder")
            }
            FaultCause::Excluded { by } => write!(formatter, "{path} is excluded by {by}"),
            FaultCause::NothingMatches { patterns } => {
                let patterns: Vec<_> = patterns
                    .iter()
                    .map(|pattern| format!("`{}`", pattern.escape_debug()))
                    .collect();
                write!(formatter, "nothing in {path} matches {}", patterns.join(" or "))
            }
            FaultCause::TooBroad => {
                write!(formatter, "{path} is the root of the file system or your home folder")
            }
            FaultCause::NotAFile => write!(formatter, "{path} is not a file"),
            FaultCause::TooLarge { limit_bytes } => {
                write!(formatter, "{path} is larger than {limit_bytes} bytes")
            }
            FaultCause::Pattern { message, .. } => formatter.write_str(message),
            FaultCause::Unreadable { reason, .. } => {
                write!(formatter, "cannot read {path}: {reason}")
            }
            FaultCause::Special { kind } => write!(formatter, "{path} is a {kind}"),
            FaultCause::Whiteout => write!(
                formatter,
                "{path} cannot be in an image: a name with `.wh.` in front deletes a file"
            ),
            FaultCause::NotUtf8 => {
                write!(formatter, "{path} has a name or a link target that is not UTF-8")
            }
            FaultCause::LinkLeaves { target } => write!(
                formatter,
                "the link {path} leads out of the project's folder, to `{}`",
                target.escape_debug()
            ),
            FaultCause::LinkBroken { target } => {
                write!(formatter, "the link {path} leads nowhere: `{}`", target.escape_debug())
            }
            FaultCause::LinkLoop => write!(formatter, "the link {path} leads back to itself"),
            FaultCause::TooManyLinked { limit } => {
                write!(formatter, "links below {path} lead to more than {limit} files")
            }
            FaultCause::Vanished => write!(formatter, "{path} vanished while it was listed"),
            FaultCause::Changed => {
                write!(formatter, "{path} became something else while it was listed")
            }
        }
    }
}

impl fmt::Display for FilesError {
    /// One line per fault; of many of one sort, the first and how many there are.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, group) in self.faults.chunk_by(Fault::is_like).enumerate() {
            for (line, fault) in group.iter().take(SHOWN).enumerate() {
                let end = if number + line == 0 { "" } else { "\n" };
                write!(formatter, "{end}{fault}")?;
            }
            if group.len() > SHOWN {
                write!(formatter, "\n… and {} more like this", group.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for FilesError {}

impl Classified for FilesError {
    fn kind(&self) -> ErrorKind {
        if self.faults.iter().any(|fault| fault.cause.is_the_users()) {
            ErrorKind::Usage
        } else {
            ErrorKind::Failed
        }
    }

    fn hints(&self) -> Vec<String> {
        let mut hints = Vec::new();
        for hint in self.faults.iter().flat_map(|fault| fault.cause.hints()) {
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        hints
    }

    fn is_retryable(&self) -> bool {
        let is_passing =
            |cause: &FaultCause| matches!(cause, FaultCause::Vanished | FaultCause::Changed);
        self.faults.iter().all(|fault| is_passing(&fault.cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: u32, path: &str, cause: FaultCause) -> Fault {
        let file = if line == 0 { "" } else { "a" };
        let position = Position { file: file.into(), line, column: 1 };
        Fault { position, path: path.into(), cause }
    }

    #[test]
    fn faults_are_shown_like_problems_of_the_config() {
        let missing = |similar: &str| FaultCause::Missing { similar: Some(similar.into()) };
        let error = FilesError::of(vec![
            fault(2, "srk", missing("src")),
            fault(2, "b", FaultCause::Whiteout),
            fault(2, "c", FaultCause::Whiteout),
            fault(0, ".dockerignore", FaultCause::NotAFile),
        ]);
        let mut problems = Problems::new();
        problems.add_text(&"a".into(), "copy:\n- srk\n");
        error.report(&mut problems);
        let whiteout = "cannot be in an image: a name with `.wh.` in front deletes a file";
        assert_eq!(
            problems.to_string(),
            format!(
                "`.dockerignore` is not a file\n\
                 a:2:1: `b` {whiteout}\n`c` {whiteout}\n  2 | - srk\n    | ^\n  \
                 hint: remove it or exclude it\n\
                 a:2:1: there is no `srk`\n  2 | - srk\n    | ^\n  \
                 hint: did you mean `src`?"
            )
        );
    }

    #[test]
    fn shows_twenty_of_a_sort_and_counts_the_rest() {
        let denied = FaultCause::Unreadable { is_denied: true, reason: "permission denied".into() };
        let mut faults: Vec<_> =
            (0..23).map(|number| fault(1, &format!("f{number:02}"), denied.clone())).collect();
        faults.push(fault(2, "x\n", FaultCause::Whiteout));
        let error = FilesError::of(faults);
        let mut lines: Vec<_> = (0..20)
            .map(|number| format!("a:1:1: cannot read `f{number:02}`: permission denied"))
            .collect();
        lines.push("… and 3 more like this".into());
        lines.push(
            "a:2:1: `x\\n` cannot be in an image: a name with `.wh.` in front deletes a file"
                .into(),
        );
        assert_eq!(error.to_string(), lines.join("\n"));
        assert_eq!(
            error.hints(),
            [
                "make it readable (`chmod u+r`, for folders `u+rx`), or exclude it",
                "remove it or exclude it"
            ]
        );
    }

    #[test]
    fn only_what_the_user_can_change_is_usage() {
        let unreadable = |is_denied| FaultCause::Unreadable { is_denied, reason: "x".into() };
        let table = [
            (vec![FaultCause::Vanished], ErrorKind::Failed, true),
            (vec![FaultCause::Changed, FaultCause::Vanished], ErrorKind::Failed, true),
            (vec![unreadable(false)], ErrorKind::Failed, false),
            (vec![unreadable(true)], ErrorKind::Usage, false),
            (vec![FaultCause::Vanished, FaultCause::NotUtf8], ErrorKind::Usage, false),
        ];
        for (causes, kind, is_retryable) in table {
            let faults = causes.into_iter().map(|cause| fault(0, "p", cause)).collect();
            let error = FilesError::of(faults);
            assert_eq!((error.kind(), error.is_retryable()), (kind, is_retryable), "{error}");
        }
    }
}
