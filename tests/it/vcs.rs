//! What git really says, in repositories made here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use async_trait::async_trait;
use dockless::event::{Event, Events};
use dockless::gather::{Project, vcs_facts};
use dockless::plan::VcsFacts;
use dockless::sys::Environment;
use dockless::sys::command::{Command, CommandOutput, Commands, SystemCommands};

/// No config but the repository's own.
const ISOLATED: [(&str, &str); 3] =
    [("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("LC_ALL", "C")];

/// Runs git without the config of whoever runs the tests, and with more variables on top.
#[derive(Debug, Clone, Default)]
struct Isolated(Vec<(String, String)>);

#[async_trait]
impl Commands for Isolated {
    async fn run(&self, command: &Command) -> io::Result<CommandOutput> {
        let mut isolated = command.clone();
        let ours = ISOLATED.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let added = ours.into_iter().chain(self.0.clone());
        // Ours come first: what the command takes away stays away.
        let mut environment: Vec<_> = added.map(|(name, value)| (name, Some(value))).collect();
        environment.append(&mut isolated.environment);
        isolated.environment = environment;
        SystemCommands.run(&isolated).await
    }
}

/// A repository with one commit on `main`.
struct Repository {
    root: tempfile::TempDir,
}

impl Repository {
    fn new() -> Self {
        let repository =
            Self { root: tempfile::tempdir().expect("the temp folder can be written") };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        fs::create_dir(repository.path("agent")).expect("it is new");
        for file in ["agent/a", "elsewhere"] {
            fs::write(repository.path(file), "one").expect("it can be written");
        }
        repository.git(&["add", "."]);
        repository.git(&["commit", "--quiet", "--message=one"]);
        repository
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Process::new("git")
            .args(arguments)
            .current_dir(self.root.path())
            .envs(ISOLATED)
            .envs(["AUTHOR", "COMMITTER"].into_iter().flat_map(|who| {
                [("NAME", "Ada"), ("EMAIL", "ada@example.org"), ("DATE", "2026-01-02T03:04:05Z")]
                    .map(|(what, value)| (format!("GIT_{who}_{what}"), value))
            }))
            .output()
            .expect("git is installed");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("git prints text").trim_end().to_owned()
    }

    async fn facts(&self) -> VcsFacts {
        facts_of(&self.path("agent"), &Environment::of([])).await.expect("it is a repository")
    }

    /// What is true of every repository made here.
    fn expected(&self) -> VcsFacts {
        VcsFacts {
            sha: Some(self.git(&["rev-parse", "HEAD"])),
            branch: Some("main".to_owned()),
            origin: "git".to_owned(),
            ..VcsFacts::default()
        }
    }
}

async fn facts_of(directory: &Path, environment: &Environment) -> Result<VcsFacts, String> {
    let project = Project::open(directory, None, &[]).expect("it exists");
    vcs_facts(&project, environment, &Isolated::default(), &Events::none())
        .await
        .map_err(|unknown| unknown.reason)
}

#[tokio::test]
async fn git_tells_commit_branch_and_origin() {
    let repository = Repository::new();
    assert_eq!(repository.facts().await, repository.expected());
    repository.git(&["remote", "add", "origin", "https://ci:token@git.example/acme/agent.git"]);
    repository.git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    repository.git(&["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"]);
    let expected = VcsFacts {
        is_default_branch: Some(true),
        source_url: Some("https://git.example/acme/agent".to_owned()),
        ..repository.expected()
    };
    assert_eq!(repository.facts().await, expected);
    repository.git(&["checkout", "--quiet", "-b", "feature/x"]);
    let expected = VcsFacts {
        branch: Some("feature/x".to_owned()),
        is_default_branch: Some(false),
        ..expected
    };
    assert_eq!(repository.facts().await, expected);
    // A tag of the same name makes git's short names ambiguous.
    repository.git(&["tag", "feature/x"]);
    let expected = VcsFacts { tag: Some("feature/x".to_owned()), ..expected };
    assert_eq!(repository.facts().await, expected);
}

#[tokio::test]
async fn the_highest_tag_at_head_counts() {
    let repository = Repository::new();
    for tag in ["v1.9.0", "nightly", "v3.0.0"] {
        repository.git(&["tag", tag]);
    }
    repository.git(&["commit", "--quiet", "--allow-empty", "--message=two"]);
    repository.git(&["tag", "v1.10.0"]);
    repository.git(&["tag", "--annotate", "--message=x", "v1.9.1"]);
    repository.git(&["config", "column.ui", "always"]);
    let expected = VcsFacts {
        tag: Some("v1.10.0".to_owned()),
        parents: vec![repository.git(&["rev-parse", "HEAD^"])],
        ..repository.expected()
    };
    assert_eq!(repository.facts().await, expected);
}

#[tokio::test]
async fn only_tracked_files_of_the_project_make_it_dirty() {
    let repository = Repository::new();
    let is_dirty = async || repository.facts().await.is_dirty;
    fs::write(repository.path("agent/new"), "").unwrap();
    fs::write(repository.path("elsewhere"), "two").unwrap();
    assert!(!is_dirty().await);
    fs::write(repository.path("agent/a"), "two").unwrap();
    assert!(is_dirty().await);
    fs::write(repository.path("agent/a"), "one").unwrap();
    assert!(!is_dirty().await);
    fs::remove_file(repository.path("agent/a")).unwrap();
    assert!(is_dirty().await);
}

#[tokio::test]
async fn what_we_write_does_not_make_it_dirty() {
    let repository = Repository::new();
    fs::create_dir(repository.path("agent/out")).unwrap();
    let outputs = ["agent/out/index.json", "agent/*", "agent/image.digest"];
    for output in outputs {
        fs::write(repository.path(output), "one").unwrap();
    }
    repository.git(&["add", "."]);
    repository.git(&["commit", "--quiet", "--message=outputs"]);
    for output in outputs {
        fs::write(repository.path(output), "two").unwrap();
    }
    let written = ["agent/out", "agent/*", "agent/image.digest"].map(|path| repository.path(path));
    let project = Project::open(&repository.path("agent"), None, &written).unwrap();
    let (environment, events) = (Environment::of([]), Events::none());
    let is_dirty = async || {
        let facts = vcs_facts(&project, &environment, &Isolated::default(), &events).await;
        facts.unwrap().is_dirty
    };
    assert!(!is_dirty().await);
    fs::write(repository.path("agent/a"), "two").unwrap();
    assert!(is_dirty().await, "`*` is a name here, not a pattern");
}

#[tokio::test]
async fn a_repository_without_a_commit_has_a_branch_only() {
    let root = tempfile::tempdir().unwrap();
    let init = ["init", "--quiet", "--initial-branch=trunk"];
    let git = Process::new("git").args(init).current_dir(&root).envs(ISOLATED).status().unwrap();
    assert!(git.success());
    let expected = VcsFacts {
        branch: Some("trunk".to_owned()),
        origin: "git".to_owned(),
        ..VcsFacts::default()
    };
    assert_eq!(facts_of(root.path(), &Environment::of([])).await, Ok(expected));
}

#[tokio::test]
async fn a_detached_head_takes_its_branch_from_the_ci() {
    let repository = Repository::new();
    let expected = repository.expected();
    let sha = expected.sha.clone().unwrap();
    repository.git(&["checkout", "--quiet", "--detach"]);
    let environment = Environment::of([
        ("CI_COMMIT_SHA", sha.as_str()),
        ("CI_COMMIT_BRANCH", "dev"),
        ("CI_DEFAULT_BRANCH", "main"),
    ]);
    let completed = VcsFacts {
        branch: Some("dev".to_owned()),
        is_default_branch: Some(false),
        ..expected.clone()
    };
    let folder = repository.path("agent");
    assert_eq!(facts_of(&folder, &environment).await, Ok(completed));
    let alone = VcsFacts { branch: None, ..expected };
    assert_eq!(facts_of(&folder, &Environment::of([])).await, Ok(alone));
}

#[tokio::test]
async fn a_pull_request_from_a_branch_called_main_is_not_the_default_branch() {
    let repository = Repository::new();
    let sha = repository.git(&["rev-parse", "HEAD"]);
    let environment = Environment::of([
        ("GITHUB_SHA", sha.as_str()),
        ("GITHUB_REF_TYPE", "branch"),
        ("GITHUB_REF_NAME", "7/merge"),
        ("GITHUB_HEAD_REF", "main"),
    ]);
    let expected = VcsFacts { is_default_branch: Some(false), ..repository.expected() };
    assert_eq!(facts_of(&repository.path("agent"), &environment).await, Ok(expected));
}

#[tokio::test]
async fn outside_a_repository_the_reason_is_gits() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(
        facts_of(root.path(), &Environment::of([])).await,
        Err("not a git repository (or any of the parent directories): .git".to_owned())
    );
}

/// A CI often checks out as another user than it builds as.
#[tokio::test]
async fn a_checkout_that_git_refuses_is_served_by_the_ci() {
    let repository = Repository::new();
    let sha = repository.git(&["rev-parse", "HEAD"]);
    // Git's own tests make it believe that the folder is another user's in this way.
    let refused = Isolated(vec![("GIT_TEST_ASSUME_DIFFERENT_OWNER".to_owned(), "1".to_owned())]);
    let project = Project::open(repository.root.path(), None, &[]).unwrap();
    let shown = project.directory().display().to_string();
    let unknown =
        vcs_facts(&project, &Environment::of([]), &refused, &Events::none()).await.unwrap_err();
    assert_eq!(unknown.reason, format!("detected dubious ownership in repository at '{shown}'"));
    let cure = format!("git config --global --add safe.directory {shown}");
    assert_eq!(unknown.cure, Some(cure));

    let environment = Environment::of([("GITHUB_SHA", sha.as_str())]);
    let (events, receiver) = Events::channel();
    let facts = vcs_facts(&project, &environment, &refused, &events).await.unwrap();
    drop(events);
    let expected =
        VcsFacts { sha: Some(sha), origin: "GitHub Actions".to_owned(), ..VcsFacts::default() };
    assert_eq!(facts, expected);
    assert_eq!(
        receiver.iter().collect::<Vec<_>>(),
        [Event::Detail {
            text: format!(
                "GitHub Actions serves for git: detected dubious ownership in repository at \
                 '{shown}'"
            )
        }]
    );
}

/// A `pre-push` hook that runs us has these variables, about its own repository.
#[tokio::test]
async fn the_variables_of_a_hook_do_not_lead_astray() {
    let (ours, others) = (Repository::new(), Repository::new());
    others.git(&["commit", "--quiet", "--allow-empty", "--message=another"]);
    let hook = [
        ("GIT_DIR", others.path(".git")),
        ("GIT_WORK_TREE", others.path(".")),
        ("GIT_INDEX_FILE", others.path(".git/index")),
        ("GIT_LITERAL_PATHSPECS", "1".into()),
    ];
    let hook = hook.map(|(name, value)| (name.to_owned(), value.display().to_string()));
    let project = Project::open(&ours.path("agent"), None, &[]).unwrap();
    let commands = Isolated(hook.to_vec());
    let facts = vcs_facts(&project, &Environment::of([]), &commands, &Events::none()).await;
    assert_eq!(facts, Ok(ours.expected()));
}

/// The config of a cloned repository is not ours to trust.
#[tokio::test]
async fn programs_named_by_the_repository_are_not_run() {
    let repository = Repository::new();
    let (program, proof) = (repository.path("program"), repository.path("proof"));
    fs::write(&program, format!("#!/bin/sh\ntouch '{}'\n", proof.display())).unwrap();
    assert!(Process::new("chmod").arg("+x").arg(&program).status().unwrap().success());
    repository.git(&["config", "core.fsmonitor", program.to_str().unwrap()]);
    fs::create_dir_all(repository.path(".git/hooks")).unwrap();
    fs::copy(&program, repository.path(".git/hooks/post-index-change")).unwrap();
    fs::write(repository.path("agent/a"), "one").unwrap();
    repository.facts().await;
    assert!(!proof.exists());
}
