//! The little that we read of AWS's config files ourselves.

use std::path::PathBuf;

use crate::cloud::Assumed;
use crate::sys::Environment;

/// The region that AWS's own tools would take: `AWS_REGION`, `AWS_DEFAULT_REGION`, then the profile's.
pub fn aws_region(environment: &Environment) -> Option<String> {
    assumed_aws_region(environment).map(|assumed| assumed.value)
}

/// The same, with what names it.
pub fn assumed_aws_region(environment: &Environment) -> Option<Assumed> {
    let of_variable = Assumed::of_variables(environment, &["AWS_REGION", "AWS_DEFAULT_REGION"]);
    of_variable.or_else(|| {
        let file = config_file(environment)?;
        let text = std::fs::read_to_string(&file).ok()?;
        let profile = name(environment);
        let value = setting(&text, profile, "region")?.to_owned();
        let source = format!("the profile `{profile}` of `{}`", file.display());
        Some(Assumed { value, source })
    })
}

/// The profile that is meant.
pub(super) fn name(environment: &Environment) -> &str {
    environment
        .get("AWS_PROFILE")
        .or_else(|| environment.get("AWS_DEFAULT_PROFILE"))
        .unwrap_or("default")
}

/// `AWS_CONFIG_FILE`, else `~/.aws/config`.
pub(super) fn config_file(environment: &Environment) -> Option<PathBuf> {
    file(environment, "AWS_CONFIG_FILE", "config")
}

/// `AWS_SHARED_CREDENTIALS_FILE`, else `~/.aws/credentials`.
pub(super) fn credentials_file(environment: &Environment) -> Option<PathBuf> {
    file(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials")
}

fn file(environment: &Environment, variable: &str, name: &str) -> Option<PathBuf> {
    match environment.get(variable) {
        Some(path) => Some(PathBuf::from(path)),
        None => Some(environment.home()?.join(".aws").join(name)),
    }
}

/// A setting of a profile in the text of a config file.
fn setting<'a>(text: &'a str, profile: &str, name: &str) -> Option<&'a str> {
    let mut is_inside = false;
    let mut found = None;
    for line in text.lines() {
        // What is indented belongs to the setting above it.
        if line.starts_with([' ', '\t', '#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            let section = section.split(']').next().unwrap_or_default().trim();
            let section = section.strip_prefix("profile ").map_or(section, str::trim);
            is_inside = section.trim_matches(['"', '\'']) == profile;
        } else if let Some((key, value)) = line.split_once('=')
            && is_inside
            && key.trim() == name
        {
            found = Some(value.split(" #").next().unwrap_or_default().trim());
        }
    }
    found.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_that_of_the_profile() {
        let text = "[default]\nregion = eu-west-1 # home\ns3 =\n  region = no\n[profile prod]\nregion=us-east-1\n[sso-session x]\nregion=z\n[profile \"a b\"]\nregion = ab\n[empty]\nregion =\n";
        for (profile, expected) in [
            ("default", Some("eu-west-1")),
            ("prod", Some("us-east-1")),
            ("a b", Some("ab")),
            ("empty", None),
            ("x", None),
        ] {
            assert_eq!(setting(text, profile, "region"), expected, "{profile}");
        }
    }

    #[test]
    fn variables_come_first() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, "[default]\nregion=a\n[profile b]\nregion=b\n").unwrap();
        let file = file.to_str().unwrap();
        for (environment, expected) in [
            (Environment::of([("AWS_REGION", "x"), ("AWS_DEFAULT_REGION", "y")]), Some("x")),
            (Environment::of([("AWS_DEFAULT_REGION", "y"), ("AWS_CONFIG_FILE", file)]), Some("y")),
            (Environment::of([("AWS_CONFIG_FILE", file)]), Some("a")),
            (Environment::of([("AWS_CONFIG_FILE", file), ("AWS_PROFILE", "b")]), Some("b")),
            (Environment::of([("AWS_CONFIG_FILE", "/nowhere")]), None),
            (Environment::of([]), None),
        ] {
            assert_eq!(aws_region(&environment).as_deref(), expected);
        }
        for (environment, expected) in [
            (Environment::of([("AWS_DEFAULT_REGION", "y")]), "`AWS_DEFAULT_REGION`".to_owned()),
            (
                Environment::of([("AWS_CONFIG_FILE", file), ("AWS_PROFILE", "b")]),
                format!("the profile `b` of `{file}`"),
            ),
        ] {
            assert_eq!(assumed_aws_region(&environment).unwrap().source, expected);
        }
    }
}
