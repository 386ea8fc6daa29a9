//! Whether what a container starts is in the image, where that can be told.
//!
//! A warning must be right: what depends on a variable, on a working directory that nothing says or on what
//! is mounted into a container, is passed over.

use std::borrow::Cow;

use super::user_name::unknown_user;
use super::{
    BaseImage, Entry, EntryKind, FileSource, FinalLink, LayerContent, LayerPlan, Plan, RunSettings,
};

/// Code, text, hint.
pub(super) type Warning = (&'static str, String, Option<String>);

/// What a container finds there is not the image's.
const MOUNTED: [&str; 4] = ["/dev", "/proc", "/run", "/sys"];

/// Words that a shell does not look for in the search path (POSIX, "Shell Command Language").
const SHELL_WORDS: &str = " . : [ alias bg break case cd command continue do echo eval exec exit export \
                           false fg for getopts hash if jobs kill local printf pwd read readonly return \
                           set shift source test time times trap true type ulimit umask unalias unset \
                           until wait while ";

/// What a person should know of the start of a container, once for all platforms.
pub fn start_warnings(plan: &Plan) -> Vec<(&'static str, String, Option<String>)> {
    let mut warnings: Vec<Warning> = Vec::new();
    for image in &plan.images {
        for warning in image_warnings(&image.base, &image.layers, &image.settings.run) {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    warnings
}

/// As [`start_warnings`], for one image.
pub(super) fn image_warnings(
    base: &BaseImage,
    layers: &[LayerPlan],
    run: &RunSettings,
) -> Vec<Warning> {
    let start = Start { base, layers, run };
    let user = run.user.as_deref().and_then(|user| unknown_user(base, layers, user));
    user.into_iter().chain(start.command()).chain(start.health_check()).collect()
}

/// What a container is started with.
#[derive(Clone, Copy)]
pub(super) struct Start<'a> {
    pub(super) base: &'a BaseImage,
    pub(super) layers: &'a [LayerPlan],
    pub(super) run: &'a RunSettings,
}

impl Start<'_> {
    /// What is missing of the command, if the config says one.
    fn command(&self) -> Option<Warning> {
        let has_entrypoint = match (&self.run.entrypoint, &self.base.config.value.config.entrypoint)
        {
            (Some(words), _) | (None, Some(words)) => !words.is_empty(),
            (None, None) => false,
        };
        let (key, words) = if has_entrypoint {
            ("entrypoint", self.run.entrypoint.as_ref()?)
        } else {
            ("cmd", self.run.cmd.as_ref()?)
        };
        let program = &self.located(words.first()?);
        let missing = |code, what: &str, why: &str| {
            let hint =
                "add it with a layer, or choose a base that has it: a container does not start";
            (code, format!("the image has no {what}, which {why}"), Some(hint.to_owned()))
        };
        let shown = program.escape_debug();
        if let Some(what) = self.missing(program) {
            return Some(missing("missing-program", &what, &format!("`{key}` starts")));
        }
        if self.is_not_executable(program) {
            let text = format!("`{shown}`, which `{key}` starts, is not executable");
            let hint = "write `mode: \"0755\"` beside what brings it: a container does not start";
            return Some(("not-executable", text, Some(hint.to_owned())));
        }
        let what = self.interpreters(program).into_iter().find_map(|name| self.missing(&name))?;
        Some(missing("missing-interpreter", &what, &format!("runs `{shown}`")))
    }

    /// What is missing of the health check, if the config says one.
    fn health_check(&self) -> Option<Warning> {
        let check = self.run.health.as_ref()?.check.as_ref()?;
        let (kind, line) = (check.test.first()?.as_str(), check.test.get(1)?);
        let (missing, program) = match kind {
            "CMD" => (None, self.located(line)),
            "CMD-SHELL" => {
                (self.missing(self.shell()), self.located(first_word(line).unwrap_or_default()))
            }
            _ => return None,
        };
        if missing.is_none() && self.is_not_executable(&program) {
            let shown = program.escape_debug();
            let text = format!("`{shown}`, which the health check runs, is not executable");
            let hint =
                "write `mode: \"0755\"` beside what brings it: a container never becomes healthy";
            return Some(("not-executable", text, Some(hint.to_owned())));
        }
        let missing = missing.or_else(|| self.missing(&program))?;
        let text = format!("the image has no {missing}, which the health check needs");
        let hint = "choose a base that has it, or a `test` that does without, as in \
                    `[CMD, /app/check]`: a container never becomes healthy";
        Some(("missing-health-program", text, Some(hint.to_owned())))
    }

    /// The program by its absolute path, where it is named from the folder that a container starts in.
    fn located<'p>(&self, program: &'p str) -> Cow<'p, str> {
        let of_base = &self.base.config.value.config.working_dir;
        let folder = self.run.workdir.as_deref().or(of_base.as_deref()).unwrap_or_default();
        let is_relative = program.contains('/') && !program.starts_with('/');
        if !is_relative || !folder.starts_with('/') || program.split('/').any(|part| part == "..") {
            return program.into();
        }
        let parts = folder.split('/').chain(program.split('/'));
        let parts = parts.filter(|part| !matches!(*part, "" | "."));
        parts.fold(String::new(), |path, part| path + "/" + part).into()
    }

    /// Whether a program is a file of ours that nobody may run.
    fn is_not_executable(&self, program: &str) -> bool {
        let entry = self.entry(program).filter(|_| self.is_sure(&[program.to_owned()]));
        entry.is_some_and(|entry| is_file(entry) && entry.mode & 0o111 == 0)
    }

    /// What runs the line of a `CMD-SHELL`.
    fn shell(&self) -> &str {
        let shell = self.base.config.value.config.other.get("Shell");
        shell.and_then(|words| words.get(0)?.as_str()).unwrap_or("/bin/sh")
    }

    /// What the first line of a script of ours names.
    fn interpreters(&self, program: &str) -> Vec<String> {
        let kind = self.entry(program).map(|entry| &entry.kind);
        let Some(EntryKind::File(FileSource::Bytes(bytes))) = kind else { return Vec::new() };
        let text = String::from_utf8_lossy(bytes);
        let line = text.strip_prefix("#!").and_then(|text| text.lines().next());
        let words: Vec<_> = line.unwrap_or_default().split_ascii_whitespace().collect();
        match words[..] {
            [env, name, ..] if env.ends_with("/env") && !name.contains(['-', '=']) => {
                vec![env.to_owned(), name.to_owned()]
            }
            [interpreter, ..] => vec![interpreter.to_owned()],
            [] => Vec::new(),
        }
    }

    /// A program in words, when it is sure that it is nowhere.
    pub(super) fn missing(&self, program: &str) -> Option<String> {
        let is_plain = |char: char| char.is_alphanumeric() || "._+-/".contains(char);
        if program.is_empty() || !self.is_known() || !program.chars().all(is_plain) {
            return None;
        }
        let (search, name) = match program.rsplit_once('/') {
            None => (self.search_path(), program),
            Some(("", name)) => (vec!["/".to_owned()], name),
            Some((folder, name)) => (vec![folder.to_owned()], name),
        };
        if !self.is_sure(&search)
            || self.brings(name, &search)
            || self.base.program(name, &search).is_some()
        {
            return None;
        }
        let kind = if program == name { "program " } else { "" };
        Some(format!("{kind}`{program}`"))
    }

    /// Whether it can be told what is in the image.
    pub(super) fn is_known(&self) -> bool {
        let is_packed = |layer: &LayerPlan| matches!(layer.content, LayerContent::Pack(_));
        let is_windows = self.base.config.value.os == "windows";
        self.base.is_read() && !is_windows && self.layers.iter().all(is_packed)
    }

    /// Whether a container finds in these folders what the image has there.
    pub(super) fn is_sure(&self, search: &[String]) -> bool {
        search.iter().all(|folder| folder.starts_with('/') && !self.is_mounted(folder))
    }

    /// The folders in which a container looks for programs.
    pub(super) fn search_path(&self) -> Vec<String> {
        match self.run.env.iter().rfind(|(name, _)| name == "PATH") {
            Some((_, path)) => path.split(':').map(str::to_owned).collect(),
            None => self.base.search_path(),
        }
    }

    /// Whether something else than the image's may stand in a folder.
    fn is_mounted(&self, folder: &str) -> bool {
        let theirs = self.base.config.value.config.volumes.keys().map(String::as_str);
        let volumes = theirs.chain(self.run.volumes.iter().map(String::as_str)).chain(MOUNTED);
        volumes.map(|volume| volume.trim_end_matches('/')).any(|volume| {
            let rest = folder.strip_prefix(volume);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Whether our layers have a file of this name, or a link, in one of these folders.
    fn brings(&self, name: &str, search: &[String]) -> bool {
        let folders: Vec<_> = self.named(name).map(|(folder, _)| folder).collect();
        // No part of an entry's path is a link.
        let is_literal = |folder: &String| folders.contains(&folder.trim_matches('/'));
        if folders.is_empty() || search.iter().any(is_literal) {
            return !folders.is_empty();
        }
        let mut root = self.base.root.clone();
        for layer in self.layers {
            if let LayerContent::Pack(entries) = &layer.content {
                root.lay(entries);
            }
        }
        search.iter().any(|folder| {
            let folder = root.resolve(folder, FinalLink::Followed);
            folder.is_ok_and(|folder| folders.contains(&folder.as_str()))
        })
    }

    /// What is not a folder and has this name, with the folder that it lies in.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = (&str, &Entry)> {
        let entries = self.entries().filter(|entry| entry.kind != EntryKind::Directory);
        entries.filter_map(move |entry| {
            let (folder, last) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
            (last == name).then_some((folder, entry))
        })
    }

    /// What our topmost layer with this absolute path has there.
    fn entry(&self, path: &str) -> Option<&Entry> {
        let path = path.strip_prefix('/')?;
        self.entries().rfind(|entry| entry.path == path)
    }

    /// Everything in our layers, lowest first.
    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        let packed = self.layers.iter().filter_map(|layer| match &layer.content {
            LayerContent::Pack(entries) => Some(entries),
            LayerContent::Existing { .. } => None,
        });
        packed.flatten()
    }
}

fn is_file(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::File(_))
}

/// The program that a shell starts first, unless it is one of its own words.
fn first_word(line: &str) -> Option<&str> {
    let word = line.split_whitespace().next()?;
    let word = word.strip_suffix(';').unwrap_or(word);
    (!SHELL_WORDS.contains(&format!(" {word} "))).then_some(word)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::oci::Platform;
    use crate::plan::testing::base;
    use crate::plan::{Entry, Health, HealthCheck, RootNode, RootTree};

    /// A base with `/usr/bin/sh`, `/bin -> usr/bin` and `/usr/bin/curl`, as Debian's.
    fn debian() -> BaseImage {
        let mut root = RootTree::default();
        for path in ["usr", "usr/bin"] {
            root.insert(path, RootNode::Directory { mode: 0o755, uid: 0, gid: 0 });
        }
        root.insert("bin", RootNode::Symlink("usr/bin".into()));
        for path in ["usr/bin/dash", "usr/bin/curl", "usr/bin/env"] {
            root.insert(path, RootNode::File);
        }
        root.insert("usr/bin/sh", RootNode::Symlink("dash".into()));
        base(&Platform::linux_amd64(), root)
    }

    fn words(text: &str) -> Option<Vec<String>> {
        (!text.is_empty()).then(|| text.split(' ').map(str::to_owned).collect())
    }

    fn script(path: &str, text: &'static str) -> LayerPlan {
        let kind = EntryKind::File(FileSource::Bytes(Bytes::from_static(text.as_bytes())));
        let entry = Entry { path: path.into(), kind, mode: 0o755, uid: 0, gid: 0, mtime: 0 };
        let content = LayerContent::Pack(vec![entry]);
        LayerPlan { name: path.into(), created_by: String::new(), content }
    }

    fn texts(base: &BaseImage, layers: &[LayerPlan], run: &RunSettings) -> Vec<String> {
        image_warnings(base, layers, run).into_iter().map(|(_, text, _)| text).collect()
    }

    #[test]
    fn a_command_must_be_somewhere() {
        let mut layers = [
            script("app/run", "#!/bin/bash\n"),
            script("app/agent", "#!/usr/bin/env python3\n"),
            script("app/env", "#!/usr/bin/env -S sh -e\n"),
            script("app/sh", "#! /bin/sh -e\n"),
            script("app/binary", "\u{7f}ELF"),
            script("usr/bin/tool", ""),
            script("app/data", ""),
            script("data/file", ""),
            script("curl", ""),
        ];
        for layer in &mut layers[6..] {
            let LayerContent::Pack(entries) = &mut layer.content else { unreachable!() };
            entries[0].mode = 0o644;
        }
        for (entrypoint, cmd, expected) in [
            ("", "", None),
            ("curl x", "", None),
            ("/bin/curl", "nothing", None),
            ("python", "", Some("program `python`, which `entrypoint` starts")),
            ("/usr/bin/python", "", Some("`/usr/bin/python`, which `entrypoint` starts")),
            ("", "python", Some("program `python`, which `cmd` starts")),
            ("/app/sh", "", None),
            ("/app/env", "", None),
            ("/app/binary", "", None),
            ("/app/run", "", Some("`/bin/bash`, which runs `/app/run`")),
            ("/app/agent", "", Some("program `python3`, which runs `/app/agent`")),
            ("/app/data", "", Some("`/app/data`, which `entrypoint` starts, is not executable")),
            ("/data/file", "", None),
            ("tool", "", None),
            ("curl", "", None),
            ("/usr/bin/tool", "", None),
            // Where nobody looks for it.
            ("run", "", Some("program `run`, which `entrypoint` starts")),
            ("/opt/binary", "", Some("`/opt/binary`, which `entrypoint` starts")),
            // What depends on something else.
            ("./python", "", None),
            ("bin/python", "", None),
            ("$PYTHON", "", None),
            ("/data/python", "", None),
            ("/data/deep/python", "", None),
            ("/database/python", "", Some("`/database/python`, which `entrypoint` starts")),
            ("/proc/self/exe", "", None),
        ] {
            let run = RunSettings {
                entrypoint: words(entrypoint),
                cmd: words(cmd),
                volumes: vec!["/data/".into()],
                ..RunSettings::default()
            };
            let text = |text: &str| {
                let start = if text.ends_with("executable") { "" } else { "the image has no " };
                format!("{start}{text}")
            };
            let expected: Vec<_> = expected.map(text).into_iter().collect();
            assert_eq!(texts(&debian(), &layers, &run), expected, "{entrypoint} {cmd}");
        }
    }

    #[test]
    fn a_known_working_directory_says_where_a_program_is() {
        let mut layers = [script("app/run", ""), script("app/src/check", "")];
        let LayerContent::Pack(entries) = &mut layers[1].content else { unreachable!() };
        entries[0].mode = 0o644;
        let none = |path| format!("the image has no `{path}`, which `entrypoint` starts");
        let check = "`/app/src/check`, which `entrypoint` starts, is not executable".to_owned();
        for (program, workdir, expected) in [
            ("./run", "/app", None),
            ("./nosuch", "/app/", Some(none("/app/nosuch"))),
            ("src/check", "/app", Some(check)),
            ("./nosuch", "", None),
            ("./nosuch", "$HOME", None),
            ("../nosuch", "/app", None),
        ] {
            let workdir = (!workdir.is_empty()).then(|| workdir.to_owned());
            let run = RunSettings { entrypoint: words(program), workdir, ..RunSettings::default() };
            assert_eq!(texts(&debian(), &layers, &run), Vec::from_iter(expected), "{program}");
        }
    }

    #[test]
    fn what_a_base_starts_and_an_unread_base_are_not_judged() {
        let run = RunSettings { cmd: words("--verbose"), ..RunSettings::default() };
        let mut base = debian();
        base.config.value.config.entrypoint = words("/init");
        assert!(texts(&base, &[], &run).is_empty());
        let run = RunSettings { entrypoint: words("python"), ..RunSettings::default() };
        assert_eq!(texts(&base, &[], &run).len(), 1);
        for path in ["relative:/usr/bin", "/usr/bin:", "/proc/1/root"] {
            let env = vec![("PATH".into(), path.into())];
            assert!(texts(&base, &[], &RunSettings { env, ..run.clone() }).is_empty(), "{path}");
        }
        base.root = RootTree::default();
        assert_eq!(texts(&base, &[], &run).len(), 1, "it has no layers");
        base.layers.push(crate::plan::BaseLayer {
            descriptor: crate::oci::Descriptor::of(crate::oci::MediaType::OciLayer, b""),
            diff_id: crate::oci::Digest::of(b""),
            origin: crate::plan::Origin::Store,
        });
        assert!(texts(&base, &[], &run).is_empty(), "nobody has read it");
    }

    #[test]
    fn a_health_check_needs_its_programs() {
        let nothing = base(&Platform::linux_amd64(), RootTree::default());
        let mut with_bash = debian();
        with_bash.config.value.config.other.insert("Shell".into(), json!(["/bin/bash", "-c"]));
        for (base, test, expected) in [
            (&debian(), ["CMD-SHELL", "curl -f http://localhost/health || exit 1"], None),
            (&debian(), ["CMD-SHELL", "wget -q localhost || exit 1"], Some("program `wget`")),
            (&debian(), ["CMD-SHELL", "test -f /ready"], None),
            (&debian(), ["CMD-SHELL", "exit; wget"], None),
            (&debian(), ["CMD-SHELL", "$CHECK now"], None),
            (&debian(), ["CMD-SHELL", "A=1 wget"], None),
            (&debian(), ["CMD-SHELL", "(wget x)"], None),
            (&debian(), ["CMD", "curl"], None),
            (&debian(), ["CMD", "/app/run"], None),
            (&debian(), ["CMD", "/bin/wget"], Some("`/bin/wget`")),
            (&with_bash, ["CMD-SHELL", "curl x"], Some("`/bin/bash`")),
            (&nothing, ["CMD-SHELL", "curl x"], Some("`/bin/sh`")),
            (&nothing, ["CMD", "curl"], Some("program `curl`")),
            (&nothing, ["NONE", ""], None),
        ] {
            let check = HealthCheck {
                test: test.map(str::to_owned).into(),
                interval_ns: None,
                timeout_ns: None,
                start_period_ns: None,
                start_interval_ns: None,
                retries: None,
            };
            let health = Some(Health { path: None, port: None, check: Some(check) });
            let run = RunSettings { health, ..RunSettings::default() };
            let text = |what| format!("the image has no {what}, which the health check needs");
            let expected: Vec<_> = expected.map(text).into_iter().collect();
            assert_eq!(texts(base, &[script("app/run", "")], &run), expected, "{test:?}");
            let mut layers = [script("app/run", "")];
            let LayerContent::Pack(entries) = &mut layers[0].content else { unreachable!() };
            entries[0].mode = 0o644;
            let text = "`/app/run`, which the health check runs, is not executable";
            let expected =
                if test == ["CMD", "/app/run"] { vec![text.to_owned()] } else { expected };
            assert_eq!(texts(base, &layers, &run), expected, "{test:?}");
        }
    }
}
