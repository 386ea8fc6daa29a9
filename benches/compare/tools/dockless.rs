//! This tool.

use std::path::{Path, PathBuf};

use super::{DOCKLESS, first_line};
use crate::tool::Tool;
use crate::workplace;

#[derive(Debug)]
pub(crate) struct Dockless {
    cache: PathBuf,
}

impl Dockless {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { cache: folder.to_owned() }
    }
}

impl Tool for Dockless {
    fn name(&self) -> &'static str {
        "dockless"
    }

    fn version(&self) -> String {
        first_line(DOCKLESS, &["--version"])
    }

    fn script(&self) -> &'static str {
        "\"$DOCKLESS\" push -q \"$PROJECT\" --base \"$BASE\" --to \"$TARGET\""
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let cache = self.cache.display().to_string();
        vec![("DOCKLESS", DOCKLESS.to_owned()), ("DOCKLESS_CACHE_DIR", cache)]
    }

    fn forget(&self) {
        workplace::remove(&self.cache);
    }
}
