//! What is parsed prints as something that parses to the same.
#![no_main]

use dockless::oci::{Digest, Platform, Reference, Repository};
use libfuzzer_sys::fuzz_target;

fn prints_what_it_parsed<T>(text: &str)
where
    T: std::str::FromStr + std::fmt::Display + PartialEq + std::fmt::Debug,
    T::Err: std::fmt::Debug + std::fmt::Display,
{
    match text.parse::<T>() {
        Ok(value) => assert_eq!(value.to_string().parse::<T>().expect("it prints what it parses"), value),
        Err(error) => assert!(!error.to_string().contains('\u{1b}')),
    }
}

fuzz_target!(|text: &str| {
    prints_what_it_parsed::<Reference>(text);
    prints_what_it_parsed::<Repository>(text);
    prints_what_it_parsed::<Digest>(text);
    prints_what_it_parsed::<Platform>(text);
});
