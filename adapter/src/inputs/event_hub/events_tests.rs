//! Every kind of event, and messages that are none.

use proptest::prelude::*;
use serde_json::json;
use tollgate_model::{KeyType, LifeCycle, SubscriptionState};

use super::*;

fn ears() -> Ears {
    let environments = vec!["Default".to_owned(), "Asia".to_owned()];
    let numbers = Numbers::from([(7, "app".to_owned())]);
    Ears { tenant: Some("carbon.super".to_owned()), environments, numbers, shared: false }
}

fn envelope(payload: &Value) -> Vec<u8> {
    json!({"event": {"payloadData": payload}}).to_string().into_bytes()
}

#[track_caller]
fn hear(kind: &str, mut event: Value) -> Heard {
    event["type"] = json!(kind);
    event["timeStamp"] = json!(5);
    event["tenantDomain"] = json!("carbon.super");
    let packed = STANDARD.encode(event.to_string());
    let body = envelope(&json!({"eventType": kind, "timeStamp": 1.7e12, "event": packed}));
    ears().read("notification", &body).unwrap()
}

fn put(id: Id, fact: Fact, partial: bool) -> Heard {
    Heard { changes: vec![Change::Put { id, fact, stamp: 5, partial }], ..Heard::default() }
}

fn gone(id: Id, incarnation: Option<&str>) -> Heard {
    let incarnation = incarnation.map(str::to_owned);
    Heard { changes: vec![Change::Remove { id, incarnation, stamp: 5 }], ..Heard::default() }
}

#[test]
fn applications_and_their_keys() {
    let event = json!({"uuid": "app", "applicationId": 7, "applicationName": "Web", "tokenType": "JWT",
        "applicationPolicy": "Unlimited", "subscriber": "alice", "groupIds": []});
    for kind in ["APPLICATION_CREATE", "APPLICATION_UPDATE"] {
        let heard = hear(kind, event.clone());
        let [Change::Put { id, fact: Fact::Application(application), stamp: 5, partial: true }] =
            heard.changes.as_slice()
        else {
            panic!("{heard:?}")
        };
        assert_eq!((id.key.as_str(), application.name.as_str(), application.id), ("app", "Web", 7));
    }
    assert_eq!(hear("APPLICATION_DELETE", event), gone(Id::new(Resource::Applications, "app"), None));
    let key = json!({"applicationId": 7, "consumerKey": "ck", "keyType": "PRODUCTION", "keyManager": "KM"});
    let id = Id::credential("KM", "ck");
    let fact = Fact::Credential { application: "app".to_owned(), key_type: KeyType::Production };
    assert_eq!(hear("APPLICATION_REGISTRATION_CREATE", key.clone()), put(id.clone(), fact, false));
    assert_eq!(hear("REMOVE_APPLICATION_KEYMAPPING", key), gone(id, None));
}

#[test]
fn subscriptions() {
    let event = json!({"subscriptionId": 3, "subscriptionUUID": "s", "apiId": 1, "apiUUID": "api", "applicationId": 7,
        "applicationUUID": "app", "policyId": "Gold", "subscriptionState": "BLOCKED"});
    let id = Id::subscription("app", "api");
    let state = SubscriptionState::Blocked;
    let fact = Fact::Subscription { uuid: "s".to_owned(), state, tier: "Gold".to_owned() };
    assert_eq!(hear("SUBSCRIPTIONS_CREATE", event.clone()), put(id.clone(), fact.clone(), false));
    assert_eq!(hear("SUBSCRIPTIONS_UPDATE", event.clone()), put(id.clone(), fact, false));
    assert_eq!(hear("SUBSCRIPTIONS_DELETE", event), gone(id, Some("s")));
}

#[test]
fn apis() {
    let event = |action: &str| json!({"uuid": "api", "gatewayLabels": ["Default", "Europe"], "apiStatus": "BLOCKED", "action": action});
    let api = |removed_from: &[&str]| {
        let removed_from = removed_from.iter().map(|label| (*label).to_owned()).collect();
        Some(ApiEvent { uuid: "api".to_owned(), removed_from, stamp: 5 })
    };
    for (kind, action, expected, pulls) in [
        ("DEPLOY_API_IN_GATEWAY", "", api(&[]), 1),
        ("REMOVE_API_FROM_GATEWAY", "", api(&["Default", "Europe"]), 0),
        ("API_UPDATE", "DEFAULT_VERSION", api(&[]), 1),
        ("API_UPDATE", "OTHER", None, 1),
        ("API_CREATE", "", None, 1),
        ("API_DELETE", "", api(&[]), 1),
    ] {
        let heard = hear(kind, event(action));
        assert_eq!((heard.api, heard.pulls.len(), heard.changes.len()), (expected, pulls, 0), "{kind}");
    }
    let elsewhere = json!({"uuid": "api", "gatewayLabels": ["Europe"]});
    assert_eq!(hear("DEPLOY_API_IN_GATEWAY", elsewhere), Heard::default());
    let heard = hear("API_LIFECYCLE_CHANGE", event(""));
    assert_eq!(heard.moved, Some(("api".to_owned(), LifeCycle::Blocked, 5)));
}

#[test]
fn plans_are_pulled_and_everything_else_is_ignored() {
    for (kind, resource) in [
        ("APPLICATION", Resource::ApplicationPolicies),
        ("SUBSCRIPTION", Resource::SubscriptionPolicies),
        ("API", Resource::ApiPolicies),
        ("GLOBAL", Resource::KeyTemplates),
    ] {
        let heard = hear("POLICY_UPDATE", json!({"policyId": 1, "policyName": "Gold", "policyType": kind}));
        assert_eq!(heard.pulls, [resource]);
    }
    for kind in ["SCOPE_CREATE", "HEALTH_CHECK", "ENDPOINT_CERTIFICATE_ADD", "DEPLOY_POLICY_MAPPING_IN_GATEWAY"] {
        assert_eq!(hear(kind, json!({})), Heard::default(), "{kind}");
    }
}

#[test]
fn key_managers() {
    let configuration = json!({"issuer": "i", "self_validate_jwt": true, "jwks_endpoint": "u"});
    let payload = |action: &str| {
        envelope(&json!({"event_type": "key_manager_configuration", "name": "Okta", "action": action, "type": "Okta",
            "enabled": true, "value": STANDARD.encode(configuration.to_string()), "tenantDomain": "carbon.super"}))
    };
    let read = |action: &str| ears().read("keymanager", &payload(action));
    for action in ["add", "update"] {
        let heard = read(action).unwrap();
        let [Change::Put { id, fact: Fact::KeyManager(manager), .. }] = heard.changes.as_slice() else { panic!() };
        assert_eq!((id, manager.accepted), (&Id::key_manager("OKTA"), true));
        assert_eq!(heard.pulls, [Resource::KeyManagers]);
    }
    assert!(matches!(read("delete").unwrap().changes.as_slice(), [Change::Remove { .. }]));
    assert!(read("paint").is_err());
    let bad = envelope(&json!({"name": "Okta", "action": "add", "value": "§"}));
    assert_eq!(ears().read("keymanager", &bad), Err(PoisonError::Packed("value")));
}

#[test]
fn revoked_tokens_and_decisions() {
    let body =
        envelope(&json!({"eventId": "e", "revokedToken": "j", "ttl": "5000", "expiryTime": 1_900_000_000_000_i64,
        "type": "Default", "tenantId": -1234}));
    let heard = ears().read("tokenRevocation", &body).unwrap();
    let fact = Fact::Revoked(1_900_000_000);
    let expected = Change::Put { id: Id::new(Resource::RevokedTokens, "j"), fact, stamp: 0, partial: false };
    assert_eq!(heard.changes, [expected]);
    let decision = envelope(&json!({"throttleKey": "k", "isThrottled": "true", "expiryTimeStamp": 5}));
    assert_eq!(ears().read("throttleData", &decision), Ok(Heard::default()));
    let condition = json!({"id": 1, "blockingCondition": "API", "conditionValue": "/a/1", "state": "true"});
    assert_eq!(ears().read("throttleData", &envelope(&condition)).unwrap().changes.len(), 1);
}

#[test]
fn other_tenants_are_not_heard() {
    let packed = |tenant: &str| {
        let event = json!({"uuid": "app", "tenantDomain": tenant, "timeStamp": 5});
        envelope(&json!({"eventType": "APPLICATION_DELETE", "event": STANDARD.encode(event.to_string())}))
    };
    let count = |ears: &Ears, tenant: &str| ears.read("notification", &packed(tenant)).unwrap().changes.len();
    assert_eq!((count(&ears(), "carbon.super"), count(&ears(), "other.com")), (1, 0));
    assert_eq!(count(&Ears::default(), "other.com"), 1);
    let condition =
        json!({"blockingCondition": "API", "conditionValue": "/a", "state": "true", "tenantDomain": "other.com"});
    assert_eq!(ears().read("throttleData", &envelope(&condition)), Ok(Heard::default()));
}

#[test]
fn poison_is_told_from_silence_and_shows_nothing() {
    let packed = |text: &str| envelope(&json!({"eventType": "APPLICATION_DELETE", "event": STANDARD.encode(text)}));
    for (topic, body) in [
        ("notification", b"hush".to_vec()),
        ("notification", b"{}".to_vec()),
        ("notification", envelope(&json!({"eventType": "APPLICATION_DELETE", "event": "hush"}))),
        ("notification", envelope(&json!({"eventType": "POLICY hush"}))),
        ("notification", packed("hush")),
        ("notification", packed("[\"hush\"]")),
        ("notification", packed("{\"secret\":\"hush\"}")),
        ("tokenRevocation", envelope(&json!({"token": "hush"}))),
        (
            "throttleData",
            envelope(&json!({"blockingCondition": "IP", "id": 1, "conditionValue": "hush", "state": "true"})),
        ),
    ] {
        let error = ears().read(topic, &body).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
    assert_eq!(ears().read("another", &envelope(&json!({}))), Ok(Heard::default()));
}

proptest! {
    #[test]
    fn any_bytes_are_heard_or_poison(body: Vec<u8>, text in "\\PC{0,40}") {
        for topic in TOPICS {
            let _ = ears().read(topic, &body);
            let packed = envelope(&json!({"eventType": text, "event": STANDARD.encode(&body), "blockingCondition": text}));
            let _ = ears().read(topic, &packed);
        }
    }
}
