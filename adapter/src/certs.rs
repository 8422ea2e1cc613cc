//! Certificates for development, made on first use: an authority, one leaf for the adapter, one for the router, and the
//! key that signs tokens.
//!
//! Must never replace a key that is still good, and must never be what a production set-up runs on: whoever can read the
//! folder can be any of the parties.

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use jwt_simple::prelude::RS256KeyPair;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256,
};
use time::{Duration, OffsetDateTime};
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;

const LIFETIME: Duration = Duration::days(825);
/// A certificate this close to its end is replaced at start, so that a long run does not outlive it.
const RENEW_BEFORE: Duration = Duration::days(30);
/// Clocks of containers and machines differ.
const BACKDATE: Duration = Duration::hours(1);
const RSA_BITS: usize = 2048;

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevelopmentCertificates {
    /// Certificate of the authority.
    pub ca: PathBuf,
    /// The adapter's: server and client.
    pub adapter: KeyPairFiles,
    /// The router's: server and client.
    pub router: KeyPairFiles,
    /// RSA key (PKCS #8) that signs tokens, and a certificate with its public key.
    pub token_signing: KeyPairFiles,
}

/// A certificate and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPairFiles {
    /// PEM file of the certificate.
    pub certificate: PathBuf,
    /// PEM file of the key.
    pub key: PathBuf,
}

impl KeyPairFiles {
    fn new(folder: &Path, name: &str) -> Self {
        Self { certificate: folder.join(format!("{name}.pem")), key: folder.join(format!("{name}.key")) }
    }

    fn exist(&self) -> bool {
        self.certificate.exists() && self.key.exists()
    }
}

/// Why there are no development certificates.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// A file cannot be read or written.
    #[error("cannot {action} {}: {source} (fix: make the folder writable for the adapter, or configure own certificates)", path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what this module wrote.
    #[error("{} cannot be used: {reason} (fix: delete it, and a new one is made)", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The cryptography library refused.
    #[error("cannot make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
    /// The signing key cannot be made.
    #[error("cannot make a token signing key: {0}")]
    SigningKey(String),
}

/// Makes what is missing or about to expire in `folder`, keeps the rest, and says where everything is.
///
/// # Errors
/// When a file cannot be read or written, or an existing one cannot be used.
pub fn ensure(folder: &Path) -> Result<DevelopmentCertificates, CertError> {
    ensure_for(folder, &[])
}

/// The same for an adapter that is reached by further `names` too: its certificate is replaced if it lacks one of them.
///
/// # Errors
/// When a file cannot be read or written, or an existing one cannot be used.
pub fn ensure_for(folder: &Path, names: &[String]) -> Result<DevelopmentCertificates, CertError> {
    create_folder(folder)?;
    let authority = KeyPairFiles::new(folder, "ca");
    let adapter = KeyPairFiles::new(folder, "adapter");
    let router = KeyPairFiles::new(folder, "router");
    let token_signing = KeyPairFiles::new(folder, "token-signing");
    let kept = authority.exist() && still_good(&authority.certificate)?;
    if !kept {
        make_authority(&authority)?;
    }
    let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
    let adapter_names = [own(ADAPTER_NAMES), names.to_vec()].concat();
    for (files, name, names) in [(&adapter, "adapter", adapter_names), (&router, "router", own(ROUTER_NAMES))] {
        let good = kept && files.exist() && still_good(&files.certificate)? && has_names(&files.certificate, &names)?;
        if !good {
            make_leaf(files, &authority, name, names)?;
        }
    }
    if !(token_signing.exist() && still_good(&token_signing.certificate)?) {
        make_token_signing(&token_signing)?;
    }
    Ok(DevelopmentCertificates { ca: authority.certificate, adapter, router, token_signing })
}

const ADAPTER_NAMES: &[&str] = &["localhost", "127.0.0.1", "::1", "adapter", "enforcer"];
const ROUTER_NAMES: &[&str] = &["localhost", "127.0.0.1", "::1", "router"];

fn first_pem(certificate: &Path) -> Result<Pem, CertError> {
    let unusable = |reason: String| CertError::Unusable { path: certificate.to_owned(), reason };
    Pem::iter_from_buffer(&read(certificate)?)
        .next()
        .ok_or_else(|| unusable("it holds no PEM".to_owned()))?
        .map_err(|error| unusable(error.to_string()))
}

/// Whether the certificate is for all of these names and addresses.
fn has_names(certificate: &Path, names: &[String]) -> Result<bool, CertError> {
    let unusable = |reason: String| CertError::Unusable { path: certificate.to_owned(), reason };
    let pem = first_pem(certificate)?;
    let parsed = pem.parse_x509().map_err(|error| unusable(error.to_string()))?;
    let extension = parsed.subject_alternative_name().map_err(|error| unusable(error.to_string()))?;
    let has = |wanted: &str| {
        let mut names = extension.iter().flat_map(|extension| &extension.value.general_names);
        names.any(|name| match (name, wanted.parse::<IpAddr>()) {
            (GeneralName::DNSName(name), Err(_)) => *name == wanted,
            (GeneralName::IPAddress(bytes), Ok(IpAddr::V4(address))) => *bytes == address.octets(),
            (GeneralName::IPAddress(bytes), Ok(IpAddr::V6(address))) => *bytes == address.octets(),
            _ => false,
        })
    };
    Ok(names.iter().all(|name| has(name)))
}

fn still_good(certificate: &Path) -> Result<bool, CertError> {
    let unusable = |reason: String| CertError::Unusable { path: certificate.to_owned(), reason };
    let pem = first_pem(certificate)?;
    let parsed = pem.parse_x509().map_err(|error| unusable(error.to_string()))?;
    let left = parsed.validity().not_after.timestamp().saturating_sub(OffsetDateTime::now_utc().unix_timestamp());
    if left > RENEW_BEFORE.whole_seconds() {
        return Ok(true);
    }
    tracing::warn!(certificate = %certificate.display(), "development certificate has expired or soon will; making a new one");
    Ok(false)
}

fn make_authority(files: &KeyPairFiles) -> Result<(), CertError> {
    let mut params = params(&format!("Tollgate development CA {:08x}", random()?), Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    write_pair(files, &issuer.pem(), &issuer.key().serialize_pem())
}

fn make_leaf(files: &KeyPairFiles, authority: &KeyPairFiles, name: &str, names: Vec<String>) -> Result<(), CertError> {
    let key = KeyPair::from_pem(&read_text(&authority.key)?)
        .map_err(|error| CertError::Unusable { path: authority.key.clone(), reason: error.to_string() })?;
    let issuer = Issuer::from_ca_cert_pem(&read_text(&authority.certificate)?, key)
        .map_err(|error| CertError::Unusable { path: authority.certificate.clone(), reason: error.to_string() })?;
    let mut params = params(&format!("Tollgate development {name}"), names)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    write_pair(files, &certificate.pem(), &key.serialize_pem())
}

/// The key is kept when there is one, so that tokens that are out stay valid.
fn make_token_signing(files: &KeyPairFiles) -> Result<(), CertError> {
    let key = if files.key.exists() {
        read_text(&files.key)?
    } else {
        let pair = RS256KeyPair::generate(RSA_BITS).map_err(|error| CertError::SigningKey(error.to_string()))?;
        pair.to_pem().map_err(|error| CertError::SigningKey(error.to_string()))?
    };
    let pair = KeyPair::from_pkcs8_pem_and_sign_algo(&key, &PKCS_RSA_SHA256)
        .map_err(|error| CertError::Unusable { path: files.key.clone(), reason: error.to_string() })?;
    let mut params = params("Tollgate development token signing", vec!["localhost".to_owned()])?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let certificate = params.self_signed(&pair)?;
    write_pair(files, &certificate.pem(), &key)
}

fn params(common_name: &str, names: Vec<String>) -> Result<CertificateParams, CertError> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    let now = OffsetDateTime::now_utc();
    params.not_before = now.saturating_sub(BACKDATE);
    params.not_after = now.saturating_add(LIFETIME);
    Ok(params)
}

fn random() -> Result<u32, CertError> {
    getrandom::u32().map_err(|error| CertError::SigningKey(error.to_string()))
}

/// The key first: a certificate without its key is made anew, a key without its certificate is only half the work.
fn write_pair(files: &KeyPairFiles, certificate: &str, key: &str) -> Result<(), CertError> {
    write(&files.key, key)?;
    write(&files.certificate, certificate)?;
    tracing::info!(certificate = %files.certificate.display(), "made a development certificate");
    Ok(())
}

/// Writes a temporary file next to the target and renames it, so that no reader ever sees half a file.
fn write(path: &Path, text: &str) -> Result<(), CertError> {
    let failed = |source| CertError::File { action: "write", path: path.to_owned(), source };
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = PathBuf::from(name);
    let mut file = private_file(&temporary).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&temporary, path).map_err(failed)
}

fn private_file(path: &Path) -> io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn create_folder(path: &Path) -> Result<(), CertError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| CertError::File { action: "write", path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Vec<u8>, CertError> {
    std::fs::read(path).map_err(|source| CertError::File { action: "read", path: path.to_owned(), source })
}

fn read_text(path: &Path) -> Result<String, CertError> {
    std::fs::read_to_string(path).map_err(|source| CertError::File { action: "read", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_keeps_every_byte() {
        let folder = tempfile::tempdir().unwrap();
        let made = ensure(folder.path()).unwrap();
        let bytes = || {
            let mut files: Vec<_> =
                std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
            files.sort();
            files.iter().map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>()
        };
        let before = bytes();
        assert_eq!(before.len(), 8);
        assert_eq!(ensure(folder.path()).unwrap(), made);
        assert_eq!(bytes(), before);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_keys() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let made = ensure(&folder.path().join("certificates")).unwrap();
        for key in [made.adapter.key, made.router.key, made.token_signing.key] {
            assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn what_is_missing_is_made_again_and_the_signing_key_stays() {
        let folder = tempfile::tempdir().unwrap();
        let made = ensure(folder.path()).unwrap();
        let (ca, key) = (std::fs::read(&made.ca).unwrap(), std::fs::read(&made.token_signing.key).unwrap());
        let router = std::fs::read(&made.router.certificate).unwrap();
        std::fs::remove_file(&made.router.key).unwrap();
        std::fs::remove_file(&made.token_signing.certificate).unwrap();
        ensure(folder.path()).unwrap();
        assert_eq!(std::fs::read(&made.ca).unwrap(), ca);
        assert_eq!(std::fs::read(&made.token_signing.key).unwrap(), key);
        assert_ne!(std::fs::read(&made.router.certificate).unwrap(), router);
        assert!(made.token_signing.exist());
    }

    #[test]
    fn the_adapter_gets_names_that_it_lacks_and_keeps_those_that_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let made = ensure(folder.path()).unwrap();
        let read = || (std::fs::read(&made.adapter.certificate).unwrap(), std::fs::read(&made.ca).unwrap());
        let before = read();
        let names = ["adapter.example".to_owned(), "192.0.2.1".to_owned(), "2001:db8::1".to_owned()];
        ensure_for(folder.path(), &names).unwrap();
        let after = read();
        assert_ne!(after.0, before.0);
        assert_eq!(after.1, before.1);
        assert!(has_names(&made.adapter.certificate, &names).unwrap());
        assert!(!has_names(&made.router.certificate, &names).unwrap());
        // Without being asked for them they stay.
        ensure(folder.path()).unwrap();
        assert_eq!(read(), after);
    }

    #[test]
    fn a_file_that_is_no_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let made = ensure(folder.path()).unwrap();
        std::fs::write(&made.adapter.certificate, "nonsense").unwrap();
        let error = ensure(folder.path()).unwrap_err().to_string();
        assert!(error.contains("adapter.pem") && error.contains("fix:"), "{error}");
    }
}
