//! `deployment.target` as the one environment of an agent.

use std::collections::BTreeMap;

use super::variables;
use crate::config::{EnvironmentSpec, Key, Node, Problem, TargetSpec, Template, Value};

/// Which of our targets HoloDeck means by a provider, under whose name its settings stand, and what of them has
/// to be there.
const PROVIDERS: [(&str, &str, &str); 3] = [
    ("aws", "app-runner", "region: us-east-1"),
    ("gcp", "cloud-run", "project_id: my-project"),
    (
        "azure",
        "container-apps",
        "subscription_id: 00000000-0000-0000-0000-000000000000, resource_group: my-group, \
         environment_name: my-environment",
    ),
];
/// Its name; services of it are named like the agent, as HoloDeck names them.
const ENVIRONMENT: &str = "default";

/// The environment that `deployment` describes, when it says where.
pub(super) fn environment(deployment: &Node) -> Option<EnvironmentSpec> {
    let target = deployment.get("target")?;
    let provider = target.get("provider")?;
    let (name, kind, needed) =
        PROVIDERS.iter().find(|(name, ..)| provider.as_text() == Some(name))?;
    let own = target.get(name);
    let place = own.unwrap_or(target);
    // HoloDeck itself refuses it; the image can be built all the same.
    let problem = own.is_none().then(|| Problem {
        position: provider.position.clone(),
        message: format!("`provider: {name}` stands without `{name}`"),
        hint: Some(format!("add `{name}: {{{needed}}}` beside `provider`")),
    });
    let mut settings = own.map(|own| own.members().to_vec()).unwrap_or_default();
    let key = Key { text: "target".to_owned(), position: provider.position.clone() };
    settings.push((key, Node::text(*kind, &provider.position)));
    Some(EnvironmentSpec {
        name: ENVIRONMENT.to_owned(),
        position: target.position.clone(),
        targets: vec![TargetSpec {
            kind: (*kind).to_owned(),
            kind_position: provider.position.clone(),
            settings: Node { value: Value::Mapping(settings), position: place.position.clone() },
            problem,
        }],
        env: env(deployment),
        secrets: BTreeMap::new(),
        pull: None,
        creates_roles: false,
    })
}

/// The variables whose values are known only where the agent is deployed; the others are in the image. What
/// their values are made of is given, too: HoloDeck reads the file again when the agent starts.
fn env(deployment: &Node) -> BTreeMap<String, Template> {
    let members = deployment.get("environment").into_iter().flat_map(Node::members);
    let mut variables = BTreeMap::new();
    let mut parts = BTreeMap::new();
    for (key, value) in members {
        let Some(text) = value.as_text().filter(|text| text.contains("${")) else { continue };
        for name in variables::names(text) {
            let text = format!("${{{name}}}");
            parts.insert(name, Template { text, position: value.position.clone() });
        }
        let template = Template { text: template(text), position: value.position.clone() };
        variables.insert(key.text.clone(), template);
    }
    parts.extend(variables);
    parts
}

/// HoloDeck replaces `${NAME}` alone; any other `$` is itself.
fn template(text: &str) -> String {
    let mut template = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        template.push_str(before);
        template.push_str(if after.starts_with('{') { "$" } else { "$$" });
        rest = after;
    }
    template.push_str(rest);
    template
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::format::testing::read;

    #[test]
    fn a_deployment_is_an_environment_with_holodecks_settings() {
        let text = "name: a\nmodel: {provider: openai}\ninstructions: {inline: x}\ndeployment:\n  \
            target: {provider: gcp, gcp: {project_id: p, memory: 1Gi}}\n  \
            environment: {A: b, K: '$x ${KEY}'}\n";
        let (config, problems) = read("holodeck", text, BTreeMap::new());
        assert_eq!(problems, [""; 0]);
        let [environment] = &config.unwrap().environments[..] else { panic!("one environment") };
        assert_eq!(environment.name, "default");
        let [target] = &environment.targets[..] else { panic!("one target") };
        assert_eq!(target.kind, "cloud-run");
        let settings: Vec<_> = target
            .settings
            .members()
            .iter()
            .map(|(key, node)| (&*key.text, node.as_text()))
            .collect();
        assert_eq!(
            settings,
            [("project_id", Some("p")), ("memory", Some("1Gi")), ("target", Some("cloud-run"))]
        );
        let env: Vec<_> =
            environment.env.iter().map(|(name, text)| (&**name, &*text.text)).collect();
        assert_eq!(env, [("K", "$$x ${KEY}"), ("KEY", "${KEY}")]);
    }
}
