//! `dockless lock`: config → images, as they are locked or else as registries have them → plan → what it asked of
//! them, in `dockless.lock`.

use std::io;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::base_files::{self, Bases};
use super::gathering::Gathering;
use super::project::Project;
use super::{Context, ProjectRequest};
use super::{client, planning, project, runtime};
use crate::error::{Attempting as _, Classified, ErrorKind, Result};
use crate::gather::{LockUse, Pins, read_lock};
use crate::oci::{Digest, Reference};
use crate::plan::{LOCK_FILE, Lock, LockError, LockedImage, LockedPlatform, Plan};
use crate::sys::{atomic_file, blocking};

/// `dockless lock`.
#[derive(Debug, Clone, Default)]
pub struct LockRequest {
    /// The project.
    pub project: ProjectRequest,
    /// Whether to take what the tags point at now, instead of what is locked.
    pub is_upgrade: bool,
    /// Whether to tell only what would change.
    pub is_check: bool,
}

/// What is locked now, or would be.
#[derive(Debug, Clone, PartialEq)]
pub struct LockReport {
    file: PathBuf,
    lock: Lock,
    /// What was locked before, as far as it could be read.
    before: Lock,
    /// Whether the file is, or would be, another one.
    is_changed: bool,
    is_upgrade: bool,
    is_check: bool,
}

/// The file is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is not up to date", file.display())]
struct OutOfDate {
    file: PathBuf,
    is_upgrade: bool,
}

impl Classified for OutOfDate {
    fn kind(&self) -> ErrorKind {
        ErrorKind::No
    }

    fn hints(&self) -> Vec<String> {
        let command = if self.is_upgrade { "dockless lock --upgrade" } else { "dockless lock" };
        vec![format!("`{command}` writes it")]
    }
}

/// The file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`", file.display())]
struct Unwritable {
    file: PathBuf,
    source: io::Error,
}

impl Classified for Unwritable {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Failed
    }
}

/// What stands in the file so far.
struct Before {
    text: Option<String>,
    lock: Lock,
}

/// Writes down what the images of a project are: those that are locked stay, unless it `is_upgrade`.
///
/// # Errors
/// What is locked cannot be read or completed, the project cannot be planned, or the file cannot be written. That `is_check` finds a change is in the
/// report.
pub fn lock(request: &LockRequest, context: &Context) -> Result<LockReport> {
    let LockRequest { project: request, is_upgrade, is_check } = request;
    let mut project = project::load_to_pin(request, context)?;
    let file = project.config.source.directory.join(LOCK_FILE);
    let client = client::client_for_pulls(context, &request.network, &project.config.publish)?;
    runtime::run(context, request.network.timeout, async {
        let before = read(&project, *is_upgrade, context).await?;
        if *is_upgrade {
            add_locked_platforms(&mut project, &before.lock);
        }
        let store = context.store()?;
        let outputs = [store.root().to_owned()];
        let tools = (client, store);
        let gathering = Gathering::open(&project, &outputs, false, tools, context).await?;
        let lock_use = if *is_upgrade { LockUse::Renewed } else { LockUse::Completed };
        let pins = Pins::of(before.lock.clone(), lock_use);
        let gathering = gathering.with_pins(pins).without_vcs();
        let plan = Box::pin(plan(&project, &gathering)).await?;
        let mut lock = locked(&plan, &project, &gathering);
        // What was said on the command line is a part of what is built from the project.
        if request.file.is_some() || request.base.is_some() || !request.platforms.is_empty() {
            keep(&mut lock, &before.lock);
        }
        let text = lock.to_text();
        // What is written is read again: by the next build.
        Lock::parse(&text)?;
        let is_known = |known: &String| known.replace("\r\n", "\n") == text;
        let is_changed = !before.text.as_ref().is_some_and(is_known);
        let is_idle = lock.images.is_empty() && before.text.is_none();
        let report = LockReport {
            file: file.clone(),
            lock,
            before: before.lock,
            is_changed: is_changed && !is_idle,
            is_upgrade: *is_upgrade,
            is_check: *is_check,
        };
        report.tell(context);
        if report.is_changed && !is_check {
            let write = move || {
                let written = atomic_file::write_in_place_of(&file, text.as_bytes());
                written.map_err(|error| (file, error))
            };
            blocking(write).await.map_err(|(file, source)| Unwritable { file, source })?;
        }
        Ok(report)
    })
}

/// What stands in the file. One that is damaged is replaced by an upgrade; one of a later version is not.
async fn read(project: &Project, is_upgrade: bool, context: &Context) -> Result<Before> {
    let directory = project.config.source.directory.clone();
    let text = blocking(move || read_lock(&directory)).await?;
    let lock = match text.as_deref().map(Lock::parse) {
        None => Lock::default(),
        Some(Ok(lock)) => lock,
        Some(Err(error)) if is_upgrade && !matches!(error, LockError::Newer { .. }) => {
            context.events.note(format!("{error}; nothing of it is used"));
            Lock::default()
        }
        Some(Err(error)) => return Err(error).attempting(|| "keep the images as they are locked"),
    };
    Ok(Before { text, lock })
}

/// An image that moves does so for every platform that it is locked for.
fn add_locked_platforms(project: &mut Project, before: &Lock) {
    let names = project.image_names();
    let locked = names.iter().filter_map(|name| before.images.get(name));
    for platform in locked.flat_map(|image| image.platforms.keys()) {
        if !project.config.platforms.contains(platform) {
            project.config.platforms.push(platform.clone());
        }
    }
}

/// The plan, which asks of the bases what has to be locked.
async fn plan(project: &Project, gathering: &Gathering<'_>) -> Result<Plan> {
    let bases = async {
        let mut bases: Bases = gathering.bases(project).await?;
        if base_files::recall(&mut bases, project, gathering, None).await? {
            base_files::read_unknown(&mut bases, gathering).await?;
        }
        Ok(bases)
    };
    let (files, bases) = Box::pin(planning::both(gathering.files(project), bases)).await?;
    planning::plan(project, files, bases, gathering).await
}

/// The images that were asked for, with what the plan asked of the bases among them.
fn locked(plan: &Plan, project: &Project, gathering: &Gathering<'_>) -> Lock {
    let mut lock = gathering.pins.resolved();
    if project.sources.is_empty() {
        return lock;
    }
    for base in plan.images.iter().map(|image| &image.base).filter(|base| !base.layers.is_empty()) {
        let platforms = lock.images.values_mut().flat_map(|image| image.platforms.values_mut());
        let is_base = |locked: &&mut LockedPlatform| {
            base.manifest.as_ref().is_some_and(|it| it.descriptor == locked.manifest.descriptor)
        };
        for locked in platforms.filter(is_base) {
            locked.facts = Some(base.root.excerpt());
        }
    }
    lock
}

/// Keeps the images, and the platforms of those that did not move, that were not asked for now.
fn keep(lock: &mut Lock, before: &Lock) {
    for (name, image) in &before.images {
        let LockedImage { digest, platforms, .. } = image;
        match lock.images.get_mut(name) {
            None => {
                lock.images.insert(name.clone(), image.clone());
            }
            Some(locked) if locked.digest == *digest => {
                for (platform, known) in platforms {
                    locked.platforms.entry(platform.clone()).or_insert_with(|| known.clone());
                }
            }
            Some(_) => {}
        }
    }
}

impl LockReport {
    /// What changed, for people.
    fn tell(&self, context: &Context) {
        let events = &context.events;
        for (name, LockedImage { digest, .. }) in &self.lock.images {
            match self.before(name) {
                None => events.note(format!("{name} is {digest}")),
                Some(before) if before != *digest => {
                    events.note(format!("{name} moved from {before} to {digest}"));
                }
                Some(_) => {}
            }
        }
        for (name, before) in &self.before.images {
            let Some(image) = self.lock.images.get(name) else {
                events.note(format!("{name} is not needed any more"));
                continue;
            };
            for platform in before.platforms.keys().filter(|it| !image.platforms.contains_key(it)) {
                events.note(format!("{name} is not needed for {platform} any more"));
            }
        }
        let file = self.file.display();
        events.note(match (self.is_changed, self.is_check) {
            (true, true) => format!("{file} would change"),
            (true, false) => format!("writing {file}"),
            (false, _) if self.lock.images.is_empty() => {
                "there is nothing to lock: the base is in no registry".to_owned()
            }
            (false, _) => format!("{file} is up to date"),
        });
    }

    fn before(&self, name: &Reference) -> Option<Digest> {
        self.before.images.get(name).map(|image| image.digest)
    }

    /// The images by their digests.
    pub fn lines(&self) -> Vec<String> {
        let images = self.lock.images.iter();
        images.map(|(name, image)| at(name, image.digest).to_string()).collect()
    }

    /// The result as one JSON document.
    pub fn document(&self) -> Value {
        let image = |(name, image): (&Reference, &LockedImage)| {
            let platforms = image.platforms.iter().map(|(platform, locked)| {
                (platform.to_string(), json!(locked.manifest.descriptor.digest))
            });
            json!({
                "name": name.to_string(),
                "digest": image.digest,
                "media_type": image.media_type,
                "previous_digest": self.before(name),
                "platforms": platforms.collect::<serde_json::Map<_, _>>(),
            })
        };
        json!({
            "file": self.file,
            "is_changed": self.is_changed,
            "images": self.lock.images.iter().map(image).collect::<Vec<_>>(),
        })
    }

    /// Whether a check finds the file as it should be.
    ///
    /// # Errors
    /// It does not.
    pub fn into_result(self) -> Result<()> {
        let Self { file, is_changed, is_upgrade, is_check, .. } = self;
        if is_changed && is_check { Err(OutOfDate { file, is_upgrade }.into()) } else { Ok(()) }
    }
}

/// An image of this name at a digest.
pub(super) fn at(name: &Reference, digest: Digest) -> Reference {
    Reference { digest: Some(digest), ..name.clone() }
}
