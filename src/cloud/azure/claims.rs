//! What a token says of whom it was given to.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// What stands in a token; it is not verified, since only the cloud can and will.
pub(super) fn claims(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// Whom a token of Entra speaks for.
pub(super) fn identity(token: &str) -> Option<String> {
    let claims = claims(token)?;
    let claim = |names: &[&str]| {
        let mut texts = names.iter().filter_map(|name| claims[*name].as_str());
        texts.find(|text| !text.is_empty())
    };
    let object = claim(&["oid"]);
    let name = claim(&["upn", "unique_name", "email"]).map(str::to_owned);
    let name = name.or_else(|| claim(&["appid", "azp"]).map(|client| format!("client {client}")));
    match (name, object) {
        (Some(name), Some(object)) => Some(format!("{name} (object {object})")),
        (Some(name), None) => Some(name),
        (None, object) => object.map(|object| format!("object {object}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_whom_it_was_given_to() {
        for (claims, identity) in [
            (r#"{"upn":"bob@acme.com","oid":"o","appid":"cli"}"#, Some("bob@acme.com (object o)")),
            (r#"{"appid":"a","oid":"o"}"#, Some("client a (object o)")),
            (r#"{"oid":"o"}"#, Some("object o")),
            ("{}", None),
            ("nonsense", None),
        ] {
            let token = format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims));
            assert_eq!(super::identity(&token).as_deref(), identity, "{claims}");
        }
        assert_eq!(super::identity("opaque"), None);
    }
}
