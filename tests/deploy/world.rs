//! A project, a registry and Cloud Run: what stories need that are the same for every target.

use std::process::Command;

use serde_json::Value;

use crate::anywhere::Anywhere;
use crate::fake::Running;
use crate::fakes::cloud_run::{CloudRun, TOKEN};
use crate::support::cli::{Outcome, Sandbox};

const HOST: &str = "europe-west1-docker.pkg.dev";
/// Where images go.
pub(crate) const IMAGE: &str = "europe-west1-docker.pkg.dev/acme/agents/agent";

/// A project with a registry under the name of Google's, and Cloud Run in two projects.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) registry: Anywhere,
    pub(crate) cloud: Running<CloudRun>,
}

impl World {
    /// A project with these environments.
    pub(crate) async fn new(environments: &str) -> Self {
        let world = Self {
            sandbox: Sandbox::new(),
            registry: Anywhere::start(&[HOST]).await,
            cloud: Running::start(CloudRun::new()).await,
        };
        world.sandbox.write("agent.py", "print('one')\n");
        let config = format!(
            "name: agent\nbase: builtin:static\nlayers: [{{kind: files, copy: [{{src: agent.py, dest: /srv/agent.py}}]}}]\n\
             image: [{IMAGE}]\nenvironments:\n{environments}"
        );
        world.sandbox.write("dockless.yaml", config);
        world
    }

    /// A command in it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        self.registry.lead(&mut command);
        command.env("CLOUDSDK_AUTH_ACCESS_TOKEN", TOKEN).env("DOCKLESS_NO_PROBE", "1");
        for service in ["RUN", "SECRETMANAGER", "LOGGING"] {
            command.env(format!("CLOUDSDK_API_ENDPOINT_OVERRIDES_{service}"), self.cloud.url());
        }
        command
    }

    /// Runs a command; what is sent fits Google's model.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        let outcome = Outcome::of(&mut self.command(arguments));
        assert_eq!(self.cloud.wrong(), [""; 0], "{outcome:#?}");
        outcome
    }

    /// Runs a command that succeeds.
    #[track_caller]
    pub(crate) fn succeed(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, 0, "{outcome:#?}");
        outcome
    }

    /// The JSON document of a command that succeeds.
    #[track_caller]
    pub(crate) fn document(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.succeed(arguments).stdout).unwrap()
    }

    /// The history.
    pub(crate) fn state(&self) -> Value {
        let path = self.sandbox.work().join(".dockless/state.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }
}

/// An environment on Cloud Run.
pub(crate) const STAGING: &str =
    "  staging: {target: cloud-run, project_id: acme-staging, region: europe-west1}\n";
/// Another one, in another project.
pub(crate) const PRODUCTION: &str =
    "  production: {target: cloud-run, project_id: acme-prod, region: europe-west1}\n";

/// The lines of what went wrong, without the note of the file.
pub(crate) fn errors(outcome: &Outcome) -> Vec<&str> {
    outcome.stderr.lines().filter(|line| !line.starts_with("using ")).collect()
}
