//! `files`: files and folders of the project, and folders that are simply there.

use crate::config::schema::{Field, Kind, Shape};
use crate::config::{Config, Node, Problems};
use crate::oci::Platform;
use crate::plan::attributes::{
    ImagePath, Owner, OwnerName, entry, join, member, parse_mode, parse_source,
};
use crate::plan::pattern::split_glob;
use crate::plan::{
    Draft, EntryKind, Existing, FileSource, Inputs, LayerKind, LayerSource, Links, Need, PlanError,
    Tree, TreeEntry, TreeEntryKind, TreeNeed,
};

/// The bits that a copied file never gets by itself: setuid, setgid and sticky.
const SPECIAL_BITS: u32 = 0o7000;

/// How many names a warning lists.
const SHOWN_NAMES: usize = 3;

/// The kind `files`.
pub(super) static KIND: LayerKind = LayerKind {
    name: "files",
    summary: "Files and folders of the project.",
    example: r#"kind: files
copy:
  - {src: src, dest: /app, exclude: ["**/*.pyc"]}
  - {src: run.sh, dest: /usr/local/bin/, mode: "0755"}
directories:
  - {path: /var/lib/agent, mode: "0750", owner: "65532:65532"}
"#,
    shape: &SHAPE,
    parse,
};

static SHAPE: Shape = Shape {
    name: "a layer of kind `files`",
    fields: &[
        Field::required("kind", Kind::Choice(&["files"]), "`files`."),
        Field::optional("name", Kind::Text, "What the layer is called in output and history."),
        Field::optional(
            "copy",
            Kind::OneOrMany(&Kind::Shape(&COPY)),
            "What is copied from the project.",
        ),
        Field::optional(
            "directories",
            Kind::List(&Kind::Shape(&DIRECTORY)),
            "Folders to make, or to give another mode or owner than the base does.",
        ),
        Field::optional(
            "split",
            Kind::Choice(&["auto", "off"]),
            "`auto` turns a layer of 16 MiB or more into several, by size and path, so that a changed \
             file packs and uploads at most about an eighth of a large tree; `off` always makes \
             one. `auto` without it.",
        ),
    ],
};

static COPY: Shape = Shape {
    name: "an item of `copy`",
    fields: &[
        Field::required(
            "src",
            Kind::OneOrMany(&Kind::Text),
            "A folder, a file or a pattern (`data/*.md`) below the project's folder, or several. \
             What is in a folder goes below `dest`.",
        ),
        Field::required(
            "dest",
            Kind::Text,
            "An absolute path in the image. A file is `dest` itself, or goes below it when it ends \
             in `/`.",
        ),
        Field::optional(
            "include",
            Kind::OneOrMany(&Kind::Text),
            "Patterns in `.dockerignore` syntax, rooted at `src`; only what one of them matches is \
             copied.",
        ),
        Field::optional(
            "exclude",
            Kind::OneOrMany(&Kind::Text),
            "Patterns in `.dockerignore` syntax, rooted at `src`; what they match is left out.",
        ),
        Field::optional(
            "mode",
            Kind::Text,
            "Permission bits of the files, in octal. Without it, files are `0644`, or `0755` when \
             they are executable for anybody; setuid, setgid and sticky bits are cleared.",
        ),
        Field::optional(
            "dir_mode",
            Kind::Text,
            "Permission bits of new folders, in octal; `0755` without it. A folder that the base \
             has keeps its own: see `directories`.",
        ),
        Field::optional(
            "owner",
            Kind::Text,
            "`user` or `user:group` of files and new folders, in numbers or names; `0:0` without it. Names \
             are those of the base's `/etc/passwd` and `/etc/group`; a user without a group gets its \
             primary one, a number the group of the same number. In `agent|1000:1000` the numbers count \
             where the base does not know `agent`.",
        ),
        Field::optional(
            "links",
            Kind::Choice(&["keep", "follow"]),
            "`keep` copies symbolic links as they are. `follow` copies what they point at, which \
             must lie in the project. `keep` without it.",
        ),
        Field::optional(
            "read_only",
            Kind::Boolean,
            "Takes the permission to write from everybody, for files and new folders.",
        ),
        Field::optional(
            "ignore_file",
            Kind::Boolean,
            "Whether the project's `.dockerignore` applies; `true` without it.",
        ),
    ],
};

static DIRECTORY: Shape = Shape {
    name: "an item of `directories`",
    fields: &[
        Field::required("path", Kind::Text, "An absolute path in the image."),
        Field::optional("mode", Kind::Text, "Permission bits in octal; `0755` without it."),
        Field::optional(
            "owner",
            Kind::Text,
            "`user` or `user:group`, as in `copy`; `0:0` without it.",
        ),
    ],
};

/// A layer of this kind.
#[derive(Debug)]
struct FilesLayer {
    name: Option<String>,
    copies: Vec<Copy>,
    directories: Vec<Directory>,
    mtime: i64,
    is_split: bool,
}

/// One item of `directories`.
#[derive(Debug)]
struct Directory {
    path: String,
    mode: u32,
    owner: OwnerName,
}

/// One source of one item of `copy`.
#[derive(Debug, PartialEq)]
struct Copy {
    need: TreeNeed,
    /// As the user wrote it.
    source: String,
    dest: ImagePath,
    mode: Option<u32>,
    directory_mode: Option<u32>,
    owner: OwnerName,
    /// Whether its source must be a file.
    is_file: bool,
    is_read_only: bool,
}

fn parse(
    settings: &Node,
    config: &Config,
    problems: &mut Problems,
) -> Option<Box<dyn LayerSource>> {
    let items = |key| settings.get(key).map(Node::one_or_many).unwrap_or_default();
    if items("copy").is_empty() && items("directories").is_empty() {
        problems.report_with_hint(
            &settings.position,
            "a layer of kind `files` with nothing in it",
            "add `copy: [{src: …, dest: …}]`",
        );
        return None;
    }
    let copies: Vec<_> =
        items("copy").into_iter().map(|item| parse_copy(item, config, problems)).collect();
    let directories: Vec<_> =
        items("directories").into_iter().map(|item| parse_directory(item, problems)).collect();
    let copies: Option<Vec<_>> = copies.into_iter().collect();
    Some(Box::new(FilesLayer {
        name: settings.get_text("name").map(str::to_owned),
        copies: copies?.into_iter().flatten().collect(),
        directories: directories.into_iter().collect::<Option<_>>()?,
        mtime: config.mtime,
        is_split: settings.get_text("split") != Some("off"),
    }))
}

/// Reads an item of `copy`: one [`struct@Copy`] per source. Everything that is wrong is reported.
fn parse_copy(item: &Node, config: &Config, problems: &mut Problems) -> Option<Vec<Copy>> {
    let dest = item.get("dest").and_then(|node| ImagePath::parse(node, "dest", problems));
    let mode = member(item, "mode", None, |node| parse_mode(node, "mode", problems).map(Some));
    let directory_mode =
        member(item, "dir_mode", None, |node| parse_mode(node, "dir_mode", problems).map(Some));
    let owner = member(item, "owner", OwnerName::root(), |node| OwnerName::parse(node, problems));
    let sources = item.get("src").map(Node::one_or_many).unwrap_or_default();
    if sources.is_empty() {
        problems.report_with_hint(&item.position, "`src` names nothing", "add `src: .`");
    }
    if let Some(dest) = &dest
        && sources.len() > 1
        && !dest.is_folder
    {
        problems.report_with_hint(
            &item.get("dest")?.position,
            format!("`dest` of several sources is no folder: `/{}`", dest.path.escape_debug()),
            format!("write `/{}/`", dest.path.escape_debug()),
        );
        return None;
    }
    let read: Vec<_> =
        sources.into_iter().map(|source| parse_need(item, source, problems)).collect();
    let (dest, mode, directory_mode, owner) = (dest?, mode?, directory_mode?, owner?);
    let copy = |(source, need): (String, TreeNeed)| Copy {
        is_file: config.files.contains(&need.position),
        need,
        source,
        dest: dest.clone(),
        mode,
        directory_mode,
        owner: owner.clone(),
        is_read_only: item.get("read_only").and_then(Node::as_bool).unwrap_or(false),
    };
    read.into_iter().map(|read| read.map(copy)).collect()
}

/// What must be listed for one source of an item of `copy`, and the source as the user knows it.
fn parse_need(item: &Node, node: &Node, problems: &mut Problems) -> Option<(String, TreeNeed)> {
    let written = parse_source(node, "src", problems)?;
    let texts = |key| -> Vec<String> {
        let nodes = item.get(key).map(Node::one_or_many).unwrap_or_default();
        nodes.into_iter().filter_map(Node::as_text).map(str::to_owned).collect()
    };
    let mut include = texts("include");
    let source = match split_glob(&written) {
        None => written.clone(),
        Some(_) if !include.is_empty() => {
            problems.report_with_hint(
                &node.position,
                format!("`{}` is a pattern, and there is `include` too", written.escape_debug()),
                "name the folder in `src` and all patterns in `include`",
            );
            return None;
        }
        Some((folder, pattern)) => {
            include.push(pattern);
            folder
        }
    };
    let need = TreeNeed {
        source,
        include,
        exclude: texts("exclude"),
        links: match item.get_text("links") {
            Some("follow") => Links::Follow,
            _ => Links::Keep,
        },
        has_dockerignore: item.get("ignore_file").and_then(Node::as_bool).unwrap_or(true),
        position: node.position.clone(),
    };
    Some((written, need))
}

fn parse_directory(item: &Node, problems: &mut Problems) -> Option<Directory> {
    let path = item.get("path").and_then(|node| ImagePath::parse(node, "path", problems));
    let mode = member(item, "mode", 0o755, |node| parse_mode(node, "mode", problems));
    let owner = member(item, "owner", OwnerName::root(), |node| OwnerName::parse(node, problems));
    let (path, mode, owner) = (path?.path, mode?, owner?);
    if path.is_empty() {
        problems.report_with_hint(
            &item.position,
            "the root folder is the base's",
            "name a folder below it",
        );
        return None;
    }
    Some(Directory { path, mode, owner })
}

impl LayerSource for FilesLayer {
    fn describe(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let copies = self.copies.iter().map(|copy| {
            let slash = if copy.dest.is_folder && !copy.dest.path.is_empty() { "/" } else { "" };
            format!("{} → /{}{slash}", copy.source, copy.dest.path)
        });
        let directories = self.directories.iter().map(|directory| format!("/{}/", directory.path));
        format!("files {}", copies.chain(directories).collect::<Vec<_>>().join(", "))
    }

    fn needs(&self) -> Vec<Need> {
        self.copies.iter().map(|copy| Need::Tree(copy.need.clone())).collect()
    }

    fn content(&self, inputs: &Inputs, platform: &Platform) -> Result<Vec<Draft>, PlanError> {
        let mut drafts = Vec::new();
        for Directory { path, mode, owner } in &self.directories {
            let owner = owner.resolve(inputs, platform)?;
            let entry = entry(path.clone(), EntryKind::Directory, *mode, owner, self.mtime);
            drafts.push(Draft { entry, existing: Existing::Replace });
        }
        for copy in &self.copies {
            let tree = copy.tree(inputs)?;
            copy.check(tree)?;
            let owner = copy.owner.resolve(inputs, platform)?;
            drafts.extend(tree.entries.iter().map(|found| copy.draft(found, owner, self.mtime)));
        }
        Ok(drafts)
    }

    fn is_split(&self) -> bool {
        self.is_split
    }

    fn warnings(&self, inputs: &Inputs) -> Vec<(&'static str, String, Option<String>)> {
        self.copies.iter().flat_map(|copy| copy.warnings(inputs)).collect()
    }
}

impl Copy {
    fn tree<'inputs>(&self, inputs: &'inputs Inputs) -> Result<&'inputs Tree, PlanError> {
        inputs.trees.get(&self.need).ok_or_else(|| PlanError {
            position: self.need.position.clone(),
            message: format!("`{}` was not listed", self.source.escape_debug()),
            hint: None,
        })
    }

    /// Refuses a folder in the place of a file.
    fn check(&self, tree: &Tree) -> Result<(), PlanError> {
        let is_source = |entry: &&TreeEntry| entry.path.is_empty();
        match tree.entries.iter().find(is_source).map(|entry| &entry.kind) {
            Some(TreeEntryKind::Directory) if self.is_file => Err(PlanError {
                position: self.need.position.clone(),
                message: format!("`{}` is a folder, not a file", self.source.escape_debug()),
                hint: Some("name the file in it that is meant".to_owned()),
            }),
            _ => Ok(()),
        }
    }

    fn draft(&self, found: &TreeEntry, owner: Owner, mtime: i64) -> Draft {
        let path = match &found.kind {
            // The source itself: its folder becomes `dest`, its file takes a name.
            TreeEntryKind::Directory if found.path.is_empty() => self.dest.path.clone(),
            _ if found.path.is_empty() => self.dest.place(file_name(&self.need.source)),
            _ => join(&self.dest.path, &found.path),
        };
        let writable = if self.is_read_only { !0o222 } else { !0 };
        let (kind, mode) = match &found.kind {
            TreeEntryKind::Directory => {
                (EntryKind::Directory, self.directory_mode.unwrap_or(0o755) & writable)
            }
            TreeEntryKind::File(file) => {
                let usual = if found.mode & 0o111 == 0 { 0o644 } else { 0o755 };
                let kind = EntryKind::File(FileSource::Disk(file.clone()));
                (kind, self.mode.unwrap_or(usual) & writable)
            }
            TreeEntryKind::Symlink(target) => (EntryKind::Symlink(target.clone()), 0o777),
        };
        Draft { entry: entry(path, kind, mode, owner, mtime), existing: Existing::Keep }
    }

    fn warnings(&self, inputs: &Inputs) -> Vec<(&'static str, String, Option<String>)> {
        let Some(tree) = inputs.trees.get(&self.need) else { return Vec::new() };
        let source = self.source.escape_debug();
        let mut warnings = Vec::new();
        if let [TreeEntry { kind: TreeEntryKind::Directory, .. }] | [] = tree.entries[..] {
            warnings.push((
                "empty-copy",
                format!(
                    "nothing of `{source}` is copied: there is no file in it, or all are left out"
                ),
                Some("look at `include`, `exclude` and `.dockerignore`".into()),
            ));
        }
        let is_cleared = |found: &&TreeEntry| {
            let is_free = match found.kind {
                TreeEntryKind::Directory => self.directory_mode.is_none(),
                TreeEntryKind::File(_) => self.mode.is_none(),
                TreeEntryKind::Symlink(_) => false,
            };
            is_free && found.mode & SPECIAL_BITS != 0
        };
        let cleared: Vec<_> = tree.entries.iter().filter(is_cleared).collect();
        if !cleared.is_empty() {
            warnings.push((
                "special-mode-bits",
                format!("setuid, setgid or sticky is cleared: {}", self.names(&cleared)),
                Some("to keep such bits, say so: `mode: \"4755\"`, `dir_mode: \"1777\"`".into()),
            ));
        }
        warnings
    }

    /// The first few of these entries as the user knows them.
    fn names(&self, entries: &[&TreeEntry]) -> String {
        let folder = if self.need.source == "." { "" } else { self.need.source.as_str() };
        let name = |found: &&TreeEntry| format!("`{}`", join(folder, &found.path).escape_debug());
        let mut names: Vec<_> = entries.iter().take(SHOWN_NAMES).map(name).collect();
        if entries.len() > SHOWN_NAMES {
            names.push(format!("and {} more", entries.len() - SHOWN_NAMES));
        }
        names.join(", ")
    }
}

/// The last part of a path.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests;
