//! `dockless login` and `dockless logout`: credentials that docker and others read too.

use serde_json::{Value, json};

use super::{Context, Credentials, NetworkRequest, client, runtime};
use crate::error::Result;
use crate::registry::Sources;
use crate::registry::keychains::{AuthStore, Kept};

/// `dockless login`.
#[derive(Debug, Clone)]
pub struct LoginRequest {
    /// The registry, as references name it.
    pub registry: String,
    /// What is to be kept.
    pub credentials: Credentials,
    /// How to reach it.
    pub network: NetworkRequest,
}

/// What came of a login or a logout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginChange {
    /// The registry.
    pub registry: String,
    /// The user who is logged in now; none after a logout.
    pub username: Option<String>,
    /// Who keeps the login, or kept it; none when there was none to forget.
    pub kept: Option<Kept>,
}

/// Makes sure that a registry accepts credentials, and keeps them.
///
/// # Errors
/// Nothing is written when they are wrong (kind usage) or the registry cannot be asked.
pub fn login(request: &LoginRequest, context: &Context) -> Result<LoginChange> {
    let LoginRequest { registry, credentials, network } = request;
    let store = AuthStore::new(&context.environment, &context.commands)?;
    let client = client::client_for_login(context, registry, credentials, network);
    runtime::run(context, network.timeout, async {
        if !client.log_in(registry).await? {
            context.events.warn(
                "login-unchecked",
                format!("`{registry}` asks for no credentials: they could not be checked"),
                None,
            );
        }
        let kept = store.keep(registry, &credentials.username, &credentials.password).await?;
        if let Kept::File(path) = &kept {
            context.events.note(format!(
                "the password is not encrypted in {}: a credential helper would keep it safe",
                path.display()
            ));
        }
        let ours = format!("`{}`", store.path().display());
        if let Some(found) = sources(registry, context).await.found
            && found.source != ours
        {
            context.events.warn(
                "login-hidden",
                format!("another source is asked first for `{registry}`: {found}"),
                None,
            );
        }
        Ok(LoginChange {
            registry: registry.clone(),
            username: Some(credentials.username.clone()),
            kept: Some(kept),
        })
    })
}

/// Forgets the credentials for a registry.
///
/// # Errors
/// They cannot be removed from where they are.
pub fn logout(registry: &str, context: &Context) -> Result<LoginChange> {
    let store = AuthStore::new(&context.environment, &context.commands)?;
    runtime::run(context, None, async {
        let kept = store.forget(registry).await?;
        if let Some(found) = sources(registry, context).await.found {
            context.events.warn(
                "still-logged-in",
                format!("another source has credentials for `{registry}`: {found}"),
                None,
            );
        }
        Ok(LoginChange { registry: registry.to_owned(), username: None, kept })
    })
}

/// Where a push to this registry would have its credentials from.
async fn sources(registry: &str, context: &Context) -> Sources {
    match format!("{registry}/any/repository").parse() {
        Ok(repository) => client::client_for_sources(context, registry).sources(&repository).await,
        Err(_) => Sources::default(),
    }
}

impl LoginChange {
    /// The result in one line.
    pub fn line(&self) -> String {
        let Self { registry, username, kept } = self;
        let place = kept.as_ref().map(place);
        match (username, place) {
            (Some(username), Some(place)) => {
                format!("logged in to {registry} as {}, kept in {place}", username.escape_debug())
            }
            (_, Some(place)) => format!("logged out of {registry}, removed from {place}"),
            (_, None) => format!("there was no login for {registry}"),
        }
    }

    /// The result as one JSON document.
    pub fn document(&self) -> Value {
        json!({
            "registry": self.registry,
            "username": self.username,
            "kept_in": self.kept.as_ref().map(place),
        })
    }
}

fn place(kept: &Kept) -> String {
    match kept {
        Kept::File(path) => path.display().to_string(),
        Kept::Helper(program) => program.clone(),
    }
}
