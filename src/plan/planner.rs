//! From the config's layers to what they need, and from what was gathered to the plan.

use super::labels::{annotations, labels};
use super::layer_kinds::LAYER_KINDS;
use super::split::{BUDGET, WholeLayer, split};
use super::{
    BaseImage, ImagePlan, ImageSettings, Inputs, LayerPlan, LayerSource, Need, Plan, PlanError,
    RootTree, builtin_base, requirements, start,
};
use crate::config::near_names::hint_for;
use crate::config::schema::check;
use crate::config::{Base, Config, LayerSpec, Position, Problem, Problems};
use crate::oci::Platform;

/// The most layers an image may have: overlay file systems take no more.
pub const MAX_LAYERS: usize = 127;

/// Reads the entries of `layers:` and reports everything that is wrong with them. The sources stand
/// in the order of the config; when there are problems, some are missing.
pub fn sources(config: &Config, problems: &mut Problems) -> Vec<Box<dyn LayerSource>> {
    config.layers.iter().filter_map(|spec| source(spec, config, problems)).collect()
}

fn source(
    spec: &LayerSpec,
    config: &Config,
    problems: &mut Problems,
) -> Option<Box<dyn LayerSource>> {
    let Some(kind) = LAYER_KINDS.iter().find(|kind| kind.name == spec.kind) else {
        let names: Vec<_> = LAYER_KINDS.iter().map(|kind| kind.name).collect();
        problems.report_with_hint(
            &spec.kind_position,
            format!("there is no layer kind `{}`", spec.kind.escape_debug()),
            hint_for(&spec.kind, &names),
        );
        return None;
    };
    let mut misfits = Problems::new();
    check(&spec.settings, kind.shape, &mut misfits);
    // Read in any case, for what is wrong with the values of members that do fit.
    let mut faults = Problems::new();
    let source = (kind.parse)(&spec.settings, config, &mut faults);
    if misfits.is_empty() {
        problems.extend(faults.list());
        return source;
    }
    let misfits = misfits.list();
    // What is said of a mapping with a misfit, or of the whole layer, only follows from the misfit.
    let follows = |fault: &Problem| {
        fault.position == spec.settings.position
            || misfits.iter().any(|misfit| misfit.position == fault.position)
    };
    let faults = faults.list().into_iter().filter(|fault| !follows(fault));
    problems.extend(faults.chain(misfits.iter().cloned()).collect());
    None
}

/// Everything that must be gathered for these sources, each once, in their order.
pub fn needs(sources: &[Box<dyn LayerSource>]) -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::new();
    for need in sources.iter().flat_map(|source| source.needs()) {
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
    needs
}

/// What a person should know about the layers: code, text, hint.
pub fn warnings(
    sources: &[Box<dyn LayerSource>],
    inputs: &Inputs,
) -> Vec<(&'static str, String, Option<String>)> {
    let mut warnings = Vec::new();
    for warning in sources.iter().flat_map(|source| source.warnings(inputs)) {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    // What an embedded base brings is in its file system.
    let is_nothing = |base: &BaseImage| base.layers.is_empty() && base.root == RootTree::default();
    if sources.is_empty() && !inputs.bases.is_empty() && inputs.bases.values().all(is_nothing) {
        warnings.push((
            "empty-image",
            "the image is empty: its base has no files, and there are no `layers`".to_owned(),
            Some("add `layers: [{kind: files, copy: [{src: …, dest: …}]}]`".to_owned()),
        ));
    }
    warnings
}

/// Plans one image per platform. `sources` are those of [`sources`], without problems.
///
/// A layer that adds nothing is left out: its source has warned of it. A large one becomes several
/// (see `split.rs`).
///
/// # Errors
/// When a source refuses what was gathered, when a layer contradicts itself or the base, when a program
/// is nowhere that the image must have, when there are more than [`MAX_LAYERS`] layers, or when
/// `SOURCE_DATE_EPOCH` is no point in time.
pub fn plan(
    config: &Config,
    sources: &[Box<dyn LayerSource>],
    inputs: &Inputs,
) -> Result<Plan, PlanError> {
    let created = created(config, inputs)?;
    let image = |platform: &Platform| {
        let base = inputs.bases.get(platform).ok_or_else(|| {
            whole_file(config, format!("there is no base for the platform `{platform}`"), None)
        })?;
        let layers = layers(config, sources, inputs, platform, base)?;
        requirements::check(config, base, &layers)?;
        // What warnings ask of the base is told with the image, too: so it is asked before that is written.
        let _ = start::image_warnings(base, &layers, &config.run);
        let _ = requirements::image_warnings(config, platform, base, &layers);
        Ok(ImagePlan {
            platform: platform.clone(),
            base: base.clone(),
            layers,
            settings: ImageSettings {
                run: config.run.clone(),
                labels: labels(config, inputs, &created),
                annotations: annotations(config, base),
                created: created.clone(),
            },
        })
    };
    let images = config.platforms.iter().map(image).collect::<Result<_, _>>()?;
    Ok(Plan { name: config.name.clone(), compression: config.compression, images })
}

fn layers(
    config: &Config,
    sources: &[Box<dyn LayerSource>],
    inputs: &Inputs,
    platform: &Platform,
    base: &BaseImage,
) -> Result<Vec<LayerPlan>, PlanError> {
    let mut root = base.root.clone();
    // An embedded base is made of layers like ours: they are packed with them.
    let mut layers = match &config.base {
        Base::Builtin(name) => builtin_base(name).map(|base| base.layers).unwrap_or_default(),
        _ => Vec::new(),
    };
    let mut wholes: Vec<WholeLayer> = Vec::new();
    let mut laid = 0;
    for (spec, source) in config.layers.iter().zip(sources) {
        // Nothing asks what lies on the uppermost.
        for lower in &wholes[laid..] {
            root.lay(&lower.entries);
        }
        laid = wholes.len();
        let drafts = source.content(inputs, platform)?;
        let entries = root.ground(drafts, config.mtime).map_err(|error| PlanError {
            position: spec.settings.position.clone(),
            hint: error.hint(),
            message: error.to_string(),
        })?;
        if !entries.is_empty() {
            let (name, is_split) = (source.describe(), source.is_split());
            let provenance = source.provenance(inputs, platform);
            wholes.push(WholeLayer { name, provenance, entries, is_split });
        }
    }
    let room = BUDGET.min(MAX_LAYERS.saturating_sub(base.layers.len()));
    layers.extend(split(wholes, room.saturating_sub(layers.len())));
    let total = base.layers.len() + layers.len();
    if total > MAX_LAYERS {
        let message = format!(
            "the image would have {total} layers, {} of them from the base: no more than \
             {MAX_LAYERS} can be mounted",
            base.layers.len()
        );
        let hint = "join entries of `layers:`: one `files` layer takes many items in `copy`";
        return Err(whole_file(config, message, Some(hint)));
    }
    Ok(layers)
}

/// When the image was made: `SOURCE_DATE_EPOCH`, else 1970, so that equal inputs give equal digests.
fn created(config: &Config, inputs: &Inputs) -> Result<String, PlanError> {
    let seconds = inputs.source_date_epoch.unwrap_or(0);
    let time = jiff::Timestamp::from_second(seconds).map_err(|_| {
        let message = format!("SOURCE_DATE_EPOCH is no point in time: {seconds}");
        whole_file(config, message, Some("it is a number of seconds since 1970"))
    })?;
    Ok(time.to_string())
}

fn whole_file(config: &Config, message: String, hint: Option<&str>) -> PlanError {
    let file = config.source.file.display().to_string().into();
    PlanError {
        position: Position { file, line: 0, column: 0 },
        message,
        hint: hint.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests;
