//! What the gateway speaks with clients and backends, below the requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType,
};
use reqwest::{Client, Identity, Version};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::json;
use tempfile::TempDir;
use tollgate_tests::http::{Answer, client_with};
use tollgate_tests::{ApiProject, Backend, Gateway, Settings, eventually};

/// An authority that issues certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        // Leaves have the default name, and a certificate whose issuer has its own name would count as self-signed.
        // And no two authorities have one name, since they are found by it.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("Authority {} of a test", COUNT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// What a backend listens with: a certificate for `host`, and the authorities of clients that it demands.
    pub(crate) fn server(&self, host: &str, clients: Option<&str>, alpn: &[&str]) -> Result<ServerConfig> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![host.to_owned()])?.signed_by(&key, &self.0)?;
        listening(&certificate, &key, clients, alpn)
    }

    /// Certificate and key of a workload with that identity, as PEM.
    pub(crate) fn workload(&self, id: &str) -> Result<(String, String)> {
        let key = KeyPair::generate()?;
        Ok((workload(id)?.signed_by(&key, &self.0)?.pem(), key.serialize_pem()))
    }

    /// What a workload with that identity listens with, for those whom `clients` has issued certificates.
    pub(crate) fn member(&self, id: &str, clients: &str) -> Result<ServerConfig> {
        let key = KeyPair::generate()?;
        let certificate = workload(id)?.signed_by(&key, &self.0)?;
        listening(&certificate, &key, Some(clients), &[])
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

fn workload(id: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.subject_alt_names.push(SanType::URI(id.try_into()?));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn listening(certificate: &Certificate, key: &KeyPair, clients: Option<&str>, alpn: &[&str]) -> Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(pem.as_bytes())?)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    let mut config = builder.with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
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

/// The gateway shows its own certificate to backends that ask, and speaks to nobody whose certificate is not good for the
/// host.
#[tokio::test(flavor = "multi_thread")]
async fn backends_are_recognised_and_recognise_the_gateway() -> Result<()> {
    let (authority, stranger) = (Authority::new()?, Authority::new()?);
    let folder = TempDir::new()?;
    let trusted = folder.path().join("backends.pem");
    std::fs::write(&trusted, authority.pem())?;
    let extra = format!("[router.upstream.tls]\ntrustedCertPath = '{}'\n", trusted.display());
    let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await?;
    let router = std::fs::read_to_string(gateway.adapter.state().join("certificates/ca.pem"))?;

    let good = Some(router.as_str());
    let other = stranger.pem();
    for (name, tls, http2, expected) in [
        ("Good", authority.server("127.0.0.1", None, &[])?, false, Some(Version::HTTP_11)),
        ("Mutual", authority.server("127.0.0.1", good, &["http/1.1"])?, false, Some(Version::HTTP_11)),
        ("Second", authority.server("127.0.0.1", good, &["http/1.1", "h2"])?, true, Some(Version::HTTP_2)),
        ("First", authority.server("127.0.0.1", None, &["http/1.1"])?, true, None),
        ("Unknown", stranger.server("127.0.0.1", None, &[])?, false, None),
        ("Misnamed", authority.server("127.0.0.2", None, &[])?, false, None),
        ("Demanding", authority.server("127.0.0.1", Some(&other), &[])?, false, None),
    ] {
        let backend = Backend::with_tls(tls).await?;
        let context = format!("/{}", name.to_lowercase());
        let project = ApiProject::new(name, "1.0.0", &context).production(&backend.url()).unsecured("GET", "/x");
        gateway.adapter.deploy(project.with_extension("x-wso2-http2-backend-enabled", http2).zip()?).await?;
        let answer = eventually("the API is there", async || {
            let answer = gateway.get(&format!("{context}/1.0.0/x"), None).await?;
            ensure!(answer.status != 404, "{name} answers {} {}", answer.status, answer.body);
            Ok(answer)
        })
        .await?;
        let seen: Vec<Version> = backend.seen().iter().map(|request| request.version).collect();
        match expected {
            Some(version) => assert_eq!((answer.status.as_u16(), seen), (200, vec![version]), "{name}"),
            None => {
                assert_eq!((answer.status.as_u16(), seen.len()), (503, 0), "{name}");
                // In TLS 1.3 a gateway learns only after its handshake that its certificate was refused.
                let code = answer.json()["code"].clone();
                assert!(code == "102503" || (name == "Demanding" && code == "102510"), "{name}: {code}");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_without_tls_reaches_a_backend_that_the_api_says_speaks_it() -> Result<()> {
    let gateway = Gateway::start().await?;
    let project = ApiProject::new("Clear", "1.0.0", "/clear").production(&gateway.backend.url()).unsecured("GET", "/x");
    gateway.deploy(&project.with_extension("x-wso2-http2-backend-enabled", true), "/clear/1.0.0/x").await?;
    assert!(gateway.backend.take().iter().all(|request| request.version == Version::HTTP_2));
    Ok(())
}

/// An endpoint that cannot be connected to, and one that answers nothing but 503, are left alone while another is there.
#[tokio::test(flavor = "multi_thread")]
async fn sick_endpoints_are_left_alone_while_there_are_others() -> Result<()> {
    let gateway = Gateway::with(Settings {
        extra: "[router.upstream.outlierDetection]\nconsecutiveFailures = 2\n[router.upstream.health]\ninterval = 1\n"
            .to_owned(),
        workers: 1,
        ..Settings::default()
    })
    .await?;
    let sick = Backend::answering(None, |_| {
        let mut response = hyper::Response::new(bytes::Bytes::new());
        *response.status_mut() = hyper::StatusCode::SERVICE_UNAVAILABLE;
        response
    })
    .await?;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        format!("http://{}", listener.local_addr()?)
    };
    for (name, other) in [("Sick", sick.url()), ("Closed", closed)] {
        let context = format!("/{}", name.to_lowercase());
        let endpoints = json!({ "urls": [other, gateway.backend.url()], "type": "load_balance" });
        let project = ApiProject::new(name, "1.0.0", &context)
            .with_extension("x-wso2-production-endpoints", endpoints)
            .unsecured("GET", "/x");
        gateway.adapter.deploy(project.zip()?).await?;
        let path = format!("{context}/1.0.0/x");
        eventually("only the good endpoint is asked", async || {
            gateway.all_answer(&path, 10, |status| status == 200).await
        })
        .await?;
    }
    assert!(sick.count() >= 2, "it was tried");
    Ok(())
}
