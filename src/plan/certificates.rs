//! Bundles of CA certificates in PEM (RFC 7468).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The length of a line, by RFC 7468.
const LINE_LENGTH: usize = 64;

/// Why a file is no list of certificates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CertificateError {
    #[error("holds a private key")]
    PrivateKey,
    #[error("holds `{}`, which is no certificate", .0.escape_debug())]
    OtherBlock(String),
    #[error("holds no certificate in PEM")]
    Nothing,
    #[error("is damaged: line {line} begins a certificate that is not valid PEM")]
    Damaged { line: usize },
}

impl CertificateError {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::PrivateKey => {
                "a key must never be in an image: name a file that holds the certificate alone"
            }
            Self::OtherBlock(_) | Self::Nothing => {
                "`add` takes certificates between `-----BEGIN CERTIFICATE-----` and \
                 `-----END CERTIFICATE-----`; `openssl x509 -in FILE -inform DER` converts others"
            }
            Self::Damaged { .. } => "export the certificate again",
        }
    }
}

/// Writes the roots that Mozilla trusts, then these, each once.
pub(super) fn bundle(added: &[Vec<u8>]) -> String {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(AsRef::as_ref);
    let mut written: Vec<&[u8]> = Vec::new();
    let mut bundle = String::new();
    for certificate in roots.chain(added.iter().map(Vec::as_slice)) {
        if !written.contains(&certificate) {
            written.push(certificate);
            write(certificate, &mut bundle);
        }
    }
    bundle
}

fn write(certificate: &[u8], bundle: &mut String) {
    let text = STANDARD.encode(certificate);
    bundle.push_str("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII: every byte is a boundary.
        let (line, next) = rest.split_at(rest.len().min(LINE_LENGTH));
        bundle.push_str(line);
        bundle.push('\n');
        rest = next;
    }
    bundle.push_str("-----END CERTIFICATE-----\n");
}

/// Reads the certificates of a PEM file as DER; text between them is passed over.
///
/// # Errors
/// When there is anything but certificates, above all a private key, or no certificate at all.
pub(super) fn parse(text: &str) -> Result<Vec<Vec<u8>>, CertificateError> {
    let text = text.trim_start_matches('\u{feff}');
    // First of all: whatever else is wrong with the file, a key in it is what to tell.
    if text.contains("PRIVATE KEY-----") {
        return Err(CertificateError::PrivateKey);
    }
    let mut certificates = Vec::new();
    let mut lines = text.lines().map(str::trim).enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(label) = label(line, BEGIN) else { continue };
        if label != "CERTIFICATE" {
            return Err(CertificateError::OtherBlock(label.chars().take(40).collect()));
        }
        let damaged = CertificateError::Damaged { line: number + 1 };
        let mut body = String::new();
        let is_closed = lines.by_ref().map(|(_, line)| line).any(|line| {
            let is_end = line.starts_with(DASHES);
            if !is_end {
                body.push_str(line);
            }
            is_end && self::label(line, END) == Some("CERTIFICATE")
        });
        let der = STANDARD.decode(body).ok().filter(|der| is_closed && is_one_sequence(der));
        certificates.push(der.ok_or(damaged)?);
    }
    if certificates.is_empty() { Err(CertificateError::Nothing) } else { Ok(certificates) }
}

fn label<'line>(line: &'line str, start: &str) -> Option<&'line str> {
    line.strip_prefix(start)?.strip_suffix(DASHES)
}

/// Whether this is one DER sequence that ends where the bytes end, as every certificate is.
fn is_one_sequence(der: &[u8]) -> bool {
    let length = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    match der {
        [0x30, short @ 1..=0x7f, rest @ ..] => rest.len() == usize::from(*short),
        [0x30, 0x81, high, rest @ ..] => rest.len() == length(&[*high]),
        [0x30, 0x82, high, low, rest @ ..] => rest.len() == length(&[*high, *low]),
        [0x30, 0x83, high, middle, low, rest @ ..] => rest.len() == length(&[*high, *middle, *low]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(der: &[u8]) -> String {
        let mut text = String::new();
        write(der, &mut text);
        text
    }

    fn root(number: usize) -> &'static [u8] {
        &webpki_root_certs::TLS_SERVER_ROOT_CERTS[number]
    }

    #[test]
    fn the_bundle_is_read_back_whole() {
        let corporate = [0x30, 3, 1, 2, 3].to_vec();
        let read =
            parse(&bundle(&[corporate.clone(), root(0).to_vec(), corporate.clone()])).unwrap();
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
        assert_eq!(read.len(), roots.len() + 1, "each certificate is there once");
        assert!(read.iter().zip(roots).all(|(read, root)| read.as_slice() == root.as_ref()));
        assert_eq!(read.last(), Some(&corporate));
    }

    #[test]
    fn reads_what_tools_write() {
        let (first, second) = (root(0), root(1));
        let text = format!(
            "\u{feff}subject=CN = Corp\r\n{}\n# second\n{}trailing",
            pem(first).replace('\n', "\r\n"),
            pem(second)
        );
        assert_eq!(parse(&text), Ok(vec![first.to_vec(), second.to_vec()]));
    }

    #[test]
    fn refuses_everything_but_certificates() {
        let good = pem(root(0));
        for (text, expected) in [
            (String::new(), CertificateError::Nothing),
            ("hello".into(), CertificateError::Nothing),
            (
                format!(
                    "{good}-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"
                ),
                CertificateError::PrivateKey,
            ),
            ("-----BEGIN PRIVATE KEY-----\nAAAA".into(), CertificateError::PrivateKey),
            (
                format!("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n{good}"),
                CertificateError::OtherBlock("X509 CRL".into()),
            ),
            (good.replace("-----END CERTIFICATE-----", ""), CertificateError::Damaged { line: 1 }),
            (format!("\n{}", good.replacen('M', "!", 1)), CertificateError::Damaged { line: 2 }),
            (pem(&root(0)[..100]), CertificateError::Damaged { line: 1 }),
            (pem(b"hello"), CertificateError::Damaged { line: 1 }),
        ] {
            assert_eq!(parse(&text), Err(expected), "{text:.60}");
        }
    }
}
