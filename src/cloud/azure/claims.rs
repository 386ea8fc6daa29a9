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

/// Whom a token of Entra speaks for, as the vendor's tools name them, and in which tenant.
pub(super) fn identity(token: &str) -> Option<String> {
    let claims = claims(token)?;
    let claim = |names: &[&str]| {
        let mut texts = names.iter().filter_map(|name| claims[*name].as_str());
        texts.find(|text| !text.is_empty())
    };
    let client = claim(&["appid", "azp"]);
    let name = claim(&["upn", "unique_name", "preferred_username", "email"]).map(str::to_owned);
    let machine = claim(&["xms_mirid"]).and_then(|id| id.rsplit('/').next());
    let machine = machine.map(|name| format!("managed identity {name}"));
    let name = name.or(machine).or_else(|| client.map(|client| format!("client {client}")));
    let parts = [("object", claim(&["oid"])), ("tenant", claim(&["tid"]))];
    let parts: Vec<_> =
        parts.iter().filter_map(|(what, id)| Some(format!("{what} {}", (*id)?))).collect();
    match (name, parts.is_empty()) {
        (Some(name), false) => Some(format!("{name} ({})", parts.join(", "))),
        (None, false) => Some(parts.join(", ")),
        (name, true) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_whom_it_was_given_to() {
        for (claims, identity) in [
            // A person, of `az login`.
            (
                r#"{"upn":"bob@acme.com","oid":"o","appid":"cli","tid":"t"}"#,
                Some("bob@acme.com (object o, tenant t)"),
            ),
            // A guest of the tenant.
            (
                r#"{"unique_name":"live.com#eve@x.io","oid":"o","tid":"t"}"#,
                Some("live.com#eve@x.io (object o, tenant t)"),
            ),
            // A client with a secret, a certificate or a federated token; of a token of the second version.
            (r#"{"appid":"a","oid":"o","tid":"t"}"#, Some("client a (object o, tenant t)")),
            (r#"{"azp":"a","oid":"o","tid":"t"}"#, Some("client a (object o, tenant t)")),
            // A machine.
            (
                r#"{"appid":"a","oid":"o","tid":"t","xms_mirid":"/subscriptions/s/providers/M/ids/vm"}"#,
                Some("managed identity vm (object o, tenant t)"),
            ),
            (r#"{"upn":"bob@acme.com"}"#, Some("bob@acme.com")),
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
