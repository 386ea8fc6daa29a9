//! What was deployed from here before, and what of it there is to go back to.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Outcome;

/// How a rollback stands in the history.
pub(super) const ROLLED_BACK: &str = "rolled_back";

/// One deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The image as the target was given it.
    pub image: String,
    /// How it ended; `rolled_back` where it was brought back by us.
    pub outcome: String,
    /// What it was brought back from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What the platform calls the revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Where it is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When, in seconds since 1970.
    pub at: i64,
}

impl Entry {
    /// Whether it was brought back by us.
    pub fn is_rollback(&self) -> bool {
        self.outcome == ROLLED_BACK
    }

    /// Whether it ran and was well.
    pub fn is_good(&self) -> bool {
        let good = [Outcome::Deployed.name(), Outcome::Unchanged.name(), ROLLED_BACK];
        good.contains(&self.outcome.as_str())
    }

    /// As one JSON document, with its time as text.
    pub fn document(&self) -> Value {
        let at = jiff::Timestamp::from_second(self.at).unwrap_or_default();
        json!({
            "image": self.image,
            "outcome": self.outcome,
            "from": self.from,
            "revision": self.revision,
            "url": self.url,
            "at": at.to_string(),
        })
    }
}

/// The image to go back to from this one: the last other one that ran well, and was not itself taken back since.
pub fn image_before<'a>(history: &'a [Entry], current: Option<&str>) -> Option<&'a str> {
    let mut good = history.iter().rev().filter(|entry| entry.is_good());
    let is_fit = |entry: &&Entry| {
        Some(entry.image.as_str()) != current && !is_taken_back(history, &entry.image)
    };
    good.find(is_fit).map(|entry| entry.image.as_str())
}

/// Whether something else was brought back in place of an image, which did not run well since.
pub fn is_taken_back(history: &[Entry], image: &str) -> bool {
    let is_about = |entry: &&Entry| {
        (entry.image == image && entry.is_good()) || entry.from.as_deref() == Some(image)
    };
    let last = history.iter().rev().find(is_about);
    last.is_some_and(|entry| entry.image != image)
}

#[cfg(test)]
impl Entry {
    /// An entry of which only this matters.
    pub(crate) fn of(image: &str, outcome: &str, from: Option<&str>) -> Self {
        Self {
            image: image.to_owned(),
            outcome: outcome.to_owned(),
            from: from.map(str::to_owned),
            revision: None,
            url: None,
            at: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_back_is_no_way_back() {
        let deployed = |image| Entry::of(image, "deployed", None);
        let back = |image, from| Entry::of(image, ROLLED_BACK, Some(from));
        for (history, current, expected) in [
            (vec![], Some("a"), None),
            (vec![deployed("a")], Some("a"), None),
            (vec![deployed("a"), deployed("b")], Some("b"), Some("a")),
            (vec![Entry::of("a", "unchanged", None), deployed("b")], Some("b"), Some("a")),
            (
                vec![deployed("a"), Entry::of("b", "failed", None), deployed("c")],
                Some("c"),
                Some("a"),
            ),
            (vec![deployed("a"), deployed("b"), back("a", "b")], Some("a"), None),
            (
                vec![deployed("o"), deployed("a"), deployed("b"), back("a", "b")],
                Some("a"),
                Some("o"),
            ),
            (
                vec![
                    deployed("a"),
                    deployed("b"),
                    back("a", "b"),
                    Entry::of("b", "rolled_back_by_platform", None),
                ],
                Some("a"),
                None,
            ),
            (
                vec![deployed("a"), deployed("b"), back("a", "b"), deployed("c")],
                Some("c"),
                Some("a"),
            ),
            (
                vec![deployed("a"), deployed("b"), back("a", "b"), deployed("b")],
                Some("b"),
                Some("a"),
            ),
        ] {
            assert_eq!(image_before(&history, current), expected, "{history:?}");
        }
    }
}
