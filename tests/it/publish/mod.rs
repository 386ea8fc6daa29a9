//! Images at their destinations, read back by programs that nobody here wrote.

mod access;
mod archives;
mod earlier_layouts;
mod failures;
mod layouts;
mod registries;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

use dockless::event::{Action, Event, Events, Outcome};
use dockless::image::Assembly;
use dockless::publish::destinations::parse;
use dockless::publish::{Output, PublishContext, Published, Whereabouts};
use dockless::store::Store;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::image::{client, publish_context};

/// A store, a folder to write into, and a context that publishes from there.
struct Story {
    context: PublishContext,
    events: Receiver<Event>,
    stdout: Shared,
    folder: TempDir,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Story {
    fn new() -> Self {
        let (sender, events) = Events::channel();
        let stdout = Shared::default();
        let context = PublishContext {
            stdout: Output::new(stdout.clone()),
            ..publish_context(&Store::temporary().unwrap(), &client(&sender), &sender)
        };
        Self { context, events, stdout, folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A destination in the story's folder.
    fn local(&self, kind: &str, name: &str) -> String {
        format!("{kind}:{}/{name}", self.path().display())
    }

    async fn publish(&self, to: &str, what: &Assembly, tags: &[&str]) -> Published {
        self.try_publish(to, what, tags).await.unwrap()
    }

    async fn try_publish(
        &self,
        to: &str,
        what: &Assembly,
        tags: &[&str],
    ) -> dockless::error::Result<Published> {
        let tags: Vec<_> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        // Each is a run of its own.
        let context =
            PublishContext { whereabouts: Whereabouts::default(), ..self.context.clone() };
        let session = parse(to).unwrap().open(&context, &tags).await?;
        for layer in what.images.iter().flat_map(|image| &image.layers) {
            session.add_layer(layer).await?;
        }
        session.finish(what).await
    }

    /// How every upload and every manifest fared since the last time, in order.
    fn outcomes(&self) -> Vec<(Action, Outcome, String)> {
        let mut actions = BTreeMap::new();
        let mut outcomes = Vec::new();
        for event in self.events.try_iter() {
            match event {
                Event::TaskStarted { id, action, .. } => {
                    actions.insert(id, action);
                }
                Event::TaskFinished { id, outcome, detail, .. } => {
                    outcomes.push((actions[&id], outcome, detail.unwrap_or_default()));
                }
                _ => {}
            }
        }
        outcomes
    }
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn digest_of(what: &Assembly) -> String {
    what.descriptor().digest.to_string()
}

/// Every file of a folder with its content, for comparing.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}
