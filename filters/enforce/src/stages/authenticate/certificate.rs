//! The certificate of the caller: shown in the handshake, or told by a proxy that the configuration trusts.

use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tollgate_model::ClientCertificate;

use super::super::admit::Admitted;
use super::rules::Attempt;
use crate::rejection::Rejection;
use crate::{Cx, Header, query};

pub(super) fn attempt(cx: &Cx, admitted: &Admitted) -> Attempt<Rc<ClientCertificate>> {
    let source = &admitted.settings.client_certificate;
    let digest = if source.from_header {
        match cx.request.get(&source.header) {
            Header::Absent => return Attempt::Absent,
            Header::One(value) => digest_of(value, source.encoded),
            Header::Many => None,
        }
    } else {
        match cx.connection.certificate_digest() {
            None => return Attempt::Absent,
            Some(digest) => Some(digest.to_ascii_lowercase()),
        }
    };
    let known = digest.and_then(|digest| admitted.api.certificates.get(digest.as_str()).cloned());
    known.map_or(Attempt::Bad(Rejection::BadCertificate), Attempt::Good)
}

/// SHA-256 of a certificate in PEM, with or without its first and last line, whatever stands where the line ends were.
fn digest_of(value: &[u8], encoded: bool) -> Option<String> {
    let decoded = if encoded { query::percent_decoded(value) } else { value.into() };
    let text = std::str::from_utf8(&decoded).ok()?;
    let body = match text.split_once("-----BEGIN CERTIFICATE-----") {
        Some((_, rest)) => rest.split_once("-----END CERTIFICATE-----")?.0,
        None => text,
    };
    let base64: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    let der = STANDARD.decode(base64).ok().filter(|der| !der.is_empty())?;
    Some(Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf abc | sha256sum`
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn every_form_of_a_certificate_has_the_same_digest() {
        let pem = "-----BEGIN CERTIFICATE-----\nYW\nJj\n-----END CERTIFICATE-----\n";
        for (value, encoded, known) in [
            (pem, false, true),
            ("-----BEGIN CERTIFICATE----- YWJj -----END CERTIFICATE-----", false, true),
            ("YWJj", false, true),
            ("YW Jj", false, true),
            ("-----BEGIN%20CERTIFICATE-----%0AYWJj%0A-----END%20CERTIFICATE-----%0A", true, true),
            ("-----BEGIN%20CERTIFICATE-----%0AYWJj%0A-----END%20CERTIFICATE-----%0A", false, false),
            ("YWJ%6a", true, true),
            ("YWJ%", true, false),
            ("-----BEGIN CERTIFICATE----- YWJj", false, false),
            ("", false, false),
            ("YWJj=", false, false),
            ("\u{fffd}", false, false),
        ] {
            assert_eq!(digest_of(value.as_bytes(), encoded).as_deref() == Some(ABC), known, "{value}");
        }
        assert_eq!(digest_of(b"\xff", false), None);
    }
}
