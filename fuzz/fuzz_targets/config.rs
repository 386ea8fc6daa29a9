//! Reading a config never panics, and its problems can be shown.
#![no_main]

use dockless::config::{Node, Problems};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut problems = Problems::new();
    let node = Node::parse_yaml(text, "fuzz.yaml", &mut problems);
    assert!(node.is_some() || !problems.is_empty(), "what is not read has a reason");
    let _ = problems.to_string();
});
