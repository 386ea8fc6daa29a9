//! One function of the fake.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{ACCOUNT, REGION, Refusal, TIME, not_found};

/// One function.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    /// The configuration of `$LATEST`.
    pub(crate) latest: Value,
    /// Its image.
    pub(crate) image: String,
    /// The published versions, each with its image.
    pub(crate) versions: Vec<(Value, String)>,
    pub(crate) aliases: BTreeMap<String, Alias>,
    /// By qualifier, empty for `$LATEST`.
    pub(crate) urls: BTreeMap<String, Value>,
    /// The statements, by qualifier.
    pub(crate) policies: BTreeMap<String, Vec<Value>>,
    pub(crate) tags: Map<String, Value>,
    pub(crate) concurrency: Option<i64>,
    /// What goes on, and how it will end.
    ending: Option<Ending>,
    /// How many reads the newest version still takes.
    version_reads: u32,
}

/// An alias.
#[derive(Debug, Clone)]
pub(crate) struct Alias {
    pub(crate) version: String,
    pub(crate) weights: Map<String, Value>,
    description: Value,
    pub(super) revision: Value,
}

/// How something that goes on will end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    /// After how many reads.
    pub(super) reads: u32,
    /// Code and reason, when badly.
    pub(super) bad: Option<(&'static str, &'static str)>,
}

impl Function {
    pub(super) fn create(name: &str, members: &Value, revision: Value, ending: Ending) -> Self {
        let image = members["Code"]["ImageUri"].as_str().unwrap().to_owned();
        let mut latest = json!({
            "FunctionName": name,
            "FunctionArn": arn(name),
            "CodeSha256": code_of(&image),
            "CodeSize": 0,
            "Version": "$LATEST",
            "LastModified": TIME,
            "PackageType": "Image",
            "Architectures": ["x86_64"],
            "MemorySize": 128,
            "Timeout": 3,
            "EphemeralStorage": {"Size": 512},
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": format!("/aws/lambda/{name}")},
        });
        let own =
            ["Role", "Architectures", "MemorySize", "Timeout", "EphemeralStorage", "Environment"];
        take(&mut latest, members, &own);
        let mut function = Self {
            latest,
            image,
            versions: Vec::new(),
            aliases: BTreeMap::new(),
            urls: BTreeMap::new(),
            policies: BTreeMap::new(),
            tags: members["Tags"].as_object().cloned().unwrap_or_default(),
            concurrency: None,
            ending: None,
            version_reads: 0,
        };
        function.latest["State"] = "Pending".into();
        function.latest["StateReasonCode"] = "Creating".into();
        function.latest["StateReason"] = "The function is being created.".into();
        function.begin(revision, ending);
        function
    }

    /// The configuration of `$LATEST` as it is now.
    pub(super) fn now(&self) -> Value {
        self.latest.clone()
    }

    pub(super) fn describe(&mut self, qualifier: Option<&str>) -> Result<Value, Refusal> {
        let configuration = self.configuration(qualifier)?;
        let image = match self.version(qualifier)? {
            Some(version) => self.versions[version].1.clone(),
            None => self.image.clone(),
        };
        let mut answer = json!({
            "Configuration": configuration,
            "Code": {"RepositoryType": "ECR", "ImageUri": image, "ResolvedImageUri": image},
        });
        if qualifier.is_none() {
            answer["Tags"] = self.tags.clone().into();
            if let Some(concurrency) = self.concurrency {
                answer["Concurrency"] = json!({"ReservedConcurrentExecutions": concurrency});
            }
        }
        Ok(answer)
    }

    /// A configuration; what goes on there comes nearer to its end.
    pub(super) fn configuration(&mut self, qualifier: Option<&str>) -> Result<Value, Refusal> {
        let Some(version) = self.version(qualifier)? else {
            let now = self.now();
            self.advance();
            return Ok(now);
        };
        let mut configuration = self.versions[version].0.clone();
        let is_newest = version + 1 == self.versions.len();
        if is_newest && self.version_reads > 0 {
            self.version_reads -= 1;
            configuration["State"] = "Pending".into();
            configuration["StateReasonCode"] = "Creating".into();
        }
        Ok(configuration)
    }

    pub(super) fn list_versions(&self) -> Value {
        let brief = |configuration: &Value| {
            let mut configuration = configuration.clone();
            for left_out in ["State", "StateReason", "StateReasonCode", "LastUpdateStatus"] {
                configuration.as_object_mut().unwrap().remove(left_out);
            }
            configuration
        };
        let versions = self.versions.iter().map(|(configuration, _)| brief(configuration));
        let all: Vec<_> = std::iter::once(brief(&self.latest)).chain(versions).collect();
        json!({"Versions": all})
    }

    pub(super) fn update_code(
        &mut self,
        members: &Value,
        revision: Value,
        ending: Ending,
    ) -> Result<Value, Refusal> {
        self.check_free(members)?;
        // What fails leaves the function as it was.
        if ending.bad.is_none() {
            members["ImageUri"].as_str().unwrap().clone_into(&mut self.image);
            self.latest["CodeSha256"] = code_of(&self.image).into();
            take(&mut self.latest, members, &["Architectures"]);
        }
        Ok(self.update(revision, ending))
    }

    pub(super) fn update_configuration(
        &mut self,
        members: &Value,
        revision: Value,
        ending: Ending,
    ) -> Result<Value, Refusal> {
        self.check_free(members)?;
        let own = ["Role", "MemorySize", "Timeout", "EphemeralStorage", "Environment"];
        take(&mut self.latest, members, &own);
        if let Some(image_config) = members.get("ImageConfig") {
            self.latest["ImageConfigResponse"] = json!({"ImageConfig": image_config});
        }
        Ok(self.update(revision, ending))
    }

    pub(super) fn publish(&mut self, members: &Value, ending: Ending) -> Result<Value, Refusal> {
        self.check_free(members)?;
        if members["CodeSha256"].as_str().is_some_and(|code| self.latest["CodeSha256"] != code) {
            let message = "CodeSHA256 is different from current CodeSHA256 in $LATEST.";
            return Err((400, "InvalidParameterValueException", message.to_owned()));
        }
        let own = ["Version", "Description", "FunctionArn", "RevisionId"];
        let states = ["State", "StateReason", "StateReasonCode"];
        let content = |configuration: &Value| {
            let mut content = configuration.clone();
            for name in own.into_iter().chain(states) {
                content.as_object_mut().unwrap().remove(name);
            }
            content
        };
        if let Some((newest, _)) = self.versions.last()
            && content(newest) == content(&self.latest)
        {
            return Ok(newest.clone());
        }
        let number = self.versions.len() + 1;
        let mut version = self.latest.clone();
        version["Version"] = number.to_string().into();
        let name = version["FunctionName"].as_str().unwrap();
        version["FunctionArn"] = format!("{}:{number}", arn(name)).into();
        take(&mut version, members, &["Description"]);
        if let Some((code, reason)) = ending.bad {
            version["State"] = "Failed".into();
            version["StateReasonCode"] = code.into();
            version["StateReason"] = reason.into();
        }
        self.version_reads = ending.reads;
        self.versions.push((version.clone(), self.image.clone()));
        Ok(version)
    }

    pub(super) fn alias(&self, alias: &str) -> Result<&Alias, Refusal> {
        self.aliases.get(alias).ok_or_else(|| not_found(alias))
    }

    pub(super) fn create_alias(
        &mut self,
        name: &str,
        members: &Value,
        revision: Value,
    ) -> Result<Value, Refusal> {
        let alias = members["Name"].as_str().unwrap();
        if self.aliases.contains_key(alias) {
            return Err((
                409,
                "ResourceConflictException",
                format!("Alias already exists: {alias}"),
            ));
        }
        let version = members["FunctionVersion"].as_str().unwrap().to_owned();
        self.version(Some(&version))?;
        let description = members["Description"].clone();
        let created = Alias { version, weights: Map::new(), description, revision };
        let document = created.document(name, alias);
        self.aliases.insert(alias.to_owned(), created);
        Ok(document)
    }

    pub(super) fn update_alias(
        &mut self,
        name: &str,
        members: &Value,
        revision: Value,
    ) -> Result<Value, Refusal> {
        let version = members["FunctionVersion"].as_str().unwrap().to_owned();
        self.version(Some(&version))?;
        let alias = members["Name"].as_str().unwrap();
        let there = self.aliases.get_mut(alias).ok_or_else(|| not_found(alias))?;
        check_revision(members, &there.revision)?;
        let weights = members["RoutingConfig"]["AdditionalVersionWeights"].as_object();
        let weights = weights.cloned().unwrap_or_default();
        let description = members.get("Description").unwrap_or(&there.description).clone();
        *there = Alias { version, weights, description, revision };
        Ok(there.document(name, alias))
    }

    pub(super) fn create_url(&mut self, name: &str, members: &Value) -> Result<Value, Refusal> {
        let qualifier = members["Qualifier"].as_str().unwrap();
        self.alias(qualifier)?;
        if self.urls.contains_key(qualifier) {
            return Err((409, "ResourceConflictException", "it has one".to_owned()));
        }
        let mut url = json!({
            "FunctionUrl": format!("https://{}.lambda-url.{REGION}.on.aws/", "u".repeat(40)),
            "FunctionArn": format!("{}:{qualifier}", arn(name)),
            "CreationTime": TIME,
        });
        take(&mut url, members, &["AuthType", "InvokeMode", "Cors"]);
        let answer = url.clone();
        url["LastModifiedTime"] = TIME.into();
        self.urls.insert(qualifier.to_owned(), url);
        Ok(answer)
    }

    pub(super) fn update_url(&mut self, members: &Value) -> Result<Value, Refusal> {
        let qualifier = members["Qualifier"].as_str().unwrap_or("");
        let url = self.urls.get_mut(qualifier).ok_or_else(|| not_found("url"))?;
        take(url, members, &["AuthType", "InvokeMode", "Cors"]);
        Ok(url.clone())
    }

    pub(super) fn add_permission(&mut self, name: &str, members: &Value) -> Result<Value, Refusal> {
        let qualifier = members["Qualifier"].as_str().unwrap_or("");
        let statements = self.policies.entry(qualifier.to_owned()).or_default();
        let id = &members["StatementId"];
        if statements.iter().any(|statement| statement["Sid"] == *id) {
            let message = format!("The statement id ({id}) provided already exists.");
            return Err((409, "ResourceConflictException", message));
        }
        let principal = match members["Principal"].as_str().unwrap() {
            "*" => json!("*"),
            service => json!({"Service": service}),
        };
        let mut statement = json!({
            "Sid": id,
            "Effect": "Allow",
            "Principal": principal,
            "Action": members["Action"],
            "Resource": format!("{}:{qualifier}", arn(name)),
        });
        if let Some(source) = members.get("SourceArn") {
            statement["Condition"] = json!({"ArnLike": {"AWS:SourceArn": source}});
        } else if let Some(auth) = members.get("FunctionUrlAuthType") {
            statement["Condition"] = json!({"StringEquals": {"lambda:FunctionUrlAuthType": auth}});
        } else if members["InvokedViaFunctionUrl"] == true {
            statement["Condition"] = json!({"Bool": {"lambda:InvokedViaFunctionUrl": "true"}});
        }
        statements.push(statement.clone());
        Ok(json!({"Statement": statement.to_string()}))
    }

    pub(super) fn remove_permission(&mut self, members: &Value) -> Result<(), Refusal> {
        let qualifier = members["Qualifier"].as_str().unwrap_or("");
        let statements = self.policies.entry(qualifier.to_owned()).or_default();
        let before = statements.len();
        statements.retain(|statement| statement["Sid"] != members["StatementId"]);
        if statements.len() == before { Err(not_found("statement")) } else { Ok(()) }
    }

    /// The place of a version among the versions; nothing for `$LATEST`.
    fn version(&self, qualifier: Option<&str>) -> Result<Option<usize>, Refusal> {
        let named = match qualifier {
            None | Some("$LATEST") => return Ok(None),
            Some(alias) if self.aliases.contains_key(alias) => &self.aliases[alias].version,
            Some(version) => version,
        };
        let mut versions = self.versions.iter();
        let place = versions.position(|(version, _)| version["Version"] == named);
        place.map(Some).ok_or_else(|| not_found(named))
    }

    fn check_free(&self, members: &Value) -> Result<(), Refusal> {
        if self.ending.is_some() {
            let message =
                "The operation cannot be performed at this time. An update is in progress \
                           for resource"
                    .to_owned();
            return Err((409, "ResourceConflictException", message));
        }
        check_revision(members, &self.latest["RevisionId"])
    }

    fn update(&mut self, revision: Value, ending: Ending) -> Value {
        self.latest["LastUpdateStatus"] = "InProgress".into();
        for member in ["LastUpdateStatusReason", "LastUpdateStatusReasonCode"] {
            self.latest.as_object_mut().unwrap().remove(member);
        }
        self.begin(revision, ending);
        self.now()
    }

    fn begin(&mut self, revision: Value, ending: Ending) {
        self.latest["RevisionId"] = revision;
        self.ending = Some(ending);
        if ending.reads == 0 {
            self.advance();
        }
    }

    fn advance(&mut self) {
        let Some(ending) = &mut self.ending else { return };
        if ending.reads > 0 {
            ending.reads -= 1;
            return;
        }
        let bad = ending.bad;
        self.ending = None;
        let is_new = self.latest["State"] == "Pending";
        let member = if is_new { "State" } else { "LastUpdateStatus" };
        let latest = self.latest.as_object_mut().unwrap();
        if let Some((code, reason)) = bad {
            latest.insert(member.into(), "Failed".into());
            latest.insert(format!("{member}ReasonCode"), code.into());
            latest.insert(format!("{member}Reason"), reason.into());
            return;
        }
        latest.insert("State".into(), "Active".into());
        latest.insert("LastUpdateStatus".into(), "Successful".into());
        for member in ["StateReason", "StateReasonCode"] {
            latest.remove(member);
        }
    }
}

impl Alias {
    pub(super) fn document(&self, name: &str, alias: &str) -> Value {
        let mut document = json!({
            "AliasArn": format!("{}:{alias}", arn(name)),
            "Name": alias,
            "FunctionVersion": self.version,
            "RevisionId": self.revision,
        });
        if !self.description.is_null() {
            document["Description"] = self.description.clone();
        }
        if !self.weights.is_empty() {
            document["RoutingConfig"] = json!({"AdditionalVersionWeights": self.weights});
        }
        document
    }
}

pub(crate) fn arn(name: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}")
}

/// What Lambda says of an image's content.
fn code_of(image: &str) -> String {
    image.rsplit(':').next().unwrap().to_owned()
}

pub(super) fn take(into: &mut Value, from: &Value, names: &[&str]) {
    for name in names {
        if let Some(value) = from.get(name) {
            into[name] = value.clone();
        }
    }
}

fn check_revision(members: &Value, there: &Value) -> Result<(), Refusal> {
    if members.get("RevisionId").is_none_or(|given| given == there) {
        return Ok(());
    }
    let message = "The Revision Id provided does not match the latest Revision Id.";
    Err((412, "PreconditionFailedException", message.to_owned()))
}
