//! `dockless build`: a folder becomes an image that others accept.

use std::process::Command;

use serde_json::Value;

use crate::support::cli::{Outcome, Sandbox};

/// Reads a JSON document of a layout by its digest.
fn blob(layout: &std::path::Path, digest: &str) -> Value {
    let path = layout.join("blobs").join(digest.replace(':', "/"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn hello_becomes_a_layout_without_any_network() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("hello");
    // A network namespace without any interface but a dead loopback.
    let arguments = ["build".as_ref(), project.as_os_str(), "-o".as_ref(), "oci:out".as_ref()];
    let mut command = sandbox.command_below(&["unshare", "--net", "--"], arguments);
    let outcome = Outcome::of(&mut command);
    assert_eq!(outcome.code, 0, "{outcome:#?}");

    let digest = outcome.stdout.trim_end();
    let layout = sandbox.work().join("out");
    let index: Value =
        serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["digest"], digest);
    let manifest = blob(&layout, digest);
    let config = blob(&layout, manifest["config"]["digest"].as_str().unwrap());
    assert_eq!(
        config["rootfs"]["diff_ids"].as_array().unwrap().len(),
        manifest["layers"].as_array().unwrap().len()
    );
}

#[test]
fn stdout_is_the_digest_alone_and_the_same_every_time() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("hello");
    let first = sandbox.succeed(["build".as_ref(), project.as_os_str()]);
    let second = sandbox.succeed(["build".as_ref(), "-q".as_ref(), project.as_os_str()]);
    assert_eq!(first, second);
    assert!(first.parse::<dockless::oci::Digest>().is_ok(), "{first}");
}

#[test]
fn quiet_prints_nothing_to_stderr() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("hello");
    let outcome = sandbox.run(["build".as_ref(), "-q".as_ref(), project.as_os_str()]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
}

#[test]
fn json_progress_is_one_versioned_object_per_line() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("hello");
    let outcome = sandbox.run(["build".as_ref(), "--progress=json".as_ref(), project.as_os_str()]);
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    assert!(!outcome.stderr.is_empty());
    for line in outcome.stderr.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["version"], 1);
        assert!(event["event"].is_string(), "{line}");
    }
}

#[test]
fn a_build_leaves_the_project_untouched() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("hello");
    let list = || {
        let output =
            Command::new("find").arg(&project).args(["-printf", "%p %m %T@ %s\n"]).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let before = list();
    sandbox.succeed(["build".as_ref(), project.as_os_str()]);
    assert_eq!(list(), before);
}

#[test]
fn a_layout_inside_the_project_never_becomes_part_of_the_image() {
    let sandbox = Sandbox::new();
    let project = sandbox.write(
        "agent/dockless.yaml",
        "name: agent\nbase: scratch\nlayers: [{kind: files, copy: [{src: ., dest: /app}]}]\n",
    );
    let project = project.parent().unwrap();
    sandbox.write("agent/a.txt", "a");
    let build = |output: &str| {
        let mut command = sandbox.command(["build", ".", "-o", output, "--digest-file", "digest"]);
        let outcome = Outcome::of(command.current_dir(project));
        assert_eq!(outcome.code, 0, "{outcome:#?}");
        outcome.stdout
    };
    assert_eq!(build("oci:out"), build("oci:out"));
    assert_eq!(
        std::fs::read_to_string(project.join("digest")).unwrap(),
        build("oci:out").trim_end()
    );
}

#[test]
fn the_records_say_what_later_steps_ask_for() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("hello");
    let digest = sandbox.succeed([
        "build".as_ref(),
        project.as_os_str(),
        "-o".as_ref(),
        "oci:out".as_ref(),
        "--digest-file=digest".as_ref(),
        "--iidfile=iid".as_ref(),
        "--metadata-file=metadata.json".as_ref(),
    ]);
    let read = |name: &str| std::fs::read_to_string(sandbox.work().join(name)).unwrap();
    let manifest = blob(&sandbox.work().join("out"), &digest);
    assert_eq!(read("digest"), digest);
    assert_eq!(read("iid"), manifest["config"]["digest"].as_str().unwrap());
    let metadata: Value = serde_json::from_str(&read("metadata.json")).unwrap();
    assert_eq!(metadata["containerimage.digest"], digest.as_str());
    assert_eq!(metadata["containerimage.config.digest"], manifest["config"]["digest"]);
}

#[test]
fn a_dry_run_prints_the_plan_and_writes_nothing() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("hello");
    let outcome = sandbox.run([
        "build".as_ref(),
        project.as_os_str(),
        "-o".as_ref(),
        "oci:out".as_ref(),
        "--dry-run".as_ref(),
        "--digest-file=digest".as_ref(),
    ]);
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    assert!(outcome.stdout.contains("oci:out"), "{}", outcome.stdout);
    assert!(!sandbox.work().join("out").exists());
    assert!(!sandbox.work().join("digest").exists());
}

#[test]
fn a_dry_run_as_json_is_one_document() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("hello");
    let text = sandbox.succeed([
        "build".as_ref(),
        "--dry-run".as_ref(),
        "--json".as_ref(),
        project.as_os_str(),
    ]);
    let plan: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(plan["name"], "hello");
    assert_eq!(plan["images"][0]["platform"], "linux/amd64");
}

#[test]
fn without_a_home_the_build_goes_on_without_a_cache() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("hello");
    let with = sandbox.succeed(["build".as_ref(), project.as_os_str()]);
    let mut command = sandbox.command(["build".as_ref(), project.as_os_str()]);
    command.env_remove("HOME").env_remove("DOCKLESS_CACHE_DIR");
    let outcome = Outcome::of(&mut command);
    assert_eq!((outcome.code, outcome.stdout.trim_end()), (0, with.as_str()), "{outcome:#?}");
    assert!(outcome.stderr.contains("going on without a cache"), "{}", outcome.stderr);
}

#[test]
fn a_reader_that_has_gone_away_is_no_failure() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("hello");
    let mut command = sandbox.command(["build".as_ref(), project.as_os_str()]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = command.stdout(writer).stderr(std::process::Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("hello");
    for arguments in [&["build", project.to_str().unwrap()][..], &["schema"]] {
        let mut command = sandbox.command(arguments);
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let output = output.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        assert!(stderr.contains("cannot write to standard output"), "{stderr}");
    }
}

#[test]
fn an_archive_on_stdout_can_be_planned_but_has_no_document() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("hello");
    let project = project.to_str().unwrap();
    let plan = sandbox.succeed(["build", project, "-o", "-", "--dry-run"]);
    assert!(plan.ends_with("to docker-archive:- as v1"), "{plan}");
    let outcome = sandbox.run(["build", project, "-o", "-", "--json"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert!(outcome.stderr.contains("--json"), "{}", outcome.stderr);
}

#[test]
fn errors_are_json_lines_where_progress_is() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(["build", "missing", "--progress=json"]);
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let lines: Vec<Value> =
        outcome.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let error = lines.last().unwrap();
    assert_eq!((&error["event"], &error["kind"]), (&"error".into(), &"usage".into()));
    assert!(error["message"].to_string().contains("missing"), "{error}");
    assert!(error["hints"].is_array(), "{error}");
}

#[test]
fn what_was_packed_is_named_by_digest_and_size() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("hello");
    let outcome = sandbox.run(["build", "--progress=json", project.to_str().unwrap()]);
    let is_blob = |event: &Value| {
        event["event"] == "task_finished"
            && event["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:"))
            && event["bytes"].as_u64().is_some_and(|bytes| bytes > 0)
    };
    let blobs = outcome.stderr.lines().filter(|line| is_blob(&serde_json::from_str(line).unwrap()));
    assert!(blobs.count() > 0, "{outcome:#?}");
}

#[test]
fn every_destination_closes_with_a_line_of_its_own() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("hello");
    let outcome = sandbox.run(["build", project.to_str().unwrap(), "-o", "oci:out"]);
    let digest = &outcome.stdout.trim_end()[..19];
    let last = outcome.stderr.lines().last().unwrap();
    assert_eq!(last, format!("wrote oci:out as v1: {digest}"), "{outcome:#?}");
}

#[test]
fn loading_shows_no_temporary_file_and_asks_for_an_engine_first() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("hello");
    let project = project.to_str().unwrap();
    let plan = sandbox.succeed(["build", project, "--load", "--dry-run"]);
    assert!(plan.ends_with("to the local engine as v1"), "{plan}");
    let load = |engine: &str| {
        let mut command = sandbox.command(["build", project, "--load", "--json"]);
        Outcome::of(command.env("DOCKLESS_ENGINE", engine))
    };
    // `true` takes any archive.
    let outcome = load("true");
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    assert!(outcome.stderr.contains("loaded into true"), "{}", outcome.stderr);
    assert!(!format!("{outcome:?}").contains("image.tar"), "{outcome:#?}");
    let outcome = load("no-such-engine");
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    assert!(!outcome.stderr.contains("failed"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("packed"), "{}", outcome.stderr);
}

#[test]
fn quiet_on_the_command_line_beats_the_variable_for_more() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("hello");
    let mut command = sandbox.command(["build", "-q", project.to_str().unwrap()]);
    let outcome = Outcome::of(command.env("DOCKLESS_VERBOSE", "1"));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
}

#[test]
fn a_variable_has_one_label_per_line() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("hello");
    let mut command = sandbox.command(["build", "--dry-run", "--json", project.to_str().unwrap()]);
    let outcome = Outcome::of(command.env("DOCKLESS_LABEL", "a=b,c\nd=e"));
    let plan: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let labels = &plan["images"][0]["labels"];
    assert_eq!((&labels["a"], &labels["d"]), (&"b,c".into(), &"e".into()), "{outcome:#?}");
}

#[test]
fn a_dry_run_says_how_a_container_is_run_and_what_platforms_share() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("hello");
    let project = project.to_str().unwrap();
    let platforms = "--platform=linux/amd64,linux/arm64";
    let plan = sandbox.succeed(["build", project, "--dry-run", platforms]);
    for line in [
        "  user: 65532",
        "  working directory: /srv",
        "  variables: GREETING",
        "  label com.example.team=greetings",
        "  the same layers as linux/amd64",
    ] {
        assert_eq!(
            plan.lines().filter(|candidate| *candidate == line).count(),
            1,
            "{line}: {plan}"
        );
    }
    assert!(!plan.contains("GREETING="), "{plan}");
    assert_eq!(plan.matches("of our own").count(), 1, "{plan}");
}

#[test]
fn a_base_on_the_command_line_stands_for_the_one_of_the_config() {
    let sandbox = Sandbox::new();
    sandbox.write("with/dockless.yaml", "name: x\nbase: scratch\n");
    sandbox.write("without/dockless.yaml", "name: x\n");
    let expected = sandbox.run(["build", "with"]);
    assert_eq!(sandbox.run(["build", "without"]).code, 2);
    let outcome = sandbox.run(["build", "without", "--base", "scratch"]);
    assert_eq!((outcome.code, outcome.stdout), (0, expected.stdout));
}

#[test]
fn a_checkout_that_git_refuses_is_told_with_the_cure() {
    let sandbox = Sandbox::new();
    let config = sandbox.write("repo/dockless.yaml", "name: x\nbase: scratch\n");
    let folder = config.parent().unwrap().canonicalize().unwrap();
    let made = std::process::Command::new("git").arg("init").arg("--quiet").arg(&folder).status();
    assert!(made.unwrap().success());
    // Git's own tests make it believe that the folder is another user's in this way.
    let output = sandbox
        .command(["build", "repo"])
        .env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let shown = folder.display();
    let warning = format!(
        "warning: git knows nothing of this folder (detected dubious ownership in repository at \
         '{shown}'), and no CI variable names a commit\n  hint: git config --global --add \
         safe.directory {shown}\n"
    );
    assert!(stderr.contains(&warning), "{stderr}");
    assert_eq!(output.status.code(), Some(0));
}
