//! The members of `deployment:`.

use crate::config::Unit;
use crate::config::schema::{Field, Kind, Shape};

/// The whole section.
pub(super) static DEPLOYMENT: Shape = Shape {
    name: "`deployment`",
    fields: &[
        Field::optional("runtime", Kind::Choice(&["container"]), "Always `container`."),
        Field::optional("registry", Kind::Shape(&REGISTRY), "Where the image goes."),
        Field::optional(
            "target",
            Kind::Shape(&TARGET),
            "Where the agent runs; not part of the image.",
        ),
        Field::optional(
            "protocol",
            Kind::Text,
            "What the agent speaks: `rest`, which it is when absent, or `ag-ui`. `both` is refused, \
             because `holodeck serve` speaks one protocol.",
        ),
        Field::optional(
            "port",
            Kind::Integer(1, 65535),
            "The port it listens on: 8080 when absent.",
        ),
        Field::optional(
            "health_check_path",
            Kind::Text,
            "What the probes of deploy targets ask: `/health` when absent.",
        ),
        Field::optional(
            "environment",
            Kind::Map(&Kind::Scalar),
            "Variables of the image. One whose value has a `${NAME}` is not baked: the container must \
             be given it.",
        ),
        Field::optional("platform", Kind::Text, "The platform: `linux/amd64` when absent."),
    ],
};

static REGISTRY: Shape = Shape {
    name: "`deployment.registry`",
    fields: &[
        Field::required("url", Kind::Text, "The registry's host."),
        Field::required("repository", Kind::Text, "The path in it."),
        Field::optional(
            "tag_strategy",
            Kind::Choice(&["git_sha", "git_tag", "latest", "custom"]),
            "What the tag is made of: `git_sha` when absent.",
        ),
        Field::optional("custom_tag", Kind::Text, "The tag of `custom`."),
        Field::optional(
            "credentials_env_prefix",
            Kind::Text,
            "With `GHCR`, `GHCR_USERNAME` and `GHCR_PASSWORD` hold the credentials for `url`, and for \
             no other registry that the command line names.",
        ),
    ],
};

static TARGET: Shape = Shape {
    name: "`deployment.target`",
    fields: &[
        Field::required("provider", Kind::Choice(&["aws", "gcp", "azure"]), "Which cloud."),
        Field::optional("aws", Kind::Shape(&AWS), "App Runner."),
        Field::optional("gcp", Kind::Shape(&GCP), "Cloud Run."),
        Field::optional("azure", Kind::Shape(&AZURE), "Container Apps."),
    ],
};

static AWS: Shape = Shape {
    name: "`deployment.target.aws`",
    fields: &[
        Field::required("region", Kind::Text, "The region."),
        Field::optional("cpu", Kind::Integer(1, 64), "Virtual processors."),
        Field::optional("memory", Kind::Measure(Unit::Megabytes, 1, 1_000_000), "Memory in MB."),
        Field::optional("ecr_role_arn", Kind::Text, "The role that reads the repository."),
        Field::optional("health_check_path", Kind::Text, "The path of health checks."),
        Field::optional("auto_scaling_min", Kind::Integer(1, 25), "The fewest instances."),
        Field::optional("auto_scaling_max", Kind::Integer(1, 25), "The most instances."),
    ],
};

static GCP: Shape = Shape {
    name: "`deployment.target.gcp`",
    fields: &[
        Field::required("project_id", Kind::Text, "The project."),
        Field::optional("region", Kind::Text, "The region."),
        Field::optional("memory", Kind::Text, "Memory: `512Mi`, `1Gi`."),
        Field::optional("cpu", Kind::Integer(1, 64), "Virtual processors."),
        Field::optional("concurrency", Kind::Integer(1, 1000), "Requests at once per instance."),
        Field::optional(
            "timeout",
            Kind::Measure(Unit::Seconds, 1, 3600),
            "Seconds for one request.",
        ),
        Field::optional("min_instances", Kind::Integer(0, 100_000), "The fewest instances."),
        Field::optional("max_instances", Kind::Integer(1, 100_000), "The most instances."),
    ],
};

static AZURE: Shape = Shape {
    name: "`deployment.target.azure`",
    fields: &[
        Field::required("subscription_id", Kind::Text, "The subscription."),
        Field::required("resource_group", Kind::Text, "The resource group."),
        Field::optional("environment_name", Kind::Text, "The Container Apps environment."),
        Field::optional("location", Kind::Text, "The region."),
        Field::optional("cpu", Kind::Text, "Virtual processors: `0.5`, `1.0`."),
        Field::optional("memory", Kind::Text, "Memory: `2Gi`."),
        Field::optional("ingress_external", Kind::Boolean, "Whether it is reachable from outside."),
        Field::optional("min_replicas", Kind::Integer(0, 100_000), "The fewest replicas."),
        Field::optional("max_replicas", Kind::Integer(1, 100_000), "The most replicas."),
    ],
};
