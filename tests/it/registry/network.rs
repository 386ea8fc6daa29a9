//! The way to a registry: TLS, certificates, proxies, mirrors, time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use dockless::error::ErrorKind;
use dockless::oci::{Descriptor, Document, Manifest, MediaType};
use dockless::registry::{
    ClientCertificate, Error as RegistryError, Proxies, Settings, TlsProblem,
};
use dockless::sys::Environment;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::support::authority::{Authority, Pair, Time};
use super::super::support::cli::{Outcome, Sandbox};
use super::super::support::proxy::Proxy;
use super::super::support::registry::Registry;
use super::super::support::server::{Body, Server, reply};
use super::{Story, cause, repository};

/// The names of registries on this machine, in a certificate.
pub(super) const HERE: &str = "IP:127.0.0.1,DNS:localhost,DNS:registry.test";

fn trusting(host: &str, file: &Path) -> Settings {
    let authorities = BTreeMap::from([(host.to_owned(), vec![file.to_owned()])]);
    Settings { authorities, ..Settings::default() }
}

/// What is wrong with TLS, how it is told, and what helps.
async fn problem(settings: Settings, host: &str) -> (TlsProblem, String, Vec<String>) {
    let story = Story::with(settings, Vec::new());
    let reference = repository(host, "a").at_tag("v1");
    let error = story.client.fetch_manifest(&reference).await.unwrap_err();
    let RegistryError::Tls { problem, .. } = cause(&error) else { panic!("{error:?}") };
    // Who we are is refused without a word, which might be an accident once.
    let waits = usize::from(matches!(problem, TlsProblem::Identity { .. }));
    assert_eq!((error.kind(), story.clock.waits().len()), (ErrorKind::Usage, waits), "{error}");
    let told = error.lines()[0].clone();
    let told = told
        .strip_prefix(&format!("cannot fetch the manifest `v1` from `{host}/a`: "))
        .unwrap_or(&told);
    (problem.clone(), told.to_owned(), error.hints())
}

#[tokio::test]
async fn tls_is_found_on_loopback_and_never_taken_on_trust() {
    let authority = Authority::new("Acme Root");
    let registry = Registry::start_with_tls(&authority.issue("server", HERE, Time::Now), None);
    let host = registry.host();
    let reference = repository(&host, "a").at_tag("v1");
    let careless =
        Settings { skip_tls_verify: BTreeSet::from([host.clone()]), ..Settings::default() };
    for settings in [trusting(&host, &authority.certificate()), careless] {
        let story = Story::with(settings, Vec::new());
        story.push(&reference).await.unwrap();
        assert_eq!(story.client.fetch_manifest(&reference).await.unwrap().bytes, story.manifest());
    }
    // Whatever it answers with TLS counts, and not what it says to plain http.
    let pair = authority.issue("closed", HERE, Time::Now);
    let closed = Registry::start_with_tls_and_password(&pair);
    let story = Story::with(trusting(&closed.host(), &authority.certificate()), Vec::new());
    let tag = repository(&closed.host(), "a").at_tag("v1");
    for _ in 0..2 {
        let error = story.client.resolve(&tag).await.unwrap_err();
        assert!(matches!(cause(&error), RegistryError::Unauthorized { .. }), "{error}");
    }

    let unknown = TlsProblem::UnknownAuthority { issuer: Some("Acme Root".into()) };
    let told = format!("the certificate of `{host}` is from an unknown authority, `Acme Root`");
    let hint = format!(
        "trust its authority with `--registry-certificate {host}=FILE`, or on the whole machine (`SSL_CERT_FILE` names another list)"
    );
    assert_eq!(problem(Settings::default(), &host).await, (unknown, told, vec![hint]));
}

#[tokio::test]
async fn a_registry_that_sends_plain_http_to_tls_is_spoken_to_with_tls() {
    let authority = Authority::new("Acme Root");
    let registry = Registry::start_with_tls(&authority.issue("server", HERE, Time::Now), None);
    let plain = Server::start("127.0.0.1", |request| {
        let location = format!("https://registry.test{}", request.uri().path());
        Box::pin(async move { Ok(reply(301, &[("Location", &location)], "")) })
    })
    .await;
    let encrypted = Proxy::start(&registry.host()).await;
    // The two ports of the registry, each behind a proxy.
    let environment = Environment::of([
        ("HTTP_PROXY", &format!("http://{}", plain.host())[..]),
        ("HTTPS_PROXY", &format!("http://{}", encrypted.host())[..]),
    ]);
    let settings = Settings {
        insecure: BTreeSet::from(["registry.test".to_owned()]),
        proxies: Proxies::from_environment(&environment),
        ..trusting("registry.test", &authority.certificate())
    };
    let story = Story::with(settings, Vec::new());
    // The first request is a POST, which no 301 may become a GET of.
    let repository = repository("registry.test", "a");
    story.client.begin_upload(&repository).await.unwrap();
    story.push(&repository.at_tag("v1")).await.unwrap();
    assert_eq!(plain.requests(), ["POST /v2/a/blobs/uploads/"]);
    assert_eq!(story.client.scheme("registry.test"), Some("https"));
}

#[tokio::test]
async fn says_what_is_wrong_with_a_certificate() {
    let authority = Authority::new("Acme Root");
    let issue = |file, names, time| authority.issue(file, names, time);
    let alternative = "subjectAltName=IP:127.0.0.1";
    let leaf = "basicConstraints=critical,CA:FALSE";
    for (pair, expected, told) in [
        (issue("past", HERE, Time::Past), TlsProblem::Expired, "has expired"),
        (
            issue("future", HERE, Time::Future),
            TlsProblem::NotYetValid,
            "is not valid yet by this machine's clock",
        ),
        (issue("other", "DNS:other.test", Time::Now), TlsProblem::OtherName, "is for another name"),
        (
            authority.sign_itself("leaf", "leaf", &[alternative, leaf]),
            TlsProblem::SelfSigned,
            "is signed by itself alone",
        ),
        (
            authority.sign_itself("root", "root", &[alternative]),
            TlsProblem::SelfSigned,
            "is signed by itself alone",
        ),
    ] {
        let registry = Registry::start_with_tls(&pair, None);
        let host = registry.host();
        let found = problem(trusting(&host, &authority.certificate()), &host).await;
        assert_eq!((found.0, found.1), (expected, format!("the certificate of `{host}` {told}")));
    }
}

#[tokio::test]
async fn a_certificate_that_signed_itself_can_be_trusted_by_name() {
    let authority = Authority::new("unused");
    for (file, extensions) in [
        ("leaf", &["subjectAltName=IP:127.0.0.1", "basicConstraints=critical,CA:FALSE"][..]),
        ("root", &["subjectAltName=IP:127.0.0.1"]),
    ] {
        let pair = authority.sign_itself(file, file, extensions);
        let registry = Registry::start_with_tls(&pair, None);
        let story = Story::with(trusting(&registry.host(), &pair.certificate), Vec::new());
        story.push(&repository(&registry.host(), "a").at_tag("v1")).await.unwrap();
    }
    // Its name counts all the same.
    let pair = authority.sign_itself("other", "other", &["subjectAltName=DNS:other.test"]);
    let registry = Registry::start_with_tls(&pair, None);
    let found = problem(trusting(&registry.host(), &pair.certificate), &registry.host()).await;
    assert_eq!(found.0, TlsProblem::OtherName);
}

#[tokio::test]
async fn a_registry_may_want_to_know_who_we_are() {
    let authority = Authority::new("Acme Root");
    let own = authority.issue("server", HERE, Time::Now);
    let registry = Registry::start_with_tls(&own, Some(&authority.certificate()));
    let host = registry.host();
    let stranger = Authority::new("Somebody Else");
    let with = |pair: Option<Pair>| {
        let client_certificates = pair.map(|Pair { certificate, key }| {
            (host.clone(), ClientCertificate { certificate, key })
        });
        let client_certificates = client_certificates.into_iter().collect();
        Settings { client_certificates, ..trusting(&host, &authority.certificate()) }
    };
    let ours = authority.issue("client", "DNS:client", Time::Now);
    let story = Story::with(with(Some(ours)), Vec::new());
    story.push(&repository(&host, "a").at_tag("v1")).await.unwrap();

    let (found, told, hints) = problem(with(None), &host).await;
    assert_eq!(found, TlsProblem::Identity { was_given: false });
    assert_eq!(told, format!("`{host}` wants a client certificate"));
    assert_eq!(hints, [format!("give one with `--registry-client-cert {host}=CERT,KEY`")]);
    let theirs = stranger.issue("client", "DNS:client", Time::Now);
    let (found, told, _) = problem(with(Some(theirs)), &host).await;
    assert_eq!(found, TlsProblem::Identity { was_given: true });
    assert_eq!(told, format!("`{host}` does not accept our client certificate"));
}

/// A project without layers, and a command that pushes it.
pub(super) fn push(sandbox: &Sandbox, to: &str) -> Command {
    let project = sandbox.write("p/dockless.yaml", "name: p\nbase: builtin:static\n");
    sandbox.command(["push", project.to_str().unwrap(), "--to", to])
}

#[test]
fn certificates_are_found_where_people_put_them() {
    let authority = Authority::new("Acme Root");
    let own = authority.issue("server", HERE, Time::Now);
    let registry = Registry::start_with_tls(&own, Some(&authority.certificate()));
    let host = registry.host();
    let sandbox = Sandbox::new();
    let ours = authority.issue("client", "DNS:client", Time::Now);
    let Pair { certificate, key } = &ours;
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let authority = authority.certificate();
    let authority = authority.to_str().unwrap();
    let run = |flags: &[&str], variables: &[(&str, &str)]| {
        let mut command = push(&sandbox, &format!("{host}/a"));
        Outcome::of(command.args(flags).envs(variables.iter().copied()))
    };
    let client = format!("{host}={certificate},{key}");
    let client = ["--registry-client-cert", &client];
    let trust = format!("{host}={authority}");
    let expected = run(&["--registry-certificate", &trust, client[0], client[1]], &[]);
    assert_eq!(expected.code, 0, "{expected:#?}");
    let rehashed = sandbox.work().join("rehashed");
    fs::create_dir(&rehashed).unwrap();
    fs::copy(authority, rehashed.join("acme.pem")).unwrap();
    for (flags, variables) in [
        (&["--registry-certificate", authority][..], &[][..]),
        (&["--skip-tls-verify-registry", &host], &[]),
        (&[], &[("DOCKLESS_REGISTRY_CERTIFICATE", trust.as_str())]),
        (&[], &[("DOCKLESS_SKIP_TLS_VERIFY_REGISTRY", &host)]),
        (&[], &[("SSL_CERT_FILE", authority)]),
        (&[], &[("SSL_CERT_DIR", rehashed.to_str().unwrap())]),
    ] {
        let flags: Vec<_> = flags.iter().chain(&client).copied().collect();
        let outcome = run(&flags, variables);
        assert_eq!((outcome.code, &outcome.stdout), (0, &expected.stdout), "{outcome:#?}");
    }
    let variables = [
        ("DOCKLESS_REGISTRY_CLIENT_CERT", &format!("other.io=a,b\n{}", client[1])[..]),
        ("SSL_CERT_FILE", authority),
    ];
    assert_eq!(run(&[], &variables).stdout, expected.stdout);

    // Folders: of the user, or any that are named.
    let told = format!("`{host}` is not checked (`--skip-tls-verify-registry`)");
    let outcome = run(&["--skip-tls-verify-registry", &host, client[0], client[1]], &[]);
    assert_eq!(outcome.stderr.matches(&told).count(), 1, "{outcome:#?}");
    let project = sandbox.work().join("p/dockless.yaml");
    let mut command = sandbox.command(["check", project.to_str().unwrap()]);
    command
        .args(["--to", &format!("{host}/a")])
        .args(["--skip-tls-verify-registry", &host])
        .args(client);
    let outcome = Outcome::of(&mut command);
    let way = format!("{host}: https, certificate not checked\n");
    assert!(outcome.code == 0 && outcome.stdout.starts_with(&way), "{outcome:#?}");
    let outcome = run(&["-v", "--registry-certificate", &trust, client[0], client[1]], &[]);
    let told = format!("TLS with `{host}` trusts `{authority}`, shows `{certificate}`");
    assert_eq!(outcome.stderr.matches(&told).count(), 1, "{outcome:#?}");

    let failed = run(&[], &[]);
    assert_eq!((failed.code, failed.stdout.as_str()), (2, ""), "{failed:#?}");
    let told = "is from an unknown authority, `Acme Root`";
    assert!(failed.stderr.contains(told), "{failed:#?}");
    for root in ["home/.config/containers", "home/.config/docker", "elsewhere"] {
        let root = sandbox.home().parent().unwrap().join(root).join("certs.d");
        let folder = root.join(&host);
        fs::create_dir_all(&folder).unwrap();
        for (from, name) in [(authority, "ca.crt"), (certificate, "me.cert"), (key, "me.key")] {
            fs::copy(from, folder.join(name)).unwrap();
        }
        let named = ("DOCKLESS_CERTS_DIR", root.to_str().unwrap());
        let variables = if root.starts_with(sandbox.home()) { &[][..] } else { &[named][..] };
        let outcome = run(&[], variables);
        assert_eq!((outcome.code, &outcome.stdout), (0, &expected.stdout), "{outcome:#?}");

        fs::remove_file(folder.join("me.key")).unwrap();
        let outcome = run(&[], variables);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:#?}");
        let told = format!(
            "the network settings for `{host}` cannot be used: `{}` is there, but not `{}`",
            folder.join("me.cert").display(),
            folder.join("me.key").display()
        );
        assert!(outcome.stderr.contains(&told), "{outcome:#?}");
        fs::remove_dir_all(&root).unwrap();
    }
}

#[test]
fn settings_of_the_network_that_make_no_sense_are_the_users_to_mend() {
    let sandbox = Sandbox::new();
    for (arguments, variable, told) in [
        (
            &["--registry-certificate", "registry=ca.pem"][..],
            ("A", ""),
            "expected HOST or HOST:PORT",
        ),
        (&["--registry-client-cert", "r.io=a.pem"], ("A", ""), "expected HOST=CERT,KEY"),
        (&["--registry-map", "docker.io"], ("A", ""), "expected FROM=TO"),
        (&["--timeout", "soon"], ("A", ""), "expected a time such as `90s`"),
        (&["--skip-tls-verify-registry", "https://r.io"], ("A", ""), "without `http://`"),
        (&[], ("DOCKLESS_TIMEOUT", "0"), "expected a time such as `90s`"),
        (&[], ("SSL_CERT_FILE", "/none.pem"), "cannot read `/none.pem`"),
        (
            &[],
            ("SSL_CERT_DIR", "/none:/nowhere"),
            "there is no certificate in `/none`, `/nowhere` (`SSL_CERT_DIR`)",
        ),
        (&["--registry-certificate", "none.pem"], ("A", ""), "cannot read `none.pem`"),
        (
            &[],
            ("HTTPS_PROXY", "socks5://u:canary@p"),
            "`HTTPS_PROXY` names a SOCKS proxy: only HTTP proxies can be used",
        ),
        (&[], ("HTTPS_PROXY", "ftp://u:canary@p"), "`HTTPS_PROXY` names no proxy that can be used"),
    ] {
        let mut command = push(&sandbox, "registry.test/a");
        let outcome = Outcome::of(command.args(arguments).env(variable.0, variable.1));
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:#?}");
        assert!(outcome.stderr.contains(told), "{told}: {outcome:#?}");
        assert!(!outcome.stderr.contains("canary"), "{outcome:#?}");
    }
}

#[test]
fn a_setting_for_a_host_that_is_almost_the_one_called_is_told() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let host = registry.host();
    let mut command = push(&sandbox, &format!("{host}/a"));
    command.args(["--skip-tls-verify-registry", "other.corp"]);
    let outcome = Outcome::of(command.env("DOCKLESS_INSECURE_REGISTRY", "127.0.0.1"));
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    let told = format!(
        "warning: `--insecure-registry` was given for `127.0.0.1`, but this command speaks to `{host}`"
    );
    assert_eq!(outcome.stderr.matches(&told).count(), 1, "{outcome:#?}");
    assert!(!outcome.stderr.contains("other.corp"), "{outcome:#?}");
}

#[tokio::test]
async fn a_server_that_does_not_agree_to_tls_is_not_asked_twice() {
    for (alert, expected, told) in [
        (70, TlsProblem::OldVersion, "speaks neither TLS 1.2 nor 1.3"),
        (40, TlsProblem::Handshake, "does not agree to TLS with us"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let server = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // A fatal alert of TLS 1.1 to whatever comes first.
                let _ = stream.read(&mut [0; 16384]).await;
                let _ = stream.write_all(&[21, 3, 2, 0, 2, 2, alert]).await;
            }
        });
        let (found, text, _) = problem(Settings::default(), &host).await;
        assert_eq!((found, text), (expected, format!("`{host}` {told}")));
        server.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_is_pulled_from_where_the_map_says_and_the_image_is_the_same() {
    let (original, mirror) = (Registry::start(), Registry::start());
    let proxy = Proxy::start(&original.host()).await;
    let environment = ("HTTP_PROXY", format!("http://{}", proxy.host()));
    let allowed = ["--insecure-registry", "registry.test"];
    let (from, to) = ("registry.test/library/base", format!("{}/hub/library/base", mirror.host()));
    for place in [from, &to] {
        let sandbox = Sandbox::new();
        let mut command = push(&sandbox, &format!("{place}:1"));
        let outcome = Outcome::of(command.args(allowed).env(environment.0, &environment.1));
        assert_eq!(outcome.code, 0, "{outcome:#?}");
    }
    let build = |rest: &[&str]| {
        let sandbox = Sandbox::new();
        let project = sandbox.project("hello");
        let base = format!("{from}:1");
        let arguments =
            ["build", project.to_str().unwrap(), "-v", "-o", "oci:out", "--base", &base];
        let mut command = sandbox.command(arguments);
        command.args(allowed).args(rest).env(environment.0, &environment.1);
        (Outcome::of(&mut command), sandbox)
    };
    let (direct, _) = build(&[]);
    assert_eq!(direct.code, 0, "{direct:#?}");
    let before = proxy.seen().len();
    let host = mirror.host();
    let (mapped, sandbox) =
        build(&["--registry-map", &format!("registry.test={host}/hub,a.io=b.io")]);
    assert_eq!((mapped.code, &mapped.stdout), (0, &direct.stdout), "{mapped:#?}");
    let told = format!("`{from}` is pulled from `{to}` (`--registry-map`)");
    assert_eq!(mapped.stderr.matches(&told).count(), 1, "{mapped:#?}");
    let digest = mapped.stdout.trim_end().strip_prefix("sha256:").unwrap();
    let manifest =
        fs::read_to_string(sandbox.work().join("out/blobs/sha256").join(digest)).unwrap();
    let name = format!(r#""org.opencontainers.image.base.name":"{from}:1""#);
    assert!(manifest.contains(&name), "{manifest}");

    // What the mirror does not have is not asked for elsewhere.
    let (missing, _) = build(&["--registry-map", &format!("registry.test={host}/other")]);
    assert_eq!((missing.code, missing.stdout.as_str()), (2, ""), "{missing:#?}");
    let told = format!("there is no tag `1` in `{host}/other/library/base`");
    assert!(missing.stderr.contains(&told), "{missing:#?}");
    assert_eq!(proxy.seen().len(), before);

    // Where to push to is what it says.
    let sandbox = Sandbox::new();
    let mut command = push(&sandbox, "registry.test/pushed");
    command.args(allowed).env(environment.0, &environment.1);
    let outcome =
        Outcome::of(command.env("DOCKLESS_REGISTRY_MAP", format!("registry.test={host}/hub")));
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    let reference = repository(&original.host(), "pushed").at_tag("latest");
    assert!(Story::new().client.resolve(&reference).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_granted_ends_a_transfer_that_goes_well() {
    let story = Story::new();
    let config =
        r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["DIGEST"]}}"#;
    let layer = Descriptor::new(MediaType::OciLayer, story.layer_descriptor().digest, 1 << 40);
    let config = Bytes::from(config.replace("DIGEST", &layer.digest.to_string()));
    let manifest =
        Manifest::new(Descriptor::of(MediaType::OciConfig, &config), vec![layer.clone()]);
    let manifest = Document::write(manifest, MediaType::OciManifest).bytes;
    // A base with a layer that never ends, and a repository that takes it for ever.
    let server = Server::start("127.0.0.1", move |request| {
        let (manifest, config, layer) = (manifest.clone(), config.clone(), layer.clone());
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            let kind = [("Content-Type", "application/vnd.oci.image.manifest.v1+json")];
            Ok(match request.method().as_str() {
                "GET" if path.contains("/base/manifests/") => reply(200, &kind, manifest),
                "GET" if path.ends_with(&layer.digest.to_string()) => endless(layer.size),
                "GET" => reply(200, &[], config),
                "POST" => reply(202, &[("Location", "/v2/target/blobs/uploads/1")], ""),
                "PUT" | "PATCH" => {
                    let mut body = request.into_body();
                    while let Some(Ok(_)) = body.frame().await {}
                    reply(201, &[], "")
                }
                _ => reply(404, &[], ""),
            })
        })
    })
    .await;
    let sandbox = Sandbox::new();
    let host = server.host();
    let mut command = push(&sandbox, &format!("{host}/target"));
    command.args(["--base", &format!("{host}/base"), "--timeout", "2s"]);
    let outcome = Outcome::of(&mut command);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (3, ""), "{outcome:#?}");
    assert!(outcome.stderr.contains("error: not done after 2s"), "{outcome:#?}");
    assert!(outcome.stderr.contains("grant more time with `--timeout`"), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_answer_in_the_time_granted_is_named() {
    let registry = Server::start("127.0.0.1", |_| Box::pin(std::future::pending())).await;
    let (sandbox, host) = (Sandbox::new(), registry.host());
    let mut command = push(&sandbox, &format!("{host}/a"));
    let outcome = Outcome::of(command.args(["--timeout", "1s"]));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (3, ""), "{outcome:#?}");
    let told = format!("error: not done after 1s; not answered yet: push to `{host}/a`");
    assert!(outcome.stderr.contains(&told), "{outcome:#?}");
}

/// An answer of so many bytes that nobody sees its end.
fn endless(size: u64) -> Response<Body> {
    let chunk = || Ok(Frame::data(Bytes::from_static(&[0; 16384])));
    let body = StreamBody::new(futures_util::stream::repeat_with(chunk)).boxed_unsync();
    Response::builder().header("Content-Length", size).body(body).unwrap()
}

#[test]
fn a_name_with_an_address_where_nobody_listens_is_called_at_its_other() {
    let (sandbox, registry) = (Sandbox::new(), Registry::start());
    let hosts = sandbox.write("hosts", "::1 localhost\n127.0.0.1 localhost\n");
    let script = format!("mount --bind {} /etc/hosts && exec \"$0\" \"$@\"", hosts.display());
    let host = registry.host().replace("127.0.0.1", "localhost");
    let project = sandbox.write("p/dockless.yaml", "name: p\nbase: builtin:static\n");
    let project = project.to_str().unwrap();
    let arguments = ["push", project, "--to", &format!("{host}/a")];
    let wrapper = ["unshare", "--mount", "--", "sh", "-c", &script];
    let outcome = Outcome::of(&mut sandbox.command_below(&wrapper, arguments));
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    assert!(outcome.stdout.starts_with(&format!("{host}/a@sha256:")), "{outcome:#?}");
}
