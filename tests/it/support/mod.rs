//! What stories need around them: registries, servers that misbehave on purpose, images.

pub mod fault_proxy;
pub mod image;
pub mod registry;
pub mod server;
