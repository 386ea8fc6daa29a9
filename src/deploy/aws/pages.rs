//! Lists that come in pages.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::cloud::{CallError, ErrorClass, Request};
use crate::deploy::Session;

/// No list that is asked for has more pages.
const MAX_PAGES: usize = 1000;

/// All pages of a list, in order; none where its subject is not there. `ask` gives the request for the page
/// of a token, and for the first; the token of the next page stands at the pointer (RFC 6901).
///
/// # Errors
/// A page cannot be read, or the list has no end.
pub(in crate::deploy) async fn read_pages(
    session: &Session,
    pointer: &str,
    ask: impl Fn(Option<&str>) -> Request + Send + Sync,
) -> Result<Vec<Value>, CallError> {
    let mut pages = Vec::new();
    let mut tokens = BTreeSet::new();
    let mut request = ask(None);
    while let Some(answer) = session.find(&request).await? {
        let token = answer.text(pointer).filter(|token| !token.is_empty()).map(str::to_owned);
        pages.push(answer.body);
        let Some(token) = token else { break };
        if pages.len() >= MAX_PAGES || tokens.contains(&token) {
            let mut error = CallError::new(request.service, request.title(), ErrorClass::Other);
            error.message = format!("the list does not end after {} pages", pages.len());
            return Err(error);
        }
        request = ask(Some(&token));
        tokens.insert(token);
    }
    Ok(pages)
}
