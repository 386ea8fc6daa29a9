//! ECS Express Mode: services that are `ACTIVE` at once, and deployments that take some looks and may be taken
//! back; entries of services that were deleted stay.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::aws::{ACCOUNT, Account, AwsService, REGION};
use crate::fake::Response;

/// The state.
#[derive(Debug)]
pub(crate) struct EcsExpress {
    /// By name; of those that were deleted, too.
    pub(crate) services: BTreeMap<String, Service>,
    /// The names of the clusters.
    pub(crate) clusters: Vec<&'static str>,
    /// How many looks find a deployment still going on.
    pub(crate) looks: u32,
    /// How many looks find no deployment yet after a write.
    pub(crate) lag: u32,
    /// How many seconds pass with each of these looks.
    pub(crate) lag_seconds: i64,
    /// Whether no deployment begins for a configuration that differs in its scaling at most.
    pub(crate) is_thrifty: bool,
    /// How the next deployments end; `SUCCESSFUL` when there is nothing more.
    pub(crate) endings: Vec<&'static str>,
}

/// A service.
#[derive(Debug, Clone, Default)]
pub(crate) struct Service {
    pub(crate) status: &'static str,
    pub(crate) tags: BTreeMap<String, String>,
    infrastructure_role: String,
    created_at: f64,
    pub(crate) updated_at: f64,
    /// Every configuration that was written, the newest last; the number is that of the revision.
    pub(crate) revisions: Vec<Value>,
    /// The number of the revision that serves; nothing before the first does.
    pub(crate) serving: Option<usize>,
    /// The newest last.
    pub(crate) deployments: Vec<Deployment>,
    /// How many looks are left until the last deployment is to be seen.
    hidden: u32,
    /// How many looks are left until it is deleted.
    draining: u32,
}

/// A deployment.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) status: &'static str,
    target: usize,
    created_at: f64,
    looks: u32,
    ending: &'static str,
}

impl EcsExpress {
    /// Nothing is there, and deployments are over at the third look.
    pub(crate) fn new() -> Self {
        Self {
            services: BTreeMap::new(),
            clusters: vec!["default"],
            looks: 2,
            lag: 0,
            lag_seconds: 0,
            is_thrifty: false,
            endings: Vec::new(),
        }
    }

    /// An entry of a service that was deleted.
    pub(crate) fn add_inactive(&mut self, name: &str) {
        let service = Service { status: "INACTIVE", ..Service::default() };
        self.services.insert(name.to_owned(), service);
    }

    fn refuse(account: &mut Account, input: &Value) -> Option<Response> {
        let roles = [
            ("executionRoleArn", "ecs-tasks.amazonaws.com"),
            ("infrastructureRoleArn", "ecs.amazonaws.com"),
        ];
        for (member, principal) in roles {
            let Some(arn) = input[member].as_str() else { continue };
            if !account.is_assumable(arn, principal) {
                let message = format!("Cannot assume role {arn}");
                return Some(Response::aws_error(400, "AccessDeniedException", &message));
            }
        }
        None
    }

    fn create(&mut self, account: &mut Account, input: &Value) -> Response {
        let name = input["serviceName"].as_str().unwrap().to_owned();
        match self.services.get(&name).map(|service| service.status) {
            Some("ACTIVE") => {
                let message = "Creation of service was not idempotent.";
                return Response::aws_error(400, "InvalidParameterException", message);
            }
            Some("DRAINING") => {
                let message = "Unable to Start a service that is still Draining.";
                return Response::aws_error(400, "InvalidParameterException", message);
            }
            _ => {}
        }
        if let Some(refused) = Self::refuse(account, input) {
            return refused;
        }
        let tags = input["tags"].as_array().cloned().unwrap_or_default();
        let service = Service {
            status: "ACTIVE",
            tags: tags.iter().map(tag).collect(),
            infrastructure_role: input["infrastructureRoleArn"].as_str().unwrap().to_owned(),
            created_at: account.now(),
            ..Service::default()
        };
        self.services.insert(name.clone(), service);
        self.deploy(account, &name, input);
        Response::json(200, &json!({"service": self.services[&name].told(&name)}))
    }

    fn deploy(&mut self, account: &mut Account, name: &str, input: &Value) {
        let is_thrifty = self.is_thrifty;
        let ending = if self.endings.is_empty() { "SUCCESSFUL" } else { self.endings.remove(0) };
        let (looks, lag) = (self.looks, self.lag);
        let service = self.services.get_mut(name).unwrap();
        let members = [
            "executionRoleArn",
            "taskRoleArn",
            "cpu",
            "memory",
            "cpuArchitecture",
            "healthCheckPath",
            "primaryContainer",
            "scalingTarget",
            "networkConfiguration",
        ];
        let mut revision = service.revisions.last().cloned().unwrap_or_else(|| json!({}));
        for member in members {
            if let Some(value) = input.get(member) {
                revision[member] = value.clone();
            }
        }
        service.updated_at = account.now();
        let fixed = |revision: &Value| {
            let mut revision = revision.clone();
            revision["scalingTarget"].take();
            revision
        };
        if let Some(last) = service.revisions.last_mut().filter(|_| is_thrifty)
            && fixed(last) == fixed(&revision)
        {
            *last = revision;
            return;
        }
        service.revisions.push(revision);
        service.hidden = lag;
        service.deployments.push(Deployment {
            status: "PENDING",
            target: service.revisions.len() - 1,
            created_at: account.now(),
            looks,
            ending,
        });
    }
}

impl AwsService for EcsExpress {
    const NAME: &'static str = "ecs";

    #[expect(clippy::too_many_lines, reason = "one arm for each operation")]
    fn answer(&mut self, account: &mut Account, operation: &str, input: &Value) -> Response {
        let text = |name: &str| input[name].as_str().unwrap_or_default();
        match operation {
            "CreateExpressGatewayService" => return self.create(account, input),
            "ListClusters" => {
                let arn = |name| format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{name}");
                let arns: Vec<_> = self.clusters.iter().map(arn).collect();
                return Response::json(200, &json!({"clusterArns": arns}));
            }
            "DescribeServices"
                if !self.clusters.contains(&input["cluster"].as_str().unwrap_or("default")) =>
            {
                let message = "Cluster not found.";
                return Response::aws_error(400, "ClusterNotFoundException", message);
            }
            "DescribeServices" => {
                let name = input["services"][0].as_str().unwrap();
                let answer = match self.services.get(name) {
                    Some(service) => {
                        json!({"services": [{"serviceArn": arn(name), "serviceName": name, "status": service.status}], "failures": []})
                    }
                    None => {
                        json!({"services": [], "failures": [{"arn": arn(name), "reason": "MISSING"}]})
                    }
                };
                if let Some(service) = self.services.get_mut(name) {
                    service.drain();
                }
                return Response::json(200, &answer);
            }
            _ => {}
        }
        let arns = ["serviceArn", "resourceArn", "service", "serviceDeploymentArn"].map(text);
        let lists = ["serviceDeploymentArns", "serviceRevisionArns"];
        let first = lists.into_iter().filter_map(|list| input[list][0].as_str());
        let named = arns.into_iter().filter(|arn| !arn.is_empty()).chain(first).next().unwrap();
        let name = named.split('/').nth(2).unwrap_or(named).to_owned();
        let (lag_seconds, is_thrifty) = (self.lag_seconds, self.is_thrifty);
        let Some(service) = self.services.get_mut(&name) else {
            return Response::aws_error(400, "InvalidParameterException", "Resource not found");
        };
        let wanted = |list: &str, found: &dyn Fn(usize) -> Option<Value>| -> Vec<Value> {
            let arns = input[list].as_array().unwrap().iter();
            let numbers =
                arns.map(|arn| arn.as_str().unwrap().rsplit('/').next().unwrap().parse().unwrap());
            numbers.filter_map(found).collect()
        };
        let answer = match operation {
            "DescribeExpressGatewayService" => json!({"service": service.told(&name)}),
            "ListServiceDeployments" => {
                if service.hidden > 0 || is_thrifty {
                    account.pass(lag_seconds);
                }
                service.look();
                let all =
                    (0..service.visible()).map(|number| service.told_deployment(&name, number));
                let all: Vec<_> = all
                    .map(|one| {
                        json!({
                            "serviceDeploymentArn": one["serviceDeploymentArn"],
                            "createdAt": one["createdAt"],
                            "status": one["status"],
                            "targetServiceRevisionArn": one["targetServiceRevision"]["arn"],
                        })
                    })
                    .collect();
                json!({"serviceDeployments": all})
            }
            "DescribeServiceDeployments" => {
                let found = |number| Some(service.told_deployment(&name, number));
                json!({"serviceDeployments": wanted("serviceDeploymentArns", &found), "failures": []})
            }
            "DescribeServiceRevisions" => {
                let found = |number: usize| {
                    let image = service.revisions.get(number)?["primaryContainer"]["image"].clone();
                    Some(json!({
                        "serviceRevisionArn": revision_arn(&name, number),
                        "containerImages": [{"containerName": "Main", "image": image}],
                        "ecsManagedResources": {
                            "ingressPaths": [{
                                "accessType": "PUBLIC",
                                "endpoint": endpoint(&name),
                                "certificate": {"status": "ACTIVE", "updatedAt": 1.0, "domainName": "d"},
                            }],
                            "logGroups": [{"status": "ACTIVE", "updatedAt": 1.0, "logGroupName": format!("/aws/ecs/default/{name}")}],
                        },
                    }))
                };
                json!({"serviceRevisions": wanted("serviceRevisionArns", &found), "failures": []})
            }
            _ if service.status != "ACTIVE" => {
                let message = format!(
                    "Cannot perform this operation on a service in {} status",
                    service.status
                );
                return Response::aws_error(400, "ServiceNotActiveException", &message);
            }
            "UpdateExpressGatewayService" => {
                if let Some(refused) = Self::refuse(account, input) {
                    return refused;
                }
                self.deploy(account, &name, input);
                let mut told = self.services[&name].told(&name);
                let members =
                    ["serviceArn", "cluster", "serviceName", "status", "createdAt", "updatedAt"];
                told.as_object_mut()
                    .unwrap()
                    .retain(|member, _| members.contains(&member.as_str()));
                json!({"service": told})
            }
            "StopServiceDeployment" => {
                assert_eq!(text("stopType"), "ROLLBACK");
                let last = service.deployments.last_mut().unwrap();
                (last.status, last.ending) = ("ROLLBACK_REQUESTED", "ROLLBACK_SUCCESSFUL");
                last.looks = last.looks.min(2);
                json!({"serviceDeploymentArn": text("serviceDeploymentArn")})
            }
            "TagResource" => {
                service.tags.extend(input["tags"].as_array().unwrap().iter().map(tag));
                json!({})
            }
            "UntagResource" => {
                for key in input["tagKeys"].as_array().unwrap() {
                    service.tags.remove(key.as_str().unwrap());
                }
                json!({})
            }
            "DeleteExpressGatewayService" => {
                (service.status, service.draining) = ("DRAINING", 2);
                json!({"service": service.told(&name)})
            }
            other => panic!("ECS is not asked to {other}"),
        };
        Response::json(200, &answer)
    }
}

impl Service {
    /// One look nearer to the end of what is going on.
    fn look(&mut self) {
        if self.hidden > 0 {
            self.hidden -= 1;
            return;
        }
        let Some(last) = self.deployments.last_mut() else { return };
        if !["PENDING", "IN_PROGRESS", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"]
            .contains(&last.status)
        {
            return;
        }
        let goes_back = last.ending.starts_with("ROLLBACK");
        if last.looks > 0 {
            last.looks -= 1;
            let status =
                if goes_back && last.looks == 0 { "ROLLBACK_IN_PROGRESS" } else { "IN_PROGRESS" };
            last.status = status;
        } else {
            last.status = last.ending;
            if last.ending == "SUCCESSFUL" {
                self.serving = Some(last.target);
            }
        }
    }

    fn drain(&mut self) {
        if self.status == "DRAINING" {
            self.draining = self.draining.saturating_sub(1);
            if self.draining == 0 {
                self.status = "INACTIVE";
            }
        }
    }

    /// How many deployments are to be seen.
    fn visible(&self) -> usize {
        self.deployments.len() - usize::from(self.hidden > 0)
    }

    fn told(&self, name: &str) -> Value {
        let last = self.deployments.last().filter(|_| self.hidden == 0);
        let is_over = |one: &Deployment| one.status == one.ending;
        let target = last.filter(|one| !is_over(one)).map(|one| one.target);
        // Before the first deployment is done, what it makes is all that there is.
        let first = self.serving.or((!self.revisions.is_empty()).then_some(0));
        let active = first.into_iter().chain(target.filter(|target| Some(*target) != first));
        let active: Vec<_> = active
            .map(|number| {
                let mut one = self.revisions[number].clone();
                one["serviceRevisionArn"] = revision_arn(name, number).into();
                one["ingressPaths"] = json!([{"accessType": "PUBLIC", "endpoint": endpoint(name)}]);
                one["createdAt"] = self.created_at.into();
                one
            })
            .collect();
        let current = target.map(|_| deployment_arn(name, self.deployments.len() - 1));
        json!({
            "cluster": "default",
            "serviceName": name,
            "serviceArn": arn(name),
            "infrastructureRoleArn": self.infrastructure_role,
            "status": {"statusCode": self.status},
            "currentDeployment": current,
            "activeConfigurations": active,
            "tags": self.tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect::<Vec<_>>(),
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
        })
    }

    fn told_deployment(&self, name: &str, number: usize) -> Value {
        let one = &self.deployments[number];
        let mut told = json!({
            "serviceDeploymentArn": deployment_arn(name, number),
            "serviceArn": arn(name),
            "createdAt": one.created_at,
            "targetServiceRevision": {"arn": revision_arn(name, one.target)},
            "status": one.status,
            "lifecycleStage": "BAKE_TIME",
        });
        if one.status == "ROLLBACK_SUCCESSFUL" {
            told["statusReason"] = "Service deployment rolled back because of alarms.".into();
            told["alarms"] = json!({"status": "TRIGGERED", "triggeredAlarmNames": ["agent-5xx"]});
            told["finishedAt"] = one.created_at.into();
        }
        told
    }
}

fn arn(name: &str) -> String {
    format!("arn:aws:ecs:{REGION}:{ACCOUNT}:service/default/{name}")
}

fn deployment_arn(name: &str, number: usize) -> String {
    format!("arn:aws:ecs:{REGION}:{ACCOUNT}:service-deployment/default/{name}/{number}")
}

fn revision_arn(name: &str, number: usize) -> String {
    format!("arn:aws:ecs:{REGION}:{ACCOUNT}:service-revision/default/{name}/{number}")
}

fn endpoint(name: &str) -> String {
    format!("https://{name}.ecs.{REGION}.on.aws")
}

fn tag(tag: &Value) -> (String, String) {
    (tag["key"].as_str().unwrap().to_owned(), tag["value"].as_str().unwrap().to_owned())
}
