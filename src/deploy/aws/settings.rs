//! Settings that targets of AWS share, read and checked.

use std::collections::BTreeMap;

use crate::cloud::{assumed_aws_region, aws_region};
use crate::config::schema::{Field, Kind};
use crate::config::{Node, Problems};
use crate::deploy::{Assumption, Pull, SecretValue, TargetInput};

/// The setting `region`.
pub(in crate::deploy) const REGION: Field = Field::optional(
    "region",
    Kind::Text,
    "The region: `eu-west-1`. When absent, that of `AWS_REGION`, `AWS_DEFAULT_REGION` or the profile.",
);

/// Where a target is when `region` does not say it.
pub(in crate::deploy) const ASSUMPTIONS: &[Assumption] =
    &[Assumption { setting: "region", what: "region", find: assumed_aws_region }];

/// The setting `port`.
pub(in crate::deploy) const PORT: Field = Field::optional(
    "port",
    Kind::Integer(1, 65_535),
    "The port that the container listens on: that of the image when absent.",
);

/// The setting `health_check_path`.
pub(in crate::deploy) const HEALTH_CHECK_PATH: Field = Field::optional(
    "health_check_path",
    Kind::Text,
    "What health checks ask: that of the agent, or `/health`, when absent.",
);

/// The `region` of a target: where the config names none, that of AWS's own tools.
pub(in crate::deploy) fn read_region(
    input: &TargetInput<'_>,
    problems: &mut Problems,
) -> Option<String> {
    let node = input.settings.get("region");
    let named = node.map(|node| node.as_text().map(str::to_owned));
    let Some(region) = named.unwrap_or_else(|| aws_region(input.environment)) else {
        if node.is_none() {
            problems.report_with_hint(
                input.position,
                "nothing says in which region of AWS",
                "add `region: eu-west-1`, or set `AWS_REGION` or the region of the profile",
            );
        }
        return None;
    };
    let parts: Vec<_> = region.split('-').collect();
    let is_word =
        |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_region = match &parts[..] {
        [words @ .., last] => {
            words.len() >= 2
                && words.iter().all(is_word)
                && !last.is_empty()
                && last.bytes().all(|byte| byte.is_ascii_digit())
        }
        [] => false,
    };
    if !is_region {
        let message = format!("`{}` is no region of AWS", region.escape_debug());
        problems.report_with_hint(
            node.map_or(input.position, |node| &node.position),
            message,
            "write for instance `region: eu-west-1`",
        );
        return None;
    }
    Some(region)
}

/// A setting that is the ARN of a role.
pub(in crate::deploy) fn read_role(
    settings: &Node,
    name: &str,
    problems: &mut Problems,
) -> Option<String> {
    let node = settings.get(name)?;
    let text = node.as_text()?;
    let is_role = match text.split(':').collect::<Vec<_>>()[..] {
        ["arn", partition, "iam", "", account, resource] => {
            (partition == "aws" || partition.starts_with("aws-"))
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty())
        }
        _ => false,
    };
    if !is_role {
        let message = format!("`{name}` is no ARN of a role: `{}`", text.escape_debug());
        let hint = "write `arn:aws:iam::ACCOUNT:role/NAME`, as `aws iam list-roles` shows it";
        problems.report_with_hint(&node.position, message, hint);
        return None;
    }
    Some(text.to_owned())
}

/// A setting that is a whole number, or what it is when it is absent.
pub(in crate::deploy) fn read_number(settings: &Node, name: &str, absent: u32) -> u32 {
    let number = settings.get(name).and_then(Node::as_integer);
    number.and_then(|number| u32::try_from(number).ok()).unwrap_or(absent)
}

/// The `health_check_path` of a target, else that of the agent.
pub(in crate::deploy) fn read_health_path(
    input: &TargetInput<'_>,
    problems: &mut Problems,
) -> String {
    let TargetInput { settings, workload, .. } = *input;
    let path = settings.get_text("health_check_path").unwrap_or(&workload.health_path);
    if !path.starts_with('/') {
        let node = settings.get("health_check_path").unwrap_or(settings);
        problems.report(&node.position, "`health_check_path` begins with `/`");
    }
    path.to_owned()
}

/// `auto_scaling_min` and `auto_scaling_max`: 1 to 5 when they are absent.
pub(in crate::deploy) fn read_scaling_range(
    settings: &Node,
    problems: &mut Problems,
) -> Option<(u32, u32)> {
    let min = read_number(settings, "auto_scaling_min", 1);
    let max = read_number(settings, "auto_scaling_max", 5);
    if min > max {
        let node = settings.get("auto_scaling_max").or_else(|| settings.get("auto_scaling_min"));
        let position = &node.unwrap_or(settings).position;
        let message = format!("`auto_scaling_min` is {min}, and `auto_scaling_max` only {max}");
        problems.report_with_hint(position, message, "raise `auto_scaling_max`");
        return None;
    }
    Some((min, max))
}

/// The processor and memory of a target: `cpu` in virtual processors and `memory` in MB, as one of the
/// pairs that there are. Gives units of a thousandth of a processor, 1024 to each, and MB.
pub(in crate::deploy) fn read_size(
    settings: &Node,
    platform: &str,
    pairs: &BTreeMap<u32, Vec<u32>>,
    problems: &mut Problems,
) -> Option<(u32, u32)> {
    let cpu = settings.get_text("cpu").unwrap_or("1");
    let units = cpu_units(cpu)?;
    let memory_mb = read_number(settings, "memory", 2048);
    let memories = pairs.get(&units)?;
    if !memories.contains(&memory_mb) {
        let node = settings.get("memory").or_else(|| settings.get("cpu")).unwrap_or(settings);
        let memories: Vec<_> = memories.iter().map(u32::to_string).collect();
        problems.report_with_hint(
            &node.position,
            format!("{platform} has no {memory_mb} MB of memory with {cpu} vCPU"),
            format!("with `cpu: {cpu}` there is `memory`: {}", memories.join(", ")),
        );
        return None;
    }
    Some((units, memory_mb))
}

fn cpu_units(cpu: &str) -> Option<u32> {
    match cpu {
        "0.25" => Some(256),
        "0.5" => Some(512),
        whole => whole.parse::<u32>().ok()?.checked_mul(1024),
    }
}

/// Reports references to secrets that are not in Secrets Manager.
pub(in crate::deploy) fn check_secrets(input: &TargetInput<'_>, problems: &mut Problems) {
    let secrets = input.workload.secrets.iter().filter_map(|(name, value)| match value {
        SecretValue::Kept(reference) => Some((name.as_str(), reference, input.place_of(name))),
        SecretValue::Given(_) | SecretValue::Unset => None,
    });
    let pull = input.workload.pull.as_ref().and_then(|pull| match pull {
        Pull::Kept(reference) => Some(("pull", reference, input.place_of_pull())),
        Pull::Password { .. } => None,
    });
    for (name, reference, position) in secrets.chain(pull) {
        let parts: Vec<_> = reference.split(':').collect();
        let is_arn = matches!(parts[..], ["arn", _, "secretsmanager", _, _, "secret", _, ..]);
        if !is_arn {
            let message = format!("`{name}` is at no ARN of AWS Secrets Manager");
            let hint = "write `secrets_manager: arn:aws:secretsmanager:…:secret:NAME-xxxxxx`";
            problems.report_with_hint(position, message, hint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::config::Position;
    use crate::sys::Environment;

    #[test]
    fn the_region_of_the_config_comes_before_that_of_awss_own_tools() {
        let named = Environment::of([("AWS_REGION", "eu-north-1")]);
        let wrong = Environment::of([("AWS_DEFAULT_REGION", "Stockholm")]);
        for (setting, environment, expected) in [
            (Some("eu-west-1"), &named, Ok("eu-west-1")),
            (None, &named, Ok("eu-north-1")),
            (None, &wrong, Err("`Stockholm` is no region of AWS")),
            (None, &Environment::default(), Err("nothing says in which region of AWS")),
        ] {
            let position = Position::default();
            let members = setting.map(|region| ("region", Node::text(region, &position)));
            let (settings, workload) = (Node::mapping(members, &position), testing::workload());
            let mut problems = Problems::new();
            let input = TargetInput {
                settings: &settings,
                position: &position,
                workload: &workload,
                environment,
            };
            let region = read_region(&input, &mut problems);
            let problem = problems.list().into_iter().next().map(|problem| problem.message);
            let found = region.ok_or(problem.unwrap_or_default());
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned));
        }
    }
}
