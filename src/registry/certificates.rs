//! Which certificates belong to a host: those of the flags, else those of a `certs.d` folder.
//!
//! The folders are those of containers-certs.d(5) and of Docker: `*.crt` are authorities, `*.cert`
//! with the `*.key` of the same name is who we are. Nothing is read before a host is called.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::error::Error;
use super::settings::{ClientCertificate, Settings};

/// What TLS with one host goes by, beside what the system trusts.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    pub(super) authorities: Vec<CertificateDer<'static>>,
    /// Who we are, and how we prove it.
    pub(super) identity: Option<Arc<CertifiedKey>>,
    /// The files whose authorities are trusted, and the one that says who we are; for people.
    files: Vec<PathBuf>,
    shown: Option<PathBuf>,
}

/// Why a file is of no use.
type Reason = String;

impl Certificates {
    /// Reads the files for a host, which goes by several names: with its port and without.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`] for a file that cannot be read or does not hold what it should.
    pub(super) fn load(settings: &Settings, names: &[String]) -> Result<Self, Error> {
        Self::read(settings, names).map_err(|reason| Error::Settings {
            host: names.first().cloned().unwrap_or_default(),
            reason,
        })
    }

    /// What TLS with this host goes by, where anything was given for it.
    pub(super) fn describe(&self, host: &str) -> Option<String> {
        let trusts = self.files.iter().map(|file| format!("trusts `{}`", file.display()));
        let shows = self.shown.iter().map(|file| format!("shows `{}`", file.display()));
        let all: Vec<_> = trusts.chain(shows).collect();
        (!all.is_empty()).then(|| format!("TLS with `{host}` {}", all.join(", ")))
    }

    fn read(settings: &Settings, names: &[String]) -> Result<Self, Reason> {
        let folder = Folder::find(&settings.certificate_folders, names)?;
        let named = names.iter().find_map(|name| settings.authorities.get(name));
        let mut files = named.cloned().unwrap_or_else(|| folder.files("crt"));
        files.extend(settings.authorities.get("").into_iter().flatten().cloned());
        let mut authorities = system_authorities(settings)?;
        for file in &files {
            authorities.extend(authorities_in(file)?);
        }
        let named = names.iter().find_map(|name| settings.client_certificates.get(name));
        let identity = match named {
            Some(named) => Some(named.clone()),
            None => folder.client_certificate()?,
        };
        let shown = identity.as_ref().map(|files| files.certificate.clone());
        let identity = identity.as_ref().map(identity_in).transpose()?;
        Ok(Self { authorities, identity, files, shown })
    }
}

/// The authorities of `SSL_CERT_FILE`. What `SSL_CERT_DIR` names is read by the platform's verifier,
/// which would pass over folders with nothing in them and trust Mozilla's list.
fn system_authorities(settings: &Settings) -> Result<Vec<CertificateDer<'static>>, Reason> {
    if let Some(file) = &settings.system_file {
        return authorities_in(file).map_err(|reason| format!("{reason} (`SSL_CERT_FILE`)"));
    }
    let folders = &settings.system_folders;
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    if folders.is_empty() || entries.into_iter().any(|entry| authorities_in(&entry.path()).is_ok())
    {
        return Ok(Vec::new());
    }
    let names: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
    Err(format!("there is no certificate in `{}` (`SSL_CERT_DIR`)", names.join("`, `")))
}

/// The files of a registry's folder, in the order of their names; none when there is no folder.
struct Folder(Vec<PathBuf>);

impl Folder {
    fn find(roots: &[PathBuf], names: &[String]) -> Result<Self, Reason> {
        for folder in roots.iter().flat_map(|root| names.iter().map(|name| root.join(name))) {
            // One that is closed to us is passed over, as by other tools.
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            let paths: Result<Vec<_>, _> =
                entries.map(|entry| entry.map(|entry| entry.path())).collect();
            let mut paths = paths.map_err(|error| unreadable(&folder, &error))?;
            paths.sort();
            return Ok(Self(paths));
        }
        Ok(Self(Vec::new()))
    }

    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let has_it = |path: &&PathBuf| path.extension() == Some(OsStr::new(extension));
        self.0.iter().filter(has_it).cloned().collect()
    }

    /// The first pair; half a pair anywhere is a mistake.
    fn client_certificate(&self) -> Result<Option<ClientCertificate>, Reason> {
        for (extension, other) in [("cert", "key"), ("key", "cert")] {
            for file in self.files(extension) {
                let beside = file.with_extension(other);
                if !self.0.contains(&beside) {
                    return Err(format!(
                        "`{}` is there, but not `{}`",
                        file.display(),
                        beside.display()
                    ));
                }
            }
        }
        let first = self.files("cert").into_iter().next();
        Ok(first.map(|certificate| ClientCertificate {
            key: certificate.with_extension("key"),
            certificate,
        }))
    }
}

/// The certificates of a PEM file that can be trusted. Bundles of systems hold some of a form that
/// nobody reads any more: those are passed over, unless there is no other.
fn authorities_in(file: &Path) -> Result<Vec<CertificateDer<'static>>, Reason> {
    let is_fit = |certificate: &CertificateDer<'static>| {
        RootCertStore::empty().add(certificate.clone()).is_ok()
    };
    let content = read(file)?;
    let certificates = CertificateDer::pem_slice_iter(&content).filter_map(Result::ok);
    let authorities: Vec<_> = certificates.filter(is_fit).collect();
    if authorities.is_empty() { Err(no_certificate(file)) } else { Ok(authorities) }
}

/// A certificate and the key that belongs to it.
fn identity_in(files: &ClientCertificate) -> Result<Arc<CertifiedKey>, Reason> {
    let ClientCertificate { certificate, key: key_file } = files;
    let chain = certificates_in(certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&read(key_file)?).map_err(|_| {
        format!("`{}` holds no private key in PEM form, or an encrypted one", key_file.display())
    })?;
    let identity = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
    identity.map(Arc::new).map_err(|_| {
        format!("`{}` is not the key of `{}`", key_file.display(), certificate.display())
    })
}

fn certificates_in(file: &Path) -> Result<Vec<CertificateDer<'static>>, Reason> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(file)?).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(no_certificate(file)),
    }
}

fn no_certificate(file: &Path) -> Reason {
    format!("`{}` holds no certificate in PEM form, or a broken one", file.display())
}

fn read(file: &Path) -> Result<Vec<u8>, Reason> {
    fs::read(file).map_err(|error| unreadable(file, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Reason {
    format!("cannot read `{}`: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
    const BROKEN: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

    /// An authority of Mozilla's as a PEM file.
    fn certificate(number: usize) -> String {
        use base64::Engine as _;
        let der = &webpki_root_certs::TLS_SERVER_ROOT_CERTS[number];
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    }

    fn authority(number: usize) -> CertificateDer<'static> {
        webpki_root_certs::TLS_SERVER_ROOT_CERTS[number].clone()
    }

    fn write(root: &Path, name: &str, content: &str) -> PathBuf {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn load(settings: &Settings, host: &str) -> Result<Certificates, String> {
        Certificates::load(settings, &[host.into()]).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_folder_that_there_is_counts_and_flags_come_before() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "own/r.io:5000/ca.crt", &certificate(0));
        write(root, "own/r.io:5000/README", "nothing");
        write(root, "system/r.io:5000/other.crt", &certificate(2));
        write(root, "system/r.io/a.crt", &certificate(3));
        write(
            root,
            "system/r.io/b.crt",
            &format!("a bundle\n{}{BROKEN}{}", certificate(4), certificate(5)),
        );
        let folders = ["absent", "own", "system"].map(|name| root.join(name));
        let settings = Settings { certificate_folders: folders.into(), ..Settings::default() };
        let authorities = |host| load(&settings, host).unwrap().authorities;
        assert_eq!(authorities("r.io:5000"), [authority(0)]);
        assert_eq!(authorities("r.io"), [authority(3), authority(4), authority(5)]);
        assert_eq!(authorities("other.io"), []);

        let one = write(root, "one.pem", &certificate(6));
        let every = write(root, "every.pem", &certificate(7));
        let files = BTreeMap::from([("r.io".into(), vec![one]), (String::new(), vec![every])]);
        let settings = Settings { authorities: files, ..settings };
        let authorities = |host| load(&settings, host).unwrap().authorities;
        assert_eq!(authorities("r.io"), [authority(6), authority(7)]);
        assert_eq!(authorities("r.io:5000"), [authority(0), authority(7)]);
        assert_eq!(authorities("other.io"), [authority(7)]);
    }

    #[test]
    fn what_takes_the_systems_place_has_to_be_there() {
        let root = tempfile::tempdir().unwrap();
        let (empty, full) = (root.path().join("empty"), root.path().join("full"));
        fs::create_dir(&empty).unwrap();
        let file = write(root.path(), "full/a.pem", &certificate(0));
        let system = |file: Option<&Path>, folders: &[&Path]| {
            let folders = folders.iter().map(|&folder| folder.to_owned()).collect();
            let system_file = file.map(Path::to_owned);
            let settings = Settings { system_file, system_folders: folders, ..Settings::default() };
            load(&settings, "r.io").map(|certificates| certificates.authorities)
        };
        assert_eq!(system(None, &[]), Ok(Vec::new()));
        assert_eq!(system(None, &[&empty, &full]), Ok(Vec::new()));
        assert_eq!(system(Some(&file), &[&empty]), Ok(vec![authority(0)]));
        let absent = root.path().join("absent");
        let unusable =
            |reason| Err(format!("the network settings for `r.io` cannot be used: {reason}"));
        let (none, nothing) = (absent.display(), empty.display());
        assert_eq!(
            system(Some(&absent), &[]),
            unusable(format!(
                "cannot read `{none}`: No such file or directory (os error 2) (`SSL_CERT_FILE`)"
            ))
        );
        assert_eq!(
            system(None, &[&absent, &empty]),
            unusable(format!("there is no certificate in `{none}`, `{nothing}` (`SSL_CERT_DIR`)"))
        );
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let no_certificate = "`FILE` holds no certificate in PEM form, or a broken one";
        let no_key = "`FILE` holds no private key in PEM form, or an encrypted one";
        let encrypted = KEY.replace("PRIVATE", "ENCRYPTED PRIVATE");
        for (files, named, reason) in [
            (vec![("ca.crt", "")], "ca.crt", no_certificate),
            (vec![("ca.crt", "xx")], "ca.crt", no_certificate),
            (vec![("ca.crt", BROKEN)], "ca.crt", no_certificate),
            (vec![("ca.crt/x", "")], "ca.crt", "cannot read `FILE`: Is a directory (os error 21)"),
            (vec![("a.cert", KEY), ("a.key", KEY)], "a.cert", no_certificate),
            (vec![("a.cert", &certificate(0)), ("a.key", &encrypted)], "a.key", no_key),
            (
                vec![("a.cert", &certificate(0)), ("a.key", KEY)],
                "a.key",
                "`FILE` is not the key of `FOLDER/a.cert`",
            ),
            (vec![("a.cert", "")], "a.cert", "`FILE` is there, but not `FOLDER/a.key`"),
            (vec![("a.key", "")], "a.key", "`FILE` is there, but not `FOLDER/a.cert`"),
        ] {
            let root = tempfile::tempdir().unwrap();
            let folder = root.path().join("r.io");
            for (name, content) in &files {
                write(&folder, name, content);
            }
            let folders = vec![root.path().to_owned()];
            let settings = Settings { certificate_folders: folders, ..Settings::default() };
            let reason = reason
                .replace("FILE", folder.join(named).to_str().unwrap())
                .replace("FOLDER", folder.to_str().unwrap());
            let expected = format!("the network settings for `r.io` cannot be used: {reason}");
            assert_eq!(load(&settings, "r.io").err(), Some(expected), "{files:?}");
        }
    }
}
