//! What every use case needs of the machine.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::OptionNames;
use crate::event::Events;
use crate::layer::Compressors;
use crate::store::Store;
use crate::sys::command::{Commands, SystemCommands};
use crate::sys::{Clock, Environment, SystemClock};

/// The surroundings of one run.
#[derive(Debug, Clone)]
pub struct Context {
    /// Environment variables.
    pub environment: Environment,
    /// Which options came from there.
    pub option_names: OptionNames,
    /// Where events go.
    pub events: Events,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Other programs.
    pub commands: Arc<dyn Commands>,
    /// The threads that compress layers.
    pub compressors: Compressors,
    /// Set when the run was interrupted: blocking work looks at it.
    pub cancel: CancellationToken,
    /// Runs what is left to do at registries when a run has ended early.
    pub cleanup: TaskTracker,
}

impl Context {
    /// The real surroundings.
    pub fn new(environment: Environment, events: Events) -> Self {
        Self {
            environment,
            option_names: OptionNames::default(),
            events,
            clock: Arc::new(SystemClock),
            commands: Arc::new(SystemCommands),
            compressors: Compressors::new(Self::threads()),
            cancel: CancellationToken::new(),
            cleanup: TaskTracker::new(),
        }
    }

    /// How many threads pack.
    pub(super) fn threads() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// The store in the user's cache folder, or, where that cannot be used, one for this run only
    /// (L7).
    pub(super) fn store(&self) -> crate::error::Result<Store> {
        let reason = match self.environment.cache_dir() {
            None => "no home folder is known".to_owned(),
            Some(directory) => match Store::open(&directory) {
                Ok(store) => return Ok(store.with_events(&self.events)),
                Err(error) => error.to_string(),
            },
        };
        self.events.warn(
            "no-cache",
            format!("going on without a cache: {reason}"),
            Some("set DOCKLESS_CACHE_DIR to a folder that can be written".into()),
        );
        Ok(Store::temporary()?.with_events(&self.events))
    }
}
