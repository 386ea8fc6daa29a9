//! Finds a project's config and reads it: the one part of this stage that touches the disk.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::formats::FORMATS;
use super::load_error::{LoadError, MAX_BESIDE_BYTES, MAX_BYTES, shown};
use super::{
    Base, Config, ConfigFormat, ConfigSource, Import, Node, ParseContext, ParsedFile, Position,
    Problems, ProjectFile, ProjectFiles, Template, TemplateError,
};
use crate::error::{Classified as _, Result};
use crate::sys::Environment;

/// A config that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What could be understood.
    pub config: Config,
    /// What is wrong. Whoever goes on adds the problems of the layers, then refuses all of them.
    pub problems: Problems,
}

/// Reads the config of a project.
///
/// `path` is the project's folder or its config; `file`, from `-f`, a config that has another name
/// or lies elsewhere. Paths in the config are relative to the project's folder either way. `base`
/// stands for the one of the config, which then needs none.
///
/// # Errors
/// When there is no config that can be read, or nothing of it can be understood.
pub fn load(path: &Path, file: Option<&Path>, base: Option<&Base>) -> Result<Loaded> {
    let place = Place::find(path, file)?;
    let mut problems = Problems::new();
    let Some(parsed) = parse_file(&place.file, &mut problems)? else {
        return Err(problems.into());
    };
    let name = place.file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some(format) = recognise(&parsed.root, name) else {
        report_unknown(&place.file, &mut problems);
        return Err(problems.into());
    };
    let mut imported = BTreeMap::new();
    for import in format.imports(&parsed.root) {
        if let Some(config) = load_import(&import, format, &place, &mut problems) {
            imported.insert(import.path, config);
        }
    }
    let path = place.path_below();
    let context = ParseContext {
        source: place.source(&place.file, format),
        files: files_beside(&parsed.root, path.as_deref(), format, &place)?,
        path,
        needs_base: base.is_none(),
        imported,
    };
    match format.parse(&parsed, &context, &mut problems) {
        Some(mut config) => {
            config.base = base.cloned().unwrap_or(config.base);
            Ok(Loaded { config, problems })
        }
        None => Err(problems.into()),
    }
}

impl Template {
    /// The text with every variable replaced.
    ///
    /// # Errors
    /// When a variable without a default is not set.
    pub fn expand(&self, environment: &Environment) -> Result<String, TemplateError> {
        self.resolve(|name| environment.get_raw(name))
    }
}

/// Where a project and its config lie.
struct Place {
    /// The project's folder as the user wrote it.
    folder: PathBuf,
    /// The same, absolute and without links.
    directory: PathBuf,
    /// The config as the user knows it.
    file: PathBuf,
}

impl Place {
    fn find(path: &Path, file: Option<&Path>) -> Result<Self, LoadError> {
        let is_folder = metadata(path)?.is_dir();
        let (folder, file) = match (is_folder, file) {
            (true, Some(file)) => (path.to_owned(), file.to_owned()),
            (true, None) => (path.to_owned(), tidy(&path.join(find_name(path)?))),
            (false, None) => (parent(path), path.to_owned()),
            (false, Some(file)) => {
                return Err(LoadError::TwoFiles { path: path.to_owned(), file: file.to_owned() });
            }
        };
        let directory = fs::canonicalize(&folder).map_err(unreadable(&folder))?;
        Ok(Self { folder, directory, file })
    }

    /// The config below the project's folder, when it is there.
    fn path_below(&self) -> Option<String> {
        let folder = fs::canonicalize(parent(&self.file)).ok()?;
        let below = folder.strip_prefix(&self.directory).ok()?.join(self.file.file_name()?);
        let parts: Option<Vec<_>> = below.iter().map(|part| part.to_str()).collect();
        Some(parts?.join("/"))
    }

    fn source(&self, file: &Path, format: &dyn ConfigFormat) -> ConfigSource {
        ConfigSource {
            file: file.to_owned(),
            format: format.name(),
            directory: self.directory.clone(),
        }
    }
}

/// The name of the config in a folder.
fn find_name(folder: &Path) -> Result<&'static str, LoadError> {
    for format in FORMATS {
        let exists = |name: &&&str| fs::symlink_metadata(folder.join(name)).is_ok();
        let names: Vec<_> = format.file_names().iter().filter(exists).copied().collect();
        match names[..] {
            [] => {}
            [name] => return Ok(name),
            _ => return Err(LoadError::Ambiguous { directory: folder.to_owned(), names }),
        }
    }
    // Tells an empty folder from one that cannot be looked into.
    fs::read_dir(folder).map_err(unreadable(folder))?;
    let known: Vec<_> = FORMATS.iter().flat_map(|format| format.file_names()).copied().collect();
    let is_file =
        |name: &String| fs::metadata(folder.join(name)).is_ok_and(|found| found.is_file());
    let nearest = names_in(folder)
        .into_iter()
        .filter(is_file)
        .find_map(|name| super::near_names::nearest(&name, &known).map(|known| (name, known)));
    Err(LoadError::NoConfig { directory: folder.to_owned(), nearest })
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().take(1000).flatten();
    let mut names: Vec<_> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn metadata(path: &Path) -> Result<fs::Metadata, LoadError> {
    fs::metadata(path).map_err(|source| {
        if source.kind() != io::ErrorKind::NotFound {
            return unreadable(path)(source);
        }
        let names = names_in(&parent(path));
        let known: Vec<_> = names.iter().map(String::as_str).collect();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let nearest =
            super::near_names::nearest(name, &known).map(|name| tidy(&parent(path).join(name)));
        LoadError::Missing { path: path.to_owned(), nearest }
    })
}

/// Reads and parses a file; nothing when its problems are all there is to say.
fn parse_file(path: &Path, problems: &mut Problems) -> Result<Option<ParsedFile>, LoadError> {
    let text = read_text(path)?;
    Ok(ParsedFile::parse(&text, &file_label(path), problems))
}

fn read_text(path: &Path) -> Result<String, LoadError> {
    String::from_utf8(read_bytes(path, MAX_BYTES)?).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.split(|byte| *byte == b'\n').count();
        LoadError::NotText { path: path.to_owned(), line }
    })
}

fn read_bytes(path: &Path, max_bytes: u64) -> Result<Vec<u8>, LoadError> {
    let metadata = metadata(path)?;
    // Opening a FIFO would wait for its other end.
    if !metadata.is_file() {
        return Err(LoadError::NotAFile { path: path.to_owned() });
    }
    let file = fs::File::open(path).map_err(unreadable(path))?;
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(unreadable(path))?;
    if bytes.len() as u64 > max_bytes {
        let size_bytes = metadata.len().max(bytes.len() as u64);
        return Err(LoadError::TooBig { path: path.to_owned(), size_bytes, max_bytes });
    }
    Ok(bytes)
}

/// The format of a file: the one that its name says if it looks like it, else the one it looks like.
fn recognise(root: &Node, name: &str) -> Option<&'static dyn ConfigFormat> {
    let named = FORMATS.iter().find(|format| format.file_names().contains(&name));
    let found = named
        .filter(|format| format.recognises(root))
        .or_else(|| FORMATS.iter().find(|format| format.recognises(root)))
        .or(named)?;
    Some(*found)
}

fn report_unknown(file: &Path, problems: &mut Problems) {
    let position = Position { file: file_label(file), line: 0, column: 0 };
    let known: Vec<_> = FORMATS.iter().map(|format| format.summary()).collect();
    let hint = format!("a config is {}", known.join(", or "));
    problems.report_with_hint(&position, "this looks like no config", hint);
}

/// Reads a file that a config builds on. What is wrong with it is reported where it stands, or where
/// it is asked for.
fn load_import(
    import: &Import,
    importer: &dyn ConfigFormat,
    place: &Place,
    problems: &mut Problems,
) -> Option<Config> {
    let refuse = |error: &LoadError, problems: &mut Problems| {
        let message = match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        let hint = match error {
            LoadError::Missing { nearest: None, .. } => Some("name a HoloDeck `agent.yaml`".into()),
            error => error.hints().into_iter().next(),
        };
        match hint {
            Some(hint) => problems.report_with_hint(&import.position, message, hint),
            None => problems.report(&import.position, message),
        }
    };
    let path = tidy(Path::new(&import.path));
    let file = tidy(&place.folder.join(&path));
    let parsed = check_import(&path, place)
        .and_then(|()| parse_file(&file, problems))
        .unwrap_or_else(|error| {
            refuse(&error, problems);
            None
        })?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some(format) = recognise(&parsed.root, name) else {
        report_unknown(&file, problems);
        return None;
    };
    if format.name() == importer.name() {
        refuse(&LoadError::SameFormat { path, format: format.name() }, problems);
        return None;
    }
    let parts: Option<Vec<_>> = path.iter().map(|part| part.to_str()).collect();
    let path = parts.map(|parts| parts.join("/"));
    let files = files_beside(&parsed.root, path.as_deref(), format, place)
        .map_err(|error| refuse(&error, problems))
        .ok()?;
    let context = ParseContext {
        source: place.source(&file, format),
        path,
        needs_base: false,
        imported: BTreeMap::new(),
        files,
    };
    format.parse(&parsed, &context, problems)
}

/// Reads what a format asks for beside a config that lies at `path` in the project.
///
/// A file that cannot be read is not there: whoever copies it says so, at the place that names it.
fn files_beside(
    root: &Node,
    path: Option<&str>,
    format: &dyn ConfigFormat,
    place: &Place,
) -> Result<ProjectFiles, LoadError> {
    let mut files = ProjectFiles::new();
    let Some(folder) = path.map(Path::new).and_then(Path::parent) else { return Ok(files) };
    loop {
        let mut asked = format.reads(root, &files);
        asked.retain(|path| !files.contains_key(path));
        if asked.is_empty() {
            return Ok(files);
        }
        for path in asked {
            let below = folder.join(&path);
            let file = tidy(&place.folder.join(&below));
            let bytes = match check_import(&below, place) {
                Ok(()) => read_bytes(&file, MAX_BESIDE_BYTES),
                Err(error) => Err(error),
            };
            let found = match bytes {
                Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
                Err(error @ LoadError::TooBig { .. }) => return Err(error),
                Err(_) => None,
            };
            files.insert(path, found.map(|text| ProjectFile { label: file_label(&file), text }));
        }
    }
}

/// Refuses a path that leads out of the project, by its words or through a link.
fn check_import(path: &Path, place: &Place) -> Result<(), LoadError> {
    let outside = || LoadError::OutsideProject { path: path.to_owned() };
    if !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(outside());
    }
    let file = place.folder.join(path);
    metadata(&file)?;
    let on_disk = fs::canonicalize(&file).map_err(unreadable(&file))?;
    if on_disk.starts_with(&place.directory) { Ok(()) } else { Err(outside()) }
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> LoadError {
    let path = path.to_owned();
    move |source| LoadError::Unreadable { path: path.clone(), source }
}

/// The folder that a path lies in.
fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => ".".into(),
        Some(parent) => parent.to_owned(),
        None => path.to_owned(),
    }
}

/// Drops every `.` of a path.
fn tidy(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, Component::CurDir)).collect()
}

/// The file's name in messages.
fn file_label(path: &Path) -> Arc<str> {
    shown(path).into()
}
