//! Files of other images, for layers of ours: their content goes into the local store.
//!
//! What a layer of such an image says of the file system is known, or read as for a base; then it is
//! clear which layers hold what was asked for, and only those are read. A layer of which nothing is known
//! is read once for both, on the guess that paths lead through no links. What was taken is remembered for
//! the layer and the paths.

mod layer_files;
mod selection;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::base::{self, BaseContext};
use super::facts::{self, FactsContext, FactsError, LayerIndex};
use crate::config::{Base, Problem, Problems};
use crate::error::{Attempting as _, Error, Result};
use crate::oci::{Digest, Platform};
use crate::plan::{
    BaseImage, BaseLayer, EntryKind, FileSource, ImageEntry, ImageNeed, ImageTree, Need, RootNode,
    RootTree,
};
use crate::sys::blocking;
use layer_files::{Content, LayerFile, LayerFiles};
use selection::Selection;

/// As many hard links as may lead from one to the next: honest layers have one, and each may have its layer
/// read again.
const MAX_LINKS: usize = 4;

/// A path, and the layer that it has come from, counted from the lowest.
type Place = (usize, String);

/// Takes what layers need of other images, for each platform.
///
/// # Errors
/// Every path that an image does not have, as [`Problems`]; those of [`base::resolve`];
/// [`FactsError`] for a layer that cannot be read; the store's when it cannot be written.
pub async fn take_files(
    needs: &[Need],
    platforms: &[Platform],
    base: BaseContext<'_>,
    context: FactsContext<'_>,
) -> Result<BTreeMap<Platform, BTreeMap<ImageNeed, ImageTree>>> {
    let mut images: BTreeMap<&Base, Vec<&ImageNeed>> = BTreeMap::new();
    for need in needs {
        if let Need::Image(need) = need {
            images.entry(&need.image).or_default().push(need);
        }
    }
    let base = BaseContext { role: "image", ..base };
    let (mut taken, mut problems) = (BTreeMap::new(), Problems::new());
    for (image, needs) in images {
        let attempt = || format!("take files from image `{}`", needs[0].name.escape_debug());
        let found = base::resolve(image, platforms, base).await.attempting(attempt)?;
        for (platform, image) in found {
            let trees = trees(&needs, &image, &platform, context).await.map_err(|error| {
                let error = error.attempting(attempt());
                match &image.manifest {
                    Some(manifest) => base.pins.explain(error, &manifest.descriptor.digest),
                    None => error,
                }
            });
            match trees? {
                Ok(trees) => taken.entry(platform).or_insert_with(BTreeMap::new).extend(trees),
                Err(missing) => problems.extend(missing),
            }
        }
    }
    problems.into_result()?;
    Ok(taken)
}

/// What one image has of what is needed, or what it does not have.
async fn trees(
    needs: &[&ImageNeed],
    image: &BaseImage,
    platform: &Platform,
    context: FactsContext<'_>,
) -> Result<Result<Vec<(ImageNeed, ImageTree)>, Vec<Problem>>> {
    let manifest = image.manifest.as_ref().expect("what has no manifest is refused by the config");
    let written: BTreeSet<_> = needs.iter().map(|need| need.source.clone()).collect();
    let (mut layers, tree) = Layers::open(&image.layers, written, context).await?;
    let (mut selections, mut missing) = (Vec::new(), Vec::new());
    for need in needs {
        match Selection::of(need, &tree, platform) {
            Ok(selection) => selections.push((*need, selection)),
            Err(problem) => missing.push(problem),
        }
    }
    if !missing.is_empty() {
        return Ok(Err(missing));
    }
    layers.fetch(&selections).await?;
    let tree = |(need, selection): (&ImageNeed, Selection)| {
        let tree = layers.tree(selection, manifest.descriptor.digest)?;
        Ok::<_, Error>((need.clone(), tree))
    };
    Ok(Ok(selections.into_iter().map(tree).collect::<Result<_>>()?))
}

/// The layers of an image, as far as they are read.
struct Layers<'a> {
    blobs: &'a [BaseLayer],
    /// The paths that are asked for, as they are written.
    written: BTreeSet<String>,
    context: FactsContext<'a>,
    /// Of each layer, the lowest first.
    indexes: Vec<LayerIndex>,
    files: Vec<LayerFiles>,
}

impl<'a> Layers<'a> {
    /// Finds out what is in the layers, and the file system that they make. What has to be read for that
    /// is read with its files.
    async fn open(
        layers: &'a [BaseLayer],
        written: BTreeSet<String>,
        context: FactsContext<'a>,
    ) -> Result<(Self, RootTree)> {
        let read = async |place: usize, layer: &BaseLayer| {
            let (index, files) = match layer_files::recorded_index(layer, context).await {
                Some(index) => (index, LayerFiles::default()),
                None => layer_files::read(layer, &written, context).await?,
            };
            Ok::<_, Error>((place, (index, files)))
        };
        let mut largest_first: Vec<_> = layers.iter().enumerate().collect();
        largest_first.sort_by_key(|(_, layer)| Reverse(layer.descriptor.size));
        let reads: Vec<_> =
            largest_first.into_iter().map(|(place, layer)| read(place, layer)).collect();
        let found: BTreeMap<_, _> = at_once(reads).await?;
        let (indexes, files): (Vec<_>, _) = found.into_values().unzip();
        let merge = move || (facts::merge(&indexes), indexes);
        let (tree, indexes) = blocking(merge).await;
        Ok((Self { blobs: layers, written, context, indexes, files }, tree))
    }

    /// Makes sure that the files of every layer in which something selected lies are there.
    async fn fetch(&mut self, selections: &[(&ImageNeed, Selection)]) -> Result<()> {
        let mut roots: BTreeSet<_> =
            selections.iter().map(|(_, selection)| selection.root.clone()).collect();
        let nodes = selections.iter().flat_map(|(_, selection)| &selection.nodes);
        let is_file = |node: &RootNode| !matches!(node, RootNode::Directory { .. });
        let files = nodes.filter(|(_, node)| is_file(node));
        let mut wanted: BTreeSet<Place> =
            files.filter_map(|(path, _)| self.place(path, self.blobs.len())).collect();
        for _ in 0..=MAX_LINKS {
            self.load(&wanted, &roots).await?;
            // Hard links to files that were not asked for.
            let linked: BTreeSet<_> =
                wanted.iter().filter_map(|place| self.linked(place)).collect();
            if linked.is_subset(&wanted) {
                break;
            }
            roots.extend(linked.iter().map(|(_, path)| path.clone()));
            wanted.extend(linked);
        }
        // What is still missing then is told when its file is asked for.
        Ok(())
    }

    /// Reads the layers that something wanted is missing of, unless it is remembered.
    async fn load(&mut self, wanted: &BTreeSet<Place>, roots: &BTreeSet<String>) -> Result<()> {
        let mut missing: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for (layer, path) in wanted {
            missing.entry(*layer).or_default().push(path);
        }
        missing.retain(|layer, paths| !self.files[*layer].has_all(paths));
        let (blobs, written, context) = (self.blobs, &self.written, self.context);
        let load = async |place: usize, paths: Vec<&str>| {
            let layer = &blobs[place];
            // A run that knew nothing asked for the paths as they are written.
            for asked in [written, roots] {
                if let Some(files) = layer_files::recorded(layer, asked, context).await
                    && files.has_all(&paths)
                {
                    return Ok((place, files));
                }
            }
            let (_, files) = layer_files::read(layer, roots, context).await?;
            match paths.iter().find(|path| !files.has_all(&[path])) {
                Some(path) => Err(Error::new(lost(layer, path))),
                None => Ok((place, files)),
            }
        };
        let loads: Vec<_> = missing.into_iter().map(|(place, paths)| load(place, paths)).collect();
        for (place, files) in at_once::<_, Vec<_>>(loads).await? {
            self.files[place] = files;
        }
        Ok(())
    }

    /// Where a file or link lies: in the topmost layer, of those below `end`, that has it.
    fn place(&self, path: &str, end: usize) -> Option<Place> {
        let layer = self.indexes[..end].iter().rposition(|index| index.nodes.contains_key(path))?;
        Some((layer, path.to_owned()))
    }

    /// Where the file lies that a hard link is another name of.
    fn linked(&self, (layer, path): &Place) -> Option<Place> {
        match &self.files[*layer].get(path)?.content {
            Content::HardLink(target) => self.place(target, layer + 1),
            _ => None,
        }
    }

    /// A file or link, and the layer that has its content.
    fn file(&self, path: &str) -> Result<(usize, &LayerFile)> {
        let mut place = self.place(path, self.blobs.len());
        for _ in 0..MAX_LINKS {
            let Some((layer, path)) = &place else { break };
            match self.files[*layer].get(path) {
                Some(file) if matches!(file.content, Content::HardLink(_)) => {}
                Some(file) => return Ok((*layer, file)),
                None => break,
            }
            place = self.linked(&(*layer, path.clone()));
        }
        let layer = self.place(path, self.blobs.len()).map_or(0, |(layer, _)| layer);
        Err(lost(&self.blobs[layer], path).into())
    }

    fn tree(&self, selection: Selection, image: Digest) -> Result<ImageTree> {
        let Selection { root, nodes } = selection;
        let (mut entries, mut special) = (Vec::new(), Vec::new());
        for (path, node) in nodes {
            let below = path.strip_prefix(&root).unwrap_or(&path);
            let below = below.trim_start_matches('/').to_owned();
            let (kind, mode, file) = match node {
                RootNode::Directory { mode, uid, gid } => {
                    let (kind, has_attributes) = (EntryKind::Directory, false);
                    entries.push(ImageEntry { path: below, kind, mode, uid, gid, has_attributes });
                    continue;
                }
                RootNode::Symlink(target) => {
                    (EntryKind::Symlink(target), 0o777, self.file(&path)?.1)
                }
                RootNode::File => {
                    let (layer, file) = self.file(&path)?;
                    let Some(stored) = self.files[layer].stored(file) else {
                        special.push(below);
                        continue;
                    };
                    (EntryKind::File(FileSource::Stored(stored)), file.mode, file)
                }
            };
            let LayerFile { uid, gid, has_attributes, .. } = *file;
            entries.push(ImageEntry { path: below, kind, mode, uid, gid, has_attributes });
        }
        Ok(ImageTree { image, entries, special })
    }
}

/// A layer says that it has a file, and does not have its content.
fn lost(layer: &BaseLayer, path: &str) -> FactsError {
    let path = path.escape_debug();
    let reason = format!(
        "the content of `/{path}` is not in it, or behind more than {MAX_LINKS} hard links"
    );
    FactsError::Unusable { layer: layer.descriptor.digest, reason }
}

/// As many at a time as there are cores: unpacking keeps one busy.
async fn at_once<T, C: Default + Extend<T>>(
    reads: Vec<impl Future<Output = Result<T>>>,
) -> Result<C> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    stream::iter(reads).buffer_unordered(cores).try_collect().await
}
