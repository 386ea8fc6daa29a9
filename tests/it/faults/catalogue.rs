//! The faults of the catalogue that can be made between a client and a registry on loopback.

use bytes::Bytes;

use super::super::support::fault_proxy::{Fault, refusal, status};
use super::super::support::point::Point::{
    self, CommitBlob, GetBlob, GetManifest, HeadBlob, HeadManifest, Mount, PutManifest, SendBlob,
    StartUpload,
};
use super::row::End::{GivesUp, Refuses, Survives};
use super::row::{End, Login, Row};

/// Often enough to be for ever.
const ALWAYS: usize = 400;
/// Every request of a push and of a pull.
const ALL: [Point; 8] =
    [HeadBlob, StartUpload, SendBlob, CommitBlob, HeadManifest, PutManifest, GetManifest, GetBlob];

/// Every row. `elsewhere` is another origin that serves the same registry.
pub(crate) fn rows(elsewhere: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for point in ALL {
        rows.extend(busy(point));
        rows.extend(broken_connections(point));
    }
    rows.extend(stalls());
    rows.extend(bad_bodies());
    rows.extend(logins());
    rows.extend(odd_answers());
    rows.extend(redirects(elsewhere));
    rows.extend(sessions(elsewhere));
    rows.extend(manifests());
    rows.extend(mounts());
    rows.extend(refusals());
    rows.sort_by_key(|row| (row.number, row.point));
    rows
}

fn row(number: u32, fault: &str, point: Point, script: Vec<Fault>, end: End) -> Row {
    Row { number, fault: fault.into(), point, script, end, login: None }
}

/// The registry says "later".
fn busy(point: Point) -> Vec<Row> {
    let wait = |text: &str| status(429, Some(("Retry-After", text)));
    let date = "Sun, 06 Nov 1994 08:49:47 GMT";
    let mut rows = vec![
        row(1, "429 with Retry-After: 1", point, vec![wait("1")], Survives),
        row(2, "429 with Retry-After as a date", point, vec![wait(date)], Survives),
        row(3, "429 three times", point, vec![status(429, None); 3], Survives),
        row(4, "429 with Retry-After: junk", point, vec![wait("-1"), wait("soon")], Survives),
        row(5, "503 for ever", point, vec![status(503, None); ALWAYS], GivesUp),
    ];
    for code in [408, 500, 502, 503, 504] {
        rows.push(row(5, &format!("{code} once"), point, vec![status(code, None)], Survives));
    }
    rows.push(row(5, "503 three times", point, vec![status(503, None); 3], Survives));
    if point == StartUpload {
        let script = vec![wait("999999"); ALWAYS];
        rows.push(row(4, "429 with Retry-After: 999999 for ever", point, script, GivesUp));
    }
    rows
}

/// The connection ends before, during and after the registry's work.
fn broken_connections(point: Point) -> Vec<Row> {
    let mut rows =
        vec![row(6, "reset before any byte", point, vec![Fault::CutRequest(0)], Survives)];
    if point == SendBlob {
        for (name, bytes) in [("64 KiB", 64 * 1024), ("2 MiB", 2 * 1024 * 1024)] {
            let reset = vec![Fault::CutRequest(bytes)];
            rows.push(row(6, &format!("reset after {name}"), point, reset, Survives));
            let cut = vec![Fault::CutForwarded(bytes)];
            rows.push(row(7, &format!("cut after the registry got {name}"), point, cut, Survives));
        }
    }
    let number = match point {
        CommitBlob => 34,
        PutManifest => 35,
        _ => 6,
    };
    if !matches!(point, GetBlob | GetManifest) {
        rows.push(row(number, "answer lost", point, vec![Fault::LoseAnswer], Survives));
    }
    rows
}

/// The connection stands, and nothing moves.
fn stalls() -> Vec<Row> {
    vec![
        row(8, "upload not read", SendBlob, vec![Fault::StallRequest], Survives),
        row(
            8,
            "upload not read after 64 KiB",
            SendBlob,
            vec![Fault::StallRequestAfter(65536)],
            Survives,
        ),
        row(8, "no answer", CommitBlob, vec![Fault::Hang], Survives),
        row(8, "no answer", PutManifest, vec![Fault::Hang], Survives),
        row(8, "no answer", HeadBlob, vec![Fault::Hang], Survives),
        row(9, "no answer", GetManifest, vec![Fault::Hang], Survives),
        row(9, "silence before the first byte", GetBlob, vec![Fault::StallAnswer(0)], Survives),
        row(9, "silence in the middle", GetBlob, vec![Fault::StallAnswer(100_000)], Survives),
        row(10, "one byte at a time", GetBlob, vec![Fault::Drip], Survives),
        row(10, "one byte at a time for ever", GetBlob, vec![Fault::Drip; ALWAYS], GivesUp),
        row(
            10,
            "one byte per connection for ever",
            GetBlob,
            vec![Fault::CutAnswer(1); ALWAYS],
            GivesUp,
        ),
    ]
}

/// What is downloaded is not what was asked for.
fn bad_bodies() -> Vec<Row> {
    let wrong_range = || {
        let header = Fault::Header("content-range", "bytes 5-6/7".into());
        vec![Fault::CutAnswer(100_000), header]
    };
    let short = Bytes::from_static(b"{}");
    vec![
        row(11, "cut in the middle", GetBlob, vec![Fault::CutAnswer(100_000)], Survives),
        row(11, "cut in the middle", GetManifest, vec![Fault::CutAnswer(20)], Survives),
        row(11, "cut three times", GetBlob, vec![Fault::CutAnswer(100_000); 3], Survives),
        row(
            12,
            "Range ignored",
            GetBlob,
            vec![Fault::CutAnswer(100_000), Fault::HideRange],
            Survives,
        ),
        row(12, "wrong Content-Range", GetBlob, wrong_range(), Survives),
        row(13, "one wrong byte, once", GetBlob, vec![Fault::Corrupt], Survives),
        row(13, "one wrong byte, always", GetBlob, vec![Fault::Corrupt; ALWAYS], GivesUp),
        row(14, "body too short", GetBlob, vec![Fault::Body(short.clone())], Survives),
        row(15, "body without end", GetBlob, vec![Fault::Endless; ALWAYS], GivesUp),
        row(16, "other bytes, once", GetManifest, vec![Fault::Corrupt], Survives),
        row(55, "Content-Encoding: gzip", GetBlob, encoded(), Refuses),
    ]
}

fn encoded() -> Vec<Fault> {
    vec![Fault::Header("content-encoding", "gzip".into()); ALWAYS]
}

/// Tokens and challenges.
fn logins() -> Vec<Row> {
    let with = |login: Login| move |row: Row| Row { login: Some(login.clone()), ..row };
    let forever = Login { uses: u32::MAX, ..Login::default() };
    let dies = |uses| Login { uses, ..Login::default() };
    let server = |script: Vec<Fault>| Login { script, ..forever.clone() };
    let body = |text: &'static str| Fault::Body(Bytes::from_static(text.as_bytes()));
    let huge = Fault::Body(Bytes::from(vec![b' '; 128 * 1024]));
    let around = |before, after| Login { around: (before, after), ..forever.clone() };
    let cases = [
        (18, "every token dies after one use", dies(1)),
        (18, "every token dies after three uses", dies(3)),
        (19, "token server: 503", server(vec![status(503, None)])),
        (19, "token server: 429", server(vec![status(429, None)])),
        (19, "token server: answer lost", server(vec![Fault::LoseAnswer])),
        (19, "token server: HTML", server(vec![body("<html>")])),
        (19, "token server: empty token", server(vec![body(r#"{"token":""}"#)])),
        (19, "token server: 128 KiB", server(vec![huge])),
        (20, "Basic and Bearer challenge", around(r#"Basic realm="x", "#, "")),
        (20, "unknown challenge after Bearer", around("", r#", Negotiate realm="a, \"b\"""#)),
    ];
    let mut rows: Vec<Row> = Vec::new();
    for (number, fault, login) in cases {
        for point in [HeadBlob, GetManifest] {
            rows.push(with(login.clone())(row(number, fault, point, Vec::new(), Survives)));
        }
    }
    for point in [HeadBlob, GetManifest] {
        let script = vec![status(401, None); ALWAYS];
        rows.push(row(20, "401 without a challenge", point, script, Refuses));
    }
    rows
}

/// Answers that are unusual and not wrong, or not worth a failure.
fn odd_answers() -> Vec<Row> {
    let header = |name: &'static str, value: &str| vec![Fault::Header(name, value.into()); ALWAYS];
    let other = format!("sha256:{}", "0".repeat(64));
    vec![
        row(
            17,
            "another Docker-Content-Digest",
            GetManifest,
            header("docker-content-digest", &other),
            Survives,
        ),
        row(
            17,
            "another Docker-Content-Digest",
            PutManifest,
            header("docker-content-digest", &other),
            Survives,
        ),
        row(21, "403 always", HeadManifest, vec![status(403, None); ALWAYS], Survives),
        row(21, "403 always", HeadBlob, vec![status(403, None); ALWAYS], Survives),
        row(22, "405 always", HeadManifest, vec![status(405, None); ALWAYS], Survives),
        row(22, "405 always", HeadBlob, vec![status(405, None); ALWAYS], Survives),
        row(56, "Warning: 299", PutManifest, header("warning", r#"299 - "soon gone""#), Survives),
    ]
}

/// The registry sends us elsewhere.
fn redirects(elsewhere: &str) -> Vec<Row> {
    let always = |code, place: &str| vec![status(code, Some(("Location", place))); ALWAYS];
    let away_to = |host: &str, code| vec![Fault::Redirect(code, host.into())];
    vec![
        row(23, "307 to itself", SendBlob, away_to("", 307), Survives),
        row(23, "308 to itself", PutManifest, away_to("", 308), Survives),
        row(23, "307 to itself", GetManifest, away_to("", 307), Survives),
        row(24, "307 to another host", GetBlob, away_to(elsewhere, 307), Survives),
        row(24, "302 to another host", GetBlob, away_to(elsewhere, 302), Survives),
        row(24, "307 to another host", SendBlob, away_to(elsewhere, 307), Survives),
        row(25, "307 for ever", GetManifest, always(307, "?again"), Refuses),
        row(25, "307 for ever", PutManifest, always(307, "?again"), Refuses),
        row(25, "307 to ftp:", GetBlob, always(307, "ftp://127.0.0.1/x"), Refuses),
        row(
            25,
            "307 to the metadata service",
            GetBlob,
            always(307, "http://169.254.169.254/"),
            Refuses,
        ),
        row(26, "301", CommitBlob, always(301, "/elsewhere"), Refuses),
        row(26, "302", PutManifest, always(302, "/elsewhere"), Refuses),
        row(26, "303", PutManifest, always(303, "/elsewhere"), Refuses),
    ]
}

/// Upload sessions and where they are.
fn sessions(elsewhere: &str) -> Vec<Row> {
    let header = |name: &'static str, value: &str| vec![Fault::Header(name, value.into())];
    let unknown = || vec![refusal(404, "BLOB_UPLOAD_UNKNOWN")];
    let invalid = || vec![refusal(404, "BLOB_UPLOAD_INVALID")];
    let moved = || vec![Fault::MoveLocation(elsewhere.into())];
    let always = |name: &'static str, value: &str| vec![Fault::Header(name, value.into()); ALWAYS];
    vec![
        row(
            27,
            "relative Location",
            StartUpload,
            vec![Fault::MoveLocation(String::new())],
            Survives,
        ),
        row(27, "no Location", StartUpload, header("location", ""), Survives),
        row(27, "Location that is none", StartUpload, header("location", "http://["), Survives),
        row(
            27,
            "Location with ftp:",
            StartUpload,
            header("location", "ftp://127.0.0.1/x"),
            Survives,
        ),
        row(29, "Location on another host", StartUpload, moved(), Survives),
        row(30, "no Docker-Upload-UUID", StartUpload, always("docker-upload-uuid", ""), Survives),
        row(31, "Range: 0-99999 at the start", StartUpload, header("range", "0-99999"), Survives),
        row(31, "Range: junk", StartUpload, header("range", "x"), Survives),
        row(32, "416", SendBlob, vec![status(416, None)], Survives),
        row(33, "BLOB_UPLOAD_UNKNOWN", SendBlob, unknown(), Survives),
        row(33, "BLOB_UPLOAD_UNKNOWN", CommitBlob, unknown(), Survives),
        row(33, "BLOB_UPLOAD_INVALID", SendBlob, invalid(), Survives),
        row(33, "DIGEST_INVALID once", CommitBlob, vec![refusal(400, "DIGEST_INVALID")], Survives),
        row(
            39,
            "OCI-Chunk-Min-Length",
            StartUpload,
            always("oci-chunk-min-length", "10485760"),
            Survives,
        ),
        row(40, "a length is wanted", SendBlob, vec![Fault::WantLength; ALWAYS], Survives),
        row(40, "a length is wanted", CommitBlob, vec![Fault::WantLength; ALWAYS], Survives),
        row(42, "200 for a blob that is not there", HeadBlob, vec![status(200, None)], Survives),
    ]
}

/// Manifests that are not taken.
fn manifests() -> Vec<Row> {
    vec![
        row(
            36,
            "MANIFEST_INVALID",
            PutManifest,
            vec![refusal(400, "MANIFEST_INVALID"); ALWAYS],
            Refuses,
        ),
        row(40, "a length is wanted", PutManifest, vec![Fault::WantLength; ALWAYS], Survives),
        row(
            37,
            "MANIFEST_BLOB_UNKNOWN once",
            PutManifest,
            vec![refusal(400, "MANIFEST_BLOB_UNKNOWN")],
            Survives,
        ),
        row(
            37,
            "MANIFEST_BLOB_UNKNOWN as 404",
            PutManifest,
            vec![refusal(404, "MANIFEST_BLOB_UNKNOWN")],
            Survives,
        ),
        row(
            37,
            "MANIFEST_BLOB_UNKNOWN always",
            PutManifest,
            vec![refusal(400, "MANIFEST_BLOB_UNKNOWN"); ALWAYS],
            GivesUp,
        ),
    ]
}

/// A mount is an offer: whatever comes of it, an ordinary upload follows.
fn mounts() -> Vec<Row> {
    let mut rows: Vec<Row> = [401, 403, 404, 405, 500]
        .map(|code| row(41, &format!("{code}"), Mount, vec![status(code, None); ALWAYS], Survives))
        .into();
    rows.extend(busy(Mount).into_iter().filter(|row| row.end == Survives));
    rows.extend(broken_connections(Mount));
    rows
}

/// No is no.
fn refusals() -> Vec<Row> {
    let html = || {
        let body = "<html><h1>413 Request Entity Too Large</h1></html>".into();
        vec![Fault::Answer { status: 413, headers: Vec::new(), body }; ALWAYS]
    };
    let plain = |code: u16, body: &str| {
        vec![Fault::Answer { status: code, headers: Vec::new(), body: body.into() }; ALWAYS]
    };
    let denied = || vec![refusal(403, "DENIED"); ALWAYS];
    let loud = format!("\u{1b}[31m{}", "no ".repeat(100_000));
    vec![
        row(38, "413 from a proxy, HTML", SendBlob, html(), Refuses),
        row(44, "read-only: 405 as text", StartUpload, plain(405, "read-only"), Refuses),
        row(44, "read-only: 405 as text", PutManifest, plain(405, "read-only"), Refuses),
        row(46, "quota: 403 DENIED", PutManifest, denied(), Refuses),
        row(46, "quota: 403 DENIED", CommitBlob, denied(), Refuses),
        row(46, "507", SendBlob, plain(507, "full"), Refuses),
        row(47, "NAME_UNKNOWN", StartUpload, vec![refusal(404, "NAME_UNKNOWN"); ALWAYS], Refuses),
        row(47, "NAME_INVALID", StartUpload, vec![refusal(400, "NAME_INVALID"); ALWAYS], Refuses),
        row(
            57,
            "a body of 300 kB with control characters",
            StartUpload,
            plain(400, &loud),
            Refuses,
        ),
    ]
}
