//! Which versions of secrets are disabled, and which revisions cannot come back.

use std::collections::BTreeSet;

use super::super::versions::{Availability, Versions};
use super::secrets::Kept;
use super::*;

const ID: &str = "agent-europe-west1-KEY";

fn revision(number: u32, image: &str, version: &str) -> Revision {
    Revision {
        name: format!("agent-0000{number}-abc"),
        image: image.into(),
        is_ready: true,
        secrets: BTreeSet::from([(ID.to_owned(), version.to_owned())]),
        ..Revision::default()
    }
}

/// A service whose third revision serves, the first being what a rollback brings back.
fn there(is_ours: bool, versions: &[u64], revisions: Vec<Revision>) -> (CloudRun, Observed) {
    let mut workload = workload();
    workload.secrets.insert("KEY".into(), SecretValue::Given(Secret::new("canary")));
    let target = target(&[], workload);
    let mut service = service(&target, &first_image());
    let env = &mut service.raw["template"]["containers"][0]["env"][0];
    env["valueSource"]["secretKeyRef"]["version"] = "4".into();
    service.raw["latestCreatedRevision"] = "p/s/revisions/agent-00003-abc".into();
    service.revision = Some("agent-00003-abc".into());
    service.previous =
        Some(Previous { revision: Some("agent-00001-abc".into()), image: "old".into() });
    let kept = Kept {
        is_ours,
        version: Some("4".into()),
        is_current: true,
        versions: Some(enabled(versions)),
        ..Kept::default()
    };
    let secrets = BTreeMap::from([(ID.to_owned(), kept)]);
    (target, observed(service, &Details { revisions, secrets, ..Details::default() }))
}

fn enabled(versions: &[u64]) -> Versions {
    versions.iter().map(|version| (*version, Availability::Enabled)).collect()
}

#[test]
fn what_no_revision_needs_that_may_serve_is_disabled() {
    let image = first_image().reference();
    let with_first = |first: &str| {
        vec![revision(3, &image, "4"), revision(2, &image, "3"), revision(1, "old", first)]
    };
    let all = [1, 2, 3, 4, 5];
    let titles = |(target, observed): (CloudRun, Observed)| {
        let plan = target.plan(&first_image(), &observed).unwrap();
        assert_eq!(plan, DeployPlan::default(), "what is left over is no drift");
        let plan = target.plan_tidying(&first_image(), &observed);
        plan.steps.into_iter().map(|step| step.request.title()).collect::<Vec<_>>()
    };
    let disabling = |version: &str| {
        format!("POST /v1/projects/acme-staging/secrets/{ID}/versions/{version}:disable")
    };
    // The fifth is newer than what serves: another run may be about to use it.
    assert_eq!(titles(there(true, &all, with_first("2"))), [disabling("1")]);
    let (target, observed) = there(false, &all, with_first("2"));
    assert_eq!(target.plan_tidying(&first_image(), &observed), DeployPlan::default());
    assert_eq!(titles(there(true, &[2, 4], with_first("2"))), [""; 0]);
    // Where it is not known what a revision reads, everything stays.
    assert_eq!(titles(there(true, &all, with_first("2")[..2].to_vec())), [""; 0]);
    // By a name, it may be any of them.
    assert_eq!(titles(there(true, &all, with_first("prod"))), [""; 0]);
    let mut latest = with_first("latest");
    assert_eq!(
        titles(there(true, &all, latest.clone())),
        [disabling("1"), disabling("2")],
        "the newest stays"
    );
    for revision in &mut latest {
        revision.secrets = BTreeSet::from([(ID.to_owned(), "latest".to_owned())]);
    }
    assert_eq!(titles(there(true, &[1, 2], latest)), [disabling("1")]);
    // A secret that the config names, and nothing reads yet, is about to be read.
    let mut unread = with_first("2");
    for revision in &mut unread {
        revision.secrets.clear();
    }
    assert_eq!(titles(there(true, &all, unread)), [""; 0]);
}

#[test]
fn a_revision_whose_secrets_are_gone_does_not_come_back() {
    let image = first_image().reference();
    let titles = |versions: Option<Versions>, reads: &str| {
        let revisions = vec![revision(3, &image, "4"), revision(1, "old", reads)];
        let (target, mut observed) = there(true, &[], revisions);
        let mut details = observe::details(&observed);
        details.secrets.get_mut(ID).unwrap().versions = versions;
        observed.details = serde_json::to_value(details).unwrap();
        let plan = target.plan_rollback(None, &observed).map_err(|error| error.to_string());
        let by_image = target.plan_rollback(Some("old"), &observed);
        assert_eq!(by_image.map_err(|error| error.to_string()), plan);
        let steps = plan?.steps.into_iter();
        Ok(steps.map(|step| step.title).collect::<Vec<_>>())
    };
    let traffic = || "send traffic to the revision `agent-00001-abc`".to_owned();
    let with = |state: Availability| {
        let mut versions = enabled(&[4]);
        versions.insert(2, state);
        Some(versions)
    };
    let destroyed = || {
        Err::<Vec<String>, _>(format!(
            "Cloud Run service `agent` in acme-staging/europe-west1: the revision `agent-00001-abc` reads \
             version 2 of the secret `{ID}`, which was destroyed"
        ))
    };
    assert_eq!(titles(None, "2"), Ok(vec![traffic()]), "it is not known");
    assert_eq!(titles(with(Availability::Enabled), "2"), Ok(vec![traffic()]));
    let enabling = format!("enable version 2 of the secret `{ID}`");
    assert_eq!(titles(with(Availability::Disabled), "2"), Ok(vec![enabling, traffic()]));
    assert_eq!(titles(with(Availability::Destroyed), "2"), destroyed());
    assert_eq!(titles(Some(enabled(&[4])), "2"), destroyed());
    assert_eq!(titles(Some(Versions::new()), "2"), destroyed(), "all of them are");
    assert_eq!(titles(with(Availability::Destroyed), "prod"), Ok(vec![traffic()]));
    assert_eq!(titles(with(Availability::Destroyed), "latest"), Ok(vec![traffic()]));
}

#[test]
fn what_a_revision_reads_of_our_project_is_known_whatever_reads_it() {
    let secret = |secret: &str, version: &str| json!({"secretKeyRef": {"secret": secret, "version": version}});
    let raw = json!({
        "containers": [
            {"env": [{"name": "A", "valueSource": secret("a", "1")}]},
            {"env": [{"name": "B", "valueSource": secret("projects/acme-staging/secrets/b", "prod")}]},
            {"env": [{"name": "C", "valueSource": secret("projects/another/secrets/c", "1")}]},
        ],
        "volumes": [
            {"secret": {"secret": "d"}},
            {"secret": {"secret": "projects/1234/secrets/e", "items": [{"path": "e", "version": "7"}]}},
            {"emptyDir": {}},
        ],
    });
    let read = observe::secrets_of(&raw, "acme-staging");
    let read: Vec<_> = read.iter().map(|(id, version)| (id.as_str(), version.as_str())).collect();
    assert_eq!(read, [("a", "1"), ("b", "prod"), ("d", "latest"), ("e", "7")]);
}
