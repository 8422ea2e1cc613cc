//! What the gateway speaks with clients and backends, below the requests.

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use reqwest::{Client, Identity};
use tempfile::TempDir;
use tollgate_tests::http::{Answer, client_with};
use tollgate_tests::{ApiProject, Gateway, Settings};

/// An authority that issues certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        // Leaves have the default name, and a certificate whose issuer has its own name would count as self-signed.
        params.distinguished_name.push(DnType::CommonName, "Authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key of a client.
    fn client(&self) -> Result<Identity> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Identity::from_pem(format!("{}{}", certificate.pem(), key.serialize_pem()).as_bytes())?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_may_show_certificates_and_bad_ones_end_the_connection() -> Result<()> {
    let (authority, stranger) = (Authority::new()?, Authority::new()?);
    let folder = TempDir::new()?;
    let trusted = folder.path().join("clients.pem");
    std::fs::write(&trusted, authority.pem())?;
    let extra = format!("[router.downstream.tls]\nmTLSAPIsEnabled = true\ntrustedCertPath = '{}'\n", trusted.display());
    let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await?;
    let project =
        ApiProject::new("Certified", "1.0.0", "/certified").production(&gateway.backend.url()).unsecured("GET", "/x");
    gateway.deploy(&project, "/certified/1.0.0/x").await?;
    gateway.backend.forget();

    let call = async |client: Client| {
        let request = client.get(gateway.secure_url("/certified/1.0.0/x"));
        Answer::of(request.header("x-forwarded-client-cert", "Hash=forged")).await
    };
    assert_eq!(call(client_with(|builder| builder)?).await?.status, 200, "nobody must show one");
    let known = authority.client()?;
    assert_eq!(call(client_with(|builder| builder.identity(known))?).await?.status, 200);
    let unknown = stranger.client()?;
    assert!(call(client_with(|builder| builder.identity(unknown))?).await.is_err(), "a bad one is worse than none");
    let seen = gateway.backend.take();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|request| !request.headers.contains_key("x-forwarded-client-cert")));
    Ok(())
}
