//! Faults on the way: survived, outlasted, or refused at once.

use std::time::Duration;

use dockless::error::ErrorKind;
use dockless::registry::{Error as RegistryError, ManifestOutcome, Settings};

use super::super::support::fault_proxy::{Fault, FaultProxy, refusal, status};
use super::super::support::registry::Registry;
use super::{LAYER_BYTES, Story, cause, impatient, more_than_buffers_take, repository};

/// Name, method, part of the path, and what goes wrong there, once or more often.
type Case = (&'static str, &'static str, &'static str, Vec<Fault>);

/// Faults after which a push must succeed.
fn transient_faults() -> Vec<Case> {
    let seconds = || status(429, Some(("Retry-After", "7")));
    let date = || status(429, Some(("Retry-After", "Sun, 06 Nov 1994 08:49:47 GMT")));
    let mut cases: Vec<Case> = Vec::new();
    for (name, method, path) in [
        ("HEAD blob", "HEAD", "/blobs/"),
        ("POST upload", "POST", "/blobs/uploads/"),
        ("PUT blob", "PUT", "/blobs/uploads/"),
        ("HEAD manifest", "HEAD", "/manifests/"),
        ("PUT manifest", "PUT", "/manifests/"),
    ] {
        cases.push((name, method, path, vec![seconds()]));
        cases.push((name, method, path, vec![date()]));
        cases.push((name, method, path, vec![status(429, None); 3]));
        let codes = [408, 500, 502, 503, 504, 503];
        cases.push((name, method, path, codes.map(|code| status(code, None)).into()));
        cases.push((name, method, path, vec![Fault::CutRequest(0)]));
        cases.push((name, method, path, vec![Fault::LoseAnswer]));
    }
    let blob = |fault| ("PUT blob", "PUT", "/blobs/uploads/", vec![fault]);
    cases.extend([
        blob(Fault::CutRequest(64 * 1024)),
        blob(Fault::CutRequest(2 * 1024 * 1024)),
        blob(Fault::CutRequest(LAYER_BYTES as u64)),
        blob(refusal(404, "BLOB_UPLOAD_UNKNOWN")),
        blob(refusal(404, "BLOB_UPLOAD_INVALID")),
        blob(refusal(400, "DIGEST_INVALID")),
        blob(status(416, None)),
    ]);
    let location = |value: &str| {
        ("Location", "POST", "/blobs/uploads/", vec![Fault::Header("location", value.into())])
    };
    cases.extend([location(""), location("http://["), location("ftp://127.0.0.1/x")]);
    cases
}

#[tokio::test]
async fn survives_every_transient_fault_of_a_push() {
    let registry = Registry::start();
    let story = Story::new();
    for (place, (name, method, path, faults)) in transient_faults().into_iter().enumerate() {
        let proxy = FaultProxy::start(&registry.host()).await;
        let case = format!("{name}: {faults:?}");
        proxy.on(method, path, faults);
        let reference = repository(&proxy.server().host(), &format!("case{place}")).at_tag("v1");
        let outcome = story.push(&reference).await;
        assert_eq!(
            outcome.unwrap_or_else(|error| panic!("{case}: {error}")),
            ManifestOutcome::Put,
            "{case}"
        );
        assert!(proxy.is_exhausted(), "{case}");
        story.assert_pushed(&registry, &reference).await;
    }
}

#[tokio::test]
async fn a_page_for_people_is_no_answer_of_a_registry() {
    let registry = Registry::start();
    let html = |status, title: &str| Fault::Answer {
        status,
        headers: vec![("Content-Type".into(), "text/html; charset=utf-8".into())],
        body: format!("<html><head><title>{title}</title></head></html>"),
    };
    // A login page, where a proxy sends everybody.
    let login = FaultProxy::start(&registry.host()).await;
    let login_host = login.server().host().replace("127.0.0.1", "localhost");
    let at_login = format!("http://{login_host}");
    let hint = "check the host, the port and the path; a web server, a firewall, or the login page of a proxy may stand there";
    for (method, path, fault, who, told) in [
        (
            "GET",
            "/manifests/",
            html(200, "Welcome"),
            None,
            "answered 200 with an HTML page titled \"Welcome\"",
        ),
        (
            "GET",
            "/manifests/",
            html(404, "404 Not Found"),
            None,
            "answered 404 with an HTML page titled \"404 Not Found\", no registry's answer",
        ),
        (
            "POST",
            "/blobs/uploads/",
            html(403, "Blocked"),
            None,
            "answered 403 with an HTML page titled \"Blocked\", no registry's answer",
        ),
        (
            "GET",
            "/manifests/",
            Fault::Redirect(302, at_login.clone()),
            Some(&login_host),
            "answered 200 with an HTML page titled \"Log in\", no registry's answer",
        ),
        (
            "POST",
            "/blobs/uploads/",
            Fault::Redirect(302, at_login.clone()),
            None,
            "it redirects a POST with 302 to `localhost`, which would make it a GET",
        ),
    ] {
        let proxy = FaultProxy::start(&registry.host()).await;
        let host = proxy.server().host();
        proxy.on(method, path, vec![fault; 2]);
        login.on("GET", "/", vec![html(200, "Log in"); 2]);
        let story = Story::new();
        let repository = repository(&host, "a");
        let error = match method {
            "GET" => story.client.fetch_manifest(&repository.at_tag("v1")).await.map(drop),
            _ => story.push_layer(&repository).await.map(drop),
        }
        .unwrap_err();
        let text = error.to_string();
        assert!(text.contains(told), "{text}");
        assert!(text.contains(&format!("`{}`", who.unwrap_or(&host))), "{text}");
        assert_eq!(error.hints(), [hint], "{text}");
    }
}

#[tokio::test]
async fn waits_as_long_as_the_registry_asks() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let retry_after = |value| status(429, Some(("Retry-After", value)));
    let date = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = vec![
        date("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        date("Retry-After", "Sun, 06 Nov 1994 08:50:00 GMT"),
    ];
    let by_its_clock = Fault::Answer { status: 429, headers, body: String::new() };
    proxy.on("PUT", "/manifests/", [retry_after("7"), by_its_clock, retry_after("999999")]);
    let story = Story::new();
    story.push(&repository(&proxy.server().host(), "a").at_tag("v1")).await.unwrap();
    let waits: Vec<_> = story.clock.waits().iter().map(Duration::as_secs).collect();
    assert_eq!(waits, [7, 23, 60]);
}

#[tokio::test]
async fn what_a_registry_asks_of_one_request_holds_for_the_next() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    proxy.on("HEAD", "/manifests/", [status(429, Some(("Retry-After", "7")))]);
    // The first has no time to wait and gives up.
    let total = Some(Duration::from_secs(5));
    let story = Story::with(Settings { total, ..Settings::default() }, Vec::new());
    let tag = repository(&proxy.server().host(), "a").at_tag("v1");
    let error = story.client.resolve(&tag).await.unwrap_err();
    assert!(matches!(cause(&error), RegistryError::Refused { status: 429, .. }), "{error}");
    assert!(story.clock.waits().is_empty());
    assert_eq!(story.client.resolve(&tag).await.unwrap(), None);
    assert_eq!(story.clock.waits(), [Duration::from_secs(7)]);
}

#[tokio::test]
async fn refuses_at_once_what_would_fail_again() {
    let registry = Registry::start();
    for (place, (method, path, fault, message)) in [
        ("HEAD", "/blobs/", refusal(400, "NAME_INVALID"), "answered 400"),
        (
            "POST",
            "/blobs/uploads/",
            refusal(404, "NAME_UNKNOWN"),
            "does not have it: NAME_UNKNOWN: on purpose",
        ),
        ("POST", "/blobs/uploads/", refusal(403, "DENIED"), "denies it: DENIED: on purpose"),
        ("POST", "/blobs/uploads/", status(405, None), "answered 405"),
        (
            "PUT",
            "/blobs/uploads/",
            Fault::Answer { status: 413, headers: Vec::new(), body: "<html>413</html>".into() },
            "answered 413: an HTML page",
        ),
        (
            "PUT",
            "/manifests/",
            refusal(400, "MANIFEST_INVALID"),
            "answered 400: MANIFEST_INVALID: on purpose",
        ),
        ("PUT", "/manifests/", status(507, None), "answered 507"),
        (
            "PUT",
            "/blobs/uploads/",
            status(302, Some(("Location", "/elsewhere"))),
            "sends us to an unsafe place: it redirects a PUT with 302, which would make it a GET",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let proxy = FaultProxy::start(&registry.host()).await;
        let host = proxy.server().host();
        proxy.on(method, path, [fault]);
        let story = Story::new();
        let error = story.push(&repository(&host, &format!("case{place}")).at_tag("v1")).await;
        let error = error.unwrap_err().to_string();
        assert!(error.ends_with(&format!("`{host}` {message}")), "{error}");
        assert!(story.clock.waits().is_empty(), "{message}");
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_is_sent_is_heard() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let headers = Vec::new();
    let body = "<html>413</html>".into();
    proxy.on("PUT", "/blobs/uploads/", [Fault::EarlyAnswer { status: 413, headers, body }]);
    let story = Story { layer: more_than_buffers_take(), ..Story::new() };
    let error = story.push_layer(&repository(&proxy.server().host(), "a")).await.unwrap_err();
    assert!(matches!(cause(&error), RegistryError::Refused { status: 413, .. }), "{error}");
    assert!(story.clock.waits().is_empty());
}

#[tokio::test]
async fn gives_up_five_minutes_after_the_last_progress() {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    proxy.on("PUT", "/manifests/", vec![status(503, Some(("Retry-After", "junk"))); 1000]);
    let story = Story::new();
    let reference = repository(&proxy.server().host(), "a").at_tag("v1");
    let error = story.push(&reference).await.unwrap_err();
    assert!(matches!(cause(&error), RegistryError::Refused { status: 503, .. }), "{error}");
    assert!(error.to_string().ends_with("answered 503: it says `Retry-After: junk`"), "{error}");
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Failed, true));
    let waited: Duration = story.clock.waits().iter().sum();
    assert!(waited <= Duration::from_mins(5), "{waited:?}");
    assert!(waited > Duration::from_mins(4), "{waited:?}");
    assert_eq!(
        Story::new().client.resolve(&repository(&registry.host(), "a").at_tag("v1")).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_tried_a_few_times() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let story = Story::new();
    let error = story.push(&repository(&host, "a").at_tag("v1")).await.unwrap_err();
    assert!(matches!(cause(&error), RegistryError::Unreachable { .. }), "{error}");
    assert_eq!((error.kind(), story.clock.waits().len()), (ErrorKind::Failed, 3));
    assert_eq!(error.lines().last().unwrap(), "Connection refused (os error 111)");
}

#[tokio::test]
async fn a_stalled_transfer_is_started_again() {
    let registry = Registry::start();
    for (place, (method, path, fault)) in [
        ("PUT", "/blobs/uploads/", Fault::StallRequest),
        ("PUT", "/blobs/uploads/", Fault::Hang),
        ("HEAD", "/blobs/", Fault::Hang),
        ("PUT", "/manifests/", Fault::Hang),
    ]
    .into_iter()
    .enumerate()
    {
        let proxy = FaultProxy::start(&registry.host()).await;
        proxy.on(method, path, [fault]);
        let mut story = Story::with(impatient(), Vec::new());
        if place == 0 {
            story.layer = more_than_buffers_take();
        }
        let reference = repository(&proxy.server().host(), &format!("case{place}")).at_tag("v1");
        story.push(&reference).await.unwrap();
        assert!(proxy.is_exhausted());
        story.assert_pushed(&registry, &reference).await;
    }
}
