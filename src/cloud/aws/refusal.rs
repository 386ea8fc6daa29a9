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
