//! What a refusal of AWS means: the code and the message, wherever each of its wires has them.

use serde_json::Value;

use super::super::authorizer::Refusal;
use super::super::service::STS;
use super::super::{CallError, ErrorClass, xml};
use super::advice;
use super::class::class_of;
use super::policy::Denial;

/// What an answer of AWS means that is no success.
pub(in super::super) fn classify(refusal: &Refusal<'_>) -> CallError {
    let request = refusal.request;
    let (code, message) = read(refusal);
    let class = class_of(&code, &message, refusal.status, request.service == &STS);
    let denial = Denial::read(&message);
    let hints = advice::hints(class, &code, &message, &denial, refusal);
    let identity = denial.user.filter(|_| class == ErrorClass::Denied).map(str::to_owned);
    CallError {
        code,
        message,
        identity,
        hints,
        ..CallError::new(request.service, request.title(), class)
    }
}

/// The code and the message, wherever the wire has them.
fn read(refusal: &Refusal<'_>) -> (String, String) {
    let body = String::from_utf8_lossy(refusal.body);
    let of_header = refusal.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let document = serde_json::from_str(&body).ok().filter(Value::is_object);
    let document = match document {
        Some(document) => document,
        None => error_of(xml::read(&body)),
    };
    let text = |names: &[&str]| {
        let mut found = names.iter().filter_map(|name| document.get(name)?.as_str());
        found.next().map(str::to_owned)
    };
    let code = of_header.map(str::to_owned).or_else(|| text(&["__type", "code", "Code"]));
    let message = text(&["message", "Message", "errorMessage"]);
    let message = message.unwrap_or_else(|| match &document {
        Value::Null => body.into_owned(),
        _ => String::new(),
    });
    (short(&code.unwrap_or_default()).to_owned(), message)
}

/// The error in an XML document: in `ErrorResponse`, or in the `Response` of older services.
fn error_of(document: Option<Value>) -> Value {
    let mut document = document.unwrap_or_default();
    for pointer in ["/ErrorResponse/Error", "/Response/Errors/Error", "/Error"] {
        if let Some(error) = document.pointer_mut(pointer) {
            return error.take();
        }
    }
    Value::Null
}

/// A code without what stands around it: `com.amazonaws.x#Code:http://…`.
fn short(code: &str) -> &str {
    let code = code.split(':').next().unwrap_or(code);
    code.rsplit('#').next().unwrap_or(code).trim()
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};
    use serde_json::json;

    use super::super::super::Request;
    use super::super::super::service::{ECS, LAMBDA};
    use super::*;

    fn told(header: &str, status: u16, body: &str) -> CallError {
        let request = Request::call(&ECS, "eu-west-1", "CreateService", json!({}));
        let mut headers = HeaderMap::new();
        if !header.is_empty() {
            headers.insert("x-amzn-errortype", HeaderValue::from_str(header).unwrap());
        }
        let body = body.as_bytes();
        classify(&Refusal { request: &request, status, headers: &headers, body })
    }

    #[test]
    fn code_and_message_are_found_in_every_wire() {
        for (header, body) in [
            ("", r#"{"__type":"com.amazonaws.ecs#XException","message":"no"}"#),
            ("XException:http://internal/", r#"{"Message":"no"}"#),
            ("XException", r#"{"message":"no"}"#),
            ("", r#"{"code":"XException","message":"no"}"#),
            (
                "",
                "<ErrorResponse xmlns=\"u\"><Error><Type>Sender</Type><Code>XException</Code><Message>no</Message></Error></ErrorResponse>",
            ),
            (
                "",
                "<Response><Errors><Error><Code>XException</Code><Message>no</Message></Error></Errors></Response>",
            ),
            ("", "<Error><Code>XException</Code><Message>no</Message></Error>"),
        ] {
            let error = told(header, 400, body);
            assert_eq!(
                (error.code.as_str(), error.message.as_str()),
                ("XException", "no"),
                "{body}"
            );
        }
        let error = told("", 502, "<html>bad gateway</html>");
        assert_eq!((error.class, error.code.as_str()), (ErrorClass::Unavailable, ""));
        assert_eq!(told("", 503, "no capacity").message, "no capacity");
    }

    #[test]
    fn whoever_is_denied_is_named() {
        let message =
            json!({"message": "User: arn:u is not authorized to perform: ecs:X"}).to_string();
        assert_eq!(told("AccessDeniedException", 400, &message).identity.as_deref(), Some("arn:u"));
        let request =
            Request::rest(&LAMBDA, "r", "GetFunction", super::super::super::Method::Get, "/");
        let (headers, body) = (HeaderMap::new(), &b"{}"[..]);
        let error = classify(&Refusal { request: &request, status: 403, headers: &headers, body });
        assert_eq!((error.identity, error.hints.len()), (None, 1));
    }
}
