//! What stories need around them: registries, images.

pub mod image;
pub mod registry;
