//! Values that nobody may see, at App Runner.

use dockless::deploy::{Outcome, SecretValue, Workload, carry_out};
use serde_json::json;

use super::{REPOSITORY, agent, around, cloud, deployed, runs};
use crate::aws_target::{image, target, workload, workload_with_secret};
use crate::fakes::aws::secret_arn;

#[tokio::test]
async fn secrets_are_kept_by_aws_and_a_new_value_restarts_the_service() {
    let cloud = cloud().await;
    let with_secret = |value| target("app-runner", &workload_with_secret(value), &[]).unwrap();
    deployed(&cloud, &*with_secret("canary-1"), "one").await.unwrap();
    assert_eq!(
        cloud.writes(),
        [
            "CreateRole",
            "AttachRolePolicy",
            "CreateRole",
            "PutRolePolicy",
            "CreateSecret",
            "CreateAutoScalingConfiguration",
            "CreateService",
        ]
    );
    let name = "dockless/agent/production/app-runner-agent/API_KEY";
    cloud.with(|aws| {
        let told = &aws.service.services[0].told;
        let configuration = &told["SourceConfiguration"]["ImageRepository"]["ImageConfiguration"];
        assert_eq!(
            configuration["RuntimeEnvironmentSecrets"],
            json!({"API_KEY": secret_arn(name)})
        );
        assert!(!told.to_string().contains("canary"));
        let role = &aws.account.roles["dockless-eu-west-1-agent-instance"];
        let policy = role.inline.values().next().unwrap();
        assert!(
            policy.contains("dockless/agent/production/app-runner-agent/API_KEY-??????"),
            "{policy}"
        );
    });
    let again = deployed(&cloud, &*with_secret("canary-1"), "one").await.unwrap();
    assert_eq!((again.outcome, cloud.writes().len()), (Outcome::Unchanged, 7));

    let changed = deployed(&cloud, &*with_secret("canary-2"), "one").await.unwrap();
    assert_eq!(changed.outcome, Outcome::Deployed);
    assert_eq!(cloud.writes()[7..], ["PutSecretValue", "StartDeployment", "TagResource"]);
    let again = deployed(&cloud, &*with_secret("canary-2"), "one").await.unwrap();
    assert_eq!((again.outcome, cloud.writes().len()), (Outcome::Unchanged, 10));

    deployed(&cloud, &*agent(), "one").await.unwrap();
    let removed = cloud.with(|aws| aws.account.secrets[name].is_removed);
    assert!(removed, "{:?}", cloud.writes());
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn an_image_of_before_is_brought_back_and_hidden_values_stay_hidden() {
    let cloud = cloud().await;
    let hidden = dockless::deploy::Variable::Hidden(dockless::registry::Secret::new("canary"));
    let env = [("TOKEN".to_owned(), hidden)].into();
    let workload = dockless::deploy::Workload { env, ..workload() };
    let target = target("app-runner", &workload, &[]).unwrap();
    deployed(&cloud, &*target, "one").await.unwrap();
    deployed(&cloud, &*target, "two").await.unwrap();
    let around = around(&cloud);
    let before = image(REPOSITORY, "one", "amd64").reference();
    let plan = |observed: &_| {
        let plan = target.plan_rollback(Some(&before), observed)?;
        assert!(!format!("{plan:?}{}", plan.document()).contains("canary"));
        Ok(plan)
    };
    let (_, has_written) = carry_out(&*target, &around.session, &plan).await.unwrap();
    assert!(has_written && runs(&cloud, "one"));
    let told = cloud.with(|aws| aws.service.services[0].told.clone());
    let configuration = &told["SourceConfiguration"]["ImageRepository"]["ImageConfiguration"];
    assert_eq!(configuration["RuntimeEnvironmentVariables"], json!({"TOKEN": "canary"}));
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn a_secret_of_ours_that_the_config_names_by_its_arn_stays() {
    let cloud = cloud().await;
    let made = target("app-runner", &workload_with_secret("canary"), &[]).unwrap();
    deployed(&cloud, &*made, "one").await.unwrap();
    let name = "dockless/agent/production/app-runner-agent/API_KEY";
    let kept = SecretValue::Kept(secret_arn(name));
    let kept = Workload { secrets: [("API_KEY".to_owned(), kept)].into(), ..workload() };
    let kept = target("app-runner", &kept, &[]).unwrap();
    deployed(&cloud, &*kept, "one").await.unwrap();
    cloud.with(|aws| assert!(!aws.account.secrets[name].is_removed));
    assert_eq!(cloud.wrong(), [""; 0]);
}

#[tokio::test]
async fn a_secret_that_is_taken_back_gets_the_value_that_is_wanted() {
    let cloud = cloud().await;
    let with = |value| target("app-runner", &workload_with_secret(value), &[]).unwrap();
    for value in ["canary-1", "canary-2"] {
        deployed(&cloud, &*with(value), "one").await.unwrap();
    }
    let (target, around) = (with("canary-2"), around(&cloud));
    let plan = |observed: &_| target.plan_destroy(observed);
    carry_out(&*target, &around.session, &plan).await.unwrap();
    // The value that the secret was created with.
    deployed(&cloud, &*with("canary-1"), "one").await.unwrap();
    let values = cloud.with(|aws| {
        let secret = &aws.account.secrets["dockless/agent/production/app-runner-agent/API_KEY"];
        secret.versions.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>()
    });
    assert_eq!(values, ["canary-1", "canary-2", "canary-1"]);
    assert_eq!(cloud.wrong(), [""; 0]);
}
