//! What the codes of AWS mean, in the classes that all clouds share.

use super::super::ErrorClass;

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

/// The class of a code, else of the status; whoever asks STS itself waits for no role.
pub(super) fn class_of(code: &str, message: &str, status: u16, is_sts: bool) -> ErrorClass {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
