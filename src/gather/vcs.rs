//! What version control, or the CI's variables, say about the project's folder.
//!
//! Git is asked first. Where it is missing, refuses the checkout or knows no repository, the
//! variables of the CI serve. Where both know the same commit, the variables add what a checkout in
//! CI lacks: the branch of a detached HEAD, the default branch, a tag that was not fetched. A
//! variable about another commit says nothing about this folder.

mod ci;
mod source_url;

use std::path::Path;
use std::time::Duration;

use semver::Version;
use tokio::io::AsyncReadExt as _;

use self::ci::CiFacts;
use super::Project;
use crate::event::Events;
use crate::plan::{VcsFacts, VcsUnknown};
use crate::sys::Environment;
use crate::sys::command::{Command, CommandOutput, Commands};

/// Before every subcommand: no lock is taken in the user's repository, no program that its config
/// names is run to watch files, and a bare repository inside the project is not believed.
const SAFELY: [&str; 5] =
    ["--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "safe.bareRepository=explicit"];

/// Variables by which a git hook that runs us would make git answer about another repository, or
/// read our path arguments in another way.
const FORGOTTEN: [&str; 16] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE",
    "GIT_PREFIX",
    "GIT_NAMESPACE",
    "GIT_CONFIG",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
];

/// How long looking at every tracked file may take.
const STATUS_TIMEOUT: Duration = Duration::from_mins(1);

/// The most that is read of the file in which GitHub describes the event.
const MAX_EVENT_BYTES: u64 = 16 * 1024 * 1024;

/// Asks git in the project's folder, and the variables of the CI.
///
/// "Dirty" is about tracked files of the project's folder, not of the rest of the repository, and
/// never about what we write ourselves. The default branch is `origin/HEAD`'s, else the CI's; what
/// `init.defaultBranch` says of new repositories proves nothing about this one. A pull request is
/// never on the default branch, whatever its branch is called.
///
/// # Errors
/// Neither git nor a variable knows the folder.
pub async fn vcs_facts(
    project: &Project,
    environment: &Environment,
    commands: &dyn Commands,
    events: &Events,
) -> Result<VcsFacts, VcsUnknown> {
    let mut ci = ci::read(environment);
    if let Some(ci) = ci.as_mut().filter(|ci| ci.default_branch.is_none()) {
        ci.default_branch = match environment.get("GITHUB_EVENT_PATH") {
            Some(path) => event_text(Path::new(path)).await.as_deref().and_then(ci::default_branch),
            None => None,
        };
    }
    match (ask_git(project, commands, events).await, ci) {
        (Ok(mut git), ci) => {
            if let Some(ci) = ci.filter(|ci| git.sha.as_deref() == Some(ci.sha.as_str())) {
                git.complete(ci);
            }
            Ok(git.into_facts("git"))
        }
        (Err(unknown), Some(ci)) => {
            events.detail(format!("{} serves for git: {}", ci.origin, unknown.reason));
            let origin = ci.origin;
            let mut known = Known { sha: Some(ci.sha.clone()), ..Known::default() };
            known.complete(ci);
            Ok(known.into_facts(origin))
        }
        (Err(unknown), None) => Err(unknown),
    }
}

/// The facts before they are weighed.
#[derive(Debug, Default)]
struct Known {
    sha: Option<String>,
    parents: Vec<String>,
    tag: Option<String>,
    branch: Option<String>,
    default_branch: Option<String>,
    is_pull_request: bool,
    is_dirty: bool,
    source_url: Option<String>,
}

impl Known {
    fn complete(&mut self, ci: CiFacts) {
        self.tag = self.tag.take().or(ci.tag);
        self.branch = self.branch.take().or(ci.branch);
        self.default_branch = self.default_branch.take().or(ci.default_branch);
        self.source_url = self.source_url.take().or(ci.source_url);
        self.is_pull_request = ci.is_pull_request;
    }

    fn into_facts(self, origin: &str) -> VcsFacts {
        let is_default_branch = match (&self.branch, &self.default_branch) {
            _ if self.is_pull_request => Some(false),
            (Some(branch), Some(default)) => Some(branch == default),
            _ => None,
        };
        VcsFacts {
            sha: self.sha,
            parents: self.parents,
            tag: self.tag,
            branch: self.branch,
            is_default_branch,
            is_dirty: self.is_dirty,
            source_url: self.source_url,
            origin: origin.to_owned(),
            unknown: None,
        }
    }
}

async fn ask_git(
    project: &Project,
    commands: &dyn Commands,
    events: &Events,
) -> Result<Known, VcsUnknown> {
    let git = Git { project, commands };
    let inside = git.run(&["rev-parse", "--is-inside-work-tree"]).await;
    let inside =
        inside.map_err(|error| VcsUnknown { reason: format!("`git`: {error}"), cure: None })?;
    if !inside.is_success {
        return Err(VcsUnknown { reason: first_line(&inside.stderr), cure: cure(&inside.stderr) });
    }
    if inside.stdout.trim_ascii() != b"true" {
        return Err(VcsUnknown { reason: "it is in no working tree".to_owned(), cure: None });
    }
    // None of the questions waits for the answer to another: starting a program takes longer than it.
    let (sha, commit, tags, is_dirty, branch, default, url) = tokio::join!(
        git.line(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]),
        // The commit as it is stored: in a shallow clone, everything else says that it has no parents.
        git.text(&["cat-file", "commit", "HEAD"]),
        git.text(&["for-each-ref", "--points-at=HEAD", "--format=%(refname)", "refs/tags"]),
        git.is_dirty(events),
        git.line(&["symbolic-ref", "--quiet", "HEAD"]),
        git.line(&["symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"]),
        git.line(&["config", "--get", "remote.origin.url"]),
    );
    let mut known = Known { sha, ..Known::default() };
    if known.sha.is_some() {
        known.parents = parents(&commit.unwrap_or_default());
        let tags = tags.unwrap_or_default();
        known.tag = highest(tags.lines().filter_map(|line| line.strip_prefix("refs/tags/")));
        known.is_dirty = is_dirty;
    }
    let below =
        |prefix: &'static str| move |line: String| Some(line.strip_prefix(prefix)?.to_owned());
    known.branch = branch.and_then(below("refs/heads/"));
    known.default_branch = default.and_then(below("refs/remotes/origin/"));
    known.source_url = url.and_then(|url| source_url::normalise(&url));
    Ok(known)
}

struct Git<'a> {
    project: &'a Project,
    commands: &'a dyn Commands,
}

impl Git<'_> {
    async fn run(&self, arguments: &[&str]) -> std::io::Result<CommandOutput> {
        self.commands.run(&self.command(arguments)).await
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git", SAFELY);
        command.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        command.directory = Some(self.project.directory().to_path_buf());
        command.environment = FORGOTTEN.iter().map(|name| ((*name).to_owned(), None)).collect();
        command
    }

    /// What a command prints when it succeeds.
    async fn text(&self, arguments: &[&str]) -> Option<String> {
        let output = self.run(arguments).await.ok().filter(|output| output.is_success)?;
        String::from_utf8(output.stdout).ok()
    }

    /// The one line that a command prints when it succeeds.
    async fn line(&self, arguments: &[&str]) -> Option<String> {
        let text = self.text(arguments).await?;
        Some(text.trim_end().to_owned()).filter(|line| !line.is_empty())
    }

    async fn is_dirty(&self, events: &Events) -> bool {
        let untracked = ["--untracked-files=no", "--ignore-submodules=untracked"];
        let mut command = self.command(&["status", "--porcelain", untracked[0], untracked[1]]);
        command.arguments.extend(["--".to_owned(), ".".to_owned()]);
        let excluded = self.project.outputs().map(|output| format!(":(exclude,literal){output}"));
        command.arguments.extend(excluded);
        command.timeout = STATUS_TIMEOUT;
        let reason = match self.commands.run(&command).await {
            Ok(output) if output.is_success => return !output.stdout.is_empty(),
            Ok(output) => first_line(&output.stderr),
            Err(error) => error.to_string(),
        };
        events.warn(
            "dirty-unknown",
            format!("git cannot say whether tracked files were changed: {reason}"),
            None,
        );
        false
    }
}

/// The parents in a stored commit: its head is one line each, up to an empty line.
fn parents(commit: &str) -> Vec<String> {
    let head = commit.lines().take_while(|line| !line.is_empty());
    let is_id = |id: &&str| id.len() >= 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    head.filter_map(|line| line.strip_prefix("parent ")).filter(is_id).map(str::to_owned).collect()
}

/// The highest version among the tags; without any, the last by name.
fn highest<'a>(tags: impl Iterator<Item = &'a str>) -> Option<String> {
    let version = |tag: &str| Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok();
    tags.max_by_key(|tag| (version(tag), *tag)).map(str::to_owned)
}

/// The command that git proposes, on a line of its own: `git config … safe.directory …`.
fn cure(stderr: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().map(str::trim).find(|line| line.starts_with("git config "))?;
    (!line.contains(char::is_control)).then(|| line.to_owned())
}

/// What git complains about, without `fatal: `.
fn first_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("it gives no reason");
    let line = line.strip_prefix("fatal: ").unwrap_or(line);
    line.chars()
        .map(|character| if character.is_control() { '\u{fffd}' } else { character })
        .collect()
}

async fn event_text(path: &Path) -> Option<String> {
    let file = tokio::fs::File::open(path).await.ok()?;
    let mut text = String::new();
    file.take(MAX_EVENT_BYTES).read_to_string(&mut text).await.ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::command::FakeCommands;

    const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn the_highest_version_wins() {
        let table: &[(&[&str], Option<&str>)] = &[
            (&[], None),
            (&["v1.9.0", "v1.10.0", "v1.2.0"], Some("v1.10.0")),
            (&["2.0.0-rc.1", "v1.0.0"], Some("2.0.0-rc.1")),
            (&["2.0.0-rc.1", "2.0.0"], Some("2.0.0")),
            (&["zebra", "v0.1.0"], Some("v0.1.0")),
            (&["nightly", "stable"], Some("stable")),
        ];
        for (tags, expected) in table {
            assert_eq!(highest(tags.iter().copied()).as_deref(), *expected, "{tags:?}");
        }
    }

    async fn facts(
        environment: &Environment,
        commands: &FakeCommands,
    ) -> Result<VcsFacts, VcsUnknown> {
        let directory = tempfile::tempdir().unwrap();
        let project = Project::open(directory.path(), None, &[]).unwrap();
        vcs_facts(&project, environment, commands, &Events::none()).await
    }

    #[tokio::test]
    async fn without_git_the_variables_serve() {
        let environment = Environment::of([
            ("GITHUB_SHA", SHA),
            ("GITHUB_REF_TYPE", "branch"),
            ("GITHUB_REF_NAME", "main"),
        ]);
        let expected = VcsFacts {
            sha: Some(SHA.into()),
            branch: Some("main".into()),
            origin: "GitHub Actions".into(),
            ..VcsFacts::default()
        };
        assert_eq!(facts(&environment, &FakeCommands::default()).await, Ok(expected));
    }

    #[tokio::test]
    async fn without_either_the_reason_is_told() {
        let unknown = facts(&Environment::of([]), &FakeCommands::default()).await.unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "git knows nothing of this folder (`git`: entity not found), and no CI variable names \
             a commit"
        );
    }

    /// A detached HEAD, as CI leaves it: git knows the commit only.
    fn detached() -> FakeCommands {
        let safely = SAFELY.join(" ");
        let inside = format!("git {safely} rev-parse --is-inside-work-tree");
        let head = format!("git {safely} rev-parse --verify --quiet HEAD^{{commit}}");
        let status = format!(
            "git {safely} status --porcelain --untracked-files=no --ignore-submodules=untracked \
             -- . :(exclude,literal).dockless"
        );
        FakeCommands::of([
            (&inside, 0, "true\n"),
            (&head, 0, &format!("{SHA}\n")),
            (&status, 0, ""),
        ])
    }

    #[tokio::test]
    async fn the_variables_complete_a_detached_head() {
        let environment = Environment::of([
            ("CI_COMMIT_SHA", SHA),
            ("CI_COMMIT_BRANCH", "main"),
            ("CI_DEFAULT_BRANCH", "main"),
            ("CI_PROJECT_URL", "https://gitlab.example/group/agent"),
        ]);
        let expected = VcsFacts {
            sha: Some(SHA.into()),
            branch: Some("main".into()),
            is_default_branch: Some(true),
            source_url: Some("https://gitlab.example/group/agent".into()),
            origin: "git".into(),
            ..VcsFacts::default()
        };
        assert_eq!(facts(&environment, &detached()).await, Ok(expected));
    }

    #[tokio::test]
    async fn variables_about_another_commit_say_nothing() {
        let other = SHA.replace('0', "f");
        let environment = Environment::of([
            ("CI_COMMIT_SHA", other.as_str()),
            ("CI_COMMIT_BRANCH", "main"),
            ("CI_COMMIT_TAG", "v1.0.0"),
        ]);
        let expected =
            VcsFacts { sha: Some(SHA.into()), origin: "git".into(), ..VcsFacts::default() };
        assert_eq!(facts(&environment, &detached()).await, Ok(expected));
    }

    #[tokio::test]
    async fn the_event_file_tells_the_default_branch() {
        let directory = tempfile::tempdir().unwrap();
        let event = directory.path().join("event.json");
        std::fs::write(&event, r#"{"repository": {"default_branch": "trunk"}}"#).unwrap();
        for (branch, is_default_branch) in [("trunk", true), ("main", false)] {
            let environment = Environment::of([
                ("GITHUB_SHA", SHA),
                ("GITHUB_REF_TYPE", "branch"),
                ("GITHUB_REF_NAME", branch),
                ("GITHUB_EVENT_PATH", event.to_str().unwrap()),
            ]);
            let facts = facts(&environment, &FakeCommands::default()).await.unwrap();
            assert_eq!(facts.is_default_branch, Some(is_default_branch));
        }
    }
}
