//! Where a rollback goes: what the platform served before, else what the history here says.

use crate::deploy::{
    DeployError, DeployPlan, Entry, Observed, Service, State, Target, image_before, is_taken_back,
};
use crate::error::Result;

/// The way from what a service runs to what it ran before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct WayBack {
    /// What it ran when the way was looked for: image and revision.
    from: (Option<String>, Option<String>),
    goal: Goal,
}

/// What is brought back.
#[derive(Debug, Default, PartialEq, Eq)]
enum Goal {
    /// What the platform served before.
    Previous { image: String, revision: Option<String> },
    /// What the history here says; the platform does not know, or knows only what was taken back.
    Earlier(String),
    /// Nothing is known but what was taken back.
    TakenBack(String),
    /// Nothing is known: only the platform may know what to do.
    #[default]
    Unknown,
}

impl WayBack {
    /// Looks for it. What was taken back is not brought back by going back once more.
    pub(super) fn find(observed: &Observed, history: &[Entry]) -> Self {
        let Some(service) = &observed.service else { return Self::default() };
        let earlier = || image_before(history, service.image.as_deref()).map(str::to_owned);
        let goal = match &service.previous {
            Some(previous) if is_taken_back(history, &previous.image) => {
                earlier().map_or_else(|| Goal::TakenBack(previous.image.clone()), Goal::Earlier)
            }
            Some(previous) => Goal::Previous {
                image: previous.image.clone(),
                revision: previous.revision.clone(),
            },
            None => earlier().map_or(Goal::Unknown, Goal::Earlier),
        };
        Self { from: identity(service), goal }
    }

    /// The image that ran when the way was looked for.
    pub(super) fn image_of_start(&self) -> Option<&str> {
        self.from.0.as_deref()
    }

    /// What has to be done; nothing when it is back already, since an answer may have been lost.
    pub(super) fn plan(&self, target: &dyn Target, observed: &Observed) -> Result<DeployPlan> {
        if self.is_gone(observed) {
            return Ok(DeployPlan::default());
        }
        let nothing = |reason: String, hint: &str| DeployError::Nothing {
            subject: target.subject().to_string(),
            reason,
            hint: hint.to_owned(),
        };
        let plan = match &self.goal {
            Goal::Earlier(image) => target.plan_rollback(Some(image), observed)?,
            Goal::Previous { .. } | Goal::Unknown => target.plan_rollback(None, observed)?,
            Goal::TakenBack(image) => {
                let reason =
                    format!("`{image}` was taken back already, and nothing before it is known");
                let hint = "to run it again, or any other: `dockless deploy --image …`";
                return Err(nothing(reason, hint).into());
            }
        };
        if plan.is_empty() {
            let reason =
                "only settings have changed since, and a rollback brings back images alone";
            let hint = "write the settings of before into the config, and deploy";
            return Err(nothing(reason.to_owned(), hint).into());
        }
        Ok(plan)
    }

    /// Whether the way was gone to its end.
    fn is_gone(&self, observed: &Observed) -> bool {
        let (Some(service), Some((image, revision))) = (&observed.service, self.goal.names())
        else {
            return false;
        };
        let is_image = service.image.as_deref() == Some(image);
        // What serves may be the goal already while the newest revision, which is to go, is not well.
        let is_revision = revision.is_some()
            && service.revision.as_deref() == revision
            && service.state == State::Ready;
        is_image && (is_revision || identity(service) != self.from)
    }
}

impl Goal {
    /// The image, and the revision where it is known.
    fn names(&self) -> Option<(&str, Option<&str>)> {
        match self {
            Self::Previous { image, revision } => Some((image, revision.as_deref())),
            Self::Earlier(image) => Some((image, None)),
            Self::TakenBack(_) | Self::Unknown => None,
        }
    }
}

fn identity(service: &Service) -> (Option<String>, Option<String>) {
    (service.image.clone(), service.revision.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::deploy::{Ownership, Previous};

    fn observed(image: &str, revision: &str, previous: Option<(&str, &str)>) -> Observed {
        let previous = previous.map(|(image, revision)| Previous {
            revision: Some(revision.to_owned()),
            image: image.to_owned(),
        });
        let service = Service {
            image: Some(image.to_owned()),
            url: None,
            is_public: true,
            state: State::Ready,
            revision: Some(revision.to_owned()),
            previous,
            ownership: Ownership::default(),
            raw: Value::Null,
        };
        Observed { service: Some(service), ..Observed::default() }
    }

    #[test]
    fn the_platform_knows_best_unless_it_knows_only_what_was_taken_back() {
        let previous = |image: &str, revision: &str| Goal::Previous {
            image: image.to_owned(),
            revision: Some(revision.to_owned()),
        };
        let taken = [Entry::of("b", "deployed", None), Entry::of("a", "rolled_back", Some("b"))];
        let older = [&[Entry::of("o", "deployed", None)][..], &taken].concat();
        for (there, history, expected) in [
            (observed("b", "2", Some(("a", "1"))), &[][..], previous("a", "1")),
            // Only settings changed.
            (observed("a", "2", Some(("a", "1"))), &[], previous("a", "1")),
            (observed("a", "3", Some(("b", "2"))), &taken, Goal::TakenBack("b".into())),
            (observed("a", "3", Some(("b", "2"))), &older, Goal::Earlier("o".into())),
            (observed("b", "2", None), &older[..1], Goal::Earlier("o".into())),
            (observed("b", "2", None), &[], Goal::Unknown),
        ] {
            assert_eq!(WayBack::find(&there, history).goal, expected);
        }
    }

    #[test]
    fn a_way_is_gone_once() {
        let way = |previous| WayBack::find(&observed("a", "2", Some(previous)), &[]);
        // Traffic goes to the revision of before; or there is a new one like it.
        assert!(way(("b", "1")).is_gone(&observed("b", "1", None)));
        assert!(way(("b", "1")).is_gone(&observed("b", "3", None)));
        assert!(!way(("b", "1")).is_gone(&observed("a", "2", None)));
        assert!(way(("a", "1")).is_gone(&observed("a", "1", None)));
        assert!(way(("a", "1")).is_gone(&observed("a", "3", None)));
        assert!(!way(("a", "1")).is_gone(&observed("a", "2", None)));
        let mut failed = observed("a", "1", None);
        let way = WayBack::find(&observed("a", "1", Some(("a", "1"))), &[]);
        failed.service.as_mut().unwrap().state = State::Failed("it crashes".to_owned());
        assert!(!way.is_gone(&failed));
    }
}
