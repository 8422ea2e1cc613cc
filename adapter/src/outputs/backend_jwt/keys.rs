//! The keys of the tokens for backends: one signs, all are published, and replaced files are taken over while running.
//!
//! A key that signed is published as long as a token of it may be in use. Must never publish a private key.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tollgate_model::Jwk;

use crate::outputs::settings::BackendJwtSettings;
use crate::signing::{SigningError, TokenSigner, load_jwk};

/// Most keys that are published although their files are gone.
const MAX_RETIRED: usize = 16;

/// What tokens are made with now.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub(super) signer: TokenSigner,
    current: Vec<Jwk>,
    retired: Vec<(Jwk, SystemTime)>,
}

impl Keys {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read or used.
    pub(super) fn load(settings: &BackendJwtSettings) -> Result<Self, SigningError> {
        let signer = TokenSigner::load(&settings.signing.key, &settings.signing.certificate)?;
        let signer = if settings.use_kid { signer } else { signer.named_by_thumbprint()? };
        let mut current = vec![signer.jwk().clone()];
        for certificate in &settings.published {
            let jwk = load_jwk(certificate)?;
            if !current.contains(&jwk) {
                current.push(jwk);
            }
        }
        Ok(Self { signer, current, retired: Vec::new() })
    }

    /// Takes the place of others: what they published stays for `validity`.
    pub(super) fn replacing(mut self, former: &Self, now: SystemTime, validity: Duration) -> Self {
        let until = now.checked_add(validity).unwrap_or(now);
        let gone = former.current.iter().map(|jwk| (jwk.clone(), until));
        let all = gone.chain(former.retired.iter().cloned());
        self.retired = all.filter(|(jwk, _)| !self.current.contains(jwk)).take(MAX_RETIRED).collect();
        self
    }

    /// What verifies tokens that are in use.
    pub(super) fn published(&self, now: SystemTime) -> impl Iterator<Item = &Jwk> {
        let retired = self.retired.iter().filter(move |(_, until)| *until >= now).map(|(jwk, _)| jwk);
        self.current.iter().chain(retired)
    }
}

/// Tells one content of the files from the next; `None` while one cannot be read.
pub(super) fn fingerprint(settings: &BackendJwtSettings) -> Option<[u8; 32]> {
    let files = [&settings.signing.key, &settings.signing.certificate];
    let mut digest = Sha256::new();
    for file in files.into_iter().chain(&settings.published) {
        digest.update(contents(file)?);
    }
    Some(digest.finalize().into())
}

fn contents(file: &PathBuf) -> Option<[u8; 32]> {
    Some(Sha256::digest(std::fs::read(file).ok()?).into())
}
