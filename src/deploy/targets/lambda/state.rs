//! How a function is, by what Lambda says of it.

use serde_json::Value;

use super::found::Found;
use crate::deploy::State;

/// The state of a function: that of the version that serves, unless something newer is being made, or came
/// to nothing and was not left behind.
pub(super) fn of_function(found: &Found) -> State {
    match of_newer(found) {
        newer if newer.is_updating() || found.live.is_null() || has_failed(found) => newer,
        _ => of_version(&found.live["Configuration"]),
    }
}

/// Whether something newer than what serves came to nothing, and was not left behind.
pub(super) fn has_failed(found: &Found) -> bool {
    matches!(of_newer(found), State::Failed(_)) && !found.is_back()
}

/// The state of what is newer than the version that serves: `$LATEST`, or else the newest version.
fn of_newer(found: &Found) -> State {
    match (of_latest(&found.latest["Configuration"]), found.newer()) {
        (State::Ready, Some(newest)) => of_version(newest),
        (latest, _) => latest,
    }
}

/// The state of `$LATEST`, by its configuration.
pub(super) fn of_latest(configuration: &Value) -> State {
    let why = || reason(configuration, "LastUpdateStatus");
    match (of_any(configuration), configuration["LastUpdateStatus"].as_str()) {
        // Also where it had come to nothing before.
        (_, Some("InProgress")) => State::Updating(format!("the update is in progress{}", why())),
        (State::Ready, Some("Failed")) => State::Failed(format!("the update failed{}", why())),
        (state, _) => state,
    }
}

/// The state of a published version, by its configuration.
fn of_version(configuration: &Value) -> State {
    let named = |reason: String| {
        let version = configuration["Version"].as_str().unwrap_or("?");
        format!("version {version}: {reason}")
    };
    match of_any(configuration) {
        State::Updating(reason) => State::Updating(named(reason)),
        State::Failed(reason) => State::Failed(named(reason)),
        State::Stopped(reason) => State::Stopped(named(reason)),
        state => state,
    }
}

fn of_any(configuration: &Value) -> State {
    let why = || reason(configuration, "State");
    match configuration["State"].as_str() {
        None | Some("Active") => State::Ready,
        // It was not used for weeks: the next request, such as ours to see whether it is well, wakes it.
        Some("Inactive") if configuration["StateReasonCode"] == "Idle" => State::Ready,
        Some("Pending") => State::Updating(format!("Lambda prepares it{}", why())),
        Some("Deleting") => State::Updating(format!("it is being deleted{}", why())),
        Some("Deactivating") => State::Updating(format!("it is being deactivated{}", why())),
        Some("Failed") => State::Failed(format!("Lambda cannot run it{}", why())),
        Some(other) => State::Stopped(format!("it is {other}{}", why())),
    }
}

/// `: CODE: text`, as far as they are there.
fn reason(configuration: &Value, member: &str) -> String {
    let parts = ["ReasonCode", "Reason"].map(|end| {
        let text = configuration[format!("{member}{end}")].as_str().unwrap_or_default();
        if text.is_empty() { String::new() } else { format!(": {text}") }
    });
    parts.concat()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_word_of_lambda_is_understood() {
        let text = |text: &str| text.to_owned();
        for (configuration, expected) in [
            (json!({}), State::Ready),
            (json!({"State": "Active", "LastUpdateStatus": "Successful"}), State::Ready),
            (
                json!({"State": "Pending", "StateReasonCode": "Creating", "StateReason": "The function is being created."}),
                State::Updating(text(
                    "Lambda prepares it: Creating: The function is being created.",
                )),
            ),
            (
                json!({"State": "Failed", "StateReasonCode": "ImageAccessDenied"}),
                State::Failed(text("Lambda cannot run it: ImageAccessDenied")),
            ),
            (json!({"State": "Inactive", "StateReasonCode": "Idle"}), State::Ready),
            (
                json!({"State": "Inactive", "StateReasonCode": "ImageDeleted"}),
                State::Stopped(text("it is Inactive: ImageDeleted")),
            ),
            (
                json!({"State": "ActiveNonInvocable"}),
                State::Stopped(text("it is ActiveNonInvocable")),
            ),
            (json!({"State": "Deleting"}), State::Updating(text("it is being deleted"))),
            (
                json!({"State": "Active", "LastUpdateStatus": "InProgress"}),
                State::Updating(text("the update is in progress")),
            ),
            (
                json!({"State": "Failed", "LastUpdateStatus": "InProgress"}),
                State::Updating(text("the update is in progress")),
            ),
            (
                json!({
                    "State": "Active", "LastUpdateStatus": "Failed",
                    "LastUpdateStatusReasonCode": "InvalidImage",
                    "LastUpdateStatusReason": "UnsupportedImageLayerDetected",
                }),
                State::Failed(text(
                    "the update failed: InvalidImage: UnsupportedImageLayerDetected",
                )),
            ),
        ] {
            assert_eq!(of_latest(&configuration), expected, "{configuration}");
        }
        assert_eq!(
            of_version(&json!({"Version": "7", "State": "Pending"})),
            State::Updating(text("version 7: Lambda prepares it"))
        );
    }
}
