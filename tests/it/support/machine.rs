//! Programs of this machine, to put into an image that really runs.

use std::path::Path;
use std::process::Command;

/// Copies some programs and what they need below `usr`, wherever they lie here. Python gets the
/// modules of its library that the stand-in for HoloDeck imports.
const COPY: &str = r#"
set -eu
copy() {
    mkdir -p "$(dirname "$2")"
    cp -L --remove-destination "$1" "$2"
    for library in $(ldd "$1" 2>/dev/null | grep -o '/[^ ]*'); do
        [ -e "usr/${library#/usr}" ] || {
            mkdir -p "$(dirname "usr/${library#/usr}")"
            cp -L "$library" "usr/${library#/usr}"
        }
    done
}
for program in bash sh cat curl id stat touch python3; do
    copy "$(command -v "$program")" "usr/bin/$program"
done
/usr/bin/python3 -I -c '
import argparse, encodings.idna, http.server, os, re, sys
files = {getattr(module, "__file__", None) for module in sys.modules.values()}
print("\n".join(sorted(file for file in files if file)))' |
while read -r file; do
    copy "$file" ".$file"
done
"#;

/// Puts the programs into a folder that has the parts of a root folder.
#[track_caller]
pub(crate) fn copy_programs(root: &Path) {
    let output = Command::new("sh")
        .args(["-c", COPY])
        .current_dir(root)
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
