//! An authority of its own, what API Manager and its broker show of it, and certificates around keys of issuers.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::rabbitmq::BrokerCertificate;

/// The authority, and a certificate of it for this machine.
#[derive(Debug)]
pub struct Certificates {
    authority: String,
    certificate: String,
    key: String,
}

impl Certificates {
    /// A new authority, with a certificate for `localhost` and 127.0.0.1.
    ///
    /// # Errors
    /// When no random numbers can be had.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new()).context("an authority")?;
        params.distinguished_name.push(DnType::CommonName, "Authority of API Manager");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(params, KeyPair::generate().context("a key")?).context("signing")?;
        let key = KeyPair::generate().context("a key")?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).context("a certificate")?.signed_by(&key, &authority);
        let certificate = certificate.context("signing a certificate")?.pem();
        Ok(Self { authority: authority.pem(), certificate, key: key.serialize_pem() })
    }

    /// The certificate of the authority, for trust stores.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// What the broker listens with.
    #[must_use]
    pub fn broker(&self) -> BrokerCertificate {
        BrokerCertificate { certificate: self.certificate.clone(), key: self.key.clone() }
    }

    pub(super) fn server(&self) -> Result<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).context("the certificate")?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).context("the key")?;
        builder
            .context("TLS")?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .map_err(|error| anyhow!("the certificate of API Manager: {error}"))
    }
}

/// A certificate around the key of an issuer, in PEM.
///
/// # Errors
/// Never for a sound key.
pub fn certificate_of(keys: &crate::token::KeyPair) -> Result<String> {
    let key = KeyPair::from_pem(&keys.private_pem()?).context("reading the key")?;
    let params = CertificateParams::new(vec!["issuer.test".to_owned()]).context("a certificate")?;
    Ok(params.self_signed(&key).context("signing a certificate")?.pem())
}
