//! What helps against a refusal of Google's services: the command, the role, or the setting.

use super::super::service::CLOUD_RUN;
use super::super::{CallError, ErrorClass};
use super::refusal::{Details, clean, items};

/// The smallest predefined roles with permissions that we need, by how the permissions begin.
const ROLES: [(&str, &str); 13] = [
    ("iam.serviceaccounts.actas", "roles/iam.serviceAccountUser"),
    ("run.services.setiampolicy", "roles/run.admin"),
    ("run.", "roles/run.developer"),
    ("secretmanager.versions.access", "roles/secretmanager.secretAccessor"),
    ("secretmanager.versions.add", "roles/secretmanager.secretVersionAdder"),
    ("secretmanager.versions.disable", "roles/secretmanager.secretVersionManager"),
    ("secretmanager.versions.enable", "roles/secretmanager.secretVersionManager"),
    ("secretmanager.", "roles/secretmanager.admin"),
    ("logging.", "roles/logging.viewer"),
    ("artifactregistry.repositories.downloadartifacts", "roles/artifactregistry.reader"),
    ("artifactregistry.repositories.uploadartifacts", "roles/artifactregistry.writer"),
    ("artifactregistry.", "roles/artifactregistry.admin"),
    ("serviceusage.services.use", "roles/serviceusage.serviceUsageConsumer"),
];

/// Fields of the API, and our settings for them: how a field is called in small letters without `_`.
const SETTINGS: [(&str, &str); 15] = [
    ("maxinstancerequestconcurrency", "concurrency"),
    ("mininstancecount", "min_instances"),
    ("maxinstancecount", "max_instances"),
    ("invokeriamdisabled", "public"),
    ("startupcpuboost", "startup_cpu_boost"),
    ("cpuidle", "cpu_idle"),
    ("limits.cpu", "cpu"),
    ("limits.memory", "memory"),
    ("serviceaccount", "service_account"),
    ("serviceid", "name"),
    ("startupprobe", "health_check_path"),
    ("ports", "port"),
    (".env", "env"),
    ("timeout", "timeout"),
    ("ingress", "ingress"),
];

/// What to do about a failure, the most helpful first.
pub(super) fn cures(failure: &CallError, details: &Details<'_>) -> Vec<String> {
    let message = failure.message.as_str();
    let of_project = |option: &str| {
        let project = details.metadata("consumer").and_then(|text| text.strip_prefix("projects/"));
        project.map(|project| format!(" {option}{project}")).unwrap_or_default()
    };
    if details.reason() == "BILLING_DISABLED" {
        return vec![format!(
            "let somebody pay for the project, and wait a minute: `gcloud billing projects link{} \
             --billing-account=ACCOUNT`; `gcloud billing accounts list` shows the accounts",
            of_project("")
        )];
    }
    if let Some(cure) = image_cure(message) {
        return vec![cure];
    }
    match failure.class {
        ErrorClass::Denied if details.reason() == "SERVICE_DISABLED" => {
            let api = details.metadata("service").unwrap_or("the API");
            vec![format!(
                "enable it, and wait a minute: `gcloud services enable {api}{}`",
                of_project("--project=")
            )]
        }
        ErrorClass::Denied if is_place(message, details) => vec![place_cure()],
        ErrorClass::Denied => denied(message, details.metadata("permission")),
        ErrorClass::NotFound if *failure.service == CLOUD_RUN => vec![place_cure()],
        ErrorClass::Invalid => match constraint(message, details) {
            Some(constraint) => vec![format!(
                "the organisation forbids it: ask whoever manages it about `{constraint}`"
            )],
            None if *failure.service == CLOUD_RUN => settings(message, details),
            None => Vec::new(),
        },
        ErrorClass::Quota => vec![
            "ask for more at https://console.cloud.google.com/iam-admin/quotas, or use another region".into(),
        ],
        ErrorClass::Throttled => vec![
            "the limit is for all who use the project: try again in a minute".into(),
        ],
        ErrorClass::Busy => {
            vec!["somebody else is changing it: try again when that is done".into()]
        }
        ErrorClass::WrongIdentity => vec![
            "log in again: `gcloud auth application-default login`; in CI, get new credentials in the job".into(),
        ],
        ErrorClass::Unavailable => {
            vec!["look at https://status.cloud.google.com, and try again".into()]
        }
        _ => Vec::new(),
    }
}

/// What helps a platform that cannot pull an image, by what it says.
pub fn image_cure(message: &str) -> Option<String> {
    let words = || {
        message
            .split_whitespace()
            .map(|word| word.trim_matches(['\'', '"', '`', '.', ',', '[', ']']))
    };
    if message.contains("Image '") && message.contains("' not found") {
        return Some(
            "the registry has no such image, or has it no longer: build it and push it again with `dockless deploy`".into(),
        );
    }
    if !message.contains("must have permission to read the image") {
        return None;
    }
    let account = words().find(|word| word.contains('@') && word.contains("gserviceaccount.com"));
    let account = account.unwrap_or("service-NUMBER@serverless-robot-prod.iam.gserviceaccount.com");
    let image = words().find_map(|word| word.split_once("-docker.pkg.dev/"));
    let (location, rest) = image.unwrap_or(("LOCATION", "PROJECT/REPOSITORY"));
    let mut parts = rest.split('/');
    let (project, repository) =
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    Some(format!(
        "let the service agent of Cloud Run read the repository: `gcloud artifacts repositories add-iam-policy-binding \
         {repository} --project={project} --location={location} --member=serviceAccount:{account} --role=roles/artifactregistry.reader`"
    ))
}

/// Whether a project or a region is what is denied: Google does not say whether it is there at all.
fn is_place(message: &str, details: &Details<'_>) -> bool {
    matches!(details.reason(), "CONSUMER_INVALID" | "LOCATION_POLICY_VIOLATED")
        || message.contains("on 'locations/")
        || message.contains("on resource project ")
}

fn place_cure() -> String {
    "check `project_id` and `region`: `gcloud projects list` and `gcloud run regions list` show what is there".to_owned()
}

/// The rule of an organisation that something breaks.
fn constraint<'a>(message: &'a str, details: &Details<'a>) -> Option<&'a str> {
    let of_details = details
        .of("PreconditionFailure")
        .flat_map(|detail| items(&detail["violations"]))
        .find_map(|violation| violation["type"].as_str())
        .filter(|kind| kind.starts_with("constraints/"));
    let words = message.split(|letter: char| letter.is_whitespace() || "'\"`,()".contains(letter));
    let mut named = words.map(|word| word.trim_end_matches(['.', ':', ';']));
    of_details.or_else(|| named.find(|word| word.starts_with("constraints/")))
}

/// Our names for the settings that fields of the API stand for.
fn settings(message: &str, details: &Details<'_>) -> Vec<String> {
    let is_path = |text: &&str| {
        text.contains('.')
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.[]".contains(&byte))
    };
    let of_message = message.split(": ").filter(is_path).map(str::to_owned);
    let violations = details.of("BadRequest").flat_map(|detail| items(&detail["fieldViolations"]));
    let of_details = violations.filter_map(|one| one["field"].as_str().map(clean));
    let mut found: Vec<&str> = Vec::new();
    for field in of_details.chain(of_message) {
        let folded = field.to_ascii_lowercase().replace('_', "");
        let setting = SETTINGS.iter().find(|(part, _)| folded.contains(part));
        found.extend(setting.map(|(_, name)| *name).filter(|name| !found.contains(name)));
    }
    let found: Vec<_> = found.into_iter().map(|name| format!("`{name}`")).collect();
    match &found[..] {
        [] => Vec::new(),
        names => vec![format!("change {} of the environment", names.join(", "))],
    }
}

/// What gives the permission that a message says is missing.
fn denied(message: &str, permission: Option<&str>) -> Vec<String> {
    let parsed = quoted_after(message, "ermission ").map(str::to_owned);
    let Some(permission) = permission.map(str::to_owned).or(parsed) else { return Vec::new() };
    let folded = permission.to_ascii_lowercase();
    let Some((_, role)) = ROLES.iter().find(|(start, _)| folded.starts_with(start)) else {
        return vec![format!("whoever deploys needs a role with `{permission}`")];
    };
    if *role == "roles/iam.serviceAccountUser" {
        let account = message.split_whitespace().find(|word| word.contains('@'));
        let account = account.unwrap_or("SERVICE_ACCOUNT").trim_matches(['\'', '`', '.', ',']);
        return vec![format!(
            "whoever deploys a service must be allowed to act as the account that runs it, which no role of \
             Cloud Run says: `gcloud iam service-accounts add-iam-policy-binding {account} \
             --member=user:YOU --role={role}`"
        )];
    }
    let project = quoted_after(message, "resource ").and_then(|resource| {
        let (_, rest) = resource.split_once("projects/")?;
        rest.split('/').next()
    });
    let project = project.unwrap_or("PROJECT");
    vec![format!(
        "the smallest role with `{permission}` is `{role}`: `gcloud projects add-iam-policy-binding {project} \
         --member=user:YOU --role={role}` (`serviceAccount:…` for a service account)"
    )]
}

/// What stands in quotes after a word.
fn quoted_after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(word)?;
    let mut parts = rest.split(['\'', '"', '`']);
    parts.next().filter(|before| before.is_empty())?;
    parts.next().filter(|quoted| !quoted.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::{Method, Request};
    use super::*;

    fn cures_of(code: &str, message: &str, detail: &Value) -> Vec<String> {
        let request = Request::rest(&CLOUD_RUN, "r", "CreateService", Method::Post, "/v2/s");
        let error = json!({"status": code, "message": message, "details": [detail]});
        super::super::refusal::operation_failure(&request, &error).hints
    }

    #[test]
    fn a_limit_of_all_is_waited_for() {
        assert_eq!(
            cures_of("RESOURCE_EXHAUSTED", "Write requests per minute", &Value::Null),
            ["the limit is for all who use the project: try again in a minute"]
        );
    }

    #[test]
    fn a_field_is_told_by_the_name_of_our_setting() {
        for (field, expected) in [
            ("template.timeout", "change `timeout` of the environment"),
            ("template.maxInstanceRequestConcurrency", "change `concurrency` of the environment"),
            ("template.service_account", "change `service_account` of the environment"),
            ("template.containers[0].resources.limits.cpu", "change `cpu` of the environment"),
            (
                "template.containers[0].startup_probe.http_get.path",
                "change `health_check_path` of the environment",
            ),
            ("template.containers[0].env[3].name", "change `env` of the environment"),
        ] {
            let detail = json!({
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": field, "description": "no"}],
            });
            assert_eq!(cures_of("INVALID_ARGUMENT", "bad", &detail), [expected], "{field}");
            let message = format!("Violation in CreateServiceRequest.service: {field}: no");
            assert_eq!(cures_of("INVALID_ARGUMENT", &message, &Value::Null), [expected], "{field}");
        }
        let unknown = "template.containers[0].image: Expected an image path";
        assert_eq!(cures_of("INVALID_ARGUMENT", unknown, &Value::Null), [""; 0]);
    }

    #[test]
    fn the_rule_of_an_organisation_is_named() {
        let forbidden = "the organisation forbids it: ask whoever manages it about `constraints/run.allowedIngress`";
        let detail = json!({
            "@type": "type.googleapis.com/google.rpc.PreconditionFailure",
            "violations": [{"type": "constraints/run.allowedIngress"}],
        });
        assert_eq!(cures_of("FAILED_PRECONDITION", "no", &detail), [forbidden]);
        let message = "Constraint 'constraints/run.allowedIngress' is violated";
        assert_eq!(cures_of("FAILED_PRECONDITION", message, &Value::Null), [forbidden]);
    }
}
