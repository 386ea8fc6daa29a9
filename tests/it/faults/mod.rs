//! The fault matrix: every fault of the catalogue, between a client and a real registry.
//!
//! Each row is run for one operation; `tests/run faults` runs every row for every operation, the
//! peers that are installed on the same rows, and writes `docs/faults.md`.

mod catalogue;
mod evidence;
mod operations;
mod page;
mod peers;
mod row;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dockless::event::Events;
use dockless::oci::Digest;
use dockless::publish::PublishContext;
use futures_util::{StreamExt as _, stream};
use tokio::time::error::Elapsed;

use self::evidence::Evidence;
use self::operations::{Images, Run, TAG, client, publish};
use self::page::{Column, Ours, STORIES, expected_line, page};
use self::peers::{Fate, Home, Job, PEERS, Peer};
use self::row::{End, Login, Operation, Row};
use super::support::fault_proxy::{FaultProxy, Gate};
use super::support::image::{publish_context, repository};
use super::support::registry::Registry;
use super::support::tokens::{TokenServer, moved};

/// Runs at the same time: most of one is waiting for the registry.
const CONCURRENT_RUNS: usize = 4;
/// No wait is real and no stall is longer than two seconds: who takes longer hangs.
const LIMIT: Duration = Duration::from_mins(1);

/// What the matrix is run against.
struct Ground {
    registry: Registry,
    images: Images,
    rows: Vec<Row>,
    /// Serves the same registry under another origin, without faults.
    _elsewhere: FaultProxy,
}

/// The proxies of one run; they end with it.
struct Way {
    proxy: FaultProxy,
    _tokens: Option<(TokenServer, FaultProxy)>,
}

impl Ground {
    async fn new() -> Self {
        let registry = Registry::start();
        let elsewhere = FaultProxy::start(&registry.host()).await;
        let rows = catalogue::rows(&format!("http://{}", elsewhere.server().host()));
        Self { registry, images: Images::new(), rows, _elsewhere: elsewhere }
    }

    /// Pushes what is there before an operation, straight to the registry.
    async fn prepare(&self, operation: Operation, name: &str) {
        let name = match operation {
            Operation::Push | Operation::Index => return,
            Operation::Mount => format!("{name}-base"),
            Operation::Pull | Operation::Attach => name.to_owned(),
        };
        let to = format!("{}/{name}", self.registry.host());
        publish(&to, &self.images.single, &self.context()).await.unwrap();
    }

    /// Publishes without faults.
    fn context(&self) -> PublishContext {
        publish_context(&self.images.store, &client(false).0, &Events::none())
    }

    /// The way to the registry on which a row's fault lies.
    async fn way(&self, row: &Row) -> Way {
        let upstream = self.registry.host();
        let (gate, tokens) = match &row.login {
            Some(login) => {
                let (gate, tokens) = token_server(login).await;
                (gate, Some(tokens))
            }
            None => (Arc::new(|_: &_| None) as Gate, None),
        };
        let proxy = FaultProxy::start_gated(&upstream, gate).await;
        proxy.at(row.point, row.script.clone());
        Way { proxy, _tokens: tokens }
    }

    /// Runs one operation through one fault.
    async fn run(&self, row: &Row, operation: Operation) -> Ending {
        let name = format!("{}/{}", operation.name(), fastrand::u64(..));
        self.prepare(operation, &name).await;
        let way = self.way(row).await;
        let (client, clock) = client(row.is_stall());
        let folder = tempfile::tempdir().unwrap();
        let layout = folder.path().join("layout");
        let host = way.proxy.server().host();
        let run = Run {
            images: &self.images,
            operation,
            host: &host,
            name: &name,
            client,
            folder: &layout,
        };
        let result = tokio::time::timeout(LIMIT, run.perform()).await;
        let evidence = match operation {
            Operation::Pull => evidence::of_layout(&layout),
            Operation::Attach => self.attached(&name).await,
            _ => evidence::of_tag(&self.registry.host(), &name, TAG).await,
        };
        if let Evidence::Whole(digest) = evidence {
            assert_eq!(digest, self.expected(operation), "{}", row.name());
        }
        let code = result.as_ref().ok().map(|result| i32::from(result.is_err()));
        Ending {
            fate: way.fate(row, code, &evidence),
            is_tried_again: !clock.waits().is_empty(),
            said: result.map(|result| result.map_err(|error| error.lines().join(": "))),
        }
    }

    /// What must be there in the end: for an attachment, the one referrer that is listed.
    fn expected(&self, operation: Operation) -> Digest {
        match operation {
            Operation::Attach => self.images.referrer().descriptor.digest,
            _ => self.images.of(operation).descriptor().digest,
        }
    }

    /// The referrer that the image has, if everything below it is there.
    async fn attached(&self, name: &str) -> Evidence {
        let (host, subject) = (self.registry.host(), self.expected(Operation::Push));
        match evidence::of_tag(&host, name, &format!("sha256-{}", subject.hex())).await {
            Evidence::Whole(_) => {
                let repository = repository(&host, name);
                let listed = client(false).0.referrers(&repository, &subject, None).await.unwrap();
                assert_eq!(listed.len(), 1, "{listed:#?}");
                Evidence::Whole(listed[0].digest)
            }
            other => other,
        }
    }

    /// Runs every row with a peer.
    async fn run_peer(&self, peer: &Peer, home: &Home, layout: &Path) -> BTreeMap<usize, Fate> {
        peer.load(home, layout).await;
        let mut fates = BTreeMap::new();
        // Pushes first: to pull, some have to forget the image.
        for is_pull in [false, true] {
            for (place, row) in self.rows.iter().enumerate() {
                let operation = row.operations()[0];
                if (operation == Operation::Pull) == is_pull && operation != Operation::Mount {
                    fates.insert(place, self.run_peer_once(peer, home, layout, row).await);
                }
            }
        }
        fates
    }

    async fn run_peer_once(&self, peer: &Peer, home: &Home, layout: &Path, row: &Row) -> Fate {
        let operation = row.operations()[0];
        let name = format!("peer/{}", fastrand::u64(..));
        self.prepare(operation, &name).await;
        let way = self.way(row).await;
        let folder = tempfile::tempdir().unwrap();
        let reference = format!("{}/{name}:{TAG}", way.proxy.server().host());
        let job =
            Job { operation, layout, reference: &reference, out: &folder.path().join("layout") };
        let (code, left) = peer.run(home, &job).await;
        let evidence = match left {
            Some(left) => left,
            None => evidence::of_tag(&self.registry.host(), &name, TAG).await,
        };
        way.fate(row, code, &evidence)
    }
}

/// How one of our own runs ended.
struct Ending {
    fate: Fate,
    is_tried_again: bool,
    /// What it said, when it said anything.
    said: Result<Result<(), String>, Elapsed>,
}

impl Ending {
    /// Whether it is what the row asks for: what will not heal is not tried again.
    fn is_right(&self, row: &Row) -> bool {
        let is_patience_right = match row.end {
            End::Survives => true,
            End::Refuses => !self.is_tried_again,
            End::GivesUp => self.is_tried_again,
        };
        is_patience_right && self.fate.is_right(row.end)
    }
}

impl Way {
    /// A row without a fault proves nothing, whatever came of it.
    fn fate(&self, row: &Row, code: Option<i32>, evidence: &Evidence) -> Fate {
        if row.login.is_none() && self.proxy.hits() == 0 {
            return Fate::NotReached;
        }
        Fate::of(code, evidence)
    }
}

/// A token server with a bad day, and the gate that sends everybody there.
async fn token_server(login: &Login) -> (Gate, (TokenServer, FaultProxy)) {
    let tokens = TokenServer::start(login.uses, None).await;
    let troubled = FaultProxy::start(&tokens.server.host()).await;
    troubled.on("GET", "/token", login.script.clone());
    let gate = moved(tokens.gate(), tokens.server.host(), troubled.server().host());
    let (before, after) = login.around;
    let gate: Gate = Arc::new(move |request| {
        let mut answer = gate(request)?;
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
        let challenge = format!("{before}{challenge}{after}").parse().unwrap();
        answer.headers_mut().insert("www-authenticate", challenge);
        Some(answer)
    });
    (gate, (tokens, troubled))
}

/// Runs these pairs, several at a time.
async fn run_all(
    ground: &Ground,
    pairs: Vec<(usize, Operation)>,
) -> Vec<(usize, Operation, Ending)> {
    let runs = pairs.into_iter().map(|(place, operation)| async move {
        (place, operation, ground.run(&ground.rows[place], operation).await)
    });
    stream::iter(runs.collect::<Vec<_>>()).buffer_unordered(CONCURRENT_RUNS).collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_ends_as_it_should() {
    let ground = Ground::new().await;
    let is_whole = std::env::var_os("DOCKLESS_FAULTS").is_some();
    let pairs = ground.rows.iter().enumerate().flat_map(|(place, row)| {
        let operations = row.operations();
        let one = operations[place % operations.len()];
        let chosen = move |operation: &&Operation| is_whole || **operation == one;
        operations.iter().filter(chosen).map(move |operation| (place, *operation))
    });
    let mut ours = Ours::new();
    let mut wrong = Vec::new();
    for (place, operation, ending) in run_all(&ground, pairs.collect()).await {
        let row = &ground.rows[place];
        ours.entry(place).or_default().insert(operation, ending.fate);
        if !ending.is_right(row) {
            let Ending { fate, is_tried_again, said } = ending;
            let tries = if is_tried_again { "tried again" } else { "tried once" };
            wrong.push(format!(
                "{}, {}: {fate:?}, {tries}: {said:?}",
                row.name(),
                operation.name()
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    if is_whole {
        let columns = run_peers(&ground).await;
        let date = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
        std::fs::write(path, page(&ground.rows, &ours, &columns, &date)).unwrap();
    }
}

/// Runs the peers that are installed, all at the same time: most of it is waiting.
async fn run_peers(ground: &Ground) -> Vec<Column> {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    let context = ground.context();
    publish(&format!("oci:{}", layout.display()), &ground.images.single, &context).await.unwrap();
    let home = Home::new();
    let (home, layout) = (&home, &layout);
    let runs = PEERS.iter().filter_map(|peer| {
        let title = format!("{} {}", peer.name, peer.version(home)?);
        Some(async move { Column { title, fates: ground.run_peer(peer, home, layout).await } })
    });
    futures_util::future::join_all(runs).await
}

/// The page is about the rows that there are, and the stories that it names exist.
#[tokio::test]
async fn the_page_has_every_row() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/faults.md")).unwrap();
    let (table, stories) = text.split_once("## What has a story").expect("it has both parts");
    let rows = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with("| N")).map(str::to_owned).collect()
    };
    let (written, catalogue) = (rows(table), catalogue::rows("http://elsewhere"));
    assert_eq!(written.len(), catalogue.len(), "write it anew: tests/run faults");
    for (line, row) in written.iter().zip(&catalogue) {
        let expected = expected_line(row);
        assert!(
            line.starts_with(&expected),
            "write it anew (tests/run faults): {expected} is {line}"
        );
    }
    let sources = [root.join("tests/it"), root.join("src/registry")];
    let sources: String = sources.iter().flat_map(|folder| rust_files(folder)).collect();
    assert_eq!(rows(stories).len(), STORIES.len(), "write it anew: tests/run faults");
    for (number, _, story) in STORIES {
        assert!(sources.contains(&format!("fn {story}()")), "no `{story}`");
        assert!(!catalogue.iter().any(|row| row.number == number), "N{number} has rows");
    }
    let numbers: BTreeSet<u32> =
        catalogue.iter().map(|row| row.number).chain(STORIES.map(|story| story.0)).collect();
    assert_eq!(numbers, (1..=60).collect(), "every number of the catalogue is proved somewhere");
}

/// The text of every source file below a folder.
fn rust_files(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.push(std::fs::read_to_string(&path).unwrap());
        }
    }
    texts
}
