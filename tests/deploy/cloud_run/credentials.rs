//! Who we are at Google, and how tokens are fetched.

use serde_json::json;

use super::{TOKENS, World};
use crate::support::cli::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_every_source_says_why_it_has_none() {
    let world = World::new("").await;
    let outcome = Outcome::of(
        world
            .command(&["status"])
            .env_remove("CLOUDSDK_AUTH_ACCESS_TOKEN")
            .env("NO_GCE_CHECK", "true")
            .env("PATH", ""),
    );
    assert_eq!(outcome.code, 2, "{outcome:#?}");
    let (_, told) = outcome.stderr.split_once("no credentials for Google Cloud:\n").unwrap();
    let home = world.sandbox.home();
    let expected = format!(
        "  `CLOUDSDK_AUTH_ACCESS_TOKEN` is not set\n  `GOOGLE_APPLICATION_CREDENTIALS` is not set\n  \
         `{}/.config/gcloud/application_default_credentials.json`: it is not there\n  \
         metadata server: `NO_GCE_CHECK` is set\n  `gcloud auth print-access-token`: it is not installed\n\
         hint: log in: `gcloud auth application-default login`\n",
        home.display()
    );
    assert_eq!(told, expected);
}

/// What fetches tokens is Google's own library, with a client of its own.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_fetched_by_the_proxy_and_the_authorities_that_variables_name() {
    let world = World::new("").await;
    let file = json!({
        "type": "authorized_user", "client_id": "a", "client_secret": "canary", "refresh_token": "canary",
        "token_uri": format!("https://{TOKENS}/token"),
    });
    let path = world.sandbox.write("credentials.json", file.to_string());
    let status = |is_trusted: bool| {
        let mut command = world.command(&["status", "-v"]);
        command.env_remove("CLOUDSDK_AUTH_ACCESS_TOKEN");
        command.env("GOOGLE_APPLICATION_CREDENTIALS", &path);
        if !is_trusted {
            command.env_remove("SSL_CERT_FILE");
        }
        let outcome = Outcome::of(&mut command);
        assert!(!outcome.stderr.contains("canary"), "{outcome:#?}");
        assert_eq!(outcome.code, 2, "{outcome:#?}");
        outcome.stderr
    };
    let told = status(true);
    assert_eq!(world.registry.called(), [format!("CONNECT {TOKENS}:443")], "{told}");
    let who = format!("Google Cloud: we are the user of {}", path.display());
    assert!(told.contains(&who), "{told}");
    // Whoever answers there is a registry: it was trusted, and has no tokens.
    assert!(told.contains("404"), "{told}");
    let told = status(false);
    assert!(told.contains("certificate"), "{told}");
}
