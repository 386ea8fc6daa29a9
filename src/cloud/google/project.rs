//! The project and the region that Google's own tools would take.

use std::path::PathBuf;

use serde_json::Value;

use crate::cloud::Assumed;
use crate::sys::Environment;

/// The file of credentials that a person, or a CI system, names.
pub(super) const FILE_VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// What names a project, the most special first.
const PROJECT_VARIABLES: [&str; 2] = ["GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"];
/// What names a region for services.
const REGION_VARIABLES: [&str; 2] = ["CLOUDSDK_RUN_REGION", "CLOUDSDK_COMPUTE_REGION"];
/// What names a project in a file of credentials: a service account's own, or the one that pays for a user.
const PROJECT_MEMBERS: [&str; 2] = ["project_id", "quota_project_id"];

/// The project: `GOOGLE_CLOUD_PROJECT`, `CLOUDSDK_CORE_PROJECT`, then the one of the file of credentials.
pub fn google_project(environment: &Environment) -> Option<String> {
    assumed_google_project(environment).map(|assumed| assumed.value)
}

/// The same, with what names it.
pub fn assumed_google_project(environment: &Environment) -> Option<Assumed> {
    let of_variable = Assumed::of_variables(environment, &PROJECT_VARIABLES);
    of_variable.or_else(|| of_credentials(environment))
}

/// The region: `CLOUDSDK_RUN_REGION`, then `CLOUDSDK_COMPUTE_REGION`.
pub fn google_region(environment: &Environment) -> Option<String> {
    assumed_google_region(environment).map(|assumed| assumed.value)
}

/// The same, with what names it.
pub fn assumed_google_region(environment: &Environment) -> Option<Assumed> {
    Assumed::of_variables(environment, &REGION_VARIABLES)
}

fn of_credentials(environment: &Environment) -> Option<Assumed> {
    let named = environment.get(FILE_VARIABLE).map(PathBuf::from);
    let file = named.or_else(|| default_file(environment))?;
    let text = std::fs::read_to_string(&file).ok()?;
    let document: Value = serde_json::from_str(&text).ok()?;
    let mut members = PROJECT_MEMBERS.into_iter();
    let found = members.find_map(|name| document[name].as_str().filter(|text| !text.is_empty()));
    found.map(|project| Assumed::of_file(project.to_owned(), &file))
}

/// What `gcloud auth application-default login` writes.
pub(super) fn default_file(environment: &Environment) -> Option<PathBuf> {
    let chosen = environment.get("CLOUDSDK_CONFIG").map(PathBuf::from);
    let folder = chosen.or_else(|| {
        if cfg!(windows) {
            return environment.get("APPDATA").map(|root| PathBuf::from(root).join("gcloud"));
        }
        environment.home().map(|home| home.join(".config/gcloud"))
    });
    folder.map(|folder| folder.join("application_default_credentials.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_is_the_one_that_google_s_own_tools_would_take() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        let key = folder.path().join("key.json");
        std::fs::write(&key, r#"{"type": "service_account", "project_id": "of-key"}"#).unwrap();
        let user = r#"{"type": "authorized_user", "quota_project_id": "of-user"}"#;
        std::fs::write(folder.path().join("application_default_credentials.json"), user).unwrap();
        let named = [(FILE_VARIABLE, key.to_str().unwrap()), ("CLOUDSDK_CONFIG", root)];
        let [key, config] = named;
        for (environment, expected) in [
            (Environment::of([]), None),
            (Environment::of([config]), Some("of-user")),
            (Environment::of([config, key]), Some("of-key")),
            (Environment::of([config, (FILE_VARIABLE, "/not/there")]), None),
            (Environment::of([key, ("CLOUDSDK_CORE_PROJECT", "core")]), Some("core")),
            (
                Environment::of([
                    ("CLOUDSDK_CORE_PROJECT", "core"),
                    ("GOOGLE_CLOUD_PROJECT", "cloud"),
                ]),
                Some("cloud"),
            ),
        ] {
            assert_eq!(google_project(&environment).as_deref(), expected, "{environment:?}");
        }
    }
}
