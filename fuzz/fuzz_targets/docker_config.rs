//! Docker's config is read or refused, and what is said of it holds none of its secrets.
#![no_main]

use std::sync::Arc;

use dockless::registry::Keychain as _;
use dockless::registry::keychains::AuthFile;
use dockless::sys::command::{Commands, FakeCommands};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let commands: Arc<dyn Commands> = Arc::new(FakeCommands::default());
    let file = AuthFile::variable("DOCKER_AUTH_CONFIG", text, &commands);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let found = runtime.block_on(file.find(&"r.io/a".parse().unwrap()));
    assert!(text.len() < 200 || !format!("{found:?}").contains(text));
});
