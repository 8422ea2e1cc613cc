//! Golden files and properties of the codec.
//!
//! The files under `golden/` were written by an earlier build and must stay readable: when a format changes, add files,
//! never replace them. `TOLLGATE_WRITE_GOLDEN=1 cargo test -p tollgate-model` writes those that do not exist yet.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::{
    Algorithm, Api, ApiKind, Backend, BackendJwtHeader, Issuer, Jwk, JwkSet, LifeCycle, Operation, Resource, Retry,
    Security, Settings,
};
use crate::{ApiKeyPlace, CertificateSource, ClientCertificate, MutualSsl, Requirement, Slot, Table, TokenHash, keys};
use crate::{
    Application, Credential, Cutoff, CutoffKind, GraphQlLimits, KeyType, SpikeArrest, Subscription, SubscriptionState,
    Tier, TierKind,
};
use crate::{GraphQl, GraphQlArgument, GraphQlField, GraphQlKind, GraphQlOperation, GraphQlType};
use crate::{HeaderPolicy, OpaPolicy, Policies, RequestPolicy};
use crate::{Include, Interceptor, Interceptors, NamedEndpoint};

fn golden(name: &str, written: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/wire/golden").join(name);
    if !path.exists() && std::env::var_os("TOLLGATE_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, written).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn backend(cluster: &str) -> Backend {
    Backend {
        cluster: cluster.to_owned(),
        base_path: "/v2".to_owned(),
        timeout_ms: Some(1500),
        retry: Some(Retry { count: 2, status_codes: vec![502, 504] }),
        authorization: None,
    }
}

fn api() -> Api {
    let operation = |method: &str, security| Operation {
        method: method.to_owned(),
        security,
        tier: None,
        cost: None,
        mock: None,
        interceptors: Interceptors::default(),
        policies: None,
    };
    Api {
        id: "111".to_owned(),
        name: "Pizza".to_owned(),
        version: "1.0.0".to_owned(),
        organization: "carbon.super".to_owned(),
        virtual_host: "localhost".to_owned(),
        base_path: "/pizza/1.0.0".to_owned(),
        default_base_path: Some("/pizza".to_owned()),
        kind: ApiKind::Http,
        life_cycle: LifeCycle::Published,
        authorization_header: Some("x-token".to_owned()),
        tier: None,
        mutual_ssl: None,
        graphql: None,
        endpoints: Vec::new(),
        production: Some(backend("prod")),
        sandbox: None,
        cors: None,
        resources: vec![Resource {
            template: "/menu/{id}".to_owned(),
            production: None,
            sandbox: Some(backend("sand")),
            uri_mapping: None,
            operations: vec![
                operation("GET", Security::Unsecured),
                operation("PUT", Security::OAuth2 { scopes: vec!["write".to_owned()] }),
            ],
        }],
    }
}

fn api_with_interceptors() -> Api {
    let mut api = api();
    let interceptor = |includes: &[Include]| Interceptor {
        cluster: "interceptor".to_owned(),
        authority: "service:8443".to_owned(),
        timeout_ms: 2000,
        includes: includes.to_vec(),
    };
    api.resources[0].operations[1].interceptors = Interceptors {
        request: Some(interceptor(&[Include::RequestHeaders, Include::RequestBody])),
        response: Some(interceptor(&[Include::ResponseBody, Include::InvocationContext])),
    };
    api.endpoints = vec![NamedEndpoint { name: "other".to_owned(), backend: backend("other") }];
    api
}

#[test]
fn a_filter_that_does_not_know_interceptors_must_not_serve_who_has_them() {
    assert_eq!(api_with_interceptors().needs(), 2);
}

/// Every kind of credentials.
fn api_with_credentials() -> Api {
    let mut api = api();
    let header = ApiKeyPlace::Header { name: "apikey".to_owned() };
    let query = ApiKeyPlace::Query { name: "apikey".to_owned() };
    let both = Requirement { token: true, ..Requirement::api_key(header) };
    api.resources[0].operations[0].security =
        Security::AnyOf { requirements: vec![both, Requirement::api_key(query)], scopes: vec!["read".to_owned()] };
    api.mutual_ssl = Some(MutualSsl {
        mandatory: true,
        application_security: false,
        certificates: vec![ClientCertificate {
            alias: "client".to_owned(),
            subject: "CN=client".to_owned(),
            tier: Some("Gold".to_owned()),
            sha256: "0a".repeat(32),
        }],
    });
    api
}

/// Policies of every kind.
fn api_with_policies() -> Api {
    let text = str::to_owned;
    let mut api = api();
    api.resources[0].operations[0].policies = Some(Policies {
        request: vec![
            RequestPolicy::Header(HeaderPolicy::Set { name: text("x-a"), value: text("1").into() }),
            RequestPolicy::RenameHeader { from: text("x-b"), to: text("x-c") },
            RequestPolicy::SetQuery { name: text("a"), value: text("1") },
            RequestPolicy::RemoveQuery { name: text("b") },
            RequestPolicy::RewritePath { path: text("/x/{uri.var.id}"), keep_query: true },
            RequestPolicy::RewriteMethod { method: text("PUT") },
            RequestPolicy::Opa(Box::new(OpaPolicy {
                cluster: text("agent"),
                authority: text("opa:8181"),
                path: text("/v1/data/a"),
                access_key: Some(text("key").into()),
                send_access_token: true,
                timeout_ms: 5_000,
            })),
        ],
        response: vec![HeaderPolicy::Remove { name: text("x-d") }],
    });
    api
}

#[test]
fn policies_are_for_filters_that_know_them() {
    let api = api_with_policies();
    assert_eq!((api.needs(), api.callbacks().response_headers), (2, true));
    let shown = format!("{api:?}");
    assert!(!shown.contains("\"key\"") && shown.contains("opa:8181"), "the agent's key is not shown");
}

#[test]
fn a_filter_that_does_not_know_certificates_must_not_serve_who_asks_for_them() {
    assert_eq!((api().needs(), api_with_credentials().needs()), (1, 2));
    let mut dear = api();
    dear.resources[0].operations[0].cost = std::num::NonZero::new(2);
    assert_eq!(dear.needs(), 3, "an older filter would count it as one");
}

fn issuer() -> Issuer {
    let jwk = Jwk { kty: "RSA".to_owned(), kid: Some("k".to_owned()), n: Some("AQ".to_owned()), ..Jwk::default() };
    Issuer {
        algorithms: vec![Algorithm::RS256],
        keys: JwkSet { keys: vec![jwk] },
        refreshable: true,
        consumer_key_claim: Some("azp".to_owned()),
        ..Issuer::named("Resident Key Manager", "https://localhost:9443/oauth2/token")
    }
}

/// Encodes one entry as the only one of its shard.
fn shard(table: Table, key: &[u8], value: &impl serde::Serialize) -> Vec<u8> {
    let value = serde_json::to_vec(value).unwrap();
    let entry = Entry { needs: 1, key, value: &value };
    Shard { slot: table.slot(key), entries: vec![entry] }.encode().unwrap()
}

fn api_with_a_schema() -> Api {
    let field = |name: &str, composite: Option<&str>| GraphQlField {
        name: name.to_owned(),
        composite: composite.map(str::to_owned),
        arguments: Vec::new(),
        complexity: None,
    };
    let found = GraphQlField {
        arguments: [("id", true), ("first", false)]
            .map(|(name, required)| GraphQlArgument { name: name.to_owned(), required })
            .to_vec(),
        complexity: Some(3),
        ..field("found", Some("Found"))
    };
    let one = |name: &str, possible: Option<&[&str]>, fields: Vec<GraphQlField>| GraphQlType {
        name: name.to_owned(),
        possible: possible.map(|list| list.iter().map(|name| (*name).to_owned()).collect()),
        fields,
    };
    let security = Security::OAuth2 { scopes: vec!["read".to_owned()] };
    let operation = Operation {
        method: "QUERY".to_owned(),
        security,
        tier: None,
        cost: None,
        mock: None,
        interceptors: Interceptors::default(),
        policies: None,
    };
    let graphql = GraphQl {
        query: "Query".to_owned(),
        mutation: None,
        subscription: Some("Events".to_owned()),
        types: vec![
            one("Query", None, vec![found]),
            one("Found", Some(&["Pizza"]), Vec::new()),
            one("Pizza", None, vec![field("name", None)]),
            one("Events", None, vec![field("sold", Some("Pizza"))]),
        ],
        operations: vec![GraphQlOperation { field: "found".to_owned(), kind: GraphQlKind::Query, operation }],
    };
    Api { kind: ApiKind::GraphQl, graphql: Some(graphql), ..api() }
}

/// The golden shard holds exactly this value, and today's build writes exactly the golden bytes.
#[track_caller]
fn check<T>(name: &str, table: Table, key: &[u8], value: &T)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let written = shard(table, key, value);
    let golden = golden(name, &written);
    let read = Shard::decode(&golden).unwrap();
    assert_eq!(read.slot, table.slot(key));
    assert_eq!(serde_json::from_slice::<T>(read.get(key).unwrap().value).unwrap(), *value);
    assert_eq!(written, golden, "{name} would be written differently");
}

#[test]
fn golden_shards() {
    check("settings.v1.bin", Table::Settings, b"", &Settings::default());
    check("api.v1.bin", Table::Api, &keys::api("localhost", "111"), &api());
    check("api_credentials.v2.bin", Table::Api, &keys::api("localhost", "111"), &api_with_credentials());
    let conditions = Issuer {
        audiences: vec!["gateway".to_owned()],
        claim_mapping: vec![("uid".to_owned(), "sub".to_owned())],
        certificate_bound_tokens: true,
        validate_subscription: true,
        ..issuer()
    };
    assert_eq!((issuer().needs(), conditions.needs()), (1, 2));
    check("issuer_conditions.v2.bin", Table::Issuer, b"Resident Key Manager", &conditions);
    let settings = Settings {
        internal_key_header: "test-key".to_owned(),
        client_certificate: CertificateSource { from_header: true, ..CertificateSource::default() },
        direct_clients: true,
        ..Settings::default()
    };
    check("settings_credentials.v2.bin", Table::Settings, b"", &settings);
    let backend_jwt = BackendJwtHeader { header: "x-jwt-assertion".to_owned(), revision: "r".to_owned() };
    let settings = Settings { backend_jwt: Some(backend_jwt), ..Settings::default() };
    assert_eq!((Settings::default().needs(), settings.needs()), (1, 2));
    check("settings_backend_jwt.v2.bin", Table::Settings, b"", &settings);
    check("api_graphql.v2.bin", Table::Api, &keys::api("localhost", "111"), &api_with_a_schema());
    check("api_interceptors.v2.bin", Table::Api, &keys::api("localhost", "111"), &api_with_interceptors());
    check("api_policies.v2.bin", Table::Api, &keys::api("localhost", "111"), &api_with_policies());
    check("issuer.v1.bin", Table::Issuer, b"Resident Key Manager", &issuer());
    check("route.v1.bin", Table::Route, &keys::route("localhost", "/pizza/1.0.0"), &"111".to_owned());
}

#[test]
fn golden_subscribers() {
    let application = Application {
        uuid: "b3a4".to_owned(),
        id: 7,
        name: "Web".to_owned(),
        subscriber: "alice".to_owned(),
        tenant: "carbon.super".to_owned(),
        tier: "50PerMin".to_owned(),
        attributes: [("region".to_owned(), "eu".to_owned())].into(),
    };
    check("application.v2.bin", Table::Application, b"b3a4", &application);
    let credential = Credential {
        application: "b3a4".to_owned(),
        key_type: KeyType::Sandbox,
        expires_at: Some(1_900_000_000),
        issued_at: None,
        scopes: Vec::new(),
    };
    check("credential.v2.bin", Table::Credential, &keys::credential("Resident Key Manager", "ck"), &credential);
    let workload =
        Credential { scopes: vec!["read".to_owned()], ..Credential::of("b3a4".to_owned(), KeyType::Production) };
    check(
        "credential_workload.v2.bin",
        Table::Credential,
        &keys::workload("spiffe://cluster.local/ns/a/sa/b"),
        &workload,
    );
    let subscription = Subscription { state: SubscriptionState::ProdOnlyBlocked, tier: "Gold".to_owned() };
    check("subscription.v2.bin", Table::Subscription, &keys::subscription("b3a4", "111"), &subscription);
    let tier = Tier {
        name: "Gold".to_owned(),
        stop_on_quota_reach: false,
        spike_arrest: Some(SpikeArrest { requests: 5, seconds: 1 }),
        graphql: GraphQlLimits { max_depth: Some(4), max_complexity: None },
        ..Tier::unlimited()
    };
    check("tier.v2.bin", Table::Tier, &keys::tier(TierKind::Subscription, "Gold"), &tier);
    check("cutoff.v2.bin", Table::Cutoff, &keys::cutoff(CutoffKind::User, "alice"), &Cutoff { before: 1_800_000_000 });
}

/// Ids whose hashes fall into one shard, in ascending order of hash.
fn revoked_ids() -> Vec<(TokenHash, u32)> {
    let slot = Table::Revoked.slot(&TokenHash::of("0").0);
    let hashes = (0..50_000).map(|id: u32| (TokenHash::of(&id.to_string()), id));
    let mut records: Vec<(TokenHash, u32)> = hashes.filter(|(hash, _)| Table::Revoked.slot(&hash.0) == slot).collect();
    records.sort_unstable();
    records
}

#[test]
fn golden_revoked_tokens() {
    let records = revoked_ids();
    let slot = Table::Revoked.slot(&records[0].0.0);
    let written = RevokedShard::encode(slot, records.iter().copied()).unwrap();
    let golden = golden("revoked.v2.bin", &written);
    let read = RevokedShard::decode(&golden).unwrap();
    assert_eq!((read.slot(), read.iter().collect::<Vec<_>>()), (slot, records));
    assert_eq!(written, golden, "it would be written differently");
}

#[test]
fn revoked_tokens_are_found_and_others_are_not() {
    let records = revoked_ids();
    assert!(records.len() > 5);
    let slot = Table::Revoked.slot(&records[0].0.0);
    for length in 0..records.len() {
        let bytes = RevokedShard::encode(slot, records[..length].iter().copied()).unwrap();
        assert_eq!(bytes.len(), RevokedShard::size(length));
        let shard = RevokedShard::open(&bytes).unwrap();
        for (position, (hash, expires)) in records.iter().enumerate() {
            assert_eq!(shard.get(*hash), (position < length).then_some(*expires));
        }
    }
}

#[test]
fn damaged_revoked_shards_are_refused() {
    let records = revoked_ids();
    let slot = Table::Revoked.slot(&records[0].0.0);
    let good = RevokedShard::encode(slot, records.iter().copied()).unwrap();
    for position in 0..good.len() {
        let mut damaged = good.clone();
        damaged[position] ^= 1;
        assert!(RevokedShard::decode(&damaged).is_err(), "byte {position}");
        assert!(RevokedShard::open(&good[..position]).is_err(), "cut at {position}");
    }
    assert!(RevokedShard::open(&[good.as_slice(), b"x"].concat()).is_err());
    let backwards = records.iter().rev().copied();
    assert_eq!(RevokedShard::encode(slot, backwards), Err(WireError::Order));
    assert!(Shard::decode(&good).is_err() && RevokedShard::is_one(&good));
}

#[test]
fn an_issuer_whose_subscriptions_count_is_not_for_older_filters() {
    assert_eq!((issuer().needs(), Issuer { validate_subscription: true, ..issuer() }.needs()), (1, 2));
}

#[test]
fn golden_feed_and_index() {
    let settings = shard(Table::Settings, b"", &Settings::default());
    let frame =
        FeedFrame { reset: true, more: false, cursor: Cursor { epoch: 7, revision: 3 }, shards: vec![&settings] };
    let bytes = golden("feed.v1.bin", &frame.encode().unwrap());
    assert_eq!(FeedFrame::decode(&bytes).unwrap(), frame);

    let mut index = Index::default();
    index.cursor = frame.cursor;
    index.set(Table::Settings.slot(b""), checksum(&settings));
    assert_eq!(Index::decode(&index.encode()).unwrap(), index);
    // An index never leaves its process, and its key in shared data says how many slots it is for. Written before there
    // were tables of subscribers, this one is for fewer, and must not be mistaken for one of today's.
    let bytes = golden("index.v1.bin", &[]);
    assert_eq!(Index::decode(&bytes), Err(WireError::TooLarge("slots")));
}

#[test]
fn damaged_shards_are_refused() {
    let good = shard(Table::Api, b"a", &api());
    for position in 0..good.len() {
        let mut damaged = good.clone();
        damaged[position] ^= 1;
        assert!(Shard::decode(&damaged).is_err(), "byte {position}");
        assert!(Shard::decode(&good[..position]).is_err(), "cut at {position}");
    }
    assert!(Shard::decode(&[good.as_slice(), b"x"].concat()).is_err());
}

#[test]
fn a_newer_format_is_reported_as_one() {
    let mut newer = shard(Table::Api, b"a", &api());
    newer[4] = 2;
    assert_eq!(Shard::decode(&newer), Err(WireError::Format { found: 2 }));
}

#[test]
fn keys_must_ascend() {
    let entry = |key| Entry { needs: 1, key, value: b"" };
    let slot = Table::Settings.slot(b"");
    for keys in [[&b"b"[..], b"a"], [b"a", b"a"]] {
        assert_eq!(Shard { slot, entries: keys.map(entry).into() }.encode(), Err(WireError::Order));
    }
}

#[test]
fn frames_are_bounded() {
    let large = vec![0; MAX_FRAME];
    let frame = FeedFrame { reset: false, more: false, cursor: Cursor::default(), shards: vec![&large] };
    assert_eq!(frame.encode(), Err(WireError::TooLarge("frame")));
    assert_eq!(FeedFrame::decode(&vec![0; MAX_FRAME + 1]), Err(WireError::TooLarge("frame")));
}

/// What an undeploy sends.
#[test]
fn a_frame_may_hold_nothing_but_empty_shards() {
    let empty = Shard { slot: Table::Api.slot(b"a"), entries: Vec::new() }.encode().unwrap();
    for shards in [vec![], vec![empty.as_slice()], vec![empty.as_slice(); 3]] {
        let frame = FeedFrame { reset: false, more: false, cursor: Cursor::default(), shards };
        let bytes = frame.encode().unwrap();
        assert_eq!(FeedFrame::decode(&bytes), Ok(frame));
    }
}

#[test]
fn an_index_tells_what_changed() {
    let (slot, other) = (Table::Api.slot(b"a"), Table::Route.slot(b"b"));
    let (mut before, mut after) = (Index::default(), Index::default());
    before.set(slot, 1);
    after.set(slot, 1);
    assert_eq!(before.changed(&after).count(), 0);
    after.set(other, 2);
    assert_eq!(before.changed(&after).collect::<Vec<Slot>>(), [other]);
}

#[test]
fn cursors() {
    for (text, cursor) in [
        ("0.0", Some(Cursor::default())),
        ("18446744073709551615.2", Some(Cursor { epoch: u64::MAX, revision: 2 })),
        ("1", None),
        ("1.", None),
        ("1.2.3", None),
        ("-1.2", None),
    ] {
        assert_eq!(text.parse().ok(), cursor, "{text}");
    }
}

proptest! {
    #[test]
    fn shards_round_trip(mut pairs: std::collections::BTreeMap<Vec<u8>, (u16, Vec<u8>)>) {
        pairs.retain(|key, _| key.len() < 1000);
        let entries: Vec<Entry> = pairs.iter().map(|(key, (needs, value))| Entry { needs: *needs, key, value }).collect();
        let shard = Shard { slot: Table::Api.slot(b"x"), entries };
        let bytes = shard.encode().unwrap();
        let read = Shard::decode(&bytes).unwrap();
        prop_assert_eq!(&read, &shard);
        for (key, (_, value)) in &pairs {
            prop_assert_eq!(read.get(key).map(|entry| entry.value), Some(value.as_slice()));
        }
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes: Vec<u8>) {
        prop_assert!(Shard::decode(&bytes).is_err());
        prop_assert!(RevokedShard::decode(&bytes).is_err());
        let _ = (FeedFrame::decode(&bytes), Index::decode(&bytes));
    }

    #[test]
    fn cursors_round_trip(epoch: u64, revision: u64) {
        let cursor = Cursor { epoch, revision };
        prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }
}
