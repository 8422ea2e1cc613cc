//! The snapshots that the measured filters hold: the same API everywhere, among more or fewer others.
//!
//! They are made here and not by an adapter, so that their sizes can be chosen; filters cannot tell, since shards are encoded
//! by the same code.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tollgate_model::wire::{Cursor, Entry, FeedFrame, RevokedShard, Shard};
use tollgate_model::{
    Api, Application, Credential, CustomPolicy, Issuer, Settings, Slot, Subscription, Table, Tier, TierKind, TokenHash,
    keys,
};

/// Virtual host of all APIs.
pub const HOST: &str = "localhost";
/// Base path of the API that is called.
pub const BASE_PATH: &str = "/items/1.0.0";
/// What is called of it.
pub const PATH: &str = "/items/1.0.0/orders/42";
/// Base path of the API of type WS.
const SOCKET_BASE_PATH: &str = "/socket/1.0.0";
/// Where it is opened.
pub const SOCKET_PATH: &str = "/socket/1.0.0/echo";
/// Header of API keys.
pub const API_KEY_HEADER: &str = "apikey";
/// Bytes of shards in a frame.
const FRAME: usize = 4 * 1024 * 1024;
/// Resources of each API.
const RESOURCES: usize = 20;
/// Every level has so much a minute that nothing is ever used up.
const PLENTY: u64 = 1_000_000_000;

/// What a snapshot holds.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// APIs.
    pub apis: usize,
    /// Applications, each with a key and a subscription to the API that is called.
    pub applications: usize,
    /// Revoked tokens, none of which is ever shown.
    pub revoked: usize,
    /// Whether subscriptions, scopes, policies and records count, or tokens alone.
    pub everything: bool,
    /// Whether plans limit anything.
    pub limits: bool,
    /// Whether there is an API of type WS besides, to which the first application has subscribed.
    pub sockets: bool,
}

/// An entry: lowest schema that understands it, and its value.
type Value16 = (u16, Vec<u8>);

/// A snapshot under construction.
#[derive(Default)]
struct Tables {
    slots: BTreeMap<Slot, BTreeMap<Vec<u8>, Value16>>,
}

impl Tables {
    /// Adds an entry that filters can read as a `T`.
    fn put<T: DeserializeOwned>(&mut self, table: Table, key: Vec<u8>, needs: u16, value: &Value) -> Result<()> {
        let bytes = serde_json::to_vec(value).context("encoding an entry")?;
        serde_json::from_slice::<T>(&bytes).with_context(|| format!("no filter could read {value}"))?;
        self.slots.entry(table.slot(&key)).or_default().insert(key, (needs, bytes));
        Ok(())
    }

    fn shards(&self) -> Result<Vec<Vec<u8>>> {
        let encode = |(slot, entries): (&Slot, &BTreeMap<Vec<u8>, Value16>)| {
            let entries = entries.iter().map(|(key, (needs, value))| Entry { needs: *needs, key, value }).collect();
            Shard { slot: *slot, entries }.encode().context("encoding a shard")
        };
        self.slots.iter().map(encode).collect()
    }
}

/// The frames that bring a snapshot, in order.
///
/// # Errors
/// When an entry is none that filters can read.
pub fn frames(scale: Scale, jwks: &Value) -> Result<Vec<Vec<u8>>> {
    let mut tables = Tables::default();
    settings(&mut tables, scale, jwks)?;
    for number in 0..scale.apis {
        api(&mut tables, scale, number)?;
    }
    for number in 0..scale.applications {
        application(&mut tables, number)?;
    }
    if scale.sockets {
        socket(&mut tables, scale)?;
    }
    // The first application has subscribed to all APIs.
    for number in (1..scale.apis).filter(|_| scale.applications > 0) {
        subscription(&mut tables, 0, &format!("api-{number}"))?;
    }
    if scale.everything {
        plans(&mut tables, scale.limits)?;
    }
    let mut shards = tables.shards()?;
    shards.extend(revoked(scale.revoked)?);
    cut(&shards)
}

/// A frame that changes the API that is called: it becomes blocked, or is served again.
///
/// # Errors
/// When an entry is none that filters can read.
pub fn change(scale: Scale, revision: u64, blocked: bool) -> Result<Vec<u8>> {
    let mut tables = Tables::default();
    let mut described = description(scale, 0);
    if let Some(api) = described.as_object_mut() {
        api.insert("lifeCycle".to_owned(), json!(if blocked { "BLOCKED" } else { "PUBLISHED" }));
    }
    tables.put::<Api>(Table::Api, keys::api(HOST, "api-0"), 2, &described)?;
    let shards = tables.shards()?;
    let cursor = Cursor { epoch: 1, revision };
    let shards = shards.iter().map(Vec::as_slice).collect();
    FeedFrame { reset: false, more: false, cursor, shards }.encode().context("encoding a change")
}

fn settings(tables: &mut Tables, scale: Scale, jwks: &Value) -> Result<()> {
    let settings = json!({
        "authorizationHeader": "authorization", "clockSkewSeconds": 5, "usageRecords": scale.everything,
    });
    tables.put::<Settings>(Table::Settings, Vec::new(), 1, &settings)?;
    let issuer = |name: &str, iss: &str| {
        json!({
            "name": name, "issuer": iss, "algorithms": ["RS256", "ES256"], "keys": jwks,
            "validateSubscription": scale.everything,
        })
    };
    tables.put::<Issuer>(Table::Issuer, b"bench".to_vec(), 2, &issuer("bench", crate::tokens::ISSUER))?;
    tables.put::<Issuer>(Table::Issuer, Issuer::API_KEYS.into(), 2, &issuer(Issuer::API_KEYS, ""))?;
    tables.put::<Value>(Table::VirtualHost, HOST.into(), 1, &json!({}))
}

fn api(tables: &mut Tables, scale: Scale, number: usize) -> Result<()> {
    let described = description(scale, number);
    let id = format!("api-{number}");
    tables.put::<Api>(Table::Api, keys::api(HOST, &id), 2, &described)?;
    tables.put::<String>(Table::Route, keys::route(HOST, base_path(number)), 1, &json!(id))
}

/// The API of type WS, with the plans of the others.
fn socket(tables: &mut Tables, scale: Scale) -> Result<()> {
    let id = "socket";
    let described = json!({
        "id": id, "name": "Socket", "version": "1.0.0", "organization": "carbon.super", "virtualHost": HOST, "kind": "WS",
        "basePath": SOCKET_BASE_PATH, "lifeCycle": "PUBLISHED", "production": { "cluster": "backend", "basePath": "/v2" },
        "tier": "Plenty", "resources": [resource("/echo", scale)],
    });
    tables.put::<Api>(Table::Api, keys::api(HOST, id), 2, &described)?;
    tables.put::<String>(Table::Route, keys::route(HOST, SOCKET_BASE_PATH), 1, &json!(id))?;
    subscription(tables, 0, id)
}

/// Where the API of that number lies.
#[must_use]
pub fn base_path(number: usize) -> String {
    if number == 0 { BASE_PATH.to_owned() } else { format!("/items-{number}/1.0.0") }
}

fn description(scale: Scale, number: usize) -> Value {
    let base_path = base_path(number);
    // The API that is called first, the others around it.
    let names =
        ["orders", "customers", "invoices", "payments", "shipments", "returns", "products", "stores", "carts", "users"];
    let templates = names.iter().flat_map(|name| [format!("/{name}"), format!("/{name}/{{id}}")]).take(RESOURCES);
    let resources: Vec<Value> = templates.map(|template| resource(&template, scale)).collect();
    // Without anything else to do, the path stays as it is.
    let backend = if scale.everything { "/v2" } else { base_path.as_str() };
    let mut api = json!({
        "id": format!("api-{number}"), "name": if number == 0 { "Items".to_owned() } else { format!("Items {number}") },
        "version": "1.0.0", "organization": "carbon.super", "virtualHost": HOST, "basePath": base_path,
        "lifeCycle": "PUBLISHED", "production": { "cluster": "backend", "basePath": backend }, "resources": resources,
    });
    if let Some(api) = api.as_object_mut().filter(|_| scale.everything) {
        api.insert("tier".to_owned(), json!("Plenty"));
    }
    api
}

fn resource(template: &str, scale: Scale) -> Value {
    let operation = |method: &str| {
        if !scale.everything {
            return json!({ "method": method, "security": { "kind": "oauth2" } });
        }
        let header =
            |name: &str, value: &str| json!({ "kind": "header", "change": "set", "name": name, "value": value });
        json!({
            "method": method,
            "security": {
                "kind": "anyOf", "scopes": ["read:items"],
                "requirements": [{ "token": true }, { "apiKeys": [{ "in": "header", "name": API_KEY_HEADER }] }],
            },
            "policies": { "request": [header("x-api", "items"), header("x-stage", "production")] },
        })
    };
    json!({ "template": template, "operations": [operation("GET"), operation("POST")] })
}

fn application(tables: &mut Tables, number: usize) -> Result<()> {
    let uuid = uuid(number);
    let application = json!({
        "uuid": uuid, "id": number.saturating_add(1), "name": format!("Application {number}"), "subscriber": "alice",
        "tier": "Plenty",
    });
    tables.put::<Application>(Table::Application, uuid.clone().into_bytes(), 1, &application)?;
    let consumer_key = format!("{}{number}", crate::tokens::CONSUMER_KEY);
    let credential = json!({ "application": uuid, "keyType": "PRODUCTION" });
    tables.put::<Credential>(Table::Credential, keys::credential("bench", &consumer_key), 1, &credential)?;
    subscription(tables, number, "api-0")
}

fn subscription(tables: &mut Tables, application: usize, api: &str) -> Result<()> {
    let subscription = json!({ "state": "UNBLOCKED", "tier": "Gold" });
    let key = keys::subscription(&uuid(application), api);
    tables.put::<Subscription>(Table::Subscription, key, 1, &subscription)
}

fn uuid(application: usize) -> String {
    format!("10000000-0000-4000-8000-{application:012}")
}

/// Four levels: the API, the subscription, the application, and a policy of the administrator's. Or the same plans, and nothing
/// that they limit.
fn plans(tables: &mut Tables, limited: bool) -> Result<()> {
    let limit = json!({ "amount": PLENTY, "window": { "count": 1, "unit": "minute" } });
    let limits: Vec<Value> = limited.then_some(limit).into_iter().collect();
    for (kind, name) in [(TierKind::Api, "Plenty"), (TierKind::Application, "Plenty"), (TierKind::Subscription, "Gold")]
    {
        let tier = json!({ "name": name, "limits": limits });
        tables.put::<Tier>(Table::Tier, keys::tier(kind, name), 1, &tier)?;
    }
    if !limited {
        return Ok(());
    }
    let custom = json!({ "name": "per user", "template": "$userId:$apiContext", "limits": limits });
    tables.put::<CustomPolicy>(Table::Throttle, keys::custom("per user"), 1, &custom)
}

fn revoked(count: usize) -> Result<Vec<Vec<u8>>> {
    const END: u32 = u32::MAX;
    let mut slots: BTreeMap<Slot, BTreeMap<TokenHash, u32>> = BTreeMap::new();
    for number in 0..count {
        let hash = TokenHash::of(&format!("revoked-{number}"));
        slots.entry(Table::Revoked.slot(&hash.0)).or_default().insert(hash, END);
    }
    let encode = |(slot, records)| RevokedShard::encode(slot, records).context("encoding revoked tokens");
    slots.into_iter().map(encode).collect()
}

fn cut(shards: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
    let mut parts: Vec<Vec<&[u8]>> = vec![Vec::new()];
    let mut size = 0_usize;
    for shard in shards {
        if size > FRAME {
            parts.push(Vec::new());
            size = 0;
        }
        size = size.saturating_add(shard.len());
        if let Some(part) = parts.last_mut() {
            part.push(shard);
        }
    }
    let last = parts.len();
    let frame = |(number, shards): (usize, Vec<&[u8]>)| {
        let number = number.saturating_add(1);
        let cursor = Cursor { epoch: 1, revision: u64::try_from(number).unwrap_or(u64::MAX) };
        FeedFrame { reset: number == 1, more: number < last, cursor, shards }.encode().context("encoding a frame")
    };
    parts.into_iter().enumerate().map(frame).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_come_in_a_series_of_frames_that_filters_can_read() {
        let scale =
            Scale { apis: 2_000, applications: 50, revoked: 100, everything: true, limits: true, sockets: true };
        let frames = frames(scale, &json!({ "keys": [] })).unwrap();
        assert!(frames.len() > 1);
        for (number, bytes) in frames.iter().enumerate() {
            let frame = FeedFrame::decode(bytes).unwrap();
            assert_eq!((frame.reset, frame.more), (number == 0, number + 1 < frames.len()));
            assert_eq!(frame.cursor.revision, u64::try_from(number + 1).unwrap());
        }
        assert_eq!(FeedFrame::decode(&change(scale, 9, true).unwrap()).unwrap().cursor.revision, 9);
    }
}
