//! What this run has written itself: ECS lists the deployment of a write some time after it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::state::Write;
use crate::cloud::{Answer, Api, CallError, Cloud, Request};
use crate::deploy::{Change, DeployPlan, Session};

/// What a run remembers of the deployments of a service, by their ARNs.
#[derive(Debug, Default)]
pub(super) struct Memory(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// The newest one at the last look.
    newest: Option<String>,
    /// The last write that was answered, if there was any.
    write: Option<Write>,
}

/// Sends, and notes what was answered: nothing else says that a deployment has begun.
#[derive(Debug)]
struct Noting {
    api: Arc<dyn Api>,
    seen: Arc<Mutex<Seen>>,
    /// Whether a deployment is sure to follow.
    is_sure: bool,
}

impl Memory {
    /// Notes the newest deployment, and gives the last write.
    pub(super) fn look(&self, newest: Option<&str>) -> Option<Write> {
        let mut seen = lock(&self.0);
        seen.newest = newest.map(str::to_owned);
        seen.write.clone()
    }

    /// The session, with what it writes of this plan remembered once it is answered.
    pub(super) fn noting(&self, plan: &DeployPlan, session: &Session) -> Session {
        let api = Arc::clone(&session.api);
        let is_sure = plan.changes.iter().any(makes_revision);
        let mut session = session.clone();
        session.api = Arc::new(Noting { api, seen: Arc::clone(&self.0), is_sure });
        session
    }
}

/// Whether a change is one of what containers are made of. Nobody says whether ECS begins a deployment for
/// others.
fn makes_revision(change: &Change) -> bool {
    let is_left_over = change.what == "task role" && change.after.is_none();
    change.what != "scaling" && !is_left_over && !change.what.starts_with("secret `")
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Api for Noting {
    async fn call(&self, request: &Request) -> Result<Answer, CallError> {
        let answer = self.api.call(request).await?;
        let writes = ["CreateExpressGatewayService", "UpdateExpressGatewayService"];
        if writes.contains(&request.operation) {
            let mut seen = lock(&self.seen);
            seen.write = Some(Write { after: seen.newest.clone(), is_sure: self.is_sure });
        }
        Ok(answer)
    }

    async fn identity(&self, cloud: Cloud) -> Result<String, CallError> {
        self.api.identity(cloud).await
    }

    async fn account(&self) -> Result<String, CallError> {
        self.api.account().await
    }
}
