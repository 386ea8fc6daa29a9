//! What would have to change, as data: computed without any call, printed by `--dry-run`.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use crate::cloud::Request;

/// The way from what is there to what should be; empty when it is there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeployPlan {
    /// What is different, for people.
    pub changes: Vec<Change>,
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// What whoever deploys should know, and no step can do.
    pub notes: Vec<String>,
}

/// One setting that is different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which: `image`, `memory`, `env.LOG_LEVEL`.
    pub what: String,
    /// What is there; nothing where it is new.
    pub before: Option<String>,
    /// What should be; nothing where it goes away.
    pub after: Option<String>,
}

/// One request, and what is known of its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What it does, in the imperative: "create the function `agent`".
    pub title: String,
    /// The request. A text in its body that is the mark of something given earlier ([`Given::mark`]) is
    /// replaced before it is sent; in its path, every place where the mark stands.
    pub request: Request,
    /// What it creates, when it creates something: recorded before it is sent.
    pub creates: Option<String>,
    /// What later steps take from the answer.
    pub gives: Vec<Given>,
    /// Codes of the service that mean that it is done already: `EntityAlreadyExistsException`.
    pub is_done_by: &'static [&'static str],
    /// Whether to go on only when the service is no longer being updated.
    pub settles: bool,
}

/// Something that an answer tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// What it is: `version`.
    pub name: String,
    /// Where it stands in the answer (RFC 6901).
    pub pointer: &'static str,
    /// What of it counts, or what it is put into.
    pub form: GivenForm,
}

/// What is made of something that an answer tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GivenForm {
    /// It is taken as it is.
    Whole,
    /// Only the last part of a path: `4` of `projects/1/secrets/key/versions/4`.
    LastPart,
    /// This text, with it in place of [`Given::BLANK`].
    Within(String),
}

impl Given {
    /// What stands for it in the text that it is a part of.
    pub const BLANK: &str = "{}";

    /// What stands for it in later requests until it is known.
    pub fn mark(name: &str) -> String {
        format!("«{name}»")
    }

    /// What is given on when the answer has this text.
    pub fn text(&self, text: String) -> String {
        match &self.form {
            GivenForm::Whole => text,
            GivenForm::LastPart => {
                text.rsplit_once('/').map_or_else(|| text.clone(), |(_, last)| last.to_owned())
            }
            GivenForm::Within(outer) => outer.replace(Self::BLANK, &text),
        }
    }
}

impl Step {
    /// A step without anything special.
    pub fn new(title: impl Into<String>, request: Request) -> Self {
        Self {
            title: title.into(),
            request,
            creates: None,
            gives: Vec::new(),
            is_done_by: &[],
            settles: false,
        }
    }

    /// The same, creating this resource.
    pub fn creating(self, resource: impl Into<String>) -> Self {
        Self { creates: Some(resource.into()), ..self }
    }

    /// The same, with something that later steps take from its answer.
    pub fn giving(mut self, name: impl Into<String>, pointer: &'static str) -> Self {
        self.gives.push(Given { name: name.into(), pointer, form: GivenForm::Whole });
        self
    }

    /// The same, with a text in which [`Given::BLANK`] is something that its answer tells.
    pub fn giving_within(
        mut self,
        name: impl Into<String>,
        pointer: &'static str,
        text: impl Into<String>,
    ) -> Self {
        let form = GivenForm::Within(text.into());
        self.gives.push(Given { name: name.into(), pointer, form });
        self
    }

    /// The same, with the last part of a path in its answer, which later steps take.
    pub fn giving_last_part(mut self, name: impl Into<String>, pointer: &'static str) -> Self {
        self.gives.push(Given { name: name.into(), pointer, form: GivenForm::LastPart });
        self
    }

    /// The same, done already when the service answers with one of these codes.
    pub fn or_done_by(self, codes: &'static [&'static str]) -> Self {
        Self { is_done_by: codes, ..self }
    }

    /// The same; the next step waits until the service is no longer being updated.
    pub fn settling(self) -> Self {
        Self { settles: true, ..self }
    }

    /// The request with everything that is known by now.
    pub fn resolved(&self, known: &BTreeMap<String, String>) -> Request {
        self.request.map_texts(|text, is_whole| {
            let mut text = text.to_owned();
            for (name, value) in known {
                let mark = Given::mark(name);
                if !is_whole {
                    text = text.replace(&mark, value);
                } else if text == mark {
                    text.clone_from(value);
                }
            }
            text
        })
    }
}

impl DeployPlan {
    /// Whether nothing has to be done.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Notes a difference, unless there is none.
    pub fn change(
        &mut self,
        what: impl Into<String>,
        before: Option<impl Into<String>>,
        after: Option<impl Into<String>>,
    ) -> bool {
        let (before, after) = (before.map(Into::into), after.map(Into::into));
        if before == after {
            return false;
        }
        self.changes.push(Change { what: what.into(), before, after });
        true
    }

    /// As one JSON document, without secrets.
    pub fn document(&self) -> Value {
        let changes: Vec<_> = self.changes.iter().map(Change::document).collect();
        let steps = self.steps.iter();
        let steps: Vec<_> = steps
            .map(|step| json!({"title": step.title, "request": step.request.document()}))
            .collect();
        json!({"changes": changes, "steps": steps, "notes": self.notes})
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "(none)".to_owned());
        write!(formatter, "{}: {} → {}", self.what, shown(&self.before), shown(&self.after))
    }
}

impl fmt::Display for DeployPlan {
    /// What differs, and every request in whole.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            writeln!(formatter, "  nothing to do")?;
        }
        for change in &self.changes {
            writeln!(formatter, "  {change}")?;
        }
        for note in &self.notes {
            writeln!(formatter, "  note: {note}")?;
        }
        for step in &self.steps {
            writeln!(formatter, "  {}", step.title)?;
            for line in step.request.to_string().lines() {
                writeln!(formatter, "    {line}")?;
            }
        }
        Ok(())
    }
}

impl Change {
    /// As one JSON document.
    pub fn document(&self) -> Value {
        json!({"what": self.what, "before": self.before, "after": self.after})
    }
}
