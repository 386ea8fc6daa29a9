//! App Runner: services whose operations take some looks, and whose status says `RUNNING` after an update that
//! was rolled back.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::aws::{ACCOUNT, Account, AwsService, REGION};
use crate::fake::Response;

/// The state.
#[derive(Debug)]
pub(crate) struct AppRunner {
    pub(crate) services: Vec<Service>,
    /// Auto scaling configurations, as they are described.
    pub(crate) scaling: Vec<Value>,
    /// How many looks at operations find the last one still going on.
    pub(crate) looks: u32,
    /// How the next operations end; `SUCCEEDED` when there is nothing more.
    pub(crate) endings: Vec<&'static str>,
    /// Whether the account has used App Runner before.
    pub(crate) is_customer: bool,
}

/// A service.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// As it is described.
    pub(crate) told: Value,
    pub(crate) tags: BTreeMap<String, String>,
    /// The newest first.
    pub(crate) operations: Vec<Value>,
    /// What is going on: how many looks are left, how it ends, and what is there when it succeeds.
    going_on: Option<(u32, &'static str, Value)>,
}

const DEFAULT_SCALING: &str = "DefaultConfiguration";

impl AppRunner {
    /// Nothing is there, and operations are over at the third look.
    pub(crate) fn new() -> Self {
        let mut fake = Self {
            services: Vec::new(),
            scaling: Vec::new(),
            looks: 2,
            endings: Vec::new(),
            is_customer: true,
        };
        fake.add_scaling(DEFAULT_SCALING, 1, 25, 100);
        fake
    }

    /// A service that `holodeck deploy run` or a person made: it runs, and nobody is told whose it is.
    pub(crate) fn add(&mut self, account: &mut Account, name: &str, image: &str, role: &str) {
        let input = json!({
            "ServiceName": name,
            "SourceConfiguration": {
                "ImageRepository": {
                    "ImageIdentifier": image,
                    "ImageRepositoryType": "ECR",
                    "ImageConfiguration": {"Port": "8080", "StartCommand": "serve"},
                },
                "AutoDeploymentsEnabled": true,
                "AuthenticationConfiguration": {"AccessRoleArn": role},
            },
            "InstanceConfiguration": {"Cpu": "1 vCPU", "Memory": "2 GB"},
            "HealthCheckConfiguration": {"Protocol": "TCP", "Interval": 7},
        });
        self.create(account, &input);
        let service = self.services.last_mut().unwrap();
        while service.going_on.is_some() {
            service.look();
        }
    }

    fn add_scaling(&mut self, name: &str, min: u64, max: u64, concurrency: u64) -> Value {
        let revision = 1 + self
            .scaling
            .iter()
            .filter(|one| one["AutoScalingConfigurationName"] == name)
            .count();
        let id = format!("{:032}", self.scaling.len());
        let configuration = json!({
            "AutoScalingConfigurationArn": format!("arn:aws:apprunner:{REGION}:{ACCOUNT}:autoscalingconfiguration/{name}/{revision}/{id}"),
            "AutoScalingConfigurationName": name,
            "AutoScalingConfigurationRevision": revision,
            "Status": "ACTIVE",
            "MinSize": min,
            "MaxSize": max,
            "MaxConcurrency": concurrency,
        });
        self.scaling.push(configuration.clone());
        configuration
    }

    fn create(&mut self, account: &mut Account, input: &Value) -> Response {
        let name = input["ServiceName"].as_str().unwrap();
        if self.services.iter().any(|one| one.told["ServiceName"] == name) {
            let message = "Service with the provided name already exists: agent.";
            return Response::aws_error(400, "InvalidRequestException", message);
        }
        let id = account.uuid().replace('-', "");
        let arn = format!("arn:aws:apprunner:{REGION}:{ACCOUNT}:service/{name}/{id}");
        let at = account.now();
        let told = json!({
            "ServiceName": name,
            "ServiceId": id,
            "ServiceArn": arn,
            "ServiceUrl": format!("{id}.{REGION}.awsapprunner.com"),
            "CreatedAt": at,
            "UpdatedAt": at,
            "Status": "OPERATION_IN_PROGRESS",
            "SourceConfiguration": input["SourceConfiguration"],
            "InstanceConfiguration": input["InstanceConfiguration"],
            "HealthCheckConfiguration": input["HealthCheckConfiguration"],
            "AutoScalingConfigurationSummary": self.scaling_of(input),
            "NetworkConfiguration": {"IngressConfiguration": {"IsPubliclyAccessible": true}},
        });
        let tags = input["Tags"].as_array().cloned().unwrap_or_default();
        self.services.push(Service {
            told: told.clone(),
            tags: tags.iter().map(tag).collect(),
            operations: Vec::new(),
            going_on: None,
        });
        let place = self.services.len() - 1;
        self.begin(account, place, "CREATE_SERVICE", told)
    }

    /// Begins an operation, after which the service is this.
    fn begin(
        &mut self,
        account: &mut Account,
        place: usize,
        kind: &str,
        becomes: Value,
    ) -> Response {
        let ending = if self.endings.is_empty() { "SUCCEEDED" } else { self.endings.remove(0) };
        let (id, at) = (account.uuid(), account.now());
        let service = &mut self.services[place];
        let operation = json!({
            "Id": id, "Type": kind, "Status": "PENDING", "StartedAt": at, "TargetArn": service.told["ServiceArn"],
        });
        service.operations.insert(0, operation);
        service.told["Status"] = "OPERATION_IN_PROGRESS".into();
        service.going_on = Some((self.looks, ending, becomes));
        Response::json(200, &json!({"Service": service.told, "OperationId": id}))
    }

    fn scaling_of(&self, input: &Value) -> Value {
        let wanted = &input["AutoScalingConfigurationArn"];
        let found = self.scaling.iter().find(|one| one["AutoScalingConfigurationArn"] == *wanted);
        summary(found.unwrap_or(&self.scaling[0]))
    }

    /// What App Runner says of roles that it cannot assume.
    fn refuse(&self, account: &mut Account, input: &Value) -> Option<Response> {
        let access =
            input.pointer("/SourceConfiguration/AuthenticationConfiguration/AccessRoleArn");
        let instance = input.pointer("/InstanceConfiguration/InstanceRoleArn");
        let roles = [
            (access, "build.apprunner", "access role"),
            (instance, "tasks.apprunner", "instance role"),
        ];
        for (arn, principal, what) in roles {
            let Some(arn) = arn.and_then(Value::as_str) else { continue };
            if !account.is_assumable(arn, &format!("{principal}.amazonaws.com")) {
                let message = format!("Error in assuming {what} {arn}");
                return Some(Response::aws_error(400, "InvalidRequestException", &message));
            }
        }
        None
    }

    fn is_in_use(&self, arn: &Value) -> bool {
        let used = |one: &Service| {
            one.told["AutoScalingConfigurationSummary"]["AutoScalingConfigurationArn"] == *arn
        };
        self.services.iter().any(used)
    }

    fn describe_scaling(&self, input: &Value) -> Response {
        let arn = &input["AutoScalingConfigurationArn"];
        let found = self.scaling.iter().find(|one| one["AutoScalingConfigurationArn"] == *arn);
        match found {
            Some(found) => {
                let mut found = found.clone();
                found["HasAssociatedService"] = self.is_in_use(arn).into();
                Response::json(200, &json!({"AutoScalingConfiguration": found}))
            }
            None => not_found(),
        }
    }

    fn delete_scaling(&mut self, input: &Value) -> Response {
        let arn = &input["AutoScalingConfigurationArn"];
        if self.is_in_use(arn) {
            let message = "The auto scaling configuration is in use.";
            return Response::aws_error(400, "InvalidRequestException", message);
        }
        let place = self.scaling.iter().position(|one| one["AutoScalingConfigurationArn"] == *arn);
        match place {
            Some(place) => {
                let removed = self.scaling.remove(place);
                Response::json(200, &json!({"AutoScalingConfiguration": removed}))
            }
            None => not_found(),
        }
    }
}

impl AwsService for AppRunner {
    const NAME: &'static str = "apprunner";

    fn answer(&mut self, account: &mut Account, operation: &str, input: &Value) -> Response {
        match operation {
            "ListServices" => {
                let all: Vec<_> = self
                    .services
                    .iter()
                    .map(|one| {
                        pick(&one.told, &["ServiceName", "ServiceId", "ServiceArn", "Status"])
                    })
                    .collect();
                return page(input, "ServiceSummaryList", &all, 1);
            }
            "ListAutoScalingConfigurations" => {
                let name = &input["AutoScalingConfigurationName"];
                let fitting =
                    self.scaling.iter().filter(|one| one["AutoScalingConfigurationName"] == *name);
                let all: Vec<_> = fitting.map(summary).collect();
                return page(input, "AutoScalingConfigurationSummaryList", &all, 1);
            }
            "DescribeAutoScalingConfiguration" => return self.describe_scaling(input),
            "DeleteAutoScalingConfiguration" => return self.delete_scaling(input),
            "CreateAutoScalingConfiguration" => {
                let number = |name: &str| input[name].as_u64().unwrap();
                let name = input["AutoScalingConfigurationName"].as_str().unwrap();
                let made = self.add_scaling(
                    name,
                    number("MinSize"),
                    number("MaxSize"),
                    number("MaxConcurrency"),
                );
                return Response::json(200, &json!({"AutoScalingConfiguration": made}));
            }
            "CreateService" if !self.is_customer => {
                return Response::aws_error(
                    400,
                    "SubscriptionRequiredException",
                    "The AWS Access Key Id needs a subscription for the service",
                );
            }
            "CreateService" | "UpdateService" => {
                if let Some(refused) = self.refuse(account, input) {
                    return refused;
                }
                if operation == "CreateService" {
                    return self.create(account, input);
                }
            }
            _ => {}
        }
        let arn = input.get("ServiceArn").unwrap_or(&input["ResourceArn"]);
        let Some(place) = self.services.iter().position(|one| one.told["ServiceArn"] == *arn)
        else {
            return not_found();
        };
        let service = &mut self.services[place];
        let is_busy = service.going_on.is_some();
        match operation {
            "DescribeService" => return Response::json(200, &json!({"Service": service.told})),
            "ListOperations" => {
                let is_gone = service.look();
                let operations = service.operations.clone();
                if is_gone {
                    self.services.remove(place);
                }
                return page(input, "OperationSummaryList", &operations, 20);
            }
            "ListTagsForResource" => {
                let tags: Vec<_> = service
                    .tags
                    .iter()
                    .map(|(key, value)| json!({"Key": key, "Value": value}))
                    .collect();
                return Response::json(200, &json!({"Tags": tags}));
            }
            _ if is_busy => {
                let message =
                    "Service cannot be changed in the current state: OPERATION_IN_PROGRESS.";
                return Response::aws_error(400, "InvalidStateException", message);
            }
            "TagResource" => {
                service.tags.extend(input["Tags"].as_array().unwrap().iter().map(tag));
                return Response::json(200, &json!({}));
            }
            "UntagResource" => {
                for key in input["TagKeys"].as_array().unwrap() {
                    service.tags.remove(key.as_str().unwrap());
                }
                return Response::json(200, &json!({}));
            }
            _ => {}
        }
        let mut becomes = service.told.clone();
        let kind = match operation {
            "UpdateService" if becomes["Status"] == "PAUSED" => {
                let message = "Service cannot be updated in the current state: PAUSED.";
                return Response::aws_error(400, "InvalidStateException", message);
            }
            "UpdateService" => {
                for member in
                    ["SourceConfiguration", "InstanceConfiguration", "HealthCheckConfiguration"]
                {
                    if input.get(member).is_some() {
                        becomes[member] = input[member].clone();
                    }
                }
                if input.get("AutoScalingConfigurationArn").is_some() {
                    becomes["AutoScalingConfigurationSummary"] = self.scaling_of(input);
                }
                "UPDATE_SERVICE"
            }
            "StartDeployment" => "START_DEPLOYMENT",
            "ResumeService" => "RESUME_SERVICE",
            "DeleteService" => "DELETE_SERVICE",
            other => panic!("App Runner is not asked to {other}"),
        };
        let answer = self.begin(account, place, kind, becomes);
        if operation == "StartDeployment" {
            let id = &self.services[place].operations[0]["Id"];
            return Response::json(200, &json!({"OperationId": id}));
        }
        answer
    }
}

impl Service {
    /// One look nearer to the end of what is going on; says whether the service is gone.
    fn look(&mut self) -> bool {
        let Some((left, ending, becomes)) = &mut self.going_on else { return false };
        if *left > 0 {
            *left -= 1;
            let goes_back = ending.starts_with("ROLLBACK") && *left == 0;
            let status = if goes_back { "ROLLBACK_IN_PROGRESS" } else { "IN_PROGRESS" };
            self.operations[0]["Status"] = status.into();
            return false;
        }
        let is_good = *ending == "SUCCEEDED";
        self.operations[0]["Status"] = (*ending).into();
        let kind = self.operations[0]["Type"].clone();
        if is_good {
            self.told = becomes.clone();
        }
        let is_created = kind != "CREATE_SERVICE" || is_good;
        self.told["Status"] = if is_created { "RUNNING" } else { "CREATE_FAILED" }.into();
        self.going_on = None;
        kind == "DELETE_SERVICE" && is_good
    }
}

fn summary(configuration: &Value) -> Value {
    pick(
        configuration,
        &[
            "AutoScalingConfigurationArn",
            "AutoScalingConfigurationName",
            "AutoScalingConfigurationRevision",
            "Status",
        ],
    )
}

fn pick(value: &Value, members: &[&str]) -> Value {
    members.iter().map(|member| ((*member).to_owned(), value[*member].clone())).collect()
}

fn tag(tag: &Value) -> (String, String) {
    (tag["Key"].as_str().unwrap().to_owned(), tag["Value"].as_str().unwrap().to_owned())
}

/// So many items of a list, and how to ask for more.
fn page(input: &Value, member: &str, all: &[Value], size: usize) -> Response {
    let from: usize = input["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
    let to = all.len().min(from + size);
    let mut answer = json!({member: all[from..to]});
    if to < all.len() {
        answer["NextToken"] = to.to_string().into();
    }
    Response::json(200, &answer)
}

fn not_found() -> Response {
    Response::aws_error(400, "ResourceNotFoundException", "The resource cannot be found.")
}
