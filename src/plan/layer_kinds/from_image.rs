//! `from-image`: files of another image, without its layers.

use crate::config::schema::{Field, Kind, Shape};
use crate::config::{Base, Config, Node, Problems};
use crate::error::Classified as _;
use crate::oci::Platform;
use crate::plan::attributes::{ImagePath, Owner, OwnerName, entry, join, member};
use crate::plan::pattern::PatternSet;
use crate::plan::{
    Draft, EntryKind, Existing, FinalLink, ImageEntry, ImageNeed, ImageTree, Inputs, LayerKind,
    LayerSource, Need, PlanError, RECIPES,
};

/// The bits that nothing keeps: setuid and setgid. A folder that is open to all stays sticky.
const SPECIAL_BITS: u32 = 0o6000;

/// How many names a warning lists, and the name of a layer.
const SHOWN_NAMES: usize = 3;

/// The kind `from-image`.
pub(super) static KIND: LayerKind = LayerKind {
    name: "from-image",
    summary: "Files of another image, without its layers: what would need a `RUN` elsewhere. They \
              are read from its registry for each platform, and kept in the cache.",
    example: r#"kind: from-image
image: node:22-bookworm-slim
copy:
  - {src: /usr/local/bin/node, dest: /usr/local/bin/}
  - {src: /usr/local/bin/npm}
  - {src: /usr/local/lib/node_modules, exclude: ["**/*.md"]}
"#,
    shape: &SHAPE,
    parse,
};

static SHAPE: Shape = Shape {
    name: "a layer of kind `from-image`",
    fields: &[
        Field::required("kind", Kind::Choice(&["from-image"]), "`from-image`."),
        Field::optional("name", Kind::Text, "What the layer is called in output and history."),
        Field::optional(
            "image",
            Kind::Text,
            "The image, as in `base`: `name:tag`, `name@sha256:…`, `name:tag@sha256:…`, `oci:DIR`. A \
             recipe has one of its own.",
        ),
        Field::optional(
            "recipe",
            Kind::Choice(&["node", "uv"]),
            "What to copy, for common cases: `node` is Node.js with npm and npx from \
             `node:22-bookworm-slim`, for bases with glibc and libstdc++ (Debian, Ubuntu and what is made \
             from them); `uv` is uv and uvx from `ghcr.io/astral-sh/uv:0.13`.",
        ),
        Field::optional(
            "copy",
            Kind::OneOrMany(&Kind::Shape(&COPY)),
            "What is copied from the image, beside what the recipe says.",
        ),
        Field::optional(
            "split",
            Kind::Choice(&["auto", "off"]),
            "As for `files`: whether a large layer becomes several. `auto` without it.",
        ),
    ],
};

static COPY: Shape = Shape {
    name: "an item of `copy` from an image",
    fields: &[
        Field::required(
            "src",
            Kind::Text,
            "An absolute path in that image: a file, a folder with all that is in it, or a symbolic \
             link, which stays one. With `/` at its end, the folder that a link leads to is meant.",
        ),
        Field::optional(
            "dest",
            Kind::Text,
            "An absolute path in our image. A file or link is `dest` itself, or goes below it when it \
             ends in `/`. The path that it has there without it.",
        ),
        Field::optional(
            "exclude",
            Kind::OneOrMany(&Kind::Text),
            "Patterns in `.dockerignore` syntax, rooted at `src`; what they match is left out.",
        ),
        Field::optional(
            "owner",
            Kind::Text,
            "`user` or `user:group` of all that is copied, as for `files`. Without it, and for modes \
             always, it is as in that image, in numbers, less setuid and setgid bits.",
        ),
    ],
};

/// A layer of this kind.
#[derive(Debug)]
struct FromImageLayer {
    name: Option<String>,
    /// As the user wrote it.
    image: String,
    recipe: Option<String>,
    copies: Vec<Copy>,
    mtime: i64,
    is_split: bool,
}

/// One item of `copy`.
#[derive(Debug)]
struct Copy {
    need: ImageNeed,
    dest: ImagePath,
    owner: Option<OwnerName>,
}

fn parse(
    settings: &Node,
    config: &Config,
    problems: &mut Problems,
) -> Option<Box<dyn LayerSource>> {
    let recipe = settings.get("recipe").and_then(|node| {
        let recipe = RECIPES.iter().find(|recipe| node.as_text() == Some(recipe.name))?;
        Some(recipe.settings(&node.position))
    });
    let of_recipe = |key| recipe.as_ref().and_then(|recipe| recipe.get(key));
    let Some(image) = settings.get("image").or(of_recipe("image")) else {
        problems.report_with_hint(
            &settings.position,
            "a layer of kind `from-image` without an image",
            "add `image: name:tag`, or one of the recipes: `recipe: node`, `recipe: uv`",
        );
        return None;
    };
    let items = [of_recipe("copy"), settings.get("copy")].into_iter().flatten();
    let items: Vec<_> = items.flat_map(Node::one_or_many).collect();
    if items.is_empty() {
        problems.report_with_hint(
            &settings.position,
            "a layer of kind `from-image` with nothing in it",
            "add `copy: [{src: /path/in/that/image}]`",
        );
    }
    let base = parse_image(image, problems);
    let copies: Vec<_> =
        items.iter().map(|item| parse_copy(item, (image, base.as_ref()), problems)).collect();
    Some(Box::new(FromImageLayer {
        name: settings.get_text("name").map(str::to_owned),
        image: image.as_text()?.to_owned(),
        recipe: settings.get_text("recipe").map(str::to_owned),
        copies: copies.into_iter().collect::<Option<Vec<_>>>().filter(|it| !it.is_empty())?,
        mtime: config.mtime,
        is_split: settings.get_text("split") != Some("off"),
    }))
}

/// Reads what image it is: one that has layers.
fn parse_image(node: &Node, problems: &mut Problems) -> Option<Base> {
    let text = node.as_text()?;
    let (message, hint) = match text.parse::<Base>() {
        Ok(base @ (Base::Registry(_) | Base::Layout { .. })) => return Some(base),
        Ok(Base::Scratch | Base::Builtin(_)) => {
            let hint = "name one in a registry, or an `oci:DIR`; what is embedded here comes with a layer \
                        of kind `builtin`";
            (format!("`{text}` is no image to copy from"), hint.to_owned())
        }
        Err(error) => (error.to_string(), error.hint().to_owned()),
    };
    problems.report_with_hint(&node.position, message, hint);
    None
}

/// Reads an item of `copy`. Everything that is wrong is reported.
fn parse_copy(
    item: &Node,
    (image, base): (&Node, Option<&Base>),
    problems: &mut Problems,
) -> Option<Copy> {
    let node = item.get("src");
    let source = node.and_then(|node| ImagePath::parse(node, "src", problems));
    let dest = item.get("dest").map(|node| ImagePath::parse(node, "dest", problems));
    let owner = member(item, "owner", None, |node| OwnerName::parse(node, problems).map(Some));
    let patterns = item.get("exclude").map(Node::one_or_many).unwrap_or_default();
    let exclude: Vec<_> =
        patterns.iter().filter_map(|node| node.as_text().map(str::to_owned)).collect();
    if let Err(error) = PatternSet::parse(&exclude, "exclude") {
        let position = &item.get("exclude")?.position;
        problems.report_with_hint(position, error.to_string(), error.hints().join("; "));
        return None;
    }
    let (source, owner) = (source?, owner?);
    let dest = match dest {
        Some(dest) => dest?,
        None => ImagePath { path: source.path.clone(), is_folder: false },
    };
    let need = ImageNeed {
        image: base?.clone(),
        name: image.as_text()?.to_owned(),
        last: if source.is_folder { FinalLink::Followed } else { FinalLink::Kept },
        source: source.path,
        exclude,
        position: node?.position.clone(),
    };
    Some(Copy { need, dest, owner })
}

impl LayerSource for FromImageLayer {
    fn describe(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        if let Some(recipe) = &self.recipe {
            return format!("from-image {} (recipe {recipe})", self.image);
        }
        let copy = |copy: &Copy| {
            let Copy { need, dest, .. } = copy;
            let slash = if dest.is_folder && !dest.path.is_empty() { "/" } else { "" };
            if need.source == dest.path {
                format!("/{}", need.source)
            } else {
                format!("/{} → /{}{slash}", need.source, dest.path)
            }
        };
        let shown = shorten(self.copies.iter().map(copy).collect());
        format!("from-image {} {shown}", self.image)
    }

    fn needs(&self) -> Vec<Need> {
        self.copies.iter().map(|copy| Need::Image(copy.need.clone())).collect()
    }

    fn content(&self, inputs: &Inputs, platform: &Platform) -> Result<Vec<Draft>, PlanError> {
        let mut drafts = Vec::new();
        for copy in &self.copies {
            let tree = copy.tree(inputs, platform).ok_or_else(|| copy.missing(platform))?;
            let owner = copy.owner.as_ref().map(|owner| owner.resolve(inputs, platform));
            let owner = owner.transpose()?;
            drafts.extend(tree.entries.iter().map(|found| copy.draft(found, owner, self.mtime)));
        }
        Ok(drafts)
    }

    fn provenance(&self, inputs: &Inputs, platform: &Platform) -> Option<String> {
        let tree = self.copies.iter().find_map(|copy| copy.tree(inputs, platform))?;
        Some(format!("taken from {}", tree.image))
    }

    fn is_split(&self) -> bool {
        self.is_split
    }

    fn warnings(&self, inputs: &Inputs) -> Vec<(&'static str, String, Option<String>)> {
        let platforms = inputs.images.keys();
        let trees = platforms.flat_map(|platform| {
            self.copies.iter().filter_map(|copy| Some((copy, copy.tree(inputs, platform)?)))
        });
        trees.flat_map(|(copy, tree)| copy.warnings(tree)).collect()
    }
}

impl Copy {
    fn tree<'inputs>(
        &self,
        inputs: &'inputs Inputs,
        platform: &Platform,
    ) -> Option<&'inputs ImageTree> {
        inputs.images.get(platform)?.get(&self.need)
    }

    fn missing(&self, platform: &Platform) -> PlanError {
        let ImageNeed { name, source, position, .. } = &self.need;
        PlanError {
            position: position.clone(),
            message: format!("`/{source}` of `{name}` was not read for {platform}"),
            hint: None,
        }
    }

    fn draft(&self, found: &ImageEntry, owner: Option<Owner>, mtime: i64) -> Draft {
        let path = match &found.kind {
            EntryKind::Directory => join(&self.dest.path, &found.path),
            _ if found.path.is_empty() => self.dest.place(file_name(&self.need.source)),
            _ => join(&self.dest.path, &found.path),
        };
        let owner = owner.unwrap_or(Owner { uid: found.uid, gid: found.gid });
        let mode = found.mode & !SPECIAL_BITS;
        let entry = entry(path, found.kind.clone(), mode, owner, mtime);
        Draft { entry, existing: Existing::Keep }
    }

    fn warnings(&self, tree: &ImageTree) -> Vec<(&'static str, String, Option<String>)> {
        let name = self.need.name.escape_debug();
        let mut warnings = Vec::new();
        let mut warn = |code, paths: Vec<&str>, text: &str, hint: Option<&str>| {
            if !paths.is_empty() {
                let paths = paths.iter().map(|path| self.shown(path)).collect();
                let text = format!("{text} `{name}`: {}", shorten(paths));
                warnings.push((code, text, hint.map(str::to_owned)));
            }
        };
        let paths = |is_meant: fn(&ImageEntry) -> bool| {
            let entries = tree.entries.iter().filter(|entry| is_meant(entry));
            entries.map(|entry| entry.path.as_str()).collect()
        };
        warn(
            "special-mode-bits",
            paths(|entry| entry.mode & SPECIAL_BITS != 0),
            "setuid or setgid is cleared of what is taken from",
            Some("such a program is better brought by the base"),
        );
        warn(
            "extended-attributes",
            paths(|entry| entry.has_attributes),
            "extended attributes, such as capabilities, are left out of what is taken from",
            None,
        );
        warn(
            "special-files",
            tree.special.iter().map(String::as_str).collect(),
            "devices, FIFOs and sockets are left out of what is taken from",
            None,
        );
        let is_folder = |entry: &ImageEntry| entry.kind == EntryKind::Directory;
        if tree.entries.len() <= 1 && tree.entries.iter().all(is_folder) {
            let hint = "look at `exclude`";
            warn("empty-copy", vec![""], "there is nothing to take from", Some(hint));
        }
        warnings
    }

    /// A path below the source as the user knows it.
    fn shown(&self, path: &str) -> String {
        format!("`/{}`", join(&self.need.source, path).escape_debug())
    }
}

/// The first few of these, and how many more there are.
fn shorten(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(SHOWN_NAMES);
    names.truncate(SHOWN_NAMES);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

/// The last part of a path.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests;
