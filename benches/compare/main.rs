//! dockless beside crane, buildah and docker: `cargo bench --bench compare`.
//!
//! Every tool builds the same project on the same base and pushes it to a registry of its own on
//! loopback, in turns; what is printed are medians, and ratios to crane. Then dockless alone: how its
//! time and memory grow with files and bytes, and how long it takes to start. See benches/README.md;
//! start reading at `comparison`.

#![expect(clippy::disallowed_methods, reason = "a bench drives the real machine")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::print_stderr, reason = "and on the side what it is doing")]
#![expect(clippy::cast_precision_loss, reason = "figures for people need no more digits")]

mod base;
mod comparison;
mod curve;
mod machine;
mod measure;
mod processes;
mod project;
#[path = "../support/registry.rs"]
mod registry;
mod relay;
mod scenario;
mod startup;
mod table;
mod tool;
mod tools;
#[path = "../support/tree.rs"]
mod tree;
mod workplace;

use std::fmt::Write as _;
use std::fs;

use clap::{Parser, ValueEnum};

use comparison::Comparison;
use scenario::Scenario;
use workplace::Workplace;

/// Where `--write-results` writes.
const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/RESULTS.md");

/// Runs dockless beside other tools, and prints medians and ratios
#[derive(Debug, Parser)]
struct Options {
    /// How often everything is measured, after a first round that is not counted
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Only these tools
    #[arg(long, value_delimiter = ',')]
    tools: Vec<String>,
    /// Write what is printed to benches/RESULTS.md, too; takes a whole run
    #[arg(long, conflicts_with_all = ["only", "tools"])]
    write_results: bool,
    /// Said by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// What can be asked for by `--only`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    First,
    Unchanged,
    Fresh,
    Changed,
    FreshChanged,
    Files,
    Bytes,
    Startup,
}

impl Options {
    fn has(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

fn main() {
    if measure::is_asked() {
        return measure::run_script();
    }
    let options = Options::parse();
    workplace::keep_going_when_interrupted();
    let place = Workplace::new();
    let asked: Vec<_> = Scenario::ALL.into_iter().filter(|one| options.has(one.part())).collect();
    // What is measured of dockless alone needs no other.
    let names = if asked.is_empty() { vec!["dockless".to_owned()] } else { options.tools.clone() };
    let (tools, missing) = tools::find(&place.folder("tools"), &names);
    let mut text = machine::describe(&tools, &missing);

    if !asked.is_empty() {
        let comparison = Comparison::new(&place, tools);
        text += &comparison.run(&asked, options.rounds);
    }
    let files = options.has(Part::Files).then(|| curve::files(&place));
    let bytes = options.has(Part::Bytes).then(|| curve::bytes(&place));
    for table in files.into_iter().chain(bytes) {
        write!(text, "\n{table}").expect("text takes everything");
    }
    if options.has(Part::Startup) {
        write!(text, "\n{}", startup::table(&place)).expect("text takes everything");
    }
    println!("{text}");
    if options.write_results {
        fs::write(RESULTS, text).expect("the checkout can be written");
    }
}
