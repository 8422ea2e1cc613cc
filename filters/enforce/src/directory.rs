//! Look-ups in the snapshot, as the stages see them, and the compiled forms they return.

use std::cell::Cell;
use std::rc::Rc;

use hashbrown::HashMap;
use tollgate_model::{Algorithm, Api, ApiKind, Callbacks, ClientCertificate, Issuer, Settings};

use crate::cors::CorsPolicy;
use crate::graphql::CompiledGraphQl;
use crate::resource::ResourceTable;
use crate::stages::Subscribed;
use crate::token::{JwkError, SignatureVerifier, TokenCache, Usage, VerificationKey};
use crate::{Quotas, Revocations, Subscribers, Throttle, Timestamp, Verdicts, anonymous};

/// What a worker knows. Implementations answer from memory; they never wait.
pub trait Directory: Subscribers + Revocations {
    /// Global settings. `None` while there is no snapshot that this release can read: nothing is decided then.
    fn settings(&self) -> Option<Rc<Settings>>;
    /// Whether a virtual host of exactly this domain (lower case) exists.
    fn has_virtual_host(&self, domain: &[u8]) -> bool;
    /// The id of the API that lies at this base path of this virtual host.
    ///
    /// # Errors
    /// [`Unreadable`] when something lies there but this release cannot read what. Its requests must not go to an API with a
    /// shorter base path instead.
    fn route(&self, virtual_host: &[u8], base_path: &[u8]) -> Result<Option<Rc<str>>, Unreadable>;
    /// How many segments base paths have, so that only such prefixes are looked for: bit 0 says that some have one.
    fn base_path_depths(&self) -> u16 {
        u16::MAX
    }
    /// The API of that id.
    ///
    /// # Errors
    /// [`Unreadable`] when there is an entry but this release cannot enforce it; the API is denied.
    fn api(&self, virtual_host: &[u8], id: &str) -> Result<Option<Rc<CompiledApi>>, Unreadable>;
    /// The issuer whose `iss` is exactly this. One that cannot be read is as good as unknown: its tokens are refused.
    fn issuer(&self, iss: &str) -> Option<Rc<CompiledIssuer>>;
    /// The token service of that name, whatever its `iss`.
    fn issuer_named(&self, name: &str) -> Option<Rc<CompiledIssuer>>;
    /// Tokens that were verified with the issuers as they are now.
    fn tokens(&self) -> &TokenCache;
    /// What was decided of tokens with the tables as they are now; `None` where nothing is remembered.
    fn verdicts(&self) -> Option<&Verdicts> {
        None
    }
    /// Checks signatures.
    fn verifier(&self) -> &dyn SignatureVerifier;
    /// What an administrator has laid down for all APIs.
    fn throttle(&self) -> Rc<Throttle>;
    /// The quota at hand.
    fn quotas(&self) -> &dyn Quotas;
    /// A number of the snapshot, another one for each, for whoever decides after this one.
    fn revision(&self) -> u64 {
        0
    }
    /// Whether another module has found the signature of this credential good; `None` where nobody else looks at them.
    fn vouched(&self, _: Usage, _: &str) -> Option<bool> {
        None
    }
    /// A signed credential is good, which others may want to know.
    fn found_good(&self, _: Usage, _: &str) {}
    /// Whether the gateway's routes take a request to the cluster that a decision names. Elsewhere routes belong to somebody
    /// else, who knows nothing of our clusters.
    fn owns_routes(&self) -> bool {
        true
    }
}

/// There is configuration, but it cannot be enforced: damaged, or written for a newer release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

/// Why configuration could not be compiled, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub String);

/// An API, made ready for matching.
#[derive(Debug)]
pub struct CompiledApi {
    pub(crate) api: Api,
    pub(crate) cors: Option<CorsPolicy>,
    pub(crate) resources: ResourceTable,
    /// Certificates of callers by their digest.
    pub(crate) certificates: HashMap<Box<str>, Rc<ClientCertificate>>,
    pub(crate) graphql: Option<CompiledGraphQl>,
}

impl CompiledApi {
    /// Compiles every template, and the digest of a GraphQL schema.
    ///
    /// # Errors
    /// When a template is not one, or a GraphQL API has no whole digest.
    pub fn compile(api: Api) -> Result<Self, Invalid> {
        let resources = ResourceTable::compile(&api.resources)?;
        let cors = api.cors.as_ref().map(CorsPolicy::compile);
        let certificates = api.mutual_ssl.iter().flat_map(|rules| &rules.certificates);
        let certificates = certificates
            .map(|certificate| (certificate.sha256.to_ascii_lowercase().into_boxed_str(), Rc::new(certificate.clone())))
            .collect();
        let graphql = api.graphql.as_ref().map(CompiledGraphQl::compile).transpose()?;
        if graphql.is_some() != (api.kind == ApiKind::GraphQl) {
            return Err(Invalid("a GraphQL schema belongs to a GraphQL API, and to no other".to_owned()));
        }
        Ok(Self { api, cors, resources, certificates, graphql })
    }

    /// [`Api::id`].
    #[must_use]
    pub fn id(&self) -> &str {
        &self.api.id
    }

    /// What Envoy must call the filter for.
    #[must_use]
    pub fn callbacks(&self) -> Callbacks {
        self.api.callbacks()
    }
}

/// An issuer, with its keys made ready for verification.
#[derive(Debug)]
pub struct CompiledIssuer {
    pub(crate) issuer: Issuer,
    pub(crate) keys: Vec<VerificationKey>,
    /// Limits how often an unknown key id may cause a call-out.
    pub(crate) gate: RefreshGate,
    /// Who calls with its tokens when they say nothing of that.
    pub(crate) anonymous: Subscribed,
}

impl CompiledIssuer {
    /// Compiles the keys. Those that cannot verify anything are left out and returned with the reason, to be logged.
    #[must_use]
    pub fn compile(issuer: Issuer) -> (Self, Vec<JwkError>) {
        let (keys, left_out) = VerificationKey::compile_set(&issuer.keys);
        let anonymous = anonymous::application_of(&issuer.name);
        (Self { issuer, keys, gate: RefreshGate::default(), anonymous }, left_out)
    }

    /// Exact value of the `iss` claim.
    #[must_use]
    pub fn iss(&self) -> &str {
        &self.issuer.issuer
    }

    /// Name of the token service.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.issuer.name
    }

    pub(crate) fn allows(&self, algorithm: Algorithm) -> bool {
        self.issuer.algorithms.contains(&algorithm)
    }
}

/// A token bucket for questions about keys: anyone can send tokens with made-up key ids.
///
/// Per worker and issuer. The adapter has a gate of its own, and the first question that gets through it brings the new
/// keys to everybody, so an honest client is held up for a moment at worst.
#[derive(Debug)]
pub struct RefreshGate {
    tokens: Cell<u32>,
    refilled: Cell<Timestamp>,
}

impl RefreshGate {
    /// Questions that may be asked at once.
    pub const BURST: u32 = 32;
    /// Milliseconds until another one may.
    pub const REFILL_MS: u64 = 125;

    /// Takes a token if there is one.
    pub(crate) fn pass(&self, now: Timestamp) -> bool {
        let elapsed = now.0.saturating_sub(self.refilled.get().0);
        let earned = elapsed / Self::REFILL_MS;
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            self.tokens.set(self.tokens.get().saturating_add(earned).min(Self::BURST));
            self.refilled.set(now);
        }
        match self.tokens.get().checked_sub(1) {
            Some(left) => {
                self.tokens.set(left);
                true
            }
            None => false,
        }
    }
}

impl Default for RefreshGate {
    fn default() -> Self {
        Self { tokens: Cell::new(Self::BURST), refilled: Cell::new(Timestamp(0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gate_lets_a_burst_through_and_then_refills() {
        let gate = RefreshGate::default();
        let start = Timestamp(1_000_000);
        let passed = (0..100).filter(|_| gate.pass(start)).count();
        assert_eq!(passed, 32);
        assert!(!gate.pass(Timestamp(start.0 + 124)));
        assert!(gate.pass(Timestamp(start.0 + 125)));
        assert!(!gate.pass(Timestamp(start.0 + 125)));
        // A clock that goes backwards gives nothing away.
        assert!(!gate.pass(Timestamp(0)));
    }
}
