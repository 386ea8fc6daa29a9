//! What no output may replace: files that nobody can make again.
//!
//! An output of an earlier run is replaced without asking; any other file is somebody's.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::build_record;
use super::project::Project;
use crate::error::{Classified, ErrorKind};
use crate::plan::LOCK_FILE;

/// So much of a file tells what it is.
const MOST_SNIFFED_BYTES: u64 = 64 * 1024;

/// A file that is asked for stands in the place of another one.
#[derive(Debug, thiserror::Error)]
#[error("`{}` would be overwritten: it is {what}", path.display())]
pub(super) struct Precious {
    path: PathBuf,
    what: &'static str,
}

impl Classified for Precious {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec!["name another file, or remove this one first".to_owned()]
    }
}

/// Refuses outputs in the place of the project's own files, and of any file that no run has written.
pub(super) fn check<'a>(
    outputs: impl Iterator<Item = &'a PathBuf>,
    project: &Project,
) -> Result<(), Precious> {
    let directory = &project.config.source.directory;
    let configs: Vec<_> =
        project.read_files().filter_map(|file| fs::canonicalize(file).ok()).collect();
    for path in outputs {
        // A link is followed, as it is when the file is written.
        let Ok(place) = fs::canonicalize(path) else { continue };
        if !place.is_file() {
            continue;
        }
        let what = if configs.contains(&place) {
            "the project's config"
        } else if place == directory.join(LOCK_FILE) {
            "the project's lock"
        } else if place.starts_with(directory.join(".git")) {
            "a file of git"
        } else if !is_output(&place) {
            "no output of an earlier run"
        } else {
            continue;
        };
        return Err(Precious { path: path.clone(), what });
    }
    Ok(())
}

/// Whether a file is empty, a digest, a document of ours, or an archive. One that cannot be read is not.
fn is_output(path: &Path) -> bool {
    let mut start = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MOST_SNIFFED_BYTES).read_to_end(&mut start));
    if read.is_err() {
        return false;
    }
    let is_archive = start.get(257..262) == Some(b"ustar");
    let has = |name: &str| {
        let name = format!("\"{name}\"");
        start.windows(name.len()).any(|window| window == name.as_bytes())
    };
    let is_document =
        start.starts_with(b"{") && (has("containerimage.digest") || has(build_record::KIND));
    start.is_empty() || start.starts_with(b"sha256:") || is_document || is_archive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_known_by_how_they_begin() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut archive = vec![0; 512];
        archive[257..262].copy_from_slice(b"ustar");
        for (content, expected) in [
            (&b""[..], true),
            (b"sha256:abc", true),
            (b"{\n  \"containerimage.digest\": \"sha256:abc\"\n}\n", true),
            (b"{\"kind\": \"dev.dockless.build-record\"}", true),
            (&archive, true),
            (b"{\"name\": \"a\"}", false),
            (b"name: a\n", false),
            (b" sha256:abc", false),
        ] {
            fs::write(&path, content).unwrap();
            assert_eq!(is_output(&path), expected, "{}", String::from_utf8_lossy(content));
        }
        assert!(!is_output(folder.path()));
    }
}
