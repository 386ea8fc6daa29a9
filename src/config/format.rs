//! What a config can be written in: the contract.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::schema::Shape;
use super::{Config, ConfigSource, Node, ParsedFile, Position, Problems};

/// A format of config files: an entry of [`FORMATS`](super::formats::FORMATS).
pub trait ConfigFormat: fmt::Debug + Sync {
    /// Its name in messages and in [`ConfigSource::format`].
    fn name(&self) -> &'static str;

    /// One sentence for the docs and for messages.
    fn summary(&self) -> &'static str;

    /// What the docs say beside the table of its members, in Markdown.
    fn notes(&self) -> &'static str;

    /// The names under which its files are found, the preferred one first.
    fn file_names(&self) -> &'static [&'static str];

    /// Whether a file looks like one of this format, whatever its name and whatever is wrong in it.
    fn recognises(&self, root: &Node) -> bool;

    /// The members that are checked.
    fn shape(&self) -> &'static Shape;

    /// The files of other formats that a file builds on, below the project's folder.
    fn imports(&self, _root: &Node) -> Vec<Import> {
        Vec::new()
    }

    /// The files of the project whose text decides what a file means, as far as the known ones tell:
    /// asked again with what they hold, until it names no new one. Paths start at the file's folder.
    fn reads(&self, _root: &Node, _known: &ProjectFiles) -> Vec<String> {
        Vec::new()
    }

    /// Reads a file and reports everything that is wrong with it.
    ///
    /// What can be understood is returned even when there are problems, so that later stages can add
    /// theirs; nothing is returned when they would only repeat the one that is reported.
    fn parse(
        &self,
        file: &ParsedFile,
        context: &ParseContext,
        problems: &mut Problems,
    ) -> Option<Config>;
}

/// A file that a config builds on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// As written.
    pub path: String,
    /// Where.
    pub position: Position,
}

/// Files of a project by path; nothing for one that is not there or lies elsewhere.
pub type ProjectFiles = BTreeMap<String, Option<ProjectFile>>;

/// A file of a project that was read beside the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectFile {
    /// As the user knows it.
    pub label: Arc<str>,
    /// What is in it; bytes that are no text are replaced.
    pub text: String,
}

/// What a format is told beside the text.
#[derive(Debug, Clone)]
pub struct ParseContext {
    /// The file and the project's folder.
    pub source: ConfigSource,
    /// The file below the project's folder, parts joined by `/`; nothing when it lies elsewhere.
    pub path: Option<String>,
    /// Whether the file must name a base: the command line does not.
    pub needs_base: bool,
    /// The files asked for by [`ConfigFormat::imports`] that could be read, by path as written.
    pub imported: BTreeMap<String, Config>,
    /// What [`ConfigFormat::reads`] asked for.
    pub files: ProjectFiles,
}

impl ParseContext {
    /// The file's own folder below the project's; empty for the project's own. Formats whose paths
    /// are relative to their file put it in front of them.
    pub fn folder(&self) -> &str {
        let path = self.path.as_deref().unwrap_or_default();
        path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::super::formats::FORMATS;
    use super::*;

    /// Reads a text as a format does, and gives the config with the problems, one a line.
    pub(crate) fn read(
        format: &str,
        text: &str,
        imported: BTreeMap<String, Config>,
    ) -> (Option<Config>, Vec<String>) {
        read_beside(format, text, imported, &[])
    }

    /// The same in a project that has these files too.
    pub(crate) fn read_beside(
        format: &str,
        text: &str,
        imported: BTreeMap<String, Config>,
        files: &[(&str, &str)],
    ) -> (Option<Config>, Vec<String>) {
        let format = FORMATS.iter().find(|known| known.name() == format).unwrap();
        let file = format.file_names()[0];
        let mut problems = Problems::new();
        let parsed = ParsedFile::parse(text, &file.into(), &mut problems);
        let source =
            ConfigSource { file: file.into(), format: format.name(), directory: "/project".into() };
        let project_file = |(path, text): &(&str, &str)| {
            let file = ProjectFile { label: (*path).into(), text: (*text).into() };
            ((*path).to_owned(), Some(file))
        };
        let files = files.iter().map(project_file).collect();
        let path = Some(file.into());
        let context = ParseContext { source, path, needs_base: true, imported, files };
        let config = parsed.and_then(|parsed| format.parse(&parsed, &context, &mut problems));
        let line = |problem: crate::config::Problem| {
            let hint = problem.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            format!("{}: {}{hint}", problem.position, problem.message)
        };
        (config, problems.list().into_iter().map(line).collect())
    }
}
