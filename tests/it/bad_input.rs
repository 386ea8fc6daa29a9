//! Whatever is wrong, the message ends the search for the cause, the exit code says whose turn it
//! is, and nothing is left behind.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use bytes::Bytes;
use dockless::oci::{Descriptor, Digest, Document, ImageConfig, Manifest, MediaType, Platform};

use crate::support::child::NOBODY;
use crate::support::cli::{Outcome, Sandbox};

/// Builds a project with this config and asserts the exit code and every part of the message.
#[track_caller]
fn refuse(sandbox: &Sandbox, arguments: &[&str], code: i32, parts: &[&str]) -> String {
    let outcome = sandbox.run(arguments);
    assert_eq!(outcome.code, code, "{outcome:#?}");
    assert_eq!(outcome.stdout, "");
    for part in parts {
        assert!(outcome.stderr.contains(part), "`{part}` is not in\n{}", outcome.stderr);
    }
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
    outcome.stderr
}

/// The path of everything below a folder, temporary files included.
fn listing(folder: &Path) -> Vec<String> {
    let output = Command::new("find").arg(folder).args(["-printf", "%P\n"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn config(layers: &str) -> String {
    format!("name: bad\nbase: scratch\nlayers:\n{layers}")
}

#[test]
fn a_folder_without_a_config_says_what_was_looked_for() {
    let sandbox = Sandbox::new();
    refuse(&sandbox, &["build", "."], 2, &["dockless.yaml", "agent.yaml"]);
    refuse(&sandbox, &["build", "missing"], 2, &["missing"]);
}

#[test]
fn every_problem_of_a_file_is_reported_at_once() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "dockless.yaml",
        "name: bad\nbse: scratch\nplatforms: [linux/amd46]\nports: [99999]\nlayers:\n  - {kind: fils, copy: []}\n",
    );
    refuse(
        &sandbox,
        &["build", "."],
        2,
        &[
            "dockless.yaml:2:1",
            "did you mean `base`?",
            "linux/amd46",
            "99999",
            "did you mean `files`?",
            "2 | bse: scratch",
        ],
    );
}

#[test]
fn broken_yaml_has_a_place() {
    let sandbox = Sandbox::new();
    sandbox.write("dockless.yaml", "name: bad\nlayers: [\n");
    refuse(&sandbox, &["build", "."], 2, &["dockless.yaml:"]);
}

#[test]
fn a_missing_source_names_the_line_that_asks_for_it() {
    let sandbox = Sandbox::new();
    sandbox.write("dockless.yaml", config("  - {kind: files, copy: [{src: dta, dest: /data}]}\n"));
    sandbox.write("data/a", "a");
    refuse(&sandbox, &["build", "."], 2, &["dockless.yaml:4", "`dta`", "did you mean `data`?"]);
}

#[test]
fn a_mistyped_flag_is_a_mistake_of_usage() {
    let sandbox = Sandbox::new();
    refuse(&sandbox, &["build", "--platfrom", "linux/amd64"], 2, &["--platform"]);
    sandbox.write("dockless.yaml", config("  - {kind: files, copy: [{src: ., dest: /a}]}\n"));
    refuse(&sandbox, &["build", ".", "-o", "oic:out"], 2, &["oic:out", "oci:"]);
    refuse(&sandbox, &["build", ".", "--base", "UPPER/case:x y"], 2, &["UPPER/case:x y"]);
    refuse(&sandbox, &["push", ".", "--to", "localhost:1/Acme/x"], 2, &["lower case"]);
    refuse(&sandbox, &["push", "."], 2, &["--to"]);
}

#[test]
fn an_unreadable_file_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write("dockless.yaml", config("  - {kind: files, copy: [{src: src, dest: /a}]}\n"));
    let secret = sandbox.write("src/secret.bin", "x");
    let status = Command::new("sh")
        .args(["-c", "chmod 000 \"$1\"; chown -R 65534:65534 \"$0\""])
        .args([sandbox.work().parent().unwrap(), &secret])
        .status();
    assert!(status.unwrap().success());
    let outcome = Outcome::of(&mut sandbox.command_below(&NOBODY, ["build", "."]));
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert!(outcome.stderr.contains("secret.bin"), "{}", outcome.stderr);
}

#[test]
fn an_unreachable_registry_is_no_mistake_of_the_user() {
    let sandbox = Sandbox::new();
    // A port on which nobody listens: bound once, so that nobody else had it, and released.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    sandbox.write("dockless.yaml", config("  - {kind: files, copy: [{src: a, dest: /a}]}\n"));
    sandbox.write("a", "a");
    let target = format!("{address}/acme/x");
    refuse(&sandbox, &["push", ".", "--to", &target], 3, &[&address.to_string(), "refused"]);
}

#[test]
fn a_full_disk_leaves_no_half_layout() {
    let sandbox = Sandbox::new();
    sandbox.write("dockless.yaml", config("  - {kind: files, copy: [{src: big, dest: /big}]}\n"));
    let mut random = fastrand::Rng::with_seed(1);
    let noise: Vec<u8> = (0..3_000_000).map(|_| random.u8(..)).collect();
    sandbox.write("big", noise);
    let small = sandbox.work().join("small");
    std::fs::create_dir(&small).unwrap();
    let mount = |arguments: &[&str]| {
        let status = Command::new(arguments[0]).args(&arguments[1..]).arg(&small).status().unwrap();
        assert!(status.success(), "this test mounts a tmpfs, which needs root");
    };
    mount(&["mount", "-t", "tmpfs", "-o", "size=1m", "dockless-test"]);
    let outcome = sandbox.run(["build", ".", "-o", "oci:small/out"]);
    let left = listing(&small);
    mount(&["umount"]);
    assert_eq!(outcome.code, 3, "{outcome:#?}");
    assert!(outcome.stderr.contains("small/out"), "{}", outcome.stderr);
    let files: Vec<_> =
        left.iter().filter(|path| path.contains("tmp") || path.ends_with("index.json")).collect();
    assert!(files.is_empty(), "{left:#?}");
}

#[test]
fn a_signal_ends_the_command_with_its_code_and_without_leftovers() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 143)] {
        let sandbox = Sandbox::new();
        let layers = "  - {kind: files, copy: [{src: a, dest: /a}]}\n";
        sandbox.write("dockless.yaml", config(layers));
        sandbox.write("a", "a");
        // A registry that accepts the connection and then says nothing.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("{}/acme/x", listener.local_addr().unwrap());
        let mut child = sandbox
            .command(["push", ".", "--to", &target])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let connection = listener.accept().unwrap();
        end(&mut child, signal, code);
        assert!(listing(&sandbox.cache()).iter().all(|path| !path.contains(".tmp")));
        drop(connection);
    }
}

/// Sends a signal and asserts that the command ends as it should.
#[track_caller]
fn end(child: &mut Child, signal: &str, code: i32) {
    let process = child.id().to_string();
    let signalled = Command::new("kill").args(["-s", signal, &process]).status().unwrap();
    assert!(signalled.success());
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(&format!("interrupted by SIG{signal}")), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn a_signal_ends_the_inspection_of_a_base_too() {
    let layer = Descriptor::new(MediaType::OciLayer, Digest::of(b"never sent"), 1024);
    let mut config = ImageConfig::scratch(&Platform::linux_amd64());
    config.rootfs.diff_ids = vec![layer.digest];
    let config = Document::write(config, MediaType::OciConfig);
    let manifest = Manifest::new(config.descriptor.clone(), vec![layer.clone()]);
    let manifest = Document::write(manifest, MediaType::OciManifest);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap();
    let (sender, stalled) = mpsc::channel();
    // Ends with the process, as everything that waits for a connection.
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let (config, manifest) = (config.bytes.clone(), manifest.bytes.clone());
            let (layer, sender) = (layer.clone(), sender.clone());
            std::thread::spawn(move || {
                let mut connection = connection.unwrap();
                let path = requested(&connection);
                if path.ends_with(&layer.digest.to_string()) {
                    answer(
                        &mut connection,
                        "application/octet-stream",
                        &Bytes::from_static(b"half"),
                        1024,
                    );
                    // Said, and then nothing more until the other end hangs up.
                    sender.send(()).unwrap();
                    let _ = connection.read(&mut [0]);
                } else if path.contains("/blobs/") {
                    answer(&mut connection, "application/octet-stream", &config, config.len());
                } else {
                    let media_type = MediaType::OciManifest;
                    answer(&mut connection, media_type.as_str(), &manifest, manifest.len());
                }
            });
        }
    });
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let sandbox = Sandbox::new();
        let layers = "  - {kind: files, copy: [{src: a, dest: /a}]}\n";
        sandbox.write("dockless.yaml", config_on(&format!("{host}/base/image:1"), layers));
        sandbox.write("a", "a");
        let mut child = sandbox
            .command(["build", ".", "-o", "oci:out"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        stalled.recv().unwrap();
        end(&mut child, signal, code);
        assert!(!sandbox.work().join("out").exists());
        assert!(listing(&sandbox.cache()).iter().all(|path| !path.contains(".tmp")));
    }
}

fn config_on(base: &str, layers: &str) -> String {
    format!("name: bad\nbase: {base}\nlayers:\n{layers}")
}

/// The path of the only request on this connection.
fn requested(connection: &TcpStream) -> String {
    let mut lines = BufReader::new(connection).lines().map(Result::unwrap);
    let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    assert!(lines.any(|line| line.is_empty()));
    path
}

fn answer(connection: &mut TcpStream, media_type: &str, body: &Bytes, size_bytes: usize) {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {size_bytes}\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).unwrap();
    connection.write_all(body).unwrap();
}

#[test]
fn errors_are_in_the_json_document_too() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(["build", "missing", "--json"]);
    assert_eq!(outcome.code, 2);
    let document: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(document["error"]["kind"], "usage");
    assert_eq!(document["error"]["exit_code"], 2);
    assert_eq!(document["error"]["is_retryable"], false);
}

#[test]
fn a_record_that_cannot_be_written_is_refused_before_anything_is() {
    let sandbox = Sandbox::new();
    sandbox.write("dockless.yaml", config("  - {kind: files, copy: [{src: a, dest: /a}]}\n"));
    sandbox.write("a", "a");
    sandbox.succeed(["build", ".", "-o", "oci:built"]);
    for option in ["--digest-file", "--iidfile", "--metadata-file"] {
        for (file, part) in [("missing/file", "`missing`"), ("built", "folder")] {
            refuse(&sandbox, &["build", ".", "-o", "oci:out", option, file], 2, &[file, part]);
            refuse(&sandbox, &["push", "oci:built", "--to", "oci:out", option, file], 2, &[file]);
        }
    }
    assert!(!sandbox.work().join("out").exists());
}

#[test]
fn a_record_that_fails_later_does_not_cost_the_result() {
    let sandbox = Sandbox::new();
    sandbox.write("dockless.yaml", config("  - {kind: files, copy: [{src: a, dest: /a}]}\n"));
    sandbox.write("a", "a");
    for arguments in
        [&["--digest-file=/proc/record"][..], &["--digest-file=/proc/record", "--json"]]
    {
        let outcome = sandbox.run(["build", "."].iter().chain(arguments));
        assert_eq!(outcome.code, 3, "{outcome:#?}");
        assert!(outcome.stdout.contains("sha256:"), "{outcome:#?}");
        assert!(!outcome.stdout.contains("error"), "{outcome:#?}");
        assert!(outcome.stderr.contains("/proc/record"), "{outcome:#?}");
    }
}

#[test]
fn an_image_that_is_built_takes_no_options_of_building() {
    let sandbox = Sandbox::new();
    sandbox.write("dockless.yaml", "name: p\nbase: builtin:static\n");
    sandbox.succeed(["build", ".", "-o", "oci:built"]);
    for (option, value) in [
        ("--platform", "linux/arm64"),
        ("--label", "a=b"),
        ("--annotation", "a=b"),
        ("--base", "scratch"),
        ("--file", "dockless.yaml"),
    ] {
        let arguments = ["push", "oci:built", "--to", "oci:out", option, value];
        refuse(&sandbox, &arguments, 2, &["built already", option]);
    }
}

#[test]
fn a_layout_in_place_of_a_project_is_recognised() {
    let sandbox = Sandbox::new();
    sandbox.write("dockless.yaml", "name: p\nbase: builtin:static\n");
    sandbox.succeed(["build", ".", "-o", "oci:built"]);
    for command in ["build", "push"] {
        refuse(&sandbox, &[command, "built"], 2, &["did you mean `oci:built`?"]);
    }
    let stderr = refuse(&sandbox, &["build", ".", "--push"], 2, &["image: [HOST/REPOSITORY]"]);
    assert!(!stderr.contains("--to"), "{stderr}");
    let stderr = refuse(&sandbox, &["build", ".", "-o", "foo"], 2, &["docker-archive:FILE", "`-`"]);
    assert!(!stderr.contains("HOST/REPOSITORY"), "{stderr}");
}

#[test]
fn a_tag_that_is_almost_a_strategy_is_none() {
    let sandbox = Sandbox::new();
    sandbox.write("dockless.yaml", "name: p\nbase: builtin:static\n");
    let arguments = ["build", ".", "-o", "oci:out", "-t", "semvr"];
    refuse(&sandbox, &arguments, 2, &["did you mean `semver`?"]);
}

#[test]
fn what_a_variable_says_is_blamed_on_the_variable() {
    let sandbox = Sandbox::new();
    sandbox.write("dockless.yaml", "name: p\nbase: builtin:static\n");
    sandbox.succeed(["build", ".", "-o", "oci:built"]);
    let to = ["push", ".", "--to", "r.io/a/b"];
    for (variable, value, arguments, parts) in [
        (
            "DOCKLESS_BASE",
            "docker://x",
            &["build", "."][..],
            &["error: read `DOCKLESS_BASE`\n"][..],
        ),
        ("DOCKLESS_TO", "", &["push", "."], &["error: read `DOCKLESS_TO`\n  `` is no destination"]),
        (
            "DOCKLESS_TAG",
            "feature/foo",
            &to,
            &["error: read `DOCKLESS_TAG`\n  `feature/foo` is no tag"],
        ),
        ("DOCKLESS_OUTPUT", "foo", &["build", "."], &["error: read `DOCKLESS_OUTPUT`\n"]),
        ("DOCKLESS_EXISTING_TAG", "yes", &to, &["'yes' for 'DOCKLESS_EXISTING_TAG'"]),
        ("DOCKLESS_TIMEOUT", "5x", &["build", "."], &["'5x' for 'DOCKLESS_TIMEOUT'"]),
        (
            "DOCKLESS_BASE",
            "scratch",
            &["push", "oci:built", "--to", "r.io/a/b"],
            &["`DOCKLESS_BASE` cannot change it", "hint: unset `DOCKLESS_BASE`, or push"],
        ),
    ] {
        let outcome = Outcome::of(sandbox.command(arguments).env(variable, value));
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:#?}");
        for part in parts {
            assert!(outcome.stderr.contains(part), "`{part}` is not in\n{}", outcome.stderr);
        }
    }
    let mut command = sandbox.command(["build", ".", "--timeout", "5x"]);
    let outcome = Outcome::of(command.env("DOCKLESS_TIMEOUT", "5s"));
    assert!(outcome.stderr.contains("'5x' for '--timeout <DURATION>'"), "{}", outcome.stderr);
}

#[test]
fn a_password_in_a_reference_is_never_repeated() {
    let sandbox = Sandbox::new();
    sandbox.write("dockless.yaml", "name: p\nbase: builtin:static\n");
    let secret = "bob:canary@r.io/a/b";
    for (arguments, part) in [
        (&["push", ".", "--to", secret][..], "no credentials stand in a reference"),
        (&["push", ".", "--to", "bob:canary@r.io"], "`…@r.io` is no destination"),
        (&["push", ".", "--to", "https://bob:canary@r.io/a"], "without `https://`"),
        (&["check", ".", "--to", secret], "no credentials stand in a reference"),
        (&["push", ".", "-t", secret], "no credentials stand in a reference"),
        (&["push", ".", "-t", "bob:canary@r.io"], "`…@r.io` is no tag"),
        (&["build", ".", "-o", secret], "no credentials stand in a reference"),
        (&["build", ".", "--base", secret], "no credentials stand in a reference"),
        (&["build", ".", "--base", "docker://bob:canary@r.io/a"], "`docker://` is not known"),
        (&["build", ".", "--insecure-registry", "bob:canary@r.io"], "'…@r.io' for"),
        (&["build", ".", "--registry-map", "docker.io=bob:canary@r.io"], "'…@r.io' for"),
        (&["build", ".", "--registry-certificate", "bob:canary@r.io=x"], "'…@r.io=x' for"),
        (&["login", "bob:canary@r.io", "-u", "bob"], "'…@r.io' for"),
    ] {
        let stderr = refuse(&sandbox, arguments, 2, &[part]);
        assert!(!stderr.contains("canary"), "{stderr}");
    }
}

#[test]
fn programs_get_the_hints_of_a_config_apart() {
    let sandbox = Sandbox::new();
    sandbox.write("dockless.yaml", "name: p\nbse: scratch\n");
    for (arguments, is_event) in
        [(["build", ".", "--json"], false), (["build", ".", "--progress=json"], true)]
    {
        let outcome = sandbox.run(arguments);
        let error: serde_json::Value = if is_event {
            let line = outcome.stderr.lines().last().unwrap();
            serde_json::from_str(line).unwrap()
        } else {
            let document: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
            document["error"].clone()
        };
        let missing = "add `base: …`, for instance `builtin:static` or `python:3.12-slim`";
        assert_eq!(error["hints"], serde_json::json!([missing, "did you mean `base`?"]));
        assert!(!error["message"].to_string().contains("hint:"), "{error}");
    }
}
