//! A connection to a global adapter over mutual TLS. Must never be without TLS, nor believe a certificate of another name.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;
use url::{Host, Url};

use super::{GlobalAdapterSettings, Identity};
use crate::tls::{TlsError, client_config_as};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Between two signs of life. Servers of gRPC for Go hang up on who gives one more often than each five minutes.
const SIGN_OF_LIFE: Duration = Duration::from_secs(330);
const NO_SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It is not there, or not who it should be.
    #[error("no connection: {}", causes(.0))]
    Transport(#[from] tonic::transport::Error),
    /// The address cannot be called.
    #[error("its address cannot be used ({0})")]
    Address(#[from] http::uri::InvalidUri),
}

/// Connects to one global adapter.
pub struct Connector {
    tls: TlsConnector,
    url: Url,
    host: String,
    port: u16,
    name: Option<String>,
}

impl Connector {
    /// To that one, as that adapter.
    ///
    /// # Errors
    /// When certificate, key or authorities cannot be used.
    pub fn new(settings: &GlobalAdapterSettings, identity: &Identity) -> Result<Self, TlsError> {
        let pair = (identity.certificate.as_path(), identity.key.as_path());
        let mut tls = client_config_as(Some(&identity.authorities), Some(pair))?;
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let host = match settings.url.host() {
            Some(Host::Ipv6(address)) => address.to_string(),
            host => host.map(|host| host.to_string()).unwrap_or_default(),
        };
        Ok(Self {
            tls: TlsConnector::from(Arc::new(tls)),
            url: settings.url.clone(),
            host,
            port: settings.url.port_or_known_default().unwrap_or_default(),
            name: settings.certificate_name.clone(),
        })
    }

    /// A connection.
    pub async fn connect(&self) -> Result<Channel, ConnectError> {
        // TLS is added below; the library is told nothing of it.
        let plain = format!("http{}", self.url.as_str().trim_start_matches("https"));
        let endpoint = Endpoint::from_shared(plain)?
            .origin(self.url.as_str().parse()?)
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(SIGN_OF_LIFE)
            .keep_alive_timeout(NO_SIGN_OF_LIFE)
            .keep_alive_while_idle(true);
        let (tls, address) = (self.tls.clone(), (self.host.clone(), self.port));
        let name = self.name.clone().unwrap_or_else(|| self.host.clone());
        let connect = move |_: Uri| {
            let (tls, address, name) = (tls.clone(), address.clone(), name.clone());
            async move {
                let name =
                    ServerName::try_from(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
                let plain = TcpStream::connect(address).await?;
                plain.set_nodelay(true)?;
                Ok::<_, io::Error>(TokioIo::new(tls.connect(name, plain).await?))
            }
        };
        Ok(endpoint.connect_with_connector(service_fn(connect)).await?)
    }
}

/// An error with its causes, which the library hides behind its own text.
fn causes(error: &tonic::transport::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
