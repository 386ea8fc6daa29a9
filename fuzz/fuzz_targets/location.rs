//! A `Location` that is accepted is no step down, and takes a digest.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| dockless::registry::fuzzing::location(text));
