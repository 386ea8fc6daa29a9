//! x
#[test] fn x(){}
mod files;
