//! Configs as users write them: what is understood, and what is said about what is not.

use std::fs;
use std::path::{Path, PathBuf};

use dockless::config::{self, Loaded};

use crate::support::child::Child;
use crate::support::cli::Sandbox;

#[test]
fn every_invalid_project_gets_exactly_its_message() {
    let mut folders: Vec<_> = fs::read_dir(fixtures("invalid"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    for folder in folders {
        let expected = fs::read_to_string(folder.join("message.txt")).unwrap();
        let expected = expected.replace("{version}", env!("CARGO_PKG_VERSION"));
        let message = load(&folder).expect_err("an invalid project was accepted");
        let message = message.replace(&format!("{}/", folder.display()), "");
        assert_eq!(message + "\n", expected, "{}", folder.display());
    }
}

#[test]
fn every_project_of_the_docs_is_understood() {
    for (name, format) in
        [("hello", "dockless"), ("holodeck", "holodeck"), ("research", "dockless")]
    {
        let loaded = load(&fixtures("projects").join(name)).unwrap();
        assert_eq!(loaded.config.source.format, format, "{name}");
        let copied = loaded.config.layers.iter().filter_map(|layer| layer.settings.get("copy"));
        for source in copied.flat_map(config::Node::items).filter_map(|item| item.get_text("src")) {
            assert!(loaded.config.source.directory.join(source).exists(), "{name}: {source}");
        }
    }
}

#[test]
fn the_preferred_name_wins_over_an_agent() {
    let project = Project::new(&[
        ("dockless.yaml", "name: ours\nbase: scratch\n"),
        ("agent.yaml", "name: theirs\nmodel: x\ninstructions: {}\n"),
    ]);
    assert_eq!(load(project.path()).unwrap().config.name, "ours");
    fs::remove_file(project.path().join("dockless.yaml")).unwrap();
    let config = load(project.path()).unwrap().config;
    assert_eq!((config.name.as_str(), config.source.format), ("theirs", "holodeck"));
}

#[test]
fn every_name_of_a_config_is_found() {
    for (name, text) in [
        ("dockless.yaml", "name: x\nbase: scratch\n"),
        ("dockless.yml", "name: x\nbase: scratch\n"),
        ("agent.yaml", "name: x\nmodel: y\ninstructions: {}\n"),
        ("agent.yml", "name: x\nmodel: y\ninstructions: {}\n"),
    ] {
        let project = Project::new(&[(name, text)]);
        assert_eq!(load(project.path()).unwrap().config.source.file, project.path().join(name));
    }
}

#[test]
fn a_config_is_recognised_by_its_shape() {
    let project = Project::new(&[
        ("support.yaml", "name: x\nmodel: y\ninstructions: {}\n"),
        ("image.yaml", "name: x\nbase: scratch\n"),
        ("agent.yaml", "name: x\nbase: scratch\n"),
        ("compose.yaml", "services: {web: {image: nginx}}\n"),
        ("list.yaml", "- a\n"),
    ]);
    for (name, format) in
        [("support.yaml", "holodeck"), ("image.yaml", "dockless"), ("agent.yaml", "dockless")]
    {
        let config = load(&project.path().join(name)).unwrap().config;
        assert_eq!(config.source.format, format, "{name}");
    }
    for name in ["compose.yaml", "list.yaml"] {
        let file = project.path().join(name);
        assert_eq!(
            load(&file).unwrap_err(),
            format!(
                "{}: this looks like no config\n  hint: a config is dockless's own: `name`, `base` \
                 and `layers`, or a HoloDeck agent: `name`, `model` and `instructions`",
                file.display()
            )
        );
    }
}

#[test]
fn says_what_it_looked_for() {
    let project = Project::new(&[("notes.txt", "")]);
    let folder = project.path().display().to_string();
    let names = "looked for `dockless.yaml`, `dockless.yml`, `agent.yaml`, `agent.yml`; \
                 name another file with `-f`";
    assert_eq!(
        load(project.path()).unwrap_err(),
        format!("there is no config in `{folder}`\nhint: {names}")
    );
    fs::write(project.path().join("agnet.yaml"), "").unwrap();
    assert_eq!(
        load(project.path()).unwrap_err(),
        format!(
            "there is no config in `{folder}`\n\
             hint: rename `agnet.yaml` to `agent.yaml`, or name it with `-f`"
        )
    );
    let missing = project.path().join("note.txt");
    assert_eq!(
        load(&missing).unwrap_err(),
        format!(
            "there is no file or folder `{folder}/note.txt`\nhint: did you mean `{folder}/notes.txt`?"
        )
    );
    assert_eq!(
        load(&project.path().join("elsewhere")).unwrap_err(),
        format!(
            "there is no file or folder `{folder}/elsewhere`\n\
             hint: name a project's folder, or its config"
        )
    );
}

#[test]
fn two_configs_of_one_rank_are_refused() {
    let project = Project::new(&[
        ("dockless.yaml", "name: x\nbase: scratch\n"),
        ("dockless.yml", "name: x\nbase: scratch\n"),
    ]);
    let folder = project.path().display();
    assert_eq!(
        load(project.path()).unwrap_err(),
        format!(
            "`{folder}` has several configs: `dockless.yaml`, `dockless.yml`\n\
             hint: keep one of them, or name one with `-f`"
        )
    );
    let file = project.path().join("dockless.yml");
    assert_eq!(load_with(project.path(), Some(&file)).unwrap().config.source.file, file);
    assert_eq!(
        load_with(&file, Some(&file)).unwrap_err(),
        format!(
            "`{0}` is a file, and so is `{0}`: one of them must be the project's folder\n\
             hint: leave one of them out",
            file.display()
        )
    );
}

#[test]
fn a_folder_is_not_to_be_renamed_to_a_config() {
    let project = Project::new(&[("dockless/notes.txt", "x")]);
    assert_eq!(
        load(project.path()).unwrap_err(),
        format!(
            "there is no config in `{}`\nhint: looked for `dockless.yaml`, `dockless.yml`, \
             `agent.yaml`, `agent.yml`; name another file with `-f`",
            project.path().display()
        )
    );
}

#[test]
fn the_projects_folder_is_named_or_holds_the_config() {
    let project = Project::new(&[("ci/image.yaml", "name: x\nbase: scratch\n")]);
    let directory = fs::canonicalize(project.path()).unwrap();
    let file = project.path().join("ci/image.yaml");
    let named = load_with(project.path(), Some(&file)).unwrap().config.source;
    assert_eq!((named.file, named.directory), (file.clone(), directory.clone()));
    let holding = load(&file).unwrap().config.source;
    assert_eq!(holding.directory, directory.join("ci"));
}

#[cfg(unix)]
#[test]
fn links_to_the_project_are_resolved_once() {
    let project = Project::new(&[("real/dockless.yaml", "name: x\nbase: scratch\n")]);
    let link = project.path().join("link");
    std::os::unix::fs::symlink("real", &link).unwrap();
    let source = load(&link).unwrap().config.source;
    assert_eq!(source.file, link.join("dockless.yaml"));
    assert_eq!(source.directory, fs::canonicalize(project.path().join("real")).unwrap());
}

#[test]
fn byte_order_mark_and_windows_line_ends_are_fine() {
    let project = Project::new(&[("dockless.yaml", "\u{feff}name: x\r\nbase: scratch\r\n")]);
    assert_eq!(load(project.path()).unwrap().config.name, "x");
}

#[test]
fn what_is_no_text_is_refused() {
    let project = Project::new(&[("big.yaml", &" ".repeat((1 << 20) + 1)), ("fits.yaml", "")]);
    let path = |name: &str| project.path().join(name);
    fs::write(path("latin1.yaml"), b"name: x\nbase: caf\xe9\n").unwrap();
    fs::create_dir(path("folder.yaml")).unwrap();
    for (name, message) in [
        ("big.yaml", "has 1048577 bytes: at most 1048576 are read\nhint: move data out of it"),
        ("latin1.yaml", "is not UTF-8 text: see line 2\nhint: save it as UTF-8"),
        ("folder.yaml", "is not a regular file\nhint: name a YAML file"),
    ] {
        let file = path(name);
        assert_eq!(
            load_with(project.path(), Some(&file)).unwrap_err(),
            format!("`{}` {message}", file.display())
        );
    }
    let exactly = format!("name: x\nbase: scratch\n#{}", " ".repeat((1 << 20) - 23));
    fs::write(path("fits.yaml"), &exactly).unwrap();
    assert_eq!(exactly.len(), 1 << 20);
    assert!(load(&path("fits.yaml")).is_ok());
}

#[cfg(target_os = "linux")]
#[test]
fn a_fifo_does_not_hang() {
    let project = Project::new(&[]);
    let file = project.path().join("dockless.yaml");
    let mode = rustix::fs::Mode::RUSR;
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &file, kind, mode, 0).unwrap();
    assert_eq!(
        load(project.path()).unwrap_err(),
        format!("`{}` is not a regular file\nhint: name a YAML file", file.display())
    );
}

/// Root may read everything, so the story is told again by an unprivileged process.
#[cfg(target_os = "linux")]
#[test]
fn an_unreadable_config_is_named() {
    use std::os::unix::fs::PermissionsExt as _;

    if let Some(folder) = Child::folder() {
        let file = folder.join("dockless.yaml");
        assert_eq!(
            load(&folder).unwrap_err(),
            format!(
                "cannot read `{}`\nPermission denied (os error 13)\nhint: check who may read it",
                file.display()
            )
        );
        return;
    }
    let project = Project::new(&[("dockless.yaml", "name: x\nbase: scratch\n")]);
    let set_mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(project.path(), 0o755);
    set_mode(&project.path().join("dockless.yaml"), 0o000);
    Child::without_rights("config::an_unreadable_config_is_named", project.path()).pass();
}

#[test]
fn an_agent_in_a_folder_brings_its_files_from_there() {
    let project = Project::new(&[
        ("dockless.yaml", "agent: ./agents/support.yaml\nname: ours\n"),
        ("agents/support.yaml", "name: theirs\nmodel: x\ninstructions: {file: a.md}\n"),
    ]);
    let config = load(project.path()).unwrap().config;
    assert_eq!(config.name, "ours");
    let copied = config.layers.iter().filter_map(|layer| layer.settings.get("copy"));
    let sources: Vec<_> = copied
        .flat_map(config::Node::items)
        .filter_map(|item| Some((item.get_text("src")?, item.get_text("dest")?)))
        .collect();
    assert_eq!(
        sources,
        [("agents/a.md", "/app/a.md"), ("agents/support.yaml", "/app/agent.yaml"),]
    );
}

#[cfg(unix)]
#[test]
fn an_agent_behind_a_link_stays_in_the_project() {
    let outside = Project::new(&[("agent.yaml", "name: x\nmodel: y\ninstructions: {}\n")]);
    let project = Project::new(&[
        ("dockless.yaml", "agent: agent.yaml\n"),
        ("real.yaml", "name: x\nmodel: y\ninstructions: {}\n"),
    ]);
    let link = project.path().join("agent.yaml");
    std::os::unix::fs::symlink("real.yaml", &link).unwrap();
    assert_eq!(load(project.path()).unwrap().config.name, "x");

    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(outside.path().join("agent.yaml"), &link).unwrap();
    assert_eq!(
        load(project.path()).unwrap_err(),
        format!(
            "{}/dockless.yaml:1:8: `agent.yaml` leaves the project's folder\n  \
             1 | agent: agent.yaml\n    |        ^\n  \
             hint: name a file below the project's folder, relative to it; no link may lead out",
            project.path().display()
        )
    );
}

#[test]
fn problems_do_not_hide_what_was_understood() {
    let project = Project::new(&[("dockless.yaml", "name: x\nbse: y\nlayers: [{kind: files}]\n")]);
    let loaded = config::load(project.path(), None, None).unwrap();
    assert_eq!((loaded.config.name.as_str(), loaded.config.layers.len()), ("x", 1));
    assert_eq!(loaded.problems.list().len(), 2);
}

#[test]
fn variables_come_from_the_environment() {
    let project = Project::new(&[(
        "dockless.yaml",
        "name: x\nbase: scratch\nimage: ['${HOST}/a', '${MISSING}/b', '${MISSING:-c.io}/d']\n",
    )]);
    let repositories = load(project.path()).unwrap().config.publish.repositories;
    let environment = dockless::sys::Environment::of([("HOST", "ghcr.io")]);
    let expanded: Vec<_> = repositories
        .iter()
        .map(|repository| {
            repository.expand(&environment).map_err(|error| {
                let error = dockless::error::Error::new(error);
                (error.kind().exit_code(), error.to_string(), error.hints())
            })
        })
        .collect();
    let place = format!("{}/dockless.yaml:3:22", project.path().display());
    assert_eq!(
        expanded,
        [
            Ok("ghcr.io/a".to_owned()),
            Err((
                2,
                format!("{place}: the variable `MISSING` is not set"),
                vec!["set it, or write a default: `${MISSING:-…}`".to_owned()],
            )),
            Ok("c.io/d".to_owned()),
        ]
    );
}

/// A folder with these files, removed when dropped.
struct Project(tempfile::TempDir);

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("the temp folder is writable");
        for (name, text) in files {
            let path = folder.path().join(name);
            let parent = path.parent().expect("it is below the temp folder");
            fs::create_dir_all(parent).expect("the temp folder is writable");
            fs::write(path, text).expect("the temp folder is writable");
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Loads a project and gives everything that would be printed when that fails.
fn load(path: &Path) -> Result<Loaded, String> {
    load_with(path, None)
}

fn load_with(path: &Path, file: Option<&Path>) -> Result<Loaded, String> {
    let loaded = config::load(path, file, None).map_err(|error| {
        assert_eq!(error.kind().exit_code(), 2);
        let hints = error.hints().into_iter().map(|hint| format!("hint: {hint}"));
        error.lines().into_iter().chain(hints).collect::<Vec<_>>().join("\n")
    })?;
    match loaded.problems.clone().into_result() {
        Ok(()) => Ok(loaded),
        Err(problems) => Err(problems.to_string()),
    }
}

fn fixtures(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder)
}

#[test]
fn what_is_wrong_with_a_secret_is_told_without_it() {
    for text in [
        "env:\n  - OPENAI_API_KEY=canary\n",
        "env: OPENAI_API_KEY=canary\n",
        "OPENAI_API_KEY: canary\n",
        "env: {A_TOKEN: 'canary}\n",
        "env:\n  A_TOKEN: canary\n  A_TOKEN: canary\n",
        "env:\n\tDB_PASSWORD: canary\n",
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("p/dockless.yaml", format!("name: p\nbase: scratch\n{text}"));
        for words in [&["build", "p"][..], &["build", "p", "--json"]] {
            let outcome = sandbox.run(words.iter().copied());
            assert_eq!(outcome.code, 2, "{outcome:#?}");
            assert!(!format!("{outcome:?}").contains("canary"), "{outcome:#?}");
        }
    }
}
