//! What is shown of an error is short and fit for a terminal.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| dockless::registry::fuzzing::error_body(bytes));
