//! What a container app is given to say, and what of it cannot be.

use super::amounts::{gibibytes, hundredths, shown_hundredths};
use super::names::{is_app_name, is_group_name, is_identity, is_uuid, secret_name};
use crate::cloud::azure_subscription;
use crate::config::{Node, Problems};
use crate::deploy::{Pull, SecretValue, TargetInput};

/// Settings that can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) subscription_id: String,
    pub(super) resource_group: String,
    pub(super) environment_name: String,
    pub(super) location: Option<String>,
    pub(super) name: String,
    /// Hundredths of a processor.
    pub(super) cpu_percent: u32,
    pub(super) memory: String,
    pub(super) ingress_external: bool,
    pub(super) min_replicas: i64,
    pub(super) max_replicas: i64,
    pub(super) identity: Option<String>,
    pub(super) port: u16,
    pub(super) health_check_path: String,
    pub(super) readiness_path: String,
    pub(super) workload_profile: Option<String>,
}

impl Settings {
    /// Reads settings that fit the shape; nothing when one of them cannot be.
    pub(super) fn parse(input: &TargetInput<'_>, problems: &mut Problems) -> Option<Self> {
        let TargetInput { settings: node, position, workload, environment } = *input;
        let found = problems.list().len();
        let text = |name: &str| node.get_text(name).map(str::to_owned);
        let number =
            |name: &str, default| node.get(name).and_then(Node::as_integer).unwrap_or(default);
        let place = |name: &str| node.get(name).map_or(position, |member| &member.position);
        let mut check = |name: &str, is_good: bool, message: String, hint: &str| {
            if !is_good {
                problems.report_with_hint(place(name), message, hint);
            }
        };

        let health_check_path =
            text("health_check_path").unwrap_or_else(|| workload.health_path.clone());
        let settings = Self {
            subscription_id: text("subscription_id")
                .or_else(|| azure_subscription(environment))
                .unwrap_or_default(),
            resource_group: text("resource_group")?,
            environment_name: text("environment_name")?,
            location: text("location"),
            name: text("name").unwrap_or_else(|| workload.name.clone()),
            cpu_percent: text("cpu").map_or(Some(100), |cpu| hundredths(&cpu)).unwrap_or(0),
            memory: text("memory").unwrap_or_else(|| "2Gi".to_owned()),
            ingress_external: node.get("ingress_external").and_then(Node::as_bool).unwrap_or(false),
            min_replicas: number("min_replicas", 0),
            max_replicas: number("max_replicas", 10),
            identity: text("identity"),
            port: u16::try_from(number("port", workload.port.into())).unwrap_or(workload.port),
            readiness_path: text("readiness_path").unwrap_or_else(|| health_check_path.clone()),
            health_check_path,
            workload_profile: text("workload_profile"),
        };
        check(
            "subscription_id",
            is_uuid(&settings.subscription_id),
            match settings.subscription_id.as_str() {
                "" => "nothing names the subscription".to_owned(),
                id => format!("`{id}` is no id of a subscription"),
            },
            "write `subscription_id`, set `AZURE_SUBSCRIPTION_ID`, or choose one with `az account set \
             --subscription NAME`: `az account list --output table` shows their ids",
        );
        check(
            "resource_group",
            is_group_name(&settings.resource_group),
            format!("`{}` is no name of a resource group", settings.resource_group),
            "1 to 90 letters, digits, `-`, `_`, `.` and brackets, without a dot at the end",
        );
        check(
            "environment_name",
            is_group_name(&settings.environment_name),
            format!("`{}` is no name of an environment", settings.environment_name),
            "`az containerapp env list --output table` shows them",
        );
        check(
            "name",
            is_app_name(&settings.name),
            format!("`{}` is no name for a container app", settings.name),
            "`name:` is 2 to 32 small letters, digits and single `-`, from a letter to a letter or digit",
        );
        settings.check_size(&mut check);
        check(
            "min_replicas",
            settings.min_replicas <= settings.max_replicas,
            format!(
                "`min_replicas` ({}) is more than `max_replicas` ({})",
                settings.min_replicas, settings.max_replicas
            ),
            "raise `max_replicas` (10 when absent), or lower `min_replicas`",
        );
        check(
            "identity",
            settings.identity.as_deref().is_none_or(is_identity),
            "this is no managed identity".to_owned(),
            IDENTITY_HINT,
        );
        for (name, path) in [
            ("health_check_path", &settings.health_check_path),
            ("readiness_path", &settings.readiness_path),
        ] {
            let message = format!("`{path}` is no path to ask");
            check(name, path.starts_with('/'), message, "a path starts with `/`: `/health`");
        }
        check_workload(input, problems);
        (problems.list().len() == found).then_some(settings)
    }

    /// Checks processors and memory, which belong together.
    fn check_size(&self, check: &mut dyn FnMut(&str, bool, String, &str)) {
        let is_dedicated =
            self.workload_profile.as_deref().is_some_and(|profile| profile != "Consumption");
        let most = if is_dedicated { 6400 } else { 400 };
        let is_cpu = self.cpu_percent.is_multiple_of(25) && (25..=most).contains(&self.cpu_percent);
        check(
            "cpu",
            is_cpu,
            format!("`cpu` goes in steps of 0.25 from 0.25 to {}", most / 100),
            "for instance `cpu: 0.5` with `memory: 1Gi`",
        );
        let memory = gibibytes(&self.memory);
        check(
            "memory",
            memory.is_some_and(|memory| memory > 0),
            format!("`{}` is no amount of memory", self.memory),
            "a number of Gi: `1Gi`, `0.5Gi`",
        );
        if let (true, false, Some(memory)) = (is_cpu, is_dedicated, memory) {
            let fitting = shown_hundredths(self.cpu_percent * 2);
            check(
                "memory",
                memory == self.cpu_percent * 2,
                format!(
                    "`memory: {}` does not go with `cpu: {}`",
                    self.memory,
                    shown_hundredths(self.cpu_percent)
                ),
                &format!(
                    "write `memory: {fitting}Gi`, or name a dedicated `workload_profile`: without \
                     one, memory is two Gi per processor"
                ),
            );
        }
    }

    /// The resource group's path in the Resource Manager.
    pub(super) fn group_path(&self) -> String {
        format!("/subscriptions/{}/resourceGroups/{}", self.subscription_id, self.resource_group)
    }

    /// The app's resource id.
    pub(super) fn app_path(&self) -> String {
        format!("{}/providers/Microsoft.App/containerApps/{}", self.group_path(), self.name)
    }

    /// The resource id of all environments in the resource group.
    pub(super) fn environments_path(&self) -> String {
        format!("{}/providers/Microsoft.App/managedEnvironments", self.group_path())
    }

    /// The environment's resource id.
    pub(super) fn environment_path(&self) -> String {
        format!("{}/{}", self.environments_path(), self.environment_name)
    }
}

const IDENTITY_HINT: &str = "`system`, or the resource id of a user assigned identity: `az identity list \
                             --query [].id` shows them";

/// Checks what of the workload the platform would not take.
fn check_workload(input: &TargetInput<'_>, problems: &mut Problems) {
    if let Some(Pull::Kept(identity)) = &input.workload.pull
        && !is_identity(identity)
    {
        let message = "`pull` names no managed identity";
        problems.report_with_hint(input.place_of_pull(), message, IDENTITY_HINT);
    }
    let mut names = std::collections::BTreeMap::new();
    for (variable, secret) in &input.workload.secrets {
        if let Some(other) = names.insert(secret_name(variable), variable) {
            let message =
                format!("`{other}` and `{variable}` are the same name for a secret there");
            let hint = "names differ in more than case and `_`: rename one";
            problems.report_with_hint(input.place_of(variable), message, hint);
        }
        if let SecretValue::Kept(url) = secret
            && !(url.starts_with("https://") && url.contains("/secrets/"))
        {
            let message = format!("`{url}`, for `{variable}`, is no secret in Key Vault");
            let hint = "write `{key_vault: https://VAULT.vault.azure.net/secrets/NAME}`";
            problems.report_with_hint(input.place_of(variable), message, hint);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::config::ParsedFile;
    use crate::deploy::Workload;
    use crate::registry::Secret;
    use crate::sys::Environment;

    fn workload() -> Workload {
        Workload {
            project: "agent".to_owned(),
            environment: "staging".to_owned(),
            name: "agent-staging".to_owned(),
            port: 8080,
            health_path: "/health".to_owned(),
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
            pull: None,
            creates_roles: false,
            places: crate::deploy::Places::default(),
        }
    }

    fn parse(more: &str, workload: &Workload) -> (Option<Settings>, Vec<String>) {
        let subscription = ("AZURE_SUBSCRIPTION_ID", "00000000-0000-0000-0000-000000000001");
        parse_in(&Environment::of([subscription]), more, workload)
    }

    fn parse_in(
        environment: &Environment,
        more: &str,
        workload: &Workload,
    ) -> (Option<Settings>, Vec<String>) {
        let text = format!(
            "target: container-apps\nresource_group: agents\nenvironment_name: production\n{more}"
        );
        let mut problems = Problems::new();
        let file: Arc<str> = "f".into();
        let file = ParsedFile::parse(&text, &file, &mut problems).unwrap();
        let position = &file.root.position;
        let input = TargetInput { settings: &file.root, position, workload, environment };
        let settings = Settings::parse(&input, &mut problems);
        (settings, problems.list().into_iter().map(|problem| problem.message).collect())
    }

    #[test]
    fn what_is_left_out_is_as_holodeck_has_it() {
        let (settings, problems) = parse("", &workload());
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            settings,
            Some(Settings {
                subscription_id: "00000000-0000-0000-0000-000000000001".to_owned(),
                resource_group: "agents".to_owned(),
                environment_name: "production".to_owned(),
                location: None,
                name: "agent-staging".to_owned(),
                cpu_percent: 100,
                memory: "2Gi".to_owned(),
                ingress_external: false,
                min_replicas: 0,
                max_replicas: 10,
                identity: None,
                port: 8080,
                health_check_path: "/health".to_owned(),
                readiness_path: "/health".to_owned(),
                workload_profile: None,
            })
        );
    }

    #[test]
    fn what_the_platform_would_refuse_is_found_first() {
        for (more, expected) in [
            ("cpu: 0.25\nmemory: 0.5Gi", None),
            ("cpu: '2.0'\nmemory: 4Gi", None),
            ("cpu: 8\nmemory: 16Gi\nworkload_profile: D8", None),
            ("identity: system", None),
            ("cpu: 0.5", Some("`memory: 2Gi` does not go with `cpu: 0.5`")),
            ("cpu: 0.3\nmemory: 0.6Gi", Some("`cpu` goes in steps of 0.25 from 0.25 to 4")),
            ("memory: 2048", Some("`2048` is no amount of memory")),
            ("min_replicas: 11", Some("`min_replicas` (11) is more than `max_replicas` (10)")),
            ("name: Agent", Some("`Agent` is no name for a container app")),
            ("name: a--b", Some("`a--b` is no name for a container app")),
            ("identity: puller", Some("this is no managed identity")),
            ("health_check_path: health\nreadiness_path: /", Some("`health` is no path to ask")),
        ] {
            let (settings, problems) = parse(more, &workload());
            assert_eq!(problems, Vec::from_iter(expected), "{more}");
            assert_eq!(settings.is_some(), expected.is_none(), "{more}");
        }
    }

    #[test]
    fn the_subscription_is_that_of_the_config_or_else_that_of_the_caller() {
        let [one, two] = ["1", "2"].map(|end| format!("00000000-0000-0000-0000-00000000000{end}"));
        let here = Environment::of([("AZURE_SUBSCRIPTION_ID", &one)]);
        let nowhere = Environment::of([("AZURE_CONFIG_DIR", "/nowhere")]);
        for (environment, more, expected) in [
            (&here, String::new(), Ok(one.as_str())),
            (&here, format!("subscription_id: {two}"), Ok(two.as_str())),
            (&nowhere, String::new(), Err("nothing names the subscription")),
            (
                &nowhere,
                "subscription_id: main".to_owned(),
                Err("`main` is no id of a subscription"),
            ),
        ] {
            let (settings, problems) = parse_in(environment, &more, &workload());
            let found = settings.as_ref().map(|settings| settings.subscription_id.as_str());
            let found = found.ok_or_else(|| problems.join("; "));
            assert_eq!(found, expected.map_err(str::to_owned), "{more}");
        }
    }

    #[test]
    fn every_variable_has_a_secret_of_its_own() {
        let kept = BTreeMap::from([("KEY".into(), SecretValue::Kept("foo".into()))]);
        let (_, problems) = parse("", &Workload { secrets: kept, ..workload() });
        assert_eq!(problems, ["`foo`, for `KEY`, is no secret in Key Vault"]);
        let given = || SecretValue::Given(Secret::new("s"));
        let secrets = BTreeMap::from([("A_KEY".into(), given()), ("a_key".into(), given())]);
        let (_, problems) = parse("", &Workload { secrets, ..workload() });
        assert_eq!(problems, ["`A_KEY` and `a_key` are the same name for a secret there"]);
    }
}
