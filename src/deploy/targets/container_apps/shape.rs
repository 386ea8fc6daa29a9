//! The members of a target `container-apps`, for the config and for the docs.

use crate::config::schema::{Field, Kind, Shape};

/// The members of a target `container-apps`: HoloDeck's, and what the platform knows beyond them.
pub(super) static SHAPE: Shape = Shape {
    name: "a target `container-apps`",
    fields: &[
        Field::required("target", Kind::Choice(&["container-apps"]), "`container-apps`."),
        Field::optional(
            "subscription_id",
            Kind::Text,
            "The subscription, a UUID: `AZURE_SUBSCRIPTION_ID`, or what `az account set` has chosen, when \
             absent.",
        ),
        Field::required("resource_group", Kind::Text, "The resource group."),
        Field::required(
            "environment_name",
            Kind::Text,
            "The Container Apps environment, which must be there, in the same resource group.",
        ),
        Field::optional(
            "location",
            Kind::Text,
            "The region, which must be that of the environment: the environment's when absent.",
        ),
        Field::optional(
            "name",
            Kind::Text,
            "What the app is called: 2 to 32 small letters, digits and `-`. The project's name and \
             the environment's when absent.",
        ),
        Field::optional(
            "cpu",
            Kind::Scalar,
            "Virtual processors of a replica, in steps of 0.25 up to 4: 1 when absent.",
        ),
        Field::optional(
            "memory",
            Kind::Text,
            "Memory of a replica in Gi, twice as many as processors unless a `workload_profile` says \
             otherwise: `2Gi` when absent.",
        ),
        Field::optional(
            "ingress_external",
            Kind::Boolean,
            "Whether it is reachable from everywhere, and not from its environment only: `false` \
             when absent.",
        ),
        Field::optional(
            "min_replicas",
            Kind::Integer(0, 1000),
            "The fewest replicas: 0 when absent.",
        ),
        Field::optional(
            "max_replicas",
            Kind::Integer(1, 1000),
            "The most replicas: 10 when absent.",
        ),
        Field::optional(
            "identity",
            Kind::Text,
            "The managed identity that the app has, and that reads its image from `*.azurecr.io` and \
             its secrets from Key Vault: a resource id, or `system`.",
        ),
        Field::optional(
            "port",
            Kind::Integer(1, 65535),
            "The port that the container listens on: that of the project when absent.",
        ),
        Field::optional(
            "health_check_path",
            Kind::Text,
            "What the platform asks whether the container lives: that of the project when absent.",
        ),
        Field::optional(
            "readiness_path",
            Kind::Text,
            "What the platform asks whether the container may get requests: `health_check_path` when \
             absent; agents of `holodeck serve` have `/ready`.",
        ),
        Field::optional(
            "workload_profile",
            Kind::Text,
            "The workload profile of the environment: `Consumption`, or what the app has, when absent.",
        ),
    ],
};
