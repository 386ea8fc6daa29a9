//! What Azure calls the settings of a target, where it refuses one of them.

/// Parts of the names of its fields, in small letters, and the settings that they are made of.
const FIELDS: [(&str, &str); 10] = [
    ("resources", "`cpu` and `memory`"),
    ("cpu and memory", "`cpu` and `memory`"),
    ("targetport", "`port`"),
    ("scale", "`min_replicas` and `max_replicas`"),
    ("probes", "`health_check_path` and `readiness_path`"),
    ("workloadprofile", "`workload_profile`"),
    ("registries", "`pull` or `identity`"),
    ("secret", "`secrets`"),
    ("identit", "`identity`"),
    ("env", "`env`"),
];

/// A hint that names the setting that is meant, where one is: fields stand in quotes, as in `Field
/// 'template.containers.agent.resources' is invalid`.
pub(super) fn hint(code: &str, message: &str) -> Option<String> {
    let field = message.split_once("Field '").and_then(|(_, rest)| rest.split_once('\''));
    let field = match field {
        Some((field, _)) => field,
        None if code == "ContainerAppInvalidResourceTotal" => "cpu and memory",
        None => code.strip_prefix("ContainerApp").filter(|name| name.contains("Invalid"))?,
    };
    let lower = field.to_ascii_lowercase();
    let (_, settings) = FIELDS.iter().find(|(part, _)| lower.contains(part))?;
    Some(format!("this is about {settings} of the target"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_azure_is_a_setting_of_ours() {
        for (code, message, expected) in [
            (
                "X",
                "Field 'template.containers.agent.resources' is invalid",
                Some("`cpu` and `memory`"),
            ),
            ("X", "Field 'configuration.ingress.targetPort' is invalid", Some("`port`")),
            ("ContainerAppInvalidResourceTotal", "The total requested", Some("`cpu` and `memory`")),
            ("ContainerAppSecretInvalid", "Invalid Request", Some("`secrets`")),
            ("ContainerAppInvalidName", "no", None),
            ("BadRequest", "The request is bad", None),
        ] {
            let expected =
                expected.map(|settings| format!("this is about {settings} of the target"));
            assert_eq!(hint(code, message), expected, "{code} {message}");
        }
    }
}
