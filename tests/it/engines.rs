//! A real Docker daemon takes what we make, and the base's folders come out as they were.

use crate::support::cli::{Outcome, Sandbox};
use crate::support::docker::Daemon;

/// A base as distributions ship it: merged `/usr`, an `/app` of user 1000, a sticky `/tmp`.
fn base(sandbox: &Sandbox) {
    sandbox.write("base/usr/bin/sh", "#!");
    sandbox.write(
        "base/dockless.yaml",
        "name: base\nbase: scratch\nlayers:\n  - kind: files\n    directories:\n      - {path: /app, mode: \"0755\", owner: \"1000:1000\"}\n      - {path: /tmp, mode: \"1777\"}\n    copy:\n      - {src: usr, dest: /usr}\n      - {src: bin, dest: /bin}\n",
    );
    std::os::unix::fs::symlink("usr/bin", sandbox.work().join("base/bin")).unwrap();
    sandbox.succeed(["build", "base", "-o", "oci:base-image"]);
}

#[test]
fn docker_loads_the_image_and_the_base_stays_as_it_was() {
    let sandbox = Sandbox::new();
    base(&sandbox);
    sandbox.write("agent/run", "x");
    sandbox.write(
        "agent/dockless.yaml",
        "name: agent\nbase: oci:../base-image\nlayers:\n  - kind: files\n    copy:\n      - {src: run, dest: /app/run}\n      - {src: run, dest: /bin/run}\n      - {src: run, dest: /tmp/run}\n",
    );
    let daemon = Daemon::start();
    let mut command = sandbox.command(["build", "agent", "--load", "-t", "v1"]);
    let outcome = Outcome::of(command.env("DOCKER_HOST", daemon.host()));
    assert_eq!(outcome.code, 0, "{outcome:#?}");

    let listing = daemon.listing("agent:v1");
    let find = |path: &str| -> Vec<String> {
        let line = listing.lines().find(|line| {
            line.split_whitespace().nth(5).is_some_and(|name| name.trim_end_matches('/') == path)
        });
        let words: Vec<_> =
            line.unwrap_or("none none").split_whitespace().map(str::to_owned).collect();
        words.into_iter().take(2).collect()
    };
    assert_eq!(find("app"), ["drwxr-xr-x", "1000/1000"], "{listing}");
    assert_eq!(find("tmp"), ["drwxrwxrwt", "0/0"], "{listing}");
    assert_eq!(find("bin"), ["lrwxrwxrwx", "0/0"], "{listing}");
    assert_eq!(find("usr/bin/run"), ["-rw-r--r--", "0/0"], "{listing}");
    assert_eq!(find("app/run"), ["-rw-r--r--", "0/0"], "{listing}");
}
