//! Reads from a certificate by whom and for whom it was made (RFC 5280, 4.1), for messages only.

use super::error_body::clean;

/// The universal tags of ASN.1 that are met on the way.
const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// The version, which the first certificates did not have.
const VERSION: u8 = 0xa0;

/// `commonName` (2.5.4.3) and, where there is none, `organizationName` (2.5.4.10).
const KINDS: [&[u8]; 2] = [&[0x55, 4, 3], &[0x55, 4, 10]];

/// The names in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// What people call who made it, cleaned.
    pub(super) issuer: Option<String>,
    issuer_bytes: Vec<u8>,
    subject_bytes: Vec<u8>,
}

impl Names {
    /// Whether it was made by whom it is for.
    pub(super) fn are_the_same(&self) -> bool {
        self.issuer_bytes == self.subject_bytes
    }
}

/// The names in a certificate in DER form; `None` when it is none.
pub(super) fn names(certificate: &[u8]) -> Option<Names> {
    let (body, _) = take(certificate, SEQUENCE)?;
    let (mut rest, _) = take(body, SEQUENCE)?;
    if let Some((_, after)) = take(rest, VERSION) {
        rest = after;
    }
    let (_serial_number, rest) = take(rest, INTEGER)?;
    let (_signature, rest) = take(rest, SEQUENCE)?;
    let (issuer, rest) = take(rest, SEQUENCE)?;
    let (_validity, rest) = take(rest, SEQUENCE)?;
    let (subject, _) = take(rest, SEQUENCE)?;
    Some(Names {
        issuer: KINDS.iter().find_map(|kind| attribute(issuer, kind)),
        issuer_bytes: issuer.to_owned(),
        subject_bytes: subject.to_owned(),
    })
}

/// The value of the first attribute of this kind in a name.
fn attribute(mut name: &[u8], wanted: &[u8]) -> Option<String> {
    while let Some((mut set, rest)) = take(name, SET) {
        name = rest;
        while let Some((pair, rest)) = take(set, SEQUENCE) {
            set = rest;
            let (kind, value) = take(pair, OBJECT_IDENTIFIER)?;
            if kind == wanted {
                let (text, _) = take(value, *value.first()?)?;
                return Some(clean(&String::from_utf8_lossy(text)));
            }
        }
    }
    None
}

/// The content of the element in front when it has this tag, and what follows it.
fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [first, length, rest @ ..] = bytes else { return None };
    if *first != tag {
        return None;
    }
    let (length, rest) = match *length {
        short @ 0..=0x7f => (usize::from(short), rest),
        // Longer than four bytes of length is longer than any certificate.
        count @ 0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(count - 0x80))?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authorities_of_mozilla_have_the_names_that_people_know() {
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
        let found: Vec<_> = roots.iter().filter_map(|root| names(root)).collect();
        assert_eq!(found.len(), roots.len());
        assert!(found.iter().all(|names| names.are_the_same() && names.issuer.is_some()));
        assert!(found.iter().any(|names| names.issuer.as_deref() == Some("ISRG Root X1")));
    }

    proptest::proptest! {
        #[test]
        fn other_bytes_have_no_names(bytes: Vec<u8>) {
            assert_eq!(names(&bytes), None);
        }

        #[test]
        fn a_certificate_may_be_cut_or_damaged_anywhere(at in 0..2000_usize, with: u8) {
            let mut bytes = webpki_root_certs::TLS_SERVER_ROOT_CERTS[0].to_vec();
            let at = at % bytes.len();
            let _ = names(&bytes[..at]);
            bytes[at] = with;
            let _ = names(&bytes);
        }
    }
}
