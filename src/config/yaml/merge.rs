//! The merge key `<<`: members of other mappings that stand where it stands.

use std::collections::{BTreeMap, BTreeSet};

use super::fault::{Step, fault};
use crate::config::{Key, Node, Value};

/// One entry of a mapping as it is written.
pub(super) enum Member {
    Pair(Key, Node),
    /// The mappings behind `<<`, the first one winning.
    Merge(Vec<Node>),
}

/// The mappings that stand behind a merge key.
pub(super) fn mergeable(node: Node) -> Step<Vec<Node>> {
    let position = node.position.clone();
    let mappings = match node.value {
        Value::Sequence(items) => items,
        _ => vec![node],
    };
    if mappings.iter().all(|node| matches!(node.value, Value::Mapping(_))) {
        return Ok(mappings);
    }
    Err(fault(position, "`<<` takes a mapping, or a list of mappings")
        .hint("name an anchor: `<<: *defaults`"))
}

/// Puts merged members where the merge key stands; keys that are written out win.
pub(super) fn merged(members: Vec<Member>, written: &BTreeMap<String, usize>) -> Vec<(Key, Node)> {
    let mut taken = BTreeSet::new();
    let mut all = Vec::with_capacity(members.len());
    for member in members {
        match member {
            Member::Pair(key, value) => all.push((key, value)),
            Member::Merge(mappings) => {
                for mapping in mappings {
                    let Value::Mapping(pairs) = mapping.value else { continue };
                    for (key, value) in pairs {
                        if !written.contains_key(&key.text) && taken.insert(key.text.clone()) {
                            all.push((key, value));
                        }
                    }
                }
            }
        }
    }
    all
}
