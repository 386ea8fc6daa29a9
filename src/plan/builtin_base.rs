//! The small layers that this binary carries (`base-layers/`), and the bases made of them.

use std::sync::LazyLock;

use bytes::Bytes;

use super::attributes::{Owner, entry};
use super::certificates;
use super::{Draft, EntryKind, Existing, FileSource, LayerContent, LayerPlan, RootTree};
use crate::oci::RunConfig;

/// A ready-made layer.
#[derive(Debug)]
pub struct Piece {
    /// What `name:` calls it.
    pub name: &'static str,
    /// What it holds, for the docs.
    pub summary: &'static str,
    items: &'static [Item],
}

/// A file or folder of a piece.
#[derive(Debug)]
struct Item {
    path: &'static str,
    mode: u32,
    owner: u32,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Directory,
    File(&'static [u8]),
    Certificates,
}

/// Where programs look for CA certificates.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The user whom a container of a builtin base runs as, in numbers: Kubernetes cannot tell from a
/// name that it is not root.
const NON_ROOT: u32 = 65532;

/// Every ready-made layer; `static` is all of them, in this order.
pub static PIECES: &[Piece] = &[
    Piece {
        name: "ca-certificates",
        summary: "the CA certificates that Mozilla trusts, and those in `add`",
        items: &[file("etc/ssl/certs/ca-certificates.crt", Content::Certificates)],
    },
    Piece {
        name: "passwd",
        summary: "`/etc/passwd` and `/etc/group` with `root`, `nobody` and `nonroot` (65532)",
        items: &[
            file("etc/group", Content::File(include_bytes!("../../base-layers/etc/group"))),
            file("etc/passwd", Content::File(include_bytes!("../../base-layers/etc/passwd"))),
            directory("home/nonroot", 0o700, NON_ROOT),
            directory("root", 0o700, 0),
        ],
    },
    Piece { name: "tmp", summary: "`/tmp`, open to all", items: &[directory("tmp", 0o1777, 0)] },
    Piece {
        name: "nsswitch",
        summary: "`/etc/nsswitch.conf`: hosts from `/etc/hosts`, then DNS",
        items: &[file(
            "etc/nsswitch.conf",
            Content::File(include_bytes!("../../base-layers/etc/nsswitch.conf")),
        )],
    },
    Piece {
        name: "os-release",
        summary: "`/etc/os-release`",
        items: &[file(
            "etc/os-release",
            Content::File(include_bytes!("../../base-layers/etc/os-release")),
        )],
    },
];

/// The bases that `builtin:NAME` knows.
pub static BUILTIN_BASES: &[&str] = crate::config::BUILTIN_BASE_NAMES;

/// A base that needs no registry.
#[derive(Debug, Clone, PartialEq)]
pub struct BuiltinBase {
    /// Its layers, lowest first; they are the same for every platform.
    pub layers: Vec<LayerPlan>,
    /// How a container of it is run.
    pub run: RunConfig,
    /// Its file system.
    pub root: RootTree,
}

const fn file(path: &'static str, content: Content) -> Item {
    Item { path, mode: 0o644, owner: 0, content }
}

const fn directory(path: &'static str, mode: u32, owner: u32) -> Item {
    Item { path, mode, owner, content: Content::Directory }
}

impl Piece {
    /// The piece of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        PIECES.iter().find(|piece| piece.name == name)
    }

    /// Whether further certificates can be added to it.
    pub(super) fn has_certificates(&self) -> bool {
        self.items.iter().any(|item| matches!(item.content, Content::Certificates))
    }

    /// What it holds, with these certificates (DER) besides Mozilla's.
    pub(super) fn drafts(&self, added: &[Vec<u8>], mtime: i64) -> Vec<Draft> {
        let draft = |item: &Item| {
            let kind = match item.content {
                Content::Directory => EntryKind::Directory,
                Content::File(bytes) => {
                    EntryKind::File(FileSource::Bytes(Bytes::from_static(bytes)))
                }
                Content::Certificates => EntryKind::File(FileSource::Bytes(bundle(added))),
            };
            let owner = Owner { uid: item.owner.into(), gid: item.owner.into() };
            Draft {
                entry: entry(item.path.to_owned(), kind, item.mode, owner, mtime),
                existing: Existing::Replace,
            }
        };
        self.items.iter().map(draft).collect()
    }
}

/// The bundle; the one without additions is made once, since plans compare and hash it.
fn bundle(added: &[Vec<u8>]) -> Bytes {
    static MOZILLA: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(certificates::bundle(&[])));
    if added.is_empty() { MOZILLA.clone() } else { Bytes::from(certificates::bundle(added)) }
}

/// The base `builtin:NAME`; absent when there is none of this name (see [`BUILTIN_BASES`]).
///
/// It is one layer: nobody shares its parts, and each layer costs a request.
pub fn builtin_base(name: &str) -> Option<BuiltinBase> {
    let name = *BUILTIN_BASES.iter().find(|known| **known == name)?;
    let mut root = RootTree::default();
    let drafts = PIECES.iter().flat_map(|piece| piece.drafts(&[], 0)).collect();
    let entries = root.ground(drafts, 0).expect("our own pieces do not contradict each other");
    root.lay(&entries);
    let name = format!("builtin {name}");
    Some(BuiltinBase {
        layers: vec![LayerPlan {
            created_by: format!("dockless: {name}"),
            name,
            content: LayerContent::Pack(entries),
        }],
        run: RunConfig {
            user: Some(format!("{NON_ROOT}:{NON_ROOT}")),
            env: vec![
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
                format!("SSL_CERT_FILE={BUNDLE}"),
            ],
            working_dir: Some("/".into()),
            ..RunConfig::default()
        },
        root,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_is_what_a_program_needs() {
        let base = builtin_base("static").unwrap();
        let [LayerPlan { name, created_by, content: LayerContent::Pack(entries) }] =
            &base.layers[..]
        else {
            panic!("{:?}", base.layers)
        };
        assert_eq!(
            (name.as_str(), created_by.as_str()),
            ("builtin static", "dockless: builtin static")
        );
        let listing: Vec<_> = entries
            .iter()
            .map(|entry| format!("{:04o} {}:{} {}", entry.mode, entry.uid, entry.gid, entry.path))
            .collect();
        assert_eq!(
            listing,
            [
                "0755 0:0 etc",
                "0644 0:0 etc/group",
                "0644 0:0 etc/nsswitch.conf",
                "0644 0:0 etc/os-release",
                "0644 0:0 etc/passwd",
                "0755 0:0 etc/ssl",
                "0755 0:0 etc/ssl/certs",
                "0644 0:0 etc/ssl/certs/ca-certificates.crt",
                "0755 0:0 home",
                "0700 65532:65532 home/nonroot",
                "0700 0:0 root",
                "1777 0:0 tmp",
            ]
        );
        assert_eq!(base.run.user.as_deref(), Some("65532:65532"));
        assert!(base.root.get("etc/ssl/certs").is_some());
        assert_eq!(builtin_base("sttic"), None);
    }

    #[test]
    fn the_bundle_lies_where_the_environment_says() {
        let paths = PIECES.iter().flat_map(|piece| piece.items).map(|item| item.path);
        assert_eq!(paths.filter(|path| *path == &BUNDLE[1..]).count(), 1);
    }
}
