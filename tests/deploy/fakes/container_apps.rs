//! Azure Container Apps behind the Resource Manager, in one server: one app with revisions that come up, or do
//! not, after some looks.

mod app;
mod revision;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::app::App;
pub(crate) use self::revision::Ending;
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
    /// The image that somebody else deploys as soon as the next revision is there.
    pub(crate) rival: Option<String>,
    /// What the container prints.
    pub(crate) printed: String,
    operations: Vec<Operation>,
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
            rival: None,
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
            Ending::Taken => {
                let suffix = &app.written["properties"]["template"]["revisionSuffix"];
                let message = taken(suffix.as_str().unwrap());
                Some(json!({"code": "ContainerAppOperationError", "message": message}))
            }
            _ if app.is_lacking => {
                let message = "Operation expired.";
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
                if app.is_settled()
                    && let Some(image) = self.rival.take()
                {
                    let mut body = app.written.clone();
                    let template = &mut body["properties"]["template"];
                    template["containers"][0]["image"] = image.into();
                    template["revisionSuffix"] = "rival".into();
                    app.change(name, body, &Ending::Well).unwrap();
                    app.left = self.looks;
                }
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

impl Fake for ContainerApps {
    fn validate(&self, call: &Call) -> Vec<String> {
        if call.path == "/logstream" {
            let is_right = call.header("authorization") == Some("Bearer canary-log-token");
            return Vec::from_iter((!is_right).then(|| "the token is another".to_owned()));
        }
        if call.path.ends_with("/resourcegroups") {
            // Another provider's, whose model is not here.
            return Vec::new();
        }
        self.model.validate(call)
    }

    fn answer(&mut self, call: &Call) -> Response {
        if call.path == "/logstream" {
            let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
            return Response { status: 200, headers, body: self.printed.clone().into() };
        }
        if call.path.ends_with("/resourcegroups") {
            return Response::json(200, &json!({"value": [{"name": "agent"}, {"name": "web"}]}));
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

/// That a revision had that name before.
pub(crate) fn taken(suffix: &str) -> String {
    format!(
        "Failed to provision revision for container app 'agent'. Error details: The following field(s) are \
         either invalid or missing. Field 'template.revisionsuffix' is invalid with details: 'Invalid value: \
         \"{suffix}\": revision with suffix {suffix} already exists.'."
    )
}

/// An error as the Resource Manager writes it.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Response {
    Response::json(status, &json!({"error": {"code": code, "message": message}}))
}
