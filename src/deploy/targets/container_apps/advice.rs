//! What helps where the platform could not pull an image, by its own words.

/// A sentence for whoever can change it; nothing where the reason is another one.
pub(super) fn advice(reason: &str) -> Option<String> {
    let after = |words: &str| {
        let (_, rest) = reason.split_once(words)?;
        let word = rest.split_whitespace().next()?;
        Some(word.trim_end_matches(['.', ',', ';', '\'']))
    };
    let lower = reason.to_ascii_lowercase();
    if let Some(identity) = after("using Managed identity ") {
        let registry = after("for registry ").and_then(|host| host.split('.').next());
        let registry = registry.unwrap_or("REGISTRY");
        return Some(if identity.starts_with('/') {
            format!(
                "the identity needs the role `AcrPull` on the registry: `az role assignment create \
                 --assignee-object-id $(az identity show --ids {identity} --query principalId --output tsv) \
                 --assignee-principal-type ServicePrincipal --role AcrPull --scope $(az acr show --name \
                 {registry} --query id --output tsv)`; a role that was assigned a moment ago may take some \
                 minutes"
            )
        } else {
            format!(
                "the app's own identity needs the role `AcrPull` on the registry `{registry}`; a role that \
                 was assigned a moment ago may take some minutes"
            )
        });
    }
    if lower.contains("manifest_unknown") || lower.contains("manifest unknown") {
        return Some("the registry does not have this image any more: push it again".to_owned());
    }
    let is_refused = ["unauthorized", "authentication required", "denied"];
    is_refused.iter().any(|word| lower.contains(word)).then(|| {
        "the registry gives the image to nobody whom it does not know: `pull: {username: …, password_env: …}`, \
         or `identity: …` where it is one of Azure's"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_cannot_be_pulled_has_a_way_out() {
        for (reason, expected) in [
            (
                "unable to pull image using Managed identity /subscriptions/s/ids/puller for registry \
                 acme.azurecr.io",
                Some("az acr show --name acme"),
            ),
            (
                "unable to pull image using Managed identity system for registry acme.azurecr.io",
                Some("the app's own identity needs the role `AcrPull` on the registry `acme`"),
            ),
            ("GET https:?x: UNAUTHORIZED: authentication required", Some("`pull: {username: …")),
            ("MANIFEST_UNKNOWN: manifest tagged by x is not found", Some("push it again")),
            ("the container exits with 1", None),
        ] {
            let advice = advice(reason);
            assert_eq!(advice.is_some(), expected.is_some(), "{reason}");
            assert!(advice.unwrap_or_default().contains(expected.unwrap_or_default()), "{reason}");
        }
    }
}
