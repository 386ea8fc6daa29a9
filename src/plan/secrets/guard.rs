//! What the user leaves out and allows, and what of a plan is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::names::{self, Excuse};
use super::{Sort, Verdict, is_judged, judge, literals};
use crate::config::{Config, Node, Patterns, Problems};
use crate::error::{Classified, ErrorKind};
use crate::plan::pattern::{PatternSet, PatternUse};
use crate::plan::{DiskFile, EntryKind, FileSource, LayerContent, Plan};

/// How many findings are shown.
pub const MOST_SHOWN: usize = 20;

/// How long a list may be that a hint writes out.
const MOST_PROPOSED_BYTES: usize = 400;

/// The format of configs that cannot hold keys of ours.
const AGENT_FORMAT: &str = "holodeck";

/// What a project says of its secrets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Guard {
    /// What no layer of files takes.
    pub ignore: PatternSet,
    /// What may be in the image, whatever it looks like.
    allow: PatternSet,
    /// What was allowed in the config itself.
    allowed_literals: Vec<Exception>,
    /// What of `allow_env` was for nothing.
    unused_env: Vec<(&'static str, String)>,
    /// The files that the config names one by one.
    named: BTreeSet<String>,
    /// The config's file, when it is an agent's.
    agent: Option<String>,
}

/// Who brings a file into the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bringer {
    /// A folder of the project.
    Folder,
    /// The config, which names it.
    Config,
    /// A layer that makes it, such as a rendered template.
    Maker,
    /// Another image that files are taken from.
    OtherImage,
}

/// Something that looks like a credential.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file or folder below the project, or, when it was made here, in the image: then it begins with `/`.
    pub path: String,
    /// In which lines.
    pub lines: Vec<u32>,
    /// What it looks like.
    pub sort: Sort,
    /// Its path in the image, where that is what tells.
    pub image_path: Option<String>,
    /// Who brings it.
    pub bringer: Bringer,
}

/// Something that looks like a credential and was allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exception {
    /// The key of the config that allows it.
    pub by: &'static str,
    /// The file, folder or variable.
    pub subject: String,
    /// In which lines.
    pub lines: Vec<u32>,
    /// What it looks like.
    pub sort: Sort,
}

/// What a plan passes the guard with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// What was allowed.
    pub exceptions: Vec<Exception>,
    /// What allowed nothing: the key of the config, and the item.
    pub unused: Vec<(&'static str, String)>,
}

/// Files that look like credentials are about to be in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretsError {
    /// What was found, by path: at least one.
    pub findings: Vec<Finding>,
    /// The config's file, when it is an agent's.
    agent: Option<String>,
}

impl Guard {
    /// Reads what the config says, and reports its own variables, labels and annotations that look like
    /// credentials.
    pub fn read(config: &Config, problems: &mut Problems) -> Self {
        let agent = (config.source.format == AGENT_FORMAT)
            .then(|| config.source.file.file_name().map(|name| name.to_string_lossy().into_owned()))
            .flatten();
        let allowed_literals = literals::check(config, problems);
        let is_unused = |name: &&String| {
            let in_command = format!("{name} in ");
            let is_of = |subject: &str| subject == *name || subject.starts_with(&in_command);
            !allowed_literals.iter().any(|exception| is_of(&exception.subject))
        };
        let unused_env = config.secrets.allow_env.iter().filter(is_unused);
        let unused_env = unused_env.map(|name| ("allow_env", name.clone())).collect();
        Self {
            ignore: patterns(&config.secrets.ignore, "ignore", problems),
            allow: patterns(&config.secrets.allow_secrets, "allow_secrets", problems),
            allowed_literals,
            unused_env,
            named: config.layers.iter().flat_map(|layer| texts(&layer.settings)).collect(),
            agent,
        }
    }

    /// Looks at every file that a plan packs. `verdict` is asked for the contents that
    /// [`is_judged`] is true of.
    ///
    /// # Errors
    /// Everything that looks like a credential and is not allowed.
    pub fn check(
        &self,
        plan: &Plan,
        verdict: impl Fn(&DiskFile) -> Verdict,
    ) -> Result<Passed, SecretsError> {
        let mut findings = BTreeSet::new();
        let mut uses = PatternUse::new(&self.allow);
        let mut exceptions: BTreeSet<_> = self.allowed_literals.iter().cloned().collect();
        let contents =
            plan.images.iter().flat_map(|image| &image.layers).map(|layer| &layer.content);
        let entries = contents.flat_map(|content| match content {
            LayerContent::Pack(entries) => &entries[..],
            LayerContent::Existing { .. } => &[],
        });
        for entry in entries {
            let EntryKind::File(source) = &entry.kind else { continue };
            let found = match source {
                FileSource::Disk(file) => {
                    let is_judged = is_judged(&file.path, file.stamp.size_bytes);
                    let mut found =
                        look(&file.path, &entry.path, is_judged.then(|| verdict(file)).as_ref());
                    for finding in &mut found {
                        if self.named.contains(&finding.path) {
                            finding.bringer = Bringer::Config;
                        }
                    }
                    found
                }
                FileSource::Bytes(bytes) => {
                    let is_judged = is_judged(&entry.path, bytes.len() as u64);
                    look_at_made(&entry.path, is_judged.then(|| judge(&entry.path, bytes)).as_ref())
                }
                FileSource::Stored(_) => look_at_name(&entry.path),
            };
            if found.is_empty() {
                continue;
            }
            let path = if let FileSource::Disk(file) = source { &file.path } else { &entry.path };
            if self.allow.matches_from_root(path).is_match {
                path.match_indices('/').for_each(|(end, _)| uses.see(&path[..end]));
                uses.see(path);
                exceptions.extend(found.into_iter().map(Finding::allowed));
            } else {
                findings.extend(found);
            }
        }
        if findings.is_empty() {
            let patterns = uses.unused("", &[]).into_iter();
            let patterns = patterns.map(|(pattern, _)| ("allow_secrets", pattern));
            let unused = patterns.chain(self.unused_env.iter().cloned()).collect();
            return Ok(Passed { exceptions: exceptions.into_iter().collect(), unused });
        }
        Err(SecretsError { findings: findings.into_iter().collect(), agent: self.agent.clone() })
    }
}

/// Reads patterns of the config, and reports the ones that are none.
fn patterns(written: &Patterns, name: &str, problems: &mut Problems) -> PatternSet {
    let texts = written.iter().map(|(text, _)| text);
    PatternSet::parse(texts, name).unwrap_or_else(|error| {
        let position = &written[error.index].1;
        problems.report_with_hint(position, error.to_string(), error.hints().join("; "));
        PatternSet::default()
    })
}

/// Every text in a layer's settings, as a path of the project: the files that it names are among them.
fn texts(node: &Node) -> Vec<String> {
    let below = node.items().iter().chain(node.members().iter().map(|(_, value)| value));
    let own = node.as_text().map(|text| text.trim_start_matches("./").to_owned());
    own.into_iter().chain(below.flat_map(texts)).collect()
}

/// What a file of the project looks like, by its path there and in the image, and by its content.
fn look(path: &str, image_path: &str, verdict: Option<&Verdict>) -> Vec<Finding> {
    let is_public = verdict.is_some_and(|verdict| verdict.is_public);
    let is_installed = names::is_installed(path) || names::is_installed(image_path);
    let by_project = names::suspect(path, is_installed);
    let suspect = by_project.or_else(|| names::suspect(image_path, is_installed));
    if let Some(suspect) = suspect {
        let is_excused = match suspect.excuse {
            Excuse::None => false,
            Excuse::Public => is_public,
            // The content of a file that only the image calls so was not judged for it. The line of a
            // secret says more than the name.
            Excuse::NothingAssigned => names::is_settings(path) && verdict.is_some(),
        };
        if !is_excused {
            let is_folder = suspect.path.len() < by_project.map_or(image_path, |_| path).len();
            let slash = if is_folder { "/" } else { "" };
            let (path, image_path) = match by_project {
                Some(suspect) => (format!("{}{slash}", suspect.path), None),
                None => (path.to_owned(), Some(format!("/{image_path}"))),
            };
            let (sort, bringer) = (suspect.sort, Bringer::Folder);
            return vec![Finding { path, lines: Vec::new(), sort, image_path, bringer }];
        }
    }
    let mut lines: BTreeMap<Sort, Vec<u32>> = BTreeMap::new();
    for found in verdict.map(|verdict| &verdict.found[..]).unwrap_or_default() {
        let is_published = |path| names::is_published(path, found.sort);
        if !is_published(path) && !is_published(image_path) {
            lines.entry(found.sort).or_default().push(found.line);
        }
    }
    let finding = |(sort, lines)| Finding {
        path: path.to_owned(),
        lines,
        sort,
        image_path: None,
        bringer: Bringer::Folder,
    };
    lines.into_iter().map(finding).collect()
}

/// The same for a file that is made here, such as a rendered template: it has its path in the image only.
fn look_at_made(image_path: &str, verdict: Option<&Verdict>) -> Vec<Finding> {
    let mut findings = look(image_path, image_path, verdict);
    for finding in &mut findings {
        finding.path.insert(0, '/');
        finding.bringer = Bringer::Maker;
    }
    findings
}

/// The same for a file of another image: its maker published the content, and meant to; a name that no
/// content excuses is what a copied home folder has.
fn look_at_name(image_path: &str) -> Vec<Finding> {
    let suspect = names::suspect(image_path, names::is_installed(image_path));
    let finding = suspect.filter(|suspect| suspect.excuse == Excuse::None).map(|suspect| {
        let slash = if suspect.path.len() < image_path.len() { "/" } else { "" };
        Finding {
            path: format!("/{}{slash}", suspect.path),
            lines: Vec::new(),
            sort: suspect.sort,
            image_path: None,
            bringer: Bringer::OtherImage,
        }
    });
    finding.into_iter().collect()
}

impl Finding {
    fn allowed(self) -> Exception {
        let Self { path, lines, sort, .. } = self;
        Exception { by: "allow_secrets", subject: path, lines, sort }
    }

    /// A pattern that matches it alone, as an item of a list.
    fn pattern(&self) -> String {
        let path = self.path.trim_matches('/');
        let escape = |char: char| {
            let mark = matches!(char, '*' | '?' | '[' | '\\').then_some('\\');
            mark.into_iter().chain([char])
        };
        path.chars().flat_map(escape).collect()
    }
}

/// A path and lines for people: "`a`, lines 1, 2".
fn place(path: &str, lines: &[u32]) -> String {
    let path = path.escape_debug();
    let numbers: Vec<_> = lines.iter().map(u32::to_string).collect();
    match lines {
        [] => format!("`{path}`"),
        [line] => format!("`{path}`, line {line}"),
        _ => format!("`{path}`, lines {}", numbers.join(", ")),
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", place(&self.path, &self.lines))?;
        if let Some(image_path) = &self.image_path {
            write!(formatter, " (in the image `{}`)", image_path.escape_debug())?;
        }
        write!(formatter, ": {}", self.sort.describe())
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by, subject, lines, sort } = self;
        write!(formatter, "allowed by `{by}`: {} ({})", place(subject, lines), sort.describe())
    }
}

impl fmt::Display for SecretsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "this looks like credentials, and whoever can pull the image could read it:",
        )?;
        for finding in self.findings.iter().take(MOST_SHOWN) {
            write!(formatter, "\n{finding}")?;
        }
        match self.findings.len().checked_sub(MOST_SHOWN) {
            None | Some(0) => Ok(()),
            Some(more) => write!(formatter, "\n… and {more} more"),
        }
    }
}

impl std::error::Error for SecretsError {}

impl Classified for SecretsError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        let is_agent = |finding: &&Finding| Some(&finding.path) == self.agent.as_ref();
        let by = |bringer: Bringer| -> Vec<_> {
            let is_other = |finding: &&Finding| finding.bringer == bringer && !is_agent(finding);
            self.findings.iter().filter(is_other).collect()
        };
        let (folders, place) = match &self.agent {
            None => ("in `.dockerignore`, `exclude`, or ", "in dockless.yaml".to_owned()),
            Some(agent) => (
                "",
                format!(
                    "in a `dockless.yaml` beside it, write `agent: {agent}` and, in the next line,"
                ),
            ),
        };
        let mut hints = Vec::new();
        if let Some(agent) = &self.agent
            && self.findings.iter().any(|finding| is_agent(&finding))
        {
            hints.push(format!(
                "in `{agent}`, write `${{NAME}}` in place of the value: the container is given it when it starts"
            ));
        }
        let in_folders = by(Bringer::Folder);
        if !in_folders.is_empty() {
            let ignore = proposal("ignore", &in_folders);
            hints.push(format!("leave it out: {folders}{place} {ignore}"));
        }
        if let [first, ..] = by(Bringer::Config)[..] {
            let path = first.path.escape_debug();
            hints.push(format!(
                "what the config names itself, such as `{path}`, it must no longer name (`ignore` is not enough)"
            ));
        }
        if !by(Bringer::Maker).is_empty() {
            hints.push(
                "take the secret out of the template or its variables: the container is given it when it starts"
                    .to_owned(),
            );
        }
        if !by(Bringer::OtherImage).is_empty() {
            hints.push("take other paths of that image, or leave it out with `exclude`".to_owned());
        }
        let all: Vec<_> = self.findings.iter().collect();
        let allow = proposal("allow_secrets", &all);
        hints.push(match &self.agent {
            None => format!("or, when it is no secret, allow it {place}: {allow}"),
            Some(_) => format!("or, when it is no secret, allow it: {place} {allow}"),
        });
        hints
    }
}

/// A list with everything that was found, to be copied; in words when that would be long.
fn proposal(key: &str, findings: &[&Finding]) -> String {
    let patterns: BTreeSet<_> =
        findings.iter().map(|finding| format!("{:?}", finding.pattern())).collect();
    let list = patterns.into_iter().collect::<Vec<_>>().join(", ");
    if list.len() <= MOST_PROPOSED_BYTES {
        format!("`{key}: [{list}]`")
    } else {
        format!("`{key}:` and below it, for each of the paths, a line `- PATH`")
    }
}

#[cfg(test)]
mod tests;
