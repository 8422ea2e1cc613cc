//! Whether there is quota left for this request: takes the permit and gives a [`Grant`].
//!
//! All levels are looked at before anything is taken, so a refused request costs nobody anything. What is taken is taken
//! once, however often the request is decided.

mod frames;
mod manager;
mod request;

use std::rc::Rc;

use tollgate_model::{DenyCondition, Posture, QuotaAsk, QuotaUnit, Tier, TierKind};

use self::frames::Held;
pub use self::frames::{FrameDecision, FrameLimits};
use self::request::Request;
use super::admit::Admitted;
use super::authorize::Permit;
use super::verdict::Verdict;
use crate::decide::Halt;
use crate::evidence::{Evidence, Reached};
use crate::limit::charge::{Charge, Cost, Throttled};
use crate::limit::fields::Standings;
use crate::rejection::{Level, Rejection};
use crate::{CompiledPolicy, Counter, Cx, Question, Quotas, Standing, Stock, Timestamp};

/// How often one request asks the owner of its quotas. At the edge of a window every answer may be about one that is over when it
/// comes, each time for another counter; every further round is less likely by far, and whoever runs out of them is refused
/// although nothing is used up.
const MAX_ROUNDS: u8 = 7;
/// For so many requests like this one quota is asked for where there is some already.
const SOME: u64 = 16;
/// When others took what the owner granted, and the owner was asked often enough: when to try again.
const RETRY_MS: u64 = 1_000;

/// Proof that the request was counted at every level.
pub(crate) struct Grant<'p> {
    permit: &'p Permit,
}

impl<'p> Grant<'p> {
    /// The permit it was given for.
    pub(crate) const fn permit(&self) -> &'p Permit {
        self.permit
    }
}

/// Counts the request.
pub(crate) fn limit<'p>(cx: &Cx, admitted: &Admitted, verdict: &'p Rc<Verdict>) -> Result<Grant<'p>, Halt> {
    let permit = &verdict.permit;
    if !cx.answers.is_counted() {
        let request = Request::new(cx, admitted, permit);
        deny(cx, &request)?;
        let manager = admitted.settings.traffic_manager;
        if manager.is_some() {
            manager::refuse(cx, &request)?;
        }
        let frames = Held::of(cx, admitted, verdict)?;
        let charges = permit.charges(|| {
            request.overlook();
            // A Traffic Manager counts all but bursts.
            let charges = if manager.is_some() { bursts(&request) } else { charges(cx, &request)? };
            let bytes = charges.iter().any(|charge| charge.counter.limit().unit == QuotaUnit::Bytes);
            Ok((charges, !bytes && !request.was_looked_into()))
        })?;
        if !charges.is_empty() || manager.is_some() {
            cx.answers.count(in_stock(cx, &charges)?);
        }
        if let Some(manager) = manager {
            cx.answers.report(manager::uses(cx, &request, manager));
        }
        if let Some(frames) = frames {
            cx.answers.follow(Box::new(frames));
        }
    }
    Ok(Grant { permit })
}

/// Whether a request that counts against the same as one before it passes, and is to be taken from all of them.
pub(crate) fn have_enough(quotas: &dyn Quotas, charges: &[Charge], now: Timestamp) -> bool {
    charges.iter().all(|charge| quotas.stock(&charge.counter, now) == Stock::Enough)
}

/// The proof for a request that another module has counted.
pub(crate) fn counted<'p>(permit: &'p Permit, evidence: &Evidence) -> Option<Grant<'p>> {
    (evidence.reached == Reached::Counted).then_some(Grant { permit })
}

/// Refuses whom an administrator keeps out.
fn deny(cx: &Cx, request: &Request) -> Result<(), Rejection> {
    let throttle = cx.directory.throttle();
    let denied = throttle.deny.iter().any(|condition| match condition {
        DenyCondition::Api { context } => *context == request.api().base_path,
        DenyCondition::Application { key } => request.application_name().is_some_and(|name| name == *key),
        DenyCondition::User { key } => request.subscribed().is_some() && *key == request.user(),
        DenyCondition::Subscription { key } => request.subscription_name().is_some_and(|name| name == *key),
        DenyCondition::Ip { range, invert, tenant } => {
            tenant.as_ref().is_none_or(|tenant| *tenant == request.api_tenant())
                // An address that nobody knows is in no range.
                && request.client().is_some_and(|client| range.contains(client) != *invert)
        }
    });
    if denied { Err(Rejection::Denied) } else { Ok(()) }
}

/// Everything the request counts against, in the order in which limits are looked at.
fn charges(cx: &Cx, request: &Request) -> Result<Vec<Charge>, Rejection> {
    let mut charges = Vec::new();
    let cost = request.cost();
    api(cx, request, cost, &mut charges)?;
    charges.extend(bursts(request));
    plans(request, cost, &mut charges);
    for policy in &cx.directory.throttle().custom {
        custom(policy, request, cost, &mut charges);
    }
    Ok(charges)
}

/// The plans of the subscription and of the application.
fn plans(request: &Request, cost: Cost, charges: &mut Vec<Charge>) {
    let Some(subscribed) = request.subscribed() else { return };
    let mut plan = |level, key: &dyn Fn() -> String, tier: &Tier| {
        if !tier.limits.is_empty() {
            throttled(level, &key(), None, &tier.limits, tier, tier.stop_on_quota_reach).charges(cost, charges);
        }
    };
    plan(Level::Subscription, &|| request.subscription_key(), &subscribed.tier);
    plan(Level::Application, &|| request.application_key(), &subscribed.application_tier);
}

/// Burst control of the subscription.
fn bursts(request: &Request) -> Vec<Charge> {
    let mut charges = Vec::new();
    if let Some(subscribed) = request.subscribed()
        && let Some(burst) = crate::limit::burst(&subscribed.tier)
    {
        let key = format!("{}|burst", request.subscription_key());
        let limits = [burst];
        let level = throttled(Level::Subscription, &key, None, &limits, &subscribed.tier, true);
        level.charges(request.cost(), &mut charges);
    }
    charges
}

/// The limits of the API as a whole, or else those of its operations, of which GraphQL requests have several.
fn api(cx: &Cx, request: &Request, cost: Cost, charges: &mut Vec<Charge>) -> Result<(), Rejection> {
    if let Some(name) = &request.api().tier {
        return advanced(cx, request, Level::Api, name, &request.api_key(), cost, charges);
    }
    for (resource, operation) in request.operations() {
        if let Some(name) = &operation.tier {
            let key = request.resource_key(resource, &operation.method);
            advanced(cx, request, Level::Resource, name, &key, cost, charges)?;
        }
    }
    Ok(())
}

fn advanced(
    cx: &Cx,
    request: &Request,
    level: Level,
    name: &str,
    key: &str,
    cost: Cost,
    charges: &mut Vec<Charge>,
) -> Result<(), Rejection> {
    if name == Tier::UNLIMITED {
        return Ok(());
    }
    // Names of plans that nobody has defined limit nothing, as in the original.
    let Some(tier) = cx.directory.advanced(TierKind::Api, name)? else { return Ok(()) };
    let (limits, group) = tier.limits_for(request);
    throttled(level, key, group, limits, &tier, true).charges(cost, charges);
    Ok(())
}

fn custom(policy: &CompiledPolicy, request: &Request, cost: Cost, charges: &mut Vec<Charge>) {
    let key = format!("{}|{}", policy.name(), request.fill(policy));
    let throttled = Throttled {
        level: Level::Custom,
        key: &key,
        group: None,
        limits: policy.limits(),
        posture: Posture::Local,
        stops: !policy.shadow(),
    };
    throttled.charges(cost, charges);
}

fn throttled<'k>(
    level: Level,
    key: &'k str,
    group: Option<u32>,
    limits: &'k [tollgate_model::Limit],
    tier: &Tier,
    stops: bool,
) -> Throttled<'k> {
    Throttled { level, key, group, limits, posture: tier.posture, stops: stops && !tier.shadow }
}

/// Looks at every counter. Gives those that are to be taken from, refuses where one that stops is used up, and asks for
/// quota where none is at hand.
fn in_stock(cx: &Cx, charges: &[Charge]) -> Result<Vec<Rc<Counter>>, Halt> {
    let quotas = cx.directory.quotas();
    let (mut takes, mut asks) = (Vec::with_capacity(charges.len()), Vec::new());
    let mut standings = cx.directory.settings().filter(|settings| settings.limit_headers).map(|_| Standings::default());
    for charge in charges {
        let stock = quotas.stock(&charge.counter, cx.now);
        if let Some(standings) = standings.as_mut().filter(|_| charge.stops) {
            note(cx, charge, stock, standings);
        }
        match stock {
            Stock::Enough => takes.push(Rc::clone(&charge.counter)),
            Stock::Exhausted { until } if charge.stops => return Err(Rejection::Throttled(charge.level, until).into()),
            Stock::Lost if charge.stops && charge.counter.posture == Posture::Deny => {
                return Err(Rejection::Throttled(charge.level, later(cx.now)).into());
            }
            // Counted, or not to be counted now, and let through.
            Stock::Exhausted { .. } | Stock::Lost => {}
            Stock::Unknown { want } => asks.push((charge, want)),
        }
    }
    if let Some(standings) = standings.filter(|_| asks.is_empty()) {
        cx.answers.tell(standings.fields(cx.now));
    }
    let Some((first, _)) = asks.iter().find(|(charge, _)| charge.stops).or(asks.first()) else { return Ok(takes) };
    let level = first.level;
    let round = cx.answers.quota_rounds();
    if round >= MAX_ROUNDS {
        return Err(Rejection::Throttled(level, later(cx.now)).into());
    }
    let asks = asks.into_iter().map(|(charge, want)| ask(&charge.counter, want));
    // Windows that end together end within milliseconds of each other. Who has waited for one counter meanwhile asks for all of
    // them, or it would run out of rounds while one after the other ends.
    let more = takes.iter().filter(|_| round > 0).map(|counter| ask(counter, counter.cost.saturating_mul(SOME)));
    Err(Halt::Ask(Question::Quota { round, asks: asks.chain(more).collect() }))
}

fn ask(counter: &Counter, want: u64) -> QuotaAsk {
    QuotaAsk { key: counter.key().to_owned(), limit: counter.limit(), want, unused: None, ahead: false }
}

/// How the limit stands once this request has passed. A request that does not pass is told of what stops it, and of what comes
/// before that.
fn note(cx: &Cx, charge: &Charge, stock: Stock, standings: &mut Standings) {
    let Some(standing) = cx.directory.quotas().standing(&charge.counter, cx.now) else { return };
    let cost = if stock == Stock::Enough { charge.counter.cost } else { 0 };
    let left = standing.left.saturating_sub(cost);
    standings.push(charge.level, charge.counter.limit(), Standing { left, ..standing });
    if matches!(stock, Stock::Exhausted { .. }) {
        cx.answers.tell(standings.fields(cx.now));
    }
}

const fn later(now: Timestamp) -> Timestamp {
    Timestamp(now.0.saturating_add(RETRY_MS))
}
