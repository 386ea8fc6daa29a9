//! `builtin`: a small layer that this binary carries.

use crate::config::schema::{Field, Kind, Shape, hint_for};
use crate::config::{Config, Node, Position, Problems};
use crate::oci::Platform;
use crate::plan::attributes::parse_source;
use crate::plan::builtin_base::{PIECES, Piece};
use crate::plan::{Draft, Inputs, LayerKind, LayerSource, Need, PlanError, certificates};

/// The kind `builtin`.
#[derive(Debug)]
pub(super) struct Builtin;

static SHAPE: Shape = Shape {
    name: "a layer of kind `builtin`",
    fields: &[
        Field::required("kind", Kind::Choice(&["builtin"]), "`builtin`."),
        Field::required(
            "name",
            Kind::Text,
            "`ca-certificates`, `passwd`, `tmp`, `nsswitch` or `os-release`: see \
             `base-layers/README.md`.",
        ),
        Field::optional(
            "add",
            Kind::OneOrMany(&Kind::Text),
            "For `ca-certificates`: files of the project with further certificates, in PEM. Files \
             with a private key are refused.",
        ),
    ],
};

/// A layer of this kind.
#[derive(Debug)]
struct BuiltinLayer {
    piece: &'static Piece,
    /// Files of the project, each with its place in the config.
    added: Vec<(String, Position)>,
    mtime: i64,
}

impl LayerKind for Builtin {
    fn name(&self) -> &'static str {
        "builtin"
    }

    fn summary(&self) -> &'static str {
        "A small layer that comes with dockless, such as CA certificates."
    }

    fn example(&self) -> &'static str {
        "kind: builtin\nname: ca-certificates\nadd: [corp.pem]\n"
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn parse(
        &self,
        settings: &Node,
        config: &Config,
        problems: &mut Problems,
    ) -> Option<Box<dyn LayerSource>> {
        let node = settings.get("name")?;
        let name = node.as_text()?;
        let piece = Piece::find(name);
        if piece.is_none() {
            let names: Vec<_> = PIECES.iter().map(|piece| piece.name).collect();
            problems.report_with_hint(
                &node.position,
                format!("there is no builtin layer `{}`", name.escape_debug()),
                hint_for(name, &names),
            );
        }
        let add = settings.get("add");
        let added: Vec<_> = add
            .map(Node::one_or_many)
            .unwrap_or_default()
            .into_iter()
            .map(|node| Some((parse_source(node, "add", problems)?, node.position.clone())))
            .collect();
        let piece = piece?;
        if let Some(add) = add
            && !piece.has_certificates()
        {
            problems.report_with_hint(
                &add.position,
                format!("nothing can be added to `{name}`"),
                "`add` is for `ca-certificates`; other files go into a layer of kind `files`",
            );
            return None;
        }
        Some(Box::new(BuiltinLayer {
            piece,
            added: added.into_iter().collect::<Option<_>>()?,
            mtime: config.mtime,
        }))
    }
}

impl LayerSource for BuiltinLayer {
    fn describe(&self) -> String {
        let added = self.added.iter().map(|(path, _)| format!(" + {path}"));
        format!("builtin {}{}", self.piece.name, added.collect::<String>())
    }

    fn needs(&self) -> Vec<Need> {
        let need = |(path, position): &(String, Position)| Need::File {
            path: path.clone(),
            position: position.clone(),
        };
        self.added.iter().map(need).collect()
    }

    fn content(&self, inputs: &Inputs, _platform: &Platform) -> Result<Vec<Draft>, PlanError> {
        let mut added = Vec::new();
        for (path, position) in &self.added {
            let error = |what: String, hint: Option<&str>| PlanError {
                position: position.clone(),
                message: format!("`{}` {what}", path.escape_debug()),
                hint: hint.map(str::to_owned),
            };
            let bytes = inputs.files.get(path).ok_or_else(|| error("was not read".into(), None))?;
            // What is no text at all holds no PEM: the parser says so.
            let certificates = certificates::parse(&String::from_utf8_lossy(bytes))
                .map_err(|fault| error(fault.to_string(), Some(fault.hint())))?;
            added.extend(certificates);
        }
        Ok(self.piece.drafts(&added, self.mtime))
    }
}
