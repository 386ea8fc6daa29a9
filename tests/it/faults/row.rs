//! A row of the matrix: one thing that goes wrong, and how a command must end then.

use super::super::support::fault_proxy::Fault;
use super::super::support::point::Point;

/// One fault of the catalogue.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Its number in the catalogue: N1 and so on.
    pub(crate) number: u32,
    /// What goes wrong, for people.
    pub(crate) fault: String,
    /// At which request.
    pub(crate) point: Point,
    /// What the proxy does with these requests, one after the other.
    pub(crate) script: Vec<Fault>,
    /// What must come of it.
    pub(crate) end: End,
    /// Whether the registry wants tokens.
    pub(crate) login: Option<Login>,
}

/// How a command must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It does what it was asked to.
    Survives,
    /// It fails at the first answer, without another try, and no tag is there.
    Refuses,
    /// It tries again, once or until its patience is over, in vain, and no tag is there.
    GivesUp,
}

/// A registry that takes tokens only.
#[derive(Debug, Clone, Default)]
pub(crate) struct Login {
    /// How often one token may be used.
    pub(crate) uses: u32,
    /// What goes wrong at the token server, one request after the other.
    pub(crate) script: Vec<Fault>,
    /// What stands before and after the `Bearer` challenge in the same header.
    pub(crate) around: (&'static str, &'static str),
}

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    /// Pushes an image of one layer.
    Push,
    /// Pushes an index of two platforms.
    Index,
    /// Pushes an image whose layer another repository of the registry has.
    Mount,
    /// Fetches a base with all its layers.
    Pull,
    /// Attaches a referrer to an image.
    Attach,
}

impl Row {
    /// The operations in which its request occurs.
    pub(crate) fn operations(&self) -> &'static [Operation] {
        // What every request goes through, an attachment goes through too.
        let is_general = matches!(self.number, 1..=9 | 35);
        match self.point {
            Point::GetManifest if is_general => &[Operation::Pull, Operation::Attach],
            Point::GetManifest | Point::GetBlob => &[Operation::Pull],
            Point::PutManifest if is_general => {
                &[Operation::Push, Operation::Index, Operation::Mount, Operation::Attach]
            }
            Point::Mount => &[Operation::Mount],
            _ => &[Operation::Push, Operation::Index, Operation::Mount],
        }
    }

    /// Whether bytes stop moving without an end of the connection.
    pub(crate) fn is_stall(&self) -> bool {
        self.script.iter().any(|fault| {
            matches!(
                fault,
                Fault::Hang
                    | Fault::StallRequest
                    | Fault::StallRequestAfter(_)
                    | Fault::StallAnswer(_)
                    | Fault::Drip
            )
        })
    }

    /// What it is called in messages and in the table.
    pub(crate) fn name(&self) -> String {
        format!("N{} {} at {}", self.number, self.fault, self.point.name())
    }
}

impl Operation {
    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Index => "index",
            Self::Mount => "mount",
            Self::Pull => "pull",
            Self::Attach => "attach",
        }
    }
}
