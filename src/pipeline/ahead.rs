//! Layers that are made while a base is still being read.
//!
//! What is in a base decides little of our layers: the modes and owners of folders that it has, and
//! where its links lead. So the plan for a base without any files is a good guess, and what it says is
//! packed meanwhile. What the plan itself does not ask for stays in the cache and goes nowhere.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::layers::{Begun, Layers};
use super::produce::layers_at_once;
use crate::plan::{LayerPlan, Plan};

/// Layers on their way; none at first. What is not done when it is dropped is given up.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    layers: Vec<(Arc<LayerPlan>, Begun)>,
    working: JoinSet<()>,
}

impl Ahead {
    /// Begins with the layers of a plan that may not be the last word.
    pub(super) fn begin(guess: Plan, layers: Arc<Layers>) -> Self {
        let mut ahead = Self::default();
        let mut orders = Vec::new();
        for plan in guess.images.into_iter().flat_map(|image| image.layers) {
            if ahead.layers.iter().any(|(known, _)| **known == plan) {
                continue;
            }
            let (plan, (sender, receiver)) = (Arc::new(plan), oneshot::channel());
            orders.push((plan.clone(), sender));
            ahead.layers.push((plan, receiver));
        }
        ahead.working.spawn(async move {
            let prepare = async |(plan, mut sender): (Arc<LayerPlan>, oneshot::Sender<_>)| {
                let prepared = tokio::select! {
                    biased;
                    () = sender.closed() => return,
                    prepared = layers.prepare(&plan) => prepared,
                };
                // It fails when nobody waits any more.
                let _ = sender.send(prepared);
            };
            stream::iter(orders.into_iter().map(prepare))
                .buffer_unordered(layers_at_once())
                .collect::<()>()
                .await;
        });
        ahead
    }

    /// Gives up what the plan does not ask for.
    pub(super) fn keep(&mut self, plan: &Plan) {
        let wanted: Vec<_> = plan.images.iter().flat_map(|image| &image.layers).collect();
        self.layers.retain(|(layer, _)| wanted.contains(&&**layer));
    }

    /// The layer of a plan, when it was begun.
    pub(super) fn take(&mut self, plan: &LayerPlan) -> Option<Begun> {
        let place = self.layers.iter().position(|(layer, _)| **layer == *plan)?;
        Some(self.layers.swap_remove(place).1)
    }
}
