//! Reads the key of an issuer from a PEM file: an X.509 certificate or a bare public key.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{PemObject, SectionKind};
use tollgate_model::Jwk;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::signing::{jwk_of_certificate, jwk_of_public_key};

/// The keys of a PEM file.
///
/// # Errors
/// Text that says why there are none.
pub(super) fn read(path: &Path) -> Result<Vec<Jwk>, String> {
    parse(&std::fs::read(path).map_err(|error| format!("cannot read it: {error}"))?)
}

/// The keys in PEM.
///
/// # Errors
/// Text that says why there are none.
pub fn parse(bytes: &[u8]) -> Result<Vec<Jwk>, String> {
    let sections: Vec<(SectionKind, Vec<u8>)> =
        PemObject::pem_slice_iter(bytes).collect::<Result<_, _>>().map_err(|error| format!("no PEM: {error}"))?;
    let keys: Vec<Jwk> = sections
        .iter()
        .filter_map(|(kind, der)| match kind {
            SectionKind::Certificate => Some(certificate(der)),
            SectionKind::PublicKey => Some(public_key(der)),
            _ => None,
        })
        .collect::<Result<_, _>>()?;
    if keys.is_empty() { Err("it holds neither a certificate nor a public key".to_owned()) } else { Ok(keys) }
}

/// A certificate stands for its issuer whatever key id a token names, so its key has none.
fn certificate(der: &[u8]) -> Result<Jwk, String> {
    Ok(Jwk { kid: None, ..jwk_of_certificate(&CertificateDer::from(der))? })
}

fn public_key(der: &[u8]) -> Result<Jwk, String> {
    let (_, info) = SubjectPublicKeyInfo::from_der(der).map_err(|error| format!("no public key: {error}"))?;
    jwk_of_public_key(&info)
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_certificate_and_its_bare_key_are_the_same_key() {
        use jwt_simple::prelude::RS256KeyPair;
        let folder = tempfile::tempdir().unwrap();
        let made = crate::certs::ensure(folder.path()).unwrap();
        let pair = RS256KeyPair::from_pem(&std::fs::read_to_string(&made.token_signing.key).unwrap()).unwrap();
        let bare = folder.path().join("public.pem");
        std::fs::write(&bare, pair.public_key().to_pem().unwrap()).unwrap();
        let (certificate, public) = (read(&made.token_signing.certificate).unwrap(), read(&bare).unwrap());
        assert_eq!((&certificate[0].n, &certificate[0].e), (&public[0].n, &public[0].e));
        assert_eq!(certificate[0].e.as_deref(), Some("AQAB"));
        assert!(certificate[0].kid.is_none() && public[0].kid.is_none());
        assert!(certificate[0].x5t.is_some());
    }

    #[test]
    fn what_holds_no_rsa_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let made = crate::certs::ensure(folder.path()).unwrap();
        let check = |path: &Path, expected: &str| {
            let error = read(path).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(&made.adapter.certificate, "not RSA");
        check(&made.token_signing.key, "neither a certificate nor a public key");
        check(&folder.path().join("missing"), "cannot read");
    }

    /// A certificate and a public key, one after the other.
    fn sample() -> &'static str {
        use jwt_simple::prelude::RS256KeyPair;
        static SAMPLE: OnceLock<String> = OnceLock::new();
        SAMPLE.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let made = crate::certs::ensure(folder.path()).unwrap();
            let pair = RS256KeyPair::from_pem(&std::fs::read_to_string(&made.token_signing.key).unwrap()).unwrap();
            let certificate = std::fs::read_to_string(&made.token_signing.certificate).unwrap();
            format!("{certificate}{}", pair.public_key().to_pem().unwrap())
        })
    }

    fn der() -> &'static [Vec<u8>] {
        static DER: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
        DER.get_or_init(|| {
            let sections: Result<Vec<(SectionKind, Vec<u8>)>, _> =
                PemObject::pem_slice_iter(sample().as_bytes()).collect();
            sections.unwrap().into_iter().map(|(_, der)| der).collect()
        })
    }

    fn armoured(kind: &str, der: &[u8]) -> String {
        format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der))
    }

    /// Changes a byte at some place, and drops or doubles what follows it.
    fn broken(mut bytes: Vec<u8>, at: prop::sample::Index, to: u8, length: usize, double: bool) -> Vec<u8> {
        let at = at.index(bytes.len());
        let end = (at + length).min(bytes.len());
        bytes[at] = to;
        if double {
            let part = bytes[at..end].to_vec();
            bytes.splice(at..at, part);
        } else {
            bytes.drain(at..end);
        }
        bytes
    }

    fn is_sound(keys: &[Jwk]) -> bool {
        let filled = |number: &Option<String>| number.as_ref().is_some_and(|number| !number.is_empty());
        !keys.is_empty() && keys.iter().all(|key| key.kty == "RSA" && filled(&key.n) && filled(&key.e))
    }

    #[test]
    fn the_sample_is_two_times_the_same_key() {
        let keys = parse(sample().as_bytes()).unwrap();
        assert!(is_sound(&keys) && keys.len() == 2 && keys[0].n == keys[1].n);
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_key(bytes: Vec<u8>) {
            prop_assert!(parse(&bytes).is_err());
        }

        #[test]
        fn any_der_is_no_key(der: Vec<u8>, certificate: bool) {
            let kind = if certificate { "CERTIFICATE" } else { "PUBLIC KEY" };
            prop_assert!(parse(armoured(kind, &der).as_bytes()).is_err());
        }

        #[test]
        fn broken_pem_is_refused_or_still_holds_keys(at: prop::sample::Index, to: u8, length in 0_usize..40, double: bool) {
            let bytes = broken(sample().as_bytes().to_vec(), at, to, length, double);
            prop_assert!(parse(&bytes).is_ok_and(|keys| is_sound(&keys)) || parse(&bytes).is_err());
        }

        /// What is inside of the armour is broken, where PEM itself is good.
        #[test]
        fn broken_der_is_refused_or_still_holds_a_key(which in 0_usize..2, at: prop::sample::Index, to: u8, length in 0_usize..8, double: bool) {
            let kind = ["CERTIFICATE", "PUBLIC KEY"][which];
            let text = armoured(kind, &broken(der()[which].clone(), at, to, length, double));
            let found = parse(text.as_bytes());
            prop_assert!(found.as_ref().is_ok_and(|keys| is_sound(keys) && keys.len() == 1) || found.is_err(), "{:?}", found);
        }
    }
}
