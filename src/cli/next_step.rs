//! What a person is likely to do next: the line after a build or a push at a terminal.

use std::path::Path;

use crate::pipeline::{ProducedImage, ProjectRequest};

/// After `build`: what pushes or loads the image, unless it went there already.
pub(super) fn after_build(
    project: &ProjectRequest,
    outputs: &[String],
    is_done: bool,
    has_repositories: bool,
) -> Option<String> {
    if is_done {
        return None;
    }
    let Some(output) = outputs.first() else {
        return Some(push_project(project, has_repositories));
    };
    if let Some(path) = output.strip_prefix("docker-archive:") {
        return Some(format!("docker load -i {}", quoted(path)));
    }
    let is_layout = output.starts_with("oci:");
    is_layout.then(|| format!("dockless push {} --to HOST/REPOSITORY", quoted(output)))
}

/// After `push`: what pulls the image by its digest.
pub(super) fn after_push(image: &ProducedImage) -> Option<String> {
    let mut places = image.published.iter().map(|published| published.reference.as_str());
    let reference = places.find(|reference| !is_local(reference))?;
    Some(format!("docker pull {reference}"))
}

/// After `init`: a look at what would be built, then the push.
pub(super) fn after_init(folder: &Path) -> [String; 2] {
    let path = if folder == Path::new(".") {
        String::new()
    } else {
        format!(" {}", quoted(&folder.display().to_string()))
    };
    [format!("dockless build{path} --dry-run"), format!("dockless push{path} --to HOST/REPOSITORY")]
}

fn is_local(reference: &str) -> bool {
    ["oci:", "oci-archive:", "docker-archive:"].iter().any(|kind| reference.starts_with(kind))
}

/// The push of what was built: the same project with the same options.
fn push_project(project: &ProjectRequest, has_repositories: bool) -> String {
    let mut words = vec!["dockless push".to_owned()];
    if project.path != Path::new(".") {
        words.push(quoted(&project.path.display().to_string()));
    }
    if let Some(file) = &project.file {
        words.push(format!("-f {}", quoted(&file.display().to_string())));
    }
    if let Some(base) = &project.base {
        words.push(format!("--base {}", quoted(base)));
    }
    if !project.platforms.is_empty() {
        let platforms: Vec<_> = project.platforms.iter().map(ToString::to_string).collect();
        words.push(format!("--platform {}", platforms.join(",")));
    }
    if let Some(compression) = project.compression {
        words.push(format!("--compression {compression}"));
    }
    for (option, pairs) in [("--label", &project.labels), ("--annotation", &project.annotations)] {
        for (name, value) in pairs {
            words.push(format!("{option} {}", quoted(&format!("{name}={value}"))));
        }
    }
    if project.is_locked {
        words.push("--locked".to_owned());
    }
    let has_reference = project.tags.iter().any(|tag| tag.contains('/') && !tag.contains("{{"));
    if !project.tags.is_empty() {
        words.push(format!("-t {}", quoted(&project.tags.join(","))));
    }
    if !has_repositories && !has_reference {
        words.push("--to HOST/REPOSITORY".to_owned());
    }
    words.join(" ")
}

/// The text as one word of a shell.
fn quoted(text: &str) -> String {
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "-_./:@=,+%".contains(character);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(path: &str) -> ProjectRequest {
        ProjectRequest { path: path.into(), ..ProjectRequest::default() }
    }

    #[test]
    fn a_build_is_followed_by_the_push_of_the_same() {
        let with_options = ProjectRequest {
            file: Some("other.yaml".into()),
            base: Some("scratch".into()),
            platforms: vec![crate::oci::Platform::linux_amd64()],
            compression: Some(crate::config::LayerCompression::Zstd),
            labels: vec![("a".into(), "b c".into())],
            is_locked: true,
            tags: vec!["v1".into()],
            ..project("my agent")
        };
        let named = ProjectRequest { tags: vec!["r.io/x/y:v1".into()], ..project(".") };
        let table: [(&ProjectRequest, &[&str], bool, Option<&str>); 8] = [
            (&project("."), &[], false, Some("dockless push --to HOST/REPOSITORY")),
            (&project("agent"), &[], false, Some("dockless push agent --to HOST/REPOSITORY")),
            (&project("agent"), &[], true, Some("dockless push agent")),
            (
                &with_options,
                &[],
                true,
                Some(
                    "dockless push 'my agent' -f other.yaml --base scratch --platform linux/amd64 \
                     --compression zstd --label 'a=b c' --locked -t v1",
                ),
            ),
            (&named, &[], false, Some("dockless push -t r.io/x/y:v1")),
            (&project("."), &["oci:out"], true, Some("dockless push oci:out --to HOST/REPOSITORY")),
            (&project("."), &["docker-archive:a b.tar"], true, Some("docker load -i 'a b.tar'")),
            (&project("."), &["oci-archive:a.tar"], true, None),
        ];
        for (project, outputs, has_repositories, expected) in table {
            let outputs: Vec<_> = outputs.iter().map(|output| (*output).to_owned()).collect();
            let next = after_build(project, &outputs, false, has_repositories);
            assert_eq!(next.as_deref(), expected);
        }
        assert_eq!(after_build(&project("."), &[], true, false), None);
    }

    #[test]
    fn a_new_config_is_looked_at_and_then_pushed() {
        for (folder, expected) in [
            (".", ["dockless build --dry-run", "dockless push --to HOST/REPOSITORY"]),
            (
                "my agent",
                [
                    "dockless build 'my agent' --dry-run",
                    "dockless push 'my agent' --to HOST/REPOSITORY",
                ],
            ),
        ] {
            assert_eq!(after_init(Path::new(folder)), expected);
        }
    }

    #[test]
    fn what_is_local_is_not_pulled() {
        assert!(is_local("oci:out@sha256:00"));
        assert!(!is_local("ocicat/x@sha256:00"));
    }
}
