//! Settings that leave the config: what is there goes back to what a config without them means.

use super::*;

/// The service as it is after a plan: the parts that a request names are replaced in whole.
fn carried_out(plan: &DeployPlan, mut service: Service) -> Service {
    for step in &plan.steps {
        let body = step.request.exposed_body().unwrap();
        let mask = step.request.query.iter().find(|(name, _)| name == "updateMask");
        for part in mask.unwrap().1.split(',') {
            service.raw[part] = body[part].clone();
        }
    }
    // Whoever names no account gets this one, and the API says so.
    let account = &mut service.raw["template"]["serviceAccount"];
    if account.is_null() {
        *account = "7-compute@developer.gserviceaccount.com".into();
    }
    service.ownership = Ownership::read(|key| {
        let place = if key == observe::DIGEST_KEY { "annotations" } else { "labels" };
        service.raw[place][key].as_str()
    });
    service
}

fn with_variable(name: &str) -> Workload {
    let mut workload = workload();
    match name {
        "env" => drop(workload.env.insert("LEVEL".into(), Variable::Plain("debug".into()))),
        _ => drop(workload.secrets.insert("KEY".into(), SecretValue::Kept("key:3".into()))),
    }
    workload
}

#[test]
fn a_setting_that_leaves_goes_back_to_its_default_and_stays_there() {
    let settings = |name, value| target(&[(name, value)], workload());
    for (with, expected) in [
        (settings("memory", "1Gi"), &["memory: 1Gi → 512Mi"][..]),
        (
            target(&[("cpu", "2"), ("memory", "2Gi")], workload()),
            &["cpu: 2 → 1", "memory: 2Gi → 512Mi"],
        ),
        (settings("concurrency", "10"), &["concurrency: 10 → 80"]),
        (settings("timeout", "60"), &["timeout: 60s → 300s"]),
        (settings("min_instances", "2"), &["min_instances: 2 → 0"]),
        (settings("max_instances", "2"), &["max_instances: 2 → 100"]),
        (
            settings("service_account", "one@acme-staging.iam.gserviceaccount.com"),
            &["service_account: one@acme-staging.iam.gserviceaccount.com → -"],
        ),
        (
            settings("ingress", "internal"),
            &["ingress: INGRESS_TRAFFIC_INTERNAL_ONLY → INGRESS_TRAFFIC_ALL"],
        ),
        (settings("cpu_idle", "false"), &["cpu_idle: false → true"]),
        (settings("startup_cpu_boost", "false"), &["startup_cpu_boost: false → true"]),
        (
            settings("port", "9000"),
            &[
                "health_check_path: /health at port 9000, 48 times, every 5 s within 4 s → /health at port 8080, 48 times, every 5 s within 4 s",
                "port: 9000 → 8080",
            ],
        ),
        (
            settings("health_check_path", "/well"),
            &[
                "health_check_path: /well at port 8080, 48 times, every 5 s within 4 s → /health at port 8080, 48 times, every 5 s within 4 s",
            ],
        ),
        (target(&[], with_variable("env")), &["env.LEVEL: (hidden) → -"]),
        (target(&[], with_variable("secrets")), &["env.KEY: (hidden) → -"]),
    ] {
        let there = service(&with, &first_image());
        let without = target(&[], workload());
        let looks = |service: &Service| observed(service.clone(), &Details::default());
        let plan = without.plan(&first_image(), &looks(&there)).unwrap();
        assert_eq!(changes(&plan), expected);
        let after = carried_out(&plan, there);
        let again = without.plan(&first_image(), &looks(&after)).unwrap();
        assert_eq!(again, DeployPlan::default(), "{expected:?}");
    }
}

#[test]
fn a_service_that_is_new_has_nothing_before() {
    let plan = target(&[], workload()).plan(&first_image(), &Observed::default()).unwrap();
    let probe = "/health at port 8080, 48 times, every 5 s within 4 s";
    assert_eq!(
        changes(&plan),
        [
            "concurrency: - → 80".to_owned(),
            "cpu: - → 1".to_owned(),
            "cpu_idle: - → true".to_owned(),
            format!("health_check_path: - → {probe}"),
            format!("image: - → {}", first_image().reference()),
            "ingress: - → INGRESS_TRAFFIC_ALL".to_owned(),
            "max_instances: - → 100".to_owned(),
            "memory: - → 512Mi".to_owned(),
            "min_instances: - → 0".to_owned(),
            "port: - → 8080".to_owned(),
            "startup_cpu_boost: - → true".to_owned(),
            "timeout: - → 300s".to_owned(),
        ]
    );
}

#[test]
fn what_we_opened_is_closed_when_the_config_no_longer_opens_it() {
    let (with, without) = (target(&[("public", "true")], workload()), target(&[], workload()));
    let looks = |service: &Service| {
        let lets_everybody_in = service.raw["invokerIamDisabled"] == true;
        observed(service.clone(), &Details { lets_everybody_in, ..Details::default() })
    };
    let there = service(&without, &first_image());
    let plan = with.plan(&first_image(), &looks(&there)).unwrap();
    assert_eq!(
        changes(&plan),
        ["labels: of an earlier deployment → of this one", "public: false → true"]
    );
    let open = carried_out(&plan, there.clone());
    let again = with.plan(&first_image(), &looks(&open)).unwrap();
    assert_eq!(again, DeployPlan::default());
    let plan = without.plan(&first_image(), &looks(&open)).unwrap();
    assert_eq!(changes(&plan), ["public: true → false"]);
    let closed = carried_out(&plan, open);
    let again = without.plan(&first_image(), &looks(&closed)).unwrap();
    assert_eq!(again, DeployPlan::default());
    // What somebody else opened stays so, also after a deployment that wanted the same.
    let mut theirs = there;
    theirs.raw["invokerIamDisabled"] = true.into();
    for target in [&without, &with, &without] {
        let plan = target.plan(&first_image(), &looks(&theirs)).unwrap();
        assert!(!changes(&plan).iter().any(|it| it.starts_with("public")), "{plan:?}");
        theirs = carried_out(&plan, theirs);
        assert_eq!(theirs.raw["invokerIamDisabled"], true);
    }
}
