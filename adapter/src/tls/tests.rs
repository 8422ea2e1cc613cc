use std::net::SocketAddr;

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use warp::Filter;

use super::*;
use crate::certs::{self, DevelopmentCertificates, KeyPairFiles};

struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

async fn start(certificates: &DevelopmentCertificates, client_ca: Option<&Path>) -> Server {
    let tls = server_config(&certificates.adapter.certificate, &certificates.adapter.key, client_ca).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let service = warp::service(warp::path("hello").map(|| "world"));
    let task = tokio::spawn(serve(listener, tls, service, shutdown.clone()));
    Server { address, shutdown, task }
}

/// What `GET /hello` answers over the named protocol, or why not.
async fn get(
    address: SocketAddr,
    ca: &Path,
    client: Option<&KeyPairFiles>,
    protocol: &str,
) -> Result<(http::StatusCode, String), Box<dyn std::error::Error>> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted_certificates(ca)? {
        roots.add(certificate)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some(files) => {
            builder.with_client_auth_cert(certificates(&files.certificate, "test")?, private_key(&files.key)?)?
        }
    };
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost")?;
    let stream = TokioIo::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await?);
    let request = http::Request::get("https://localhost/hello").body(Empty::<bytes::Bytes>::new())?;
    let response = if protocol == "h2" {
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    };
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8(body.to_vec())?))
}

#[tokio::test]
async fn both_protocols_are_served_and_the_stop_is_obeyed() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = certs::ensure(folder.path()).unwrap();
    let server = start(&certificates, None).await;
    for protocol in ["http/1.1", "h2"] {
        let (status, body) = get(server.address, &certificates.ca, None, protocol).await.unwrap();
        assert_eq!((status.as_u16(), body.as_str()), (200, "world"), "{protocol}");
    }
    server.shutdown.cancel();
    server.task.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_client_without_a_certificate_of_the_authority_is_turned_away() {
    let folder = tempfile::tempdir().unwrap();
    let ours = certs::ensure(&folder.path().join("ours")).unwrap();
    let foreign = certs::ensure(&folder.path().join("foreign")).unwrap();
    let server = start(&ours, Some(&ours.ca)).await;
    for protocol in ["http/1.1", "h2"] {
        assert!(get(server.address, &ours.ca, None, protocol).await.is_err(), "no certificate, {protocol}");
        assert!(get(server.address, &ours.ca, Some(&foreign.router), protocol).await.is_err(), "foreign, {protocol}");
        let (status, _) = get(server.address, &ours.ca, Some(&ours.router), protocol).await.unwrap();
        assert_eq!(status, 200, "{protocol}");
    }
}

#[test]
fn errors_name_the_file_and_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let made = certs::ensure(&folder.path().join("made")).unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let missing = folder.path().join("missing.pem");
    let folder_without_files = folder.path().join("none");
    std::fs::create_dir(&folder_without_files).unwrap();
    let (certificate, key) = (&made.adapter.certificate, &made.adapter.key);
    let check = |certificate: &Path, key: &Path, ca: Option<&Path>, named: &Path| {
        let error = server_config(certificate, key, ca).unwrap_err().to_string();
        assert!(error.contains(&named.display().to_string()) && error.contains("fix:"), "{error}");
    };
    check(&missing, key, None, &missing);
    check(&empty, key, None, &empty);
    check(certificate, &missing, None, &missing);
    check(certificate, &empty, None, &empty);
    check(certificate, &made.router.key, None, &made.router.key);
    check(certificate, key, Some(&missing), &missing);
    check(certificate, key, Some(&folder_without_files), &folder_without_files);
}
