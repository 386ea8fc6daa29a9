//! Runs every scenario with every tool, in turns.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::base::{self, Base};
use super::measure::{Usage, measure};
use super::processes;
use super::project::Project;
use super::registry::Registry;
use super::relay::{Relay, Traffic};
use super::scenario::Scenario;
use super::table::{Table, median, megabytes, ratio};
use super::tool::Tool;
use super::workplace::{self, Workplace};

/// The tool that ratios are to.
const REFERENCE: &str = "crane";

/// What is compared, and where.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    place: &'a Workplace,
    project: Project,
    base: Base,
    lanes: Vec<Lane>,
}

/// A tool and what was seen of it.
#[derive(Debug)]
struct Lane {
    tool: Box<dyn Tool>,
    samples: Vec<Sample>,
    traffic: Vec<(Scenario, Traffic)>,
}

/// One push.
#[derive(Debug)]
struct Sample {
    scenario: Scenario,
    usage: Usage,
    requests: usize,
    stored: u64,
}

/// A registry for one tool and one round.
#[derive(Debug)]
struct Stand {
    registry: Registry,
    relay: Option<Relay>,
    folder: PathBuf,
}

impl<'a> Comparison<'a> {
    pub(crate) fn new(place: &'a Workplace, tools: Vec<Box<dyn Tool>>) -> Self {
        let lane = |tool| Lane { tool, samples: Vec::new(), traffic: Vec::new() };
        Self {
            place,
            project: Project::generate(&place.folder("project")),
            base: Base::make(place),
            lanes: tools.into_iter().map(lane).collect(),
        }
    }

    /// Runs so many rounds, and one before them that only counts bytes; gives a table per scenario.
    pub(crate) fn run(mut self, asked: &[Scenario], rounds: u64) -> String {
        for round in 0..=rounds {
            eprintln!("round {round} of {rounds}");
            self.round(asked, round);
        }
        let mut text = String::new();
        for scenario in asked {
            write!(text, "\n{}", self.table(*scenario)).expect("text takes everything");
        }
        text
    }

    fn round(&mut self, asked: &[Scenario], round: u64) {
        self.project.restore();
        let stands: Vec<Stand> = self.lanes.iter().map(|lane| self.stand(lane, round)).collect();
        for scenario in Scenario::ALL {
            // The others push to where the first has pushed.
            if scenario != Scenario::First && !asked.contains(&scenario) {
                continue;
            }
            if scenario.has_change() {
                self.project.change(&format!("{scenario:?} in round {round}"));
            }
            if scenario.is_fresh() {
                self.lanes.iter().for_each(|lane| lane.tool.forget());
            }
            workplace::settle();
            // Nobody always comes first.
            for turn in 0..self.lanes.len() {
                let place = (turn + usize::try_from(round).unwrap_or(0)) % self.lanes.len();
                let (lane, stand) = (&mut self.lanes[place], &stands[place]);
                lane.push(scenario, stand, &self.project);
            }
        }
        for Stand { registry, relay, folder } in stands {
            drop((registry, relay));
            workplace::remove(&folder);
        }
    }

    /// Starts a registry that has only the base; the first round's is behind a relay.
    fn stand(&self, lane: &Lane, round: u64) -> Stand {
        let folder = self.place.folder(&format!("registry-{}-{round}", lane.tool.name()));
        let registry = self.base.registry(&folder);
        let relay = (round == 0).then(|| Relay::start(registry.port));
        Stand { registry, relay, folder }
    }

    fn table(&self, scenario: Scenario) -> Table {
        let mut table = Table::new(
            scenario.title(),
            &[
                "",
                "wall s",
                "ratio",
                "CPU s",
                "peak MB",
                "requests",
                "sent MB",
                "received MB",
                "stored MB",
            ],
        );
        let wall = |lane: &Lane| {
            median(lane.samples(scenario).map(|sample| sample.usage.wall.as_secs_f64()))
        };
        let reference = self.lanes.iter().find(|lane| lane.tool.name() == REFERENCE).map(wall);
        for lane in &self.lanes {
            let of = |value: fn(&Sample) -> f64| median(lane.samples(scenario).map(value));
            let traffic = lane.traffic.iter().find(|(of, _)| *of == scenario);
            let Traffic { sent, received } =
                traffic.map(|(_, traffic)| *traffic).unwrap_or_default();
            table.row([
                lane.tool.name().to_owned(),
                format!("{:.3}", wall(lane)),
                reference.map_or("–".to_owned(), |reference| ratio(wall(lane) / reference)),
                format!("{:.3}", of(|sample| sample.usage.cpu.as_secs_f64())),
                format!("{:.0}", of(|sample| sample.usage.peak_bytes as f64) / 1e6),
                format!("{:.0}", of(|sample| sample.requests as f64)),
                megabytes(sent as f64),
                megabytes(received as f64),
                megabytes(of(|sample| sample.stored as f64)),
            ]);
        }
        table.note(&format!("To reach: a ratio of {} to {REFERENCE}.", scenario.goal()));
        table
    }
}

impl Lane {
    fn samples(&self, scenario: Scenario) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.scenario == scenario)
    }

    /// Pushes once and keeps what it took; a push through a relay only says how many bytes it took.
    fn push(&mut self, scenario: Scenario, stand: &Stand, project: &Project) {
        let Stand { registry, relay, .. } = stand;
        let host =
            format!("127.0.0.1:{}", relay.as_ref().map_or(registry.port, |relay| relay.port));
        let mut variables = self.tool.variables();
        variables.extend([
            ("PROJECT", project.root.display().to_string()),
            ("BASE", format!("{host}/{}", base::NAME)),
            ("TARGET", format!("{host}/acme/agent:v1")),
        ]);
        let (requests, stored) = (registry.requests().len(), registry.stored_bytes());
        let before = relay.as_ref().map(Relay::traffic).unwrap_or_default();
        let usage = measure_with_daemon(self.tool.as_ref(), &variables);
        eprintln!("  {scenario:?}, {}: {:.2} s", self.tool.name(), usage.wall.as_secs_f64());
        if let Some(relay) = relay {
            let after = relay.traffic();
            let sent = after.sent - before.sent;
            let received = after.received - before.received;
            self.traffic.push((scenario, Traffic { sent, received }));
            return;
        }
        self.samples.push(Sample {
            scenario,
            usage,
            requests: registry.requests().len() - requests,
            // What a cancelled upload takes with it makes the store smaller.
            stored: registry.stored_bytes().saturating_sub(stored),
        });
    }
}

/// Measures the tool's line together with what its daemon did meanwhile.
fn measure_with_daemon(tool: &dyn Tool, variables: &[(&str, String)]) -> Usage {
    let Some(daemon) = tool.daemon() else { return measure(tool.script(), variables) };
    processes::forget_peak(daemon);
    let before = processes::cpu(daemon);
    let mut usage = measure(tool.script(), variables);
    usage.cpu += processes::cpu(daemon).saturating_sub(before);
    usage.peak_bytes += processes::peak_bytes(daemon);
    usage
}
