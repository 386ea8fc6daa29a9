//! Documents of IAM: policies, and whom they trust.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// A policy of these statements, as text.
pub(super) fn policy(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// The services that a trust policy allows to assume its role; IAM answers it encoded for URLs.
pub(super) fn principals(document: &str) -> BTreeSet<String> {
    fn one_or_many(value: &Value) -> &[Value] {
        value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
    }
    let document: Value = serde_json::from_slice(&percent_decoded(document)).unwrap_or_default();
    let statements = document.get("Statement").map(one_or_many).unwrap_or_default();
    let allowing = statements.iter().filter(|statement| statement["Effect"] == "Allow");
    let services = allowing.flat_map(|statement| {
        statement.pointer("/Principal/Service").map(one_or_many).unwrap_or_default()
    });
    services.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).filter(|_| *first == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let decoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &tail[2..] } else { tail };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whom_a_role_trusts() {
        for (document, expected) in [
            (
                "%7B%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22a.b%22%7D%7D%5D%7D",
                vec!["a.b"],
            ),
            (
                r#"{"Statement":{"Effect":"Allow","Principal":{"Service":["a","b"]}}}"#,
                vec!["a", "b"],
            ),
            (r#"{"Statement":[{"Effect":"Deny","Principal":{"Service":"a"}}]}"#, vec![]),
            (r#"{"Statement":[{"Effect":"Allow","Principal":"*"}]}"#, vec![]),
            ("", vec![]),
        ] {
            let expected: BTreeSet<String> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(principals(document), expected, "{document}");
        }
    }
}
