//! What really is in a registry or a layout: read without the client under test, hashed anew.

use std::path::Path;

use dockless::oci::Digest;
use serde_json::Value;

/// What stands under a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Nothing.
    Absent,
    /// This digest, and everything below it is there and has its digest.
    Whole(Digest),
    /// What a program that checks digests itself says it has.
    Told,
    /// Something that cannot be pulled.
    Broken(String),
}

const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// Reads a tag and everything below it, straight from the registry.
pub(super) async fn of_tag(host: &str, name: &str, tag: &str) -> Evidence {
    let Some(top) = get(&format!("http://{host}/v2/{name}/manifests/{tag}")).await else {
        return Evidence::Absent;
    };
    let digest = Digest::of(&top);
    let mut open = vec![top];
    while let Some(document) = open.pop() {
        let document: Value = serde_json::from_slice(&document).unwrap();
        for child in list(&document, "manifests") {
            let url = format!("http://{host}/v2/{name}/manifests/{child}");
            match verified(&url, child).await {
                Ok(bytes) => open.push(bytes),
                Err(reason) => return Evidence::Broken(reason),
            }
        }
        let config = document["config"]["digest"].as_str().map(|text| text.parse().unwrap());
        for blob in list(&document, "layers").into_iter().chain(config) {
            let url = format!("http://{host}/v2/{name}/blobs/{blob}");
            if let Err(reason) = verified(&url, blob).await {
                return Evidence::Broken(reason);
            }
        }
    }
    Evidence::Whole(digest)
}

/// Reads a layout: whole when its index names a manifest and every blob has its digest.
pub(super) fn of_layout(folder: &Path) -> Evidence {
    let blobs = folder.join("blobs/sha256");
    for entry in std::fs::read_dir(&blobs).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let is_temporary = dockless::store::is_temporary_name(&name);
        if !is_temporary && Digest::of(&std::fs::read(&path).unwrap()).hex() != name {
            return Evidence::Broken(format!("blob {name} has another digest"));
        }
    }
    let Ok(index) = std::fs::read(folder.join("index.json")) else { return Evidence::Absent };
    let index: Value = serde_json::from_slice(&index).unwrap();
    let Some(digest) = list(&index, "manifests").pop() else { return Evidence::Absent };
    let manifest = std::fs::read(blobs.join(digest.hex())).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let config = manifest["config"]["digest"].as_str().map(|text| text.parse().unwrap());
    let missing = list(&manifest, "layers")
        .into_iter()
        .chain(config)
        .find(|blob: &Digest| !blobs.join(blob.hex()).exists());
    match missing {
        Some(blob) => Evidence::Broken(format!("blob {blob} is missing")),
        None => Evidence::Whole(digest),
    }
}

fn list(document: &Value, member: &str) -> Vec<Digest> {
    let items = document[member].as_array().into_iter().flatten();
    items.map(|item| item["digest"].as_str().unwrap().parse().unwrap()).collect()
}

async fn verified(url: &str, expected: Digest) -> Result<Vec<u8>, String> {
    let Some(bytes) = get(url).await else { return Err(format!("{expected} is missing")) };
    if Digest::of(&bytes) != expected {
        return Err(format!("{expected} has other bytes"));
    }
    Ok(bytes)
}

async fn get(url: &str) -> Option<Vec<u8>> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(url).header("Accept", ACCEPT).send().await.unwrap();
    if answer.status() == 404 {
        return None;
    }
    assert_eq!(answer.status(), 200, "{url}");
    Some(answer.bytes().await.unwrap().to_vec())
}
