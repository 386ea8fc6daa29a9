//! Says which certificates of servers are good, and as exactly as possible why one is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, SignatureScheme,
};
use rustls_platform_verifier::Verifier;

use super::certificates::Certificates;
use super::issuer::{Names, names};

/// Nobody whom we trust signed a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nobody who is trusted here signed it")]
pub(super) struct UnknownAuthority {
    /// Who signed the last certificate that the server showed, by their own account.
    pub(super) issuer: Option<String>,
    /// Whether the certificate is its own authority.
    pub(super) is_self_signed: bool,
}

/// Says who we are to a server that asks, and remembers that it did.
#[derive(Debug)]
pub(super) struct Introduction {
    key: Option<Arc<CertifiedKey>>,
    was_asked: AtomicBool,
}

impl Introduction {
    /// Whether there is anything to say.
    pub(super) fn has_identity(&self) -> bool {
        self.key.is_some()
    }

    /// Whether the server asked.
    pub(super) fn was_asked(&self) -> bool {
        self.was_asked.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Introduction {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.was_asked.store(true, Ordering::Relaxed);
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        self.has_identity()
    }
}

/// Whom a proxy may be that is reached by TLS itself.
#[derive(Debug)]
pub(super) struct ProxyTrust {
    pub(super) name: ServerName<'static>,
    pub(super) authorities: Vec<CertificateDer<'static>>,
}

/// How TLS is spoken with a host, and with the proxy on the way to it; `is_checked` is whether the
/// host's certificate matters.
pub(super) fn config(
    certificates: Certificates,
    is_checked: bool,
    proxy: Option<ProxyTrust>,
) -> Result<(ClientConfig, Arc<Introduction>), Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let Certificates { authorities, identity, .. } = certificates;
    let trust = |authorities| Explaining::new(authorities, &provider);
    let origin = is_checked.then(|| trust(authorities)).transpose()?;
    let proxy = match proxy {
        Some(ProxyTrust { name, authorities }) => Some((name, trust(authorities)?)),
        None => None,
    };
    let verifier = Arc::new(OnTheWay { proxy, origin, provider: provider.clone() });
    let introduction = Arc::new(Introduction { key: identity, was_asked: AtomicBool::new(false) });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(introduction.clone());
    config.alpn_protocols = vec!["h2".into(), "http/1.1".into()];
    Ok((config, introduction))
}

/// What the machine trusts, and these authorities. A machine without authorities of its own (a slim
/// container) trusts Mozilla's.
fn system_verifier(
    authorities: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Verifier, Error> {
    let system = Verifier::new(provider.clone());
    let mozilla = match &system {
        Err(_) => webpki_root_certs::TLS_SERVER_ROOT_CERTS,
        Ok(_) if authorities.is_empty() => return system,
        Ok(_) => &[],
    };
    let roots = authorities.iter().chain(mozilla).cloned();
    Verifier::new_with_extra_roots(roots, provider.clone())
}

/// Decides as the system does, and says more about a certificate from an unknown authority.
#[derive(Debug)]
struct Explaining {
    system: Verifier,
    /// Certificates that the user trusts by name.
    known: Vec<CertificateDer<'static>>,
}

impl Explaining {
    fn new(
        known: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        Ok(Self { system: system_verifier(&known, provider)?, known })
    }

    /// Looks again at a certificate that the system refused: one that the user trusts by name is
    /// good, and of an unknown authority more is said.
    fn reconsider(
        &self,
        verified: Result<ServerCertVerified, Error>,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
    ) -> Result<ServerCertVerified, Error> {
        let Err(Error::InvalidCertificate(problem)) = &verified else { return verified };
        let own = names(end_entity);
        let is_self_signed = own.as_ref().is_some_and(Names::are_the_same);
        match problem {
            // `openssl req -x509` makes a certificate that is its own authority, which no chain may
            // end in. Its time was checked before that was noticed.
            CertificateError::Other(_) if self.known.iter().any(|known| known == end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            CertificateError::UnknownIssuer => {
                let last = intermediates.last().and_then(|last| names(last)).or(own);
                Err(unknown(last, is_self_signed))
            }
            CertificateError::Other(_) if is_self_signed => Err(unknown(own, true)),
            _ => verified,
        }
    }
}

fn unknown(names: Option<Names>, is_self_signed: bool) -> Error {
    let issuer = names.and_then(|names| names.issuer);
    let problem = UnknownAuthority { issuer, is_self_signed };
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(problem))))
}

/// Checks a proxy by what is said of it, and whoever is behind it by what is said of them: both shake
/// hands by one configuration, and only the name tells which of them it is. Where both have one name,
/// the proxy's rules count: it gets a password.
#[derive(Debug)]
struct OnTheWay {
    proxy: Option<(ServerName<'static>, Explaining)>,
    /// Without it whatever the host shows is taken, on request.
    origin: Option<Explaining>,
    provider: Arc<CryptoProvider>,
}

impl OnTheWay {
    /// Who checks signatures, where no name tells which of them it is: who is checked is checked for both.
    fn signatures(&self) -> Option<&Verifier> {
        let proxy = self.proxy.as_ref().map(|(_, proxy)| proxy);
        proxy.or(self.origin.as_ref()).map(|checked| &checked.system)
    }
}

impl ServerCertVerifier for OnTheWay {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let checked = match &self.proxy {
            Some((name, proxy)) if name == server_name => Some(proxy),
            _ => self.origin.as_ref(),
        };
        let Some(checked) = checked else { return Ok(ServerCertVerified::assertion()) };
        let verified = checked.system.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        checked.reconsider(verified, end_entity, intermediates, server_name)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.signatures() {
            Some(system) => system.verify_tls12_signature(message, certificate, signature),
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.signatures() {
            Some(system) => system.verify_tls13_signature(message, certificate, signature),
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        match self.signatures() {
            Some(system) => system.supported_verify_schemes(),
            None => self.provider.signature_verification_algorithms.supported_schemes(),
        }
    }
}
