//! Listens to a decision: stands between it and the directory, and notes what is looked up and what is found.

use std::cell::RefCell;
use std::rc::Rc;

use tollgate_model::{Algorithm, Application, Credential, Cutoff, CutoffKind, Settings, Subscription, Tier, TierKind};

use super::{Fact, StageTrace, Tracer, halt_text, lossy, refusal_text};
use crate::decide::Halt;
use crate::stages::authenticate::Attempt;
use crate::token::{Jws, SignatureVerifier, TokenCache, Verdict, VerificationKey};
use crate::{
    CompiledApi, CompiledDecisions, CompiledIssuer, CompiledTier, Counter, Directory, Found, Quotas, Revocations,
    Standing, Stock, Subscribers, Throttle, Timestamp, Unreadable,
};

/// A directory that remembers what it was asked.
pub(super) struct Recorder<'d> {
    directory: &'d dyn Directory,
    /// Empty at the start, so that every token is judged anew.
    tokens: TokenCache,
    stages: RefCell<Vec<StageTrace>>,
    /// Facts of the stage at work.
    facts: RefCell<Vec<Fact>>,
}

impl<'d> Recorder<'d> {
    pub(super) fn new(directory: &'d dyn Directory) -> Self {
        Self { directory, tokens: TokenCache::default(), stages: RefCell::default(), facts: RefCell::default() }
    }

    pub(super) fn stages(self) -> Vec<StageTrace> {
        self.stages.into_inner()
    }

    fn note(&self, what: impl Into<String>, is: impl Into<String>) {
        self.facts.borrow_mut().push(Fact::new(what, is));
    }

    fn found<T>(&self, what: String, found: Found<T>, is: impl FnOnce(&T) -> String) -> Found<T> {
        let text = match &found {
            Ok(Some(value)) => is(value),
            Ok(None) => "unknown".to_owned(),
            Err(Unreadable) => "unreadable".to_owned(),
        };
        self.note(what, text);
        found
    }
}

impl Tracer for Recorder<'_> {
    fn stage<T>(
        &self,
        name: &'static str,
        run: impl FnOnce() -> Result<T, Halt>,
        facts: impl FnOnce(&T) -> Vec<Fact>,
    ) -> Result<T, Halt> {
        let result = run();
        let mut noted = self.facts.take();
        let outcome = match &result {
            Ok(proof) => {
                noted.extend(facts(proof));
                "passed".to_owned()
            }
            Err(halt) => halt_text(halt),
        };
        self.stages.borrow_mut().push(StageTrace { stage: name, facts: noted, outcome });
        result
    }

    fn attempt<T>(&self, credential: &'static str, attempt: &Attempt<T>) {
        let became = match attempt {
            Attempt::Absent => "absent".to_owned(),
            Attempt::Good(_) => "good".to_owned(),
            Attempt::Bad(why) => refusal_text(why),
        };
        self.note(credential, became);
    }
}

impl Subscribers for Recorder<'_> {
    fn credential(&self, key: &[u8]) -> Found<Credential> {
        // The second part of the key may be the digest of a key; who the caller is, the entry says.
        self.found("client or API key".to_owned(), self.directory.credential(key), |found| {
            format!("application {}, {:?}", found.application, found.key_type)
        })
    }

    fn application(&self, uuid: &str) -> Found<Application> {
        self.found(format!("application {uuid}"), self.directory.application(uuid), |found| {
            format!("{:?} of {:?}, plan {}", found.name, found.subscriber, found.tier)
        })
    }

    fn subscription(&self, key: &[u8]) -> Found<Subscription> {
        let what = format!("subscription {}", lossy(key).replace('\0', " "));
        self.found(what, self.directory.subscription(key), |found| {
            format!("{}, plan {}", found.state.name(), found.tier)
        })
    }

    fn tier(&self, kind: TierKind, name: &str) -> Found<Tier> {
        self.found(format!("{} plan {name}", kind.name()), self.directory.tier(kind, name), |_| "known".to_owned())
    }

    fn advanced(&self, kind: TierKind, name: &str) -> Found<CompiledTier> {
        let found = self.directory.advanced(kind, name);
        self.found(format!("{} plan {name}", kind.name()), found, |_| "known".to_owned())
    }

    fn decisions(&self, key: &str) -> Found<CompiledDecisions> {
        let decisions = self.directory.decisions(key);
        self.found(format!("decisions about {key}"), decisions, |_| "known".to_owned())
    }
}

impl Revocations for Recorder<'_> {
    fn is_revoked(&self, token_id: &str) -> Result<bool, Unreadable> {
        let revoked = self.directory.is_revoked(token_id);
        let text = match revoked {
            Ok(true) => "revoked",
            Ok(false) => "not revoked",
            Err(Unreadable) => "unreadable",
        };
        self.note("its id in the list of revoked tokens", text);
        revoked
    }

    fn cutoff(&self, kind: CutoffKind, of: &str) -> Found<Cutoff> {
        self.found(format!("cut-off of the {} {of:?}", kind.name()), self.directory.cutoff(kind, of), |found| {
            format!("all that was issued before {}", found.before)
        })
    }
}

impl Quotas for Recorder<'_> {
    fn standing(&self, counter: &Counter, now: Timestamp) -> Option<Standing> {
        self.directory.quotas().standing(counter, now)
    }

    fn stock(&self, counter: &Counter, now: Timestamp) -> Stock {
        let stock = self.directory.quotas().stock(counter, now);
        let is = match stock {
            Stock::Enough => "enough".to_owned(),
            Stock::Exhausted { until } => format!("used up until {}", until.seconds()),
            Stock::Unknown { .. } => "none at hand".to_owned(),
            Stock::Lost => "its owner cannot be reached".to_owned(),
        };
        self.note(format!("quota {} ({} per {:?})", counter.key(), counter.limit().amount, counter.limit().window), is);
        stock
    }
}

impl SignatureVerifier for Recorder<'_> {
    fn verify(&self, key: &VerificationKey, algorithm: Algorithm, token: &Jws) -> Verdict {
        let verdict = self.directory.verifier().verify(key, algorithm, token);
        let key = key.kid().map_or_else(|| "a key without id".to_owned(), |kid| format!("key {kid:?}"));
        let is = if verdict == Verdict::Valid { "good" } else { "wrong" };
        self.note(format!("{} signature by {key}", algorithm.name()), is);
        verdict
    }
}

impl Directory for Recorder<'_> {
    fn settings(&self) -> Option<Rc<Settings>> {
        self.directory.settings()
    }

    fn has_virtual_host(&self, domain: &[u8]) -> bool {
        let known = self.directory.has_virtual_host(domain);
        self.note(format!("virtual host {}", lossy(domain)), if known { "known" } else { "unknown" });
        known
    }

    fn route(&self, virtual_host: &[u8], base_path: &[u8]) -> Result<Option<Rc<str>>, Unreadable> {
        let found = self.directory.route(virtual_host, base_path);
        let is = match &found {
            Ok(Some(id)) => format!("API {id}"),
            Ok(None) => "no API".to_owned(),
            Err(Unreadable) => "unreadable".to_owned(),
        };
        self.note(format!("base path {}", lossy(base_path)), is);
        found
    }

    fn api(&self, virtual_host: &[u8], id: &str) -> Result<Option<Rc<CompiledApi>>, Unreadable> {
        self.found(format!("API {id}"), self.directory.api(virtual_host, id), |found| {
            let api = &found.api;
            format!("{} {} at {}, {:?}", api.name, api.version, api.base_path, api.life_cycle)
        })
    }

    fn issuer(&self, iss: &str) -> Option<Rc<CompiledIssuer>> {
        let found = self.directory.issuer(iss);
        self.note(format!("issuer {iss:?}"), service(found.as_deref()));
        found
    }

    fn issuer_named(&self, name: &str) -> Option<Rc<CompiledIssuer>> {
        let found = self.directory.issuer_named(name);
        self.note(format!("token service {name:?}"), service(found.as_deref()));
        found
    }

    fn tokens(&self) -> &TokenCache {
        &self.tokens
    }

    fn verifier(&self) -> &dyn SignatureVerifier {
        self
    }

    fn throttle(&self) -> Rc<Throttle> {
        self.directory.throttle()
    }

    fn quotas(&self) -> &dyn Quotas {
        self
    }

    fn owns_routes(&self) -> bool {
        self.directory.owns_routes()
    }
}

fn service(found: Option<&CompiledIssuer>) -> String {
    let Some(found) = found else { return "unknown".to_owned() };
    let algorithms: Vec<&str> = found.issuer.algorithms.iter().map(|algorithm| algorithm.name()).collect();
    format!("token service {:?}, {} keys, {}", found.issuer.name, found.keys.len(), algorithms.join(" "))
}
