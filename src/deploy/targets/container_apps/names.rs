//! What things are called there, and what they cannot be called.

/// What the platform calls the secret of a variable: small letters, digits and `-`.
pub(super) fn secret_name(variable: &str) -> String {
    format!("env-{}", dashed(variable)).trim_end_matches('-').to_owned()
}

/// What the platform calls the password for a registry.
pub(super) fn pull_secret_name(registry: &str) -> String {
    format!("pull-{}", dashed(registry)).trim_end_matches('-').to_owned()
}

/// Whether a secret is called as only we call them.
pub(super) fn is_own_secret(name: &str) -> bool {
    ["env-", "pull-"].iter().any(|prefix| name.starts_with(prefix))
}

/// Whether the platform says that a revision of that name was there once; its own list does not tell.
pub(super) fn is_taken(message: &str) -> bool {
    message.contains("revision with suffix") && message.contains("already exists")
}

fn dashed(text: &str) -> String {
    let dashed = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    text.to_ascii_lowercase().chars().map(dashed).collect()
}

/// Whether an identity is the app's own, and not one that somebody made.
pub(super) fn is_system(identity: &str) -> bool {
    identity.eq_ignore_ascii_case("system")
}

/// Whether this can be a managed identity.
pub(super) fn is_identity(identity: &str) -> bool {
    let lower = identity.to_ascii_lowercase();
    is_system(identity)
        || lower.starts_with("/subscriptions/")
            && lower.contains("/providers/microsoft.managedidentity/userassignedidentities/")
}

/// Whether this can be the id of a subscription.
pub(super) fn is_uuid(text: &str) -> bool {
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// Whether a resource group can be called so, or an environment.
pub(super) fn is_group_name(text: &str) -> bool {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || "-_.()".contains(letter);
    (1..=90).contains(&text.len()) && text.chars().all(is_word) && !text.ends_with('.')
}

/// Whether an app can be called so.
pub(super) fn is_app_name(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (2..=32).contains(&text.len())
        && text.bytes().all(is_word)
        && text.starts_with(|letter: char| letter.is_ascii_lowercase())
        && !text.ends_with('-')
        && !text.contains("--")
}
