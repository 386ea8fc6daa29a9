//! What the comparison needs of a tool.

use std::fmt::Debug;

/// Builds an image and pushes it.
pub(crate) trait Tool: Debug {
    fn name(&self) -> &'static str;

    /// What it says of its version.
    fn version(&self) -> String;

    /// What is measured, as a line of shell: makes an image of `$PROJECT` on `$BASE` and pushes it
    /// as `$TARGET`.
    fn script(&self) -> &'static str;

    /// Variables for the line, besides those.
    fn variables(&self) -> Vec<(&'static str, String)>;

    /// Empties its caches.
    fn forget(&self);

    /// The process that does the work where it is not the line's own.
    fn daemon(&self) -> Option<u32> {
        None
    }
}
