//! Foundation: requests to clouds as data, who we are there, and sending.
//!
//! - `service.rs`: the services we call, how each is spoken to, and where it is
//! - `request.rs`: one request, exactly as it will be sent, without its secrets; what `--dry-run` prints
//! - `answer.rs`, `error.rs`: what came back, in one form for all clouds
//! - `api.rs`: the contract between deploy targets and whoever sends: the real client, or a fake
//! - `client.rs`: the real client; `endpoint.rs`, `wire.rs`, `xml.rs`: where it sends what, and reads
//! - `vendors.rs`: where each cloud is plugged in; `authorizer.rs`: the contract for that
//! - `assumed.rs`: region, project and subscription where the config names none
//! - `ci.rs`: the CI system that runs us, whose jobs get their credentials in ways of their own
//! - `aws/`, `google/`, `azure/`: credentials, refusals, and the credentials of their registries; signatures of AWS
//!
//! Requests, answers and errors are there in every binary; credentials and signatures need the features
//! `aws`, `gcp` and `azure`.

mod answer;
mod api;
mod assumed;
mod authorizer;
mod aws;
mod azure;
mod ci;
mod client;
mod endpoint;
mod error;
mod google;
mod request;
mod service;
mod vendors;
mod wire;
mod xml;

pub use answer::Answer;
pub use api::Api;
pub use assumed::Assumed;
pub use aws::{NewRepository, assumed_aws_region, aws_region};
pub use azure::{assumed_azure_subscription, azure_subscription, is_azure_registry};
pub use ci::CiSystem;
pub use client::{Client, ClientOptions};
pub use error::{CallError, ErrorClass};
pub use google::{
    assumed_google_project, assumed_google_region, google_project, google_region, image_cure,
    operation_failure,
};
pub use request::{Authority, Location, Method, Request};
pub use service::{
    API_GATEWAY, APP_RUNNER, ARTIFACT_REGISTRY, CLOUD_LOGGING, CLOUD_RUN, CONTAINER_APPS_LOGS,
    Cloud, ECR, ECR_PUBLIC, ECS, IAM, LAMBDA, LOGS, RESOURCE_MANAGER, SECRET_MANAGER,
    SECRETS_MANAGER, STS, Service, Wire,
};
pub use vendors::{RegistryLogins, create_missing_repository};
