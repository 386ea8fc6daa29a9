//! What anchors and aliases cost: each use of one is a copy.

use crate::config::{Node, Value};

/// What a node costs when it is copied.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    /// Texts, and 64 for each node.
    pub(super) bytes: usize,
    /// Levels below it.
    pub(super) depth: usize,
}

impl Size {
    /// Counts what is below a node, and the node.
    pub(super) fn of(node: &Node) -> Self {
        let below = |children: &mut dyn Iterator<Item = (usize, &Node)>| {
            children.fold(Self { bytes: 64, depth: 0 }, |size, (own, child)| {
                let child = Self::of(child);
                Self {
                    bytes: size.bytes + own + child.bytes,
                    depth: size.depth.max(child.depth + 1),
                }
            })
        };
        match &node.value {
            Value::Null => Self { bytes: 64, depth: 0 },
            Value::Scalar { text, .. } => Self { bytes: 64 + text.len(), depth: 0 },
            Value::Sequence(items) => below(&mut items.iter().map(|item| (0, item))),
            Value::Mapping(members) => {
                below(&mut members.iter().map(|(key, value)| (64 + key.text.len(), value)))
            }
        }
    }
}
