//! Why a source has no token, in its own words, as far as they help.

use std::error::Error as StdError;

use crate::registry;

/// What a source says, without the names of the vendor's types, the numbers of its traces and its help pages.
pub(super) fn reason(error: &azure_core::Error) -> String {
    let text = error.to_string();
    let text = text.split_once(" authentication failed. ").map_or(text.as_str(), |(_, said)| said);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let line = line.unwrap_or("it does not say why");
    let line = line.split_once(" Trace ID:").map_or(line, |(said, _)| said);
    line.trim_start_matches("ERROR: ").to_owned()
}

/// What was wrong on the way, if that is what was wrong.
pub(super) fn way_of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a registry::Error> {
    let mut chain = std::iter::successors(Some(error), |&error| error.source());
    chain.find_map(|error| error.downcast_ref::<registry::Error>())
}

/// It and its cause, on one line.
pub(super) fn told(way: &registry::Error) -> String {
    way.source().map_or_else(|| way.to_string(), |cause| format!("{way}: {cause}"))
}

/// Whether the vendor says that a program is not there.
pub(super) fn is_no_program(error: &azure_core::Error) -> bool {
    let text = error.to_string();
    ["not found on PATH", "wasn't found on PATH"].iter().any(|said| text.contains(said))
}

#[cfg(test)]
mod tests {
    use azure_core::error::{Error, ErrorKind};

    use super::*;

    #[test]
    fn a_reason_is_one_line_without_what_only_the_vendor_understands() {
        for (said, expected) in [
            (
                "AzureCliCredential authentication failed. ERROR: Please run 'az login' to setup \
                 account.\n\nTo troubleshoot, visit https://aka.ms/x",
                "Please run 'az login' to setup account.",
            ),
            (
                "ClientSecretCredential authentication failed. AADSTS7000222: expired. Trace ID: 1 \
                 Correlation ID: 2",
                "AADSTS7000222: expired.",
            ),
            ("", "it does not say why"),
        ] {
            assert_eq!(reason(&Error::with_message(ErrorKind::Credential, said)), expected);
        }
    }
}
