//! Where each cloud is plugged in: who proves there who we are, and who understands what it refuses.

use std::sync::Arc;

use super::authorizer::{Authorizer, Refusal};
use super::service::{CLOUD_RUN, Cloud, RESOURCE_MANAGER, STS, Service};
use super::{Api, CallError, ErrorClass, NewRepository, aws, azure, google};
use crate::event::Events;
use crate::oci::Repository;
use crate::registry::{Https, Keychain, Settings};
use crate::sys::command::Commands;
use crate::sys::{Clock, Environment};

/// Who proves at a cloud who we are; nobody where this binary was built without it.
#[cfg_attr(
    not(any(feature = "aws", feature = "azure")),
    expect(unused_variables, reason = "other clouds need less, and none is built without any")
)]
#[cfg_attr(
    all(feature = "aws", feature = "gcp", feature = "azure"),
    expect(clippy::unnecessary_wraps, reason = "other builds lack some")
)]
pub(super) fn authorizer(
    cloud: Cloud,
    settings: &Settings,
    environment: &Environment,
    events: &Events,
    clock: &Arc<dyn Clock>,
) -> Option<Box<dyn Authorizer>> {
    match cloud {
        #[cfg(feature = "aws")]
        Cloud::Aws => Some(aws::authorizer(settings, environment, events, clock)),
        #[cfg(feature = "gcp")]
        Cloud::Google => Some(google::authorizer(environment, events, clock)),
        #[cfg(feature = "azure")]
        Cloud::Azure => Some(azure::authorizer(settings, environment, events, clock)),
        #[cfg(not(all(feature = "aws", feature = "gcp", feature = "azure")))]
        _ => None,
    }
}

/// What the registries of clouds take a login through.
#[derive(Debug)]
pub struct RegistryLogins<'a> {
    /// Asks clouds for what their registries take.
    pub api: Arc<dyn Api>,
    /// Asks registries themselves.
    pub https: Https,
    /// Where credentials are named.
    pub environment: &'a Environment,
    /// Other programs that have credentials.
    pub commands: &'a Arc<dyn Commands>,
    /// Time, since what is lent ends.
    pub clock: &'a Arc<dyn Clock>,
}

impl RegistryLogins<'_> {
    /// Where the credentials for registries of clouds come from; nobody is asked before they are needed.
    pub fn keychains(self) -> Vec<Arc<dyn Keychain>> {
        let Self { api, https, environment, commands, clock } = self;
        // Who is built without a cloud asks nobody there.
        let _ = (&https, commands);
        vec![
            Arc::new(aws::AmazonRegistries::new(api, environment, Arc::clone(clock))),
            #[cfg(feature = "gcp")]
            Arc::new(google::GoogleRegistries::new(environment, commands)),
            #[cfg(feature = "azure")]
            Arc::new(azure::AzureRegistries::new(https, environment, Arc::clone(clock))),
        ]
    }
}

/// Creates a repository unless it is there; says whether it did. Where a push makes its repositories by itself,
/// that is left to it.
///
/// # Errors
/// The cloud cannot be asked, or refuses.
pub async fn create_missing_repository(
    api: &dyn Api,
    clock: &dyn Clock,
    repository: &Repository,
    wanted: &NewRepository,
) -> Result<bool, CallError> {
    match google::ArtifactRepository::of(repository) {
        Some(there) => there.create_if_missing(api, clock, wanted).await,
        None => aws::create_missing_repository(api, repository, wanted).await,
    }
}

/// What an answer means that is no success.
pub(super) fn classify(refusal: &Refusal<'_>) -> CallError {
    match refusal.request.service.cloud {
        Cloud::Aws => aws::classify(refusal),
        Cloud::Google => google::classify(refusal),
        Cloud::Azure => azure::classify(refusal),
    }
}

/// The failure of whoever asks for a cloud that this binary was built without.
pub(super) fn not_built_in(service: &'static Service, title: String) -> CallError {
    let cloud = service.cloud;
    let feature = cloud.feature();
    CallError {
        message: format!("this binary was built without {cloud} (feature `{feature}`)"),
        // One hint for all clouds: with several targets, a binary with one of them would be the next problem.
        hints: vec![
            "build one that has the clouds: `cargo install --path . --locked --features clouds`"
                .to_owned(),
        ],
        ..CallError::new(service, title, ErrorClass::NotBuiltIn)
    }
}

/// The service that stands for a cloud where none is called.
pub(super) fn first_service(cloud: Cloud) -> &'static Service {
    match cloud {
        Cloud::Aws => &STS,
        Cloud::Google => &CLOUD_RUN,
        Cloud::Azure => &RESOURCE_MANAGER,
    }
}
