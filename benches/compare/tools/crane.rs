//! crane, the way its users make images of folders: it packs nothing itself, and keeps nothing.

use super::first_line;
use crate::tool::Tool;

#[derive(Debug)]
pub(crate) struct Crane;

impl Tool for Crane {
    fn name(&self) -> &'static str {
        "crane"
    }

    fn version(&self) -> String {
        let tar = first_line("tar", &["--version"]);
        format!("crane {}, {tar}", first_line("crane", &["version"]))
    }

    fn script(&self) -> &'static str {
        "tar -C \"$PROJECT\" -cf - app | crane append -b \"$BASE\" -f - -t \"$TARGET\"; \
         crane mutate \"$TARGET\" --entrypoint /app/run --label purpose=bench -t \"$TARGET\""
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn forget(&self) {}
}
