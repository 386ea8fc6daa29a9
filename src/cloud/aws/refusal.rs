//! What a refusal of AWS means: the code and the message in each of its wires, and the class of each code.

use serde_json::Value;

use super::super::authorizer::Refusal;
use super::super::service::{API_GATEWAY, STS};
use super::super::{CallError, ErrorClass, xml};
use super::policy::Denial;

/// Codes that mean the same whatever the service and the status.
const CODES: &[(ErrorClass, &[&str])] = &[
    (
        ErrorClass::WrongIdentity,
        &[
            "ExpiredToken",
            "ExpiredTokenException",
            "IncompleteSignature",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "RequestExpired",
            "RequestTimeTooSkewed",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        ],
    ),
    (
        ErrorClass::Denied,
        &[
            "AccessDenied",
            "AccessDeniedException",
            "BlockedByOrganizationPolicyException",
            "BlockedException",
            "EC2AccessDeniedException",
            "KMSAccessDeniedException",
            "NotAuthorized",
            "OptInRequired",
            "RegionDisabledException",
            "SubscriptionRequiredException",
            "UnauthorizedOperation",
        ],
    ),
    (
        ErrorClass::Throttled,
        &[
            "EC2ThrottledException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "SlowDown",
            "ThrottledException",
            "Throttling",
            "ThrottlingException",
            "TooManyRequestsException",
        ],
    ),
    (
        ErrorClass::Quota,
        &[
            "CodeStorageExceededException",
            "ENILimitReachedException",
            "LimitExceeded",
            "PolicyLengthExceededException",
            "ServiceQuotaExceededException",
        ],
    ),
    (
        ErrorClass::Busy,
        &[
            "ConcurrentModification",
            "ConflictException",
            "DeleteConflict",
            "EntityTemporarilyUnmodifiable",
            "InvalidStateException",
            "OperationAbortedException",
            "PreconditionFailedException",
            "ResourceConflictException",
            "ResourceInUseException",
            "ResourceNotReadyException",
            "UpdateInProgressException",
        ],
    ),
    (ErrorClass::NotFound, &["NoSuchEntity", "ServiceNotActiveException"]),
    (
        ErrorClass::Unavailable,
        &[
            "InternalError",
            "InternalFailure",
            "InternalServerError",
            "InternalServerException",
            "InternalServiceErrorException",
            "RequestTimeout",
            "RequestTimeoutException",
            "ServerException",
            "ServiceException",
            "ServiceUnavailable",
            "ServiceUnavailableException",
        ],
    ),
];

/// How the names of codes end that mean the same.
const ENDINGS: &[(&str, ErrorClass)] = &[
    ("AlreadyExistsException", ErrorClass::Exists),
    ("AlreadyExists", ErrorClass::Exists),
    ("NotFoundException", ErrorClass::NotFound),
    ("NotFound", ErrorClass::NotFound),
    ("LimitExceededException", ErrorClass::Quota),
];

/// What services say while they do not know a role that was made a moment ago, or while it does not trust
/// them: the code, and a part of the message.
const ROLE_NOT_READY: &[(&str, &str)] = &[
    ("InvalidParameterValueException", "cannot be assumed by Lambda"),
    ("InvalidRequestException", "Error in assuming"),
    ("AccessDeniedException", "Cannot assume role"),
    ("AccessDeniedException", "is not authorized to perform: sts:AssumeRole"),
    ("ClientException", "AWS was not able to validate the provided access credentials"),
    ("InvalidParameterException", "Unable to assume the role"),
];

/// What an answer of AWS means that is no success.
pub(in super::super) fn classify(refusal: &Refusal<'_>) -> CallError {
    let request = refusal.request;
    let (code, message) = read(refusal);
    let class = class_of(&code, &message, refusal.status, request.service == &STS);
    let denial = Denial::read(&message);
    let hints = match class {
        ErrorClass::Denied => denial.hints(&usual_action(refusal)),
        ErrorClass::WrongIdentity => vec![if is_clock(&code, &message) {
            "set this machine's clock: it differs from AWS's".into()
        } else if code.starts_with("Expired") || code == "RequestExpired" {
            "log in again: the credentials are too old (`aws sso login`, or a new run of the job)"
                .into()
        } else {
            "check which credentials are used: `-v` tells the source, and `aws sts get-caller-identity` whose they are".into()
        }],
        ErrorClass::Quota => vec![format!(
            "ask for more of it (Service Quotas, {}), delete what is not needed, or take another region",
            request.service.title
        )],
        _ => Vec::new(),
    };
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

fn class_of(code: &str, message: &str, status: u16, is_sts: bool) -> ErrorClass {
    let is_not_ready =
        ROLE_NOT_READY.iter().any(|(known, part)| *known == code && message.contains(part));
    if is_not_ready && !is_sts {
        return ErrorClass::RoleNotReady;
    }
    // Several services tell a name that is taken by codes that mean other things, too.
    if message.contains("already exist") && status < 500 {
        return ErrorClass::Exists;
    }
    let known = CODES.iter().find(|(_, codes)| codes.contains(&code)).map(|(class, _)| *class);
    let ending = || ENDINGS.iter().find(|(end, _)| code.ends_with(end)).map(|(_, class)| *class);
    if let Some(class) = known.or_else(ending) {
        return class;
    }
    match status {
        _ if code.starts_with("Invalid") => ErrorClass::Invalid,
        401 => ErrorClass::WrongIdentity,
        403 => ErrorClass::Denied,
        404 => ErrorClass::NotFound,
        409 | 412 => ErrorClass::Busy,
        429 => ErrorClass::Throttled,
        408 | 500.. => ErrorClass::Unavailable,
        400..500 => ErrorClass::Invalid,
        _ => ErrorClass::Other,
    }
}

/// The action that a request needs, as policies call it.
fn usual_action(refusal: &Refusal<'_>) -> String {
    let request = refusal.request;
    if request.service == &API_GATEWAY {
        return format!("apigateway:{}", request.method.name());
    }
    format!("{}:{}", request.service.name, request.operation)
}

fn is_clock(code: &str, message: &str) -> bool {
    let says = ["Signature expired", "Signature not yet current", "is not within"];
    code == "RequestTimeTooSkewed" || says.iter().any(|part| message.contains(part))
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
    fn each_code_has_its_class() {
        use ErrorClass::{
            Busy, Denied, Exists, Invalid, NotFound, Quota, RoleNotReady, Throttled, Unavailable,
            WrongIdentity,
        };
        for (code, message, status, expected) in [
            ("ExpiredTokenException", "", 400, WrongIdentity),
            ("InvalidClientTokenId", "", 403, WrongIdentity),
            ("UnrecognizedClientException", "", 400, WrongIdentity),
            ("AccessDeniedException", "", 400, Denied),
            ("AccessDenied", "", 403, Denied),
            ("", "", 403, Denied),
            ("ThrottlingException", "", 400, Throttled),
            ("Throttling", "", 400, Throttled),
            ("TooManyRequestsException", "", 429, Throttled),
            ("RequestLimitExceeded", "", 503, Throttled),
            ("SlowDown", "", 503, Throttled),
            ("", "", 429, Throttled),
            ("ServiceQuotaExceededException", "", 402, Quota),
            ("LimitExceededException", "", 400, Quota),
            ("AliasLimitExceededException", "", 400, Quota),
            ("CodeStorageExceededException", "", 400, Quota),
            ("ResourceConflictException", "an update is in progress", 409, Busy),
            ("ResourceConflictException", "Function already exist: agent", 409, Exists),
            (
                "ConflictException",
                "Route with key $default already exists for this API",
                409,
                Exists,
            ),
            (
                "InvalidRequestException",
                "Service with the provided name already exists: a",
                400,
                Exists,
            ),
            ("InvalidStateException", "", 400, Busy),
            ("ConcurrentModification", "", 409, Busy),
            ("", "", 409, Busy),
            ("RepositoryAlreadyExistsException", "", 400, Exists),
            ("EntityAlreadyExists", "", 409, Exists),
            ("RepositoryNotFoundException", "", 400, NotFound),
            ("NoSuchEntity", "", 404, NotFound),
            ("ServiceNotActiveException", "", 400, NotFound),
            ("", "", 404, NotFound),
            ("InvalidParameterException", "", 400, Invalid),
            ("InvalidSubnetIDException", "", 502, Invalid),
            ("ValidationException", "", 400, Invalid),
            (
                "InvalidParameterValueException",
                "The role defined for the function cannot be assumed by Lambda.",
                400,
                RoleNotReady,
            ),
            (
                "InvalidRequestException",
                "Error in assuming access role arn:aws:iam::1:role/r",
                400,
                RoleNotReady,
            ),
            (
                "AccessDeniedException",
                "User: u is not authorized to perform: sts:AssumeRole on resource: r",
                400,
                RoleNotReady,
            ),
            (
                "ClientException",
                "AWS was not able to validate the provided access credentials",
                400,
                RoleNotReady,
            ),
            ("ServerException", "", 500, Unavailable),
            ("ServiceUnavailable", "", 503, Unavailable),
            ("", "", 500, Unavailable),
            ("", "", 408, Unavailable),
        ] {
            assert_eq!(
                class_of(code, message, status, false),
                expected,
                "{code} {message} {status}"
            );
        }
        let message = "User: u is not authorized to perform: sts:AssumeRole on resource: r";
        assert_eq!(
            class_of("AccessDenied", message, 403, true),
            Denied,
            "nobody waits for STS itself"
        );
    }

    #[test]
    fn refusals_say_what_helps() {
        let hints = |code: &str, message: &str| {
            told(code, 400, &json!({"message": message}).to_string()).hints
        };
        assert_eq!(
            hints(
                "AccessDeniedException",
                "User: arn:u is not authorized to perform: ecs:X on resource: arn:r"
            ),
            [
                r#"allow it to `arn:u` with this statement in a policy: {"Action":"ecs:X","Effect":"Allow","Resource":"arn:r"}"#
            ]
        );
        assert_eq!(
            hints("AccessDeniedException", "no"),
            [
                r#"allow it to whoever deploys with this statement in a policy: {"Action":"ecs:CreateService","Effect":"Allow","Resource":"*"}"#
            ]
        );
        assert_eq!(
            hints("InvalidSignatureException", "Signature expired: 1 is now earlier than 2"),
            ["set this machine's clock: it differs from AWS's"]
        );
        assert_eq!(
            hints("ExpiredTokenException", "The security token included in the request is expired"),
            [
                "log in again: the credentials are too old (`aws sso login`, or a new run of the job)"
            ]
        );
        assert_eq!(
            hints("LimitExceededException", "too many"),
            [
                "ask for more of it (Service Quotas, ECS), delete what is not needed, or take another region"
            ]
        );
        assert!(hints("InvalidParameterException", "x").is_empty());
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
