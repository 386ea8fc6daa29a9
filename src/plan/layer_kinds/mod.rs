//! The kinds of layers there are. A new one is one file and its two lines here.

mod builtin;
mod files;
mod from_image;
mod template;

use super::LayerKind;

pub use template::{TEMPLATES, TemplateText};

/// Every kind of layer, in the order of the docs.
pub static LAYER_KINDS: &[&LayerKind] =
    &[&files::KIND, &template::KIND, &builtin::KIND, &from_image::KIND];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::Kind;
    use crate::plan::testing::{config, source};

    #[test]
    fn every_kind_keeps_the_contract() {
        for kind in LAYER_KINDS {
            let name = kind.name;
            let field = kind.shape.fields.iter().find(|field| field.name == "kind").unwrap();
            assert!(matches!(field.kind, Kind::Choice([only]) if *only == name), "{name}");
            assert!(kind.summary.ends_with('.'), "{name}");

            let config = config(&[kind.example]);
            let layer = source(&config).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
            assert!(layer.describe().starts_with(name), "{}", layer.describe());
            assert_eq!(layer.needs(), layer.needs());
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = LAYER_KINDS.iter().map(|kind| kind.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), LAYER_KINDS.len());
    }
}
