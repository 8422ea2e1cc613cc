//! Whose things are: where an adapter serves APIs of several tenants, plans and key managers of the same name are different ones.
//! Only what they are looked up by says whose they are; everybody is shown the names that their owners gave them.

use tollgate_model::{Tier, TierKind};

use super::fact::{Fact, Id, Resource};
use super::object::Object;

/// Whose names stay as they are.
const SUPER_TENANT: &str = "carbon.super";
const SUPER_TENANT_NUMBER: i64 = -1234;

/// Tells what an object says apart from what has the same name and another owner.
pub fn tell_apart(id: &mut Id, fact: Option<&mut Fact>, object: Object<'_>) {
    let number = object.number("tenantId").or_else(|| object.number("tenanId"));
    let number = number.filter(|number| *number != SUPER_TENANT_NUMBER).map(|number| number.to_string());
    match (id.resource, number) {
        (Resource::KeyManagers, _) => {
            let domain = object.tenant().map(|domain| domain.to_lowercase());
            if let Some(domain) = domain.filter(|domain| domain != SUPER_TENANT) {
                id.key = owned(&id.key, &domain);
            }
        }
        (Resource::ApplicationPolicies, Some(owner)) => *id = plan(TierKind::Application, &id.key, &owner),
        (Resource::SubscriptionPolicies, Some(owner)) => *id = plan(TierKind::Subscription, &id.key, &owner),
        (_, Some(owner)) => match fact {
            Some(Fact::Application(application)) => application.tier = named(&application.tier, &owner),
            Some(Fact::Subscription { tier, .. }) => *tier = named(tier, &owner),
            _ => {}
        },
        (_, None) => {}
    }
}

fn plan(kind: TierKind, name: &str, owner: &str) -> Id {
    Id::tier(kind, &named(name, owner))
}

/// What a plan of that owner is looked up by. The one without limits is the same for all.
fn named(plan: &str, owner: &str) -> String {
    if plan == Tier::UNLIMITED { plan.to_owned() } else { owned(plan, owner) }
}

fn owned(name: &str, owner: &str) -> String {
    format!("{name}@{owner}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::inputs::event_hub::lists::{self, Numbers};

    /// The keys of a list, and what its elements name.
    #[track_caller]
    fn check(resource: Resource, elements: &Value, expected: &[(&str, &str)]) {
        let list = lists::read(resource, elements, &Numbers::new(), true).unwrap();
        assert_eq!(list.refusals, 0, "{:?}", list.refused);
        let found: Vec<(&str, &str)> = list
            .facts
            .iter()
            .map(|(key, (fact, _))| match fact {
                Fact::Tier(_, tier) => (key.as_str(), tier.name.as_str()),
                Fact::Application(application) => (key.as_str(), application.tier.as_str()),
                Fact::Subscription { tier, .. } => (key.as_str(), tier.as_str()),
                Fact::KeyManager(manager) => (key.as_str(), manager.name.as_str()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(found, expected);
        let alone = lists::read(resource, elements, &Numbers::new(), false).unwrap();
        assert!(alone.facts.keys().all(|key| !key.contains('@')), "a tenant alone needs to tell nobody apart");
    }

    #[test]
    fn what_has_the_same_name_is_told_apart_by_its_owner() {
        let plan = |name: &str, owner: i64| json!({"name": name, "tenantId": owner});
        let plans = json!([plan("Gold", -1234), plan("Gold", 5), plan("Unlimited", 5), {"name": "Own"}]);
        let expected = [("Gold", "Gold"), ("Gold@5", "Gold"), ("Own", "Own"), ("Unlimited", "Unlimited")];
        check(Resource::ApplicationPolicies, &plans, &expected);
        check(Resource::SubscriptionPolicies, &plans, &expected);

        let application = |uuid: &str, plan: &str, owner: i64| json!({"uuid": uuid, "name": "n", "subName": "s", "policy": plan, "tenanId": owner});
        let applications =
            json!([application("a", "Gold", -1234), application("b", "Gold", 5), application("c", "Unlimited", 5)]);
        check(Resource::Applications, &applications, &[("a", "Gold"), ("b", "Gold@5"), ("c", "Unlimited")]);
        let subscription = json!([{"applicationUUID": "a", "apiUUID": "x", "policyId": "Gold", "subscriptionState": "UNBLOCKED", "tenanId": 5}]);
        check(Resource::Subscriptions, &subscription, &[("a\0x", "Gold@5")]);

        let manager =
            |domain: &str| json!({"name": "Okta", "enabled": false, "tenantDomain": domain, "configuration": {}});
        let managers = json!([manager("carbon.super"), manager("Foo.com")]);
        check(Resource::KeyManagers, &managers, &[("okta", "Okta"), ("okta@foo.com", "Okta")]);
    }
}
