//! Proxies between us and a registry, and what is said of them.

use std::collections::BTreeSet;
use std::time::Duration;

use dockless::registry::{Proxies, Settings};
use dockless::sys::Environment;

use super::super::support::authority::{Authority, Time};
use super::super::support::cli::{Outcome, Sandbox};
use super::super::support::proxy::Proxy;
use super::super::support::registry::Registry;
use super::super::support::server::{Server, reply};
use super::super::support::tokens::basic;
use super::network::{HERE, push};
use super::{Story, cause, read, repository};

/// What the command told, without the password that it must not tell.
fn told(outcome: &Outcome) -> &str {
    assert!(!format!("{outcome:?}").contains("canary"), "{outcome:#?}");
    &outcome.stderr
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_through_the_proxy_that_the_environment_names() {
    let authority = Authority::new("Acme Root");
    let (sandbox, plain) = (Sandbox::new(), Registry::start());
    let encrypted = Registry::start_with_tls(&authority.issue("server", HERE, Time::Now), None);
    let authorization = basic("me", "canary");
    let wanted = Some(authorization.as_str());
    let http = Proxy::start_with(&plain.host(), wanted).await;
    let https = Proxy::start_with(&encrypted.host(), wanted).await;
    let through = |proxy: &Proxy| format!("http://me:canary@{}", proxy.host());
    let run = |variables: &[(&str, String)]| {
        let mut command = push(&sandbox, "registry.test/a");
        command.args(["-v", "--insecure-registry", "registry.test"]);
        command.arg("--registry-certificate").arg(authority.certificate());
        Outcome::of(command.envs(variables.iter().cloned()))
    };
    // A plain request names the whole URL, an encrypted one goes through a tunnel.
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        let outcome = run(&[(variable, through(&http))]);
        assert_eq!(outcome.code, 0, "{}", told(&outcome));
    }
    assert!(http.seen().iter().all(|line| line.contains(" http://registry.test/v2/")));
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let mut command = push(&sandbox, "registry.test/a");
        command.arg("--registry-certificate").arg(authority.certificate());
        let outcome = Outcome::of(command.env(variable, through(&https)));
        assert_eq!(outcome.code, 0, "{}", told(&outcome));
    }
    assert!(
        https.seen().iter().all(|line| line == "CONNECT registry.test:443"),
        "{:?}",
        https.seen()
    );
    // A registry that is allowed to be plain and is not is found out through the proxy, too.
    let outcome = run(&[("ALL_PROXY", through(&https))]);
    assert_eq!(outcome.code, 0, "{}", told(&outcome));
    // And one that is not allowed to be is told from one that cannot be reached.
    let mut command = push(&sandbox, "registry.test/a");
    let outcome = Outcome::of(command.env("HTTPS_PROXY", through(&http)));
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let expected = "`registry.test` does not speak TLS on this port";
    assert!(told(&outcome).contains(expected), "{outcome:#?}");
    assert!(told(&outcome).contains("`--insecure-registry registry.test`"), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_and_no_proxy_go_around_the_proxy() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let proxy = Proxy::start("127.0.0.1:1").await;
    let all = ("ALL_PROXY", format!("http://{}", proxy.host()));
    let port = registry.host().split_once(':').unwrap().1.to_owned();
    for host in [registry.host(), format!("localhost:{port}")] {
        let mut command = push(&sandbox, &format!("{host}/a"));
        let outcome = Outcome::of(command.env(all.0, &all.1));
        assert_eq!(outcome.code, 0, "{outcome:#?}");
    }
    // Nothing has the name, nor the address: that this is told says that nobody else was asked.
    for (host, exception) in [
        ("registry.invalid", "registry.invalid"),
        ("a.registry.invalid", ".registry.invalid"),
        ("registry.invalid:5000", "*"),
        ("0.0.0.0:1", "0.0.0.0/8"),
    ] {
        let mut command = push(&sandbox, &format!("{host}/a"));
        let outcome = Outcome::of(command.env(all.0, &all.1).env("NO_PROXY", exception));
        assert_eq!(outcome.code, 3, "{outcome:#?}");
        assert!(outcome.stderr.contains(&format!("cannot reach `{host}`")), "{outcome:#?}");
    }
    assert_eq!(proxy.seen(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_does_not_help_is_told_from_the_registry() {
    let sandbox = Sandbox::new();
    let proxy = Proxy::start_with("127.0.0.1:1", Some("Basic other")).await;
    let closed = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    for (variable, flags) in
        [("HTTPS_PROXY", &[][..]), ("HTTP_PROXY", &["--insecure-registry", "registry.test"])]
    {
        let run = |host: &str| {
            let mut command = push(&sandbox, "registry.test/a");
            Outcome::of(command.args(flags).env(variable, format!("http://me:canary@{host}")))
        };
        let before = proxy.seen().len();
        let outcome = run(&proxy.host());
        let expected =
            format!("the proxy `{}` wants a user name and a password that it knows", proxy.host());
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:#?}");
        assert!(told(&outcome).contains(&expected), "{outcome:#?}");
        let cure = format!("write them into `{variable}`");
        assert!(told(&outcome).contains(&cure), "{outcome:#?}");
        assert_eq!(proxy.seen().len(), before + 1);

        let outcome = run(&closed.to_string());
        assert_eq!((outcome.code, outcome.stdout.as_str()), (3, ""), "{outcome:#?}");
        let expected = format!("the proxy `{closed}` cannot be reached");
        assert!(told(&outcome).contains(&expected), "{outcome:#?}");
        assert!(told(&outcome).contains(&format!("check `{variable}`")), "{outcome:#?}");
    }
    // It is there, and does not get any further.
    let proxy = Proxy::start(&closed.to_string()).await;
    let mut command = push(&sandbox, "registry.test/a");
    let outcome = Outcome::of(command.env("HTTPS_PROXY", proxy.host()));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (3, ""), "{outcome:#?}");
    let expected = format!("the proxy `{}` does not connect us to `registry.test`", proxy.host());
    assert!(told(&outcome).contains(&expected), "{outcome:#?}");
    assert_eq!(proxy.seen(), ["CONNECT registry.test:443"; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_proxy_answers_that_does_not_connect_us_is_shown() {
    let sandbox = Sandbox::new();
    for (status, shown, tries) in
        [("403 Forbidden", 403, 1), ("405 No", 405, 1), ("502 Bad Gateway", 502, 4)]
    {
        let proxy = Proxy::start_refusing(status).await;
        let mut command = push(&sandbox, "registry.test/a");
        let url = format!("http://me:canary@{}", proxy.host());
        let outcome = Outcome::of(command.env("HTTPS_PROXY", url));
        assert_eq!((outcome.code, outcome.stdout.as_str()), (3, ""), "{outcome:#?}");
        let expected = format!(
            "the proxy `{}` does not connect us to `registry.test`: it answers {shown}",
            proxy.host()
        );
        assert!(told(&outcome).contains(&expected), "{outcome:#?}");
        // Each try is followed by the question what the matter was.
        assert_eq!(proxy.seen(), vec!["CONNECT registry.test:443"; 2 * tries]);
    }
}

#[tokio::test]
async fn a_proxy_that_is_spoken_to_by_a_wrong_scheme_is_named() {
    let proxy = Proxy::start("127.0.0.1:1").await;
    let url = format!("https://{}", proxy.host());
    let settings = Settings {
        proxies: Proxies::from_environment(&Environment::of([("HTTPS_PROXY", &url[..])])),
        connect_timeout: Duration::from_millis(200),
        ..Settings::default()
    };
    let story = Story::with(settings, Vec::new());
    let reference = repository("registry.test", "a").at_tag("v1");
    let error = story.client.fetch_manifest(&reference).await.unwrap_err();
    let expected = format!(
        "cannot fetch the manifest `v1` from `registry.test/a`: the proxy `{}` does not connect us to `registry.test` in time",
        proxy.host()
    );
    assert_eq!(cause(&error).to_string(), expected);
    assert!(error.hints()[0].starts_with("check `HTTPS_PROXY`: whether"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_with_tls_is_trusted_by_its_own_certificate() {
    let (acme, theirs) = (Authority::new("Acme Root"), Authority::new("Proxy Root"));
    let registry = Registry::start_with_tls(&acme.issue("server", HERE, Time::Now), None);
    let own = theirs.issue("proxy", "DNS:localhost", Time::Now);
    let proxy = Proxy::start_with_tls(&registry.host(), &own).await;
    let sandbox = Sandbox::new();
    let run = |flags: &[&str]| {
        let mut command = push(&sandbox, "registry.test/a");
        let url = format!("https://me:canary@{}", proxy.host());
        Outcome::of(command.args(flags).env("HTTPS_PROXY", url))
    };
    let file = |authority: &Authority| authority.certificate().to_str().unwrap().to_owned();
    let trust_registry = format!("registry.test={}", file(&acme));
    let trust_proxy = format!("{}={}", proxy.host(), file(&theirs));
    let skip = ["--skip-tls-verify-registry", "registry.test"];
    let wrong = format!("registry.test={}", file(&theirs));
    // What is said of the registry says nothing of the proxy, which would get a password.
    for flags in [&skip[..], &["--registry-certificate", &wrong], &[]] {
        let outcome = run(flags);
        let expected = format!(
            "the certificate of the proxy `{}` is from an unknown authority, `Proxy Root`",
            proxy.host()
        );
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:#?}");
        assert!(told(&outcome).contains(&expected), "{outcome:#?}");
        let cure = format!("`--registry-certificate {}=FILE`", proxy.host());
        assert!(told(&outcome).contains(&cure), "{outcome:#?}");
        assert_eq!(proxy.seen(), Vec::<String>::new());
    }
    let trusting = ["--registry-certificate", &trust_proxy];
    for rest in [&skip[..], &["--registry-certificate", &trust_registry]] {
        let outcome = run(&[&trusting, rest].concat());
        assert_eq!(outcome.code, 0, "{}", told(&outcome));
    }
    let outcome = run(&trusting);
    let expected = "the certificate of `registry.test` is from an unknown authority, `Acme Root`";
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert!(told(&outcome).contains(expected), "{outcome:#?}");

    let ours = format!(
        "registry.test={},{}",
        own.certificate.to_str().unwrap(),
        own.key.to_str().unwrap()
    );
    let before = proxy.seen().len();
    let outcome = run(&[&trusting[..], &skip, &["--registry-client-cert", &ours]].concat());
    let expected = "its client certificate would be shown to the proxy, too";
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:#?}");
    assert!(told(&outcome).contains(expected), "{outcome:#?}");
    assert_eq!(proxy.seen().len(), before);
}

#[tokio::test]
async fn a_proxy_in_the_private_network_leads_to_where_a_registry_sends_us() {
    let story = Story::new();
    let layer = story.layer.clone();
    // It is both: the registry, and the storage that the registry sends us to.
    let upstream = Server::start("127.0.0.1", move |request| {
        let layer = layer.clone();
        Box::pin(async move {
            let elsewhere = [("Location", "http://storage.test/layer")];
            let is_storage = request.uri().path() == "/layer";
            Ok(if is_storage { reply(200, &[], layer) } else { reply(307, &elsewhere, "") })
        })
    })
    .await;
    let proxy = Proxy::start(&upstream.host()).await;
    let environment = Environment::of([("HTTP_PROXY", &format!("http://{}", proxy.host())[..])]);
    let settings = Settings {
        insecure: BTreeSet::from(["registry.test".to_owned()]),
        proxies: Proxies::from_environment(&environment),
        ..Settings::default()
    };
    let story = Story::with(settings, Vec::new());
    let target = repository("registry.test", "a");
    let bytes = read(&story.client, &target, &story.layer_descriptor()).await.unwrap();
    assert!(bytes == story.layer);
    let digest = story.layer_descriptor().digest;
    let blob = format!("GET http://registry.test/v2/a/blobs/{digest}");
    assert_eq!(proxy.seen(), [blob.as_str(), "GET http://storage.test/layer"]);
}
