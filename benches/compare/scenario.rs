//! What is compared.

use super::Part;

/// One push, and what has happened before it. They are run in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    First,
    Unchanged,
    Fresh,
    Changed,
    FreshChanged,
}

impl Scenario {
    pub(crate) const ALL: [Self; 5] =
        [Self::First, Self::Unchanged, Self::Fresh, Self::Changed, Self::FreshChanged];

    /// How `--only` names it.
    pub(crate) fn part(self) -> Part {
        match self {
            Self::First => Part::First,
            Self::Unchanged => Part::Unchanged,
            Self::Fresh => Part::Fresh,
            Self::Changed => Part::Changed,
            Self::FreshChanged => Part::FreshChanged,
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::First => "First push: the registry has only the base, the machine nothing",
            Self::Unchanged => "Nothing changed, on the same machine",
            Self::Fresh => "Nothing changed, on a fresh machine: the last image is in the registry",
            Self::Changed => "One small file changed, on the same machine",
            Self::FreshChanged => "One small file changed, on a fresh machine",
        }
    }

    /// The part of crane's time that dockless may take.
    pub(crate) fn goal(self) -> f64 {
        match self {
            Self::First => 0.4,
            Self::Unchanged => 0.03,
            Self::Fresh | Self::FreshChanged => 0.2,
            Self::Changed => 0.1,
        }
    }

    /// Whether the tools' caches are emptied before it.
    pub(crate) fn is_fresh(self) -> bool {
        matches!(self, Self::First | Self::Fresh | Self::FreshChanged)
    }

    /// Whether a file of the project is changed before it.
    pub(crate) fn has_change(self) -> bool {
        matches!(self, Self::Changed | Self::FreshChanged)
    }
}
