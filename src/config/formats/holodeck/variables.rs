//! The `${NAME}` that HoloDeck replaces when an agent starts.

use std::collections::BTreeSet;

use crate::config::template::is_variable_name;

/// The names of all `${NAME}`. Other forms are not replaced by HoloDeck.
pub(super) fn names(text: &str) -> BTreeSet<String> {
    let names = text.split("${").skip(1).filter_map(|after| after.split_once('}'));
    names.map(|(name, _)| name).filter(|name| is_variable_name(name)).map(str::to_owned).collect()
}

/// From the first `${NAME` on that nothing closes.
pub(super) fn unclosed(text: &str) -> Option<&str> {
    let mut starts = text.match_indices("${").map(|(start, _)| &text[start..]);
    starts.find(|start| !start.contains('}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_variable() {
        for (text, found) in [
            ("plain $HOME", vec![]),
            ("${A}", vec!["A"]),
            ("x ${B_2} # ${A} and ${A}", vec!["A", "B_2"]),
            ("${A:-x} ${B-y}", vec![]),
            ("${} ${1A} ${a b} ${é} ${", vec![]),
            ("${${A}}", vec!["A"]),
        ] {
            assert_eq!(names(text).into_iter().collect::<Vec<_>>(), found, "{text}");
        }
    }

    #[test]
    fn finds_what_is_not_closed() {
        for (text, found) in [
            ("${A}", None),
            ("$A {", None),
            ("x${A", Some("${A")),
            ("${A}/${B/c", Some("${B/c")),
            ("${A:-${B}", None),
        ] {
            assert_eq!(unclosed(text), found, "{text}");
        }
    }
}
