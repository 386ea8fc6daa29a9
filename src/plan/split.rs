//! Cuts large layers into parts, so that one changed file packs and uploads its part and no other.
//!
//! To which part an entry goes follows from paths, sizes and one limit, never from how many there
//! are or in what order they were found:
//!
//! - A file of at least half the limit is a part.
//! - A folder that the limit holds stays together, since files of one folder change together: with
//!   at least half the limit it is a part, else it is pooled with what else is small beside it.
//! - A larger folder is opened: what is in it is looked at in the same way.
//! - The pool of an opened folder is a part when it has at least half the limit. Smaller pools go
//!   into one for the whole layer, its rest.
//! - A pool that is larger than the limit is cut in two by the first bit of the hashed paths, each
//!   half again by the next, until the limit holds it.
//!
//! So a file that comes or goes changes its own part. Where it crosses a line, that part is cut,
//! joined with its other half, or passes into or out of a pool; all others stay as they are.
//!
//! The limit is more than a sixteenth of the total, so fewer than 32 parts have half the limit.
//! Smaller are only the rest and pools that were cut unevenly: a tree has 34 parts at the most that
//! was found (see the tests). Should it be more than [`BUDGET`], the limit is doubled.

use std::collections::BTreeMap;
use std::iter;

use sha2::{Digest as _, Sha256};

use super::{Entry, EntryKind, LayerContent, LayerPlan};

/// The most layers of ours that are made by splitting.
pub(super) const BUDGET: usize = 40;

/// A layer with less content stays whole: it is packed and sent in a moment.
const MIN_LAYER_BYTES: u64 = 16 << 20;

/// The least limit: smaller parts would cost more requests than they save bytes.
const MIN_LIMIT_BYTES: u64 = 8 << 20;

/// The limit is at most the total divided by this.
const SHARES: u64 = 8;

/// The root of an [`Outline`].
const ROOT: usize = 0;

/// A layer before it is split.
#[derive(Debug)]
pub(super) struct WholeLayer {
    /// What it is called.
    pub(super) name: String,
    /// Where its content comes from, for `created_by`.
    pub(super) provenance: Option<String>,
    /// Sorted by path, every parent present.
    pub(super) entries: Vec<Entry>,
    /// Whether it may be split.
    pub(super) is_split: bool,
}

/// Splits the layers that are large into parts, each of them sorted by path with every parent present.
///
/// There are at most `room` layers then, unless there are more already.
pub(super) fn split(layers: Vec<WholeLayer>, room: usize) -> Vec<LayerPlan> {
    let outlines: Vec<_> = layers.iter().map(WholeLayer::outline).collect();
    let total_bytes = outlines.iter().flatten().map(Outline::size_bytes).sum();
    let cut = |limit_bytes| -> Vec<Vec<Part>> {
        let parts = outlines.iter().map(|outline| outline.as_ref().map(|it| it.cut(limit_bytes)));
        parts.map(Option::unwrap_or_default).collect()
    };
    let has_room = |parts: &Vec<Vec<Part>>| {
        let count: usize = parts.iter().map(|parts| parts.len().max(1)).sum();
        count <= room || parts.iter().all(|parts| parts.len() <= 1)
    };
    let limits = iter::successors(Some(limit_bytes(total_bytes)), |limit| limit.checked_mul(2));
    let mut parts = limits.map(cut).find(has_room).unwrap_or_default().into_iter();
    layers.into_iter().flat_map(|layer| layer.plans(parts.next().unwrap_or_default())).collect()
}

/// The most bytes of a part, unless it is one file: a power of two, so that it changes only when the
/// total has doubled or halved.
fn limit_bytes(total_bytes: u64) -> u64 {
    1 << (total_bytes / SHARES).max(MIN_LIMIT_BYTES).ilog2()
}

impl WholeLayer {
    /// What is there to cut.
    fn outline(&self) -> Option<Outline<'_>> {
        let outline = self.is_split.then(|| Outline::new(&self.entries))?;
        (outline.size_bytes() >= MIN_LAYER_BYTES).then_some(outline)
    }

    fn plans(self, parts: Vec<Part>) -> Vec<LayerPlan> {
        let provenance = self.provenance.map(|it| format!(", {it}")).unwrap_or_default();
        let plan = |name: String, entries| LayerPlan {
            created_by: format!("dockless: {name}{provenance}"),
            name,
            content: LayerContent::Pack(entries),
        };
        if parts.len() <= 1 {
            return vec![plan(self.name, self.entries)];
        }
        let part = |part: Part| {
            let entry = |node| Entry::clone(&self.entries[node - 1]);
            let entries = part.nodes.into_iter().map(entry).collect();
            plan(format!("{} ({})", self.name, part.title), entries)
        };
        parts.into_iter().map(part).collect()
    }
}

/// Some entries of a layer.
#[derive(Debug)]
struct Part {
    /// What they are, for people: `/app/model.bin`, `/app/tools/`, `/app/data/* 3/8`.
    title: String,
    /// Their nodes in an [`Outline`], with all parents, in ascending order.
    nodes: Vec<usize>,
}

/// The entries of a layer as a tree. Node 0 is the root, node `n` the entry `n - 1`: every folder
/// comes before what is in it.
#[derive(Debug)]
struct Outline<'a> {
    entries: &'a [Entry],
    /// The folder of each node; the root is in itself.
    parents: Vec<usize>,
    /// Whether something is in the node.
    has_children: Vec<bool>,
    /// The bytes of each file.
    sizes: Vec<u64>,
}

/// What stays together: a file, a folder with all that is in it, or the small pool of a folder.
#[derive(Debug)]
struct Unit<'a> {
    path: &'a str,
    size_bytes: u64,
    /// Its nodes, without the folders that something in the layer is in.
    items: Vec<usize>,
}

impl<'a> Outline<'a> {
    fn new(entries: &'a [Entry]) -> Self {
        let mut outline = Self {
            entries,
            parents: vec![ROOT],
            has_children: vec![false; entries.len() + 1],
            sizes: vec![0],
        };
        // Mostly the folder of an entry is that of the one before.
        let mut last = ("", ROOT);
        for entry in entries {
            let folder = entry.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            if folder != last.0 {
                last = (folder, outline.node(folder));
            }
            outline.parents.push(last.1);
            outline.has_children[last.1] = true;
            outline.sizes.push(match &entry.kind {
                EntryKind::File(source) => source.size_bytes(),
                EntryKind::Directory | EntryKind::Symlink(_) => 0,
            });
        }
        outline
    }

    /// The node of a folder.
    fn node(&self, path: &str) -> usize {
        if path.is_empty() {
            return ROOT;
        }
        let found = self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path));
        found.expect("every parent is an entry") + 1
    }

    fn size_bytes(&self) -> u64 {
        self.sizes.iter().sum()
    }

    fn path(&self, node: usize) -> &'a str {
        if node == ROOT { "" } else { &self.entries[node - 1].path }
    }

    /// The parts in the order of the paths that name them, the rest on top.
    fn cut(&self, limit_bytes: u64) -> Vec<Part> {
        let half = limit_bytes / 2;
        let mut parts = Vec::new();
        let mut pools: BTreeMap<usize, Vec<Unit<'a>>> = BTreeMap::new();
        let mut rest = Vec::new();
        for (top, unit) in self.units(limit_bytes) {
            if top == ROOT {
                rest.push(unit);
            } else if unit.size_bytes >= half {
                let slash = if self.has_children[top] { "/" } else { "" };
                parts.push((top, format!("/{}{slash}", unit.path.escape_debug()), unit.items));
            } else {
                pools.entry(self.parents[top]).or_default().push(unit);
            }
        }
        for (folder, pool) in pools {
            let path = self.path(folder);
            let size_bytes = pool.iter().map(|unit| unit.size_bytes).sum();
            if size_bytes >= half {
                let slash = if folder == ROOT { "" } else { "/" };
                let title = format!("{slash}{}/*", path.escape_debug());
                let shares = shares(&title, pool, limit_bytes).into_iter();
                parts.extend(shares.map(|(title, items)| (folder, title, items)));
            } else {
                let items = pool.into_iter().flat_map(|unit| unit.items).collect();
                rest.push(Unit { path, size_bytes, items });
            }
        }
        parts.sort_by_key(|(node, ..)| *node);
        let parts = parts.into_iter().map(|(_, title, items)| (title, items));
        let part = |(title, items)| Part { title, nodes: self.with_parents(items) };
        parts.chain(shares("rest", rest, limit_bytes)).map(part).collect()
    }

    /// The units by their topmost node, which is the root where that is not opened.
    fn units(&self, limit_bytes: u64) -> BTreeMap<usize, Unit<'a>> {
        let is_large = |node: usize| self.sizes[node] >= limit_bytes / 2;
        let mut small_bytes = self.sizes.clone();
        for node in (1..small_bytes.len()).rev().filter(|node| !is_large(*node)) {
            small_bytes[self.parents[node]] += small_bytes[node];
        }
        let mut tops = vec![ROOT; self.parents.len()];
        let mut units = BTreeMap::new();
        for node in 1..self.parents.len() {
            let parent = self.parents[node];
            let is_top = is_large(node) || small_bytes[parent] > limit_bytes;
            tops[node] = if is_top { node } else { tops[parent] };
            if !self.has_children[node] {
                let path = self.path(tops[node]);
                let unit = Unit { path, size_bytes: 0, items: Vec::new() };
                let unit = units.entry(tops[node]).or_insert(unit);
                unit.size_bytes += self.sizes[node];
                unit.items.push(node);
            }
        }
        units
    }

    /// These nodes and every folder they are in, in ascending order.
    fn with_parents(&self, items: Vec<usize>) -> Vec<usize> {
        let mut is_wanted = vec![false; self.parents.len()];
        is_wanted[ROOT] = true;
        for mut node in items {
            while !is_wanted[node] {
                is_wanted[node] = true;
                node = self.parents[node];
            }
        }
        (1..is_wanted.len()).filter(|node| is_wanted[*node]).collect()
    }
}

/// Cuts a pool by the hashed paths, bit by bit, until no share is larger than the limit: what each is
/// called, and its items.
fn shares(title: &str, pool: Vec<Unit<'_>>, limit_bytes: u64) -> Vec<(String, Vec<usize>)> {
    let mut done = Vec::new();
    let hashed = pool.into_iter().map(|unit| (hash(unit.path), unit)).collect();
    let mut shares: Vec<(u32, u128, Vec<_>)> = vec![(0, 0, hashed)];
    while let Some((bits, number, share)) = shares.pop() {
        let size_bytes: u64 = share.iter().map(|(_, unit)| unit.size_bytes).sum();
        if size_bytes > limit_bytes && bits < u64::BITS {
            let is_high = |(hash, _): &(u64, Unit<'_>)| hash << bits >> (u64::BITS - 1) == 1;
            let (high, low) = share.into_iter().partition(is_high);
            shares.push((bits + 1, number * 2 + 1, high));
            shares.push((bits + 1, number * 2, low));
        } else if !share.is_empty() {
            let all = 1_u128 << bits;
            let part = if all == 1 { String::new() } else { format!(" {}/{all}", number + 1) };
            let items = share.into_iter().flat_map(|(_, unit)| unit.items).collect();
            done.push((format!("{title}{part}"), items));
        }
    }
    done
}

/// Spreads paths evenly.
fn hash(path: &str) -> u64 {
    let digest = Sha256::digest(path);
    u64::from_be_bytes(*digest.first_chunk().expect("a digest has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::disk_file;
    use crate::plan::{Draft, Existing, FileSource, RootTree};

    const MIB: u64 = 1 << 20;

    /// Grounded files of this many MiB, folders (`/` behind them) and links (`@`).
    fn entries<'a>(items: impl IntoIterator<Item = (&'a str, u64)>) -> Vec<Entry> {
        let draft = |(path, mebibytes): (&str, u64)| {
            let kind = if path.ends_with('/') {
                EntryKind::Directory
            } else if path.ends_with('@') {
                EntryKind::Symlink("target".into())
            } else {
                let mut file = disk_file(path);
                file.stamp.size_bytes = mebibytes * MIB;
                EntryKind::File(FileSource::Disk(file))
            };
            let path = path.trim_end_matches('/').to_owned();
            let entry = Entry { path, kind, mode: 0o755, uid: 7, gid: 7, mtime: 0 };
            Draft { entry, existing: Existing::Keep }
        };
        RootTree::default().ground(items.into_iter().map(draft).collect(), 0).unwrap()
    }

    fn whole(entries: Vec<Entry>) -> WholeLayer {
        WholeLayer { name: "layer".into(), provenance: None, entries, is_split: true }
    }

    /// Each layer as "name: path path".
    fn told(plans: Vec<LayerPlan>) -> Vec<String> {
        let told = |plan: LayerPlan| {
            assert_eq!(plan.created_by, format!("dockless: {}", plan.name));
            let LayerContent::Pack(entries) = plan.content else { panic!("nothing exists") };
            let paths: Vec<_> = entries.into_iter().map(|entry| entry.path).collect();
            format!("{}: {}", plan.name, paths.join(" "))
        };
        plans.into_iter().map(told).collect()
    }

    #[test]
    fn what_is_large_is_cut_by_size_and_path() {
        for (items, expected) in [
            (&[][..], &["layer: "][..]),
            (&[("a", 8), ("b", 7)], &["layer: a b"]),
            (&[("a", 16)], &["layer: a"]),
            // Large files are layers of their own, in whatever folder.
            (
                &[("m/big", 100), ("m/n/half", 4), ("m/n/less", 3), ("m/n/o/", 0), ("m/z@", 0)],
                &[
                    "layer (/m/big): m m/big",
                    "layer (/m/n/half): m m/n m/n/half",
                    "layer (rest): m m/n m/n/less m/n/o m/z@",
                ],
            ),
            // Folders stay together up to the limit; what is left of an opened one is pooled.
            (
                &[
                    ("m/eight/a", 3),
                    ("m/eight/b", 3),
                    ("m/eight/c", 2),
                    ("m/four-x", 1),
                    ("m/four/a", 3),
                    ("m/four/a-b@", 0),
                    ("m/four/b/c", 1),
                    ("m/three", 3),
                    ("m/two/a", 1),
                    ("m/two/b", 1),
                ],
                &[
                    "layer (/m/*): m m/four-x m/three m/two m/two/a m/two/b",
                    "layer (/m/eight/): m m/eight m/eight/a m/eight/b m/eight/c",
                    "layer (/m/four/): m m/four m/four/a m/four/a-b@ m/four/b m/four/b/c",
                ],
            ),
            // The small pools of all folders are the rest.
            (
                &[
                    ("a/one", 1),
                    ("a/x/1", 3),
                    ("a/x/2", 3),
                    ("a/y/1", 2),
                    ("b/none/", 0),
                    ("b/x/1", 3),
                    ("b/x/2", 3),
                    ("b/y/1", 3),
                    ("b/z/1", 3),
                    ("two", 2),
                ],
                &[
                    "layer (/a/x/): a a/x a/x/1 a/x/2",
                    "layer (/b/*): b b/none b/y b/y/1 b/z b/z/1",
                    "layer (/b/x/): b b/x b/x/1 b/x/2",
                    "layer (rest): a a/one a/y a/y/1 two",
                ],
            ),
            // A pool that is too large is cut by the hashes of its paths.
            (
                &[
                    ("a", 3),
                    ("b", 3),
                    ("c", 3),
                    ("d", 3),
                    ("e", 3),
                    ("f", 3),
                    ("g", 3),
                    ("h/i", 3),
                    ("j@", 0),
                ],
                &[
                    "layer (/* 1/8): d",
                    "layer (/* 3/16): c f",
                    "layer (/* 4/16): b e",
                    "layer (/* 3/4): h h/i j@",
                    "layer (/* 4/4): a g",
                ],
            ),
        ] {
            let layer = whole(entries(items.iter().copied()));
            assert_eq!(told(split(vec![layer], BUDGET)), expected, "{items:?}");
        }
    }

    #[test]
    fn the_limit_comes_from_all_that_may_be_split() {
        for (mebibytes, limit) in
            [(0, 8), (127, 8), (128, 16), (255, 16), (256, 32), (10_240, 1024)]
        {
            assert_eq!(limit_bytes(mebibytes * MIB), limit * MIB, "{mebibytes}");
        }
        // 8 MiB for the one alone, 16 MiB for both: small and unsplit layers do not count.
        let layer = || whole(entries([("a/b", 3), ("a/c", 3), ("e", 7), ("z", 3)]));
        let alone = ["layer (/a/): a a/b a/c", "layer (/e): e", "layer (rest): z"]
            .map(str::to_owned)
            .to_vec();
        let far = || whole(entries([("x", 1000)]));
        for (others, is_alone) in [
            (vec![], true),
            (vec![whole(entries([("x", 112)]))], false),
            (vec![WholeLayer { is_split: false, ..far() }], true),
            (vec![whole(entries([("x", 15)]))], true),
            (vec![far()], false),
        ] {
            let mut layers = vec![layer()];
            layers.extend(others);
            let told = told(split(layers, BUDGET));
            assert_eq!(told.starts_with(&alone), is_alone, "{told:?}");
        }
    }

    #[test]
    fn where_there_is_less_room_parts_are_larger() {
        let paths: Vec<_> = (0..31).map(|number| format!("f{number}")).collect();
        let layers = || {
            vec![
                whole(entries(paths.iter().map(|path| (path.as_str(), 4)))),
                whole(entries([("small", 1)])),
            ]
        };
        for (room, expected) in [(BUDGET, 32), (32, 32), (31, 12), (11, 7), (6, 3), (2, 2), (0, 2)]
        {
            assert_eq!(split(layers(), room).len(), expected, "{room}");
        }
    }

    /// A tree with this many folders, just below the total at which the limit doubles: there are
    /// the most parts.
    fn tree(seed: u64, folders: usize, bytes: impl Fn(&mut fastrand::Rng) -> u64) -> Vec<Entry> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut paths = vec![String::new()];
        for number in 0..folders {
            let parent = random.usize(..paths.len());
            paths.push(format!("{}d{number}/", paths[parent]));
        }
        let mut drafts = Vec::new();
        let mut total = 0;
        while total < 255 * MIB {
            let mut file = disk_file("");
            file.stamp.size_bytes = bytes(&mut random).min(255 * MIB - total);
            total += file.stamp.size_bytes;
            let path = format!("{}f{}", paths[random.usize(..paths.len())], drafts.len());
            let kind = EntryKind::File(FileSource::Disk(file));
            let entry = Entry { path, kind, mode: 0o644, uid: 0, gid: 0, mtime: 0 };
            drafts.push(Draft { entry, existing: Existing::Keep });
        }
        RootTree::default().ground(drafts, 0).unwrap()
    }

    #[test]
    fn one_tree_has_fewer_parts_than_the_budget() {
        let sizes: [fn(&mut fastrand::Rng) -> u64; 6] = [
            |_| MIB / 4,
            |_| 16 * MIB / 2 - 1,
            |_| 16 * MIB / 3 + 1,
            |random| random.u64(..8 * MIB),
            |random| 1 << random.u32(10..26),
            |random| if random.bool() { 1 } else { 8 * MIB - 1 },
        ];
        let mut most = 0;
        for seed in 0..10 {
            for folders in [0, 3, 12, 50, 200] {
                for bytes in sizes {
                    let entries = tree(seed, folders, bytes);
                    let outline = Outline::new(&entries);
                    let limit = limit_bytes(outline.size_bytes());
                    assert_eq!(limit, 16 * MIB);
                    most = most.max(outline.cut(limit).len());
                }
            }
        }
        assert_eq!(most, 34);
    }
}
