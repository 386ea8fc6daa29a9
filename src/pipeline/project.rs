//! Loads the project's config, puts the command line on top, and reads its layers: every problem of
//! the config is reported here, all at once.

use std::path::PathBuf;

use super::{Context, ProjectRequest};
use crate::config::{
    self, Base, Config, LoadError, Loaded, Problem, Problems, Setting, TemplateError,
};
use crate::error::{Attempting as _, Classified, Error, ErrorKind, Result};
use crate::gather::{FilesError, LockUse, Pins};
use crate::oci::Reference;
use crate::plan::secrets::Guard;
use crate::plan::{self, LayerSource, Need, PlanError, locked_name};
use crate::sys::blocking;

/// A project that is understood.
#[derive(Debug)]
pub(super) struct Project {
    /// Its config, with the command line on top.
    pub(super) config: Config,
    /// Its layers.
    pub(super) sources: Vec<Box<dyn LayerSource>>,
    /// What of it may not be in an image.
    pub(super) guard: Guard,
    /// The texts of its files, to show the lines that later stages refuse.
    texts: Problems,
}

impl Project {
    /// What its `dockless.lock` says, or that there is none; where it `is_required`, nothing else counts.
    pub(super) async fn pins(&self, is_required: bool) -> Result<Pins> {
        let directory = self.config.source.directory.clone();
        let lock_use = if is_required { LockUse::Required } else { LockUse::Preferred };
        blocking(move || Pins::load(&directory, lock_use)).await
    }

    /// The files that the config was read from, as they were asked for.
    pub(super) fn read_files(&self) -> impl Iterator<Item = &str> {
        self.texts.files().map(|(file, _)| file)
    }

    /// The images of registries that it is made of, as they are locked: the base first, each once.
    pub(super) fn image_names(&self) -> Vec<Reference> {
        let needs = plan::needs(&self.sources);
        let others = needs.iter().filter_map(|need| match need {
            Need::Image(need) => Some(&need.image),
            _ => None,
        });
        let mut names = Vec::new();
        for image in [&self.config.base].into_iter().chain(others) {
            if let Base::Registry(name) = image
                && let name = locked_name(name)
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        names
    }

    /// The files of the config, by their names alone, with their texts.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.files().map(|(file, text)| (file.rsplit('/').next().unwrap_or(file), text))
    }

    /// An error of a later stage in the form of a problem of the config, where it has a place in it.
    pub(super) fn locate(&self, error: Error) -> Error {
        let mut problems = self.texts.clone();
        if let Some(files) = error.downcast_ref::<FilesError>()
            && error.kind() == ErrorKind::Usage
        {
            files.report(&mut problems);
        } else if let Some(PlanError { position, message, hint }) = error.downcast_ref() {
            let (position, message, hint) = (position.clone(), message.clone(), hint.clone());
            problems.extend(vec![Problem { position, message, hint }]);
        } else if let Some(TemplateError { position, message, hint }) = error.downcast_ref() {
            problems.report_with_hint(position, message, hint);
        } else if let Some(found) = error.downcast_ref::<Problems>() {
            problems.extend(found.list());
        } else {
            return error;
        }
        problems.into()
    }
}

/// The folder is an image.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is no project but an OCI layout: an image that is built already", path.display())]
struct IsLayout {
    path: PathBuf,
}

impl Classified for IsLayout {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        let path = self.path.display();
        vec![format!("did you mean `oci:{path}`? `dockless push oci:{path}` pushes it")]
    }
}

/// Says of a folder without a config when it is a layout.
fn explain(error: Error) -> Error {
    match error.downcast_ref() {
        Some(LoadError::NoConfig { directory, .. }) if directory.join("oci-layout").is_file() => {
            IsLayout { path: directory.clone() }.into()
        }
        _ => error,
    }
}

/// Reads the project that was asked for, and says what its containers have to be given.
pub(super) fn load(request: &ProjectRequest, context: &Context) -> Result<Project> {
    let project = load_to_pin(request, context)?;
    let required = &project.config.required_at_run_time;
    if !required.is_empty() {
        context.events.note(format!("required at run time: {}", required.join(", ")));
    }
    Ok(project)
}

/// Reads the project that was asked for, where nothing matters but the images that it is made of.
pub(super) fn load_to_pin(request: &ProjectRequest, context: &Context) -> Result<Project> {
    let events = &context.events;
    let base = request.base.as_deref().map(|text| parse_base(text, context)).transpose()?;
    let Loaded { mut config, mut problems } =
        config::load(&request.path, request.file.as_deref(), base.as_ref()).map_err(explain)?;
    if !request.platforms.is_empty() {
        config.platforms.clone_from(&request.platforms);
        config.platforms.dedup();
    }
    config.compression = request.compression.unwrap_or(config.compression);
    for (setting, given, texts) in [
        (Setting::Label, &request.labels, &mut config.labels),
        (Setting::Annotation, &request.annotations, &mut config.annotations),
    ] {
        for (name, value) in given {
            config.secrets.places.remove(&(setting, name.clone()));
            texts.insert(name.clone(), value.clone());
        }
    }
    let sources = plan::sources(&config, &mut problems);
    let guard = Guard::read(&config, &mut problems);
    let texts = problems.texts();
    problems.into_result().attempting(|| format!("read `{}`", config.source.file.display()))?;
    events.note(format!(
        "using {} ({} format)",
        config.source.file.display(),
        config.source.format
    ));
    let unknown = config.unknown_keys.iter().map(|problem| ("unknown-key", problem));
    let left_out = config.left_out.iter().map(|problem| ("left-out", problem));
    for (code, Problem { position, message, hint }) in unknown.chain(left_out) {
        events.warn(code, format!("{position}: {message}"), hint.clone());
    }
    Ok(Project { config, sources, guard, texts })
}

/// A layout given on the command line is relative to the folder the command runs in, one in the
/// config to the project's.
fn parse_base(text: &str, context: &Context) -> Result<Base> {
    let name = context.option_names.variable("--base").unwrap_or("--base");
    let base: Base = text.parse::<Base>().attempting(|| format!("read `{name}`"))?;
    Ok(match base {
        Base::Layout { path, selector } => {
            let absolute = std::path::absolute(&path)
                .ok()
                .and_then(|absolute| absolute.into_os_string().into_string().ok());
            Base::Layout { path: absolute.unwrap_or(path), selector }
        }
        other => other,
    })
}
