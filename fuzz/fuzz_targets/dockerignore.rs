//! Reading patterns and matching paths never panics; asking for a path as a whole, or part by part
//! as a walk does, gives the same answer.
#![no_main]

use dockless::plan::pattern::PatternSet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &str)| {
    let (patterns, path) = input;
    let Ok(set) = PatternSet::parse_file(patterns, ".dockerignore") else { return };
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != "." && *part != "..").collect();
    let mut verdict = None;
    for depth in 1..=parts.len() {
        verdict = Some(set.matches(&parts[..depth].join("/"), verdict.as_ref()));
    }
    if let Some(verdict) = verdict {
        assert_eq!(verdict, set.matches_from_root(&parts.join("/")));
    }
});
