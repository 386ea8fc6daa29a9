//! Common cases of layers from other images, as data: `base-layers/recipes`.

use crate::config::{Key, Node, Position, Problems, Value};

/// What to take from which image, for a purpose that many have.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// The word in `recipe:`.
    pub name: &'static str,
    /// The settings of a layer of kind `from-image`, in YAML.
    text: &'static str,
}

/// Every recipe, in the order of the docs.
pub static RECIPES: &[Recipe] = &[
    Recipe { name: "node", text: include_str!("../../base-layers/recipes/node.yaml") },
    Recipe { name: "uv", text: include_str!("../../base-layers/recipes/uv.yaml") },
];

impl Recipe {
    /// The settings as if they stood in the user's file, at the place that asks for them.
    pub fn settings(&self, position: &Position) -> Node {
        let settings = Node::parse_yaml(self.text, self.name, &mut Problems::new());
        moved(settings.expect("a test reads every recipe"), position)
    }
}

fn moved(node: Node, position: &Position) -> Node {
    let value = match node.value {
        Value::Sequence(items) => {
            Value::Sequence(items.into_iter().map(|item| moved(item, position)).collect())
        }
        Value::Mapping(members) => {
            let member = |(key, value): (Key, Node)| {
                (Key { position: position.clone(), ..key }, moved(value, position))
            };
            Value::Mapping(members.into_iter().map(member).collect())
        }
        scalar => scalar,
    };
    Node { value, position: position.clone() }
}
