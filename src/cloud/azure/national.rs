//! Which of Azure's clouds is meant: one answer for tokens and for the hosts that get them.

use crate::sys::Environment;

/// One of Azure's clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cloud) enum AzureCloud {
    /// The one for everybody.
    Public,
    /// The one of the government of the United States.
    Government,
    /// The one in China.
    China,
}

impl AzureCloud {
    /// The cloud that the environment names, or the one whose logins it names.
    pub(in crate::cloud) fn of(environment: &Environment) -> Self {
        let named = environment.get("AZURE_CLOUD").or_else(|| environment.get("AZURE_ENVIRONMENT"));
        match (named.map(str::to_ascii_lowercase).as_deref(), logins(environment)) {
            (Some("azureusgovernment" | "azureusgovernmentcloud"), _)
            | (None, "login.microsoftonline.us") => Self::Government,
            (Some("azurechinacloud" | "azurechina"), _)
            | (None, "login.chinacloudapi.cn" | "login.partner.microsoftonline.cn") => Self::China,
            _ => Self::Public,
        }
    }
}

/// The host of the logins that the environment names; empty where it names none.
pub(super) fn logins(environment: &Environment) -> &str {
    let logins = environment.get("AZURE_AUTHORITY_HOST").unwrap_or_default();
    logins.trim_start_matches("https://").trim_end_matches('/')
}
