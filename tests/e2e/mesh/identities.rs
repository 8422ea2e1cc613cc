//! The certificates of a mesh: one authority, and a SPIFFE ID for every workload.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, DnType, ExtendedKeyUsagePurpose, IsCa};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair, SanType};
use serde_json::{Value, json};

/// Trust domain of all workloads.
pub const TRUST_DOMAIN: &str = "cluster.local";

/// Who signs the certificates of workloads, as istiod does.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

/// A workload's certificate, where its proxy finds it.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its SPIFFE ID.
    pub id: String,
    certificate: PathBuf,
    key: PathBuf,
    authority: PathBuf,
}

impl Authority {
    /// A new one, whose files lie in `folder`.
    pub fn new(folder: &Path) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "Authority of a mesh");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let authority = Self { issuer, folder: folder.to_owned() };
        std::fs::write(authority.path(), authority.issuer.pem())?;
        Ok(authority)
    }

    fn path(&self) -> PathBuf {
        self.folder.join("root-cert.pem")
    }

    /// The identity of the service account `account` of `namespace`.
    pub fn identity(&self, namespace: &str, account: &str) -> Result<Identity> {
        let id = format!("spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{account}");
        let mut params = CertificateParams::new(Vec::new())?;
        params.subject_alt_names.push(SanType::URI(id.as_str().try_into()?));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let path = |kind: &str| self.folder.join(format!("{namespace}-{account}.{kind}"));
        let identity = Identity { id, certificate: path("pem"), key: path("key"), authority: self.path() };
        std::fs::write(&identity.certificate, certificate.pem())?;
        std::fs::write(&identity.key, key.serialize_pem())?;
        Ok(identity)
    }
}

impl Identity {
    /// Envoy's TLS context that shows this certificate and accepts those of the authority whose SPIFFE ID fits.
    fn context(&self, san: &Value, alpn: &[&str]) -> Value {
        json!({
            "alpn_protocols": alpn,
            "tls_certificates": [{
                "certificate_chain": { "filename": self.certificate }, "private_key": { "filename": self.key },
            }],
            "validation_context": {
                "trusted_ca": { "filename": self.authority },
                "match_typed_subject_alt_names": [{ "san_type": "URI", "matcher": san }],
            },
        })
    }

    /// What a sidecar accepts connections with: certificates of the trust domain, and no others.
    pub fn downstream(&self) -> Value {
        let san = json!({ "prefix": format!("spiffe://{TRUST_DOMAIN}/") });
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "require_client_certificate": true,
                "common_tls_context": self.context(&san, &["h2", "http/1.1"]),
            },
        })
    }

    /// The same for a proxy whose own certificate is of another authority.
    pub fn upstream_trusting(&self, of: &Self, host: &str, port: u16) -> Value {
        Self { authority: of.authority.clone(), ..self.clone() }.upstream(of, host, port)
    }

    /// What a proxy calls a service with, whose workloads have the identity `of`.
    pub fn upstream(&self, of: &Self, host: &str, port: u16) -> Value {
        json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": format!("outbound_.{port}_._.{host}"),
                "common_tls_context": self.context(&json!({ "exact": of.id }), &["istio"]),
            },
        })
    }
}
