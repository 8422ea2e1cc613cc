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
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Jwk>, String> {
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
}
