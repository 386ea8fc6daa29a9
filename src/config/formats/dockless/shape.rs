//! The members of a `dockless.yaml`.

use crate::config::LayerCompression;
use crate::config::health::HEALTH;
use crate::config::publish::{NEW_REPOSITORY, TAG};
use crate::config::schema::{Field, Kind, Shape};

/// The largest time that a tar header holds.
const MAX_MTIME: i64 = 0o77_777_777_777;

/// The whole file.
pub(super) static ROOT: Shape = Shape {
    name: "dockless.yaml",
    fields: &[
        Field::optional(
            "requires",
            Kind::Text,
            "The versions of dockless that understand this file, for instance `\">=0.1\"`. An older \
             one says so instead of refusing keys it does not know.",
        ),
        Field::optional(
            "name",
            Kind::Text,
            "The project's name, and the image's title. Required, unless `agent` brings one.",
        ),
        Field::optional(
            "agent",
            Kind::Text,
            "A HoloDeck `agent.yaml` to build on: lists and mappings here add to what it says, single \
             values replace it.",
        ),
        Field::optional(
            "base",
            Kind::Text,
            "What the image stands on: `name:tag` or `name@sha256:…` in a registry, `oci:DIR`, \
             `oci:DIR:NAME`, `scratch`, or `builtin:static`, which needs no network. Required, unless \
             `agent` brings one; `--base` overrides it.",
        ),
        Field::optional(
            "platforms",
            Kind::OneOrMany(&Kind::Text),
            "The platforms to build for; `[linux/amd64]` when absent. Several give an image index.",
        ),
        Field::optional("platform", Kind::Text, "The only platform to build for."),
        Field::optional(
            "layers",
            Kind::Layers,
            "What is put on the base, lowest first: one layer per entry.",
        ),
        Field::optional(
            "compression",
            Kind::Choice(LayerCompression::NAMES),
            "How our layers are compressed; `gzip` when absent. `zstd` is smaller and faster, and older \
             engines cannot read it. `--compression` overrides it.",
        ),
        Field::optional(
            "user",
            Kind::Text,
            "Who runs the container: a uid or a name, optionally with `:group`.",
        ),
        Field::optional("workdir", Kind::Text, "The working directory, absolute."),
        Field::optional(
            "env",
            Kind::Map(&Kind::Scalar),
            "Variables that are baked into the image, with literal values: `${…}` is an error.",
        ),
        Field::optional(
            "entrypoint",
            Kind::List(&Kind::Scalar),
            "The command that always runs. Setting it clears the base's `cmd`.",
        ),
        Field::optional("cmd", Kind::List(&Kind::Scalar), "Its default arguments."),
        Field::optional(
            "ports",
            Kind::OneOrMany(&Kind::Text),
            "The ports the container listens on: `8080`, `53/udp`. Added to the base's.",
        ),
        Field::optional(
            "volumes",
            Kind::OneOrMany(&Kind::Text),
            "Absolute paths whose data outlives the container. Added to the base's.",
        ),
        Field::optional(
            "stop_signal",
            Kind::Text,
            "The signal that stops the container: `SIGTERM`, `SIGRTMIN+3`, `15`.",
        ),
        Field::optional(
            "health",
            Kind::Shape(&HEALTH),
            "How to see whether the container is well.",
        ),
        Field::optional("labels", Kind::Map(&Kind::Scalar), "Labels of the image config."),
        Field::optional(
            "annotations",
            Kind::Map(&Kind::Scalar),
            "Annotations of the manifest, and of the index where there is one.",
        ),
        Field::optional(
            "image",
            Kind::OneOrMany(&Kind::Text),
            "The repositories to push to, without tags; `${VAR}` and `${VAR:-default}` are replaced \
             when the image is pushed.",
        ),
        Field::optional(
            "tags",
            Kind::OneOrMany(&Kind::Either(&[Kind::Text, Kind::Shape(&TAG)])),
            "The tags to push: a literal, a template over git facts such as `{{ git.sha7 }}`, or one \
             of the strategies `git_sha`, `git_tag`, `latest`, `semver`, `sha`. `${VAR}` is replaced.",
        ),
        Field::optional(
            "credentials_env_prefix",
            Kind::Text,
            "With `GHCR`, the variables `GHCR_USERNAME` and `GHCR_PASSWORD` hold the credentials for \
             the registries of `image`, and for no other that the command line names.",
        ),
        Field::optional(
            "create_repository",
            Kind::Either(&[Kind::Boolean, Kind::Shape(&NEW_REPOSITORY)]),
            "Whether a push creates the repositories of Amazon ECR and Artifact Registry that are missing, with the tag `managed-by: dockless`; \
             `false` when absent. A mapping says what they are to be like. A dry run creates none.",
        ),
        Field::optional(
            "mtime",
            Kind::Integer(0, MAX_MTIME),
            "The modification time of every file in our layers, in seconds since 1970; 0 when absent.",
        ),
        Field::optional(
            "vcs_labels",
            Kind::Choice(&["on", "off"]),
            "Whether the labels `revision` and `source` are filled from git; `on` when absent.",
        ),
        Field::optional(
            "ignore",
            Kind::OneOrMany(&Kind::Text),
            "Patterns that count as further lines at the end of the `.dockerignore`, for every layer of files: \
             also where `ignore_file` is `false`, as for what `agent` names.",
        ),
        Field::optional(
            "allow_secrets",
            Kind::OneOrMany(&Kind::Text),
            "Files that may be in the image though they look like credentials: patterns in `.dockerignore` \
             syntax, rooted at the project. A file that is rendered, or comes from another \
             image, is named by its path in the image.",
        ),
        Field::optional(
            "allow_env",
            Kind::OneOrMany(&Kind::Text),
            "Names of variables, and of options in commands (`api-key`), that may have a value in the image though \
             they look like credentials.",
        ),
        Field::optional(
            "environments",
            Kind::Environments,
            "Where the image is deployed, by names that `-e` chooses from. An environment never changes \
             the image.",
        ),
    ],
};
