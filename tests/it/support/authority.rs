//! An authority that signs certificates with openssl, good ones and bad ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// An authority, with everything it made in a temporary folder.
#[derive(Debug)]
pub(crate) struct Authority {
    folder: TempDir,
}

/// A certificate and its private key: PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    Past,
    Now,
    Future,
}

/// For `openssl ca`, which alone lets dates be chosen.
const CONFIG: &str = "[ca]\ndefault_ca = it\n[it]\ndatabase = index.txt\nnew_certs_dir = .\n\
    rand_serial = yes\ndefault_md = sha256\npolicy = policy\nx509_extensions = extensions\n\
    unique_subject = no\n[policy]\ncommonName = supplied\n[extensions]\n\
    basicConstraints = critical,CA:FALSE\nsubjectAltName = $ENV::NAMES\n";

impl Authority {
    /// An authority with a key of its own that goes by this name.
    pub(crate) fn new(name: &str) -> Self {
        let authority = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(authority.path("ca.cnf"), CONFIG).unwrap();
        fs::write(authority.path("index.txt"), "").unwrap();
        authority.sign_itself("ca", name, &[]);
        authority
    }

    /// Its own certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// A certificate for names in the form `IP:127.0.0.1` or `DNS:r.io`, separated by commas.
    pub(crate) fn issue(&self, file: &str, names: &str, time: Time) -> Pair {
        let pair = self.pair(file);
        let request = format!("{file}.csr");
        let subject = format!("/CN={file}");
        let key = key_file(&pair);
        self.openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ])
        .args(["-subj", &subject, "-keyout", &key, "-out", &request])
        .pass();
        let (start, end) = match time {
            Time::Past => ("20010101000000Z", "20020101000000Z"),
            Time::Now => ("20200101000000Z", "20990101000000Z"),
            Time::Future => ("20980101000000Z", "20990101000000Z"),
        };
        self.openssl(&["ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", "ca.pem"])
            .args(["-keyfile", "ca.key", "-in", &request, "-out", &format!("{file}.pem")])
            .args(["-startdate", start, "-enddate", end])
            .env("NAMES", names)
            .pass();
        pair
    }

    /// A certificate that nobody else signed, as `openssl req -x509` makes it.
    pub(crate) fn sign_itself(&self, file: &str, name: &str, extensions: &[&str]) -> Pair {
        let pair = self.pair(file);
        let mut command =
            self.openssl(&["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        command.args(["-nodes", "-days", "2", "-subj", &format!("/CN={name}")]);
        command.args(["-keyout", &key_file(&pair), "-out", &format!("{file}.pem")]);
        for extension in extensions {
            command.args(["-addext", extension]);
        }
        command.pass();
        pair
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn pair(&self, file: &str) -> Pair {
        Pair {
            certificate: self.path(&format!("{file}.pem")),
            key: self.path(&format!("{file}.key")),
        }
    }

    fn openssl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("openssl");
        command.args(arguments).current_dir(self.folder.path());
        command
    }
}

fn key_file(pair: &Pair) -> String {
    Path::new(pair.key.file_name().unwrap()).to_str().unwrap().to_owned()
}

trait Pass {
    fn pass(&mut self);
}

impl Pass for Command {
    #[track_caller]
    fn pass(&mut self) {
        let output = self.output().expect("openssl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
