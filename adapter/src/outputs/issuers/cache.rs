//! Keeps fetched key sets in files, one an issuer, so that a restart while the issuer is down does not lose them.
//!
//! Only public keys lie here; whoever may write the folder may already write the adapter's own store.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tollgate_model::JwkSet;

/// A folder of key sets.
#[derive(Debug, Clone)]
pub(super) struct KeyCache {
    folder: PathBuf,
}

impl KeyCache {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The kept keys of an issuer. An unreadable file is reported and counts as none: the keys are about to be fetched.
    pub(super) fn load(&self, issuer: &str, url: &str) -> Option<JwkSet> {
        let path = self.path(issuer, url);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot read kept keys");
                return None;
            }
        };
        serde_json::from_slice(&bytes)
            .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "kept keys cannot be used"))
            .ok()
    }

    /// Keeps the keys of an issuer.
    pub(super) fn store(&self, issuer: &str, url: &str, keys: &JwkSet) -> io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let path = self.path(issuer, url);
        let temporary = path.with_extension("new");
        std::fs::write(&temporary, serde_json::to_vec(keys)?)?;
        std::fs::rename(temporary, path)
    }

    /// The URL is part of the name: keys from a URL that is no longer configured are no longer trusted.
    fn path(&self, issuer: &str, url: &str) -> PathBuf {
        let digest = Sha256::new().chain_update(issuer).chain_update([0]).chain_update(url).finalize();
        self.folder.join(format!("{}.json", hex::encode(digest)))
    }
}
