//! Azure Container Apps behind the Resource Manager, in one server: one app with revisions that come up, or do
//! not, after some looks.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::fake::{Call, Fake, Response};
use crate::model::azure::Model;

/// Where the app is.
pub(crate) const GROUP: &str =
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/agents";
const PROVIDER: &str = "/providers/Microsoft.App";

/// The state.
#[derive(Debug)]
pub(crate) struct ContainerApps {
    model: Model,
    /// Where it is, for the URLs of operations.
    pub(crate) url: String,
    /// Whether the subscription may use it at all.
    pub(crate) is_registered: bool,
    /// The location of each environment.
    pub(crate) environments: BTreeMap<String, String>,
    /// The only app.
    pub(crate) app: Option<App>,
    /// How many looks find what was begun still going on.
    pub(crate) looks: u32,
    /// How the next revision ends.
    pub(crate) ending: Ending,
    /// What the container prints.
    pub(crate) printed: String,
    operations: Vec<Operation>,
}

/// How a revision ends.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ending {
    /// It runs.
    Well,
    /// It runs nothing, since nobody asks.
    AtZero,
    /// The app is provisioned well, and its container does not stay alive.
    Crashing,
    /// There never is a revision: the operation says why.
    Refused(String),
    /// The revision is there and failed: the operation says why, and it does.
    Unprovisioned(String),
}

/// An app.
#[derive(Debug, Clone, Default)]
pub(crate) struct App {
    /// What was written, without values of secrets.
    pub(crate) written: Value,
    /// The values of its secrets.
    pub(crate) secrets: BTreeMap<String, String>,
    /// The oldest first.
    pub(crate) revisions: Vec<Revision>,
    ready: Option<String>,
    /// How many looks are left.
    left: u32,
    next: Option<Revision>,
    has_failed: bool,
    is_leaving: bool,
}

/// A revision.
#[derive(Debug, Clone)]
pub(crate) struct Revision {
    pub(crate) name: String,
    pub(crate) template: Value,
    pub(crate) ending: Ending,
    is_active: bool,
}

#[derive(Debug)]
struct Operation {
    error: Option<Value>,
}

impl ContainerApps {
    /// An environment without apps; what is begun is done at the second look.
    pub(crate) fn new() -> Self {
        Self {
            model: Model::load(),
            url: String::new(),
            is_registered: true,
            environments: BTreeMap::from([("production".to_owned(), "West Europe".to_owned())]),
            app: None,
            looks: 1,
            ending: Ending::Well,
            printed: String::new(),
            operations: Vec::new(),
        }
    }

    /// The app, which is there.
    pub(crate) fn app(&mut self) -> &mut App {
        self.app.as_mut().unwrap()
    }

    /// Has an app that somebody else made.
    pub(crate) fn adopt(&mut self, name: &str, written: Value) {
        let mut app = App::default();
        app.change(name, written, &Ending::Well).unwrap();
        app.look();
        self.app = Some(app);
    }

    fn put(&mut self, call: &Call) -> Response {
        let (body, name) = (call.json(), call.path.rsplit('/').next().unwrap().to_owned());
        if !self.is_registered {
            let message = "The subscription is not registered to use namespace 'Microsoft.App'. See \
                           https://aka.ms/rps-not-found for how to register subscriptions.";
            return error(409, "MissingSubscriptionRegistration", message);
        }
        let before = self.app.take();
        let is_new = before.is_none();
        let mut app = before.clone().unwrap_or_default();
        let refused = app.change(&name, body, &self.ending);
        if let Err(refused) = refused {
            self.app = before;
            return refused;
        }
        app.left = self.looks;
        let error = match &self.ending {
            Ending::Refused(message) | Ending::Unprovisioned(message) => {
                Some(json!({"code": "ContainerAppOperationError", "message": message}))
            }
            _ => None,
        };
        self.ending = Ending::Well;
        self.operations.push(Operation { error });
        let number = self.operations.len() - 1;
        let subscription = GROUP.split("/resourceGroups").next().unwrap();
        let url = format!(
            "{}{subscription}{PROVIDER}/locations/westeurope/containerappOperationStatuses/{number}\
             ?api-version=2026-01-01",
            self.url
        );
        let document = app.document(&name);
        self.app = Some(app);
        let mut response = Response::json(if is_new { 201 } else { 200 }, &document);
        response.headers.push(("azure-asyncoperation".to_owned(), url));
        response
    }

    fn operation(&self, number: &str) -> Response {
        let operation = &self.operations[number.parse::<usize>().unwrap()];
        let is_running = self.app.as_ref().is_some_and(|app| app.left > 0);
        Response::json(
            200,
            &match &operation.error {
                _ if is_running => json!({"name": number, "status": "InProgress"}),
                Some(error) => json!({"name": number, "status": "Failed", "error": error}),
                None => json!({"name": number, "status": "Succeeded"}),
            },
        )
    }

    /// What is told of the app by the path below its own.
    fn of_app(&mut self, call: &Call, name: &str, below: &[&str]) -> Response {
        if (call.method.as_str(), below) == ("PUT", &[]) {
            return self.put(call);
        }
        let Some(app) = &mut self.app else {
            let message = format!(
                "The Resource 'Microsoft.App/containerApps/{name}' under resource group 'agents' was not \
                 found."
            );
            return error(404, "ResourceNotFound", &message);
        };
        match (call.method.as_str(), below) {
            ("GET", []) => {
                app.look();
                let document = app.document(name);
                if app.is_leaving && app.left == 0 {
                    self.app = None;
                }
                Response::json(200, &document)
            }
            ("DELETE", []) => {
                app.is_leaving = true;
                app.left = self.looks + 1;
                Response::json(202, &Value::Null)
            }
            ("POST", ["listSecrets"]) => {
                let secrets = app.secrets.iter();
                let secrets = secrets.map(|(name, value)| json!({"name": name, "value": value}));
                Response::json(200, &json!({"value": secrets.collect::<Vec<_>>()}))
            }
            ("POST", ["getAuthtoken"]) => {
                Response::json(200, &json!({"properties": {"token": "canary-log-token"}}))
            }
            ("POST", ["start"]) => {
                app.written["stopped"] = Value::Null;
                Response::json(202, &Value::Null)
            }
            ("POST", ["revisions", revision, "activate"]) => {
                let revision = app.revisions.iter_mut().find(|other| other.name == *revision);
                revision.unwrap().is_active = true;
                Response::json(200, &Value::Null)
            }
            ("GET", ["revisions"]) => {
                let revisions = app.revisions.iter().enumerate();
                let documents: Vec<_> =
                    revisions.map(|(place, revision)| revision.document(place)).collect();
                Response::json(200, &json!({"value": documents}))
            }
            ("GET", ["revisions", revision, "replicas"]) => {
                let revision = app.revisions.iter().find(|other| other.name == *revision).unwrap();
                Response::json(200, &json!({"value": revision.replicas(&self.url)}))
            }
            _ => error(405, "MethodNotAllowed", "no"),
        }
    }
}

impl App {
    /// Takes what should be, or refuses it.
    fn change(&mut self, name: &str, mut body: Value, ending: &Ending) -> Result<(), Response> {
        if self.left > 0 {
            let message = format!(
                "Cannot modify a container app '{name}' because there is an active provisioning operation \
                 in progress."
            );
            return Err(error(409, "ContainerAppOperationInProgress", &message));
        }
        let mut secrets = BTreeMap::new();
        let entries = body.pointer_mut("/properties/configuration/secrets");
        for secret in entries.and_then(Value::as_array_mut).into_iter().flatten() {
            let value = secret.as_object_mut().unwrap().remove("value");
            let name = secret["name"].as_str().unwrap().to_owned();
            match (value, secret["keyVaultUrl"].as_str()) {
                (Some(Value::String(value)), _) => drop(secrets.insert(name, value)),
                (_, Some(_)) => drop(secrets.insert(name, String::new())),
                _ => {
                    let message = format!("Invalid secret: '{name}' has no value.");
                    return Err(error(400, "ContainerAppSecretInvalid", &message));
                }
            }
        }
        let template = &body["properties"]["template"];
        let named = |template: &Value| -> Vec<String> {
            let containers = template["containers"].as_array().cloned().unwrap_or_default();
            let env = containers
                .iter()
                .flat_map(|one| one["env"].as_array().cloned().unwrap_or_default());
            env.filter_map(|entry| entry["secretRef"].as_str().map(str::to_owned)).collect()
        };
        let used = self.revisions.iter().flat_map(|revision| named(&revision.template));
        for name in named(template).into_iter().chain(used) {
            if !secrets.contains_key(&name) {
                let message = format!("The secret '{name}' is used and cannot be left out.");
                return Err(error(400, "ContainerAppSecretInvalid", &message));
            }
        }
        let suffix = template["revisionSuffix"].as_str().map(str::to_owned);
        let suffix = suffix.unwrap_or_else(|| format!("auto{}", self.revisions.len()));
        let revision = format!("{name}--{suffix}");
        let same = self.revisions.iter().find(|other| other.name == revision);
        if let Some(same) = same
            && same.template != *template
        {
            let message = format!(
                "Field 'template.revisionsuffix' is invalid with details: 'Invalid value: \"{suffix}\": \
                 revision with suffix {suffix} already exists.'"
            );
            return Err(error(400, "ContainerAppInvalidRevisionSuffix", &message));
        }
        if same.is_none() {
            self.next = Some(Revision {
                name: revision,
                template: template.clone(),
                ending: ending.clone(),
                is_active: true,
            });
        }
        self.secrets = secrets;
        self.written = body;
        Ok(())
    }

    /// Time goes on.
    fn look(&mut self) {
        if self.left > 0 {
            self.left -= 1;
            return;
        }
        let Some(next) = self.next.take() else { return };
        self.has_failed = matches!(next.ending, Ending::Refused(_) | Ending::Unprovisioned(_));
        if matches!(next.ending, Ending::Refused(_)) {
            return;
        }
        if !self.has_failed && next.ending != Ending::Crashing {
            self.ready = Some(next.name.clone());
            self.revisions.iter_mut().for_each(|revision| revision.is_active = false);
        }
        self.revisions.push(next);
    }

    fn document(&self, name: &str) -> Value {
        let state = match () {
            () if self.is_leaving => "Deleting",
            () if self.left > 0 || self.next.is_some() => "InProgress",
            () if self.has_failed => "Failed",
            () => "Succeeded",
        };
        let mut app = self.written.clone();
        let is_stopped = app["stopped"] == true;
        app.as_object_mut().unwrap().remove("stopped");
        app["id"] = format!("{GROUP}{PROVIDER}/containerapps/{name}").into();
        app["name"] = name.into();
        app["type"] = "Microsoft.App/containerApps".into();
        app["systemData"] = json!({"createdBy": "bob@acme.com"});
        let users = app["identity"]["userAssignedIdentities"].as_object_mut();
        for user in users.into_iter().flatten().map(|(_, user)| user) {
            *user = json!({"principalId": "p", "clientId": "c"});
        }
        if app["identity"]["type"].is_null() {
            app["identity"] = json!({"type": "None"});
        } else {
            app["identity"]["principalId"] = "p".into();
        }
        let properties = &mut app["properties"];
        let environment =
            [&properties["environmentId"], &properties["managedEnvironmentId"]].map(Value::clone);
        let environment = environment.into_iter().find(Value::is_string).unwrap();
        properties["environmentId"] = environment.clone();
        properties["managedEnvironmentId"] = environment;
        properties["provisioningState"] = state.into();
        properties["runningStatus"] = if is_stopped { "Stopped" } else { "Running" }.into();
        properties["latestRevisionName"] =
            self.revisions.last().map(|revision| revision.name.clone()).into();
        properties["latestReadyRevisionName"] = self.ready.clone().into();
        properties["outboundIpAddresses"] = json!(["20.0.0.1"]);
        properties["configuration"]["ingress"]["fqdn"] =
            format!("{name}.nice-1234.westeurope.azurecontainerapps.io").into();
        properties["configuration"]["ingress"]["customDomains"]
            .as_array_mut()
            .into_iter()
            .flatten()
            .for_each(|domain| domain["certificateId"] = "/c".into());
        properties["configuration"]["dapr"] = Value::Null;
        for container in properties["template"]["containers"].as_array_mut().into_iter().flatten() {
            container["resources"]["ephemeralStorage"] = "4Gi".into();
        }
        app
    }
}

impl Revision {
    fn document(&self, place: usize) -> Value {
        let (running, health, replicas) = match self.ending {
            Ending::AtZero => ("ScaledToZero", "None", 0),
            // Of a revision that was switched off, nothing tells whether it ever was well.
            _ if !self.is_active => ("Stopped", "None", 0),
            Ending::Crashing => ("Processing", "Unhealthy", 1),
            Ending::Unprovisioned(_) => ("Failed", "None", 0),
            _ => ("Running", "Healthy", 1),
        };
        let (provisioning, error) = match &self.ending {
            Ending::Unprovisioned(message) => ("Failed", Some(message)),
            _ => ("Provisioned", None),
        };
        json!({
            "name": self.name,
            "properties": {
                "createdTime": format!("2026-11-21T10:{:02}:{:02}+00:00", place / 60, place % 60),
                "active": self.is_active,
                "provisioningState": provisioning,
                "provisioningError": error,
                "runningState": running,
                "healthState": health,
                "replicas": replicas,
                "template": self.template,
            },
        })
    }

    fn replicas(&self, url: &str) -> Value {
        let mut container = json!({
            "name": "agent",
            "runningState": "Running",
            "runningStateDetails": "",
            "restartCount": 0,
            "logStreamEndpoint": format!("{url}/logstream"),
        });
        match self.ending {
            Ending::AtZero => return json!([]),
            Ending::Crashing => {
                container["runningState"] = "Waiting".into();
                container["runningStateDetails"] = "CrashLoopBackOff, exit code 1".into();
                container["restartCount"] = 3.into();
            }
            _ => {}
        }
        json!([{"name": format!("{}-1", self.name), "properties": {"containers": [container]}}])
    }
}

impl Fake for ContainerApps {
    fn validate(&self, call: &Call) -> Vec<String> {
        if call.path == "/logstream" {
            let is_right = call.header("authorization") == Some("Bearer canary-log-token");
            return Vec::from_iter((!is_right).then(|| "the token is another".to_owned()));
        }
        self.model.validate(call)
    }

    fn answer(&mut self, call: &Call) -> Response {
        if call.path == "/logstream" {
            let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
            return Response { status: 200, headers, body: self.printed.clone().into() };
        }
        let (_, path) = call.path.split_once("/providers/Microsoft.App/").unwrap();
        let parts: Vec<_> = path.split('/').collect();
        match parts[..] {
            ["containerApps", name, ref below @ ..] => {
                let name = name.to_owned();
                let below = below.to_vec();
                self.of_app(call, &name, &below)
            }
            ["managedEnvironments"] => {
                let names = self.environments.keys().map(|name| json!({"name": name}));
                Response::json(200, &json!({"value": names.collect::<Vec<_>>()}))
            }
            ["managedEnvironments", name] => match self.environments.get(name) {
                Some(location) => Response::json(200, &json!({"name": name, "location": location})),
                None => error(404, "ResourceNotFound", "The Resource was not found."),
            },
            ["locations", _, _, number] => self.operation(number),
            _ => error(404, "InvalidResourceType", "no"),
        }
    }
}

/// An error as the Resource Manager writes it.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Response {
    Response::json(status, &json!({"error": {"code": code, "message": message}}))
}
