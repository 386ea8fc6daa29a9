//! What stays of a service of ECS Express Mode when the config names it no longer.

use dockless::deploy::{Outcome, deploy};

use crate::aws_target::{image, surroundings, target, workload};
use crate::fake::Running;
use crate::fakes::aws::{Aws, role_arn};
use crate::fakes::ecs_express::EcsExpress;

const REPOSITORY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/agent";

#[tokio::test]
async fn a_task_role_that_leaves_the_config_is_seen() {
    let cloud = Running::start(Aws::new(EcsExpress::new())).await;
    let role = role_arn("agent");
    let with_role = target("ecs-express", &workload(), &[("task_role_arn", &role)]).unwrap();
    let session = surroundings(&cloud.url()).session;
    let one = image(REPOSITORY, "one", "amd64");
    deploy(&*with_role, &one, &session).await.unwrap();
    let without = target("ecs-express", &workload(), &[]).unwrap();
    let before = cloud.writes().len();
    for (outcome, writes) in
        [(Outcome::Deployed, &["TagResource"][..]), (Outcome::Unchanged, &["TagResource"])]
    {
        let observed = without.observe(&session).await.unwrap();
        let plan = without.plan(&one, &observed).unwrap();
        let changes: Vec<_> = plan.changes.iter().map(ToString::to_string).collect();
        assert_eq!(changes, [format!("task role: {role} → (none)")]);
        let note = format!(
            "the task role `{role}` stays, with its rights: ECS takes another one, but cannot go back to none; \
             name one in `task_role_arn`, or destroy the service first"
        );
        assert_eq!(plan.notes, [note]);
        let deployment = deploy(&*without, &one, &session).await.unwrap();
        assert_eq!(
            (deployment.outcome, &cloud.writes()[before..]),
            (outcome, &writes.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()[..])
        );
    }
}
