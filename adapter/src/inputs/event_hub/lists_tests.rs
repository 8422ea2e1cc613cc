//! What elements of lists become, and that odd ones concern nobody else.

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[track_caller]
fn list(resource: Resource, element: Value) -> Result<Fact, String> {
    let numbers = Numbers::from([(7, "app".to_owned())]);
    let good = read(resource, &json!({"list": [element], "count": 1}), &numbers, false).unwrap();
    assert_eq!(good.facts.len() + good.refusals, 1);
    match good.facts.into_values().next() {
        Some((fact, _)) => Ok(fact),
        None => Err(good.refused.concat()),
    }
}

#[test]
fn elements_become_facts() {
    let application = json!({"uuid": "app", "id": 7, "name": "Web", "subName": "alice", "policy": "Unlimited",
        "tokenType": "JWT", "attributes": {"region": "eu", "odd": 5}, "tenanId": -1234, "tenanDomain": "carbon.super",
        "timeStamp": 5, "groupIds": []});
    let Ok(Fact::Application(found)) = list(Resource::Applications, application) else { panic!() };
    assert_eq!((found.id, found.subscriber.as_str(), found.tier.as_str()), (7, "alice", "Unlimited"));
    assert_eq!((found.tenant.as_str(), found.attributes.len()), ("carbon.super", 1));

    let key = json!({"applicationId": 7, "applicationUUID": "app", "consumerKey": "ck", "keyType": "SANDBOX", "keyManager": "KM"});
    let expected = Fact::Credential { application: "app".to_owned(), key_type: KeyType::Sandbox };
    assert_eq!(list(Resource::ApplicationKeys, key), Ok(expected.clone()));
    let by_number = json!({"applicationId": 7, "consumerKey": "ck", "keyType": "sandbox", "keyManager": "KM"});
    assert_eq!(list(Resource::ApplicationKeys, by_number), Ok(expected));

    let subscription = json!({"subscriptionId": 1, "subscriptionUUID": "s", "policyId": "Gold", "apiUUID": "api", "appId": 7,
        "applicationUUID": "app", "subscriptionState": "PROD_ONLY_BLOCKED"});
    let state = SubscriptionState::ProdOnlyBlocked;
    let expected = Fact::Subscription { uuid: "s".to_owned(), state, tier: "Gold".to_owned() };
    assert_eq!(list(Resource::Subscriptions, subscription), Ok(expected));

    let api = json!({"uuid": "api", "isDefaultVersion": true, "status": "DEPRECATED"});
    let expected = Fact::Api(ApiFact { life_cycle: LifeCycle::Published, default_version: true });
    assert_eq!(list(Resource::Apis, api), Ok(expected));

    let token = |expires: Value| list(Resource::RevokedTokens, json!({"jwt_signature": "j", "expiry_time": expires}));
    assert_eq!(token(json!(1_900_000_000_999_i64)), Ok(Fact::Revoked(1_900_000_000)));
    assert_eq!(token(json!(null)), Ok(Fact::Revoked(u32::MAX)));
    assert_eq!(token(json!(-5)), Ok(Fact::Revoked(u32::MAX)));
}

#[test]
fn what_is_needed_must_be_there() {
    for (resource, element, part) in [
        (Resource::Applications, json!({"name": "Web"}), "uuid is missing"),
        (Resource::Applications, json!({"uuid": "a", "name": "Web", "subName": "x"}), "policy is missing"),
        (Resource::ApplicationKeys, json!({"applicationUUID": "a", "consumerKey": "c", "keyType": "MOON"}), "keyType"),
        (
            Resource::ApplicationKeys,
            json!({"applicationId": 8, "consumerKey": "c", "keyType": "SANDBOX"}),
            "applicationUUID",
        ),
        (
            Resource::Subscriptions,
            json!({"applicationUUID": "a", "apiUUID": "b", "policyId": "Gold", "subscriptionState": "NEW"}),
            "subscriptionState",
        ),
        (Resource::Apis, json!({"uuid": "a", "status": "ODD"}), "status"),
        (Resource::KeyManagers, json!({"name": "a"}), "configuration is missing"),
        (Resource::SubscriptionPolicies, json!({"name": "a", "defaultLimit": {}}), "defaultLimit"),
        (Resource::RevokedTokens, json!(5), "an object is expected"),
    ] {
        let error = list(resource, element.clone()).unwrap_err();
        assert!(error.contains(part) && error.contains(resource.name()), "{element}: {error}");
    }
}

#[test]
fn an_answer_that_is_no_list_is_an_error() {
    for resource in Resource::ALL {
        for answer in [json!("x"), json!(5), json!(null)] {
            assert!(read(resource, &answer, &Numbers::new(), false).is_err(), "{resource:?} {answer}");
        }
    }
    assert!(read(Resource::Applications, &json!({"error": "no"}), &Numbers::new(), false).is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let names =
        prop::sample::select(vec!["list", "uuid", "name", "ip", "id", "api", "configuration", "defaultLimit", "x"]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(names.clone().prop_map(str::to_owned), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_a_list_or_an_error(answer in any_json()) {
        for resource in Resource::ALL {
            if let Ok(list) = read(resource, &answer, &Numbers::new(), false) {
                prop_assert!(list.refused.len() <= list.refusals);
            }
        }
    }
}
