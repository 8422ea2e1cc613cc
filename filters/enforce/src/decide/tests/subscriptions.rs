//! Subscriptions and revocation: every state with its code, from the tables and from the token itself.

use std::rc::Rc;

use proptest::prelude::*;
use tollgate_model::{
    Api, Application, Credential, Cutoff, CutoffKind, Issuer, KeyType, LifeCycle, Subscription, SubscriptionState,
    Tier, TierKind, keys,
};

use super::*;
use crate::CompiledIssuer;
use crate::testing::issuer;

const PATH: &str = "GET /pets/1.0/pet/5";
const GOOD: &str = "-> /v2/pet/5 -authorization +cluster=prod";
const SANDBOX: &str = "-> /s/pet/5 -authorization +cluster=sand";
const BLOCKED: &str = "401 900907: API Subscription is blocked";
const FAILED: &str = "User is NOT authorized to access the Resource. API Subscription validation failed.";
const FORBIDDEN: &str = "403 900908: Resource forbidden ";
const REVOKED: &str = "401 900901: Invalid JWT token. Make sure you have provided the correct security credentials";
const UNREADABLE: &str = "500 102500: Error during validating the request";

fn not_subscribed() -> String {
    format!("403 900908: {FAILED}")
}

fn validating(validate_subscription: bool) -> Rc<CompiledIssuer> {
    Rc::new(CompiledIssuer::compile(Issuer { validate_subscription, ..issuer() }).0)
}

/// `ck` belongs to an application that has subscribed in this state.
fn directory(state: SubscriptionState, key_type: KeyType) -> TestDirectory {
    let mut directory = TestDirectory::new(Api { sandbox: Some(backend("sand", "/s")), ..api() });
    directory.issuer = validating(true);
    let tables = &mut directory.subscribers;
    let credential = Credential::of("app".to_owned(), key_type);
    tables.credentials.insert(keys::credential("test", "ck"), credential);
    let application = Application { uuid: "app".to_owned(), tier: "Big".to_owned(), ..Application::default() };
    tables.applications.insert("app".to_owned(), application);
    tables.subscriptions.insert(keys::subscription("app", "pets"), Subscription { state, tier: "Gold".to_owned() });
    tables.tiers.insert((TierKind::Subscription, "Gold".to_owned()), Tier::named("Gold"));
    tables.tiers.insert((TierKind::Application, "Big".to_owned()), Tier::named("Big"));
    directory
}

fn call(directory: &TestDirectory, extra: serde_json::Value) -> String {
    let bearer = format!("Bearer {}", token(extra));
    outcome(directory, PATH, &[("authorization", &bearer)])
}

fn known() -> serde_json::Value {
    json!({"azp": "ck"})
}

#[test]
fn every_state_has_its_answer() {
    let inactive = format!("403 900909: {FAILED}");
    for (state, production, sandbox) in [
        (SubscriptionState::Unblocked, GOOD, SANDBOX),
        (SubscriptionState::TierUpdatePending, GOOD, SANDBOX),
        (SubscriptionState::DeletePending, GOOD, SANDBOX),
        (SubscriptionState::Blocked, BLOCKED, BLOCKED),
        (SubscriptionState::ProdOnlyBlocked, BLOCKED, SANDBOX),
        (SubscriptionState::OnHold, inactive.as_str(), inactive.as_str()),
        (SubscriptionState::Rejected, inactive.as_str(), inactive.as_str()),
    ] {
        assert_eq!(call(&directory(state, KeyType::Production), known()), production, "{state:?}");
        assert_eq!(call(&directory(state, KeyType::Sandbox), known()), sandbox, "{state:?}");
    }
}

#[test]
fn what_the_token_says_of_its_key_goes_before_the_tables() {
    let state = SubscriptionState::ProdOnlyBlocked;
    let claim = |key_type| json!({"azp": "ck", "keytype": key_type});
    assert_eq!(call(&directory(state, KeyType::Production), claim("SANDBOX")), SANDBOX);
    assert_eq!(call(&directory(state, KeyType::Sandbox), claim("PRODUCTION")), BLOCKED);
}

#[test]
fn whatever_is_missing_is_a_refusal() {
    let good = || directory(SubscriptionState::Unblocked, KeyType::Production);
    let without = |change: fn(&mut TestDirectory)| {
        let mut directory = good();
        change(&mut directory);
        call(&directory, known())
    };
    assert_eq!(without(|_| ()), GOOD);
    assert_eq!(without(|directory| directory.subscribers.credentials.clear()), not_subscribed());
    assert_eq!(without(|directory| directory.subscribers.applications.clear()), not_subscribed());
    assert_eq!(without(|directory| directory.subscribers.subscriptions.clear()), not_subscribed());
    assert_eq!(without(|directory| directory.subscribers.tiers.clear()), UNREADABLE);
    assert_eq!(without(|directory| directory.subscribers.unreadable = true), UNREADABLE);
    assert_eq!(call(&good(), json!({})), FORBIDDEN, "no consumer key");
    assert_eq!(call(&good(), json!({"azp": "other"})), not_subscribed());
    // The same consumer key of another key manager.
    let mut directory = good();
    let credential = directory.subscribers.credentials.remove(&keys::credential("test", "ck")).unwrap();
    directory.subscribers.credentials.insert(keys::credential("other", "ck"), credential);
    assert_eq!(call(&directory, known()), not_subscribed());
}

#[test]
fn a_subscription_may_name_the_api_instead_of_its_id() {
    let mut directory = directory(SubscriptionState::Blocked, KeyType::Production);
    let blocked = directory.subscribers.subscriptions.remove(&keys::subscription("app", "pets")).unwrap();
    let good = Subscription { state: SubscriptionState::Unblocked, ..blocked.clone() };
    directory.subscribers.subscriptions.insert(keys::subscription_by_name("app", "Pets", "1.0"), good);
    assert_eq!(call(&directory, known()), GOOD);
    directory.subscribers.subscriptions.insert(keys::subscription("app", "pets"), blocked);
    assert_eq!(call(&directory, known()), BLOCKED, "the id says more");
    directory.subscribers.subscriptions.clear();
    let other = Subscription { state: SubscriptionState::Unblocked, tier: Tier::UNLIMITED.to_owned() };
    directory.subscribers.subscriptions.insert(keys::subscription_by_name("app", "Pets", "2.0"), other);
    assert_eq!(call(&directory, known()), not_subscribed());
}

#[test]
fn a_token_that_lists_its_apis_needs_no_tables() {
    let mut directory = directory(SubscriptionState::Blocked, KeyType::Production);
    let listed = |name, version| json!({"azp": "ck", "subscribedAPIs": [{"name": "Other", "version": "1.0"}, {"name": name, "version": version}]});
    assert_eq!(call(&directory, listed("Pets", "1.0")), GOOD, "the token goes before the tables");
    for (name, version) in [("Pets", "2.0"), ("pets", "1.0")] {
        assert_eq!(call(&directory, listed(name, version)), FORBIDDEN);
    }
    assert_eq!(call(&directory, json!({"azp": "ck", "subscribedAPIs": []})), FORBIDDEN);
    directory.subscribers = Default::default();
    assert_eq!(call(&directory, listed("Pets", "1.0")), GOOD);
}

#[test]
fn subscriptions_count_only_where_the_issuer_says_so() {
    let mut directory = directory(SubscriptionState::Blocked, KeyType::Sandbox);
    directory.issuer = validating(false);
    assert_eq!(call(&directory, known()), GOOD);
    assert_eq!(call(&directory, json!({"subscribedAPIs": []})), GOOD);
}

#[test]
fn a_blocked_api_is_told_to_subscribers_only() {
    let mut blocked = directory(SubscriptionState::Unblocked, KeyType::Production);
    blocked.api.life_cycle = LifeCycle::Blocked;
    assert!(call(&blocked, known()).starts_with("503 700700"));
    assert_eq!(call(&blocked, json!({"azp": "other"})), not_subscribed());
}

#[test]
fn revoked_tokens_are_refused_even_when_they_are_remembered() {
    let mut directory = TestDirectory::new(api());
    let named = || json!({"jti": "bad", "iat": 100, "sub": "alice", "azp": "ck"});
    assert_eq!(call(&directory, named()), GOOD);
    directory.subscribers.revoked.push("bad".to_owned());
    assert_eq!(call(&directory, named()), REVOKED);
    assert_eq!(call(&directory, json!({"jti": "good"})), GOOD);
    // A token without an id is known by the text of its signature; here that of the key's name.
    directory.subscribers.revoked = vec![URL_SAFE_NO_PAD.encode("known")];
    assert_eq!(call(&directory, json!({})), REVOKED);
    directory.subscribers.revoked.clear();
    for (kind, of) in
        [(CutoffKind::ConsumerKey, "ck"), (CutoffKind::User, "alice"), (CutoffKind::Issuer, "https://issuer.example")]
    {
        for (before, expected) in [(100, GOOD), (101, REVOKED)] {
            directory.subscribers.cutoffs = [((kind, of.to_owned()), Cutoff { before })].into();
            assert_eq!(call(&directory, named()), expected, "{kind:?} {before}");
        }
        let undated = json!({"jti": "good", "sub": "alice", "azp": "ck"});
        assert_eq!(call(&directory, undated), REVOKED, "it may be from before");
        directory.subscribers.cutoffs = [((kind, "other".to_owned()), Cutoff { before: 101 })].into();
        assert_eq!(call(&directory, named()), GOOD);
    }
    directory.subscribers.unreadable = true;
    assert_eq!(call(&directory, named()), UNREADABLE);
}

/// A directory and a token of any kind.
fn any_case() -> impl Strategy<Value = (TestDirectory, serde_json::Value)> {
    let state = prop::sample::select(SubscriptionState::ALL.to_vec());
    let claims = (0_usize..3, 0_usize..3, prop::bool::ANY, prop::option::of(0..200));
    (state, prop::bool::ANY, prop::bool::ANY, 0..4, claims).prop_map(|(state, sandbox, validate, missing, claims)| {
        let key_type = if sandbox { KeyType::Sandbox } else { KeyType::Production };
        let mut directory = directory(state, key_type);
        directory.issuer = validating(validate);
        match missing {
            0 => directory.subscribers.credentials.clear(),
            1 => directory.subscribers.subscriptions.clear(),
            _ => {}
        }
        let (key, listed, named, iat) = claims;
        let mut token = json!({"sub": "alice"});
        let mut set =
            |name: &str, value: serde_json::Value| token.as_object_mut().unwrap().insert(name.to_owned(), value);
        if key > 0 {
            set("azp", json!(["ck", "other"][key - 1]));
        }
        if listed > 0 {
            set("subscribedAPIs", json!([{"name": (["Pets", "Cats"][listed - 1]), "version": "1.0"}]));
        }
        if named {
            set("jti", json!("id"));
        }
        if let Some(iat) = iat {
            set("iat", json!(iat));
        }
        (directory, token)
    })
}

proptest! {
    /// Whatever is revoked, nobody gets in who did not before.
    #[test]
    fn revoking_never_opens((mut directory, token) in any_case(), what in 0..4, before in 0_i64..200) {
        let first = call(&directory, token.clone());
        match what {
            0 => directory.subscribers.revoked.push("id".to_owned()),
            1 => { directory.subscribers.cutoffs.insert((CutoffKind::User, "alice".to_owned()), Cutoff { before }); }
            2 => { directory.subscribers.cutoffs.insert((CutoffKind::ConsumerKey, "ck".to_owned()), Cutoff { before }); }
            _ => directory.subscribers.unreadable = true,
        }
        let second = call(&directory, token);
        prop_assert!(first.starts_with("->") || !second.starts_with("->"), "{} became {}", first, second);
    }

    /// Asking for subscriptions lets nobody in whom the same issuer would not let in without.
    #[test]
    fn validating_subscriptions_never_opens((mut directory, token) in any_case()) {
        directory.issuer = validating(false);
        let first = call(&directory, token.clone());
        directory.tokens.clear();
        directory.issuer = validating(true);
        let second = call(&directory, token);
        prop_assert!(first.starts_with("->") || !second.starts_with("->"), "{} became {}", first, second);
    }
}

/// Otherwise the first of these would prove nothing: revoking closes for some, and some were refused before.
#[test]
fn the_cases_are_of_every_sort() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut stay, mut closed, mut never) = (0, 0, 0);
    for number in 0..300 {
        let (mut directory, token) = proptest::strategy::ValueTree::current(&any_case().new_tree(&mut runner).unwrap());
        let first = call(&directory, token.clone());
        match number % 2 {
            0 => directory.subscribers.revoked.push("id".to_owned()),
            _ => drop(
                directory.subscribers.cutoffs.insert((CutoffKind::User, "alice".to_owned()), Cutoff { before: 100 }),
            ),
        }
        match (first.starts_with("->"), call(&directory, token).starts_with("->")) {
            (true, true) => stay += 1,
            (true, false) => closed += 1,
            (false, _) => never += 1,
        }
    }
    assert!(stay > 20 && closed > 20 && never > 20, "{stay} {closed} {never}");
}
