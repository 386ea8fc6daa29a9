//! Which image is verified, and whether the project stands in its place.

use std::path::Path;

use crate::error::{Classified, ErrorKind, Result};
use crate::pipeline::image_name;
use crate::pipeline::subject::{Target, is_config};

/// The project stands where the image should.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is a project: what is verified comes first", text.escape_debug())]
struct IsProject {
    text: String,
    image: Option<String>,
}

impl Classified for IsProject {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        let image = self.image.as_deref().unwrap_or("HOST/REPOSITORY:TAG");
        vec![format!("write `dockless verify {image} {}`", self.text)]
    }
}

/// Reads what is verified, and notices when the project stands in its place.
pub(super) fn read(text: &str, project: &Path) -> Result<Target> {
    let second = project.to_str().filter(|second| second.parse::<Target>().is_ok());
    let image = second.filter(|_| !project.exists()).map(str::to_owned);
    let path = Path::new(text);
    let is_path = image_name::is_path(text) || image.is_some();
    if is_config(path) || (is_path && path.exists()) {
        return Err(IsProject { text: text.to_owned(), image }.into());
    }
    Target::parse(text)
}
