//! What is locked stays until somebody says `--upgrade`.

use super::{AMD64, ARM64, Story, digest};
use crate::support::fault_proxy::Fault;
use crate::support::image::{assembly, file, image, layer};

const HINT: &str = "hint: `dockless lock --upgrade` takes what the tag points at now\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_completed_without_moving() {
    let story = Story::new(&[AMD64]).await;
    story.succeed(&["lock", "p"]);
    story.write_config(&story.base(), &[AMD64, ARM64], &[("a", "/deep/z")]);
    let expected = story.unlocked(&[]);
    let first = story.image("one").descriptor().digest;
    story.publish("base", "1", &story.image("two")).await;

    let check = story.run(&["lock", "p", "--check"]);
    assert_eq!(check.code, 1, "{check:#?}");
    assert!(check.stderr.contains("hint: `dockless lock` writes it"), "{check:#?}");
    let (locked, asked) = story.asked(&["lock", "p"]);
    assert_eq!(locked.stdout, format!("{}@{first}\n", story.base()));
    assert!(!asked.iter().any(|line| line.ends_with("/manifests/1")), "{asked:#?}");
    assert_eq!(digest(&story.run(&["build", "p", "--locked"])), expected);

    // What is not needed any more goes.
    story.write_config(&story.base(), &[ARM64], &[("a", "/deep/z")]);
    let locked = story.succeed(&["lock", "p"]);
    let gone = format!("{} is not needed for {AMD64} any more\n", story.base());
    assert!(locked.stderr.contains(&gone), "{locked:#?}");
    assert_eq!(story.run(&["build", "p", "--locked", "--platform", AMD64]).code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_moves_every_platform_that_is_locked() {
    let story = Story::new(&[AMD64]).await;
    story.succeed(&["lock", "p", "--platform", "linux/amd64,linux/arm64"]);
    let text = story.lock_text();
    story.publish("base", "1", &story.image("two")).await;
    story.succeed(&["lock", "p", "--platform", ARM64]);
    assert_eq!(story.lock_text(), text);
    for words in [&["--platform", AMD64][..], &[]] {
        story.publish("base", "1", &story.image(&format!("{words:?}"))).await;
        story.succeed(&[&["lock", "p", "--upgrade"], words].concat());
        for platform in [AMD64, ARM64] {
            let expected = story.unlocked(&["--platform", platform]);
            let (built, asked) = story.asked(&["build", "p", "--locked", "--platform", platform]);
            assert_eq!((digest(&built), asked), (expected, Vec::new()), "{words:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_image_that_is_lost_needs_an_upgrade() {
    let story = Story::new(&[AMD64]).await;
    story.succeed(&["lock", "p"]);
    let first = story.image("one").descriptor().digest;
    story.publish("base", "1", &story.image("two")).await;
    // Its index, and then its layers.
    for (code, platforms, target, path) in [
        (2, [AMD64, ARM64].as_slice(), "/srv/a", "/manifests/sha256"),
        (3, &[AMD64], "/deep/z", "/blobs/sha256"),
    ] {
        story.write_config(&story.base(), platforms, &[("a", target)]);
        let (headers, body) = (Vec::new(), String::new());
        story.proxy.on("GET", path, [Fault::Answer { status: 404, headers, body }]);
        let text = story.lock_text();
        let refused = story.run(&["lock", "p"]);
        assert_eq!(refused.code, code, "{refused:#?}");
        assert!(refused.stderr.ends_with(HINT), "{refused:#?}");
        assert_eq!(story.lock_text(), text);
    }
    let upgraded = story.succeed(&["lock", "p", "--upgrade"]);
    assert!(upgraded.stderr.contains(&format!("moved from {first} to ")), "{upgraded:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_image_without_the_new_platform_needs_an_upgrade() {
    let story = Story::new(&[AMD64]).await;
    let base = story.base();
    let alone =
        image(&AMD64.parse().unwrap(), vec![layer(&story.store, "base", &[file("x", "x")])]);
    let alone = assembly(vec![alone]);
    story.publish("base", "1", &alone).await;
    story.succeed(&["lock", "p"]);
    story.publish("base", "1", &story.image("two")).await;
    story.write_config(&base, &[AMD64, ARM64], &[("a", "/srv/a")]);
    let refused = story.run(&["lock", "p"]);
    assert_eq!(refused.code, 2, "{refused:#?}");
    let digest = alone.descriptor().digest;
    let message = format!("complete what is locked: {digest}\n  base `{base}` is an image for");
    assert!(refused.stderr.contains(&message), "{refused:#?}");
    assert!(refused.stderr.ends_with(HINT), "{refused:#?}");
    story.succeed(&["lock", "p", "--upgrade"]);
    story.succeed(&["build", "p", "--locked"]);
}
