//! A real registry (docker-registry) on a free loopback port, with its data in a temporary folder.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::authority::Pair;

/// The user of registries with a password.
pub(crate) const USERNAME: &str = "bob";
/// The password of that user.
pub(crate) const PASSWORD: &str = "correct horse";
/// The line that `htpasswd -B` writes for them (bcrypt, cost 4: this guards nothing).
const HTPASSWD: &str = "bob:$2b$04$mn1MEn.QXDdNiyZBjAvH9uVzxHo/sOKZabIxG8lrgIzws9xzpj9yW\n";

/// The part of the configuration that goes with it.
const WITH_PASSWORD: &str = "auth: {htpasswd: {realm: test, path: FOLDER/htpasswd}}\n";

/// A running registry; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Registry {
    process: Child,
    port: u16,
    folder: TempDir,
}

fn write_password(folder: &Path) {
    fs::write(folder.join("htpasswd"), HTPASSWD).unwrap();
}

impl Registry {
    /// A registry open to everybody.
    pub(crate) fn start() -> Self {
        Self::start_with("", |_| {})
    }

    /// A registry that wants [`USERNAME`] and [`PASSWORD`].
    pub(crate) fn start_with_password() -> Self {
        Self::start_with(WITH_PASSWORD, write_password)
    }

    /// A registry that speaks TLS, and lets in whom these authorities vouch for, when there are any.
    pub(crate) fn start_with_tls(own: &Pair, clients: Option<&Path>) -> Self {
        let Pair { certificate, key } = own;
        let clients = clients.map(|file| format!(", clientcas: [{}]", file.display()));
        let tls = format!(
            "  tls: {{certificate: {}, key: {}{}}}\n",
            certificate.display(),
            key.display(),
            clients.unwrap_or_default()
        );
        Self::start_with(&tls, |_| {})
    }

    /// A registry that speaks TLS, and wants [`USERNAME`] and [`PASSWORD`].
    pub(crate) fn start_with_tls_and_password(own: &Pair) -> Self {
        let (certificate, key) = (own.certificate.display(), own.key.display());
        let tls = format!("  tls: {{certificate: {certificate}, key: {key}}}\n{WITH_PASSWORD}");
        Self::start_with(&tls, write_password)
    }

    /// `extra` follows the `http` section of the configuration; `FOLDER` in it is the data folder.
    fn start_with(extra: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let config = format!(
            "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: FOLDER/data}}, delete: {{enabled: true}}}}\n\
             http:\n  addr: 127.0.0.1:0\n  secret: test\n{extra}"
        );
        let config = config.replace("FOLDER", folder.path().to_str().unwrap());
        let path = folder.path().join("config.yml");
        fs::write(&path, config).unwrap();
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry is installed (apt install docker-registry)");
        // The system chose the port; the registry says which when it is ready.
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                said.push_str(&line);
                said.push('\n');
                listening_port(&line)
            })
            .unwrap_or_else(|| panic!("docker-registry did not start:\n{said}"));
        // It must be able to go on writing.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { process, port, folder }
    }

    /// `127.0.0.1:port`.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Changes a byte of a blob on the registry's disk; `hex` is its digest.
    pub(crate) fn damage_blob(&self, hex: &str) {
        let folder = self.folder.path().join("data/docker/registry/v2/blobs/sha256");
        let path = folder.join(&hex[..2]).join(hex).join("data");
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn listening_port(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once("listening on 127.0.0.1:")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
