//! The settings of `ecs-express`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::config::schema::{Field, Kind, Shape};
use crate::config::{Node, Problems, Unit};
use crate::deploy::TargetInput;
use crate::deploy::aws::{
    HEALTH_CHECK_PATH, PORT, REGION, check_secrets, read_health_path, read_number, read_region,
    read_role, read_scaling_range, read_size,
};

/// What a target of this kind may say.
pub(super) static SHAPE: Shape = Shape {
    name: "a target of kind `ecs-express`",
    fields: &[
        Field::required("target", Kind::Choice(&["ecs-express"]), "Always `ecs-express`."),
        REGION,
        Field::optional(
            "name",
            Kind::Text,
            "The name of the service, letters, digits, `-` or `_`: that of the project and the environment \
             when absent.",
        ),
        Field::optional(
            "cluster",
            Kind::Text,
            "The cluster: `default` when absent, which ECS makes when it is missing.",
        ),
        Field::optional(
            "cpu",
            Kind::Choice(&["0.25", "0.5", "1", "2", "4", "8", "16"]),
            "Virtual processors: 1 when absent.",
        ),
        Field::optional(
            "memory",
            Kind::Measure(Unit::Megabytes, 512, 122_880),
            "Memory in MB: 2048 when absent. As Fargate has it: with 1 vCPU 2048 to 8192 in steps of 1024, \
             with 2 vCPU 4096 to 16384, with 4 vCPU 8192 to 30720.",
        ),
        Field::optional(
            "architecture",
            Kind::Choice(&["x86_64", "arm64"]),
            "The processor: what the image is built for when absent, x86_64 where that is both.",
        ),
        Field::optional(
            "execution_role_arn",
            Kind::Text,
            "The role that ECS pulls the image and reads secrets with. When absent, that of the service that \
             is there, or one of ours.",
        ),
        Field::optional(
            "infrastructure_role_arn",
            Kind::Text,
            "The role that ECS makes the load balancer with; it cannot be changed later. When absent, that \
             of the service that is there, or one of ours.",
        ),
        Field::optional(
            "task_role_arn",
            Kind::Text,
            "The role that the container itself has. ECS cannot take one away: when absent, that of the service \
             that is there stays, which `status` shows.",
        ),
        PORT,
        HEALTH_CHECK_PATH,
        Field::optional(
            "auto_scaling_min",
            Kind::Integer(1, 1000),
            "The fewest tasks: 1 when absent.",
        ),
        Field::optional(
            "auto_scaling_max",
            Kind::Integer(1, 1000),
            "The most tasks: 5 when absent.",
        ),
        Field::optional(
            "auto_scaling_metric",
            Kind::Choice(&["cpu", "memory", "requests"]),
            "What decides how many there are: `cpu` when absent.",
        ),
        Field::optional(
            "auto_scaling_target",
            Kind::Integer(1, 100_000),
            "What the metric is held at: percent of processor or memory, or requests per task and minute. \
             60 when absent.",
        ),
        Field::optional(
            "subnets",
            Kind::List(&Kind::Text),
            "The subnets: when absent, those of the service that is there, or of the default VPC. Private ones make \
             the URL private.",
        ),
        Field::optional(
            "security_groups",
            Kind::List(&Kind::Text),
            "Security groups of the tasks, beside the one that ECS makes: when absent, those of the service that is \
             there.",
        ),
    ],
};

/// A service as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) region: String,
    pub(super) cluster: String,
    /// 1024 to a virtual processor.
    pub(super) cpu_units: u32,
    pub(super) memory_mb: u32,
    pub(super) architecture: Option<String>,
    pub(super) execution_role: Option<String>,
    pub(super) infrastructure_role: Option<String>,
    pub(super) task_role: Option<String>,
    pub(super) port: u32,
    pub(super) health_path: String,
    pub(super) scaling: Value,
    /// Subnets and security groups, as ECS writes them; null where the config says nothing.
    pub(super) network: Value,
}

impl Settings {
    /// Reads and checks what fits the shape.
    pub(super) fn parse(input: &TargetInput<'_>, problems: &mut Problems) -> Option<Self> {
        let TargetInput { settings, workload, .. } = *input;
        let region = read_region(input, problems);
        let name = name(settings, "name", &workload.name, input, problems);
        let cluster = name_of_cluster(settings, input, problems);
        let size = read_size(settings, "Fargate", &pairs(), problems);
        let execution_role = read_role(settings, "execution_role_arn", problems);
        let infrastructure_role = read_role(settings, "infrastructure_role_arn", problems);
        let task_role = read_role(settings, "task_role_arn", problems);
        check_secrets(input, problems);
        let scaling = scaling(settings, problems);
        let health_path = read_health_path(input, problems);
        let (cpu_units, memory_mb) = size?;
        Some(Self {
            name: name?,
            region: region?,
            cluster: cluster?,
            cpu_units,
            memory_mb,
            architecture: settings.get_text("architecture").map(str::to_owned),
            execution_role,
            infrastructure_role,
            task_role,
            port: read_number(settings, "port", u32::from(workload.port)),
            health_path,
            scaling: scaling?,
            network: network(settings),
        })
    }

    /// What the hash of the settings is made of, beside the variables.
    pub(super) fn document(&self) -> Value {
        json!({
            "cpu": self.cpu_units,
            "memory": self.memory_mb,
            "architecture": self.architecture,
            "execution_role": self.execution_role,
            "task_role": self.task_role,
            "port": self.port,
            "health_check_path": self.health_path,
            "scaling": self.scaling,
            "network": self.network,
        })
    }
}

/// The memory in MB that Fargate has with each size of processor, in units.
fn pairs() -> BTreeMap<u32, Vec<u32>> {
    let steps = |from: u32, to: u32, step: usize| (from..=to).step_by(step).collect();
    BTreeMap::from([
        (256, vec![512, 1024, 2048]),
        (512, steps(1024, 4096, 1024)),
        (1024, steps(2048, 8192, 1024)),
        (2048, steps(4096, 16_384, 1024)),
        (4096, steps(8192, 30_720, 1024)),
        (8192, steps(16_384, 61_440, 4096)),
        (16_384, steps(32_768, 122_880, 8192)),
    ])
}

fn name_of_cluster(
    settings: &Node,
    input: &TargetInput<'_>,
    problems: &mut Problems,
) -> Option<String> {
    name(settings, "cluster", "default", input, problems)
}

fn name(
    settings: &Node,
    setting: &str,
    absent: &str,
    input: &TargetInput<'_>,
    problems: &mut Problems,
) -> Option<String> {
    let node = settings.get(setting);
    let name = node.and_then(Node::as_text).unwrap_or(absent);
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > 255 || !name.bytes().all(is_word) {
        problems.report_with_hint(
            node.map_or(input.position, |node| &node.position),
            format!("`{}` is no name that ECS takes", name.escape_debug()),
            format!("set `{setting}` to 1 to 255 letters, digits, `-` or `_`"),
        );
        return None;
    }
    Some(name.to_owned())
}

fn scaling(settings: &Node, problems: &mut Problems) -> Option<Value> {
    let (min, max) = read_scaling_range(settings, problems)?;
    let target = read_number(settings, "auto_scaling_target", 60);
    let metric = match settings.get_text("auto_scaling_metric") {
        Some("memory") => "AVERAGE_MEMORY",
        Some("requests") => "REQUEST_COUNT_PER_TARGET",
        _ => "AVERAGE_CPU",
    };
    if metric != "REQUEST_COUNT_PER_TARGET" && target > 100 {
        let message = format!("`auto_scaling_target` is {target} percent");
        let position = &settings.get("auto_scaling_target").unwrap_or(settings).position;
        problems.report_with_hint(position, message, "write 1 to 100");
        return None;
    }
    Some(json!({
        "minTaskCount": min,
        "maxTaskCount": max,
        "autoScalingMetric": metric,
        "autoScalingTargetValue": target,
    }))
}

fn network(settings: &Node) -> Value {
    let list = |name| {
        let node = settings.get(name)?;
        Some(node.items().iter().filter_map(Node::as_text).map(Value::from).collect::<Value>())
    };
    let mut network = Value::Null;
    for (name, member) in [("subnets", "subnets"), ("security_groups", "securityGroups")] {
        if let Some(items) = list(name) {
            network[member] = items;
        }
    }
    network
}
