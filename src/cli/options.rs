//! Options that several commands share.

use std::io::Read as _;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, ValueEnum};

use super::render::Progress;
use crate::config::LayerCompression;
use crate::error::{Classified, ErrorKind, Result};
use crate::oci::Platform;
use crate::pipeline::{Credentials, NetworkRequest, ProjectRequest, RecordFiles, Secret};
use crate::publish::ExistingTag;

/// The longest password that is read; tokens of clouds have a few kilobytes.
pub(super) const MAX_PASSWORD_BYTES: u64 = 64 * 1024;

/// The password did not come.
#[derive(Debug, thiserror::Error)]
enum PasswordError {
    #[error("cannot read the password from standard input")]
    Unreadable { command: &'static str, source: std::io::Error },
    #[error("`--password-stdin` was given, but standard input is empty")]
    Empty { command: &'static str },
}

impl Classified for PasswordError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        let (Self::Unreadable { command, .. } | Self::Empty { command }) = self;
        vec![format!("pipe it in: `printf %s \"$TOKEN\" | {command}`")]
    }
}

/// How a command speaks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputOptions {
    /// Say more: which file was read, which credential was used, what was reused; given twice, every
    /// request to a registry, too
    #[arg(short, long, global = true, env = "DOCKLESS_VERBOSE", action = ArgAction::Count, value_parser = parse_verbosity)]
    pub(super) verbose: u8,
    /// Say nothing but errors and the result
    #[arg(short, long, global = true, env = "DOCKLESS_QUIET", value_parser = FalseyValueParser::new())]
    pub(super) quiet: bool,
    /// How progress is shown on stderr
    #[arg(long, global = true, value_enum, default_value = "auto", env = "DOCKLESS_PROGRESS")]
    pub(super) progress: Progress,
    /// Print one JSON document on stdout instead of the plain result
    #[arg(long, global = true, env = "DOCKLESS_JSON", value_parser = FalseyValueParser::new())]
    pub(super) json: bool,
}

/// What of a project's config is overridden, as far as it decides what the image stands on.
#[derive(Debug, Args)]
#[command(next_help_heading = "Project")]
pub(super) struct BaseOptions {
    /// Read this file instead of looking for `dockless.yaml` or `agent.yaml`
    #[arg(short, long, value_name = "FILE", env = "DOCKLESS_FILE")]
    pub(super) file: Option<PathBuf>,
    /// Put the image on this base: a reference, `oci:DIR`, `scratch` or `builtin:static`
    #[arg(long, value_name = "BASE", env = "DOCKLESS_BASE")]
    pub(super) base: Option<String>,
    /// Build for these platforms instead of the config's, such as `linux/amd64,linux/arm64`
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',', env = "DOCKLESS_PLATFORM")]
    pub(super) platform: Vec<Platform>,
}

/// What of a project's config is overridden, as far as it decides the image.
#[derive(Debug, Args)]
#[command(next_help_heading = "Project")]
pub(super) struct ImageOptions {
    #[command(flatten)]
    base: BaseOptions,
    /// Use images only as `dockless.lock` has them: what is not locked is an error
    #[arg(long, env = "DOCKLESS_LOCKED", value_parser = FalseyValueParser::new())]
    locked: bool,
    /// Compress our layers with gzip, which every engine reads, or with zstd, which is smaller and
    /// faster; without it, what the config says
    #[arg(long, value_name = "HOW", value_enum, env = "DOCKLESS_COMPRESSION")]
    compression: Option<CompressionOption>,
    /// Add a label to the image config; repeat it for several, or write one per line
    #[arg(
        long,
        value_name = "NAME=VALUE",
        value_parser = parse_pair,
        value_delimiter = '\n',
        env = "DOCKLESS_LABEL"
    )]
    pub(super) label: Vec<(String, String)>,
    /// Add an annotation to the manifest; repeat it for several, or write one per line
    #[arg(
        long,
        value_name = "NAME=VALUE",
        value_parser = parse_pair,
        value_delimiter = '\n',
        env = "DOCKLESS_ANNOTATION"
    )]
    pub(super) annotation: Vec<(String, String)>,
}

/// What of images that exist is looked at.
#[derive(Debug, Args)]
pub(super) struct SubjectOptions {
    /// Look at the images for these platforms alone, such as `linux/amd64,linux/arm64`
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',', env = "DOCKLESS_PLATFORM")]
    pub(super) platform: Vec<Platform>,
}

/// Which project, and what of its config is overridden.
#[derive(Debug, Args)]
#[command(next_help_heading = "Project")]
pub(super) struct ProjectOptions {
    #[command(flatten)]
    image: ImageOptions,
    /// A tag, a strategy (`git_sha`, `git_tag`, `latest`, `semver`, `sha`), a template such as
    /// `{{ git.sha7 }}`, or a full reference with its host; repeat it or separate by commas. Replaces
    /// the config's tags, and is added to a tag that stands in `--to`
    #[arg(short, long, value_name = "TAG", value_delimiter = ',', env = "DOCKLESS_TAG")]
    pub(super) tag: Vec<String>,
    /// Pack every layer anew and ask for every blob: no layer that was made before is used, on this
    /// machine or in a registry, and no tag vouches for its content
    #[arg(long, env = "DOCKLESS_NO_CACHE", value_parser = FalseyValueParser::new())]
    pub(super) no_cache: bool,
    /// Take over layers of this image where they are the same, instead of one that stands where the image
    /// is pushed to; repeat it or separate by commas: the first that exists and was written by this
    /// version serves, alone
    #[arg(long, value_name = "REFERENCE", value_delimiter = ',', env = "DOCKLESS_CACHE_FROM")]
    pub(super) cache_from: Vec<String>,
    /// Print what would be done, and write nothing outside the cache
    #[arg(long, env = "DOCKLESS_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(super) dry_run: bool,
}

/// Credentials for the one host that is pushed to, or that has the image.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registry")]
pub(super) struct CredentialOptions {
    /// Log in as this user to the registry of the image, not of its base; without it, the variables
    /// `DOCKLESS_REGISTRY_USERNAME` and `DOCKLESS_REGISTRY_PASSWORD` are used where they are set
    #[arg(long, value_name = "NAME", requires = "password_stdin")]
    pub(super) username: Option<String>,
    /// Read the password from standard input, never from the command line
    #[arg(long, requires = "username")]
    pub(super) password_stdin: bool,
}

/// The values of `--compression`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CompressionOption {
    /// The default
    Gzip,
    /// For registries, layouts and `oci-archive:`; `docker load` of older engines cannot read it
    Zstd,
}

impl From<CompressionOption> for LayerCompression {
    fn from(option: CompressionOption) -> Self {
        match option {
            CompressionOption::Gzip => Self::Gzip,
            CompressionOption::Zstd => Self::Zstd,
        }
    }
}

/// What happens to what is there already.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where it goes")]
pub(super) struct TagOptions {
    /// What to do where a tag points at another image already; without it, the tag moves. `fail` moves
    /// no tag at all and says what is different; `keep` leaves the tag there, for tags that cannot
    /// move, and pushes the image by its digest and its other tags
    #[arg(long, value_name = "WHAT", value_enum, env = "DOCKLESS_EXISTING_TAG")]
    existing_tag: Option<ExistingTagOption>,
}

/// The values of `--existing-tag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExistingTagOption {
    /// End with exit code 2 before any tag moves
    Fail,
    /// Leave the tag where it is
    Keep,
}

impl TagOptions {
    /// The rule.
    pub(super) fn existing(&self) -> ExistingTag {
        match self.existing_tag {
            None => ExistingTag::Move,
            Some(ExistingTagOption::Fail) => ExistingTag::Fail,
            Some(ExistingTagOption::Keep) => ExistingTag::Keep,
        }
    }
}

/// Files for later steps of a CI job.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Files for later steps")]
pub(super) struct RecordOptions {
    /// Write the bare digest of the manifest or index
    #[arg(long, value_name = "FILE", env = "DOCKLESS_DIGEST_FILE")]
    pub(super) digest_file: Option<PathBuf>,
    /// Write the image id: the digest of the image config, or of the index
    #[arg(long, value_name = "FILE", env = "DOCKLESS_IIDFILE")]
    pub(super) iidfile: Option<PathBuf>,
    /// Write a JSON document with `containerimage.digest`, `image.name` and more
    #[arg(long, value_name = "FILE", env = "DOCKLESS_METADATA_FILE")]
    pub(super) metadata_file: Option<PathBuf>,
    /// Write the build record: what the image was made of, where it is, and what was allowed. `verify` takes it in
    /// place of a reference
    #[arg(long, value_name = "FILE", env = "DOCKLESS_BUILD_RECORD")]
    pub(super) build_record: Option<PathBuf>,
}

impl BaseOptions {
    /// The request for a project at this path.
    pub(super) fn request(self, path: PathBuf, network: NetworkRequest) -> ProjectRequest {
        let Self { file, base, platform: platforms } = self;
        ProjectRequest { path, file, base, platforms, network, ..ProjectRequest::default() }
    }
}

impl ImageOptions {
    /// The request for the image of a project at this path.
    pub(super) fn request(self, path: PathBuf, network: NetworkRequest) -> ProjectRequest {
        ProjectRequest {
            compression: self.compression.map(LayerCompression::from),
            labels: self.label,
            annotations: self.annotation,
            is_locked: self.locked,
            ..self.base.request(path, network)
        }
    }
}

impl ProjectOptions {
    /// The request for a project at this path.
    pub(super) fn request(self, path: PathBuf, network: NetworkRequest) -> ProjectRequest {
        let request = self.image.request(path, network);
        ProjectRequest {
            tags: self.tag,
            is_anew: self.no_cache,
            cache_from: self.cache_from,
            is_dry_run: self.dry_run,
            ..request
        }
    }
}

impl CredentialOptions {
    /// Reads the password from standard input, when it was said to come from there. The name alone
    /// may come from the environment, together with the password. `command` is for the hint.
    pub(super) fn read(self, command: &'static str) -> Result<Option<Credentials>> {
        let Some(username) = self.username.filter(|_| self.password_stdin) else {
            return Ok(None);
        };
        let password = read_password(command)?;
        Ok(Some(Credentials { username, password }))
    }
}

impl RecordOptions {
    /// The files to write.
    pub(super) fn files(self) -> RecordFiles {
        RecordFiles {
            digest: self.digest_file,
            image_id: self.iidfile,
            metadata: self.metadata_file,
            build: self.build_record,
        }
    }
}

/// Reads a password from standard input, without the end of its line; `command` is for the hint.
pub(super) fn read_password(command: &'static str) -> Result<Secret> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(MAX_PASSWORD_BYTES)
        .read_to_string(&mut text)
        .map_err(|source| PasswordError::Unreadable { command, source })?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(PasswordError::Empty { command }.into());
    }
    Ok(Secret::new(password))
}

/// Reads how often `-v` is meant: a number, or a word that is no "no".
#[expect(clippy::unnecessary_wraps, reason = "a parser of values can fail")]
fn parse_verbosity(text: &str) -> Result<u8, String> {
    let is_no = ["", "n", "no", "f", "false", "off"].contains(&text.to_ascii_lowercase().as_str());
    Ok(text.parse().unwrap_or(u8::from(!is_no)))
}

/// Reads `NAME=VALUE`.
fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_may_ask_for_more_than_once() {
        for (text, expected) in [("", 0), ("0", 0), ("off", 0), ("yes", 1), ("1", 1), ("2", 2)] {
            assert_eq!(parse_verbosity(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_pair_has_a_name() {
        assert_eq!(parse_pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(parse_pair("a="), Ok(("a".into(), String::new())));
        assert!(parse_pair("=b").is_err());
        assert!(parse_pair("a").is_err());
    }
}
