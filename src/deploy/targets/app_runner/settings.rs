//! The settings of `app-runner`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::config::schema::{Field, Kind, Shape};
use crate::config::{Node, Problems, Unit};
use crate::deploy::aws::{
    HEALTH_CHECK_PATH, PORT, REGION, check_secrets, read_health_path, read_number, read_region,
    read_role, read_scaling_range, read_size,
};
use crate::deploy::{Pull, TargetInput};

/// What a target of this kind may say.
pub(super) static SHAPE: Shape = Shape {
    name: "a target of kind `app-runner`",
    fields: &[
        Field::required("target", Kind::Choice(&["app-runner"]), "Always `app-runner`."),
        REGION,
        Field::optional(
            "name",
            Kind::Text,
            "The name of the service, 4 to 40 letters, digits, `-` or `_`: that of the project and the \
             environment when absent.",
        ),
        Field::optional(
            "cpu",
            Kind::Choice(&["0.25", "0.5", "1", "2", "4"]),
            "Virtual processors: 1 when absent.",
        ),
        Field::optional(
            "memory",
            Kind::Measure(Unit::Megabytes, 512, 12_288),
            "Memory in MB: 2048 when absent. With 0.25 vCPU there are 512 and 1024, with 0.5 1024, with 1 \
             2048, 3072 and 4096, with 2 4096 and 6144, with 4 8192, 10240 and 12288.",
        ),
        Field::optional(
            "ecr_role_arn",
            Kind::Text,
            "The role that App Runner pulls from ECR with. When absent, that of the service that is there, \
             or one of ours.",
        ),
        Field::optional(
            "instance_role_arn",
            Kind::Text,
            "The role that the container itself has. When absent, that of the service that is there, or one \
             of ours where secrets need one.",
        ),
        PORT,
        HEALTH_CHECK_PATH,
        Field::optional(
            "auto_scaling_min",
            Kind::Integer(1, 25),
            "The fewest instances: 1 when absent.",
        ),
        Field::optional(
            "auto_scaling_max",
            Kind::Integer(1, 25),
            "The most instances: 5 when absent.",
        ),
        Field::optional(
            "concurrency",
            Kind::Integer(1, 200),
            "How many requests at once one instance is given: 100 when absent.",
        ),
    ],
};

/// A service as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) region: String,
    /// 1024 to a virtual processor.
    pub(super) cpu_units: u32,
    pub(super) memory_mb: u32,
    pub(super) access_role: Option<String>,
    pub(super) instance_role: Option<String>,
    pub(super) port: u32,
    pub(super) health_path: String,
    pub(super) scaling: Scaling,
}

/// How a service grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scaling {
    pub(super) min: u32,
    pub(super) max: u32,
    pub(super) concurrency: u32,
}

impl Settings {
    /// How many requests at once one instance is given where nobody says.
    pub(super) const CONCURRENCY: u32 = 100;

    /// Reads and checks what fits the shape.
    pub(super) fn parse(input: &TargetInput<'_>, problems: &mut Problems) -> Option<Self> {
        let TargetInput { settings, workload, .. } = *input;
        let name = name(settings, &workload.name, input, problems);
        let region = read_region(input, problems);
        let size = read_size(settings, "App Runner", &pairs(), problems);
        let access_role = read_role(settings, "ecr_role_arn", problems);
        let instance_role = read_role(settings, "instance_role_arn", problems);
        check_secrets(input, problems);
        if let Some(Pull::Password { .. } | Pull::Kept(_)) = workload.pull {
            problems.report_with_hint(
                input.place_of_pull(),
                "App Runner pulls from ECR with a role, not with `pull`",
                "remove `pull`, or write `target: ecs-express`, which takes images of any registry",
            );
        }
        let scaling = scaling(settings, problems);
        let health_path = read_health_path(input, problems);
        let (cpu_units, memory_mb) = size?;
        Some(Self {
            name: name?,
            region: region?,
            cpu_units,
            memory_mb,
            access_role,
            instance_role,
            port: read_number(settings, "port", u32::from(workload.port)),
            health_path,
            scaling: scaling?,
        })
    }

    /// What the hash of the settings is made of, beside the variables.
    pub(super) fn document(&self) -> Value {
        json!({
            "cpu": self.cpu_units,
            "memory": self.memory_mb,
            "access_role": self.access_role,
            "instance_role": self.instance_role,
            "port": self.port,
            "health_check_path": self.health_path,
            "scaling": self.scaling.to_string(),
        })
    }
}

impl std::fmt::Display for Scaling {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { min, max, concurrency } = self;
        write!(formatter, "{min} to {max} instances, {concurrency} requests at once each")
    }
}

/// The memory in MB that there is with each size of processor, in units.
fn pairs() -> BTreeMap<u32, Vec<u32>> {
    BTreeMap::from([
        (256, vec![512, 1024]),
        (512, vec![1024]),
        (1024, vec![2048, 3072, 4096]),
        (2048, vec![4096, 6144]),
        (4096, vec![8192, 10_240, 12_288]),
    ])
}

fn name(
    settings: &Node,
    absent: &str,
    input: &TargetInput<'_>,
    problems: &mut Problems,
) -> Option<String> {
    let node = settings.get("name");
    let name = node.and_then(Node::as_text).unwrap_or(absent);
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if !(4..=40).contains(&name.len()) || !is_first || !name.bytes().all(is_word) {
        problems.report_with_hint(
            node.map_or(input.position, |node| &node.position),
            format!("`{}` is no name for a service of App Runner", name.escape_debug()),
            "set `name` to 4 to 40 letters, digits, `-` or `_`, beginning with a letter or digit",
        );
        return None;
    }
    Some(name.to_owned())
}

fn scaling(settings: &Node, problems: &mut Problems) -> Option<Scaling> {
    let (min, max) = read_scaling_range(settings, problems)?;
    let concurrency = read_number(settings, "concurrency", Settings::CONCURRENCY);
    Some(Scaling { min, max, concurrency })
}
