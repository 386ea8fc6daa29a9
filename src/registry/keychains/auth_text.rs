//! Changes one entry in the text of docker's `config.json` and leaves all others as they are written.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::secret::Secret;
use super::auth_file::{canonical, server};

/// What stands for a registry in `auths`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Entry<'a> {
    /// The user name and the password.
    Password(&'a str, &'a Secret),
    /// Nothing: a helper keeps them.
    Elsewhere,
}

/// The text with an entry for a registry in place of those that it has, however they spell it.
///
/// # Errors
///
/// Says why the text cannot be changed; what is in it is not told.
pub(super) fn with_entry(text: &str, registry: &str, entry: Entry<'_>) -> Result<String, String> {
    let value = match entry {
        Entry::Password(username, password) => {
            let pair = BASE64_STANDARD.encode(format!("{username}:{}", password.expose()));
            object(&Members(vec![("auth".into(), raw(quoted(&pair)))]), 2)
        }
        Entry::Elsewhere => "{}".into(),
    };
    let mut config = Members::parse(text)?;
    let mut auths = config.auths()?;
    let known = auths.0.iter().position(|(key, _)| is_for(key, registry));
    let position = known.unwrap_or(auths.0.len());
    auths.0.retain(|(key, _)| !is_for(key, registry));
    auths.0.insert(position, (server(registry).to_owned(), raw(value)));
    config.set_auths(&auths);
    Ok(object(&config, 0))
}

/// The text without any entry for a registry; `None` when there is none.
///
/// # Errors
///
/// As [`with_entry`].
pub(super) fn without_entry(text: &str, registry: &str) -> Result<Option<String>, String> {
    let mut config = Members::parse(text)?;
    let mut auths = config.auths()?;
    let before = auths.0.len();
    auths.0.retain(|(key, _)| !is_for(key, registry));
    if auths.0.len() == before {
        return Ok(None);
    }
    config.set_auths(&auths);
    Ok(Some(object(&config, 0)))
}

/// The members of an object in their order, their values as they are written.
#[derive(Debug, Default)]
struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("it is not valid JSON of this format, line {line} column {column}")
        })
    }

    fn auths(&self) -> Result<Self, String> {
        match self.0.iter().find(|(key, _)| key == "auths") {
            None => Ok(Self::default()),
            Some((_, value)) if value.get() == "null" => Ok(Self::default()),
            Some((_, value)) => serde_json::from_str(value.get())
                .map_err(|_| "its `auths` is not an object".to_owned()),
        }
    }

    fn set_auths(&mut self, auths: &Self) {
        let value = raw(object(auths, 1));
        match self.0.iter_mut().find(|(key, _)| key == "auths") {
            Some((_, old)) => *old = value,
            None => self.0.push(("auths".into(), value)),
        }
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Members::default();
                while let Some(member) = map.next_entry()? {
                    members.0.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// Whether a key is another spelling of the registry; one with a path is for some repositories only.
fn is_for(key: &str, registry: &str) -> bool {
    canonical(key) == canonical(registry)
}

/// Writes an object as docker does: one member per line, indented by tabs.
fn object(members: &Members, depth: usize) -> String {
    if members.0.is_empty() {
        return "{}".into();
    }
    let indent = "\t".repeat(depth);
    let line = |(key, value): &(String, Box<RawValue>)| {
        format!("\n{indent}\t{}: {}", quoted(key), value.get())
    };
    let lines: Vec<_> = members.0.iter().map(line).collect();
    format!("{{{}\n{indent}}}", lines.join(","))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).expect("it was put together from JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged_in(text: &str, registry: &str) -> Result<String, String> {
        with_entry(text, registry, Entry::Password("bob", &Secret::new("a:b")))
    }

    #[test]
    fn an_entry_is_written_as_docker_writes_it() {
        let entry = "{\n\t\t\t\"auth\": \"Ym9iOmE6Yg==\"\n\t\t}";
        for (text, registry, expected) in [
            ("", "r.io", format!("{{\n\t\"auths\": {{\n\t\t\"r.io\": {entry}\n\t}}\n}}")),
            (
                r#"{"auths": null}"#,
                "docker.io",
                format!(
                    "{{\n\t\"auths\": {{\n\t\t\"https://index.docker.io/v1/\": {entry}\n\t}}\n}}"
                ),
            ),
            (
                r#"{"z": {"b":1e400,  "a":2}, "auths": {"https://r.io/v2/": {}, "x.io": {"auth":"eA=="}, "R.io": {}, "r.io/team": {}}, "a": [1,2]}"#,
                "r.io",
                format!(
                    "{{\n\t\"z\": {{\"b\":1e400,  \"a\":2}},\n\t\"auths\": {{\n\t\t\"r.io\": {entry},\n\t\t\"x.io\": {{\"auth\":\"eA==\"}},\n\t\t\"r.io/team\": {{}}\n\t}},\n\t\"a\": [1,2]\n}}"
                ),
            ),
        ] {
            assert_eq!(logged_in(text, registry), Ok(expected.clone()), "{text}");
            assert_eq!(logged_in(&expected, registry), Ok(expected), "{text}");
        }
        assert_eq!(
            with_entry("{}", "r.io", Entry::Elsewhere),
            Ok("{\n\t\"auths\": {\n\t\t\"r.io\": {}\n\t}\n}".into())
        );
    }

    #[test]
    fn all_spellings_of_a_registry_are_removed() {
        let text = r#"{"auths":{"https://r.io":{},"r.io:443":{},"r.io:5000":{}},"k":"v"}"#;
        let expected = "{\n\t\"auths\": {\n\t\t\"r.io:5000\": {}\n\t},\n\t\"k\": \"v\"\n}";
        assert_eq!(without_entry(text, "r.io"), Ok(Some(expected.into())));
        assert_eq!(without_entry(expected, "r.io"), Ok(None));
        assert_eq!(without_entry("", "r.io"), Ok(None));
    }

    #[test]
    fn what_is_damaged_is_not_written_over() {
        for (text, reason) in [
            (
                r#"{"auths":{"r.io":{"auth":"canary"}"#,
                "it is not valid JSON of this format, line 1 column 34",
            ),
            ("[]", "it is not valid JSON of this format, line 1 column 0"),
            (r#"{"auths":["canary"]}"#, "its `auths` is not an object"),
        ] {
            assert_eq!(logged_in(text, "r.io"), Err(reason.into()), "{text}");
            assert_eq!(without_entry(text, "r.io"), Err(reason.into()), "{text}");
        }
    }
}
