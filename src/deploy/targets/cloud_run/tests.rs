//! Settings, images and plans, as whole values.

mod leaving;
mod versions;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::observe::{Details, Revision};
use super::*;
use crate::config::{Node, Position};
use crate::deploy::{Manifest, Ownership, Previous, Pull, SecretValue, Service, State, Variable};
use crate::oci::{Descriptor, Digest, MediaType, Platform};
use crate::registry::Secret;
use crate::sys::Environment;

const REPOSITORY: &str = "europe-west1-docker.pkg.dev/acme-staging/agents/agent";

fn position() -> Position {
    Position { file: Arc::from("dockless.yaml"), line: 1, column: 1 }
}

fn workload() -> Workload {
    Workload {
        project: "agent".into(),
        environment: "staging".into(),
        name: "agent".into(),
        port: 8080,
        health_path: "/health".into(),
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        pull: None,
        creates_roles: false,
        places: crate::deploy::Places::default(),
    }
}

/// Settings as they stand in a config, and what is wrong with them.
fn read(settings: &[(&str, &str)], workload: Workload) -> (Option<CloudRun>, Vec<String>) {
    let at = position();
    let mut members = vec![
        ("target", Node::plain("cloud-run", &at)),
        ("project_id", Node::plain("acme-staging", &at)),
        ("region", Node::plain("europe-west1", &at)),
    ];
    for (name, value) in settings {
        members.retain(|(other, _)| other != name);
        members.push((name, Node::plain(*value, &at)));
    }
    let settings = Node::mapping(members, &at);
    let mut problems = Problems::new();
    let environment = &Environment::default();
    let input =
        TargetInput { settings: &settings, position: &at, workload: &workload, environment };
    let read = settings::read(&input, &mut problems);
    let text = |problem: crate::config::Problem| {
        let hint = problem.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("{}{hint}", problem.message)
    };
    let texts = problems.list().into_iter().map(text).collect();
    (read.map(|settings| CloudRun { settings, workload }), texts)
}

fn target(settings: &[(&str, &str)], workload: Workload) -> CloudRun {
    let (target, problems) = read(settings, workload);
    assert_eq!(problems, [""; 0]);
    target.unwrap()
}

fn image(repository: &str, content: &str, architectures: &[&str]) -> Image {
    let manifest = |architecture: &&str| Manifest {
        platform: Platform::new("linux", architecture, None),
        descriptor: Descriptor::of(MediaType::OciManifest, architecture.as_bytes()),
        layers: Vec::new(),
    };
    Image {
        repository: repository.parse().unwrap(),
        descriptor: Descriptor::of(MediaType::OciIndex, content.as_bytes()),
        manifests: architectures.iter().map(manifest).collect(),
    }
}

fn first_image() -> Image {
    image(REPOSITORY, "one", &["amd64", "arm64"])
}

/// A service as the API shows what this target has written.
fn service(target: &CloudRun, image: &Image) -> Service {
    let ownership = Ownership::ours(&target.workload, &target.settings_hash(), image);
    let mut raw = target.wanted(&image.reference(), &BTreeMap::new()).body;
    raw["etag"] = "\"1\"".into();
    // What is 0 is left out of answers.
    raw["template"]["scaling"].as_object_mut().unwrap().retain(|_, count| *count != json!(0));
    for (key, value) in ownership.tags() {
        let place = if key == observe::DIGEST_KEY { "annotations" } else { "labels" };
        raw[place][key] = value.into();
    }
    Service {
        image: Some(image.reference()),
        url: Some("https://agent.run.app".into()),
        is_public: false,
        state: State::Ready,
        revision: Some("agent-00002-abc".into()),
        previous: None,
        ownership,
        raw,
    }
}

fn observed(service: Service, details: &Details) -> Observed {
    let details = serde_json::to_value(details).unwrap();
    Observed { service: Some(service), details, ..Observed::default() }
}

/// What changes, one line each.
fn changes(plan: &DeployPlan) -> Vec<String> {
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    let lines = plan.changes.iter();
    lines.map(|it| format!("{}: {} → {}", it.what, shown(&it.before), shown(&it.after))).collect()
}

#[test]
fn settings_are_checked_before_anything_is_asked() {
    for (settings, expected) in [
        (
            &[("project_id", "Acme")][..],
            "`Acme` is no id of a project; 6 to 30 small letters, digits or `-`, starting with a letter: `gcloud projects list` shows it",
        ),
        (
            &[("region", "europe")],
            "`europe` is no region; write for instance `europe-west1`: `gcloud run regions list` shows all",
        ),
        (
            &[("name", "Agent")],
            "`Agent` is no name for a service; 1 to 49 small letters, digits or `-`, starting with a letter: set `name`",
        ),
        (&[("memory", "512M")], "`512M` is no memory of an instance; from `128Mi` to `32Gi`"),
        (
            &[("memory", "33Gi"), ("cpu", "8")],
            "`33Gi` is no memory of an instance; from `128Mi` to `32Gi`",
        ),
        (
            &[("memory", "5Gi")],
            "`5Gi` of memory needs more than 1 processors; write `cpu: 2`, or less memory",
        ),
        (
            &[("memory", "17Gi"), ("cpu", "4")],
            "`17Gi` of memory needs more than 4 processors; write `cpu: 6`, or less memory",
        ),
        (
            &[("cpu", "4")],
            "4 processors need more memory than `512Mi`; write `memory: 2Gi`, or fewer processors",
        ),
        (&[("cpu", "3")], "there are no instances with 3 processors; 1, 2, 4, 6 or 8"),
        (
            &[("min_instances", "101")],
            "101 instances at least are more than 100; `max_instances` is 100 when absent",
        ),
        (
            &[("health_check_path", "health")],
            "`health` is no path; a path starts with `/`: `/health`",
        ),
        (
            &[("health_check_path", "/is it")],
            "`/is it` is no path; a path starts with `/`: `/health`",
        ),
        (&[("memory", "+128Mi")], "`+128Mi` is no memory of an instance; from `128Mi` to `32Gi`"),
        (
            &[("service_account", "runner")],
            "`runner` is no address of a service account; write `NAME@PROJECT.iam.gserviceaccount.com`: `gcloud iam service-accounts list` shows all",
        ),
    ] {
        assert_eq!(read(settings, workload()).1, [expected], "{settings:?}");
    }
    target(
        &[("memory", "2048Mi"), ("cpu", "4"), ("max_instances", "1"), ("min_instances", "1")],
        workload(),
    );
}

#[test]
fn the_project_and_the_region_may_be_left_to_the_caller_s_variables() {
    let at = position();
    let settings = Node::mapping(vec![("target", Node::plain("cloud-run", &at))], &at);
    let workload = workload();
    let place = |environment: &Environment| {
        let mut problems = Problems::new();
        let input =
            TargetInput { settings: &settings, position: &at, workload: &workload, environment };
        let read = settings::read(&input, &mut problems);
        let problems: Vec<_> = problems.list().into_iter().map(|it| it.message).collect();
        (read.map(|read| (read.project, read.region)), problems)
    };
    assert_eq!(
        place(&Environment::of([
            ("GOOGLE_CLOUD_PROJECT", "acme-prod"),
            ("CLOUDSDK_COMPUTE_REGION", "europe-north1"),
        ])),
        (Some(("acme-prod".into(), "europe-north1".into())), Vec::new())
    );
    assert_eq!(
        place(&Environment::of([("CLOUDSDK_CORE_PROJECT", "acme-prod")])),
        (Some(("acme-prod".into(), "us-central1".into())), Vec::new())
    );
    assert_eq!(place(&Environment::of([])), (None, vec!["no project is named".to_owned()]));
}

#[test]
fn a_workload_that_cloud_run_cannot_run_is_told_so() {
    let plain = |text: &str| Variable::Plain(text.into());
    let kept = |text: &str| SecretValue::Kept(text.into());
    let of = |change: &dyn Fn(&mut Workload)| {
        let mut workload = workload();
        change(&mut workload);
        read(&[], workload).1
    };
    assert_eq!(
        of(&|workload| drop(workload.env.insert("PORT".into(), plain("80")))),
        [
            "the variable `PORT` is set by Cloud Run itself; leave it out; the container finds its port in `PORT`, which `port` sets"
        ]
    );
    assert_eq!(
        of(&|workload| drop(workload.env.insert("X_GOOGLE_A".into(), plain("1")))),
        [
            "the variable `X_GOOGLE_A` begins with `X_GOOGLE_`, which Cloud Run keeps for itself; give it another name"
        ]
    );
    assert_eq!(
        of(&|workload| drop(
            workload.secrets.insert("KEY".into(), kept("arn:aws:secretsmanager:x"))
        )),
        [
            "`arn:aws:secretsmanager:x` is no secret of Secret Manager; write `secret_manager: NAME`, `NAME:VERSION` or `projects/PROJECT/secrets/NAME`"
        ]
    );
    assert_eq!(
        of(&|workload| workload.pull = Some(Pull::Kept("system".into()))),
        [
            "Cloud Run pulls as its own service agent, and takes no `pull`; remove it; a private registry elsewhere is reached through a remote repository of Artifact Registry"
        ]
    );
}

#[test]
fn a_kept_secret_has_a_name_and_a_version() {
    for (reference, expected) in [
        ("key", Some(("key", "latest"))),
        ("key:3", Some(("key", "3"))),
        ("projects/p/secrets/key", Some(("projects/p/secrets/key", "latest"))),
        ("projects/p/secrets/key/versions/7", Some(("projects/p/secrets/key", "7"))),
        ("projects/p/secrets/", None),
        ("projects/../secrets/key", None),
        ("projects/acme.com:p/secrets/key", Some(("projects/acme.com:p/secrets/key", "latest"))),
        ("https://v.vault.azure.net/secrets/x", None),
        ("", None),
    ] {
        let read = settings::kept_secret(reference);
        let read = read.as_ref().map(|(name, version)| (name.as_str(), version.as_str()));
        assert_eq!(read, expected, "{reference}");
    }
}

#[test]
fn an_image_must_be_where_cloud_run_pulls_from_and_for_its_processors() {
    let target = target(&[], workload());
    for (repository, architectures, expected) in [
        (REPOSITORY, &["amd64"][..], None),
        ("gcr.io/p/agent", &["arm64", "amd64"], None),
        ("docker.io/acme/agent", &["amd64"], None),
        (REPOSITORY, &["arm64"], Some("it runs on linux/amd64, which the image is not for")),
        (
            "europe-docker.pkg.dev/p/agent",
            &["amd64"],
            Some("in Artifact Registry an image has a project, a repository and a name"),
        ),
        (
            "ghcr.io/acme/agent",
            &["amd64"],
            Some(
                "it pulls from Artifact Registry, `gcr.io` and `docker.io` only, not from `ghcr.io`",
            ),
        ),
    ] {
        let image = image(repository, "one", architectures);
        let reason = match target.check(&image) {
            Ok(reference) => {
                assert_eq!(reference, image.reference());
                None
            }
            Err(DeployError::Unfit { reason, .. }) => Some(reason),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(reason.as_deref(), expected, "{repository}");
    }
}

#[test]
fn what_is_there_is_not_written_again() {
    let target = target(&[], workload());
    let there = observed(service(&target, &first_image()), &Details::default());
    assert_eq!(target.plan(&first_image(), &there).unwrap(), DeployPlan::default());
}

#[test]
fn each_difference_is_told_and_values_of_variables_are_not() {
    let mut workload = workload();
    workload.env.insert("LEVEL".into(), Variable::Plain("debug".into()));
    workload.env.insert("TOKEN".into(), Variable::Hidden(Secret::new("canary")));
    let target =
        target(&[("memory", "1Gi"), ("ingress", "internal"), ("public", "true")], workload);
    let mut there = service(&target, &first_image());
    there.raw["ingress"] = "INGRESS_TRAFFIC_ALL".into();
    let container = &mut there.raw["template"]["containers"][0];
    container["resources"]["limits"]["memory"] = "512Mi".into();
    container["resources"].as_object_mut().unwrap().remove("cpuIdle");
    container["env"] =
        json!([{"name": "LEVEL", "value": "canary"}, {"name": "OLD", "value": "canary"}]);
    let second = image(REPOSITORY, "two", &["amd64"]);
    let plan = target.plan(&second, &observed(there, &Details::default())).unwrap();
    assert_eq!(
        changes(&plan),
        [
            "cpu_idle: false → true".to_owned(),
            "env.LEVEL: (hidden) → debug".to_owned(),
            "env.OLD: (hidden) → -".to_owned(),
            "env.TOKEN: - → (hidden)".to_owned(),
            format!("image: {} → {}", first_image().reference(), second.reference()),
            "ingress: INGRESS_TRAFFIC_ALL → INGRESS_TRAFFIC_INTERNAL_ONLY".to_owned(),
            "memory: 512Mi → 1Gi".to_owned(),
            "public: false → true".to_owned(),
        ]
    );
    let document = plan.document();
    assert!(!document.to_string().contains("canary"), "{document}");
    let paths: Vec<_> = plan.steps.iter().map(|step| step.request.title()).collect();
    let path = "PATCH /v2/projects/acme-staging/locations/europe-west1/services/agent";
    assert_eq!(
        paths,
        [
            format!("{path}?updateMask=annotations,ingress,labels,template"),
            format!("{path}?updateMask=invokerIamDisabled"),
        ]
    );
    let body = plan.steps[0].request.exposed_body().unwrap();
    assert_eq!(body["etag"], "\"1\"");
    assert_eq!(
        body.pointer("/template/containers/0/env"),
        Some(&json!([{"name": "LEVEL", "value": "debug"}, {"name": "TOKEN", "value": "canary"}]))
    );
}

#[test]
fn units_are_no_difference() {
    let target = target(&[("memory", "1Gi")], workload());
    let mut there = service(&target, &first_image());
    let limits = &mut there.raw["template"]["containers"][0]["resources"]["limits"];
    *limits = json!({"cpu": "1000m", "memory": "1024Mi"});
    let plan = target.plan(&first_image(), &observed(there, &Details::default())).unwrap();
    assert_eq!(plan, DeployPlan::default());
}

#[test]
fn a_revision_that_failed_is_made_again() {
    let target = target(&[], workload());
    let mut there = service(&target, &first_image());
    there.state = State::Failed("it crashed".into());
    let plan = target.plan(&first_image(), &observed(there, &Details::default())).unwrap();
    assert_eq!(changes(&plan), ["revision: failed → made again"]);
    assert_eq!(
        plan.steps[0].request.title(),
        "PATCH /v2/projects/acme-staging/locations/europe-west1/services/agent?updateMask=annotations,template&forceNewRevision=true"
    );
}

#[test]
fn traffic_goes_back_and_tags_stay() {
    let target = target(&[], workload());
    let mut there = service(&target, &first_image());
    let tagged = json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "agent-00001-abc", "tag": "old"});
    there.raw["traffic"] =
        json!([{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}, tagged]);
    there.previous = Some(Previous {
        revision: Some("agent-00001-abc".into()),
        image: format!("{REPOSITORY}@{}", Digest::of(b"old")),
    });
    let old = there.previous.clone().unwrap().image;
    let revision = |name: &str, image: &str| Revision {
        name: name.into(),
        image: image.into(),
        is_ready: true,
        ..Revision::default()
    };
    let revisions = vec![
        revision("agent-00002-abc", &first_image().reference()),
        revision("agent-00001-abc", &old),
    ];
    let details = Details { revisions, ..Details::default() };
    let there = observed(there, &details);
    for image in [None, Some(old.as_str())] {
        let plan = target.plan_rollback(image, &there).unwrap();
        assert_eq!(changes(&plan), ["revision: agent-00002-abc → agent-00001-abc"]);
        assert_eq!(
            plan.steps[0].request.body,
            Some(json!({
                "etag": "\"1\"",
                "traffic": [
                    {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "agent-00001-abc", "percent": 100},
                    tagged,
                ],
            }))
        );
    }
    let error = target.plan_rollback(Some("other"), &there).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Cloud Run service `agent` in acme-staging/europe-west1: no revision with `other` can be served"
    );
}

#[test]
fn a_secret_of_somebody_else_is_not_written_to() {
    let mut workload = workload();
    workload.secrets.insert("KEY".into(), SecretValue::Given(Secret::new("canary")));
    let target = target(&[], workload);
    let id = "agent-europe-west1-KEY";
    let details = Details {
        secrets: BTreeMap::from([(id.to_owned(), secrets::Kept::default())]),
        ..Details::default()
    };
    let details = serde_json::to_value(details).unwrap();
    let nothing = Observed { service: None, details, ..Observed::default() };
    let error = target.plan(&first_image(), &nothing).unwrap_err();
    assert_eq!(
        error.to_string(),
        "secret `agent-europe-west1-KEY` in acme-staging is not labelled as one of this project and environment"
    );
    assert_eq!(target.plan_destroy(&nothing).unwrap(), DeployPlan::default());
}

#[test]
fn the_values_of_secrets_do_not_decide_the_hash_of_the_settings() {
    let with = |value: &str| {
        let mut workload = workload();
        workload.env.insert("A".into(), Variable::Hidden(Secret::new(value)));
        workload.secrets.insert("B".into(), SecretValue::Given(Secret::new(value)));
        target(&[], workload).settings_hash()
    };
    assert_eq!(with("one"), with("two"));
    assert_ne!(with("one"), target(&[], workload()).settings_hash());
    assert_eq!(Value::from(with("one").len()), 16);
}
