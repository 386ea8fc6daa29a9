//! A challenge that is accepted leads to a place that passwords may go to.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| dockless::registry::fuzzing::challenge(text));
