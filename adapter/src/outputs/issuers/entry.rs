//! One issuer: where its keys come from, and those it has now.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tollgate_model::{Issuer, Jwk, JwkSet};

use super::cache::KeyCache;
use super::{IssuerError, source};
use crate::model::KeyManager;
use crate::outputs::settings::{KeySource, TokenService};

/// Name of the issuer of test keys, unless a token service has the same `iss`.
pub(super) const TEST_KEYS: &str = "MGW";

#[derive(Debug)]
pub(super) struct Entry {
    /// URLs of its key sets; none for keys that are not fetched.
    pub(super) urls: Vec<String>,
    /// Where the keys come from, for people.
    pub(super) source: String,
    /// Keys that are always there, beside those that are fetched.
    fixed: Vec<Jwk>,
    /// What was last fetched from each URL. One that fails keeps what it had.
    fetched: Mutex<Vec<JwkSet>>,
    current: Mutex<Arc<Issuer>>,
    /// Held while a fetch runs, so that there is never more than one.
    pub(super) fetching: tokio::sync::Mutex<FetchState>,
}

#[derive(Debug, Default)]
pub(super) struct FetchState {
    /// How the last fetch went, if there was one.
    pub(super) succeeded: Option<bool>,
    /// When the last fetch began that an unknown key asked for.
    pub(super) last_question: Option<Instant>,
}

impl Entry {
    pub(super) fn new(service: &TokenService, test_key: Option<&Jwk>, cache: &KeyCache) -> Result<Self, IssuerError> {
        let mut fixed: Vec<Jwk> = test_key.into_iter().cloned().collect();
        let (urls, source, kept) = match &service.keys {
            KeySource::Certificate(path) => {
                let keys = source::read(path).map_err(|reason| IssuerError::Certificate {
                    name: service.name.clone(),
                    path: path.clone(),
                    reason,
                })?;
                // The certificate of the test keys names its key no less than the signer does.
                let known = |key: &Jwk| fixed.iter().any(|known| (&known.n, &known.e) == (&key.n, &key.e));
                let new: Vec<Jwk> = keys.into_iter().filter(|key| !known(key)).collect();
                fixed.extend(new);
                (Vec::new(), path.display().to_string(), Vec::new())
            }
            KeySource::Inline(keys) => {
                fixed.extend(keys.keys.iter().cloned());
                (Vec::new(), "configuration".to_owned(), Vec::new())
            }
            KeySource::JwkSets(urls) => {
                let kept = urls.iter().map(|url| cache.load(&service.issuer, url).unwrap_or_default());
                (urls.clone(), urls.join(" "), kept.collect())
            }
        };
        // Who asks for a key names the issuer by its `iss`.
        let refreshable = !urls.is_empty() && !service.issuer.is_empty();
        let fetched = Mutex::new(kept);
        let entry = Self { urls, source, fixed, fetched, ..Self::of(&service.name, &service.issuer) };
        let keys = entry.all_keys();
        let issuer = Issuer {
            keys,
            refreshable,
            consumer_key_claim: service.consumer_key_claim.clone(),
            scopes_claim: service.scopes_claim.clone(),
            algorithms: service.algorithms.clone(),
            audiences: service.audiences.clone(),
            claim_mapping: service.claim_mapping.clone(),
            certificate_bound_tokens: service.certificate_bound_tokens,
            validate_subscription: service.validate_subscription,
            ..Issuer::clone(&entry.issuer())
        };
        *entry.lock() = Arc::new(issuer);
        Ok(entry)
    }

    pub(super) fn of_test_keys(issuer: &str, key: &Jwk) -> Self {
        let entry = Self { source: "test keys".to_owned(), fixed: vec![key.clone()], ..Self::of(TEST_KEYS, issuer) };
        let keys = entry.all_keys();
        *entry.lock() = Arc::new(Issuer { keys, ..Issuer::clone(&entry.issuer()) });
        entry
    }

    /// An issuer that was registered in API Manager. Its tokens are good for what their application has subscribed to.
    pub(super) fn of_key_manager(manager: &KeyManager, cache: &KeyCache) -> Result<Self, String> {
        let fixed = manager.certificate.as_ref().map(|pem| source::parse(pem.as_bytes())).transpose()?;
        let urls: Vec<String> = manager.jwks_url.iter().cloned().collect();
        let kept = urls.iter().map(|url| cache.load(&manager.issuer, url).unwrap_or_default()).collect();
        let source = manager.jwks_url.clone().unwrap_or_else(|| "API Manager".to_owned());
        let (fixed, fetched) = (fixed.unwrap_or_default(), Mutex::new(kept));
        let entry = Self { urls, source, fixed, fetched, ..Self::of(&manager.name, &manager.issuer) };
        let issuer = Issuer {
            keys: entry.all_keys(),
            refreshable: !entry.urls.is_empty(),
            consumer_key_claim: manager.consumer_key_claim.clone(),
            scopes_claim: manager.scopes_claim.clone(),
            claim_mapping: manager.claim_mapping.clone(),
            validate_subscription: true,
            ..Issuer::clone(&entry.issuer())
        };
        *entry.lock() = Arc::new(issuer);
        Ok(entry)
    }

    fn of(name: &str, issuer: &str) -> Self {
        Self {
            urls: Vec::new(),
            source: String::new(),
            fixed: Vec::new(),
            fetched: Mutex::default(),
            current: Mutex::new(Arc::new(Issuer::named(name, issuer))),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn issuer(&self) -> Arc<Issuer> {
        Arc::clone(&self.lock())
    }

    pub(super) fn has(&self, kid: &str) -> bool {
        self.issuer().keys.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// Takes what was fetched from the URL at this position, and gives all keys as they are now.
    pub(super) fn take(&self, position: usize, keys: JwkSet) -> JwkSet {
        if let Some(held) = self.fetched.lock().unwrap_or_else(PoisonError::into_inner).get_mut(position) {
            *held = keys;
        }
        self.all_keys()
    }

    /// Those of every URL, in their order, and those that are always there; each once.
    fn all_keys(&self) -> JwkSet {
        let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys: Vec<Jwk> = Vec::new();
        for key in fetched.iter().flat_map(|set| &set.keys).chain(&self.fixed) {
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        JwkSet { keys }
    }

    /// A panic elsewhere must not lose the keys: every change leaves them whole.
    pub(super) fn lock(&self) -> MutexGuard<'_, Arc<Issuer>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
