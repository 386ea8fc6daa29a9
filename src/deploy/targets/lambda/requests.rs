//! Every request about a function.

use serde_json::{Value, json};

use crate::cloud::{API_GATEWAY, LAMBDA, LOGS, Method, Request};
use crate::deploy::aws::Place;

/// The alias that serves.
pub(super) const ALIAS: &str = "live";

/// What the alias says of itself when what is newer than its version does not count: after a rollback, since
/// nothing else tells what was left behind from what has just come to nothing.
pub(super) const BACK: &str = "dockless: what is newer is left behind";
/// What it says when that counts again.
pub(super) const FORTH: &str = "dockless: what is newer counts";

/// Makes requests about one function.
#[derive(Debug, Clone, Copy)]
pub(super) struct Requests<'a> {
    pub(super) region: &'a str,
    pub(super) name: &'a str,
}

impl Requests<'_> {
    /// The group that the function's lines are in when nobody names another.
    pub(super) fn log_group(self) -> String {
        format!("/aws/lambda/{}", self.name)
    }

    /// What `$LATEST` is: configuration, code and the function's tags.
    pub(super) fn latest(self) -> Request {
        self.of_function("GetFunction", Method::Get, "")
    }

    /// What the alias leads to.
    pub(super) fn live(self) -> Request {
        self.function(ALIAS)
    }

    /// What a version is, or an alias leads to: configuration and code.
    pub(super) fn function(self, qualifier: &str) -> Request {
        self.latest().with_query("Qualifier", qualifier)
    }

    pub(super) fn configuration(self, qualifier: &str) -> Request {
        let request = self.of_function("GetFunctionConfiguration", Method::Get, "/configuration");
        request.with_query("Qualifier", qualifier)
    }

    pub(super) fn alias(self) -> Request {
        self.of_function("GetAlias", Method::Get, &format!("/aliases/{ALIAS}"))
    }

    pub(super) fn versions(self) -> Request {
        self.of_function("ListVersionsByFunction", Method::Get, "/versions")
    }

    pub(super) fn policy(self) -> Request {
        self.of_function("GetPolicy", Method::Get, "/policy").with_query("Qualifier", ALIAS)
    }

    pub(super) fn create(self, body: Value) -> Request {
        self.lambda("CreateFunction", Method::Post, "/2015-03-31/functions").with_body(body)
    }

    pub(super) fn update_code(self, body: Value) -> Request {
        self.of_function("UpdateFunctionCode", Method::Put, "/code").with_body(body)
    }

    pub(super) fn update_configuration(self, body: Value) -> Request {
        let request =
            self.of_function("UpdateFunctionConfiguration", Method::Put, "/configuration");
        request.with_body(body)
    }

    pub(super) fn publish(self, body: Value) -> Request {
        self.of_function("PublishVersion", Method::Post, "/versions").with_body(body)
    }

    pub(super) fn create_alias(self, body: Value) -> Request {
        self.of_function("CreateAlias", Method::Post, "/aliases").with_body(body)
    }

    pub(super) fn update_alias(self, body: Value) -> Request {
        let path = format!("/aliases/{ALIAS}");
        self.of_function("UpdateAlias", Method::Put, &path).with_body(body)
    }

    pub(super) fn add_permission(self, body: Value) -> Request {
        let request = self.of_function("AddPermission", Method::Post, "/policy");
        request.with_query("Qualifier", ALIAS).with_body(body)
    }

    pub(super) fn remove_permission(self, statement: &str) -> Request {
        let path = format!("/policy/{statement}");
        let request = self.of_function("RemovePermission", Method::Delete, &path);
        request.with_query("Qualifier", ALIAS)
    }

    pub(super) fn delete(self) -> Request {
        self.of_function("DeleteFunction", Method::Delete, "")
    }

    pub(super) fn reserve(self, body: Value) -> Request {
        let path = format!("/2017-10-31/functions/{}/concurrency", self.name);
        self.lambda("PutFunctionConcurrency", Method::Put, &path).with_body(body)
    }

    /// Reserves nothing any more.
    pub(super) fn release(self) -> Request {
        let path = format!("/2017-10-31/functions/{}/concurrency", self.name);
        self.lambda("DeleteFunctionConcurrency", Method::Delete, &path)
    }

    /// Looks at the URL of the alias, or does something to it.
    pub(super) fn url(self, operation: &'static str, method: Method) -> Request {
        self.latest_url(operation, method).with_query("Qualifier", ALIAS)
    }

    /// The same with the URL of `$LATEST`.
    pub(super) fn latest_url(self, operation: &'static str, method: Method) -> Request {
        let path = format!("/2021-10-31/functions/{}/url", self.name);
        self.lambda(operation, method, &path)
    }

    pub(super) fn tag(self, arn: &str, body: Value) -> Request {
        self.lambda("TagResource", Method::Post, &tags_path(arn)).with_body(body)
    }

    pub(super) fn untag(self, arn: &str, key: &str) -> Request {
        self.lambda("UntagResource", Method::Delete, &tags_path(arn)).with_query("tagKeys", key)
    }

    pub(super) fn apis(self) -> Request {
        self.api("GetApis", Method::Get, "/v2/apis")
    }

    pub(super) fn create_api(self, body: Value) -> Request {
        self.api("CreateApi", Method::Post, "/v2/apis").with_body(body)
    }

    pub(super) fn update_api(self, id: &str, body: Value) -> Request {
        self.api("UpdateApi", Method::Patch, &format!("/v2/apis/{id}")).with_body(body)
    }

    /// Takes back which origins may call an API.
    pub(super) fn delete_origins(self, id: &str) -> Request {
        self.api("DeleteCorsConfiguration", Method::Delete, &format!("/v2/apis/{id}/cors"))
    }

    pub(super) fn delete_api(self, id: &str) -> Request {
        self.api("DeleteApi", Method::Delete, &format!("/v2/apis/{id}"))
    }

    pub(super) fn delete_log_group(self) -> Request {
        self.logs("DeleteLogGroup", json!({"logGroupName": self.log_group()}))
    }

    /// Whose the function's log says that it is.
    pub(super) fn log_tags(self, place: &Place) -> Request {
        self.logs("ListTagsForResource", json!({"resourceArn": self.log_arn(place)})).that_reads()
    }

    pub(super) fn tag_log(self, place: &Place, tags: &Value) -> Request {
        self.logs("TagResource", json!({"resourceArn": self.log_arn(place), "tags": tags}))
    }

    fn log_arn(self, place: &Place) -> String {
        place.arn("logs", &format!("log-group:{}", self.log_group()))
    }

    fn logs(self, operation: &'static str, body: Value) -> Request {
        Request::call(&LOGS, self.region, operation, body)
    }

    fn of_function(self, operation: &'static str, method: Method, path: &str) -> Request {
        let path = format!("/2015-03-31/functions/{}{path}", self.name);
        self.lambda(operation, method, &path)
    }

    fn lambda(self, operation: &'static str, method: Method, path: &str) -> Request {
        Request::rest(&LAMBDA, self.region, operation, method, path)
    }

    fn api(self, operation: &'static str, method: Method, path: &str) -> Request {
        Request::rest(&API_GATEWAY, self.region, operation, method, path)
    }
}

fn tags_path(arn: &str) -> String {
    format!("/2017-03-31/tags/{}", arn.replace(':', "%3A").replace('/', "%2F"))
}
