//! What a story about Container Apps happens in: a project, a registry, a logged-in `az`, and Azure.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::anywhere::Anywhere;
use crate::fake::{Fault, Running};
use crate::fakes::container_apps::{ContainerApps, GROUP};
use crate::support::cli::{Outcome, Sandbox};

pub(super) const HOST: &str = "acme.azurecr.io";
pub(super) const IDENTITY: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/agents/\
                        providers/Microsoft.ManagedIdentity/userAssignedIdentities/puller";

/// A project with an environment, a registry under the name of one of Azure's, a logged-in `az`, and Azure.
pub(super) struct World {
    pub(super) sandbox: Sandbox,
    pub(super) registry: Anywhere,
    pub(super) fake: Running<ContainerApps>,
}

impl World {
    /// `more` are further lines of the environment.
    pub(super) async fn new(more: &str) -> Self {
        let world = Self {
            sandbox: Sandbox::new(),
            registry: Anywhere::start(&[HOST]).await,
            fake: Running::start(ContainerApps::new()).await,
        };
        let url = world.fake.url();
        world.fake.with(|fake| fake.url = url);
        let claims = URL_SAFE_NO_PAD.encode(r#"{"upn":"bob@acme.com","oid":"o-1"}"#);
        let az = format!(
            "#!/bin/sh\necho '{{\"accessToken\": \"canary.{claims}.s\", \"expires_on\": 4102444800, \
             \"tokenType\": \"Bearer\"}}'\n"
        );
        let az = world.sandbox.write("bin/az", az);
        std::fs::set_permissions(az, std::fs::Permissions::from_mode(0o755)).unwrap();
        world.configure(more);
        world.sandbox.write("agent.py", "print('one')\n");
        world
    }

    pub(super) fn configure(&self, more: &str) {
        let text = format!(
            "name: agent\nbase: builtin:static\nlayers: [{{kind: files, copy: [{{src: agent.py, dest: /srv/agent.py}}]}}]\n\
             image: [{HOST}/agents/agent]\nenvironments:\n  staging:\n    target: container-apps\n    \
             subscription_id: 00000000-0000-0000-0000-000000000001\n    resource_group: agents\n    \
             environment_name: production\n    name: agent\n{more}"
        );
        self.sandbox.write("dockless.yaml", text);
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        let path = std::env::var("PATH").unwrap();
        let bin = self.sandbox.work().join("bin");
        self.registry.lead(&mut command);
        command
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential")
            .env("DOCKLESS_AZURE_RESOURCE_MANAGER_URL", self.fake.url())
            .env("DOCKLESS_AZURE_CONTAINER_APPS_LOGS_URL", self.fake.url())
            .env("OPENAI_API_KEY", "canary-key-1")
            .env("GREETING", "canary-greeting")
            .env("PULL_PASSWORD", "canary-password");
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Outcome {
        self.checked(&mut self.command(arguments))
    }

    pub(super) fn checked(&self, command: &mut Command) -> Outcome {
        let outcome = Outcome::of(command);
        let shown = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(!shown.contains("canary"), "{outcome:#?}");
        assert_eq!(self.fake.wrong(), [""; 0], "{outcome:#?}");
        outcome
    }

    #[track_caller]
    pub(super) fn succeed(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, 0, "{outcome:#?}");
        outcome
    }

    /// What is written in the app now.
    pub(super) fn written(&self) -> Value {
        self.fake.with(|fake| fake.app().written.clone())
    }

    /// The image that the app should run.
    pub(super) fn image(&self) -> String {
        let image = self.written()["properties"]["template"]["containers"][0]["image"].clone();
        image.as_str().unwrap().to_owned()
    }

    pub(super) fn revisions(&self) -> usize {
        self.fake.with(|fake| fake.app().revisions.len())
    }

    /// The methods of all requests that change anything, with the last part of their paths.
    pub(super) fn writes(&self) -> Vec<String> {
        let writes = self.fake.writes().into_iter();
        let writes = writes
            .filter(|write| !write.ends_with("/listSecrets") && !write.ends_with("/getAuthtoken"));
        writes
            .map(|write| {
                let (method, path) = write.split_once(' ').unwrap();
                format!("{method} {}", path.rsplit('/').next().unwrap())
            })
            .collect()
    }

    pub(super) fn spoil_put(&self, fault: Fault) {
        self.spoil("PUT", "", fault);
    }

    /// Spoils the next request of this method for what is below the app.
    pub(super) fn spoil(&self, method: &str, below: &str, fault: Fault) {
        let app = format!("{GROUP}/providers/Microsoft.App/containerApps/agent");
        self.fake.spoil(&format!("{method} {app}{below}"), fault);
    }
}
