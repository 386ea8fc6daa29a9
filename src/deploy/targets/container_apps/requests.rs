//! The requests to the Resource Manager.

use serde_json::Value;

use super::settings::Settings;
use crate::cloud::{Location, Method, RESOURCE_MANAGER, Request};

/// The version of the interface: the newest whose model is public.
const API_VERSION: &str = "2026-01-01";
/// That of the interface for resource groups.
const GROUPS_VERSION: &str = "2021-04-01";

pub(super) fn get(settings: &Settings) -> Request {
    request("ContainerApps_Get", Method::Get, settings.app_path())
}

/// Creates the app, or replaces all of it.
pub(super) fn put(settings: &Settings, body: Value) -> Request {
    request("ContainerApps_CreateOrUpdate", Method::Put, settings.app_path()).with_body(body)
}

pub(super) fn delete(settings: &Settings) -> Request {
    request("ContainerApps_Delete", Method::Delete, settings.app_path())
}

pub(super) fn start(settings: &Settings) -> Request {
    request("ContainerApps_Start", Method::Post, settings.app_path() + "/start")
}

/// Tells the values of the app's secrets.
pub(super) fn list_secrets(settings: &Settings) -> Request {
    let path = settings.app_path() + "/listSecrets";
    request("ContainerApps_ListSecrets", Method::Post, path).that_reads()
}

/// Gives a token for the app's logs.
pub(super) fn log_token(settings: &Settings) -> Request {
    let path = settings.app_path() + "/getAuthtoken";
    request("ContainerApps_GetAuthToken", Method::Post, path).that_reads()
}

pub(super) fn revisions(settings: &Settings) -> Request {
    request("ContainerAppsRevisions_ListRevisions", Method::Get, settings.app_path() + "/revisions")
}

pub(super) fn activate(settings: &Settings, revision: &str) -> Request {
    let path = format!("{}/revisions/{revision}/activate", settings.app_path());
    request("ContainerAppsRevisions_ActivateRevision", Method::Post, path)
}

pub(super) fn replicas(settings: &Settings, revision: &str) -> Request {
    let path = format!("{}/revisions/{revision}/replicas", settings.app_path());
    request("ContainerAppsRevisionReplicas_ListReplicas", Method::Get, path)
}

pub(super) fn environment(settings: &Settings) -> Request {
    request("ManagedEnvironments_Get", Method::Get, settings.environment_path())
}

pub(super) fn environments(settings: &Settings) -> Request {
    let path = settings.environments_path();
    request("ManagedEnvironments_ListByResourceGroup", Method::Get, path)
}

/// The resource groups of the subscription.
pub(super) fn groups(settings: &Settings) -> Request {
    let path = format!("/subscriptions/{}/resourcegroups", settings.subscription_id);
    let request = Request::rest(&RESOURCE_MANAGER, "", "ResourceGroups_List", Method::Get, path);
    request.with_query("api-version", GROUPS_VERSION)
}

/// What the service itself said to ask next: a running operation, the rest of a list.
pub(super) fn given(operation: &'static str, url: &str) -> Request {
    let mut request = Request::rest(&RESOURCE_MANAGER, "", operation, Method::Get, "");
    request.location = Location::Url(url.to_owned());
    request
}

fn request(operation: &'static str, method: Method, path: String) -> Request {
    Request::rest(&RESOURCE_MANAGER, "", operation, method, path)
        .with_query("api-version", API_VERSION)
}
