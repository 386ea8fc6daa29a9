//! How fast a project becomes a plan: `cargo bench --bench planning`.
//!
//! `walk` lists 5,000 files in 50 folders, `walk_with_rules` the same with a `.dockerignore`, and `plan` makes entries
//! of what was listed. Contents are never read.
#![expect(clippy::unwrap_used, reason = "a bench panics when it cannot go on")]
#![expect(clippy::disallowed_methods, reason = "a bench drives the real machine")]

use std::collections::BTreeMap;
use std::fs;

use divan::Bencher;
use divan::counter::ItemsCount;
use dockless::config::{Config, load};
use dockless::event::Events;
use dockless::gather::{Project, gather_files};
use dockless::oci::ImageConfig;
use dockless::plan::{BaseImage, Inputs, LayerSource, needs, plan, sources};

const FILES: usize = 5_000;

fn main() {
    divan::main();
}

/// A project on disk, understood.
struct Agent {
    folder: tempfile::TempDir,
    config: Config,
    sources: Vec<Box<dyn LayerSource>>,
}

impl Agent {
    fn new(ignored: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..FILES {
            let path = folder.path().join(format!("src/d{}/f{number}.txt", number % 50));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "content").unwrap();
        }
        fs::write(folder.path().join(".dockerignore"), ignored).unwrap();
        let text =
            "name: bench\nbase: scratch\nlayers: [{kind: files, copy: [{src: src, dest: /app}]}]\n";
        fs::write(folder.path().join("dockless.yaml"), text).unwrap();
        let mut loaded = load(folder.path(), None, None).unwrap();
        let sources = sources(&loaded.config, &mut loaded.problems);
        assert!(loaded.problems.is_empty(), "{}", loaded.problems);
        Self { folder, config: loaded.config, sources }
    }

    /// Lists the files, as every command does.
    fn list(&self) -> Inputs {
        let project = Project::open(self.folder.path(), None, &[]).unwrap();
        let (trees, files) =
            gather_files(&needs(&self.sources), &project, &Events::none()).unwrap();
        let base = |platform| BaseImage::empty("scratch", ImageConfig::scratch(platform));
        let platforms = self.config.platforms.iter();
        let bases: BTreeMap<_, _> =
            platforms.map(|platform| (platform.clone(), base(platform))).collect();
        Inputs { trees, files, bases, ..Inputs::default() }
    }
}

#[divan::bench(sample_count = 10)]
fn walk(bencher: Bencher<'_, '_>) {
    let agent = Agent::new("");
    bencher.counter(ItemsCount::new(FILES)).bench_local(|| agent.list());
}

#[divan::bench(sample_count = 10)]
fn walk_with_rules(bencher: Bencher<'_, '_>) {
    let agent = Agent::new("**/*.pyc\n**/node_modules\n*.log\nsrc/d1?/*9.txt\n!src/d10\n");
    bencher.counter(ItemsCount::new(FILES)).bench_local(|| agent.list());
}

#[divan::bench(sample_count = 10, name = "plan")]
fn make_plan(bencher: Bencher<'_, '_>) {
    let agent = Agent::new("");
    let inputs = agent.list();
    bencher
        .counter(ItemsCount::new(FILES))
        .bench_local(|| plan(&agent.config, &agent.sources, &inputs).unwrap());
}
