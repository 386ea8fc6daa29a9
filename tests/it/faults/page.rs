//! `docs/faults.md`: the matrix as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::peers::Fate;
use super::row::{End, Operation, Row};

/// What one peer did in each row, by the row's place; rows that it was not run in are missing.
#[derive(Debug)]
pub(super) struct Column {
    /// Name and version.
    pub(super) title: String,
    pub(super) fates: BTreeMap<usize, Fate>,
}

/// How our own operations ended, by the row's place.
pub(super) type Ours = BTreeMap<usize, BTreeMap<Operation, Fate>>;

/// The whole page.
pub(super) fn page(rows: &[Row], ours: &Ours, peers: &[Column], date: &str) -> String {
    let mut page = format!("{HEAD}\nRun on {date} by `tests/run faults`.\n\n");
    summary(&mut page, rows, ours, peers);
    let titles: Vec<_> = peers.iter().map(|peer| peer.title.as_str()).collect();
    let _ = write!(page, "\n## Every row\n\n| | fault | at | right answer | dockless |");
    for title in &titles {
        let _ = write!(page, " {title} |");
    }
    let _ = writeln!(page, "\n|{}", "---|".repeat(5 + titles.len()));
    for (place, row) in rows.iter().enumerate() {
        let _ = write!(
            page,
            "| N{} | {} | {} | {} | {} |",
            row.number,
            row.fault,
            row.point.name(),
            right_answer(row.end),
            our_cell(row.end, &ours[&place]),
        );
        for peer in peers {
            let cell = peer.fates.get(&place).map_or("", |fate| fate.cell(row.end));
            let _ = write!(page, " {cell} |");
        }
        page.push('\n');
    }
    page.push_str(TAIL);
    page
}

const HEAD: &str = "# The fault matrix

What happens when one thing goes wrong between a client and its registry. A proxy stands before a real registry
(docker-registry) and does one wrong thing; afterwards tag and blobs are read back from the registry and hashed again.
`yes`: the client ended with the right answer. Blank: the peer was not run, or never sends that request.
";

const TAIL: &str = "
The operations: `push` an image of one layer, push an `index` of two platforms, `mount` a layer that another repository
has, `pull` a base with its layers. Peers do one push or one pull per row. Their waits are real, and one that has not
ended after 45 seconds counts as hanging, also where it may still be trying; ours go through a clock that the test holds.

Faults that are not made by a proxy have stories of their own in `tests/it`: TLS, names that do not resolve, ports where
nobody listens, proxies, two pushes of one tag, signals, referrers.
";

/// A heading, and which rows count below it.
type Group = (&'static str, fn(&Row) -> bool);

/// What the rows of a client are counted by.
const GROUPS: [Group; 3] = [
    ("transient faults of a push, survived", |row| row.end == End::Survives && is_push(row)),
    ("transient faults of a pull, survived", |row| row.end == End::Survives && !is_push(row)),
    ("permanent faults, refused", |row| row.end != End::Survives),
];

fn summary(page: &mut String, rows: &[Row], ours: &Ours, peers: &[Column]) {
    let names = GROUPS.map(|group| group.0).join(" | ");
    let _ = writeln!(page, "| client | {names} | broken tags | false answers | hangs |");
    let _ = writeln!(page, "|---|---|---|---|---|---|---|");
    let own =
        ours.iter().flat_map(|(place, fates)| fates.values().map(move |fate| (*place, *fate)));
    line(page, &format!("dockless {}", env!("CARGO_PKG_VERSION")), rows, &own.collect::<Vec<_>>());
    for peer in peers {
        let fates: Vec<_> = peer.fates.iter().map(|(place, fate)| (*place, *fate)).collect();
        line(page, &peer.title, rows, &fates);
    }
}

/// The sums of one client.
fn line(page: &mut String, title: &str, rows: &[Row], fates: &[(usize, Fate)]) {
    let _ = write!(page, "| {title} |");
    for (_, belongs) in GROUPS {
        let reached = fates
            .iter()
            .filter(|(place, fate)| belongs(&rows[*place]) && *fate != Fate::NotReached);
        let reached: Vec<bool> =
            reached.map(|(place, fate)| fate.is_right(rows[*place].end)).collect();
        let right = reached.iter().filter(|is_right| **is_right).count();
        let _ = write!(page, " {right} of {} |", reached.len());
    }
    let count = |wanted: &[Fate]| fates.iter().filter(|(_, fate)| wanted.contains(fate)).count();
    let _ = writeln!(
        page,
        " {} | {} | {} |",
        count(&[Fate::BrokenTag]),
        count(&[Fate::FalseFailure, Fate::FalseSuccess]),
        count(&[Fate::Hangs]),
    );
}

fn is_push(row: &Row) -> bool {
    !row.operations().contains(&Operation::Pull)
}

fn right_answer(end: End) -> &'static str {
    match end {
        End::Survives => "go on",
        End::Refuses => "refuse at once",
        End::GivesUp => "give up",
    }
}

fn our_cell(end: End, fates: &BTreeMap<Operation, Fate>) -> String {
    let words = fates.iter().map(|(operation, fate)| {
        let name = operation.name();
        if fate.is_right(end) { name.to_owned() } else { format!("{name}: {}", fate.cell(end)) }
    });
    format!("yes: {}", words.collect::<Vec<_>>().join(", "))
}
