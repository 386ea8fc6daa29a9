//! Shows nothing: `-q` and `--progress none`.

use super::Renderer;
use crate::event::Event;

/// Drops every event; errors are shown by the edge itself.
#[derive(Debug)]
pub(super) struct Quiet;

impl Renderer for Quiet {
    fn show(&mut self, _event: Event) {}
}
