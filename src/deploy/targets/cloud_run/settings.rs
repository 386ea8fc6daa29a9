//! The settings of a service, checked before anything is asked.

use crate::cloud::{google_project, google_region};
use crate::config::schema::{Field, Kind, Shape};
use crate::config::{Node, Problems, Unit};
use crate::deploy::{SecretValue, TargetInput};

/// What an environment with this target may have.
pub(super) static SHAPE: Shape = Shape {
    name: "a target `cloud-run`",
    fields: &[
        Field::required("target", Kind::Choice(&["cloud-run"]), "`cloud-run`."),
        Field::optional(
            "project_id",
            Kind::Text,
            "The project, by its id. When absent, that of `GOOGLE_CLOUD_PROJECT`, of `CLOUDSDK_CORE_PROJECT`, or of the \
             file with the credentials.",
        ),
        Field::optional(
            "region",
            Kind::Text,
            "The region. When absent, that of `CLOUDSDK_RUN_REGION` or of `CLOUDSDK_COMPUTE_REGION`, else `us-central1`.",
        ),
        Field::optional("name", Kind::Text, "The service: `PROJECT-ENVIRONMENT` when absent."),
        Field::optional(
            "memory",
            Kind::Text,
            "Memory of an instance, in `Mi` or `Gi`: `512Mi` when absent.",
        ),
        Field::optional(
            "cpu",
            Kind::Integer(1, 8),
            "Processors of an instance: 1 (when absent), 2, 4, 6 or 8.",
        ),
        Field::optional(
            "concurrency",
            Kind::Integer(1, 1000),
            "Requests that an instance serves at once: 80 when absent.",
        ),
        Field::optional(
            "timeout",
            Kind::Measure(Unit::Seconds, 1, 3600),
            "Seconds that a request may take: 300 when absent.",
        ),
        Field::optional(
            "min_instances",
            Kind::Integer(0, 100_000),
            "The fewest instances: 0 when absent.",
        ),
        Field::optional(
            "max_instances",
            Kind::Integer(1, 100_000),
            "The most instances: 100 when absent.",
        ),
        Field::optional(
            "service_account",
            Kind::Text,
            "The e-mail address of the service account as which it runs: the project's default one when absent.",
        ),
        Field::optional(
            "ingress",
            Kind::Choice(&["all", "internal", "internal-and-cloud-load-balancing"]),
            "From where it can be reached: `all` when absent.",
        ),
        Field::optional(
            "public",
            Kind::Boolean,
            "Whether callers need no credentials. When absent, they need them: what an earlier `true` opened is closed \
             again, but what somebody else opened, or IAM grants to `allUsers`, stays. `false` takes that away, too.",
        ),
        Field::optional(
            "port",
            Kind::Integer(1, 65535),
            "The port that the container listens on: the project's when absent.",
        ),
        Field::optional(
            "health_check_path",
            Kind::Text,
            "What a new instance is asked until it answers well: the project's when absent.",
        ),
        Field::optional(
            "cpu_idle",
            Kind::Boolean,
            "Whether processors are there (and paid) during requests only: `true` when absent.",
        ),
        Field::optional(
            "startup_cpu_boost",
            Kind::Boolean,
            "Whether an instance has more processors while it starts: `true` when absent.",
        ),
    ],
};

/// Where services are when nobody names a region.
const DEFAULT_REGION: &str = "us-central1";
/// Fewest processors for more than so much memory (in MiB), and least memory for so many processors.
const PROCESSORS_FOR_MEMORY: [(i64, i64); 4] = [(24576, 8), (16384, 6), (8192, 4), (4096, 2)];
const MEMORY_FOR_PROCESSORS: [(i64, i64); 3] = [(8, 4096), (6, 4096), (4, 2048)];
/// What instances may have, in MiB.
const MEMORY_MIB: std::ops::RangeInclusive<i64> = 128..=32768;
/// What Cloud Run itself sets.
const RESERVED: [&str; 4] = ["PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"];
/// How the names of variables begin that it does not take.
const RESERVED_START: &str = "X_GOOGLE_";

/// The settings of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) project: String,
    pub(super) region: String,
    pub(super) name: String,
    pub(super) memory: String,
    pub(super) cpu: i64,
    pub(super) concurrency: i64,
    pub(super) timeout_seconds: i64,
    pub(super) min_instances: i64,
    pub(super) max_instances: i64,
    pub(super) service_account: Option<String>,
    pub(super) ingress: &'static str,
    pub(super) public: Option<bool>,
    pub(super) port: i64,
    pub(super) health_path: String,
    pub(super) has_idle_cpu: bool,
    pub(super) has_startup_boost: bool,
}

/// Reads settings that fit the shape.
pub(super) fn read(input: &TargetInput<'_>, problems: &mut Problems) -> Option<Settings> {
    let TargetInput { settings, workload, environment, .. } = *input;
    let project = settings.get_text("project_id").map(str::to_owned);
    let Some(project) = project.or_else(|| google_project(environment)) else {
        problems.report_with_hint(
            input.position,
            "no project is named".to_owned(),
            "add `project_id`, or set `GOOGLE_CLOUD_PROJECT`: `gcloud projects list` shows all",
        );
        return None;
    };
    let region = google_region(environment);
    let text = |name: &str, default: &str| settings.get_text(name).unwrap_or(default).to_owned();
    let number =
        |name: &str, default: i64| settings.get(name).and_then(Node::as_integer).unwrap_or(default);
    let truth = |name: &str| settings.get(name).and_then(Node::as_bool);
    let read = Settings {
        project,
        region: text("region", region.as_deref().unwrap_or(DEFAULT_REGION)),
        name: text("name", &workload.name),
        memory: text("memory", "512Mi"),
        cpu: number("cpu", 1),
        concurrency: number("concurrency", 80),
        timeout_seconds: number("timeout", 300),
        min_instances: number("min_instances", 0),
        max_instances: number("max_instances", 100),
        service_account: settings.get_text("service_account").map(str::to_owned),
        ingress: ingress(settings.get_text("ingress")),
        public: truth("public"),
        port: number("port", workload.port.into()),
        health_path: text("health_check_path", &workload.health_path),
        has_idle_cpu: truth("cpu_idle").unwrap_or(true),
        has_startup_boost: truth("startup_cpu_boost").unwrap_or(true),
    };
    let mut report = |name: &str, message: String, hint: &str| {
        let position = settings.get(name).map_or(input.position, |node| &node.position);
        problems.report_with_hint(position, message, hint);
    };
    read.check(&mut report);
    check_workload(input, problems);
    Some(read)
}

/// Reports a setting by its name, what is wrong with it, and what to do.
type Report<'a> = &'a mut dyn FnMut(&str, String, &str);

impl Settings {
    fn check(&self, report: Report<'_>) {
        if !is_name(&self.project, 6, 30) {
            report(
                "project_id",
                format!("`{}` is no id of a project", self.project.escape_debug()),
                "6 to 30 small letters, digits or `-`, starting with a letter: `gcloud projects list` shows it",
            );
        }
        if !is_name(&self.region, 1, 40) || !self.region.contains('-') {
            report(
                "region",
                format!("`{}` is no region", self.region.escape_debug()),
                "write for instance `europe-west1`: `gcloud run regions list` shows all",
            );
        }
        if !is_name(&self.name, 1, 49) {
            report(
                "name",
                format!("`{}` is no name for a service", self.name.escape_debug()),
                "1 to 49 small letters, digits or `-`, starting with a letter: set `name`",
            );
        }
        if self.min_instances > self.max_instances {
            report(
                "min_instances",
                format!(
                    "{} instances at least are more than {}",
                    self.min_instances, self.max_instances
                ),
                "raise `max_instances` (100 when absent), or lower `min_instances`",
            );
        }
        let is_path = self.health_path.starts_with('/')
            && self.health_path.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_path {
            report(
                "health_check_path",
                format!("`{}` is no path", self.health_path.escape_debug()),
                "a path starts with `/`: `/health`",
            );
        }
        let is_account =
            |account: &str| account.contains('@') && account.ends_with(".gserviceaccount.com");
        if let Some(account) = &self.service_account
            && !is_account(account)
        {
            report(
                "service_account",
                format!("`{}` is no address of a service account", account.escape_debug()),
                "write `NAME@PROJECT.iam.gserviceaccount.com`: `gcloud iam service-accounts list` shows all",
            );
        }
        self.check_size(report);
    }

    /// Processors and memory go together.
    fn check_size(&self, report: Report<'_>) {
        if ![1, 2, 4, 6, 8].contains(&self.cpu) {
            report(
                "cpu",
                format!("there are no instances with {} processors", self.cpu),
                "1, 2, 4, 6 or 8",
            );
        }
        let Some(memory) = mebibytes(&self.memory).filter(|memory| MEMORY_MIB.contains(memory))
        else {
            report(
                "memory",
                format!("`{}` is no memory of an instance", self.memory.escape_debug()),
                "from `128Mi` to `32Gi`",
            );
            return;
        };
        let fewest = PROCESSORS_FOR_MEMORY.iter().find(|(above, _)| memory > *above);
        if let Some((_, fewest)) = fewest.filter(|(_, fewest)| self.cpu < *fewest) {
            report(
                "memory",
                format!("`{}` of memory needs more than {} processors", self.memory, self.cpu),
                &format!("write `cpu: {fewest}`, or less memory"),
            );
        }
        let least = MEMORY_FOR_PROCESSORS.iter().find(|(cpu, _)| self.cpu == *cpu);
        if let Some((cpu, least)) = least.filter(|(_, least)| memory < *least) {
            report(
                "cpu",
                format!("{cpu} processors need more memory than `{}`", self.memory),
                &format!("write `memory: {}Gi`, or fewer processors", least / 1024),
            );
        }
    }
}

/// What Cloud Run cannot do for a workload, whatever the settings.
fn check_workload(input: &TargetInput<'_>, problems: &mut Problems) {
    let workload = input.workload;
    for name in workload.env.keys().chain(workload.secrets.keys()) {
        if RESERVED.contains(&name.as_str()) {
            problems.report_with_hint(
                input.place_of(name),
                format!("the variable `{name}` is set by Cloud Run itself"),
                "leave it out (the value of `PORT` is that of the setting `port`)",
            );
        }
        if name.starts_with(RESERVED_START) {
            problems.report_with_hint(
                input.place_of(name),
                format!(
                    "the variable `{name}` begins with `{RESERVED_START}`, which Cloud Run keeps for itself"
                ),
                "give it another name",
            );
        }
    }
    for (name, value) in &workload.secrets {
        if let SecretValue::Kept(reference) = value
            && kept_secret(reference).is_none()
        {
            problems.report_with_hint(
                input.place_of(name),
                format!("`{}` is no secret of Secret Manager", reference.escape_debug()),
                "write `secret_manager: NAME`, `NAME:VERSION` or `projects/PROJECT/secrets/NAME`",
            );
        }
    }
    if workload.pull.is_some() {
        problems.report_with_hint(
            input.place_of_pull(),
            "Cloud Run pulls as its own service agent, and takes no `pull`",
            "remove it; a private registry elsewhere is reached through a remote repository of Artifact Registry",
        );
    }
}

/// A secret that is kept, and its version: `NAME`, `NAME:VERSION`, `projects/P/secrets/NAME[/versions/V]`.
pub(super) fn kept_secret(reference: &str) -> Option<(String, String)> {
    let is_id = |text: &str| {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=255).contains(&text.len()) && text.bytes().all(is_word)
    };
    // An id or a number; old ids begin with a domain: `acme.com:agents`.
    let is_project = |text: &str| {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte);
        text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.bytes().all(is_word)
    };
    let (path, version) = match reference.split_once("/versions/") {
        Some((path, version)) => (path, version),
        // A `:` before the last `/` belongs to the project.
        None => reference
            .rsplit_once(':')
            .filter(|(_, version)| !version.contains('/'))
            .unwrap_or((reference, "latest")),
    };
    let is_path = match path.split('/').collect::<Vec<_>>()[..] {
        [name] => is_id(name),
        ["projects", project, "secrets", name] => is_project(project) && is_id(name),
        _ => false,
    };
    (is_path && is_id(version)).then(|| (path.to_owned(), version.to_owned()))
}

/// As the API says it.
fn ingress(setting: Option<&str>) -> &'static str {
    match setting {
        Some("internal") => "INGRESS_TRAFFIC_INTERNAL_ONLY",
        Some("internal-and-cloud-load-balancing") => "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
        _ => "INGRESS_TRAFFIC_ALL",
    }
}

/// How much memory that is, in MiB; nothing when it is written in other units.
pub(super) fn mebibytes(text: &str) -> Option<i64> {
    let (number, factor) = match text.strip_suffix("Mi") {
        Some(number) => (number, 1),
        None => (text.strip_suffix("Gi")?, 1024),
    };
    // A sign would be read, too.
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<i64>().ok().filter(|_| is_number)?.checked_mul(factor)
}

/// Small letters, digits and dashes, from a letter on, and no dash at the end.
fn is_name(text: &str, least: usize, most: usize) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (least..=most).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.bytes().all(is_word)
}
