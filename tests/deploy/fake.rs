//! Fakes of clouds: a server with a state, which a story can look into and spoil.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::support::server::{self, Cut, Reply, Server};

/// What a fake is: a state that answers.
pub(crate) trait Fake: Send + 'static {
    /// Says what is wrong with a request by the vendor's model, or nothing.
    fn validate(&self, call: &Call) -> Vec<String>;

    /// Answers a request that fits the model.
    fn answer(&mut self, call: &Call) -> Response;

    /// Says what in an answer the vendor would never say, or nothing.
    fn validate_answer(&self, _call: &Call, _response: &Response) -> Vec<String> {
        Vec::new()
    }
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// The path, still encoded.
    pub(crate) path: String,
    /// The query, decoded, in order.
    pub(crate) query: Vec<(String, String)>,
    /// Headers by name in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

/// What goes wrong with the next requests for an operation (`CreateService`, or `PUT /path`).
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// It is not done, and this is the answer.
    Refuse(Response),
    /// It is not done, and somebody on the way answers this: not the vendor, whose model says nothing of it.
    Intercept(Response),
    /// It is done, and nobody hears the answer.
    LoseAnswer,
    /// It is done, and the answer does not come as long as anybody waits.
    Stall,
    /// It is not done, and the connection breaks.
    Cut,
}

/// What somebody else does.
type Doing<F> = Box<dyn FnOnce(&mut F) + Send>;

/// A running fake. A story in which something went that no model allows, or in which a fault was not met,
/// fails when this is dropped.
pub(crate) struct Running<F> {
    server: Server,
    shared: Arc<Mutex<Shared<F>>>,
}

struct Shared<F> {
    fake: F,
    /// What is still to go wrong, by operation.
    faults: Vec<(String, Fault)>,
    /// What others are still to do, right before an operation.
    doings: Vec<(String, Doing<F>)>,
    calls: Vec<Call>,
    /// What requests and answers did that no model allows.
    wrong: Vec<String>,
}

impl<F: Fake> Running<F> {
    /// Starts a fake on a free port.
    pub(crate) async fn start(fake: F) -> Self {
        let shared = Shared {
            fake,
            faults: Vec::new(),
            doings: Vec::new(),
            calls: Vec::new(),
            wrong: Vec::new(),
        };
        let shared = Arc::new(Mutex::new(shared));
        let handler = {
            let shared = Arc::clone(&shared);
            move |request: hyper::Request<hyper::body::Incoming>| {
                let shared = Arc::clone(&shared);
                let answering: futures_util::future::BoxFuture<'static, Reply> =
                    Box::pin(async move {
                        let call = Call::read(request).await;
                        let reply = shared.lock().unwrap().reply(&call);
                        match reply {
                            Some(reply) => reply,
                            None => std::future::pending().await,
                        }
                    });
                answering
            }
        };
        let server = Server::start("127.0.0.1", handler).await;
        Self { server, shared }
    }

    /// Where it is: `http://127.0.0.1:1234`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.host())
    }

    /// Spoils the next request for this operation.
    pub(crate) fn spoil(&self, operation: &str, fault: Fault) {
        self.lock().faults.push((operation.to_owned(), fault));
    }

    /// Ends the faults that nobody met, and says how many they were.
    pub(crate) fn stop_spoiling(&self) -> usize {
        std::mem::take(&mut self.lock().faults).len()
    }

    /// Has somebody else change the state right before the next request for this operation.
    pub(crate) fn meanwhile(&self, operation: &str, doing: impl FnOnce(&mut F) + Send + 'static) {
        self.lock().doings.push((operation.to_owned(), Box::new(doing)));
    }

    /// Looks into the state, or changes it.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut F) -> T) -> T {
        look(&mut self.lock().fake)
    }

    /// The operations so far, in order, without those that only read.
    pub(crate) fn writes(&self) -> Vec<String> {
        let shared = self.lock();
        let reads = ["Get", "List", "Describe", "Filter"];
        let operations = shared.calls.iter().filter(|call| call.method != "GET");
        let operations = operations.map(Call::operation);
        operations.filter(|name| !reads.iter().any(|read| name.starts_with(read))).collect()
    }

    /// Runs a command whose request for this operation is never answered, and kills it once that has arrived.
    pub(crate) async fn kill_in(&self, operation: &str, command: &mut Command) {
        self.spoil(operation, Fault::Stall);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while !self.writes().iter().any(|write| write == operation) {
            assert!(began.elapsed() < Duration::from_mins(1), "{:?}", self.writes());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Every request so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// What requests and answers did so far that the vendor's model does not allow: for a look before the
    /// story ends, while it is still known what was done.
    pub(crate) fn wrong(&self) -> Vec<String> {
        self.lock().wrong.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Shared<F>> {
        self.shared.lock().unwrap()
    }
}

impl<F> Drop for Running<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        // One that panicked is one that does not know what it was asked.
        let shared = self.shared.lock().expect("the fake did not panic");
        assert_eq!(shared.wrong, [""; 0], "the vendor's model does not allow this");
        let unmet = shared.faults.iter().map(|(operation, _)| operation);
        let unmet: Vec<_> = unmet.chain(shared.doings.iter().map(|(name, _)| name)).collect();
        assert_eq!(
            unmet, [""; 0],
            "nobody asked for these operations, which were to go another way"
        );
    }
}

impl<F: Fake> Shared<F> {
    /// The answer; nothing when it never comes.
    fn reply(&mut self, call: &Call) -> Option<Reply> {
        let operation = call.operation();
        if let Some(place) = self.doings.iter().position(|(name, _)| *name == operation) {
            let (_, doing) = self.doings.remove(place);
            doing(&mut self.fake);
        }
        let problems = self.fake.validate(call);
        self.calls.push(call.clone());
        if !problems.is_empty() {
            self.wrong.extend(problems.iter().map(|problem| format!("{operation}: {problem}")));
            let message = problems.join("; ");
            let refusal = json!({"__type": "ValidationException", "message": message});
            return Some(Ok(Response::json(400, &refusal).reply()));
        }
        let place = self.faults.iter().position(|(name, _)| *name == operation);
        Some(match place.map(|place| self.faults.remove(place).1) {
            Some(Fault::Cut) => Err(Cut),
            Some(Fault::Stall) => {
                self.fake.answer(call);
                return None;
            }
            Some(Fault::Refuse(response)) => Ok(self.checked(call, response)),
            Some(Fault::Intercept(response)) => Ok(response.reply()),
            Some(Fault::LoseAnswer) => {
                self.fake.answer(call);
                Err(Cut)
            }
            None => {
                let response = self.fake.answer(call);
                Ok(self.checked(call, response))
            }
        })
    }

    fn checked(&mut self, call: &Call, response: Response) -> hyper::Response<server::Body> {
        let (operation, problems) = (call.operation(), self.fake.validate_answer(call, &response));
        self.wrong.extend(problems.iter().map(|it| format!("answer to {operation}: {it}")));
        response.reply()
    }
}

impl Call {
    async fn read(request: hyper::Request<hyper::body::Incoming>) -> Self {
        let (head, body) = request.into_parts();
        let header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let url = reqwest::Url::parse("http://fake").unwrap().join(&head.uri.to_string()).unwrap();
        Self {
            method: head.method.to_string(),
            path: url.path().to_owned(),
            query: url.query_pairs().into_owned().collect(),
            headers: head.headers.iter().map(header).collect(),
            body: body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default(),
        }
    }

    /// The operation: what stands in `X-Amz-Target` or in the form, else method and path.
    pub(crate) fn operation(&self) -> String {
        if let Some((_, operation)) =
            self.header("x-amz-target").and_then(|target| target.rsplit_once('.'))
        {
            return operation.to_owned();
        }
        let form = reqwest::Url::parse(&format!("form:?{}", String::from_utf8_lossy(&self.body)));
        let action = form.ok().and_then(|form| {
            form.query_pairs()
                .find(|(name, _)| name == "Action")
                .map(|(_, value)| value.into_owned())
        });
        action.unwrap_or_else(|| format!("{} {}", self.method, self.path))
    }

    /// A header by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// A value of the query.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null when it is empty.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

impl Response {
    /// A JSON answer.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: body.to_string().into() }
    }

    /// An error as AWS writes it in JSON.
    pub(crate) fn aws_error(status: u16, code: &str, message: &str) -> Self {
        let mut response = Self::json(status, &json!({"__type": code, "message": message}));
        response.headers.push(("x-amzn-errortype".to_owned(), code.to_owned()));
        response
    }

    /// As it is sent.
    pub(crate) fn reply(self) -> hyper::Response<server::Body> {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        server::reply(self.status, &headers, self.body)
    }
}

mod tests {
    use super::*;

    /// Allows one request only.
    struct Strict;

    impl Fake for Strict {
        fn validate(&self, call: &Call) -> Vec<String> {
            if call.path == "/good" { Vec::new() } else { vec!["no".into()] }
        }

        fn answer(&mut self, _call: &Call) -> Response {
            Response::json(200, &json!({}))
        }
    }

    #[tokio::test]
    #[should_panic(expected = "nobody asked for these operations")]
    async fn a_fault_that_nobody_meets_fails_the_story() {
        let fake = Running::start(Strict).await;
        fake.spoil("GET /god", Fault::Cut);
        reqwest::get(format!("{}/good", fake.url())).await.unwrap();
    }

    #[tokio::test]
    #[should_panic(expected = "GET /bad: no")]
    async fn a_request_that_no_model_allows_fails_the_story() {
        let fake = Running::start(Strict).await;
        reqwest::get(format!("{}/bad", fake.url())).await.unwrap();
    }
}
