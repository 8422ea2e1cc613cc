//! API keys and the tables: opaque keys, and signed ones that name their application only.

use std::rc::Rc;

use proptest::prelude::*;
use sha2::{Digest, Sha256};
use tollgate_model::{
    Api, ApiKeyPlace, Application, Credential, Cutoff, CutoffKind, Issuer, KeyType, LifeCycle, Requirement, Security,
    Subscription, SubscriptionState, Tier, keys,
};

use super::*;
use crate::CompiledIssuer;
use crate::testing::{operation, resource};

const OPAQUE: &str = "m3mC2h.Yw0uJd_opaque-key+/=";
const BAD_KEY: &str =
    "401 900901: API key authentication failed.. Make sure you have provided the correct security credentials";
const NOT_SUBSCRIBED: &str =
    "403 900908: User is NOT authorized to access the Resource. API Subscription validation failed.";
const FORBIDDEN: &str = "403 900908: Resource forbidden ";
const BLOCKED: &str = "401 900907: API Subscription is blocked";
const PRODUCTION: &str = "-> /v2/key -apikey +cluster=prod";
const SANDBOX: &str = "-> /s/key -apikey +cluster=sand";

/// `/key` and `/query` take a key at one place, `/both` one beside a token.
fn with_keys() -> Api {
    let header = || ApiKeyPlace::Header { name: "apikey".to_owned() };
    let query = ApiKeyPlace::Query { name: "apikey".to_owned() };
    let one = |template: &str, requirement| {
        let security = Security::AnyOf { requirements: vec![requirement], scopes: vec!["write".to_owned()] };
        resource(template, vec![operation("GET", security)])
    };
    let resources = vec![
        one("/key", Requirement::api_key(header())),
        one("/query", Requirement::api_key(query)),
        one("/both", Requirement { token: true, ..Requirement::api_key(header()) }),
    ];
    Api { resources, sandbox: Some(backend("sand", "/s")), ..api() }
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// The opaque key and signed keys of `app`, which has subscribed in this state.
fn directory(state: SubscriptionState, key_type: KeyType) -> TestDirectory {
    let mut directory = TestDirectory::new(with_keys());
    let service = Issuer {
        validate_subscription: true,
        keys: JwkSet { keys: vec![jwk("apikey")] },
        ..Issuer::named(Issuer::API_KEYS, "")
    };
    directory.services = vec![Rc::new(CompiledIssuer::compile(service).0)];
    let tables = &mut directory.subscribers;
    let credential =
        Credential { expires_at: Some(NOW + 60), issued_at: Some(100), ..Credential::of("app".to_owned(), key_type) };
    tables.credentials.insert(keys::opaque_key(&digest(OPAQUE)), credential);
    let application = Application {
        uuid: "app".to_owned(),
        subscriber: "alice".to_owned(),
        tier: Tier::UNLIMITED.to_owned(),
        ..Application::default()
    };
    tables.applications.insert("app".to_owned(), application);
    let subscription = Subscription { state, tier: Tier::UNLIMITED.to_owned() };
    tables.subscriptions.insert(keys::subscription("app", "pets"), subscription);
    directory
}

fn good() -> TestDirectory {
    directory(SubscriptionState::Unblocked, KeyType::Production)
}

fn call(directory: &TestDirectory, key: &str) -> String {
    outcome(directory, "GET /pets/1.0/key", &[("apikey", key)])
}

/// A signed key that says this besides.
fn signed(extra: serde_json::Value) -> String {
    let mut claims = json!({"exp": NOW + 60, "token_type": "apiKey", "application": {"uuid": "app"}});
    claims.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    token_of("apikey", &claims)
}

#[test]
fn an_opaque_key_counts_where_keys_are_expected_and_goes_no_further() {
    let directory = good();
    assert_eq!(call(&directory, OPAQUE), PRODUCTION);
    assert_eq!(call(&directory, &format!(" {OPAQUE} ")), PRODUCTION);
    let query = "GET /pets/1.0/query?a=%2F&apikey=m3mC2h.Yw0uJd_opaque-key%2B%2F%3D&b=+";
    assert_eq!(outcome(&directory, query, &[]), "-> /v2/query?a=%2F&b=+ +cluster=prod");
    for key in ["m3mC2h.Yw0uJd_opaque-key+/", "M3mC2h.Yw0uJd_opaque-key+/=", "x", &"x".repeat(100_000)] {
        assert_eq!(call(&directory, key), BAD_KEY, "{key:.50}");
    }
    // Nor is its hash a key, which others may have seen.
    let hash: String = digest(OPAQUE).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(call(&directory, &hash), BAD_KEY);
    let bearer = format!("Bearer {}", token(json!({"scope": "write"})));
    let both = |headers: &[(&str, &str)]| outcome(&directory, "GET /pets/1.0/both", headers);
    let passed = "-> /v2/both -authorization -apikey +cluster=prod";
    assert_eq!(both(&[("authorization", &bearer), ("apikey", OPAQUE)]), passed);
    assert_eq!(both(&[("authorization", &bearer), ("apikey", "x")]), BAD_KEY);
    assert_eq!(both(&[("apikey", OPAQUE)]), NO_CREDENTIALS);
    assert_eq!(call(&directory, "").as_str(), NO_CREDENTIALS);
}

/// Also where the key is shown beside a token, which says who calls.
#[test]
fn keys_are_good_with_their_subscription_only() {
    let inactive = "403 900909: User is NOT authorized to access the Resource. API Subscription validation failed.";
    let bearer = format!("Bearer {}", token(json!({"scope": "write"})));
    for (state, production, sandbox) in [
        (SubscriptionState::Unblocked, PRODUCTION, SANDBOX),
        (SubscriptionState::TierUpdatePending, PRODUCTION, SANDBOX),
        (SubscriptionState::DeletePending, PRODUCTION, SANDBOX),
        (SubscriptionState::ProdOnlyBlocked, BLOCKED, SANDBOX),
        (SubscriptionState::Blocked, BLOCKED, BLOCKED),
        (SubscriptionState::OnHold, inactive, inactive),
        (SubscriptionState::Rejected, inactive, inactive),
    ] {
        for (side, expected) in [(KeyType::Production, production), (KeyType::Sandbox, sandbox)] {
            let directory = directory(state, side);
            assert_eq!(call(&directory, OPAQUE), expected, "{state:?} {side:?}");
            let says = json!({"keytype": if side == KeyType::Sandbox { "SANDBOX" } else { "PRODUCTION" }});
            assert_eq!(call(&directory, &signed(says.clone())), expected, "{state:?} {side:?}");
            for key in [OPAQUE, &signed(says)] {
                let headers = [("authorization", bearer.as_str()), ("apikey", key)];
                let both = outcome(&directory, "GET /pets/1.0/both", &headers);
                assert_eq!(both.starts_with("->"), expected.starts_with("->"), "{state:?} {side:?}: {both}");
            }
        }
    }
    for key in [OPAQUE, &signed(json!({}))] {
        let without = |change: fn(&mut TestDirectory)| {
            let mut directory = good();
            change(&mut directory);
            call(&directory, key)
        };
        assert_eq!(without(|directory| directory.subscribers.applications.clear()), NOT_SUBSCRIBED);
        assert_eq!(without(|directory| directory.subscribers.subscriptions.clear()), NOT_SUBSCRIBED);
        assert!(without(|directory| directory.subscribers.unreadable = true).starts_with("500 102500"));
        assert!(without(|directory| directory.api.life_cycle = LifeCycle::Blocked).starts_with("503 700700"));
    }
}

#[test]
fn a_signed_key_is_looked_up_only_when_it_lists_no_apis() {
    let listed = |name: &str| json!([{"name": name, "version": "1.0"}]);
    let mut directory = good();
    assert_eq!(call(&directory, &signed(json!({}))), PRODUCTION);
    for claims in [
        json!({"subscribedAPIs": listed("Cats")}),
        json!({"subscribedAPIs": []}),
        json!({"application": null}),
        json!({"application": {"name": "Web"}}),
        json!({"application": {"uuid": ""}}),
    ] {
        assert_eq!(call(&directory, &signed(claims.clone())), FORBIDDEN, "{claims}");
    }
    assert_eq!(call(&directory, &signed(json!({"application": {"uuid": "other"}}))), NOT_SUBSCRIBED);
    directory.subscribers = Default::default();
    assert_eq!(call(&directory, &signed(json!({"subscribedAPIs": listed("Pets")}))), PRODUCTION);
}

#[test]
fn opaque_keys_end() {
    let change = |change: &dyn Fn(&mut TestDirectory)| {
        let mut directory = good();
        change(&mut directory);
        call(&directory, OPAQUE)
    };
    let ends = |at: Option<u64>| {
        change(&|directory| directory.subscribers.credentials.values_mut().for_each(|key| key.expires_at = at))
    };
    assert_eq!([ends(None), ends(Some(NOW)), ends(Some(NOW - 1))], [PRODUCTION, PRODUCTION, INVALID]);
    let revoked = |id: &str| change(&|directory| directory.subscribers.revoked.push(id.to_owned()));
    let hash: String = digest(OPAQUE).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!([revoked(&hash), revoked(OPAQUE)], [BAD_KEY, PRODUCTION]);
    let cut = |user: &str, before: i64, made: Option<i64>| {
        change(&|directory| {
            let tables = &mut directory.subscribers;
            tables.cutoffs = [((CutoffKind::User, user.to_owned()), Cutoff { before })].into();
            tables.credentials.values_mut().for_each(|key| key.issued_at = made);
        })
    };
    assert_eq!(cut("alice", 100, Some(100)), PRODUCTION);
    assert_eq!(cut("alice", 101, Some(100)), BAD_KEY);
    assert_eq!(cut("alice", 1, None), BAD_KEY, "it may be from before");
    assert_eq!(cut("bob", 101, Some(100)), PRODUCTION);
}

proptest! {
    /// No text but the key itself is ever taken, whatever it is.
    #[test]
    fn no_other_text_is_a_key(text in "[ -~]{0,80}") {
        prop_assume!(text.trim() != OPAQUE);
        let outcome = call(&good(), &text);
        prop_assert!(!outcome.starts_with("->"), "{}", outcome);
    }
}
