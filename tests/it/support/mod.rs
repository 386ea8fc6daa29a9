//! What the stories share: the binary under test, registries, servers that misbehave on purpose,
//! images.

pub(crate) mod authority;
pub(crate) mod child;
pub(crate) mod cli;
pub(crate) mod containerd;
pub(crate) mod docker;
pub(crate) mod fault_proxy;
pub(crate) mod image;
pub(crate) mod machine;
pub(crate) mod point;
pub(crate) mod proxy;
pub(crate) mod registry;
pub(crate) mod server;
pub(crate) mod tokens;
pub(crate) mod tracer;
