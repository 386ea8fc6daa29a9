//! `dockless check-base` says where a tag points now.

use serde_json::json;

use super::{AMD64, Story};

#[tokio::test(flavor = "multi_thread")]
async fn says_whether_the_tag_moved() {
    let story = Story::new(&[AMD64]).await;
    let base = story.base();
    let (first, second) =
        (story.image("one").descriptor().digest, story.image("two").descriptor().digest);
    let unpinned = story.run(&["check-base", "p"]);
    assert_eq!(unpinned.code, 2, "{unpinned:#?}");
    let message = format!("neither `dockless.lock` nor the config has the digest of `{base}`");
    assert!(unpinned.stderr.contains(&message), "{unpinned:#?}");
    assert!(
        unpinned.stderr.contains("hint: `dockless lock` pins what the project needs, or write"),
        "{unpinned:#?}"
    );

    story.succeed(&["lock", "p"]);
    let (same, asked) = story.asked(&["check-base", "p"]);
    assert_eq!(same.stdout, format!("{base} is still {first}\n"));
    assert_eq!(asked, ["HEAD /v2/base/manifests/1"]);

    story.publish("base", "1", &story.image("two")).await;
    let before = story.proxy.server().requests().len();
    let moved = story.run(&["check-base", "p"]);
    assert_eq!(moved.stdout, format!("{base} moved from {first} to {second}\n"));
    assert_eq!(moved.code, 1, "{moved:#?}");
    assert!(
        moved.stderr.contains("hint: `dockless lock --upgrade` takes the new images"),
        "{moved:#?}"
    );
    let asked = story.proxy.server().requests().split_off(before);
    assert_eq!(asked, ["HEAD /v2/base/manifests/1", "GET /v2/base/manifests/1"]);
    let answer = json!({"name": base, "pinned_digest": first, "digest": second, "has_moved": true});
    let document = story.run(&["check-base", "p", "--json"]).stdout;
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document, json!({ "images": [answer] }));
    story.succeed(&["lock", "p"]);
    assert_eq!(story.run(&["check-base", "p"]).code, 1, "nothing moves by itself");
    story.succeed(&["lock", "p", "--upgrade"]);
    story.succeed(&["check-base", "p"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_changed_for_other_platforms_is_no_move() {
    let story = Story::new(&[AMD64]).await;
    let before = story.image("one").descriptor().digest;
    let after = story.image_with("one", "two");
    let now = after.descriptor().digest;
    let expected = |name: &str| {
        format!(
            "{name} is now {now}, not {before}, with the same images for the project's platforms\n"
        )
    };
    story.succeed(&["lock", "p"]);
    story.publish("base", "1", &after).await;
    assert_eq!(story.succeed(&["check-base", "p"]).stdout, expected(&story.base()));
    // Nor is it where only the config has the digest.
    let pinned = format!("{}@{before}", story.base());
    assert_eq!(
        story.succeed(&["check-base", "p", "--base", &pinned]).stdout.lines().next(),
        expected(&pinned).lines().next()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_in_the_config_pins_too() {
    let story = Story::new(&[AMD64]).await;
    let (first, second) =
        (story.image("one").descriptor().digest, story.image("two").descriptor().digest);
    let pinned = format!("{}@{first}", story.base());
    story.write_config(&pinned, &[AMD64], &[("a", "/srv/a")]);
    let same = story.succeed(&["check-base", "p"]);
    assert_eq!(same.stdout, format!("{pinned} is still {first}\n"));
    story.publish("base", "1", &story.image("two")).await;
    let moved = story.run(&["check-base", "p"]);
    assert_eq!(moved.code, 1, "{moved:#?}");
    let hint = format!("hint: write `{}@{second}`, and then `dockless lock`", story.base());
    assert!(moved.stderr.contains(&hint), "{moved:#?}");
    // Without a tag, nothing can move.
    let untagged = format!("{}@{first}", story.at("base"));
    story.write_config(&untagged, &[AMD64], &[("a", "/srv/a")]);
    assert_eq!(story.asked(&["check-base", "p"]).1, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_no_registry_cannot_move() {
    let story = Story::new(&[AMD64]).await;
    let local = story.succeed(&["check-base", "p", "--base", "scratch"]);
    assert!(local.stderr.contains("the base is in no registry: nothing can move"), "{local:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_every_image_that_is_not_pinned_and_no_variable() {
    let story = Story::new(&[AMD64]).await;
    let (base, other) = (story.base(), story.at("other:1"));
    story.publish("other", "1", &story.image("other")).await;
    let write = |base: &str| {
        let layer =
            format!("{{kind: from-image, image: \"{other}\", copy: [{{src: /deep, dest: /opt}}]}}");
        let config = format!("name: p\nbase: {base}\nplatforms: [{AMD64}]\nlayers: [{layer}]\n");
        story.sandbox.write("p/dockless.yaml", config);
    };
    for (base, names) in
        [(base.as_str(), format!("`{base}`, `{other}`")), ("scratch", format!("`{other}`"))]
    {
        write(base);
        let unpinned = story.run(&["check-base", "p"]);
        assert_eq!(unpinned.code, 2, "{unpinned:#?}");
        let message = format!("nor the config has the digest of {names}\n");
        assert!(unpinned.stderr.contains(&message), "{unpinned:#?}");
    }
    // Those that are pinned are looked at.
    write(&format!("{base}@{}", story.image("one").descriptor().digest));
    let partly = story.succeed(&["check-base", "p"]);
    let warning = format!("warning: not pinned, so not looked at: `{other}`\n");
    assert!(partly.stderr.contains(&warning), "{partly:#?}");

    story.sandbox.project("holodeck-complete");
    for words in [["check-base", "holodeck-complete"], ["lock", "holodeck-complete"]] {
        let told = story.run(&[&words[..], &["--base", &base]].concat());
        assert!(!told.stderr.contains("required at run time"), "{told:#?}");
    }
}
