//! Tokens that tell backends who calls. The key that signs them never leaves the adapter.
//!
//! Gateways ask over the feed's server, which knows them by their certificates. They show the credential that a caller has
//! shown them; it is judged anew, and all that the token says comes from it and from the world. So whoever has a gateway's
//! certificate cannot have anything said of callers whose credentials it does not hold. Must never sign claims of others,
//! and never log a credential or a token.

mod claims;
mod keys;
#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tollgate_enforce::{Answer, Answers, Caller, MAX_QUESTIONS, Question, Shown, Timestamp, Unknown, identify};
use tollgate_model::contract::{BackendJwt, BackendJwtRequest};
use tollgate_model::{Api, Jwk, JwkSet, Secret};

use self::keys::Keys;
use super::issuers::Issuers;
use super::settings::BackendJwtSettings;
use crate::model::{World, WorldDirectory, WorldWriter};
use crate::signing::SigningError;

/// How often the key files are looked at. A change is taken when two looks in a row find the same.
const LOOK: Duration = Duration::from_millis(500);
/// Tokens that are made at the same time. More would only take the processor from each other.
const AT_ONCE: usize = 4;

/// Why there is no token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// No API of the gateway's environment.
    #[error("there is no such API in this environment")]
    NoApi,
    /// A filter would refuse the caller, with this code.
    #[error("the credential is refused ({0})")]
    Refused(&'static str),
    /// It cannot be made.
    #[error("{0}")]
    Failed(String),
}

/// Makes the tokens.
#[derive(Debug)]
pub struct Minter {
    settings: BackendJwtSettings,
    world: WorldWriter,
    issuers: Arc<Issuers>,
    keys: RwLock<Arc<Keys>>,
    permits: Semaphore,
}

/// What a look at the world found.
type Found = Result<(Caller, Api), Unmade>;

enum Unmade {
    Unknown(Unknown),
    NoApi,
}

impl Minter {
    /// Reads the keys, and tells the filters by the world that tokens are made with them.
    ///
    /// # Errors
    /// When a key cannot be read or used.
    pub fn start(
        settings: BackendJwtSettings,
        world: WorldWriter,
        issuers: Arc<Issuers>,
    ) -> Result<Arc<Self>, SigningError> {
        let keys = RwLock::new(Arc::new(Keys::load(&settings)?));
        let minter = Self { settings, world, issuers, keys, permits: Semaphore::new(AT_ONCE) };
        minter.announce();
        Ok(Arc::new(minter))
    }

    /// What verifies the tokens.
    #[must_use]
    pub fn published(&self) -> Vec<Jwk> {
        self.keys().published(SystemTime::now()).cloned().collect()
    }

    /// Follows the key files until `shutdown`. Files that cannot be used change nothing.
    pub async fn follow(self: Arc<Self>, shutdown: CancellationToken) {
        let mut seen = self.fingerprint().await;
        let mut last = seen;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sleep(LOOK) => {}
            }
            let now = self.fingerprint().await;
            if now.is_some() && now != seen && now == last {
                seen = now;
                self.reload().await;
            }
            last = now;
        }
    }

    async fn fingerprint(&self) -> Option<[u8; 32]> {
        let settings = self.settings.clone();
        spawn_blocking(move || keys::fingerprint(&settings)).await.ok().flatten()
    }

    async fn reload(&self) {
        let settings = self.settings.clone();
        let loaded = spawn_blocking(move || Keys::load(&settings)).await;
        match loaded.map_err(|error| SigningError::Sign(error.to_string())).and_then(|loaded| loaded) {
            Ok(fresh) => {
                let former = self.keys();
                let fresh = fresh.replacing(&former, SystemTime::now(), self.settings.validity);
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
                self.announce();
                tracing::info!("the keys of the tokens for backends were read again");
            }
            Err(error) => tracing::error!(%error, "new keys of the tokens for backends are refused; the former stay"),
        }
    }

    /// Filters drop what was made with other keys or other settings.
    fn announce(&self) {
        let BackendJwtSettings { dialect, signed, use_kid, validity, .. } = &self.settings;
        let made_with = (self.keys().signer.jwk().clone(), dialect, signed, use_kid, validity);
        let digest = Sha256::digest(format!("{made_with:?}"));
        let revision = hex::encode(digest.get(..8).unwrap_or_default());
        self.world.update(|world| {
            if let Some(told) = &mut world.settings.backend_jwt {
                told.revision = revision;
            }
        });
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The token for the backend of an API, about the caller that has shown this to a gateway of that environment.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn make(&self, environment: &str, request: BackendJwtRequest) -> Result<BackendJwt, NoToken> {
        let failed = |error: &dyn std::fmt::Display| NoToken::Failed(error.to_string());
        let _permit = self.permits.acquire().await.map_err(|error| failed(&error))?;
        let mut keys: Vec<(String, String, JwkSet)> = Vec::new();
        for _ in 0..=MAX_QUESTIONS {
            let (world, environment, request, known) =
                (self.world.current(), environment.to_owned(), request.clone(), keys.clone());
            let look = spawn_blocking(move || look(&world, &environment, &request, known));
            match look.await.map_err(|error| failed(&error))? {
                Ok((caller, api)) => return self.sign(caller, api).await,
                Err(Unmade::NoApi) => return Err(NoToken::NoApi),
                Err(Unmade::Unknown(Unknown::Refused(code))) => return Err(NoToken::Refused(code)),
                Err(Unmade::Unknown(Unknown::Ask(Question::Keys { issuer, kid }))) => {
                    let set = self.issuers.keys(&issuer, &kid).await.unwrap_or_default();
                    keys.push((issuer, kid, set));
                }
                Err(Unmade::Unknown(Unknown::Ask(_))) => break,
            }
        }
        Err(NoToken::Failed("the credential cannot be judged".to_owned()))
    }

    async fn sign(&self, caller: Caller, api: Api) -> Result<BackendJwt, NoToken> {
        let (keys, settings) = (self.keys(), self.settings.clone());
        let signed = spawn_blocking(move || {
            let claims = claims::claims(&settings.dialect, &api, &caller);
            keys.signer.sign_claims(claims::ISSUER, claims, settings.validity, settings.signed)
        });
        let failed = |error: &dyn std::fmt::Display| NoToken::Failed(error.to_string());
        let (token, expires_at) = signed.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        Ok(BackendJwt { token: Secret::from(token), expires_at })
    }
}

/// Who calls. Signatures are checked here, so it must not hold up a thread that others wait for.
fn look(world: &World, environment: &str, request: &BackendJwtRequest, keys: Vec<(String, String, JwkSet)>) -> Found {
    let directory = WorldDirectory::new(world, environment);
    let deployment = directory.deployment(&request.virtual_host, &request.api).ok_or(Unmade::NoApi)?;
    let mut answers = Answers::default();
    for (issuer, kid, set) in keys {
        answers.add(Question::Keys { issuer, kid }, Answer::Keys(set));
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    let shown = Shown {
        usage: request.usage,
        credential: request.credential.expose(),
        certificate: request.certificate.as_deref(),
    };
    let caller = identify(&directory, &answers, now, &deployment.api, shown).map_err(Unmade::Unknown)?;
    Ok((caller, deployment.api.clone()))
}
