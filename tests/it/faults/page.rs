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
    for (number, fault, story) in STORIES {
        let _ = writeln!(page, "| N{number} | {fault} | `{story}` |");
    }
    page
}

/// How the line of a row begins when everything ended as it should.
pub(super) fn expected_line(row: &Row) -> String {
    let operations: Vec<_> = row.operations().iter().map(|operation| operation.name()).collect();
    let (number, fault, point) = (row.number, &row.fault, row.point.name());
    let (answer, operations) = (right_answer(row.end), operations.join(", "));
    format!("| N{number} | {fault} | {point} | {answer} | yes: {operations} |")
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

A client that sends a blob in one `PUT` meets `blob bytes` and `blob commit` in the same request.

## What has a story of its own

What no such proxy can make is proved by stories and tests of their own, for dockless alone:

| | fault | proved by |
|---|---|---|
";

/// The numbers that no row has: what goes wrong, and the test that makes it.
pub(super) const STORIES: [(u32, &str, &str); 15] = [
    (
        28,
        "Location with a query of its own",
        "the_digest_is_added_and_the_rest_of_the_query_stays_byte_for_byte",
    ),
    (43, "no referrers API", "a_registry_without_the_api_gets_an_index_under_a_tag"),
    (43, "an HTML page in place of referrers", "a_page_for_people_is_no_list"),
    (45, "immutable tags", "an_immutable_tag_says_what_would_have_moved"),
    (48, "certificates that are wrong", "says_what_is_wrong_with_a_certificate"),
    (48, "an old version of TLS", "a_server_that_does_not_agree_to_tls_is_not_asked_twice"),
    (49, "plain http and TLS mixed up", "tls_is_found_on_loopback_and_never_taken_on_trust"),
    (
        50,
        "an address where nobody listens beside a good one",
        "a_name_with_an_address_where_nobody_listens_is_called_at_its_other",
    ),
    (51, "connection refused", "a_port_where_nobody_listens_is_tried_a_few_times"),
    (52, "tokens that seem to be issued tomorrow", "a_token_is_replaced_before_it_expires"),
    (
        53,
        "streams refused, GOAWAY",
        "streams_that_are_refused_and_connections_that_go_away_are_outlasted",
    ),
    (54, "proxies that do not help", "a_proxy_that_does_not_help_is_told_from_the_registry"),
    (58, "lists without end, or on another host", "a_list_leads_nowhere_else_and_ends"),
    (59, "eight pushes of one tag at once", "eight_processes_share_a_cache_and_a_tag"),
    (60, "a signal during a push", "an_interrupted_push_takes_back_its_uploads"),
];

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
    // A row is right when it is right in every operation.
    let worst = |place: &usize, fates: &BTreeMap<Operation, Fate>| {
        let end = rows[*place].end;
        let wrong = fates.values().find(|fate| !fate.is_right(end));
        (*place, *wrong.or(fates.values().next()).expect("every row has an operation"))
    };
    let own: Vec<_> = ours.iter().map(|(place, fates)| worst(place, fates)).collect();
    line(page, &format!("dockless {}", env!("CARGO_PKG_VERSION")), rows, &own);
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
