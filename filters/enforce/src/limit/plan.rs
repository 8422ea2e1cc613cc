//! Plans (tiers), made ready: their conditions compiled.

use serde::Deserialize;
use tollgate_model::{CustomPolicy, DenyCondition, Limit, QuotaUnit, Tier, TimeUnit, Window};

use super::conditions::{Conditions, Traits};
use super::template::{KeyTemplate, Values};

/// A plan.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Tier")]
pub struct CompiledTier {
    tier: Tier,
    groups: Vec<(u32, Conditions, Vec<Limit>)>,
}

impl TryFrom<Tier> for CompiledTier {
    type Error = String;

    /// # Errors
    /// Names the pattern that is none.
    fn try_from(mut tier: Tier) -> Result<Self, String> {
        let groups = std::mem::take(&mut tier.groups);
        let compile = |group: tollgate_model::ConditionGroup| {
            Conditions::compile(&group.conditions).map(|conditions| (group.number, conditions, group.limits))
        };
        Ok(Self { groups: groups.into_iter().map(compile).collect::<Result<_, _>>()?, tier })
    }
}

impl std::ops::Deref for CompiledTier {
    type Target = Tier;

    fn deref(&self) -> &Tier {
        &self.tier
    }
}

impl CompiledTier {
    /// The limits that hold for a request, and what its throttle key ends with.
    pub(crate) fn limits_for(&self, request: &dyn Traits) -> (&[Limit], Option<u32>) {
        match self.groups.iter().find(|(_, conditions, _)| conditions.hold(request)) {
            Some((number, _, limits)) => (limits, Some(*number)),
            None => (&self.tier.limits, None),
        }
    }
}

/// A plan's burst control (spike arrest) as a limit.
pub(crate) fn burst(tier: &Tier) -> Option<Limit> {
    let spike = tier.spike_arrest?;
    let window = Window { count: spike.seconds.max(1), unit: TimeUnit::Second };
    Some(Limit { amount: u64::from(spike.requests), unit: QuotaUnit::Requests, window })
}

/// A custom policy.
#[derive(Debug, Deserialize)]
#[serde(try_from = "CustomPolicy")]
pub struct CompiledPolicy {
    policy: CustomPolicy,
    template: KeyTemplate,
}

impl TryFrom<CustomPolicy> for CompiledPolicy {
    type Error = String;

    /// # Errors
    /// Names the variable that does not exist.
    fn try_from(policy: CustomPolicy) -> Result<Self, String> {
        Ok(Self { template: KeyTemplate::parse(&policy.template)?, policy })
    }
}

impl CompiledPolicy {
    pub(crate) fn key(&self, values: &Values) -> String {
        self.template.fill(values)
    }

    pub(crate) fn needs_client(&self) -> bool {
        self.template.needs_client()
    }

    pub(crate) fn limits(&self) -> &[Limit] {
        &self.policy.limits
    }

    pub(crate) const fn shadow(&self) -> bool {
        self.policy.shadow
    }

    pub(crate) fn name(&self) -> &str {
        &self.policy.name
    }
}

/// What an administrator has laid down for all APIs.
#[derive(Debug, Default)]
pub struct Throttle {
    /// Who is kept out.
    pub deny: Vec<DenyCondition>,
    /// Quotas by keys of the administrator's own.
    pub custom: Vec<CompiledPolicy>,
}
