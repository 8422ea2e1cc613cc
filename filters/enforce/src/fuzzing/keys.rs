//! A directory with one opaque API key and one service for signed ones, against which any text is shown.

use std::rc::Rc;

use sha2::{Digest, Sha256};
use tollgate_model::contract::CredentialUse;
use tollgate_model::{
    Api, ApiKind, Application, Credential, Cutoff, CutoffKind, Issuer, Jwk, JwkSet, KeyType, LifeCycle, Settings,
    Subscription, SubscriptionState, Tier, TierKind, keys,
};

use crate::token::{PortableVerifier, SignatureVerifier, TokenCache};
use crate::{
    Answers, CompiledApi, CompiledDecisions, CompiledIssuer, CompiledTier, Counter, Directory, Found, Quotas,
    Revocations, Shown, Standing, Stock, Subscribers, Throttle, Timestamp, Unreadable, identify,
};

/// The one key there is.
pub(super) const KEY: &str = "the-only-key";

/// Shows that text as an API key, and says whether somebody is known by it.
pub(super) fn is_known(text: &str) -> bool {
    let shown = Shown { usage: CredentialUse::ApiKey, credential: text, certificate: None };
    let directory = OneKey { issuer: Rc::new(CompiledIssuer::compile(issuer()).0), tokens: TokenCache::default() };
    identify(&directory, &Answers::default(), Timestamp(0), &api(), shown).is_ok()
}

/// Signs API keys with a key whose private half nobody has.
fn issuer() -> Issuer {
    let key = Jwk { kty: "RSA".to_owned(), n: Some("g".repeat(342)), e: Some("AQAB".to_owned()), ..Jwk::default() };
    Issuer { keys: JwkSet { keys: vec![key] }, validate_subscription: true, ..Issuer::named(Issuer::API_KEYS, "") }
}

fn api() -> Api {
    Api {
        id: "api".to_owned(),
        name: "Api".to_owned(),
        version: "1".to_owned(),
        organization: String::new(),
        virtual_host: "localhost".to_owned(),
        base_path: "/api/1".to_owned(),
        default_base_path: None,
        kind: ApiKind::Http,
        life_cycle: LifeCycle::Published,
        authorization_header: None,
        tier: None,
        mutual_ssl: None,
        graphql: None,
        endpoints: Vec::new(),
        production: None,
        sandbox: None,
        cors: None,
        resources: Vec::new(),
    }
}

struct OneKey {
    issuer: Rc<CompiledIssuer>,
    tokens: TokenCache,
}

impl Subscribers for OneKey {
    fn credential(&self, key: &[u8]) -> Found<Credential> {
        let known = keys::opaque_key(&Sha256::digest(KEY).into()) == key;
        let credential = Credential::of("app".to_owned(), KeyType::Production);
        Ok(known.then(|| Rc::new(credential)))
    }

    fn application(&self, uuid: &str) -> Found<Application> {
        let tier = Tier::UNLIMITED.to_owned();
        let application = Application { uuid: uuid.to_owned(), tier, ..Application::default() };
        Ok((uuid == "app").then(|| Rc::new(application)))
    }

    fn subscription(&self, _: &[u8]) -> Found<Subscription> {
        let tier = Tier::UNLIMITED.to_owned();
        Ok(Some(Rc::new(Subscription { state: SubscriptionState::Unblocked, tier })))
    }

    fn tier(&self, _: TierKind, _: &str) -> Found<Tier> {
        Ok(None)
    }

    fn advanced(&self, _: TierKind, _: &str) -> Found<CompiledTier> {
        Ok(None)
    }

    fn decisions(&self, _: &str) -> Found<CompiledDecisions> {
        Ok(None)
    }
}

impl Revocations for OneKey {
    fn is_revoked(&self, _: &str) -> Result<bool, Unreadable> {
        Ok(false)
    }

    fn cutoff(&self, _: CutoffKind, _: &str) -> Found<Cutoff> {
        Ok(None)
    }
}

impl Quotas for OneKey {
    fn standing(&self, _: &Counter, _: Timestamp) -> Option<Standing> {
        None
    }

    fn stock(&self, _: &Counter, _: Timestamp) -> Stock {
        Stock::Lost
    }
}

impl Directory for OneKey {
    fn settings(&self) -> Option<Rc<Settings>> {
        Some(Rc::default())
    }

    fn has_virtual_host(&self, _: &[u8]) -> bool {
        false
    }

    fn route(&self, _: &[u8], _: &[u8]) -> Result<Option<Rc<str>>, Unreadable> {
        Ok(None)
    }

    fn api(&self, _: &[u8], _: &str) -> Result<Option<Rc<CompiledApi>>, Unreadable> {
        Ok(None)
    }

    fn issuer(&self, _: &str) -> Option<Rc<CompiledIssuer>> {
        None
    }

    fn issuer_named(&self, name: &str) -> Option<Rc<CompiledIssuer>> {
        (name == self.issuer.name()).then(|| Rc::clone(&self.issuer))
    }

    fn tokens(&self) -> &TokenCache {
        &self.tokens
    }

    fn verifier(&self) -> &dyn SignatureVerifier {
        &PortableVerifier
    }

    fn throttle(&self) -> Rc<Throttle> {
        Rc::default()
    }

    fn quotas(&self) -> &dyn Quotas {
        self
    }
}
