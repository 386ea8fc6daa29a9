//! The same input gives the same digest, whoever builds it, wherever, and however.

use std::path::Path;
use std::process::Command;

use crate::support::child::NOBODY;
use crate::support::cli::{Outcome, Sandbox, copy};

/// A command and its name in the failure message.
type Variation = (&'static str, Box<dyn Fn(&Sandbox, &Path) -> Outcome>);

/// Builds below another program: `setpriv`, `taskset`.
fn wrapped(sandbox: &Sandbox, wrapper: &[&str], project: &Path) -> Outcome {
    Outcome::of(&mut sandbox.command_below(wrapper, ["build".as_ref(), project.as_os_str()]))
}

fn with_environment(sandbox: &Sandbox, project: &Path, name: &str, value: &str) -> Outcome {
    let mut command = sandbox.command(["build".as_ref(), project.as_os_str()]);
    Outcome::of(command.env(name, value))
}

/// A project with everything whose order or mode could leak: many files, folders, a link.
fn project(sandbox: &Sandbox) -> std::path::PathBuf {
    let config = "name: repro\nbase: builtin:static\nlayers:\n  - {kind: files, copy: [{src: ., dest: /app}]}\n";
    sandbox.write("p/dockless.yaml", config);
    for number in 0..300_u32 {
        sandbox.write(&format!("p/d{}/f{number}", number % 7), number.to_string().repeat(900));
    }
    std::os::unix::fs::symlink("d1/f1", sandbox.work().join("p/link")).unwrap();
    sandbox.work().join("p")
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn variations() -> Vec<Variation> {
    vec![
        (
            "another folder",
            Box::new(|sandbox, project| {
                let other = sandbox.work().join("deeper/and/other");
                copy(project, &other);
                sandbox.run(["build".as_ref(), other.as_os_str()])
            }),
        ),
        (
            "from inside",
            Box::new(|sandbox, project| {
                let mut command = sandbox.command(["build"]);
                Outcome::of(command.current_dir(project))
            }),
        ),
        (
            "umask 077",
            Box::new(|sandbox, project| {
                let other = sandbox.work().join("umask");
                let copied = Command::new("sh")
                    .args(["-c", "umask 077; cp -r --no-preserve=mode \"$0\" \"$1\""])
                    .args([project, &other])
                    .status();
                assert!(copied.unwrap().success());
                sandbox.run(["build".as_ref(), other.as_os_str()])
            }),
        ),
        (
            "group-writable checkout",
            Box::new(|sandbox, project| {
                let other = sandbox.work().join("modes");
                copy(project, &other);
                assert!(
                    Command::new("chmod")
                        .args(["-R", "g+w"])
                        .arg(&other)
                        .status()
                        .unwrap()
                        .success()
                );
                sandbox.run(["build".as_ref(), other.as_os_str()])
            }),
        ),
        (
            "another user",
            Box::new(|sandbox, project| {
                let other = sandbox.work().join("user");
                copy(project, &other);
                let owned = Command::new("chown")
                    .args(["-R", "65534:65534"])
                    .arg(&other)
                    .arg(sandbox.cache())
                    .status();
                assert!(owned.unwrap().success());
                assert!(
                    Command::new("chmod")
                        .arg("755")
                        .arg(sandbox.work().parent().unwrap())
                        .status()
                        .unwrap()
                        .success()
                );
                wrapped(sandbox, &NOBODY, &other)
            }),
        ),
        (
            "one core",
            Box::new(|sandbox, project| wrapped(sandbox, &["taskset", "-c", "0"], project)),
        ),
        (
            "another time zone",
            Box::new(|sandbox, project| {
                with_environment(sandbox, project, "TZ", "Pacific/Kiritimati")
            }),
        ),
        (
            "another locale",
            Box::new(|sandbox, project| {
                with_environment(sandbox, project, "LC_ALL", "tr_TR.UTF-8")
            }),
        ),
        (
            "created in reverse order",
            Box::new(|sandbox, project| {
                let other = sandbox.work().join("reverse");
                let script = "cd \"$0\"; find . | sort -r | tar -c --no-recursion -T - | (mkdir \"$1\"; cd \"$1\"; tar -x)";
                let copied =
                    Command::new("sh").args(["-c", script]).args([project, &other]).status();
                assert!(copied.unwrap().success());
                sandbox.run(["build".as_ref(), other.as_os_str()])
            }),
        ),
        (
            "touched",
            Box::new(|sandbox, project| {
                let other = sandbox.work().join("touched");
                copy(project, &other);
                let script = "find \"$0\" -exec touch -h -d 2001-01-01 {} +";
                assert!(
                    Command::new("sh").args(["-c", script]).arg(&other).status().unwrap().success()
                );
                sandbox.run(["build".as_ref(), other.as_os_str()])
            }),
        ),
    ]
}

#[test]
fn nothing_but_the_content_decides_the_digest() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let digest = sandbox.succeed(["build".as_ref(), project.as_os_str()]);
    for (name, build) in variations() {
        let outcome = build(&sandbox, &project);
        assert_eq!(
            (outcome.code, outcome.stdout.trim_end()),
            (0, digest.as_str()),
            "{name}: {outcome:#?}"
        );
    }
    sandbox.write("p/d1/f1", "changed");
    assert_ne!(sandbox.succeed(["build".as_ref(), project.as_os_str()]), digest);
}

#[test]
fn source_date_epoch_sets_created_and_nothing_else() {
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let layers = |epoch: &str, output: &str| {
        let mut command = sandbox.command([
            "build".as_ref(),
            project.as_os_str(),
            "-o".as_ref(),
            output.as_ref(),
        ]);
        let outcome = Outcome::of(command.env("SOURCE_DATE_EPOCH", epoch));
        assert_eq!(outcome.code, 0, "{outcome:#?}");
        let layout = sandbox.work().join(output.strip_prefix("oci:").unwrap());
        let read = |digest: &str| -> serde_json::Value {
            let path = layout.join("blobs").join(digest.trim_end().replace(':', "/"));
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
        };
        let manifest = read(&outcome.stdout);
        let config = read(manifest["config"]["digest"].as_str().unwrap());
        (manifest["layers"].clone(), config["created"].clone())
    };
    let (first, created) = layers("0", "oci:first");
    assert_eq!(created, "1970-01-01T00:00:00Z");
    let (second, created) = layers("1700000000", "oci:second");
    assert_eq!(created, "2023-11-14T22:13:20Z");
    assert_eq!(first, second);
}
