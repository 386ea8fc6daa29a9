//! Which versions of secrets go away.

use std::collections::BTreeSet;

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
fn there(is_ours: bool, versions: &[&str], revisions: Vec<Revision>) -> (CloudRun, Observed) {
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
        versions: versions.iter().map(|version| (*version).to_owned()).collect(),
        ..Kept::default()
    };
    let secrets = BTreeMap::from([(ID.to_owned(), kept)]);
    (target, observed(service, &Details { revisions, secrets, ..Details::default() }))
}

#[test]
fn what_no_revision_needs_that_may_serve_is_destroyed() {
    let image = first_image().reference();
    let revisions =
        || vec![revision(3, &image, "4"), revision(2, &image, "3"), revision(1, "old", "2")];
    let all = ["1", "2", "3", "4", "5"];
    let titles = |(target, observed): (CloudRun, Observed)| {
        let plan = target.plan(&first_image(), &observed).unwrap();
        assert_eq!(changes(&plan), [""; 0]);
        plan.steps.into_iter().map(|step| step.request.title()).collect::<Vec<_>>()
    };
    let destruction = |version: &str| {
        format!("POST /v1/projects/acme-staging/secrets/{ID}/versions/{version}:destroy")
    };
    // The fifth is newer than what serves: another run may be about to use it.
    assert_eq!(titles(there(true, &all, revisions())), [destruction("1")]);
    assert_eq!(titles(there(true, &["2", "4"], revisions())), [""; 0]);
    // Where it is not known what a revision reads, everything stays.
    assert_eq!(titles(there(true, &all, revisions()[..2].to_vec())), [""; 0]);
    let mut follows_latest = revisions();
    follows_latest[2] = revision(1, "old", "latest");
    assert_eq!(titles(there(true, &all, follows_latest)), [""; 0]);
}

#[test]
fn a_revision_whose_secrets_are_gone_does_not_come_back() {
    let image = first_image().reference();
    let revisions = vec![revision(3, &image, "4"), revision(1, "old", "2")];
    let (target, with) = there(true, &["2", "4"], revisions.clone());
    assert_eq!(target.plan_rollback(None, &with).unwrap().steps.len(), 1);
    let (target, without) = there(true, &["4"], revisions);
    for image in [None, Some("old")] {
        let error = target.plan_rollback(image, &without).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Cloud Run service `agent` in acme-staging/europe-west1: the revision `agent-00001-abc` reads \
             versions of secrets that were destroyed since"
        );
    }
}
