//! `builtin`: a small layer that this binary carries.

use crate::config::near_names::hint_for;
use crate::config::schema::{Field, Kind, Shape};
use crate::config::{Config, Node, Position, Problems};
use crate::oci::Platform;
use crate::plan::attributes::parse_source;
use crate::plan::builtin_base::{PIECES, Piece};
use crate::plan::{Draft, Inputs, LayerKind, LayerSource, Need, PlanError, certificates};

/// The kind `builtin`.
pub(super) static KIND: LayerKind = LayerKind {
    name: "builtin",
    summary: "A small layer that comes with dockless, such as CA certificates.",
    example: "kind: builtin\nname: ca-certificates\nadd: [corp.pem]\n",
    shape: &SHAPE,
    parse,
};

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

fn parse(
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::plan::testing::{config, listing, source, text};

    #[test]
    fn every_piece_is_a_layer() {
        for (name, expected) in [
            ("ca-certificates", vec!["0644 0:0 etc/ssl/certs/ca-certificates.crt"]),
            (
                "passwd",
                vec![
                    "0644 0:0 etc/group",
                    "0644 0:0 etc/passwd",
                    "0700 65532:65532 home/nonroot/",
                    "0700 0:0 root/",
                ],
            ),
            ("tmp", vec!["1777 0:0 tmp/"]),
            ("nsswitch", vec!["0644 0:0 etc/nsswitch.conf"]),
            ("os-release", vec!["0644 0:0 etc/os-release"]),
        ] {
            let layer = source(&config(&[&format!("{{kind: builtin, name: {name}}}")])).unwrap();
            let drafts = layer.content(&Inputs::default(), &Platform::linux_amd64()).unwrap();
            assert_eq!(listing(&drafts), expected);
            assert!(drafts.iter().all(|draft| draft.entry.mtime == 7));
            assert_eq!(layer.describe(), format!("builtin {name}"));
        }
        assert_eq!(PIECES.len(), 5);
    }

    #[test]
    fn every_piece_is_documented() {
        let readme = include_str!("../../../base-layers/README.md");
        let field = SHAPE.fields.iter().find(|field| field.name == "name").unwrap();
        for piece in PIECES {
            assert!(readme.contains(&format!("| `{}` |", piece.name)), "{}", piece.name);
            assert!(field.doc.contains(&format!("`{}`", piece.name)), "{}", piece.name);
        }
    }

    #[test]
    fn certificates_of_the_project_are_added() {
        let config = config(&["{kind: builtin, name: ca-certificates, add: ./corp.pem}"]);
        let layer = source(&config).unwrap();
        assert_eq!(layer.describe(), "builtin ca-certificates + corp.pem");
        let position = Position::default();
        assert_eq!(layer.needs(), [Need::File { path: "corp.pem".into(), position }]);

        let content = |pem: &'static str| {
            let file = ("corp.pem".to_owned(), Bytes::from_static(pem.as_bytes()));
            let inputs = Inputs { files: [file].into(), ..Inputs::default() };
            layer.content(&inputs, &Platform::linux_amd64())
        };
        let pem = "-----BEGIN CERTIFICATE-----\nMAMBAgM=\n-----END CERTIFICATE-----\n";
        let drafts = content(pem).unwrap();
        let bundle = text(&drafts[0]);
        assert_eq!(bundle, format!("{}{pem}", certificates::bundle(&[])));

        let key = content("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        assert_eq!(
            key.unwrap_err(),
            PlanError {
                position: Position::default(),
                message: "`corp.pem` holds a private key".into(),
                hint: Some(
                    "a key must never be in an image: name a file that holds the certificate alone"
                        .into()
                ),
            }
        );
    }

    #[test]
    fn everything_wrong_is_reported() {
        for (settings, expected) in [
            (
                "name: ca-certs",
                "there is no builtin layer `ca-certs`; expected one of `ca-certificates`, `passwd`, \
                 `tmp`, `nsswitch`, `os-release`",
            ),
            ("name: tpm", "there is no builtin layer `tpm`; did you mean `tmp`?"),
            (
                "name: tmp, add: a.pem",
                "nothing can be added to `tmp`; `add` is for `ca-certificates`; other files go into \
                 a layer of kind `files`",
            ),
            (
                "name: ca-certificates, add: [/etc/ca.pem]",
                "`add` is absolute: `/etc/ca.pem`; everything in an image comes from the project's \
                 folder: write a path below it, such as `src`, or `.` for all of it",
            ),
        ] {
            let yaml = format!("{{kind: builtin, {settings}}}");
            assert_eq!(source(&config(&[&yaml])).unwrap_err(), [expected], "{settings}");
        }
    }
}
