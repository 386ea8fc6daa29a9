//! A lock that is not as it was written stops the build, and is written anew by `dockless lock --upgrade`.

use std::fs;

use dockless::oci::Digest;
use serde_json::Value;

use super::{AMD64, Story};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_by_hand_is_refused_and_replaced() {
    let story = Story::new(&[AMD64]).await;
    story.succeed(&["lock", "p"]);
    let text = story.lock_text();
    let lock: Value = serde_json::from_str(&text).unwrap();
    let manifest = &lock["images"][story.base()]["platforms"][AMD64]["manifest"]["digest"];
    let named = format!("`{}` for `linux/amd64`", story.base());
    let other = Digest::of(b"other").to_string();
    for (from, to, what) in [
        (
            manifest.as_str().unwrap(),
            &*other,
            format!("the manifest of {named} is not what was locked"),
        ),
        (
            "\\\"os\\\":\\\"linux",
            "\\\"os\\\":\\\"Linux",
            format!("the config of {named} is not what was locked"),
        ),
        ("[\"srv\",493,", "[\"srv\",511,", "its checksum is that of another content".into()),
        ("[\"srv\",493,", "[\"../srv\",511,", format!("the facts about {named} cannot be")),
    ] {
        // In the index it stands before.
        let (before, after) = text.rsplit_once(from).unwrap();
        fs::write(story.lock_file(), [before, to, after].concat()).unwrap();
        let message = format!("`dockless.lock` was changed by hand or badly merged: {what}");
        let lock = &["lock", "p"];
        for words in [&["build", "p"][..], &["build", "p", "--locked"], &["check-base", "p"], lock]
        {
            let refused = story.run(words);
            assert_eq!(refused.code, 2, "{refused:#?}");
            assert!(refused.stderr.contains(&message), "{refused:#?}");
        }
        let locked = story.succeed(&["lock", "p", "--upgrade"]);
        assert!(
            locked.stderr.contains(&format!("{message}; nothing of it is used")),
            "{locked:#?}"
        );
        assert_eq!(story.lock_text(), text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_of_a_merge_is_named() {
    let story = Story::new(&[AMD64]).await;
    story.succeed(&["lock", "p"]);
    let text = story.lock_text();
    let conflict = text.replacen(
        "  \"checksum\"",
        "<<<<<<< HEAD\n  \"checksum\": \"\",\n=======\n  \"checksum\"",
        1,
    );
    fs::write(story.lock_file(), conflict).unwrap();
    let message = "`dockless.lock` has conflict markers of git, the first in line 2\n\
        hint: take one side of the conflict, then `dockless lock`\n\
        hint: or `dockless lock --upgrade` writes it anew, with what the tags point at now\n";
    for command in ["build", "lock"] {
        let refused = story.run(&[command, "p"]);
        assert_eq!(refused.code, 2, "{refused:#?}");
        assert!(refused.stderr.contains(message), "{refused:#?}");
    }
    let attempt = "error: keep the images as they are locked\n";
    assert!(story.run(&["lock", "p"]).stderr.contains(attempt));
    let locked = story.succeed(&["lock", "p", "--upgrade"]);
    let digest = story.image("one").descriptor().digest;
    assert!(locked.stderr.contains(&format!("{} is {digest}\n", story.base())), "{locked:#?}");
    assert_eq!(story.lock_text(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_a_later_version_is_left_alone() {
    let story = Story::new(&[AMD64]).await;
    let text = "{\"version\": 2, \"something\": []}\n";
    fs::write(story.lock_file(), text).unwrap();
    for words in [&["build", "p"][..], &["lock", "p"]] {
        let refused = story.run(words);
        assert_eq!(refused.code, 2, "{refused:#?}");
        let message = "`dockless.lock` is of version 2; this dockless reads up to version 1";
        assert!(refused.stderr.contains(message), "{refused:#?}");
    }
    assert_eq!(story.lock_text(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_or_too_large_is_told() {
    let story = Story::new(&[AMD64]).await;
    fs::create_dir(story.lock_file()).unwrap();
    let refused = story.run(&["build", "p"]);
    let message = format!("cannot read `{}`", story.lock_file().display());
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(refused.stderr.contains(&message), "{refused:#?}");
    fs::remove_dir(story.lock_file()).unwrap();
    fs::File::create(story.lock_file()).unwrap().set_len(33 * 1024 * 1024).unwrap();
    let refused = story.run(&["build", "p"]);
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(
        refused.stderr.contains("`dockless.lock` has more than 33554432 bytes"),
        "{refused:#?}"
    );
}
