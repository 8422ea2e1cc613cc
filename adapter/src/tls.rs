//! TLS for everything the adapter listens with and asks others with: configurations read from files, and the accept loop.
//!
//! Must never fall back to a weaker setting: a file that cannot be used stops the start with an error that names it.

mod accept;
mod doubt;
mod trust;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

pub use accept::{serve, serve_plain};
pub use doubt::advice;
pub use tollgate_project::pem::encode as pem;
pub use trust::{Trust, trusting_config};

/// Why a TLS configuration cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file or folder cannot be read.
    #[error("cannot read {what} {}: {source} (fix: check the path and that the adapter may read it)", path.display())]
    Read {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is no PEM.
    #[error("{what} {} is not valid PEM: {source} (fix: convert it to PEM)", path.display())]
    Pem {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: PemError,
    },
    /// A file or folder holds nothing of the kind that is wanted.
    #[error("{what} {} holds no PEM {wanted} (fix: give a file that has one)", path.display())]
    Empty {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
    },
    /// Certificate and key do not work together.
    #[error(
        "certificate {} and private key {} cannot be used together: {source} (fix: give the key the certificate was issued for)",
        certificate.display(), key.display()
    )]
    Pair {
        /// File of the certificate.
        certificate: PathBuf,
        /// File of the key.
        key: PathBuf,
        /// What rustls said.
        source: rustls::Error,
    },
    /// A trusted certificate cannot be used as one.
    #[error("cannot trust the certificates in {}: {reason} (fix: remove or replace the one at fault)", path.display())]
    Authority {
        /// File or folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The TLS library refused its own settings.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// A server's configuration for HTTP/2 and HTTP/1.1, TLS 1.2 and up.
///
/// With `client_ca`, a PEM file or a folder of them, clients must show a certificate that one of those issued.
///
/// # Errors
/// When a file cannot be read or used.
pub fn server_config(certificate: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(certificate, "certificate")?;
    let private_key = private_key(key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => builder.with_client_cert_verifier(client_verifier(path)?),
    };
    let mut config = builder.with_single_cert(chain, private_key).map_err(|source| TlsError::Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A configuration for clients that trust the system's authorities and those in `extra`.
///
/// # Errors
/// When the extra authorities cannot be used.
pub fn client_config(extra: Option<&Path>) -> Result<ClientConfig, TlsError> {
    client_config_as(extra, None)
}

/// The same for clients that show a certificate (and have its key) when they are asked for one.
///
/// # Errors
/// When a file cannot be used.
pub fn client_config_as(extra: Option<&Path>, identity: Option<(&Path, &Path)>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in system.errors {
        tracing::warn!(%error, "cannot read some of the system's trusted certificates");
    }
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = extra {
        for certificate in trusted_certificates(path)? {
            roots.add(certificate).map_err(TlsError::Setup)?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_root_certificates(roots);
    let Some((certificate, key)) = identity else { return Ok(builder.with_no_client_auth()) };
    let (chain, private) = (certificates(certificate, "certificate")?, private_key(key)?);
    builder.with_client_auth_cert(chain, private).map_err(|source| TlsError::Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    })
}

/// The certificates of a PEM file, or of all PEM files of a folder.
///
/// # Errors
/// When nothing can be read, or a file holds no certificate.
pub fn trusted_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    const WHAT: &str = "truststore";
    let read = |source| TlsError::Read { what: WHAT, path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(read)?.is_dir() {
        return certificates(path, WHAT);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(read)? {
        let file = entry.map_err(read)?.path();
        if file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    let mut all = Vec::new();
    for file in files {
        all.extend(certificates(&file, WHAT)?);
    }
    if all.is_empty() {
        return Err(TlsError::Empty { what: WHAT, path: path.to_owned(), wanted: "certificate" });
    }
    Ok(all)
}

/// The certificates of a PEM file, or of all PEM files of a folder, written anew as one text, so that whoever gets it gets
/// nothing but them.
///
/// # Errors
/// When nothing can be read, or a file holds no certificate.
pub fn trusted_bundle(path: &Path) -> Result<String, TlsError> {
    Ok(trusted_certificates(path)?.iter().map(|certificate| pem(certificate)).collect())
}

fn client_verifier(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let refuse = |reason: String| TlsError::Authority { path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in trusted_certificates(path)? {
        roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| refuse(error.to_string()))
}

fn certificates(path: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = std::fs::read(path).map_err(|source| TlsError::Read { what, path: path.to_owned(), source })?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|source| TlsError::Pem { what, path: path.to_owned(), source })?;
    if found.is_empty() {
        return Err(TlsError::Empty { what, path: path.to_owned(), wanted: "certificate" });
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    const WHAT: &str = "private key";
    let bytes = std::fs::read(path).map_err(|source| TlsError::Read { what: WHAT, path: path.to_owned(), source })?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        PemError::NoItemsFound => TlsError::Empty { what: WHAT, path: path.to_owned(), wanted: "private key" },
        source => TlsError::Pem { what: WHAT, path: path.to_owned(), source },
    })
}

#[cfg(test)]
mod tests;
