//! Recognises the answer to a tag that may not move. The specification has no code for it, so the
//! registries' own codes and words are all there is.

use super::error_body::ErrorBody;

/// Codes that say it: Amazon's at its registry and at its API.
const CODES: &[&str] =
    &["TAG_INVALID", "IMAGE_TAG_ALREADY_EXISTS", "ImageTagAlreadyExistsException"];

/// Words that say it, in lower case: "the tag is immutable" (Amazon, Quay), "configured as immutable"
/// (Harbor), "due to immutability settings" (Docker Hub), "has enabled tag immutability" (Google).
const IMMUTABLE: &str = "immutab";

/// Words that say it of a tag that is there: Amazon and Artifactory.
const EXISTS: &[&str] = &["already exists", "cannot be overwritten", "delete/overwrite"];

/// Whether the refusal of a manifest means that its tag is immutable. A quota, a right that is
/// missing or another push at the same moment have the same statuses.
pub(super) fn is_immutable(status: u16, body: &ErrorBody, is_there: bool) -> bool {
    if !matches!(status, 400 | 403 | 405 | 409 | 412) {
        return false;
    }
    let text = body.text().to_lowercase();
    let is_said_of_existing = || {
        status == 412
            || CODES.iter().any(|code| body.has(code))
            || EXISTS.iter().any(|words| text.contains(words))
    };
    text.contains(IMMUTABLE) || (is_there && is_said_of_existing())
}

#[cfg(test)]
mod tests {
    use super::super::mask::Mask;
    use super::*;

    #[test]
    fn registries_say_it_in_their_own_ways() {
        let json = |code: &str, message: &str| {
            format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#)
        };
        let amazon = "The image tag 'v1' already exists in the 'a' repository and cannot be overwritten because the tag is immutable.";
        let harbor = "Failed to process request due to 'a:v1' configured as immutable.";
        let hub = "This tag is already assigned to an image in this repository and cannot be updated due to immutability settings.";
        let google = "The repository has enabled tag immutability";
        let artifactory = "Not enough permissions to delete/overwrite artifact 'v1'";
        let quota = "adding 20.0 MiB of storage resource, which when updated to current usage of 5 GiB will exceed the configured upper limit of 5 GiB.";
        for (status, body, if_there, if_not) in [
            (400, json("TAG_INVALID", amazon), true, true),
            (400, json("TAG_INVALID", "manifest tag did not match URI"), true, false),
            (400, json("ImageTagAlreadyExistsException", "x"), true, false),
            (412, json("PRECONDITION", harbor), true, true),
            (412, json("PRECONDITION", "on purpose"), true, false),
            (403, json("DENIED", hub), true, true),
            (400, json("MANIFEST_INVALID", google), true, true),
            (403, json("DENIED", artifactory), true, false),
            (409, json("TAG_IMMUTABLE", ""), true, true),
            (403, json("DENIED", quota), false, false),
            (403, json("DENIED", "requested access to the resource is denied"), false, false),
            (409, json("CONFLICT", "another push is running, try again"), false, false),
            (400, json("MANIFEST_INVALID", "manifest invalid"), false, false),
            (500, json("UNKNOWN", amazon), false, false),
        ] {
            let parsed = ErrorBody::parse(body.as_bytes(), &Mask::default());
            let said = [true, false].map(|is_there| is_immutable(status, &parsed, is_there));
            assert_eq!(said, [if_there, if_not], "{status} {body}");
        }
    }
}
