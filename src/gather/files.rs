//! The project's files: listed, looked at and opened once, or read when they are small.
//!
//! A source is a folder, a file, or a path with wildcards (`data/*.md`: what matches below `data`).
//! Links in the path of a source are followed as long as they stay in the project; what stands at
//! its end is kept as it is, or followed, as the need says. Never listed: our own outputs, and the
//! folders of version control (`.git`, `.hg`, `.svn`) unless the source names one. The first part
//! of the answer to "where is my file?" is a detail event for each of them.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::rc::Rc;

use bytes::Bytes;

use super::error::{Fault, FaultCause, FilesError};
use super::filter::Filter;
use super::folder::LookKind;
use super::listing::Listing;
use super::project::{Place, Project, parts};
use super::walk::Walk;
use crate::config::Position;
use crate::error::Result;
use crate::event::{Action, Events, readable_size};
use crate::plan::pattern::{PatternSet, PatternUse, split_glob};
use crate::plan::{Links, Need, Tree, TreeEntryKind, TreeNeed};
use crate::sys::beneath;

/// The file whose patterns keep files of the project out of the image.
const IGNORE_FILE: &str = ".dockerignore";

/// The most that [`read_file`] reads.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The most that a `.dockerignore` may have.
const MAX_IGNORE_BYTES: u64 = 16 * 1024 * 1024;

/// Lists and reads all that is needed.
///
/// # Errors
/// Everything that is wrong with any of it, at once.
pub fn gather_files(
    needs: &[Need],
    project: &Project,
    events: &Events,
) -> Result<(BTreeMap<TreeNeed, Tree>, BTreeMap<String, Bytes>)> {
    let mut trees = BTreeMap::new();
    let mut files = BTreeMap::new();
    let mut faults = Vec::new();
    let uses_ignore = |need: &Need| matches!(need, Need::Tree(tree) if tree.has_dockerignore);
    let without_file = Rc::new(project.ignore().clone());
    let with_file = if needs.iter().any(uses_ignore) {
        load_ignore(project).unwrap_or_else(|fault| {
            faults.push(fault);
            Rc::default()
        })
    } else {
        Rc::default()
    };
    for need in needs {
        match need {
            Need::Tree(need) if !trees.contains_key(need) => {
                let ignore = if need.has_dockerignore { &with_file } else { &without_file };
                match list(project, ignore.clone(), need, events) {
                    Ok(tree) => drop(trees.insert(need.clone(), tree)),
                    Err(found) => faults.extend(found),
                }
            }
            Need::Tree(_) | Need::Image(_) => {}
            Need::File { path, position } => match read(project, path, MAX_FILE_BYTES) {
                Ok(bytes) => drop(files.insert(path.clone(), bytes)),
                Err(cause) => {
                    let position = position.clone();
                    faults.push(Fault { position, cause, path: path.clone() });
                }
            },
        }
    }
    if !faults.is_empty() {
        return Err(FilesError::of(faults).into());
    }
    Ok((trees, files))
}

/// Lists one source.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn list_tree(project: &Project, need: &TreeNeed, events: &Events) -> Result<Tree> {
    let ignore = if need.has_dockerignore {
        load_ignore(project)
    } else {
        Ok(Rc::new(project.ignore().clone()))
    };
    let listed =
        ignore.map_err(|fault| vec![fault]).and_then(|ignore| list(project, ignore, need, events));
    listed.map_err(|faults| FilesError::of(faults).into())
}

/// Reads a small file of the project, at most 1 MiB. Links are followed inside the project.
///
/// # Errors
/// It is missing, unreadable, too large, no file, or not in the project.
pub fn read_file(project: &Project, path: &str) -> Result<Bytes> {
    read(project, path, MAX_FILE_BYTES).map_err(|cause| {
        let fault = Fault { position: Position::default(), cause, path: path.to_owned() };
        FilesError::of(vec![fault]).into()
    })
}

fn read(project: &Project, path: &str, limit_bytes: u64) -> Result<Bytes, FaultCause> {
    let place = project.resolve(path, true)?;
    match place.look.kind {
        LookKind::File => {}
        LookKind::Special(kind) => return Err(FaultCause::Special { kind }),
        LookKind::Directory | LookKind::Symlink => return Err(FaultCause::NotAFile),
    }
    let unreadable = |error: std::io::Error| FaultCause::of_io(&error);
    let file = beneath::open(project.directory(), &place.path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(FaultCause::Changed);
    }
    let mut bytes = Vec::new();
    file.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit_bytes {
        return Err(FaultCause::TooLarge { limit_bytes });
    }
    Ok(bytes.into())
}

/// The patterns of the `.dockerignore`, then those of the config.
fn load_ignore(project: &Project) -> Result<Rc<PatternSet>, Fault> {
    let set = match read(project, IGNORE_FILE, MAX_IGNORE_BYTES) {
        Ok(bytes) => PatternSet::parse_file(&bytes, IGNORE_FILE).map_err(FaultCause::from),
        Err(FaultCause::Missing { .. }) => Ok(PatternSet::default()),
        Err(cause) => Err(cause),
    };
    set.map(|set| Rc::new(set.followed_by(project.ignore()))).map_err(|cause| Fault {
        position: Position::default(),
        cause,
        path: IGNORE_FILE.to_owned(),
    })
}

fn list(
    project: &Project,
    ignore: Rc<PatternSet>,
    need: &TreeNeed,
    events: &Events,
) -> Result<Tree, Vec<Fault>> {
    let fault = |path: String, cause| Fault { position: need.position.clone(), cause, path };
    let (place, filter) =
        locate(project, ignore, need).map_err(|cause| vec![fault(need.source.clone(), cause)])?;
    // A typing error is no work that failed.
    let task = events.task(Action::List, need.source.escape_debug().to_string(), None);
    let is_directory = place.look.kind == LookKind::Directory;
    let mut listing = Walk::new(project, need.links, &filter).list(place);
    if listing.faults.is_empty()
        && is_directory
        && listing.entries.len() <= 1
        && !filter.include.is_empty()
    {
        let patterns = include_patterns(need);
        listing.faults.push((need.source.clone(), FaultCause::NothingMatches { patterns }));
    }
    if !listing.faults.is_empty() {
        return Err(listing.faults.into_iter().map(|(path, cause)| fault(path, cause)).collect());
    }
    remark(need, &listing, events);
    let is_file = |kind: &TreeEntryKind| !matches!(kind, TreeEntryKind::Directory);
    let files = listing.entries.iter().filter(|entry| is_file(&entry.kind)).count();
    let size = readable_size(listing.remarks.size_bytes());
    task.finish(format!("{files} {}, {size}", if files == 1 { "file" } else { "files" }));
    Ok(Tree { entries: listing.entries })
}

/// Finds the source and reads the patterns; a source with wildcards is the folder before them.
fn locate(
    project: &Project,
    ignore: Rc<PatternSet>,
    need: &TreeNeed,
) -> Result<(Place, Filter), FaultCause> {
    let follows_last = need.links == Links::Follow;
    let mut include = Vec::new();
    let place = match (project.resolve(&need.source, follows_last), split_glob(&need.source)) {
        // A file may have a `*` in its name: what is there comes first.
        (Err(FaultCause::Missing { .. }), Some((folder, pattern))) => {
            include.push(PatternSet::parse([pattern], "src")?);
            project.resolve(&folder, true)?
        }
        (place, _) => place?,
    };
    if place.look.kind == LookKind::Directory && project.is_too_broad(&place.path) {
        return Err(FaultCause::TooBroad);
    }
    if !need.include.is_empty() {
        include.push(PatternSet::parse(&need.include, "include")?);
    }
    let exclude = PatternSet::parse(&need.exclude, "exclude")?;
    Ok((place, Filter { ignore, exclude, include }))
}

fn include_patterns(need: &TreeNeed) -> Vec<String> {
    let glob = split_glob(&need.source).map(|(_, pattern)| pattern);
    if need.include.is_empty() { glob.into_iter().collect() } else { need.include.clone() }
}

fn remark(need: &TreeNeed, listing: &Listing<'_>, events: &Events) {
    for path in &listing.left_out {
        events.detail(format!("left out `{}`", path.escape_debug()));
    }
    listing.remarks.send(&need.source, events);
    let source = parts(&need.source).collect::<Vec<_>>().join("/");
    let paths: Vec<&str> = listing.entries.iter().map(|entry| entry.path.as_str()).collect();
    let warn = |code: &'static str, list: &str, uses: &PatternUse<'_>| {
        for (pattern, better) in uses.unused(&source, &paths) {
            let text = format!(
                "{}: the {list} pattern `{}` matches nothing in `{}`",
                need.position,
                pattern.escape_debug(),
                need.source.escape_debug()
            );
            let hint = match better {
                Some(better) => {
                    format!("`{}` would: patterns are rooted at `src`", better.escape_debug())
                }
                None => "patterns are rooted at `src`; remove this one if it has no use".to_owned(),
            };
            events.warn(code, text, Some(hint));
        }
    };
    warn("exclude-matches-nothing", "exclude", &listing.exclude_use);
    for include in &listing.include_use {
        warn("include-matches-nothing", "include", include);
    }
}
