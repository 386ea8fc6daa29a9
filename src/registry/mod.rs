//! The client of the OCI distribution API: what survives a registry's bad day.
//!
//! Endpoints are values; one transport owns retry, deadline, stall timer, redirects and the scope
//! of credentials. Start reading at `client.rs`, then `transport.rs`. One rule, one file:
//!
//! - `retry.rs`, `retry_after.rs`: which failures are tried again, and after how long
//! - `stall.rs`: when a connection that still stands is dead
//! - `redirect.rs`, `origin.rs`, `address.rs`: where a registry may send us, and with what
//! - `http.rs`, `proxy.rs`, `scheme.rs`: the way to a host
//! - `https.rs`: the same way to services that are no registries
//! - `certificates.rs`, `tls.rs`, `issuer.rs`: whom we trust, and who we are to them
//! - `connection_problem.rs`, `tls_problem.rs`: why there is no connection, and what helps
//! - `map.rs`: what is pulled from elsewhere
//! - `unused.rs`: settings that nobody needed
//! - `challenge.rs`, `token.rs`, `auth.rs`: how we say who we are
//! - `keychain.rs`, `keychains/`: where credentials come from
//! - `hints.rs`, `cures.rs`, `service.rs`, `host_pattern.rs`, `create_repository.rs`: what helps, and at which registry
//! - `secret.rs`, `mask.rs`: what is never shown, also when others repeat it
//! - `immutable_tag.rs`: when a refusal means that the tag may not move
//! - `exchange.rs`, `answer.rs`: one request with all its tries, and what came back
//! - `login.rs`: whether credentials are right, asked without a repository
//! - `rights.rs`: whether we may push, asked before anything is made
//! - `referrers.rs`: what refers to an image, with and without the API for it
//! - `session.rs`: that an upload which was begun ends
//! - `blob_lookup.rs`: whether a blob is there, asked without fetching it
//! - `upload.rs`, `download.rs`, `manifests.rs`: what is done when the outcome is unknown
//!
//! Waits between tries go through the injected clock, so tests with faults take milliseconds;
//! stall timers watch real transfers and run on real time, with limits from the [`Settings`].

mod address;
mod answer;
mod auth;
mod blob_lookup;
mod certificates;
mod challenge;
mod client;
mod connection_problem;
mod create_repository;
mod cures;
mod download;
mod endpoint;
mod error;
mod error_body;
mod exchange;
#[cfg(fuzzing)]
pub mod fuzzing;
mod hints;
mod host_pattern;
mod http;
mod https;
mod immutable_tag;
mod issuer;
mod keychain;
pub mod keychains;
mod limit;
mod lock;
mod login;
mod manifests;
mod map;
mod mask;
mod origin;
mod proxy;
mod redirect;
mod referrers;
mod retry;
mod retry_after;
mod rights;
mod scheme;
mod secret;
mod service;
mod session;
mod settings;
mod stall;
mod tls;
mod tls_problem;
mod token;
mod transport;
mod unused;
mod upload;

pub use self::blob_lookup::BlobLookup;
pub use self::client::{
    BlobOutcome, BlobPush, BlobReader, BlobSource, Client, ClientOptions, FetchedManifest,
    ManifestOutcome,
};
pub use self::connection_problem::{ProxyProblem, RootCause};
pub use self::error::Error;
pub use self::hints::Login;
pub use self::https::Https;
pub(crate) use self::https::{NoReply, Reply};
pub use self::keychain::{Credential, Found, Keychain, Lookup, Sources};
pub use self::manifests::TagLookup;
pub use self::map::RegistryMap;
pub(crate) use self::origin::is_loopback;
pub use self::proxy::Proxies;
pub(crate) use self::retry::Retry;
pub use self::secret::Secret;
pub(crate) use self::service::AmazonRegistry;
pub use self::session::SpareUpload;
pub use self::settings::{ClientCertificate, Settings, StallLimits};
pub use self::tls_problem::TlsProblem;
