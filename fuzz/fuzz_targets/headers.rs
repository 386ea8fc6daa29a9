//! `Content-Range`, `Link` and `Retry-After` are read or passed over.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| dockless::registry::fuzzing::headers(text));
