//! What stories need around them: registries, servers that misbehave on purpose.

pub(crate) mod fault_proxy;
pub(crate) mod registry;
pub(crate) mod server;
