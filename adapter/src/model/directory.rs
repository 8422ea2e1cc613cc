//! The world as the filters' decision sees it, so that the adapter can judge as they do.
//!
//! Must never do I/O. Nothing is remembered between two looks: whoever needs speed is a filter.

use std::rc::Rc;
use std::sync::Arc;

use tollgate_enforce::token::{PortableVerifier, SignatureVerifier, TokenCache};
use tollgate_enforce::{
    CompiledApi, CompiledDecisions, CompiledIssuer, CompiledPolicy, CompiledTier, Counter, Directory, Found, Quotas,
    Revocations, Standing, Stock, Throttle, Timestamp, Unreadable,
};
use tollgate_model::{
    Application, Credential, Cutoff, CutoffKind, Decisions, Settings, Subscription, Tier, TierKind, TokenHash, keys,
};

use super::{Deployment, DeploymentKey, Key, Sharded, World};

/// What a gateway of one environment knows.
pub struct WorldDirectory<'w> {
    world: &'w World,
    environment: &'w str,
    tokens: TokenCache,
    throttle: Rc<Throttle>,
    quotas: EndlessQuota,
}

impl<'w> WorldDirectory<'w> {
    /// The world as gateways of that environment see it.
    #[must_use]
    pub fn new(world: &'w World, environment: &'w str) -> Self {
        let (tokens, throttle) = (TokenCache::default(), Rc::default());
        Self { world, environment, tokens, throttle, quotas: EndlessQuota(Stock::Lost) }
    }

    /// With what an administrator has laid down for all APIs, and with quota for every request.
    #[must_use]
    pub fn with_limits(mut self) -> Self {
        let rules = &self.world.throttle;
        let deny = rules.deny.values().cloned().collect();
        // A policy that no filter understands is not enforced by any.
        let custom = rules.custom.values().filter_map(|policy| CompiledPolicy::try_from(policy.clone()).ok()).collect();
        self.throttle = Rc::new(Throttle { deny, custom });
        self.quotas = EndlessQuota(Stock::Enough);
        self
    }

    /// An API of the environment.
    #[must_use]
    pub fn deployment(&self, virtual_host: &str, id: &str) -> Option<&'w Arc<Deployment>> {
        let (virtual_host, api_id, variant) = (virtual_host.to_owned(), id.to_owned(), String::new());
        let first = DeploymentKey { virtual_host, api_id, variant };
        let forms = self.world.deployments.range(&first..).take_while(|(key, _)| key.is_of_same_api(&first));
        let mut forms = forms.map(|(_, deployment)| deployment);
        forms.find(|deployment| deployment.environments.contains(self.environment))
    }

    fn deployments(&self) -> impl Iterator<Item = &'w Arc<Deployment>> {
        let world = self.world;
        world.deployments.values().filter(|deployment| deployment.environments.contains(self.environment))
    }

    fn issuer_that(&self, is: impl Fn(&tollgate_model::Issuer) -> bool) -> Option<Rc<CompiledIssuer>> {
        let issuer = self.world.issuers.iter().find(|issuer| is(issuer))?;
        Some(Rc::new(CompiledIssuer::compile(tollgate_model::Issuer::clone(issuer)).0))
    }
}

fn found<T: Clone + PartialEq>(table: &Sharded<Key, Arc<T>>, key: &[u8]) -> Found<T> {
    Ok(table.get(key).map(|value| Rc::new(T::clone(value))))
}

impl tollgate_enforce::Subscribers for WorldDirectory<'_> {
    fn credential(&self, key: &[u8]) -> Found<Credential> {
        found(&self.world.subscribers.credentials, key)
    }

    fn application(&self, uuid: &str) -> Found<Application> {
        found(&self.world.subscribers.applications, uuid.as_bytes())
    }

    fn subscription(&self, key: &[u8]) -> Found<Subscription> {
        found(&self.world.subscribers.subscriptions, key)
    }

    fn tier(&self, kind: TierKind, name: &str) -> Found<Tier> {
        found(&self.world.subscribers.tiers, &keys::tier(kind, name))
    }

    fn advanced(&self, kind: TierKind, name: &str) -> Found<CompiledTier> {
        let tier = self.tier(kind, name)?;
        tier.map(|tier| CompiledTier::try_from(Tier::clone(&tier)).map(Rc::new)).transpose().map_err(|_| Unreadable)
    }

    fn decisions(&self, key: &str) -> Found<CompiledDecisions> {
        let decisions = found(&self.world.subscribers.decisions, key.as_bytes())?;
        let compile = |decisions: Rc<Decisions>| CompiledDecisions::try_from(Decisions::clone(&decisions)).map(Rc::new);
        decisions.map(compile).transpose().map_err(|_| Unreadable)
    }
}

impl Revocations for WorldDirectory<'_> {
    /// Whoever revoked it.
    fn is_revoked(&self, token_id: &str) -> Result<bool, Unreadable> {
        Ok(self.world.subscribers.revoked.get(&TokenHash::of(token_id).0).is_some())
    }

    fn cutoff(&self, kind: CutoffKind, of: &str) -> Found<Cutoff> {
        found(&self.world.subscribers.cutoffs, &keys::cutoff(kind, of))
    }
}

impl Directory for WorldDirectory<'_> {
    fn settings(&self) -> Option<Rc<Settings>> {
        Some(Rc::new(self.world.settings.clone()))
    }

    fn has_virtual_host(&self, domain: &[u8]) -> bool {
        let own = self.world.environments.get(self.environment).into_iter();
        let mut all = own.chain(self.deployments().map(|deployment| &deployment.api.virtual_host));
        all.any(|known| known.as_bytes() == domain)
    }

    fn route(&self, virtual_host: &[u8], base_path: &[u8]) -> Result<Option<Rc<str>>, Unreadable> {
        let here = || self.deployments().filter(|deployment| deployment.api.virtual_host.as_bytes() == virtual_host);
        // A base path of its own goes before the short path of a default version, as in the tables.
        let own = here().find(|deployment| deployment.api.base_path.as_bytes() == base_path);
        let short = || {
            here().find(|deployment| {
                deployment.api.default_base_path.as_ref().is_some_and(|path| path.as_bytes() == base_path)
            })
        };
        Ok(own.or_else(short).map(|deployment| Rc::from(deployment.api.id.as_str())))
    }

    fn api(&self, virtual_host: &[u8], id: &str) -> Result<Option<Rc<CompiledApi>>, Unreadable> {
        let Some(deployment) = std::str::from_utf8(virtual_host).ok().and_then(|host| self.deployment(host, id)) else {
            return Ok(None);
        };
        CompiledApi::compile(deployment.api.clone()).map(|api| Some(Rc::new(api))).map_err(|_| Unreadable)
    }

    fn issuer(&self, iss: &str) -> Option<Rc<CompiledIssuer>> {
        self.issuer_that(|issuer| !issuer.issuer.is_empty() && issuer.issuer == iss)
    }

    fn issuer_named(&self, name: &str) -> Option<Rc<CompiledIssuer>> {
        self.issuer_that(|issuer| issuer.name == name)
    }

    fn tokens(&self) -> &TokenCache {
        &self.tokens
    }

    fn verifier(&self) -> &dyn SignatureVerifier {
        &PortableVerifier
    }

    fn throttle(&self) -> Rc<Throttle> {
        Rc::clone(&self.throttle)
    }

    fn quotas(&self) -> &dyn Quotas {
        &self.quotas
    }
}

/// Quota is counted by filters; here there is always the same of it.
struct EndlessQuota(Stock);

impl Quotas for EndlessQuota {
    fn standing(&self, _: &Counter, _: Timestamp) -> Option<Standing> {
        None
    }

    fn stock(&self, _: &Counter, _: Timestamp) -> Stock {
        self.0
    }
}
