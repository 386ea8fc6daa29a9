//! Our own format: `dockless.yaml`.

mod shape;

use semver::{Prerelease, Version, VersionReq};

use self::shape::ROOT;
use crate::config::environment;
use crate::config::health::health;
use crate::config::publish::{env_prefix, new_repository, repositories, tags};
use crate::config::schema::{self, Shape};
use crate::config::validate::{self, absolute_path, labels, port, shown, signal, user, words};
use crate::config::{
    Base, Config, ConfigFormat, Import, LayerCompression, LayerSpec, Node, ParseContext,
    ParsedFile, Problems, Setting, Value,
};
use crate::oci::Platform;

/// The format `dockless`.
#[derive(Debug)]
pub(super) struct Dockless;

impl ConfigFormat for Dockless {
    fn name(&self) -> &'static str {
        "dockless"
    }

    fn summary(&self) -> &'static str {
        "dockless's own: `name`, `base` and `layers`"
    }

    fn notes(&self) -> &'static str {
        "Keys that begin with `x-` are free everywhere: they hold anchors and notes. Unknown keys and \
         keys that stand twice are refused. Every path of the project is relative to its folder."
    }

    fn file_names(&self) -> &'static [&'static str] {
        &["dockless.yaml", "dockless.yml"]
    }

    fn recognises(&self, root: &Node) -> bool {
        ["base", "layers", "requires"].iter().any(|name| root.get(name).is_some())
            || root.get_text("agent").is_some()
    }

    fn shape(&self) -> &'static Shape {
        &ROOT
    }

    fn imports(&self, root: &Node) -> Vec<Import> {
        let import = |node: &Node| {
            Some(Import { path: node.as_text()?.to_owned(), position: node.position.clone() })
        };
        // Nothing else counts in a file of another version, the files it names included.
        let agent = root.get("agent").filter(|_| is_for_this_version(root, &mut Problems::new()));
        agent.and_then(import).into_iter().collect()
    }

    fn parse(
        &self,
        file: &ParsedFile,
        context: &ParseContext,
        problems: &mut Problems,
    ) -> Option<Config> {
        let root = &file.root;
        if !is_for_this_version(root, problems) {
            return None;
        }
        file.report_duplicates(|_| true, problems);
        schema::check(root, &ROOT, problems);
        let imported = root.get_text("agent").and_then(|path| context.imported.get(path));
        let mut config = match imported {
            Some(imported) => Config { source: context.source.clone(), ..imported.clone() },
            None => Config::empty(context.source.clone()),
        };
        if root.get("agent").is_none() {
            report_missing(root, context.needs_base, problems);
        }
        read_image(root, &mut config, problems);
        read_run_settings(root, &mut config, problems);
        read_publish_settings(root, &mut config, problems);
        config.secrets.read(root, problems);
        if let Some(node) = root.get("environments") {
            config.environments = environment::read(node, problems);
        }
        Some(config)
    }
}

/// Whether `requires` allows this binary. If not, that is all there is to say: the rest of the file
/// may be written in words this binary does not know.
fn is_for_this_version(root: &Node, problems: &mut Problems) -> bool {
    let Some(requires) = root.get("requires") else { return true };
    let Some(text) = requires.as_text() else { return true };
    let Ok(range) = text.parse::<VersionReq>() else {
        problems.report_with_hint(
            &requires.position,
            format!("`{}` is no range of versions", shown(text)),
            "write for instance `\">=0.1\"` or `\"0.2\"`",
        );
        return true;
    };
    let this = env!("CARGO_PKG_VERSION");
    if allows(&range, this) {
        return true;
    }
    problems.report_with_hint(
        &requires.position,
        format!("this file requires dockless `{}`, and this is {this}", shown(text)),
        "install a version that fits",
    );
    false
}

/// Whether a range has a version. A release candidate counts as its release: it knows the same words.
fn allows(range: &VersionReq, version: &str) -> bool {
    version
        .parse()
        .is_ok_and(|version: Version| range.matches(&Version { pre: Prerelease::EMPTY, ..version }))
}

fn report_missing(root: &Node, needs_base: bool, problems: &mut Problems) {
    let Value::Mapping(_) = root.value else { return };
    for (name, is_needed, hint) in [
        ("name", true, "add `name: …`, the image's title"),
        ("base", needs_base, "add `base: …`, for instance `builtin:static` or `python:3.12-slim`"),
    ] {
        if is_needed && root.get(name).is_none() {
            problems.report_with_hint(&root.position, format!("`{name}` is missing"), hint);
        }
    }
}

fn read_image(root: &Node, config: &mut Config, problems: &mut Problems) {
    if let Some(name) = root.get("name").and_then(|node| validate::name(node, problems)) {
        config.name = name;
    }
    if let Some(base) = root.get("base").and_then(|node| base(node, problems)) {
        config.base = base;
    }
    let platforms = platforms(root, problems);
    if !platforms.is_empty() {
        config.platforms = platforms;
    }
    if let Some(layers) = root.get("layers") {
        config.layers.extend(layers.items().iter().filter_map(|node| layer(node, problems)));
    }
    if let Some(compression) = root.get_text("compression").and_then(LayerCompression::parse) {
        config.compression = compression;
    }
    if let Some(node) = root.get("labels") {
        config.labels.extend(labels(node, "labels", problems));
        config.secrets.note(Setting::Label, node);
    }
    if let Some(node) = root.get("annotations") {
        config.annotations.extend(labels(node, "annotations", problems));
        config.secrets.note(Setting::Annotation, node);
    }
    if let Some(mtime) = root.get("mtime").and_then(Node::as_integer) {
        config.mtime = mtime;
    }
    if let Some(word) = root.get_text("vcs_labels") {
        config.has_vcs_labels = word != "off";
    }
}

fn base(node: &Node, problems: &mut Problems) -> Option<Base> {
    match node.as_text()?.parse::<Base>() {
        Ok(base) => Some(base),
        Err(error) => {
            problems.report_with_hint(&node.position, error.to_string(), error.hint());
            None
        }
    }
}

fn platforms(root: &Node, problems: &mut Problems) -> Vec<Platform> {
    let (many, one) = (root.get("platforms"), root.get("platform"));
    if let (Some(_), Some(one)) = (many, one) {
        problems.report_with_hint(
            &one.position,
            "`platform` stands beside `platforms`",
            "keep one of them",
        );
    }
    let Some(node) = many.or(one) else { return Vec::new() };
    let mut platforms = Vec::new();
    for item in node.one_or_many() {
        let Some(platform) = item.parse::<Platform>(problems) else { continue };
        if platforms.contains(&platform) {
            let message = format!("the platform `{platform}` stands here twice");
            problems.report_with_hint(&item.position, message, "remove one of them");
        } else {
            platforms.push(platform);
        }
    }
    if node.items().is_empty() && matches!(node.value, Value::Sequence(_)) {
        problems.report_with_hint(
            &node.position,
            "`platforms` is empty",
            "name at least one, such as `linux/amd64`, or remove the key",
        );
    }
    platforms
}

/// One entry of `layers:`; what stands beside its `kind` is up to the kind.
fn layer(node: &Node, problems: &mut Problems) -> Option<LayerSpec> {
    let Value::Mapping(_) = node.value else {
        problems.report_with_hint(
            &node.position,
            format!("a layer is a mapping with a `kind`, not {}", node.kind()),
            "write for instance `- {kind: files, copy: [{src: src, dest: /app}]}`",
        );
        return None;
    };
    let Some(kind) = node.get("kind") else {
        problems.report_with_hint(
            &node.position,
            "this layer has no `kind`",
            "add `kind: …`, for instance `kind: files`",
        );
        return None;
    };
    let Some(text) = kind.as_text() else {
        problems.report(&kind.position, format!("`kind` is a text, not {}", kind.kind()));
        return None;
    };
    Some(LayerSpec {
        kind: text.to_owned(),
        kind_position: kind.position.clone(),
        settings: node.clone(),
    })
}

fn read_run_settings(root: &Node, config: &mut Config, problems: &mut Problems) {
    let run = &mut config.run;
    if let Some(user) = root.get("user").and_then(|node| user(node, problems)) {
        run.user = Some(user);
    }
    if let Some(node) = root.get("workdir") {
        run.workdir = absolute_path(node, "workdir", problems).or(run.workdir.take());
    }
    if let Some(node) = root.get("env") {
        config.secrets.note(Setting::Variable, node);
        for (name, value) in validate::env(node, problems) {
            config.required_at_run_time.retain(|required| *required != name);
            run.set_env(name, value);
        }
    }
    if let Some(node) = root.get("entrypoint") {
        config.secrets.note_command("entrypoint", node);
        config.secrets.commands.remove("cmd");
        run.entrypoint = Some(words(node, "entrypoint", problems));
        run.cmd = None;
    }
    if let Some(node) = root.get("cmd") {
        config.secrets.note_command("cmd", node);
        run.cmd = Some(words(node, "cmd", problems));
    }
    for node in root.get("ports").into_iter().flat_map(Node::one_or_many) {
        push_new(&mut run.ports, port(node, problems));
    }
    for node in root.get("volumes").into_iter().flat_map(Node::one_or_many) {
        push_new(&mut run.volumes, absolute_path(node, "volumes", problems));
    }
    if let Some(signal) = root.get("stop_signal").and_then(|node| signal(node, problems)) {
        run.stop_signal = Some(signal);
    }
    if let Some(node) = root.get("health").filter(|node| matches!(node.value, Value::Mapping(_))) {
        if let Some(test) = node.get("test") {
            config.secrets.note_command("health.test", test);
        }
        run.health = Some(health(node, problems));
    }
}

fn push_new(list: &mut Vec<String>, item: Option<String>) {
    if let Some(item) = item.filter(|item| !list.contains(item)) {
        list.push(item);
    }
}

fn read_publish_settings(root: &Node, config: &mut Config, problems: &mut Problems) {
    let publish = &mut config.publish;
    if let Some(node) = root.get("image") {
        publish.repositories = repositories(node, problems);
    }
    if let Some(node) = root.get("tags") {
        publish.tags = tags(node, problems);
    }
    if let Some(node) = root.get("credentials_env_prefix") {
        publish.credentials_env_prefix = env_prefix(node, problems);
    }
    if let Some(node) = root.get("create_repository") {
        publish.new_repository = new_repository(node);
    }
}

#[cfg(test)]
mod tests;
