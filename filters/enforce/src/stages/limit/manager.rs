//! Limits that a Traffic Manager counts: refuses what it has decided to refuse, and says what it is to be told.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;

use serde::Serialize;
use serde_json::Value;
use tollgate_model::{Tier, TrafficManager, Usage};

use super::request::Request;
use crate::decide::Halt;
use crate::rejection::{Level, Rejection};
use crate::stages::admit;
use crate::stages::authorize::Permit;
use crate::{CompiledDecisions, Cx, Timestamp};

/// Property of policies that count bytes: those of a message.
const MESSAGE_SIZE: &str = "messageSize";
/// What a client cannot say of itself.
const RESERVED: [&str; 3] = ["ip", "ipv6", MESSAGE_SIZE];
/// Plan of callers who have subscribed to nothing.
const UNAUTHENTICATED: &str = "Unauthenticated";

/// Refuses a request that is throttled, level by level. Of several operations, the one that stays throttled for longest counts.
pub(super) fn refuse(cx: &Cx, request: &Request) -> Result<(), Rejection> {
    let (level, keys) = of_api(request);
    let mut latest = None;
    for key in keys {
        let decided = cx.directory.decisions(&key)?;
        latest = latest.max(decided.and_then(|decided| decided.for_one(request, cx.now)));
    }
    stop(level, latest)?;
    for (level, key) in plans(request) {
        stop(level, for_all(cx, &key)?)?;
    }
    for policy in &cx.directory.throttle().custom {
        stop(Level::Custom, for_all(cx, &request.fill(policy))?)?;
    }
    Ok(())
}

fn for_all(cx: &Cx, key: &str) -> Result<Option<Timestamp>, Rejection> {
    Ok(cx.directory.decisions(key)?.and_then(|decided| decided.for_all(cx.now)))
}

fn stop(level: Level, until: Option<Timestamp>) -> Result<(), Rejection> {
    until.map_or(Ok(()), |until| Err(Rejection::Throttled(level, until)))
}

/// The keys of the API as a whole, or else those of its operations.
fn of_api(request: &Request) -> (Level, Vec<String>) {
    match request.api().tier.as_deref() {
        Some(Tier::UNLIMITED) => (Level::Api, Vec::new()),
        Some(_) => (Level::Api, vec![request.api_key()]),
        None => {
            let limited = |tier: &Option<String>| tier.as_deref().is_some_and(|tier| tier != Tier::UNLIMITED);
            let operations = request.operations().filter(|(_, operation)| limited(&operation.tier));
            let keys = operations.map(|(resource, operation)| request.resource_key(resource, &operation.method));
            (Level::Resource, keys.collect())
        }
    }
}

/// The keys of the subscription, if its plan stops anybody, and of the application.
fn plans(request: &Request) -> impl Iterator<Item = (Level, String)> {
    let subscribed = request.subscribed();
    let stops = subscribed.filter(|subscribed| subscribed.tier.stop_on_quota_reach);
    let subscription = stops.map(|_| (Level::Subscription, request.subscription_key()));
    subscription.into_iter().chain(subscribed.map(|_| (Level::Application, request.application_key())))
}

/// What the Traffic Manager is told of a request that passes: one use for each of its operations.
pub(super) fn uses(cx: &Cx, request: &Request, manager: TrafficManager) -> Vec<Usage> {
    let of_api = of_the_api(cx, request, manager);
    let of_operation = |(resource, operation): (&str, &tollgate_model::Operation)| {
        if request.api().tier.is_some() {
            return of_api.clone();
        }
        let resource_key = request.resource_key(resource, &operation.method);
        let resource_tier = named(operation.tier.as_deref(), Tier::UNLIMITED);
        Usage { resource_key, resource_tier, ..of_api.clone() }
    };
    request.operations().map(of_operation).collect()
}

fn named(tier: Option<&str>, default: &str) -> String {
    tier.unwrap_or(default).to_owned()
}

/// A use of the API as a whole.
fn of_the_api(cx: &Cx, request: &Request, manager: TrafficManager) -> Usage {
    let api = request.api();
    let subscribed = request.subscribed();
    Usage {
        app_key: request.application_key(),
        app_tier: named(subscribed.map(|one| one.application_tier.name.as_str()), Tier::UNLIMITED),
        api_key: request.api_key(),
        api_tier: named(api.tier.as_deref(), Tier::UNLIMITED),
        subscription_key: request.subscription_key(),
        subscription_tier: named(subscribed.map(|one| one.tier.name.as_str()), UNAUTHENTICATED),
        resource_key: request.api_key(),
        resource_tier: named(api.tier.as_deref(), Tier::UNLIMITED),
        user_id: request.user(),
        api_context: api.base_path.clone(),
        api_version: api.version.clone(),
        app_tenant: request.application_tenant().to_owned(),
        api_tenant: request.api_tenant().to_owned(),
        app_id: request.application().into_owned(),
        api_name: api.name.clone(),
        properties: properties(cx, request, manager),
    }
}

/// The frames of one WebSocket: what stops them, and what is told of each. Neither operations nor custom policies count for frames, as
/// in the original.
#[derive(Debug)]
pub(super) struct Watch {
    /// The key of the API, if it has a plan.
    api: Option<String>,
    plans: Vec<(Level, String)>,
    /// A use, but for the properties.
    usage: Usage,
    /// Those of the handshake, as JSON whose last brace is missing.
    properties: String,
}

impl Watch {
    pub(super) fn new(cx: &Cx, request: &Request, manager: TrafficManager) -> Self {
        let limited = request.api().tier.as_deref().is_some_and(|tier| tier != Tier::UNLIMITED);
        let mut usage = of_the_api(cx, request, manager);
        let mut properties = std::mem::take(&mut usage.properties);
        properties.pop();
        Self { api: limited.then(|| request.api_key()), plans: plans(request).collect(), usage, properties }
    }

    /// Refuses a frame that is throttled. `cx` is about the handshake, and so are conditions.
    pub(super) fn refuse(&self, cx: &Cx, permit: &Permit) -> Result<(), Halt> {
        if let Some(decided) = self.decided_of_api(cx)? {
            let admitted = admit::admit(cx)?;
            stop(Level::Api, decided.for_one(&Request::new(cx, &admitted, permit), cx.now))?;
        }
        for (level, key) in &self.plans {
            stop(*level, for_all(cx, key)?)?;
        }
        Ok(())
    }

    fn decided_of_api(&self, cx: &Cx) -> Result<Option<Rc<CompiledDecisions>>, Rejection> {
        let Some(key) = &self.api else { return Ok(None) };
        Ok(cx.directory.decisions(key)?)
    }

    /// A use by a frame of so many bytes.
    pub(super) fn usage(&self, bytes: u64) -> Usage {
        let properties = format!(r#"{},"{MESSAGE_SIZE}":{bytes}}}"#, self.properties);
        Usage { properties, ..self.usage.clone() }
    }
}

/// The JSON text of what conditions may look at. Addresses are numbers, 0 where there is none of the kind.
#[derive(Serialize)]
struct Properties {
    ip: u32,
    ipv6: u128,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

fn properties(cx: &Cx, request: &Request, manager: TrafficManager) -> String {
    let (ip, ipv6) = match request.client() {
        Some(IpAddr::V4(address)) => (u32::from(address), 0),
        Some(IpAddr::V6(address)) => (0, u128::from(address)),
        None => (0, 0),
    };
    let more = Bounded::default()
        .add(manager.headers.then(|| request.visible_headers(cx)))
        .add(manager.query.then(|| request.visible_query()))
        .add(manager.claims.then(|| request.claims()));
    // Maps of texts can be written.
    serde_json::to_string(&Properties { ip, ipv6, more: more.held }).unwrap_or_default()
}

/// As many of the properties as fit: a client decides how many there are.
#[derive(Default)]
struct Bounded {
    held: BTreeMap<String, Value>,
    bytes: usize,
}

impl Bounded {
    /// Bytes of names and values.
    const MOST: usize = 8 * 1024;

    fn add(mut self, properties: Option<Vec<(String, String)>>) -> Self {
        for (name, value) in properties.into_iter().flatten() {
            let bytes = self.bytes.saturating_add(name.len()).saturating_add(value.len());
            if bytes <= Self::MOST && !RESERVED.contains(&name.as_str()) {
                self.bytes = bytes;
                self.held.insert(name, Value::String(value));
            }
        }
        self
    }
}
