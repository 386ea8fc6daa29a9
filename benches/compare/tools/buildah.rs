//! buildah, with its storage in a folder of its own.

use std::path::{Path, PathBuf};

use super::first_line;
use crate::tool::Tool;
use crate::workplace;

#[derive(Debug)]
pub(crate) struct Buildah {
    folder: PathBuf,
}

impl Buildah {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }
}

impl Tool for Buildah {
    fn name(&self) -> &'static str {
        "buildah"
    }

    fn version(&self) -> String {
        first_line("buildah", &["--version"])
    }

    fn script(&self) -> &'static str {
        "buildah() { command buildah --root \"$STORAGE/root\" --runroot \"$STORAGE/run\" \"$@\"; }; \
         buildah bud -q --layers --isolation chroot --tls-verify=false \
         --build-arg BASE=\"$BASE\" -t \"$TARGET\" \"$PROJECT\"; \
         buildah push -q --tls-verify=false \"$TARGET\""
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![("STORAGE", self.folder.display().to_string())]
    }

    fn forget(&self) {
        workplace::remove(&self.folder);
    }
}
