//! What the machine says about the network: never part of a project's file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::map::RegistryMap;
use super::proxy::Proxies;
use super::unused::Given;

/// How to reach registries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Registries (`host` or `host:port`) that may be reached without TLS; loopback always may.
    pub insecure: BTreeSet<String>,
    /// Registries whose certificate is not checked.
    pub skip_tls_verify: BTreeSet<String>,
    /// PEM files of further authorities per registry; the empty name means every registry.
    pub authorities: BTreeMap<String, Vec<PathBuf>>,
    /// What takes the place of the system's authorities: OpenSSL's `SSL_CERT_FILE`.
    pub system_file: Option<PathBuf>,
    /// The same in folders: `SSL_CERT_DIR`.
    pub system_folders: Vec<PathBuf>,
    /// Who we are to registries that want to know it when TLS begins.
    pub client_certificates: BTreeMap<String, ClientCertificate>,
    /// Folders with one folder per registry (`certs.d`): the first that has it counts.
    pub certificate_folders: Vec<PathBuf>,
    /// Whom requests go through.
    pub proxies: Proxies,
    /// Which repositories are pulled from elsewhere.
    pub map: RegistryMap,
    /// What we call ourselves.
    pub user_agent: String,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a transfer may stand still, and how long it may be too slow.
    pub stall: StallLimits,
    /// How long a command goes on without newly confirmed progress.
    pub patience: Duration,
    /// How long everything may take, on request.
    pub total: Option<Duration>,
    /// How many reads, and how many writes, go to one registry at once.
    pub concurrency: usize,
}

/// A certificate that says who we are: PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, then those of the authorities between it and the root.
    pub certificate: PathBuf,
    /// Its private key, not encrypted.
    pub key: PathBuf,
}

/// When a transfer counts as dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StallLimits {
    /// No byte for this long.
    pub silence: Duration,
    /// Fewer than [`StallLimits::bytes_per_second`] over this long.
    pub window: Duration,
    /// The slowest acceptable rate.
    pub bytes_per_second: u64,
    /// How long an answer may take once the last byte of the request is sent; one second more is
    /// granted for every 20 MB, since the registry hashes and moves what it got.
    pub answer: Duration,
}

impl Settings {
    /// The options for single registries, and which they are.
    pub(super) fn given(&self) -> [Given<'_>; 4] {
        fn names<'a>(names: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
            names.map(String::as_str).collect()
        }
        [
            ("--insecure-registry", names(self.insecure.iter())),
            ("--skip-tls-verify-registry", names(self.skip_tls_verify.iter())),
            ("--registry-certificate", names(self.authorities.keys())),
            ("--registry-client-cert", names(self.client_certificates.keys())),
        ]
        .map(|(option, hosts)| Given { option, hosts })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            insecure: BTreeSet::new(),
            skip_tls_verify: BTreeSet::new(),
            authorities: BTreeMap::new(),
            system_file: None,
            system_folders: Vec::new(),
            client_certificates: BTreeMap::new(),
            certificate_folders: Vec::new(),
            proxies: Proxies::default(),
            map: RegistryMap::default(),
            user_agent: concat!("dockless/", env!("CARGO_PKG_VERSION")).into(),
            connect_timeout: Duration::from_secs(10),
            stall: StallLimits::default(),
            patience: Duration::from_mins(5),
            total: None,
            concurrency: 6,
        }
    }
}

impl Default for StallLimits {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(30),
            window: Duration::from_mins(1),
            bytes_per_second: 1024,
            answer: Duration::from_mins(1),
        }
    }
}
