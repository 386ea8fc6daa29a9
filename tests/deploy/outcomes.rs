//! What a person reads of a deployment, whole: one line per target about how it ended, the reason once.

use crate::world::{STAGING, World};

#[tokio::test(flavor = "multi_thread")]
async fn show() {
    let world = World::new(STAGING).await;
    let show = |what: &str, args: &[&str]| {
        let o = world.run(args);
        println!(
            "=== {what} {args:?} -> {}\n--- stdout\n{}--- stderr\n{}",
            o.code, o.stdout, o.stderr
        );
    };
    show("first", &["deploy"]);
    show("again", &["deploy"]);
    show("quiet", &["deploy", "-q"]);
    world.sandbox.write("agent.py", "print('two')\n");
    world.cloud.with(|cloud| {
        cloud.failure = Some(("HEALTH_CHECK_CONTAINER_ERROR".into(), "it does not listen".into()))
    });
    show("unhealthy", &["deploy"]);
    show("json", &["deploy", "--json"]);
    world.cloud.with(|cloud| {
        cloud.failure = Some(("HEALTH_CHECK_CONTAINER_ERROR".into(), "it does not listen".into()))
    });
    world.sandbox.write("agent.py", "print('three')\n");
    show("back", &["deploy", "--rollback-on-failure"]);
    show("status", &["status"]);
    show("status", &["status", "--check"]);
    show("statusj", &["status", "--json"]);
    world.sandbox.write("agent.py", "print('four')\n");
    show("good", &["deploy"]);
    show("rb", &["rollback"]);
    show("rb", &["rollback"]);
    show("status", &["status"]);
    show("again", &["deploy"]);
    show("destroy", &["destroy", "--dry-run"]);
    show("destroy", &["destroy", "--yes", "--json"]);
    show("destroy", &["destroy", "--yes", "--json"]);
    world.cloud.with(|cloud| cloud.looks = 100_000);
    show("wait", &["deploy", "--wait-timeout", "1s"]);
    show("logs", &["logs"]);
}
