//! Where each cloud is plugged in: who proves there who we are, and who understands what it refuses.

use std::sync::Arc;

use super::authorizer::{Authorizer, Refusal};
use super::service::{CLOUD_RUN, Cloud, RESOURCE_MANAGER, STS, Service};
use super::{CallError, ErrorClass, aws, google};
use crate::event::Events;
use crate::sys::{Clock, Environment};

/// Who proves at a cloud who we are; nobody where this binary was built without it.
#[cfg_attr(
    not(any(feature = "aws", feature = "gcp", feature = "azure")),
    expect(unused_variables, reason = "without clouds there is nobody to build")
)]
pub(super) fn authorizer(
    cloud: Cloud,
    environment: &Environment,
    events: &Events,
    clock: &Arc<dyn Clock>,
) -> Option<Box<dyn Authorizer>> {
    match cloud {
        #[cfg(feature = "aws")]
        Cloud::Aws => Some(aws::authorizer(environment, events, clock)),
        #[cfg(feature = "gcp")]
        Cloud::Google => Some(google::authorizer(environment, events, clock)),
        _ => None,
    }
}

/// What an answer means that is no success.
pub(super) fn classify(refusal: &Refusal<'_>) -> CallError {
    match refusal.request.service.cloud {
        Cloud::Aws => aws::classify(refusal),
        Cloud::Google => google::classify(refusal),
        Cloud::Azure => plain(refusal),
    }
}

/// The failure of whoever asks for a cloud that this binary was built without.
pub(super) fn not_built_in(service: &'static Service, title: String) -> CallError {
    let cloud = service.cloud;
    let feature = cloud.feature();
    CallError {
        message: format!("this binary was built without {cloud} (feature `{feature}`)"),
        hints: vec![format!(
            "take a released binary, or build one that has it: `cargo install --path . --locked --features {feature}`"
        )],
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

/// What the status alone says.
fn plain(refusal: &Refusal<'_>) -> CallError {
    let class = match refusal.status {
        401 => ErrorClass::WrongIdentity,
        403 => ErrorClass::Denied,
        404 => ErrorClass::NotFound,
        409 => ErrorClass::Busy,
        429 => ErrorClass::Throttled,
        400..500 => ErrorClass::Invalid,
        500.. => ErrorClass::Unavailable,
        _ => ErrorClass::Other,
    };
    CallError {
        message: String::from_utf8_lossy(refusal.body).into_owned(),
        ..CallError::new(refusal.request.service, refusal.request.title(), class)
    }
}
