//! One run of the flow: config → inputs → plan → layers → image → destinations.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future;
use tokio::sync::oneshot;

use super::ahead::Ahead;
use super::base_files::{self, Bases};
use super::build_record::{Build, BuildRecord};
use super::destinations::{Destinations, Opened};
use super::earlier::{self, EarlierImages};
use super::gathering::{Files, Gathering, source_date_epoch};
use super::layers::Layers;
use super::made_layers::{self, LayerOrigin};
use super::produce::{self, Production};
use super::project::Project;
use super::tags::{self, TagArguments, Tags};
use super::{
    Context, Credentials, PlanSummary, Produced, ProducedImage, ProjectRequest, RecordFiles,
};
use super::{client, guard, planning, precious, repositories};
use crate::deploy::Manifest;
use crate::error::Result;
use crate::image::{Assembly, Image};
use crate::oci::{Reference, Repository};
use crate::plan::secrets::Exception;
use crate::plan::{Plan, PlanError, VcsFacts};
use crate::publish::{ExistingTag, Output, PublishContext, Published, Whereabouts};

/// One run of the flow for a project, wherever the image goes.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) request: &'a ProjectRequest,
    pub(super) credentials: Option<&'a Credentials>,
    pub(super) records: &'a RecordFiles,
    pub(super) existing_tag: ExistingTag,
    pub(super) project: Project,
    pub(super) arguments: TagArguments,
    pub(super) destinations: Destinations,
    /// Whether the image needs a name even where nothing is pushed.
    pub(super) is_named: bool,
    /// Whether this is for the digest alone, and the push that it stands for must have its tags.
    pub(super) is_rehearsal: bool,
}

/// What is known of a run before anything is made.
struct Prospect {
    plan: Plan,
    exceptions: Vec<Exception>,
    tags: Tags,
    opened: Opened,
    layers: Arc<Layers>,
    ahead: Ahead,
    whereabouts: Whereabouts,
}

/// What was found while files were listed.
struct Found {
    bases: Bases,
    tags: Result<Tags>,
    opened: Opened,
    layers: Arc<Layers>,
    whereabouts: Whereabouts,
}

/// Bases that are about to be read, and where layers on them would come from.
struct Unread {
    bases: Bases,
    layers: Arc<Layers>,
}

impl Run<'_> {
    /// The flow: gathered and planned, then made and published.
    pub(super) async fn produce(&self, context: &Context) -> Result<Produced> {
        let config = &self.project.config;
        self.destinations.check(&config.platforms, config.compression)?;
        self.records.check()?;
        precious::check(self.destinations.paths().chain(self.records.paths()), &self.project)?;
        let gathering = self.begin(context).await?;
        let Prospect { plan, exceptions, tags, opened, layers, ahead, whereabouts } =
            self.plan(&gathering).await?;
        if self.request.is_dry_run {
            self.destinations.note_unasked(&context.events);
            if self.destinations.is_empty() && self.arguments.tags.is_empty() {
                tags::note_impossible(&config.publish.tags, gathering.vcs().await, context);
            }
            let described = self.destinations.describe(&tags);
            let earlier = self.earlier_places(&tags, &gathering).await?;
            return Ok(Produced::Planned(Box::new(PlanSummary::new(&plan, described, earlier))));
        }
        let has_created = self.create_repositories(&opened, context).await?;
        let proved = opened.prove().await;
        let open = proved.map_err(|error| if has_created { error.late() } else { error })?;
        let origins = layers.origins();
        let production = Production {
            plan: &plan,
            layers,
            ahead,
            store: &gathering.store,
            destinations: &open,
            context,
        };
        let (assembly, published) = produce::produce(production).await?;
        let image = ProducedImage {
            has_repositories: !config.publish.repositories.is_empty(),
            layers: made_layers::list(&assembly, |image, place, layer| {
                let plan = plan.images.iter().find(|plan| plan.platform == image.platform);
                let is_base = plan.is_some_and(|plan| place < plan.base.layers.len());
                if is_base { LayerOrigin::Base } else { origins.of(layer) }
            }),
            uploaded_bytes: whereabouts.uploaded_bytes(),
            record: Some(self.record(&plan, &exceptions, &gathering).await?),
            ..produced_image(&config.name, &assembly, published)
        };
        Ok(Produced::Image(Box::new(image)))
    }

    /// Creates repositories that are missing, unless it is clear that nothing will come of the push.
    async fn create_repositories(&self, opened: &Opened, context: &Context) -> Result<bool> {
        if opened.has_refusals() {
            return Ok(false);
        }
        let wanted = self.project.config.publish.new_repository.as_ref();
        let references = self.destinations.references();
        repositories::create_missing(wanted, references, &self.request.network, context).await
    }

    /// What is recorded of the build beside the image.
    async fn record(
        &self,
        plan: &Plan,
        exceptions: &[Exception],
        gathering: &Gathering<'_>,
    ) -> Result<BuildRecord> {
        Ok(BuildRecord::new(&Build {
            project: &self.project,
            request: self.request,
            plan,
            vcs: gathering.vcs().await,
            source_date_epoch: source_date_epoch(gathering.context)?,
            digests: &gathering.digests,
            exceptions,
            outputs: gathering.folder.places_of(self.outputs()),
        }))
    }

    /// What this run writes for its user.
    fn outputs(&self) -> impl Iterator<Item = &PathBuf> {
        self.destinations.paths().chain(self.records.paths())
    }

    /// What gathering needs: a client, the cache, the project's folder, and what git says of it.
    async fn begin<'a>(&self, context: &'a Context) -> Result<Gathering<'a>> {
        let purpose = client::Purpose {
            network: &self.request.network,
            hosts: &self.destinations.hosts(),
            credentials: self.credentials,
            publish: Some(&self.project.config.publish),
        };
        let client = client::client(context, &purpose)?;
        let store = context.store()?;
        let outputs = self.outputs().cloned();
        // A cache inside the project, as some CI systems want it, is no part of the project either.
        let outputs: Vec<PathBuf> = outputs.chain([store.root().to_owned()]).collect();
        let is_anew = self.request.is_anew;
        let pins = self.project.pins(self.request.is_locked).await?;
        let tools = (client, store);
        let gathering = Gathering::open(&self.project, &outputs, is_anew, tools, context).await?;
        Ok(gathering.with_pins(pins))
    }

    /// The plan. Files are listed while git, the bases' registries and the destinations answer.
    async fn plan(&self, gathering: &Gathering<'_>) -> Result<Prospect> {
        let named = earlier::named(&self.request.cache_from, &gathering.context.option_names)?;
        let (unread, waiting) = oneshot::channel();
        let (listing, looking) =
            (self.list(waiting, gathering), self.look(named, unread, gathering));
        let ((files, ahead), found) = Box::pin(planning::both(listing, looking)).await?;
        let Found { bases, tags, opened, layers, whereabouts } = found;
        let plan = planning::plan(&self.project, files, bases, gathering).await?;
        let (plan, exceptions) = guard::check(plan, &self.project, gathering).await?;
        Ok(Prospect { plan, exceptions, tags: tags?, opened, layers, ahead, whereabouts })
    }

    /// Lists the files. When a base has yet to be read then, what can be guessed is packed meanwhile.
    async fn list(
        &self,
        waiting: oneshot::Receiver<Unread>,
        gathering: &Gathering<'_>,
    ) -> Result<(Files, Ahead)> {
        let files = gathering.files(&self.project).await?;
        let files = guard::read_ahead(files, &self.project, gathering).await?;
        // Nobody sends anything where nothing has to be read.
        let Ok(Unread { bases, layers }) = waiting.await else {
            return Ok((files, Ahead::default()));
        };
        let (guess, files) = planning::guess(&self.project, files, bases, gathering).await?;
        let guess = match guess {
            Some(guess) => guard::pass(guess, &self.project, gathering).await,
            None => None,
        };
        Ok((files, guess.map(|guess| Ahead::begin(guess, layers)).unwrap_or_default()))
    }

    /// Looks at the bases and, once git has answered, at the destinations.
    async fn look(
        &self,
        named: Vec<Reference>,
        unread: oneshot::Sender<Unread>,
        gathering: &Gathering<'_>,
    ) -> Result<Found> {
        let opening = async {
            let vcs = gathering.vcs().await;
            let tags =
                self.tags(vcs, gathering.context).map_err(|error| self.project.locate(error));
            let publish_context = self.publish_context(vcs, gathering);
            let opened = match &tags {
                Ok(tags) if !self.request.is_dry_run => {
                    self.destinations.open(tags, &publish_context).await
                }
                _ => Opened::default(),
            };
            (tags, opened, publish_context.whereabouts)
        };
        let (bases, (tags, opened, whereabouts)) =
            future::join(gathering.bases(&self.project), opening).await;
        let mut bases = bases?;
        let compression = self.project.config.compression;
        let earlier = (!self.request.is_anew).then(|| {
            Arc::new(EarlierImages::new(named, opened.sessions(), compression, gathering))
        });
        let is_unknown =
            base_files::recall(&mut bases, &self.project, gathering, earlier.as_deref()).await?;
        let layers = Layers::open(compression, gathering, opened.has_copies(), earlier);
        let layers = Arc::new(layers);
        if is_unknown {
            // Where it is clear that nothing will come of it, nothing is packed.
            if tags.is_ok() && !opened.has_refusals() && !self.request.is_dry_run {
                // It fails when listing has.
                let _ = unread.send(Unread { bases: bases.clone(), layers: layers.clone() });
            }
            base_files::read_unknown(&mut bases, gathering).await?;
        }
        Ok(Found { bases, tags, opened, layers, whereabouts })
    }

    /// Where earlier images would be looked for, in this order.
    async fn earlier_places(
        &self,
        tags: &Tags,
        gathering: &Gathering<'_>,
    ) -> Result<Vec<Reference>> {
        let context = gathering.context;
        if self.request.is_anew {
            return Ok(Vec::new());
        }
        let vcs = gathering.vcs().await;
        let earlier_tags = earlier::earlier_tags(vcs, &|at| self.tags_at(at, context));
        let mut places = earlier::named(&self.request.cache_from, &context.option_names)?;
        places.extend(self.destinations.earlier(tags, &earlier_tags));
        Ok(places)
    }

    fn publish_context(&self, vcs: Option<&VcsFacts>, gathering: &Gathering<'_>) -> PublishContext {
        let Gathering { context, client, store, .. } = gathering;
        let earlier_tags = || earlier::earlier_tags(vcs, &|at| self.tags_at(at, context));
        PublishContext {
            store: store.clone(),
            client: client.clone(),
            events: context.events.clone(),
            name: self.image_name(),
            stdout: Output::new(std::io::stdout()),
            whereabouts: Whereabouts::default(),
            existing_tag: self.existing_tag,
            takes_tags_word: !self.request.is_anew,
            earlier_tags: (!self.request.is_anew).then(earlier_tags),
        }
    }

    /// The tags of `-t`, and those for destinations without any.
    fn tags(&self, vcs: Option<&VcsFacts>, context: &Context) -> Result<Tags> {
        let given = tags::resolve(&self.arguments.tags, vcs, context)?;
        let fallback =
            if given.is_empty() { self.fallback_tags(vcs, context)? } else { Vec::new() };
        Ok(Tags { given, fallback })
    }

    fn fallback_tags(&self, vcs: Option<&VcsFacts>, context: &Context) -> Result<Vec<String>> {
        let named = self.arguments.references.first().and_then(|reference| reference.tag.clone());
        if self.is_rehearsal && self.arguments.references.is_empty() {
            return tags::of_config(&self.project.config, vcs, context);
        }
        if self.destinations.is_empty() || !self.arguments.references.is_empty() {
            return Ok(named.into_iter().collect());
        }
        let is_local = self.destinations.references().next().is_none() && !self.is_named;
        let is_commit_known = vcs.is_some_and(|facts| facts.sha.is_some());
        let tags = match tags::of_config(&self.project.config, vcs, context) {
            // A layout or an archive needs no tag.
            Err(error)
                if is_local && !is_commit_known && error.downcast_ref::<PlanError>().is_some() =>
            {
                tags::note_impossible(&self.project.config.publish.tags, vcs, context);
                self.tags_at(&vcs.cloned().unwrap_or_default(), context)
            }
            tags => tags?,
        };
        let needs_name = self.is_named && tags.is_empty();
        Ok(if needs_name { vec!["latest".into()] } else { tags })
    }

    /// What the tags would have been at another commit, as far as they can be told.
    fn tags_at(&self, facts: &VcsFacts, context: &Context) -> Vec<String> {
        let specs = match &self.arguments.tags[..] {
            [] => &self.project.config.publish.tags,
            given => given,
        };
        let tags = specs.iter().map(|spec| tags::quietly(spec, facts, context));
        tags.flatten().collect()
    }

    /// What the image is called where a tag alone is no name: in archives and engines.
    fn image_name(&self) -> String {
        let named = self.arguments.references.first();
        let named = named.map(|reference| display_name(&reference.repository));
        named
            .or_else(|| self.destinations.first_repository())
            .unwrap_or_else(|| self.project.config.name.clone())
    }
}

/// A repository as docker shows it: without the parts that it adds by itself.
fn display_name(repository: &Repository) -> String {
    let name = repository.to_string();
    let short = name.strip_prefix("docker.io/library/").or_else(|| name.strip_prefix("docker.io/"));
    short.unwrap_or(&name).to_owned()
}

/// The answer about an assembly that was published.
pub(super) fn produced_image(
    name: &str,
    assembly: &Assembly,
    published: Vec<Published>,
) -> ProducedImage {
    let config_digest = match (&assembly.index, &assembly.images[..]) {
        (None, [image]) => Some(image.config.descriptor.digest),
        _ => None,
    };
    ProducedImage {
        name: name.to_owned(),
        descriptor: assembly.descriptor().clone(),
        config_digest,
        platforms: assembly.images.iter().map(|image| image.platform.clone()).collect(),
        manifests: assembly.images.iter().map(manifest).collect(),
        layers: made_layers::list(assembly, |_, _, _| LayerOrigin::Layout),
        uploaded_bytes: 0,
        published,
        has_repositories: false,
        record: None,
    }
}

fn manifest(image: &Image) -> Manifest {
    Manifest {
        platform: image.platform.clone(),
        descriptor: image.manifest.descriptor.clone(),
        layers: image.layers.iter().map(|layer| layer.descriptor.media_type.clone()).collect(),
    }
}
