//! What a refusal of the Resource Manager means, and what to do about it.

use std::time::Duration;

use serde_json::Value;

use super::fields;
use crate::cloud::authorizer::Refusal;
use crate::cloud::{CallError, ErrorClass};

/// The error in an answer that is no success: ARM's own `{"error": {"code", "message", "details"}}`, or the
/// same without the outer mapping.
pub(in crate::cloud) fn classify(refusal: &Refusal<'_>) -> CallError {
    let body: Value = serde_json::from_slice(refusal.body).unwrap_or_default();
    let error = if body["error"].is_object() { &body["error"] } else { &body };
    let code = member(error, "code").unwrap_or_default();
    let message = member(error, "message")
        .map_or_else(|| String::from_utf8_lossy(refusal.body).trim().to_owned(), str::to_owned);
    let class = class(code, refusal.status);
    let retry_after = refusal.headers.get("retry-after").and_then(|value| value.to_str().ok());
    let mut called = CallError::new(refusal.request.service, refusal.request.title(), class);
    called.hints = hints(code, &message);
    code.clone_into(&mut called.code);
    called.message = message;
    for (code, message) in details(error) {
        if !called.message.contains(message) {
            called.message = format!("{}; {code}: {message}", called.message);
        }
        for hint in hints(code, message) {
            if !called.hints.contains(&hint) {
                called.hints.push(hint);
            }
        }
    }
    called.status = Some(refusal.status);
    called.retry_after =
        retry_after.and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
    called
}

/// A member under either spelling: some services behind the Resource Manager write capitals.
fn member<'a>(error: &'a Value, name: &str) -> Option<&'a str> {
    let members = error.as_object()?;
    let (_, value) = members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    value.as_str().filter(|text| !text.is_empty())
}

/// What stands behind a code that says little, such as `ValidationForResourceFailed`.
fn details(error: &Value) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for detail in error["details"].as_array().into_iter().flatten() {
        if let (Some(code), Some(message)) = (member(detail, "code"), member(detail, "message")) {
            found.push((code, message));
        }
        found.extend(details(detail));
    }
    found
}

fn class(code: &str, status: u16) -> ErrorClass {
    match code {
        "ExpiredAuthenticationToken"
        | "InvalidAuthenticationToken"
        | "InvalidAuthenticationTokenTenant"
        | "AuthenticationFailed" => ErrorClass::WrongIdentity,
        "AuthorizationFailed"
        | "LinkedAuthorizationFailed"
        | "LinkedAccessCheckFailed"
        | "RequestDisallowedByPolicy" => ErrorClass::Denied,
        "MissingSubscriptionRegistration"
        | "NoRegisteredProviderFound"
        | "ReadOnlyDisabledSubscription"
        | "DisabledSubscription"
        | "ScopeLocked" => ErrorClass::Invalid,
        "ResourceNotFound" | "ResourceGroupNotFound" | "SubscriptionNotFound" => {
            ErrorClass::NotFound
        }
        _ if code.contains("QuotaExceeded") || code.starts_with("MaxNumberOf") => ErrorClass::Quota,
        _ => match status {
            401 => ErrorClass::WrongIdentity,
            403 => ErrorClass::Denied,
            404 => ErrorClass::NotFound,
            409 | 412 => ErrorClass::Busy,
            429 => ErrorClass::Throttled,
            408 | 500..=599 => ErrorClass::Unavailable,
            400..=499 => ErrorClass::Invalid,
            _ => ErrorClass::Other,
        },
    }
}

/// What to do, by the code of the error.
fn hints(code: &str, message: &str) -> Vec<String> {
    let hint = |text: &str| vec![text.to_owned()];
    match code {
        "AuthorizationFailed" | "LinkedAuthorizationFailed" | "LinkedAccessCheckFailed" => {
            denied(message)
        }
        "ExpiredAuthenticationToken" | "InvalidAuthenticationToken" | "AuthenticationFailed" => {
            hint("log in again: `az login`; in CI, the token of `azure/login` may have expired")
        }
        "InvalidAuthenticationTokenTenant" => {
            let issuer = quoted(message, "match the tenant").unwrap_or_default();
            let tenant = issuer.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            let tenant = if tenant.is_empty() { "TENANT" } else { tenant };
            vec![format!(
                "the credentials are another tenant's: `az login --tenant {tenant}`, or set \
                 `AZURE_TENANT_ID` to it"
            )]
        }
        "MissingSubscriptionRegistration" => {
            let namespace = quoted(message, "namespace").unwrap_or("Microsoft.App");
            vec![format!(
                "register it once for the subscription: `az provider register --namespace {namespace} \
                 --wait`"
            )]
        }
        "ReadOnlyDisabledSubscription" | "DisabledSubscription" => hint(
            "the owner of the subscription can enable it again, in the portal under “Subscriptions”; or \
             name another as `subscription_id`: `az account list --output table` shows them",
        ),
        "ScopeLocked" => hint("`az lock list` shows the locks; whoever set one can remove it"),
        "ContainerAppOperationInProgress" => hint(
            "somebody else changes it at this moment: try again when that is done, and let one job at a \
             time deploy to an environment",
        ),
        "ResourceGroupNotFound" => {
            hint("`az group list --output table` shows those that there are")
        }
        "SubscriptionNotFound" | "InvalidSubscriptionId" => {
            hint("`az account list --output table` shows those that these credentials may see")
        }
        "RequestDisallowedByPolicy" => {
            hint("a policy of the subscription forbids it: whoever set it can make an exception")
        }
        _ if class(code, 0) == ErrorClass::Quota => hint(
            "`az containerapp list-usages --location REGION` shows the limits; the portal's “Quotas” \
             takes requests for more",
        ),
        _ if code.contains("Throttled") || code == "TooManyRequests" => hint(
            "Azure counts the requests of everybody who uses the subscription: try again in some minutes",
        ),
        _ => fields::hint(code, message).into_iter().collect(),
    }
}

/// The smallest assignment of a role that allows what was denied.
fn denied(message: &str) -> Vec<String> {
    let action = quoted(message, "action(s)").or_else(|| quoted(message, "action"));
    let scope = quoted(message, "linked scope(s)").or_else(|| quoted(message, "scope"));
    let assignee = quoted(message, "object id").or_else(|| quoted(message, "client"));
    let (Some(action), Some(scope)) = (action, scope) else { return Vec::new() };
    let assignee = assignee.unwrap_or("WHO");
    let mut hints = Vec::new();
    match role(action) {
        Some(role) => hints.push(format!(
            "allow `{action}`: `az role assignment create --assignee {assignee} --role \"{role}\" \
             --scope {scope}`"
        )),
        None => hints.push(format!("assign a role that allows `{action}` on `{scope}`")),
    }
    hints.push("a role that was assigned a moment ago may take some minutes".to_owned());
    hints
}

/// The smallest of Azure's own roles that allows an action.
fn role(action: &str) -> Option<&'static str> {
    let action = action.to_ascii_lowercase();
    let is_read = action.ends_with("/read");
    let (provider, rest) = action.split_once('/')?;
    match (provider, rest.split('/').next()?) {
        ("microsoft.app", "containerapps") if is_read => Some("ContainerApp Reader"),
        ("microsoft.app", "containerapps") => Some("Container Apps Contributor"),
        ("microsoft.app", "managedenvironments") if is_read => {
            Some("Container Apps ManagedEnvironments Reader")
        }
        ("microsoft.app", "managedenvironments") => {
            Some("Container Apps ManagedEnvironments Contributor")
        }
        ("microsoft.managedidentity", "userassignedidentities") => {
            Some("Managed Identity Operator")
        }
        _ => None,
    }
}

/// The text between single quotes after the last of these words.
fn quoted<'a>(message: &'a str, word: &str) -> Option<&'a str> {
    let marked = format!("{word} '");
    let (_, rest) = message.rsplit_once(&marked)?;
    let (text, _) = rest.split_once('\'')?;
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};
    use serde_json::json;

    use super::*;
    use crate::cloud::{Method, RESOURCE_MANAGER, Request};

    fn refused(status: u16, body: &Value) -> CallError {
        let request = Request::rest(&RESOURCE_MANAGER, "", "ContainerApps_Get", Method::Get, "/s");
        let headers =
            HeaderMap::from_iter([(reqwest::header::RETRY_AFTER, HeaderValue::from_static("17"))]);
        let body = body.to_string();
        classify(&Refusal { request: &request, status, headers: &headers, body: body.as_bytes() })
    }

    #[test]
    fn every_kind_of_refusal_has_its_class() {
        for (status, code, class) in [
            (401, "ExpiredAuthenticationToken", ErrorClass::WrongIdentity),
            (401, "InvalidAuthenticationTokenTenant", ErrorClass::WrongIdentity),
            (403, "AuthorizationFailed", ErrorClass::Denied),
            (403, "RequestDisallowedByPolicy", ErrorClass::Denied),
            (404, "ResourceNotFound", ErrorClass::NotFound),
            (404, "ResourceGroupNotFound", ErrorClass::NotFound),
            (404, "SubscriptionNotFound", ErrorClass::NotFound),
            (409, "ContainerAppOperationInProgress", ErrorClass::Busy),
            (409, "Conflict", ErrorClass::Busy),
            (409, "MissingSubscriptionRegistration", ErrorClass::Invalid),
            (400, "MaxNumberOfRegionalEnvironmentsInSubExceeded", ErrorClass::Quota),
            (409, "QuotaExceeded", ErrorClass::Quota),
            (429, "SubscriptionRequestsThrottled", ErrorClass::Throttled),
            (400, "ContainerAppInvalidImage", ErrorClass::Invalid),
            (500, "InternalServerError", ErrorClass::Unavailable),
            (302, "", ErrorClass::Other),
        ] {
            let error = refused(status, &json!({"error": {"code": code, "message": "m"}}));
            assert_eq!(error.class, class, "{status} {code}");
            assert_eq!(error.retry_after, Some(Duration::from_secs(17)));
        }
    }

    #[test]
    fn a_denied_action_comes_with_the_role_that_allows_it() {
        let error = refused(
            403,
            &json!({"error": {"code": "AuthorizationFailed", "message":
                "The client 'c-1' with object id 'o-1' does not have authorization to perform action \
                 'Microsoft.App/containerApps/write' over scope '/subscriptions/s/resourceGroups/g' or \
                 the scope is invalid. If access was recently granted, please refresh your credentials."}}),
        );
        assert_eq!(
            error.hints,
            [
                "allow `Microsoft.App/containerApps/write`: `az role assignment create --assignee o-1 --role \"Container Apps Contributor\" --scope /subscriptions/s/resourceGroups/g`",
                "a role that was assigned a moment ago may take some minutes",
            ]
        );
        let linked = refused(
            403,
            &json!({"error": {"code": "LinkedAuthorizationFailed", "message":
                "The client 'c-1' with object id 'o-1' has permission to perform action \
                 'Microsoft.App/containerApps/write' on scope '/subscriptions/s/a'; however, it does not \
                 have permission to perform action(s) \
                 'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action' on the linked scope(s) \
                 '/subscriptions/s/i' (respectively) or the linked scope(s) are invalid."}}),
        );
        assert_eq!(
            linked.hints[0],
            "allow `Microsoft.ManagedIdentity/userAssignedIdentities/assign/action`: `az role assignment \
             create --assignee o-1 --role \"Managed Identity Operator\" --scope /subscriptions/s/i`"
        );
    }

    #[test]
    fn what_stands_behind_an_error_is_told() {
        let error = refused(
            409,
            &json!({"error": {"code": "ValidationFailed", "message": "see details", "details": [
                {"code": "MissingSubscriptionRegistration", "message":
                 "The subscription is not registered to use namespace 'Microsoft.App'."}]}}),
        );
        assert_eq!(
            error.to_string(),
            "GET /s: ValidationFailed: see details; MissingSubscriptionRegistration: The subscription is \
             not registered to use namespace 'Microsoft.App'."
        );
        assert_eq!(
            error.hints,
            [
                "register it once for the subscription: `az provider register --namespace Microsoft.App --wait`"
            ]
        );
        assert_eq!(refused(502, &json!("gone")).message, "\"gone\"");
    }
}
