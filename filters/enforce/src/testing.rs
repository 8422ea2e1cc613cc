//! A directory and a verifier for unit tests.

use std::collections::HashMap;
use std::rc::Rc;

use tollgate_model::{
    Algorithm, Api, ApiKind, Application, Backend, Credential, Cutoff, CutoffKind, Decisions, Interceptors, Issuer,
    Jwk, JwkSet, LifeCycle, Operation, Resource, Security, Settings, Subscription, Tier, TierKind,
};

use crate::token::{
    Claims, Jws, PortableVerifier, SignatureVerifier, TokenCache, TokenType, Usage, Verdict, VerificationKey,
    VerifiedToken,
};
use crate::{
    CompiledApi, CompiledDecisions, CompiledIssuer, CompiledTier, Connection, Counter, Directory, Found, Quotas,
    Revocations, Standing, Stock, Subscribers, Throttle, Timestamp, Unreadable, Verdicts,
};

pub(crate) fn issuer() -> Issuer {
    Issuer {
        algorithms: Algorithm::ALL.to_vec(),
        keys: JwkSet { keys: vec![jwk("known")] },
        refreshable: true,
        ..Issuer::named("test", "https://issuer.example")
    }
}

/// A key no signature is ever checked against: see [`SignatureIsKeyId`].
pub(crate) fn jwk(kid: &str) -> Jwk {
    Jwk {
        kty: "RSA".to_owned(),
        kid: Some(kid.to_owned()),
        n: Some("g".repeat(342)),
        e: Some("AQAB".to_owned()),
        ..Jwk::default()
    }
}

pub(crate) fn claims() -> Claims {
    Claims {
        subject: None,
        token_id: "id".to_owned(),
        expires_at: 0,
        not_before: None,
        issued_at: None,
        consumer_key: None,
        scopes: Vec::new(),
        key_type: None,
        token_type: TokenType::Unsaid,
        subscribed_apis: None,
        permitted_addresses: None,
        permitted_referers: None,
        certificate: None,
        holder: None,
    }
}

pub(crate) fn verified(raw: &str) -> Rc<VerifiedToken> {
    let issuer = Rc::new(CompiledIssuer::compile(issuer()).0);
    Rc::new(VerifiedToken { claims: claims(), usage: Usage::AccessToken, raw: raw.into(), issuer })
}

/// A connection as a test wants it.
#[derive(Debug, Default)]
pub(crate) struct TestConnection {
    pub(crate) certificate: Option<String>,
    pub(crate) principal: Option<String>,
    pub(crate) peer: Option<String>,
}

impl Connection for TestConnection {
    fn certificate_digest(&self) -> Option<String> {
        self.certificate.clone()
    }

    fn principal(&self) -> Option<String> {
        self.principal.clone()
    }

    fn peer(&self) -> Option<String> {
        self.peer.clone()
    }

    fn protocol(&self) -> Option<String> {
        Some("HTTP/1.1".to_owned())
    }
}

pub(crate) fn operation(method: &str, security: Security) -> Operation {
    Operation {
        method: method.to_owned(),
        security,
        tier: None,
        cost: None,
        mock: None,
        interceptors: Interceptors::default(),
        policies: None,
    }
}

pub(crate) fn token_with(scopes: &[&str]) -> Security {
    Security::OAuth2 { scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect() }
}

pub(crate) fn resource(template: &str, operations: Vec<Operation>) -> Resource {
    Resource { template: template.to_owned(), production: None, sandbox: None, uri_mapping: None, operations }
}

pub(crate) fn backend(cluster: &str, base_path: &str) -> Backend {
    Backend {
        cluster: cluster.to_owned(),
        base_path: base_path.to_owned(),
        timeout_ms: None,
        retry: None,
        authorization: None,
    }
}

pub(crate) fn api() -> Api {
    Api {
        id: "pets".to_owned(),
        name: "Pets".to_owned(),
        version: "1.0".to_owned(),
        organization: "carbon.super".to_owned(),
        virtual_host: "localhost".to_owned(),
        base_path: "/pets/1.0".to_owned(),
        default_base_path: Some("/pets".to_owned()),
        kind: ApiKind::Http,
        life_cycle: LifeCycle::Published,
        authorization_header: None,
        tier: None,
        mutual_ssl: None,
        graphql: None,
        endpoints: Vec::new(),
        production: Some(backend("prod", "/v2")),
        sandbox: None,
        cors: None,
        resources: vec![
            resource(
                "/pet/{id}",
                vec![operation("GET", token_with(&[])), operation("DELETE", token_with(&["write", "admin"]))],
            ),
            resource("/admin", vec![operation("GET", token_with(&[]))]),
            resource("/public/*", vec![operation("GET", Security::Unsecured)]),
        ],
    }
}

/// Tables of subscribers by key, and what was revoked.
#[derive(Debug, Default)]
pub(crate) struct TestSubscribers {
    pub(crate) credentials: HashMap<Vec<u8>, Credential>,
    pub(crate) applications: HashMap<String, Application>,
    pub(crate) subscriptions: HashMap<Vec<u8>, Subscription>,
    pub(crate) tiers: HashMap<(TierKind, String), Tier>,
    pub(crate) revoked: Vec<String>,
    pub(crate) cutoffs: HashMap<(CutoffKind, String), Cutoff>,
    /// By throttle key.
    pub(crate) decisions: HashMap<String, Decisions>,
    /// Whatever is there cannot be read.
    pub(crate) unreadable: bool,
}

impl TestSubscribers {
    fn found<T: Clone>(&self, entry: Option<&T>) -> Found<T> {
        if self.unreadable && entry.is_some() { Err(Unreadable) } else { Ok(entry.cloned().map(Rc::new)) }
    }
}

impl Subscribers for TestDirectory {
    fn credential(&self, key: &[u8]) -> Found<Credential> {
        self.subscribers.found(self.subscribers.credentials.get(key))
    }

    fn application(&self, uuid: &str) -> Found<Application> {
        self.subscribers.found(self.subscribers.applications.get(uuid))
    }

    fn subscription(&self, key: &[u8]) -> Found<Subscription> {
        self.subscribers.found(self.subscribers.subscriptions.get(key))
    }

    fn tier(&self, kind: TierKind, name: &str) -> Found<Tier> {
        self.subscribers.found(self.subscribers.tiers.get(&(kind, name.to_owned())))
    }

    fn advanced(&self, kind: TierKind, name: &str) -> Found<CompiledTier> {
        let tier = self.tier(kind, name)?;
        tier.map(|tier| CompiledTier::try_from(Tier::clone(&tier)).map(Rc::new)).transpose().map_err(|_| Unreadable)
    }

    fn decisions(&self, key: &str) -> Found<CompiledDecisions> {
        let decisions = self.subscribers.found(self.subscribers.decisions.get(key))?;
        let compile = |decisions: Rc<Decisions>| CompiledDecisions::try_from(Decisions::clone(&decisions)).map(Rc::new);
        decisions.map(compile).transpose().map_err(|_| Unreadable)
    }
}

impl Revocations for TestDirectory {
    fn is_revoked(&self, token_id: &str) -> Result<bool, Unreadable> {
        if self.subscribers.unreadable {
            return Err(Unreadable);
        }
        Ok(self.subscribers.revoked.iter().any(|revoked| revoked == token_id))
    }

    fn cutoff(&self, kind: CutoffKind, of: &str) -> Found<Cutoff> {
        self.subscribers.found(self.subscribers.cutoffs.get(&(kind, of.to_owned())))
    }
}

/// Quota by key; what is not here is unknown.
#[derive(Debug, Default)]
pub(crate) struct TestQuotas {
    pub(crate) stock: HashMap<String, Stock>,
    /// What is there of those that are not here.
    pub(crate) usually: Option<Stock>,
    /// Keys that were looked at, in order.
    pub(crate) looks: std::cell::RefCell<Vec<String>>,
}

impl Quotas for TestQuotas {
    fn standing(&self, counter: &Counter, now: Timestamp) -> Option<Standing> {
        let until = Timestamp(now.0 + 30_500);
        match self.stock.get(counter.key())? {
            Stock::Enough => Some(Standing { left: 5, until }),
            Stock::Exhausted { .. } => Some(Standing { left: 0, until }),
            Stock::Unknown { .. } | Stock::Lost => None,
        }
    }

    fn stock(&self, counter: &Counter, _: Timestamp) -> Stock {
        self.looks.borrow_mut().push(counter.key().to_owned());
        self.stock.get(counter.key()).copied().or(self.usually).unwrap_or(Stock::Unknown { want: 16 })
    }
}

/// Holds what a test puts in.
pub(crate) struct TestDirectory {
    pub(crate) settings: Option<Settings>,
    pub(crate) virtual_hosts: Vec<&'static str>,
    pub(crate) api: Api,
    pub(crate) unreadable: bool,
    pub(crate) unreadable_route: Option<&'static str>,
    pub(crate) issuer: Rc<CompiledIssuer>,
    /// Token services beside it, found by their names.
    pub(crate) services: Vec<Rc<CompiledIssuer>>,
    pub(crate) tokens: TokenCache,
    pub(crate) subscribers: TestSubscribers,
    pub(crate) throttle: Rc<Throttle>,
    pub(crate) quotas: TestQuotas,
    pub(crate) revision: u64,
    pub(crate) foreign_routes: bool,
    /// Whether signatures are really checked.
    pub(crate) real_signatures: bool,
    /// Nothing is remembered unless a test wants it.
    pub(crate) verdicts: Option<Verdicts>,
    compiled: std::cell::OnceCell<Rc<CompiledApi>>,
}

impl TestDirectory {
    pub(crate) fn new(api: Api) -> Self {
        Self {
            settings: Some(Settings::default()),
            virtual_hosts: vec!["localhost"],
            api,
            unreadable: false,
            unreadable_route: None,
            issuer: Rc::new(CompiledIssuer::compile(issuer()).0),
            services: Vec::new(),
            tokens: TokenCache::default(),
            subscribers: TestSubscribers::default(),
            throttle: Rc::default(),
            quotas: TestQuotas::default(),
            revision: 0,
            foreign_routes: false,
            real_signatures: false,
            verdicts: None,
            compiled: std::cell::OnceCell::new(),
        }
    }

    /// To be called when the API was changed after it was asked for.
    pub(crate) fn recompile(&mut self) {
        self.compiled = std::cell::OnceCell::new();
    }
}

impl std::fmt::Debug for TestDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let validates = self.issuer.issuer.validate_subscription;
        f.debug_struct("TestDirectory").field("validates", &validates).field("subscribers", &self.subscribers).finish()
    }
}

impl Directory for TestDirectory {
    fn settings(&self) -> Option<Rc<Settings>> {
        self.settings.clone().map(Rc::new)
    }

    fn has_virtual_host(&self, domain: &[u8]) -> bool {
        self.virtual_hosts.iter().any(|known| known.as_bytes() == domain)
    }

    fn route(&self, virtual_host: &[u8], base_path: &[u8]) -> Result<Option<Rc<str>>, Unreadable> {
        if self.unreadable_route.is_some_and(|path| path.as_bytes() == base_path) {
            return Err(Unreadable);
        }
        let mut routes = HashMap::from([(self.api.base_path.as_bytes(), self.api.id.as_str())]);
        if let Some(base_path) = &self.api.default_base_path {
            routes.insert(base_path.as_bytes(), &self.api.id);
        }
        let on_this_host = virtual_host == self.api.virtual_host.as_bytes();
        Ok(routes.get(base_path).filter(|_| on_this_host).map(|id| Rc::from(*id)))
    }

    fn api(&self, _: &[u8], id: &str) -> Result<Option<Rc<CompiledApi>>, Unreadable> {
        if self.unreadable {
            return Err(Unreadable);
        }
        let api = self.compiled.get_or_init(|| Rc::new(CompiledApi::compile(self.api.clone()).unwrap()));
        Ok((id == self.api.id).then(|| Rc::clone(api)))
    }

    fn issuer(&self, iss: &str) -> Option<Rc<CompiledIssuer>> {
        let all = std::iter::once(&self.issuer).chain(&self.services);
        all.filter(|issuer| !issuer.iss().is_empty()).find(|issuer| issuer.iss() == iss).cloned()
    }

    fn issuer_named(&self, name: &str) -> Option<Rc<CompiledIssuer>> {
        std::iter::once(&self.issuer).chain(&self.services).find(|issuer| issuer.issuer.name == name).cloned()
    }

    fn tokens(&self) -> &TokenCache {
        &self.tokens
    }

    fn throttle(&self) -> Rc<Throttle> {
        Rc::clone(&self.throttle)
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn quotas(&self) -> &dyn Quotas {
        &self.quotas
    }

    fn verdicts(&self) -> Option<&Verdicts> {
        self.verdicts.as_ref()
    }

    fn verifier(&self) -> &dyn SignatureVerifier {
        if self.real_signatures { &PortableVerifier } else { &SignatureIsKeyId }
    }

    fn owns_routes(&self) -> bool {
        !self.foreign_routes
    }
}

/// A signature is good when it is the id of the key that is said to have made it.
struct SignatureIsKeyId;

impl SignatureVerifier for SignatureIsKeyId {
    fn verify(&self, _: &VerificationKey, _: Algorithm, token: &Jws) -> Verdict {
        match &token.header.kid {
            Some(kid) if kid.as_bytes() == token.signature => Verdict::Valid,
            _ => Verdict::Invalid,
        }
    }
}

/// The points of a list in docs/parity.md: what the tests that show it must hold, no more and no less.
pub(crate) fn listed_in_parity(heading: &str) -> Vec<String> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/parity.md")).unwrap();
    let (_, list) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let list = list.split("\n## ").next().unwrap_or_default();
    list.lines().filter_map(|line| line.strip_prefix("- ").map(str::to_owned)).collect()
}
