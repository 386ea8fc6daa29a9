//! Every way in which Google refuses, as the user sees it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{SERVICES, World};
use crate::fake::{Fault, Response};

/// One refusal of a service that is to be created.
struct Refusal {
    what: &'static str,
    status: u16,
    code: &'static str,
    message: &'static str,
    details: Value,
    /// How often it comes: as often as it is asked again.
    times: usize,
}

impl Refusal {
    fn new(what: &'static str, status: u16, code: &'static str, message: &'static str) -> Self {
        Self { what, status, code, message, details: Value::Null, times: 1 }
    }

    fn with(self, details: Value) -> Self {
        Self { details, ..self }
    }

    fn coming(self, times: usize) -> Self {
        Self { times, ..self }
    }

    fn response(&self) -> Response {
        let mut error = json!({"code": self.status, "status": self.code, "message": self.message});
        if !self.details.is_null() {
            error["details"] = json!([self.details]);
        }
        let mut response = Response::json(self.status, &json!({"error": error}));
        response.headers.push(("retry-after".to_owned(), "0".to_owned()));
        response
    }
}

/// `google.rpc.ErrorInfo`.
fn info(reason: &str, metadata: &Value) -> Value {
    json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com", "metadata": metadata})
}

fn refusals() -> Vec<Refusal> {
    vec![
        Refusal::new(
            "a token that has expired",
            401,
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
        ),
        Refusal::new(
            "a permission that is missing",
            403,
            "PERMISSION_DENIED",
            "Permission 'run.services.create' denied on resource 'projects/acme-staging/locations/europe-west1/services/agent' (or resource may not exist).",
        ),
        Refusal::new(
            "an account as which nobody may act",
            403,
            "PERMISSION_DENIED",
            "Permission 'iam.serviceaccounts.actAs' denied on service account 7-compute@developer.gserviceaccount.com (or it may not exist).",
        ),
        Refusal::new(
            "an API that is off",
            403,
            "PERMISSION_DENIED",
            "Cloud Run Admin API has not been used in project 1234 before or it is disabled.",
        )
        .with(info("SERVICE_DISABLED", &json!({"service": "run.googleapis.com", "consumer": "projects/1234"}))),
        Refusal::new(
            "a project that nobody pays for",
            403,
            "PERMISSION_DENIED",
            "This API method requires billing to be enabled. Please enable billing on project #1234.",
        )
        .with(info("BILLING_DISABLED", &json!({"service": "run.googleapis.com", "consumer": "projects/1234"}))),
        Refusal::new(
            "a region that is not there",
            403,
            "PERMISSION_DENIED",
            "Permission denied on 'locations/europe-west1' (or it may not exist).",
        ),
        Refusal::new("a project that is not there", 404, "NOT_FOUND", "Project 'acme-staging' was not found."),
        Refusal::new(
            "a quota",
            429,
            "RESOURCE_EXHAUSTED",
            "Quota exceeded for total allowable CPU per project per region.",
        )
        .with(json!({
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{"subject": "run.googleapis.com/CpuAllocPerProjectRegion", "description": "200 in europe-west1"}],
        })),
        Refusal::new(
            "an image that may not be pulled",
            403,
            "PERMISSION_DENIED",
            "Google Cloud Run Service Agent service-7@serverless-robot-prod.iam.gserviceaccount.com must have permission to read the image, europe-west1-docker.pkg.dev/acme-images/agents/agent@sha256:00. Ensure that the provided container image URL is correct.",
        ),
        Refusal::new("an image that is not there", 400, "INVALID_ARGUMENT", "Image 'europe-west1-docker.pkg.dev/a/b/c@sha256:00' not found."),
        Refusal::new(
            "a rule of the organisation",
            400,
            "FAILED_PRECONDITION",
            "Constraint constraints/run.allowedIngress violated for projects/acme-staging attempting to create a service with ingress all.",
        ),
        Refusal::new("values that are not taken", 400, "INVALID_ARGUMENT", "The request has errors").with(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [
                {"field": "template.scaling.max_instance_count", "description": "at most 10 in this region"},
                {"field": "template.containers[0].resources.limits.memory", "description": "too little"},
            ],
        })),
        Refusal::new("somebody who changes it", 409, "ABORTED", "Conflict for resource 'agent': version mismatch.").coming(6),
        Refusal::new("a service that is down", 503, "UNAVAILABLE", "The service is currently unavailable.").coming(6),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_says_what_to_do() {
    let mut told = String::new();
    for refusal in refusals() {
        let world = World::new("").await;
        for _ in 0..refusal.times {
            world.fake.spoil(&format!("POST {SERVICES}"), Fault::Refuse(refusal.response()));
        }
        let outcome = world.run(&["deploy"]);
        let error = outcome.stderr.split_once("error: ").map_or("", |(_, error)| error);
        writeln!(told, "## {} ({})\n{error}", refusal.what, outcome.code).unwrap();
    }
    insta::assert_snapshot!(told, @r"
    ## a token that has expired (3)
    deploy to Cloud Run service `agent` in acme-staging/europe-west1
      create the service `agent`
      POST /v2/projects/acme-staging/locations/europe-west1/services?serviceId=agent: UNAUTHENTICATED: Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.
    hint: log in again: `gcloud auth application-default login`; in CI, get new credentials in the job

    ## a permission that is missing (3)
    deploy to Cloud Run service `agent` in acme-staging/europe-west1
      create the service `agent`
      POST /v2/projects/acme-staging/locations/europe-west1/services?serviceId=agent: PERMISSION_DENIED: Permission 'run.services.create' denied on resource 'projects/acme-staging/locations/europe-west1/services/agent' (or resource may not exist). (as `whoever the token in CLOUDSDK_AUTH_ACCESS_TOKEN is for`)
    hint: the smallest role with `run.services.create` is `roles/run.developer`: `gcloud projects add-iam-policy-binding acme-staging --member=user:YOU --role=roles/run.developer` (`serviceAccount:…` for a service account)

    ## an account as which nobody may act (3)
    deploy to Cloud Run service `agent` in acme-staging/europe-west1
      create the service `agent`
      POST /v2/projects/acme-staging/locations/europe-west1/services?serviceId=agent: PERMISSION_DENIED: Permission 'iam.serviceaccounts.actAs' denied on service account 7-compute@developer.gserviceaccount.com (or it may not exist). (as `whoever the token in CLOUDSDK_AUTH_ACCESS_TOKEN is for`)
    hint: whoever deploys a service must be allowed to act as the account that runs it, which no role of Cloud Run says: `gcloud iam service-accounts add-iam-policy-binding 7-compute@developer.gserviceaccount.com --member=user:YOU --role=roles/iam.serviceAccountUser`

    ## an API that is off (3)
    deploy to Cloud Run service `agent` in acme-staging/europe-west1
      create the service `agent`
      POST /v2/projects/acme-staging/locations/europe-west1/services?serviceId=agent: PERMISSION_DENIED: Cloud Run Admin API has not been used in project 1234 before or it is disabled. (as `whoever the token in CLOUDSDK_AUTH_ACCESS_TOKEN is for`)
    hint: enable it, and wait a minute: `gcloud services enable run.googleapis.com --project=1234`

    ## a project that nobody pays for (3)
    deploy to Cloud Run service `agent` in acme-staging/europe-west1
      create the service `agent`
      POST /v2/projects/acme-staging/locations/europe-west1/services?serviceId=agent: PERMISSION_DENIED: This API method requires billing to be enabled. Please enable billing on project #1234. (as `whoever the token in CLOUDSDK_AUTH_ACCESS_TOKEN is for`)
    hint: let somebody pay for the project, and wait a minute: `gcloud billing projects link 1234 --billing-account=ACCOUNT`; `gcloud billing accounts list` shows the accounts

    ## a region that is not there (3)
    deploy to Cloud Run service `agent` in acme-staging/europe-west1
      create the service `agent`
      POST /v2/projects/acme-staging/locations/europe-west1/services?serviceId=agent: PERMISSION_DENIED: Permission denied on 'locations/europe-west1' (or it may not exist). (as `whoever the token in CLOUDSDK_AUTH_ACCESS_TOKEN is for`)
    hint: check `project_id` and `region`: `gcloud projects list` and `gcloud run regions list` show what is there

    ## a project that is not there (3)
    deploy to Cloud Run service `agent` in acme-staging/europe-west1
      create the service `agent`
      POST /v2/projects/acme-staging/locations/europe-west1/services?serviceId=agent: NOT_FOUND: Project 'acme-staging' was not found.
    hint: check `project_id` and `region`: `gcloud projects list` and `gcloud run regions list` show what is there

    ## a quota (3)
    deploy to Cloud Run service `agent` in acme-staging/europe-west1
      create the service `agent`
      POST /v2/projects/acme-staging/locations/europe-west1/services?serviceId=agent: RESOURCE_EXHAUSTED: Quota exceeded for total allowable CPU per project per region.; run.googleapis.com/CpuAllocPerProjectRegion: 200 in europe-west1
    hint: ask for more at https://console.cloud.google.com/iam-admin/quotas, or use another region

    ## an image that may not be pulled (3)
    deploy to Cloud Run service `agent` in acme-staging/europe-west1
      create the service `agent`
      POST /v2/projects/acme-staging/locations/europe-west1/services?serviceId=agent: PERMISSION_DENIED: Google Cloud Run Service Agent service-7@serverless-robot-prod.iam.gserviceaccount.com must have permission to read the image, europe-west1-docker.pkg.dev/acme-images/agents/agent@sha256:00. Ensure that the provided container image URL is correct. (as `whoever the token in CLOUDSDK_AUTH_ACCESS_TOKEN is for`)
    hint: let the service agent of Cloud Run read the repository: `gcloud artifacts repositories add-iam-policy-binding agents --project=acme-images --location=europe-west1 --member=serviceAccount:service-7@serverless-robot-prod.iam.gserviceaccount.com --role=roles/artifactregistry.reader`

    ## an image that is not there (3)
    deploy to Cloud Run service `agent` in acme-staging/europe-west1
      create the service `agent`
      POST /v2/projects/acme-staging/locations/europe-west1/services?serviceId=agent: INVALID_ARGUMENT: Image 'europe-west1-docker.pkg.dev/a/b/c@sha256:00' not found.
    hint: the registry has no such image, or has it no longer: build it and push it again with `dockless deploy`

    ## a rule of the organisation (3)
    deploy to Cloud Run service `agent` in acme-staging/europe-west1
      create the service `agent`
      POST /v2/projects/acme-staging/locations/europe-west1/services?serviceId=agent: FAILED_PRECONDITION: Constraint constraints/run.allowedIngress violated for projects/acme-staging attempting to create a service with ingress all.
    hint: the organisation forbids it: ask whoever manages it about `constraints/run.allowedIngress`

    ## values that are not taken (3)
    deploy to Cloud Run service `agent` in acme-staging/europe-west1
      create the service `agent`
      POST /v2/projects/acme-staging/locations/europe-west1/services?serviceId=agent: INVALID_ARGUMENT: The request has errors; `template.scaling.max_instance_count`: at most 10 in this region; `template.containers[0].resources.limits.memory`: too little
    hint: change `max_instances`, `memory` of the environment

    ## somebody who changes it (3)
    deploy to Cloud Run service `agent` in acme-staging/europe-west1
      create the service `agent`
      POST /v2/projects/acme-staging/locations/europe-west1/services?serviceId=agent: ABORTED: Conflict for resource 'agent': version mismatch.
    hint: somebody else is changing it: try again when that is done

    ## a service that is down (3)
    deploy to Cloud Run service `agent` in acme-staging/europe-west1
      create the service `agent`
      POST /v2/projects/acme-staging/locations/europe-west1/services?serviceId=agent: UNAVAILABLE: The service is currently unavailable.
    hint: look at https://status.cloud.google.com, and try again
    ");
}
