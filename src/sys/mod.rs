//! The machine: clock, environment, commands, files.
//!
//! Everything that reads the process's surroundings goes through here, so that a test can replace
//! it, and so that a stage shows in its arguments what it depends on.

pub mod atomic_file;
pub mod beneath;
mod blocking;
mod blocking_reader;
pub mod clock;
pub mod command;
pub mod environment;
pub mod terminal;

pub use blocking::{blocking, wait_for};
pub use blocking_reader::BlockingReader;
pub use clock::{Clock, ManualClock, SystemClock};
pub use environment::Environment;
