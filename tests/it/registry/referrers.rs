//! What refers to an image: in registries with the API for it, and in those without.

use dockless::oci::{Descriptor, Digest, Document, Index, Manifest, MediaType, Repository};
use dockless::registry::Error as RegistryError;
use serde_json::{Value, json};

use super::super::support::fault_proxy::{Fault, FaultProxy, status};
use super::super::support::registry::Registry;
use super::super::support::server::{Server, reply};
use super::{Story, cause, repository};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A manifest about the story's image, and what lists say of it.
fn referrer(story: &Story, artifact_type: &str, note: &str) -> (Document<Manifest>, Descriptor) {
    let config = Descriptor::of(MediaType::OciConfig, &story.config);
    let mut manifest = Manifest::new(config, Vec::new());
    manifest.subject = Some(Descriptor::of(MediaType::OciManifest, &story.manifest()));
    manifest.annotations.insert("note".into(), note.into());
    manifest.other.insert("artifactType".into(), artifact_type.into());
    let manifest = Document::write(manifest, MediaType::OciManifest);
    let mut listed = manifest.descriptor.clone();
    listed.annotations.insert("note".into(), note.into());
    listed.other.insert("artifactType".into(), artifact_type.into());
    (manifest, listed)
}

/// A registry whose list has these pages: the value of `Link`, and the body.
async fn registry_with_pages(pages: Vec<(String, String)>) -> Server {
    Server::start("127.0.0.1", move |request| {
        let query = request.uri().query().unwrap_or_default();
        let is_list = request.uri().path().contains("/referrers/");
        let number = query.split_once("page=").map_or(0, |(_, number)| number.parse().unwrap());
        let answer = match pages.get(number).filter(|_| is_list) {
            Some((link, body)) => {
                reply(200, &[("Content-Type", INDEX), ("Link", link)], body.clone())
            }
            None => reply(404, &[], ""),
        };
        Box::pin(async { Ok(answer) })
    })
    .await
}

/// The story's image in a registry behind a proxy.
async fn behind_a_proxy() -> (Registry, FaultProxy, Story, Repository) {
    let registry = Registry::start();
    let proxy = FaultProxy::start(&registry.host()).await;
    let story = Story::new();
    let repository = repository(&proxy.server().host(), "a");
    story.push(&repository.at_tag("v1")).await.unwrap();
    (registry, proxy, story, repository)
}

fn page(listed: &[&Descriptor]) -> String {
    serde_json::to_string(&Index::new(listed.iter().map(|entry| (*entry).clone()).collect()))
        .unwrap()
}

async fn list(story: &Story, repository: &Repository, kind: Option<&str>) -> Vec<Descriptor> {
    let subject = Digest::of(&story.manifest());
    story.client.referrers(repository, &subject, kind).await.unwrap()
}

#[tokio::test]
async fn a_registry_without_the_api_gets_an_index_under_a_tag() {
    let registry = Registry::start();
    let story = Story::new();
    let repository = repository(&registry.host(), "a");
    story.push(&repository.at_tag("v1")).await.unwrap();
    assert_eq!(list(&story, &repository, None).await, []);
    let (signature, listed_signature) = referrer(&story, "x/signature", "one");
    let (bill, listed_bill) = referrer(&story, "x/sbom+json", "two");
    // Attached twice, it is listed once.
    for manifest in [&signature, &bill, &signature] {
        story.client.attach(&repository, manifest).await.unwrap();
    }
    let both = [listed_signature, listed_bill.clone()];
    assert_eq!(list(&story, &repository, None).await, both);
    assert_eq!(list(&story, &repository, Some("x/sbom+json")).await, [listed_bill]);
    assert_eq!(list(&story, &repository, Some("x/other")).await, []);

    let subject = Digest::of(&story.manifest());
    let tag = repository.at_tag(format!("sha256-{}", subject.hex()));
    let index = story.client.fetch_manifest(&tag).await.unwrap();
    let index: Value = serde_json::from_slice(&index.bytes).unwrap();
    let expected = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": both});
    assert_eq!(index, expected);
    let by_digest = repository.at_digest(signature.descriptor.digest);
    assert_eq!(story.client.fetch_manifest(&by_digest).await.unwrap().bytes, signature.bytes);
}

#[tokio::test]
async fn an_entry_that_somebody_else_overwrote_is_written_again() {
    let (_registry, proxy, story, repository) = behind_a_proxy().await;
    let (signature, listed) = referrer(&story, "x/signature", "one");
    // It is taken, and gone when it is looked for.
    proxy.on("PUT", "/manifests/sha256-", vec![status(201, None); 2]);
    story.client.attach(&repository, &signature).await.unwrap();
    assert!(proxy.is_exhausted());
    assert_eq!(list(&story, &repository, None).await, [listed]);

    let (bill, _) = referrer(&story, "x/sbom", "two");
    proxy.on("PUT", "/manifests/sha256-", vec![status(201, None); 5]);
    let error = story.client.attach(&repository, &bill).await.unwrap_err();
    assert!(error.to_string().ends_with("its list lost the entry 5 times"), "{error}");
}

#[tokio::test]
async fn a_list_is_read_page_by_page_and_filtered_here() {
    let story = Story::new();
    let (_, one) = referrer(&story, "x/signature", "one");
    let (_, two) = referrer(&story, "x/sbom", "two");
    let (_, three) = referrer(&story, "x/signature", "three");
    let server = registry_with_pages(vec![
        (r#"<?page=1>; rel="next""#.into(), page(&[&one, &two])),
        // The same again is no news.
        (String::new(), page(&[&one, &three])),
    ])
    .await;
    let repository = repository(&server.host(), "a");
    assert_eq!(list(&story, &repository, None).await, [one.clone(), two, three.clone()]);
    assert_eq!(list(&story, &repository, Some("x/signature")).await, [one, three]);
    let asked = server.seen().pop().unwrap().path;
    let first = &server.seen()[2].path;
    assert!(first.ends_with("?artifactType=x%2Fsignature"), "{first}");
    assert!(asked.ends_with("?page=1"), "{asked}");
}

#[tokio::test]
async fn a_list_that_breaks_off_is_asked_for_again() {
    let story = Story::new();
    let (_, one) = referrer(&story, "x/signature", "one");
    let server = registry_with_pages(vec![(String::new(), page(&[&one]))]).await;
    let proxy = FaultProxy::start(&server.host()).await;
    proxy.on("GET", "/referrers/", [Fault::CutAnswer(20), status(503, None)]);
    let repository = repository(&proxy.server().host(), "a");
    assert_eq!(list(&story, &repository, None).await, [one]);
    assert_eq!(story.clock.waits().len(), 2);
}

#[tokio::test]
async fn a_registry_with_the_api_keeps_its_list_itself() {
    let (_registry, proxy, story, repository) = behind_a_proxy().await;
    let (signature, listed) = referrer(&story, "x/signature", "one");
    let headers = vec![("Content-Type".to_owned(), INDEX.to_owned())];
    let answer = Fault::Answer { status: 200, headers, body: page(&[&listed]) };
    proxy.on("GET", "/referrers/", [answer]);
    story.client.attach(&repository, &signature).await.unwrap();
    let seen = proxy.server().requests();
    assert!(!seen.iter().any(|line| line.contains("/manifests/sha256-")), "{seen:#?}");
}

#[tokio::test]
async fn a_page_for_people_is_no_list() {
    let (_registry, proxy, story, repository) = behind_a_proxy().await;
    let (signature, listed) = referrer(&story, "x/signature", "one");
    let html = Fault::Answer { status: 200, headers: Vec::new(), body: "<html>".into() };
    proxy.on("GET", "/referrers/", vec![html; 2]);
    story.client.attach(&repository, &signature).await.unwrap();
    assert_eq!(list(&story, &repository, None).await, [listed]);
}

#[tokio::test]
async fn a_list_leads_nowhere_else_and_ends() {
    let story = Story::new();
    let elsewhere = registry_with_pages(Vec::new()).await;
    let other = format!("<http://{}/v2/a/referrers/x>; rel=\"next\"", elsewhere.host());
    for (link, reason) in [
        (other, "the next page of its list is on another host"),
        (r#"<?page=0>; rel="next""#.into(), "its list has more than 100 pages"),
    ] {
        let server = registry_with_pages(vec![(link, page(&[]))]).await;
        let repository = repository(&server.host(), "a");
        let subject = Digest::of(&story.manifest());
        let error = story.client.referrers(&repository, &subject, None).await.unwrap_err();
        assert!(matches!(cause(&error), RegistryError::Protocol { .. }), "{error}");
        assert!(error.to_string().ends_with(reason), "{error}");
    }
    assert_eq!(elsewhere.requests(), [""; 0]);
}
