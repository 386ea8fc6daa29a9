//! What is said when Azure refuses something: all of it, as people see it.

use std::fmt::Write as _;

use super::world::World;
use crate::fake::Fault;
use crate::fakes::container_apps::{Ending, GROUP, error};

const APP: &str = "/providers/Microsoft.App/containerApps/agent";
const ENVIRONMENT: &str = "/providers/Microsoft.App/managedEnvironments/production";

/// A request, and how often it is refused, with which status, code and message.
type Row = (&'static str, &'static str, usize, u16, &'static str, &'static str);

const ROWS: [Row; 13] = [
    (
        "PUT",
        APP,
        1,
        403,
        "AuthorizationFailed",
        "The client 'c-1' with object id 'o-1' does not have authorization to perform action \
         'Microsoft.App/containerApps/write' over scope '/subscriptions/s/resourceGroups/agents' or the scope \
         is invalid. If access was recently granted, please refresh your credentials.",
    ),
    (
        "GET",
        ENVIRONMENT,
        1,
        403,
        "AuthorizationFailed",
        "The client 'c-1' with object id 'o-1' does not have authorization to perform action \
         'Microsoft.App/managedEnvironments/read' over scope '/subscriptions/s/resourceGroups/agents' or the \
         scope is invalid.",
    ),
    (
        "PUT",
        APP,
        1,
        403,
        "LinkedAuthorizationFailed",
        "The client 'c-1' with object id 'o-1' has permission to perform action \
         'Microsoft.App/containerApps/write' on scope '/subscriptions/s/a'; however, it does not have \
         permission to perform action(s) 'Microsoft.App/managedEnvironments/join/action' on the linked \
         scope(s) '/subscriptions/s/e' (respectively) or the linked scope(s) are invalid.",
    ),
    (
        "PUT",
        APP,
        1,
        409,
        "MissingSubscriptionRegistration",
        "The subscription is not registered to use namespace 'Microsoft.App'.",
    ),
    (
        "PUT",
        APP,
        1,
        400,
        "MaxNumberOfContainerAppsInEnvironmentExceeded",
        "The environment 'production' cannot have more than 100 container apps.",
    ),
    (
        "PUT",
        APP,
        1,
        409,
        "ReadOnlyDisabledSubscription",
        "The subscription '00000000-0000-0000-0000-000000000001' is disabled and therefore marked as read \
         only. You cannot perform any write actions on this subscription until it is re-enabled.",
    ),
    (
        "PUT",
        APP,
        1,
        403,
        "RequestDisallowedByPolicy",
        "Resource 'agent' was disallowed by policy. Policy identifiers: '[{\"policyAssignment\":{\"name\":\"No \
         public ingress\"}}]'.",
    ),
    (
        "PUT",
        APP,
        1,
        409,
        "ScopeLocked",
        "The scope '/subscriptions/s/a' cannot perform write operation because following scope(s) are \
         locked: '/subscriptions/s/resourceGroups/agents'. Please remove the lock and try again.",
    ),
    (
        "PUT",
        APP,
        1,
        400,
        "ContainerAppInvalidResourceTotal",
        "The total requested CPU and memory resources for this application (CPU: 1.0, memory: 2.0) is \
         invalid.",
    ),
    (
        "PUT",
        APP,
        6,
        409,
        "ContainerAppOperationInProgress",
        "Cannot modify a container app 'agent' because there is an active provisioning operation in \
         progress.",
    ),
    (
        "GET",
        APP,
        2,
        401,
        "ExpiredAuthenticationToken",
        "The access token expiry UTC time '11/21/2026 10:00:00 AM' is earlier than current UTC time.",
    ),
    (
        "GET",
        APP,
        2,
        401,
        "InvalidAuthenticationTokenTenant",
        "The access token is from the wrong issuer 'https://sts.windows.net/t-1/'. It must match the tenant \
         'https://sts.windows.net/t-2/' associated with this subscription.",
    ),
    (
        "GET",
        APP,
        2,
        401,
        "AuthenticationFailed",
        "Authentication failed. The 'Authorization' header is missing.",
    ),
];

/// Everything that is said.
async fn told() -> String {
    let world = World::new("").await;
    let mut told = String::new();
    let mut tell = |what: &str| {
        let outcome = world.run(&["deploy"]);
        let begin = outcome.stderr.find("error:").unwrap_or_default();
        writeln!(told, "{what}: exit {}\n{}", outcome.code, &outcome.stderr[begin..]).unwrap();
        world.fake.with(|fake| fake.app = None);
    };
    for (method, path, times, status, code, message) in ROWS {
        for _ in 0..times {
            let mut refusal = error(status, code, message);
            refusal.headers.push(("retry-after".to_owned(), "0".to_owned()));
            world.fake.spoil(&format!("{method} {GROUP}{path}"), Fault::Refuse(refusal));
        }
        tell(code);
    }
    for (code, message) in [
        ("ResourceGroupNotFound", "Resource group 'agents' could not be found."),
        ("SubscriptionNotFound", "The subscription '1' could not be found."),
    ] {
        for path in [APP, ENVIRONMENT] {
            let refusal = error(404, code, message);
            world.fake.spoil(&format!("GET {GROUP}{path}"), Fault::Refuse(refusal));
        }
        tell(code);
    }
    for (what, image) in [
        (
            "identity may not pull",
            "unable to pull image using Managed identity /subscriptions/s/resourceGroups/agents/providers/\
             Microsoft.ManagedIdentity/userAssignedIdentities/puller for registry acme.azurecr.io",
        ),
        (
            "nobody may pull",
            "GET https:?scope=repository%3Aagents%2Fagent%3Apull&service=acme.azurecr.io: UNAUTHORIZED: \
             authentication required",
        ),
        ("no such image", "MANIFEST_UNKNOWN: manifest tagged by \"x\" is not found"),
    ] {
        let message = format!(
            "Failed to provision revision for container app 'agent'. Error details: The following field(s) are \
             either invalid or missing. Field 'template.containers.agent.image' is invalid with details: \
             'Invalid value: \"acme.azurecr.io/agents/agent\": {image}';."
        );
        world.fake.with(|fake| fake.ending = Ending::Refused(message));
        tell(what);
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_says_what_to_do() {
    insta::assert_snapshot!(told().await, @r#"
    AuthorizationFailed: exit 3
    error: deploy to container app `agent` in agents
      create the container app `agent`
      PUT /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/agents/providers/Microsoft.App/containerApps/agent?api-version=2026-01-01: AuthorizationFailed: The client 'c-1' with object id 'o-1' does not have authorization to perform action 'Microsoft.App/containerApps/write' over scope '/subscriptions/s/resourceGroups/agents' or the scope is invalid. If access was recently granted, please refresh your credentials. (as `bob@acme.com (object o-1)`)
    hint: allow `Microsoft.App/containerApps/write`: `az role assignment create --assignee o-1 --role "Container Apps Contributor" --scope /subscriptions/s/resourceGroups/agents`
    hint: a role that was assigned a moment ago may take some minutes

    AuthorizationFailed: exit 2
    error: look at container app `agent` in agents
      GET /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/agents/providers/Microsoft.App/managedEnvironments/production?api-version=2026-01-01: AuthorizationFailed: The client 'c-1' with object id 'o-1' does not have authorization to perform action 'Microsoft.App/managedEnvironments/read' over scope '/subscriptions/s/resourceGroups/agents' or the scope is invalid. (as `bob@acme.com (object o-1)`)
    hint: allow `Microsoft.App/managedEnvironments/read`: `az role assignment create --assignee o-1 --role "Container Apps ManagedEnvironments Reader" --scope /subscriptions/s/resourceGroups/agents`
    hint: a role that was assigned a moment ago may take some minutes

    LinkedAuthorizationFailed: exit 3
    error: deploy to container app `agent` in agents
      create the container app `agent`
      PUT /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/agents/providers/Microsoft.App/containerApps/agent?api-version=2026-01-01: LinkedAuthorizationFailed: The client 'c-1' with object id 'o-1' has permission to perform action 'Microsoft.App/containerApps/write' on scope '/subscriptions/s/a'; however, it does not have permission to perform action(s) 'Microsoft.App/managedEnvironments/join/action' on the linked scope(s) '/subscriptions/s/e' (respectivel… (as `bob@acme.com (object o-1)`)
    hint: allow `Microsoft.App/managedEnvironments/join/action`: `az role assignment create --assignee o-1 --role "Container Apps ManagedEnvironments Contributor" --scope /subscriptions/s/e`
    hint: a role that was assigned a moment ago may take some minutes

    MissingSubscriptionRegistration: exit 3
    error: deploy to container app `agent` in agents
      create the container app `agent`
      PUT /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/agents/providers/Microsoft.App/containerApps/agent?api-version=2026-01-01: MissingSubscriptionRegistration: The subscription is not registered to use namespace 'Microsoft.App'.
    hint: register it once for the subscription: `az provider register --namespace Microsoft.App --wait`

    MaxNumberOfContainerAppsInEnvironmentExceeded: exit 3
    error: deploy to container app `agent` in agents
      create the container app `agent`
      PUT /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/agents/providers/Microsoft.App/containerApps/agent?api-version=2026-01-01: MaxNumberOfContainerAppsInEnvironmentExceeded: The environment 'production' cannot have more than 100 container apps.
    hint: `az containerapp list-usages --location REGION` shows the limits; the portal's “Quotas” takes requests for more

    ReadOnlyDisabledSubscription: exit 3
    error: deploy to container app `agent` in agents
      create the container app `agent`
      PUT /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/agents/providers/Microsoft.App/containerApps/agent?api-version=2026-01-01: ReadOnlyDisabledSubscription: The subscription '00000000-0000-0000-0000-000000000001' is disabled and therefore marked as read only. You cannot perform any write actions on this subscription until it is re-enabled.
    hint: the owner of the subscription can enable it again, in the portal under “Subscriptions”; or name another as `subscription_id`: `az account list --output table` shows them

    RequestDisallowedByPolicy: exit 3
    error: deploy to container app `agent` in agents
      create the container app `agent`
      PUT /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/agents/providers/Microsoft.App/containerApps/agent?api-version=2026-01-01: RequestDisallowedByPolicy: Resource 'agent' was disallowed by policy. Policy identifiers: '[{"policyAssignment":{"name":"No public ingress"}}]'. (as `bob@acme.com (object o-1)`)
    hint: a policy of the subscription forbids it: whoever set it can make an exception

    ScopeLocked: exit 3
    error: deploy to container app `agent` in agents
      create the container app `agent`
      PUT /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/agents/providers/Microsoft.App/containerApps/agent?api-version=2026-01-01: ScopeLocked: The scope '/subscriptions/s/a' cannot perform write operation because following scope(s) are locked: '/subscriptions/s/resourceGroups/agents'. Please remove the lock and try again.
    hint: `az lock list` shows the locks; whoever set one can remove it

    ContainerAppInvalidResourceTotal: exit 3
    error: deploy to container app `agent` in agents
      create the container app `agent`
      PUT /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/agents/providers/Microsoft.App/containerApps/agent?api-version=2026-01-01: ContainerAppInvalidResourceTotal: The total requested CPU and memory resources for this application (CPU: 1.0, memory: 2.0) is invalid.
    hint: this is about `cpu` and `memory` of the target

    ContainerAppOperationInProgress: exit 3
    error: deploy to container app `agent` in agents
      create the container app `agent`
      PUT /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/agents/providers/Microsoft.App/containerApps/agent?api-version=2026-01-01: ContainerAppOperationInProgress: Cannot modify a container app 'agent' because there is an active provisioning operation in progress.
    hint: somebody else changes it at this moment: try again when that is done, and let one job at a time deploy to an environment

    ExpiredAuthenticationToken: exit 2
    error: look at container app `agent` in agents
      GET /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/agents/providers/Microsoft.App/containerApps/agent?api-version=2026-01-01: ExpiredAuthenticationToken: The access token expiry UTC time '11/21/2026 10:00:00 AM' is earlier than current UTC time. (as `bob@acme.com (object o-1)`)
    hint: log in again: `az login`; in CI, the token of `azure/login` may have expired

    InvalidAuthenticationTokenTenant: exit 2
    error: look at container app `agent` in agents
      GET /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/agents/providers/Microsoft.App/containerApps/agent?api-version=2026-01-01: InvalidAuthenticationTokenTenant: The access token is from the wrong issuer 'https://sts.windows.net/t-1/'. It must match the tenant 'https://sts.windows.net/t-2/' associated with this subscription. (as `bob@acme.com (object o-1)`)
    hint: the credentials are another tenant's: `az login --tenant t-2`, or set `AZURE_TENANT_ID` to it

    AuthenticationFailed: exit 2
    error: look at container app `agent` in agents
      GET /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/agents/providers/Microsoft.App/containerApps/agent?api-version=2026-01-01: AuthenticationFailed: Authentication failed. The 'Authorization' header is missing. (as `bob@acme.com (object o-1)`)
    hint: log in again: `az login`; in CI, the token of `azure/login` may have expired

    ResourceGroupNotFound: exit 2
    error: deploy to container app `agent` in agents
      the resource group `agents` in the subscription `00000000-0000-0000-0000-000000000001` is missing
    hint: did you mean `resource_group: agent`?
    hint: create it: `az group create --name agents --subscription 00000000-0000-0000-0000-000000000001 --location REGION`

    SubscriptionNotFound: exit 2
    error: look at container app `agent` in agents
      GET /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/agents/providers/Microsoft.App/managedEnvironments/production?api-version=2026-01-01: SubscriptionNotFound: The subscription '1' could not be found.
    hint: `az account list --output table` shows those that these credentials may see

    identity may not pull: exit 3
    error: container app `agent` in agents: the image is deployed, and not well: ContainerAppOperationError: Failed to provision revision for container app 'agent'. Error details: The following field(s) are either invalid or missing. Field 'template.containers.agent.image' is invalid with details: 'Invalid value: "acme.azurecr.io/agents/agent": unable to pull image using Managed identity /subscriptions/s/resourceGroups/agents/providers/Microsoft.ManagedIdentity/userAssignedIdentities/puller for registry acme.azurecr.io';.
      the identity needs the role `AcrPull` on the registry: `az role assignment create --assignee-object-id $(az identity show --ids /subscriptions/s/resourceGroups/agents/providers/Microsoft.ManagedIdentity/userAssignedIdentities/puller --query principalId --output tsv) --assignee-principal-type ServicePrincipal --role AcrPull --scope $(az acr show --name acme --query id --output tsv)`; a role that was assigned a moment ago may take some minutes
    hint: `dockless logs -e staging` shows what it printed

    nobody may pull: exit 3
    error: container app `agent` in agents: the image is deployed, and not well: ContainerAppOperationError: Failed to provision revision for container app 'agent'. Error details: The following field(s) are either invalid or missing. Field 'template.containers.agent.image' is invalid with details: 'Invalid value: "acme.azurecr.io/agents/agent": GET https:?scope=repository%3Aagents%2Fagent%3Apull&service=acme.azurecr.io: UNAUTHORIZED: authentication required';.
      the registry gives the image to nobody whom it does not know: `pull: {username: …, password_env: …}`, or `identity: …` where it is one of Azure's
    hint: `dockless logs -e staging` shows what it printed

    no such image: exit 3
    error: container app `agent` in agents: the image is deployed, and not well: ContainerAppOperationError: Failed to provision revision for container app 'agent'. Error details: The following field(s) are either invalid or missing. Field 'template.containers.agent.image' is invalid with details: 'Invalid value: "acme.azurecr.io/agents/agent": MANIFEST_UNKNOWN: manifest tagged by "x" is not found';.
      the registry does not have this image any more: push it again
    hint: `dockless logs -e staging` shows what it printed
    "#);
}
