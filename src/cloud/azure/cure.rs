//! What to do when no source has a token: the one thing that helps, where we are.

use crate::cloud::CiSystem;
use crate::sys::Environment;

/// What Entra's own numbers mean, for whoever set a source up.
const REFUSED: [(&str, &str); 8] = [
    (
        "AADSTS7000215",
        "`AZURE_CLIENT_SECRET` is not the secret's value: it may be its id, or another client's",
    ),
    (
        "AADSTS7000222",
        "the secret has ended: `az ad app credential reset --id CLIENT` makes another",
    ),
    (
        "AADSTS700016",
        "`AZURE_CLIENT_ID` is no client of the tenant that `AZURE_TENANT_ID` names: `az ad app show --id \
         CLIENT` shows where it is",
    ),
    (
        "AADSTS90002",
        "there is no tenant of the name that `AZURE_TENANT_ID` has: `az account list` shows them",
    ),
    (
        "AADSTS70021",
        "give the client a federated credential with exactly the issuer and the subject of the message: `az \
         ad app federated-credential create --id CLIENT --parameters FILE`",
    ),
    (
        "AADSTS700024",
        "the token of the job has ended: ask for another right before, they last for some minutes",
    ),
    ("AADSTS700082", "log in again: `az login`"),
    ("AADSTS50078", "log in again: `az login`"),
];

/// What to do, by what the sources said last and by where this runs.
pub(super) fn cure(environment: &Environment, tried: &[String]) -> String {
    let said = tried.last().map(String::as_str).unwrap_or_default();
    // Entra has several numbers for each way in which no federated credential fits.
    let number = |known: &str| match said.find(known) {
        Some(place) => {
            let rest = said[place + known.len()..].bytes();
            known == "AADSTS70021" || !rest.take(1).any(|byte| byte.is_ascii_digit())
        }
        None => false,
    };
    if let Some((_, hint)) = REFUSED.iter().find(|(known, _)| number(known)) {
        return (*hint).to_owned();
    }
    match CiSystem::of(environment) {
        None => "log in: `az login`".to_owned(),
        Some(CiSystem::GitHub) => {
            "give the job `permissions: {contents: read, id-token: write}`, and add the step `azure/login` before this \
             one, or set `AZURE_CLIENT_ID` and `AZURE_TENANT_ID` of an identity with a federated \
             credential for this repository"
                .to_owned()
        }
        Some(CiSystem::AzurePipelines) => {
            "run it in a step `AzureCLI@2` with a service connection of workload identity federation, and \
             pass `SYSTEM_ACCESSTOKEN: $(System.AccessToken)` to it"
                .to_owned()
        }
        Some(CiSystem::GitLab) => federated("the job an `id_tokens` entry"),
        Some(CiSystem::CircleCi) => federated("the job a context, which gives it `CIRCLE_OIDC_TOKEN_V2`"),
        Some(CiSystem::Buildkite) => {
            federated("the job `buildkite-agent oidc request-token --audience api://AzureADTokenExchange`")
        }
        Some(CiSystem::Bitbucket) => {
            federated("the step `oidc: true`, which gives it `BITBUCKET_STEP_OIDC_TOKEN`")
        }
        Some(CiSystem::Other) => {
            "give the job `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`, or \
             `AZURE_FEDERATED_TOKEN_FILE` in place of the last"
                .to_owned()
        }
    }
}

/// How the token of a job comes to Entra where we do not ask for it ourselves.
fn federated(given: &str) -> String {
    format!(
        "give {given}, write the token to the file that `AZURE_FEDERATED_TOKEN_FILE` names, and set \
         `AZURE_CLIENT_ID` and `AZURE_TENANT_ID` of an identity with a federated credential for it"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nobody_sits_nobody_is_told_to_log_in() {
        for (variable, expected) in [
            ("GITHUB_ACTIONS", "`azure/login`"),
            ("TF_BUILD", "`AzureCLI@2`"),
            ("GITLAB_CI", "`id_tokens`"),
            ("CIRCLECI", "`CIRCLE_OIDC_TOKEN_V2`"),
            ("BUILDKITE", "`buildkite-agent oidc"),
            ("BITBUCKET_BUILD_NUMBER", "`oidc: true`"),
            ("CI", "`AZURE_CLIENT_SECRET`"),
            ("HOME", "`az login`"),
        ] {
            let cure = cure(&Environment::of([(variable, "true")]), &[]);
            assert!(cure.contains(expected), "{cure}");
            assert_eq!(cure.contains("az login"), variable == "HOME", "{cure}");
        }
    }

    #[test]
    fn what_entra_refuses_has_a_cure_of_its_own() {
        let environment = Environment::of([("GITHUB_ACTIONS", "true")]);
        for (said, expected) in [
            ("AADSTS7000215: Invalid client secret provided.", "not the secret's value"),
            (
                "AADSTS700016: Application with identifier 'c' was not found",
                "no client of the tenant",
            ),
            ("AADSTS700213: No matching federated identity record found", "the subject"),
            ("AADSTS70021: No matching federated identity record found", "the subject"),
            ("AADSTS700024: Client assertion is not within its valid time", "has ended"),
            ("AADSTS7000240: something else", "`azure/login`"),
        ] {
            let cure = cure(&environment, &[format!("workload identity: {said}")]);
            assert!(cure.contains(expected), "{said}: {cure}");
        }
    }
}
