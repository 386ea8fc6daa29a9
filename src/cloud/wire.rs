//! How a request is written for its service, and how the answer is read.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::answer::Answer;
use super::endpoint::encode;
use super::request::Request;
use super::service::Wire;
use super::xml;
use crate::registry::Reply;

/// The headers and the body of a request, secrets and all.
pub(super) fn write(request: &Request) -> (HeaderMap, Vec<u8>) {
    let mut headers = HeaderMap::new();
    let body = request.exposed_body();
    let json = |body: Option<&Value>| body.map(|body| body.to_string().into_bytes());
    let (media_type, body) = match request.service.wire {
        Wire::AwsJson { version, target } => {
            let target = format!("{target}.{}", request.operation);
            let target = HeaderValue::try_from(target).expect("names of operations are words");
            headers.insert(HeaderName::from_static("x-amz-target"), target);
            (
                format!("application/x-amz-json-{version}"),
                json(body.as_ref()).or(Some(b"{}".into())),
            )
        }
        Wire::AwsQuery { version } => {
            let form = form(request.operation, version, body.as_ref());
            ("application/x-www-form-urlencoded; charset=utf-8".to_owned(), Some(form.into_bytes()))
        }
        Wire::Rest | Wire::Text => {
            headers.insert(ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
            ("application/json".to_owned(), json(body.as_ref()))
        }
    };
    if body.is_some() {
        let media_type =
            HeaderValue::try_from(media_type).expect("media types are fit for a header");
        headers.insert(CONTENT_TYPE, media_type);
    }
    (headers, body.unwrap_or_default())
}

/// An answer in one form: JSON as it is, XML as JSON from where the operation's result begins, plain text as
/// one text. Nothing when somebody else has answered: a proxy, or the login page of a network.
pub(super) fn read(request: &Request, reply: &Reply) -> Option<Answer> {
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let text = String::from_utf8_lossy(&reply.body);
    let body = match request.service.wire {
        _ if reply.body.is_empty() => Some(Value::Null),
        Wire::AwsQuery { .. } => {
            xml::read(&text).and_then(|document| result_of(request.operation, document))
        }
        Wire::AwsJson { .. } | Wire::Rest => serde_json::from_slice(&reply.body).ok(),
        Wire::Text => Some(text.into()),
    };
    let headers = reply.headers.iter().map(header).collect();
    Some(Answer { status: reply.status, headers, body: body? })
}

/// What stands within `OperationResponse` and, where there is one, `OperationResult`; nothing when it is
/// another document.
fn result_of(operation: &str, mut document: Value) -> Option<Value> {
    let mut response = document.get_mut(format!("{operation}Response"))?.take();
    let result = response.get_mut(format!("{operation}Result")).map(Value::take);
    Some(result.unwrap_or(response))
}

/// A form in AWS's Query protocol: members joined by dots, items of lists as `member.1`.
fn form(operation: &str, version: &str, body: Option<&Value>) -> String {
    let mut fields = vec![("Action".to_owned(), operation.to_owned())];
    fields.push(("Version".to_owned(), version.to_owned()));
    flatten("", body.unwrap_or(&Value::Null), &mut fields);
    let pairs = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn flatten(path: &str, value: &Value, fields: &mut Vec<(String, String)>) {
    let below =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Null => {}
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| flatten(&below(name), value, fields));
        }
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                flatten(&below(&format!("member.{}", place + 1)), item, fields);
            }
        }
        Value::String(text) => fields.push((path.to_owned(), text.clone())),
        Value::Bool(_) | Value::Number(_) => fields.push((path.to_owned(), value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_form_is_flat() {
        let body = json!({
            "RoleName": "a b+c", "Path": null, "MaxSessionDuration": 3600,
            "Tags": [{"Key": "k", "Value": "v"}, {"Key": "ü", "Value": ""}], "Nested": {"Is": true},
        });
        assert_eq!(
            form("CreateRole", "2010-05-08", Some(&body)),
            "Action=CreateRole&Version=2010-05-08&MaxSessionDuration=3600&Nested.Is=true&RoleName=a%20b%2Bc\
             &Tags.member.1.Key=k&Tags.member.1.Value=v&Tags.member.2.Key=%C3%BC&Tags.member.2.Value="
        );
        assert_eq!(form("A", "1", None), "Action=A&Version=1");
    }

    #[test]
    fn a_result_is_found_within_its_envelope() {
        for (document, expected) in [
            (
                json!({"GetXResponse": {"GetXResult": {"Arn": "a"}, "ResponseMetadata": {}}}),
                Some(json!({"Arn": "a"})),
            ),
            (
                json!({"GetXResponse": {"ResponseMetadata": {}}}),
                Some(json!({"ResponseMetadata": {}})),
            ),
            (json!({"GetXResponse": ""}), Some(json!(""))),
            (json!({"html": "log in"}), None),
        ] {
            assert_eq!(result_of("GetX", document), expected);
        }
    }
}
