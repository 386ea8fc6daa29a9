//! A lock is stale when something that is needed is missing, and only then.

use super::{AMD64, ARM64, Story, digest};

/// Builds with a lock that lacks something: refused with `--locked`, else told once, and asked for.
#[track_caller]
fn is_stale(story: &Story, options: &[&str], missing: &str) -> Vec<String> {
    let words = [&["build", "p", "--locked"], options].concat();
    let before = story.proxy.server().requests().len();
    let refused = story.run(&words);
    let error = format!("`dockless.lock` {missing}");
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(refused.stderr.contains(&error), "{refused:#?}");
    assert!(refused.stderr.contains("hint: `dockless lock` brings it up to date"), "{refused:#?}");
    assert_eq!(story.proxy.server().requests().split_off(before), Vec::<String>::new());

    let (built, asked) = story.asked(&[&["build", "p"], options].concat());
    let warning = format!("warning: {error}: its registry is asked\n");
    assert!(built.stderr.contains(&warning), "{built:#?}");
    assert_eq!(built.stderr.matches("warning: ").count(), 1, "{built:#?}");
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_base_is_asked_for() {
    let story = Story::new(&[AMD64]).await;
    story.succeed(&["lock", "p"]);
    story.publish("other", "1", &story.image("other")).await;
    let other = story.at("other:1");
    is_stale(&story, &["--base", &other], &format!("does not have `{other}`"));
    // Neither is what a bot writes.
    let digest = story.image("other").descriptor().digest;
    let pinned = format!("{}@{digest}", story.at("other:1"));
    story.write_config(&pinned, &[AMD64], &[("a", "/srv/a")]);
    is_stale(&story, &[], &format!("does not have `{pinned}`"));
    story.succeed(&["lock", "p"]);
    story.succeed(&["build", "p", "--locked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_platform_is_one_of_the_locked_index() {
    let story = Story::new(&[AMD64]).await;
    story.succeed(&["lock", "p"]);
    story.write_config(&story.base(), &[AMD64, ARM64], &[("a", "/srv/a")]);
    let expected = story.unlocked(&[]);
    story.publish("base", "1", &story.image("two")).await;
    let index = story.image("one").descriptor().digest;
    let asked = is_stale(&story, &[], &format!("does not have `{}` for linux/arm64", story.base()));
    assert_eq!(asked[0], format!("GET /v2/base/manifests/{index}"));
    let built = story.succeed(&["build", "p"]);
    assert_eq!(digest(&built), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_question_is_asked_of_the_locked_layers() {
    let story = Story::new(&[AMD64, ARM64]).await;
    story.succeed(&["lock", "p"]);
    // Beside what is there already, nothing new is asked.
    story.write_config(&story.base(), &[AMD64, ARM64], &[("a", "/srv/b"), ("a", "/opt/c")]);
    story.succeed(&["build", "p", "--locked"]);

    story.write_config(&story.base(), &[AMD64, ARM64], &[("a", "/deep/x/y")]);
    let failed = story.run(&["build", "p"]);
    assert_eq!(failed.code, 2, "a file is no folder: {failed:#?}");
    story.write_config(&story.base(), &[AMD64, ARM64], &[("a", "/deep/z")]);
    let expected = story.unlocked(&[]);
    story.publish("base", "1", &story.image("two")).await;
    let missing = format!(
        "does not say all that this project asks about the files of `{}` for linux/amd64",
        story.base()
    );
    let asked = is_stale(&story, &[], &missing);
    let layer = story.image("one").images[0].layers[0].descriptor.digest;
    // What is known of the other platform is enough.
    assert_eq!(asked, [format!("GET /v2/base/blobs/{layer}")]);
    assert_eq!(digest(&story.succeed(&["build", "p"])), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_a_project_without_files_has_no_facts() {
    let story = Story::new(&[AMD64]).await;
    let config = format!("name: p\nbase: {}\n", story.base());
    story.sandbox.write("p/dockless.yaml", config);
    let locked = story.asked(&["lock", "p"]).1;
    assert_eq!(locked.iter().filter(|line| line.contains("/blobs/")).count(), 1, "{locked:#?}");
    story.succeed(&["build", "p", "--locked"]);
    story.write_config(&story.base(), &[AMD64], &[("a", "/srv/a")]);
    let missing = format!(
        "does not say all that this project asks about the files of `{}` for linux/amd64",
        story.base()
    );
    is_stale(&story, &[], &missing);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_a_registry_has_needs_a_lock() {
    let story = Story::new(&[AMD64]).await;
    let refused = story.run(&["build", "p", "--locked"]);
    let folder = story.sandbox.work().join("p");
    let error = format!(
        "a locked build needs `dockless.lock`, and there is none in `{}`",
        folder.display()
    );
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(refused.stderr.contains(&error), "{refused:#?}");
    let mut by_variable = story.sandbox.command(["push", "p", "--to", &story.at("a/b")]);
    let by_variable = crate::support::cli::Outcome::of(by_variable.env("DOCKLESS_LOCKED", "1"));
    assert!(by_variable.stderr.contains(&error), "{by_variable:#?}");

    story.succeed(&["build", "p", "-o", "oci:base", "--platform", AMD64]);
    for base in ["scratch", "builtin:static", "oci:base"] {
        story.succeed(&["build", "p", "--locked", "--base", base]);
        let locked = story.succeed(&["lock", "p", "--base", base]);
        assert_eq!(locked.stdout, "", "{locked:#?}");
        assert!(!story.lock_file().exists(), "{base}");
    }
}

/// What came out of the layers is believed when it is locked: a mistake of the user's is told without
/// the registry.
#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_is_found_without_the_registry() {
    let story = Story::new(&[AMD64]).await;
    story.write_config(&story.base(), &[AMD64], &[("a", "/deep/z")]);
    story.succeed(&["lock", "p"]);
    story.write_config(&story.base(), &[AMD64], &[("a", "/deep/x/y")]);
    let before = story.proxy.server().requests().len();
    let refused = story.run(&["build", "p"]);
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(refused.stderr.contains("`/deep/x`"), "{refused:#?}");
    assert_eq!(story.proxy.server().requests().len(), before);
}
