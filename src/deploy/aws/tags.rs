//! Tags in the two spellings of AWS: `Key` and `Value`, or `key` and `value`; and those of a service.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::PlannedSecrets;
use crate::cloud::{ECS, Request, Service};
use crate::deploy::{DeployPlan, Ownership, Step};
use crate::oci::Digest;

/// The tag that changes whenever the value of a secret does.
const SECRETS: &str = "dockless-secrets";

/// The tags that a service should have: whose it is, what was deployed, and with which secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::deploy) struct ServiceTags(BTreeMap<String, String>);

/// A service that is there, as something that has tags.
#[derive(Debug, Clone, Copy)]
pub(in crate::deploy) struct Tagged<'a> {
    /// Whose service it is.
    pub(in crate::deploy) service: &'static Service,
    /// The region that it is in.
    pub(in crate::deploy) region: &'a str,
    /// Its name, for people.
    pub(in crate::deploy) name: &'a str,
    /// Its ARN, as AWS told it.
    pub(in crate::deploy) arn: &'a Value,
    /// The tags that it has.
    pub(in crate::deploy) tags: &'a Value,
}

impl ServiceTags {
    /// Of a service that is deployed.
    pub(in crate::deploy) fn new(ownership: &Ownership, secrets: &PlannedSecrets) -> Self {
        let secrets = Some((SECRETS, secrets.revision.as_str()));
        let secrets = secrets.filter(|(_, revision)| !revision.is_empty());
        let tags = ownership.tags().into_iter().chain(secrets);
        Self(tags.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// Of a service that goes back to an image, with these tags: all but the image stays.
    pub(in crate::deploy) fn of_return(ownership: &Ownership, image: &str, tags: &Value) -> Self {
        let digest = image.rsplit_once('@').and_then(|(_, digest)| digest.parse::<Digest>().ok());
        let image_digest = digest.map(|digest| digest.hex());
        let secrets =
            PlannedSecrets { revision: secrets_revision(tags).to_owned(), ..Default::default() };
        Self::new(&Ownership { image_digest, ..ownership.clone() }, &secrets)
    }

    /// The tags, by key.
    pub(in crate::deploy) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Writes the tags that differ. That comes last: they tell what was deployed, not what was tried, and
    /// some services take none while they are updated.
    pub(in crate::deploy) fn plan(&self, there: Tagged<'_>, plan: &mut DeployPlan) {
        let Tagged { service, region, name, arn, tags } = there;
        let is_small = service == &ECS;
        let step = |title: &str, operation, member: [&str; 2], value: Value| {
            let [resource, member] =
                if is_small { ["resourceArn", member[0]] } else { ["ResourceArn", member[1]] };
            let body = json!({resource: arn, member: value});
            let request = Request::call(service, region, operation, body);
            Step::new(format!("{title} the service `{name}`"), request)
        };
        let is_there = |(key, value): &(&str, &str)| find_tag(tags, key) == Some(value);
        let lacking: Vec<_> = self.pairs().filter(|tag| !is_there(tag)).collect();
        if !lacking.is_empty() {
            let lacking = if is_small { small_tags(lacking) } else { capital_tags(lacking) };
            plan.steps.push(step("tag", "TagResource", ["tags", "Tags"], lacking));
        }
        if !self.0.contains_key(SECRETS) && find_tag(tags, SECRETS).is_some() {
            let keys = json!([SECRETS]);
            plan.steps.push(step("untag", "UntagResource", ["tagKeys", "TagKeys"], keys));
        }
    }
}

/// With which secrets a service with these tags was deployed.
pub(in crate::deploy) fn secrets_revision(tags: &Value) -> &str {
    find_tag(tags, SECRETS).unwrap_or_default()
}

/// As most services write tags.
pub(in crate::deploy) fn capital_tags<'a>(
    tags: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Value {
    tags.into_iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

/// As ECS writes tags.
pub(in crate::deploy) fn small_tags<'a>(
    tags: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Value {
    tags.into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

/// The value of a tag in a list of either spelling.
pub(in crate::deploy) fn find_tag<'a>(tags: &'a Value, key: &str) -> Option<&'a str> {
    let text = |tag: &'a Value, names: [&str; 2]| {
        names.into_iter().find_map(|name| tag.get(name)).and_then(Value::as_str)
    };
    let tag = super::members(tags).find(|tag| text(tag, ["Key", "key"]) == Some(key))?;
    text(tag, ["Value", "value"])
}
