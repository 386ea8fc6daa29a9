//! The subscription that is meant where nobody names one.

use std::path::PathBuf;

use serde_json::Value;

use crate::cloud::Assumed;
use crate::sys::Environment;

/// What the vendor's tools write before a text in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The subscription that Azure's own tools would take: `AZURE_SUBSCRIPTION_ID`, then what `az account set`
/// has chosen.
pub fn azure_subscription(environment: &Environment) -> Option<String> {
    assumed_azure_subscription(environment).map(|assumed| assumed.value)
}

/// The same, with what names it.
pub fn assumed_azure_subscription(environment: &Environment) -> Option<Assumed> {
    let of_variable = Assumed::of_variables(environment, &["AZURE_SUBSCRIPTION_ID"]);
    of_variable.or_else(|| {
        let file = folder(environment)?.join("azureProfile.json");
        let id = chosen(&std::fs::read(&file).ok()?)?;
        Some(Assumed::of_file(id, &file))
    })
}

/// `AZURE_CONFIG_DIR`, else `~/.azure`.
fn folder(environment: &Environment) -> Option<PathBuf> {
    match environment.get("AZURE_CONFIG_DIR") {
        Some(path) => Some(PathBuf::from(path)),
        None => Some(environment.home()?.join(".azure")),
    }
}

fn chosen(profile: &[u8]) -> Option<String> {
    let profile = profile.strip_prefix(MARK).unwrap_or(profile);
    let profile: Value = serde_json::from_slice(profile).ok()?;
    let mut subscriptions = profile["subscriptions"].as_array()?.iter();
    let chosen = subscriptions.find(|subscription| subscription["isDefault"] == true)?;
    chosen["id"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_az_has_chosen_is_read_past_its_mark() {
        let profile = |mark: &str, is_default: bool| {
            format!(
                "{mark}{{\"installationId\": \"i\", \"subscriptions\": [{{\"id\": \"a\", \"isDefault\": \
                 false}}, {{\"id\": \"b\", \"isDefault\": {is_default}}}]}}"
            )
        };
        for (text, expected) in [
            (profile("\u{feff}", true), Some("b")),
            (profile("", true), Some("b")),
            (profile("", false), None),
            ("{}".to_owned(), None),
            ("no".to_owned(), None),
        ] {
            assert_eq!(chosen(text.as_bytes()).as_deref(), expected, "{text}");
        }
        let environment = Environment::of([("AZURE_SUBSCRIPTION_ID", "c")]);
        assert_eq!(azure_subscription(&environment).as_deref(), Some("c"));
        let nowhere = Environment::of([("AZURE_CONFIG_DIR", "/nowhere")]);
        assert_eq!(azure_subscription(&nowhere), None);
    }
}
