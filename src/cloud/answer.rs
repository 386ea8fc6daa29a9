//! What a service answered.

use std::collections::BTreeMap;

use serde_json::Value;

/// A successful answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, by name in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body: JSON as it is; of XML what stands in `…Response` and `…Result`, each element a member
    /// (`/Role/Arn`) and lists as lists; plain text as one text; null when it is empty.
    pub body: Value,
}

impl Answer {
    /// The text at a pointer into the body (RFC 6901).
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.body.pointer(pointer)?.as_str()
    }
}
