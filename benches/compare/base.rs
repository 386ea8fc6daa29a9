//! The base image, and registries that have nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use super::measure::measure;
use super::registry::Registry;
use super::tools::DOCKLESS;
use super::tree;
use super::workplace::{self, Workplace};

const LAYERS: usize = 5;
const FILES: u64 = 7_000;
const FILE_BYTES: u64 = 40_000;

/// What the base is called in every registry.
pub(crate) const NAME: &str = "base/agent:1";

/// The data of a registry that holds the base: five layers, 280 MB unpacked.
#[derive(Debug)]
pub(crate) struct Base {
    data: PathBuf,
}

impl Base {
    /// Makes it.
    pub(crate) fn make(place: &Workplace) -> Self {
        let (project, cache) = (place.folder("base-project"), place.folder("base-cache"));
        tree::generate(&project.join("files"), FILES, FILE_BYTES);
        fs::write(project.join("dockless.yaml"), config()).expect("the file can be written");
        let folder = place.folder("base");
        let registry = Registry::start(&folder);
        let script = "\"$DOCKLESS\" push -q \"$PROJECT\" --to \"$TARGET\"";
        measure(
            script,
            &[
                ("DOCKLESS", DOCKLESS.to_owned()),
                ("DOCKLESS_CACHE_DIR", cache.display().to_string()),
                ("PROJECT", project.display().to_string()),
                ("TARGET", format!("127.0.0.1:{}/{NAME}", registry.port)),
            ],
        );
        workplace::remove(&project);
        workplace::remove(&cache);
        Self { data: folder.join("registry") }
    }

    /// A new registry with the base, with its data in this folder.
    pub(crate) fn registry(&self, folder: &Path) -> Registry {
        copy(&self.data, &folder.join("registry"));
        Registry::start(folder)
    }
}

/// Spreads the folders over layers.
fn config() -> String {
    let folders: Vec<_> = (0..tree::FOLDERS).map(|number| format!("files/d{number}")).collect();
    let layers = folders.chunks(folders.len() / LAYERS).enumerate().map(|(number, part)| {
        let copies = part.iter().map(|folder| format!("{{src: {folder}, dest: /opt/{folder}}}"));
        let copies = copies.collect::<Vec<_>>().join(", ");
        format!("  - {{kind: files, name: part{number}, copy: [{copies}]}}\n")
    });
    format!("name: base\nbase: scratch\nlayers:\n{}", layers.collect::<String>())
}

/// Copies a registry's data; blobs never change, so that links are enough.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder can be made");
    for entry in fs::read_dir(from).expect("the base was pushed").flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else if entry.file_name() == "data" {
            fs::hard_link(from, to).expect("both are on one disk");
        } else {
            fs::copy(from, to).expect("the folder can be written");
        }
    }
}
