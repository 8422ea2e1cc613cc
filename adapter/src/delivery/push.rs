//! Brings images into a registry, with the credentials that `docker login` left. Must never print one.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};

use super::Image;

/// How long a registry may keep us waiting for the next bytes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why an image is not in the registry.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// It has no such name.
    #[error("'{0}' is not the name of an image: {1}; write for example registry.example/tollgate")]
    Reference(String, String),
    /// The credentials of `docker login` cannot be read.
    #[error("the credentials for {0} cannot be read ({1}); repair Docker's config.json, or `docker login` again")]
    Credentials(String, CredentialRetrievalError),
    /// The authority's certificate cannot be read.
    #[error("{0} cannot be read ({1}); name the PEM file of the registry's authority")]
    Authority(String, std::io::Error),
    /// The registry refused, or is not there.
    #[error("{0} does not take the image ({1}); check the name, and `docker login`")]
    Registry(String, OciDistributionError),
    /// It has something else.
    #[error("{0} answers with the digest {1} instead of {2}: it does not keep what it is given")]
    Changed(String, String, String),
}

/// A registry to push to.
pub struct Registry {
    client: Client,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// A client for it: over HTTPS, unless it speaks plain HTTP. `authority` is a PEM file of a further authority to trust.
    ///
    /// # Errors
    /// When that file cannot be read.
    pub fn new(plain_http: bool, authority: Option<&Path>) -> Result<Self, PushError> {
        // The client is not made without a provider. Somebody else's is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut extra_root_certificates = Vec::new();
        if let Some(path) = authority {
            let data = std::fs::read(path);
            let data = data.map_err(|error| PushError::Authority(path.display().to_string(), error))?;
            extra_root_certificates.push(Certificate { encoding: CertificateEncoding::Pem, data });
        }
        let protocol = if plain_http { ClientProtocol::Http } else { ClientProtocol::Https };
        let config = ClientConfig {
            protocol,
            extra_root_certificates,
            read_timeout: Some(PATIENCE),
            connect_timeout: Some(PATIENCE),
            user_agent: concat!("tollgate/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        Ok(Self { client: Client::new(config) })
    }

    /// Pushes the image, and asks the registry whether it has it.
    ///
    /// # Errors
    /// When it does not.
    pub async fn push(&self, image: &Image, reference: &str) -> Result<(), PushError> {
        let name: Reference =
            reference.parse().map_err(|error| PushError::Reference(reference.to_owned(), format!("{error}")))?;
        let auth = credentials(name.resolve_registry())?;
        let failed = |error| PushError::Registry(reference.to_owned(), error);
        self.client.auth(&name, &auth, RegistryOperation::Push).await.map_err(failed)?;
        self.client.store_auth_if_needed(name.resolve_registry(), &auth).await;
        for blob in &image.blobs {
            // Whatever else is wrong, pushing says it better than asking.
            if !self.client.blob_exists(&name, &blob.digest).await.unwrap_or(false) {
                self.client.push_blob(&name, blob.bytes.clone(), &blob.digest).await.map_err(failed)?;
            }
        }
        let media_type = http::HeaderValue::from_static(image.manifest.media_type);
        self.client.push_manifest_raw(&name, image.manifest.bytes.clone(), media_type).await.map_err(failed)?;
        let digest = self.client.fetch_manifest_digest(&name, &auth).await.map_err(failed)?;
        if digest != image.manifest.digest {
            return Err(PushError::Changed(reference.to_owned(), digest, image.manifest.digest.clone()));
        }
        Ok(())
    }
}

/// What `docker login` left for that registry; nothing where nobody ever logged in.
fn credentials(registry: &str) -> Result<RegistryAuth, PushError> {
    let failed = |error| Err(PushError::Credentials(registry.to_owned(), error));
    let Some(path) = docker_config() else { return Ok(RegistryAuth::Anonymous) };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(RegistryAuth::Anonymous),
        Err(_) => return failed(CredentialRetrievalError::ConfigReadError),
    };
    match docker_credential::get_credential_from_reader(file, registry) {
        Ok(DockerCredential::UsernamePassword(name, password)) => Ok(RegistryAuth::Basic(name, password)),
        Ok(DockerCredential::IdentityToken(token)) => Ok(RegistryAuth::Bearer(token)),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(RegistryAuth::Anonymous),
        Err(error) => failed(error),
    }
}

/// Where Docker keeps them.
fn docker_config() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".docker"));
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from).or_else(home);
    folder.map(|folder| folder.join("config.json"))
}
