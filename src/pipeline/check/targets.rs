//! Whether the targets of an environment can be looked at, and as whom.

use std::fmt::Write as _;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::deploy::{Subject, Target};
use crate::error::Result;
use crate::pipeline::clouds::Clouds;
use crate::pipeline::environment::Chosen;

/// What one target said.
#[derive(Debug)]
pub(super) struct TargetCheck {
    target: &'static str,
    subject: Subject,
    /// Whose platform it is, and who we are there.
    cloud: Option<&'static str>,
    identity: Option<String>,
    /// What is there, in a few words.
    pub(super) result: Result<String>,
}

/// Asks every target of an environment, all at the same time; writes nothing.
pub(super) async fn check(chosen: &Chosen, clouds: &Clouds) -> Vec<TargetCheck> {
    join_all(chosen.targets.iter().map(|target| one(target.as_ref(), clouds))).await
}

async fn one(target: &dyn Target, clouds: &Clouds) -> TargetCheck {
    let cloud = target.kind().cloud;
    let mut check = TargetCheck {
        target: target.kind().name,
        subject: target.subject(),
        cloud: cloud.map(crate::cloud::Cloud::title),
        identity: None,
        result: Ok(String::new()),
    };
    if let Some(cloud) = cloud {
        match clouds.api().identity(cloud).await {
            Ok(identity) => check.identity = Some(identity),
            Err(error) => {
                check.result = Err(error.into());
                return check;
            }
        }
    }
    check.result = target.observe(&clouds.looking()).await.map(|observed| match observed.service {
        None => "not deployed yet".to_owned(),
        Some(service) => match service.image {
            Some(image) => format!("{}, runs {image}", service.state.name()),
            None => service.state.name().to_owned(),
        },
    });
    check
}

impl TargetCheck {
    /// Writes the block of this check.
    pub(super) fn write(&self, text: &mut String) {
        let _ = writeln!(text, "{}", self.subject);
        if let Some(identity) = &self.identity {
            let _ = writeln!(text, "    as {identity}");
        }
        match &self.result {
            Ok(found) => {
                let _ = writeln!(text, "  {found}");
            }
            Err(error) => {
                let _ = writeln!(text, "  FAILED\n    error: {error}");
                for hint in error.hints() {
                    let _ = writeln!(text, "    hint: {hint}");
                }
            }
        }
    }

    /// As one JSON document.
    pub(super) fn document(&self) -> Value {
        let error = self.result.as_ref().err();
        json!({
            "target": self.target,
            "name": self.subject.name,
            "place": self.subject.place,
            "cloud": self.cloud,
            "identity": self.identity,
            "found": self.result.as_ref().ok(),
            "error": error.map(super::error_document),
        })
    }
}
