//! Facts as entries of the tables that gateways get. Must never do I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate_model::{Credential, Subscription, TierKind, keys};

use super::fact::{Fact, Id, Resource};
use crate::model::{Key, RevokedBy, Subscribers, ThrottleRules, World, plans};

/// Makes the world what is different now.
pub fn show(world: &mut World, changed: &BTreeMap<Id, Option<Fact>>) {
    let mut key_managers = None;
    for (id, fact) in changed {
        match id.resource {
            Resource::Applications | Resource::ApplicationKeys | Resource::Subscriptions | Resource::RevokedTokens => {
                subscriber(&mut world.subscribers, id, fact.as_ref());
            }
            Resource::ApplicationPolicies => plan(&mut world.subscribers, TierKind::Application, id, fact.as_ref()),
            Resource::SubscriptionPolicies => plan(&mut world.subscribers, TierKind::Subscription, id, fact.as_ref()),
            Resource::ApiPolicies => plan(&mut world.subscribers, TierKind::Api, id, fact.as_ref()),
            Resource::KeyTemplates | Resource::BlockConditions => throttle(&mut world.throttle, id, fact.as_ref()),
            Resource::KeyManagers => {
                let managers = key_managers.get_or_insert_with(|| BTreeMap::clone(&world.key_managers));
                match fact {
                    Some(Fact::KeyManager(manager)) => managers.insert(id.key.clone(), manager.clone()),
                    _ => managers.remove(&id.key),
                };
            }
            // They change how projects are read.
            Resource::Apis => {}
        }
    }
    if let Some(managers) = key_managers {
        world.key_managers = Arc::new(managers);
    }
}

fn subscriber(subscribers: &mut Subscribers, id: &Id, fact: Option<&Fact>) {
    let (first, second) = id.parts();
    match (id.resource, fact) {
        (_, Some(Fact::Application(application))) => subscribers.set_application(application.clone()),
        (Resource::Applications, _) => subscribers.applications.remove(id.key.as_bytes()),
        (_, Some(Fact::Credential { application, key_type })) => {
            let (application, key_type) = (application.clone(), *key_type);
            let credential =
                Credential { application, key_type, expires_at: None, issued_at: None, scopes: <_>::default() };
            subscribers.set_credential(first, second, credential);
        }
        (Resource::ApplicationKeys, _) => subscribers.remove_credential(first, second),
        (_, Some(Fact::Subscription { state, tier, .. })) => {
            subscribers.set_subscription(first, second, Subscription { state: *state, tier: tier.clone() });
        }
        (Resource::Subscriptions, _) => subscribers.remove_subscription(first, second),
        (_, Some(Fact::Revoked(expires))) => subscribers.revoke(RevokedBy::ApiManager, &id.key, *expires),
        _ => subscribers.take_back(RevokedBy::ApiManager, &id.key),
    }
}

/// A plan that is gone is again what its name means by itself.
fn plan(subscribers: &mut Subscribers, kind: TierKind, id: &Id, fact: Option<&Fact>) {
    let key = Key::from(keys::tier(kind, &id.key));
    if let Some(Fact::Tier(_, tier)) = fact {
        return subscribers.tiers.insert(key, Arc::new(tier.clone()));
    }
    match plans::shipped().find(|(shipped, _)| *shipped == key) {
        Some((key, tier)) => subscribers.tiers.insert(key, Arc::new(tier)),
        None => subscribers.tiers.remove(&key),
    }
}

fn throttle(rules: &mut ThrottleRules, id: &Id, fact: Option<&Fact>) {
    let (kind, what) = id.parts();
    let deny = || Key::from(keys::deny(&format!("{kind} {what}")));
    let custom = || Key::from(keys::custom(&id.key));
    match (id.resource, fact) {
        (_, Some(Fact::Block(condition))) => drop(rules.deny.insert(deny(), condition.clone())),
        (_, Some(Fact::KeyTemplate(policy))) => drop(rules.custom.insert(custom(), policy.clone())),
        (Resource::BlockConditions, _) => drop(rules.deny.remove(&deny())),
        _ => drop(rules.custom.remove(&custom())),
    }
}

#[cfg(test)]
mod tests {
    use tollgate_model::{Application, CustomPolicy, DenyCondition, KeyType, SubscriptionState, Tier};

    use super::*;
    use crate::model::KeyManager;

    fn facts() -> Vec<(Id, Fact)> {
        let application = Application { uuid: "app".to_owned(), ..Application::default() };
        let (uuid, state) = ("s".to_owned(), SubscriptionState::Blocked);
        let template = |text: &str| CustomPolicy {
            name: text.to_owned(),
            template: text.to_owned(),
            limits: Vec::new(),
            shadow: false,
        };
        vec![
            (Id::new(Resource::Applications, "app"), Fact::Application(application)),
            (
                Id::credential("KM", "ck"),
                Fact::Credential { application: "app".to_owned(), key_type: KeyType::Sandbox },
            ),
            (Id::subscription("app", "api"), Fact::Subscription { uuid, state, tier: "Gold".to_owned() }),
            (Id::tier(TierKind::Application, "Own"), Fact::Tier(TierKind::Application, Tier::named("Own"))),
            (Id::tier(TierKind::Subscription, "Gold"), Fact::Tier(TierKind::Subscription, Tier::named("Gold"))),
            (Id::tier(TierKind::Api, "Own"), Fact::Tier(TierKind::Api, Tier::named("Own"))),
            (Id::new(Resource::RevokedTokens, "j"), Fact::Revoked(5)),
            (Id::new(Resource::KeyTemplates, "$userId"), Fact::KeyTemplate(template("$userId"))),
            (Id::block("API", "/a"), Fact::Block(DenyCondition::Api { context: "/a".to_owned() })),
            (Id::block("USER", "/a"), Fact::Block(DenyCondition::User { key: "/a".to_owned() })),
            (Id::key_manager("Okta"), Fact::KeyManager(KeyManager::default())),
        ]
    }

    fn sizes(world: &World) -> [usize; 8] {
        let all = &world.subscribers;
        let shipped = plans::shipped().count();
        [
            all.applications.len(),
            all.credentials.len(),
            all.subscriptions.len(),
            all.tiers.len() - shipped,
            all.revoked.len(),
            world.throttle.deny.len(),
            world.throttle.custom.len(),
            world.key_managers.len(),
        ]
    }

    #[test]
    fn facts_come_into_the_tables_and_go_again() {
        let mut world = World::default();
        show(&mut world, &facts().into_iter().map(|(id, fact)| (id, Some(fact))).collect());
        assert_eq!(sizes(&world), [1, 1, 1, 2, 1, 2, 1, 1]);
        let credential = world.subscribers.credentials.get(&keys::credential("KM", "ck")).unwrap();
        assert_eq!((credential.application.as_str(), credential.key_type), ("app", KeyType::Sandbox));
        let gold = keys::tier(TierKind::Subscription, "Gold");
        assert!(world.subscribers.tiers.get(&gold).unwrap().limits.is_empty());
        show(&mut world, &facts().into_iter().map(|(id, _)| (id, None)).collect());
        assert_eq!(sizes(&world), [0; 8]);
        assert!(!world.subscribers.tiers.get(&gold).unwrap().limits.is_empty(), "it means what it always means");
    }
}
