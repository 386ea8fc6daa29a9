//! Layouts that were built earlier, read to be published elsewhere.

use std::fs;

use dockless::error::ErrorKind;
use dockless::oci::Digest;
use dockless::plan::Origin;
use dockless::publish::{PublishContext, read_layout};
use dockless::store::Store;
use serde_json::{Value, json};

use super::{Story, files, json_of};
use crate::support::image::{hello, with_origin};
use crate::support::registry::Registry;

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_that_was_built_earlier_is_pushed_as_it_is() {
    let registry = Registry::start();
    let story = Story::new();
    let hello = hello(&story.context.store);
    story.publish(&story.local("oci", "out"), &hello, &["v1"]).await;
    let out = story.path().join("out");
    let read = read_layout(&out, Some("v1")).unwrap();
    let mut expected = with_origin(hello.clone(), &Origin::Layout(out.clone()));
    for layer in &mut expected.images[0].layers {
        layer.name = "layer".into();
    }
    assert_eq!(read, expected);

    let context = PublishContext { store: Store::temporary().unwrap(), ..story.context.clone() };
    let story = Story { context, ..story };
    let to = format!("{}/acme/hello", registry.host());
    let published = story.publish(&to, &read, &["v1"]).await;
    assert_eq!(published.descriptor, *hello.descriptor());
    // From one layout to another, too.
    story.publish(&story.local("oci", "again"), &read, &["v1"]).await;
    assert_eq!(files(&story.path().join("again")), files(&out));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_is_read_only_when_all_of_it_is_right() {
    let story = Story::new();
    let hello = hello(&story.context.store);
    story.publish(&story.local("oci", "out"), &hello, &["v1"]).await;
    let out = story.path().join("out");
    let layer = &hello.images[0].layers[1].descriptor.digest;
    let blob = out.join("blobs/sha256").join(layer.hex());
    let mut bytes = fs::read(&blob).unwrap();
    bytes[20] ^= 1;
    fs::write(&blob, &bytes).unwrap();
    let error = read_layout(&out, None).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Usage, format!("`{}` lacks blob `{layer}`, or has it damaged", out.display()))
    );
}

/// Breaks a manifest.
type Change = fn(&mut Value);

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_whose_documents_break_the_rules_is_the_users_to_mend() {
    let story = Story::new();
    let hello = hello(&story.context.store);
    let out = story.path().join("out");
    let cases: [(Change, &str); 6] = [
        (
            |manifest| manifest["layers"][0]["digest"] = json!("sha256:../../etc/passwd"),
            "not valid",
        ),
        (
            |manifest| manifest["layers"][0]["digest"] = json!(format!("sha512:{:0128}", 0)),
            "not valid",
        ),
        (|manifest| manifest["layers"][0]["size"] = json!(-1), "not valid"),
        (
            |manifest| {
                manifest["mediaType"] =
                    json!("application/vnd.docker.distribution.manifest.v2+json");
            },
            "not valid",
        ),
        (|manifest| manifest["manifests"] = json!([]), "not valid"),
        (|manifest| manifest["layers"][0]["urls"] = json!(["http://a.io/b"]), "has `urls`"),
    ];
    for (change, reason) in cases {
        let _ = fs::remove_dir_all(&out);
        story.publish(&story.local("oci", "out"), &hello, &["v1"]).await;
        let mut index = json_of(&out.join("index.json"));
        let blobs = out.join("blobs/sha256");
        let hex = |value: &Value| value.as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        let mut manifest = json_of(&blobs.join(hex(&index["manifests"][0]["digest"])));
        change(&mut manifest);
        let bytes = manifest.to_string();
        let digest = Digest::of(bytes.as_bytes());
        fs::write(blobs.join(digest.hex()), &bytes).unwrap();
        index["manifests"][0]["digest"] = json!(digest.to_string());
        index["manifests"][0]["size"] = json!(bytes.len());
        fs::write(out.join("index.json"), index.to_string()).unwrap();
        let error = read_layout(&out, None).unwrap_err();
        let text = error.lines().join("\n");
        assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
        assert!(text.contains(&out.display().to_string()) && text.contains(reason), "{text}");
    }
}
