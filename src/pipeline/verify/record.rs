//! What the build record of an image says that is verified.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::VerifyRequest;
use crate::error::{Attempting as _, Classified, ErrorKind, Result};
use crate::event::Events;
use crate::oci::Digest;
use crate::pipeline::build_record::{RecordedBuild, RecordedBuildError};
use crate::pipeline::subject::Subject;

/// The most that is read of a build record: one with tens of thousands of exceptions has less.
const MOST_RECORD_BYTES: u64 = 16 * 1024 * 1024;

/// A build record, and where it lies.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    pub(super) build: RecordedBuild,
}

/// The file of `--record` cannot be used.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error("it cannot be read")]
    Unreadable { source: io::Error },
    #[error("`{reference}` is {digest}, and the build record is of {recorded}")]
    OtherImage { reference: String, digest: Digest, recorded: Digest },
}

impl Classified for RecordError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreadable { .. } => ErrorKind::Usage,
            Self::OtherImage { .. } => ErrorKind::No,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Unreadable { .. } => vec!["name a file that `--build-record` has written".into()],
            Self::OtherImage { .. } => {
                vec!["without `--record`, what is different is told file by file".into()]
            }
        }
    }
}

/// The build record of `--record`, or the one that stands in the place of a reference.
///
/// # Errors
/// What is named is no build record of this version.
pub(super) fn find(request: &VerifyRequest) -> Result<Option<Record>> {
    let path = request.record.clone().unwrap_or_else(|| PathBuf::from(&request.reference));
    let build = match &request.record {
        Some(path) => read(path).and_then(|build| Ok(Some(build.ok_or(RecordedBuildError::Kind)?))),
        // Opening a FIFO would wait for its other end.
        None if !std::fs::metadata(&path).is_ok_and(|metadata| metadata.is_file()) => Ok(None),
        None => read(&path),
    };
    let build = build.attempting(|| format!("read the build record `{}`", path.display()))?;
    Ok(build.map(|build| Record { path, build }))
}

fn read(path: &Path) -> Result<Option<RecordedBuild>> {
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MOST_RECORD_BYTES).read_to_end(&mut text))
        .map_err(|source| RecordError::Unreadable { source })?;
    Ok(RecordedBuild::parse(&text)?)
}

impl Record {
    /// What the build wrote inside the project, and the record itself, which may have been moved since.
    pub(super) fn outputs(&self, directory: &Path, events: &Events) -> Vec<PathBuf> {
        let recorded = self.build.outputs.iter().map(|output| directory.join(output));
        let recorded: Vec<_> = recorded.collect();
        // A record of strangers could hide a file: what it takes away is told.
        for output in recorded.iter().filter(|output| output.exists()) {
            events.note(format!("left out, since the build has written it: {}", output.display()));
        }
        recorded.into_iter().chain([self.path.clone()]).collect()
    }

    /// Refuses an image that the record is not of.
    pub(super) fn check(&self, subject: &Subject) -> Result<()> {
        let (digest, recorded) = (subject.top.digest, self.build.image.digest);
        if digest == recorded {
            return Ok(());
        }
        let reference = subject.name.clone();
        Err(RecordError::OtherImage { reference, digest, recorded }.into())
    }
}
