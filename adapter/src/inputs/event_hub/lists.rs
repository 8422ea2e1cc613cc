//! The lists of API Manager, element by element. One element that cannot be understood is refused by itself: whom it would have
//! let in stays out.

use std::collections::HashMap;

use serde_json::Value;
use tollgate_model::{Application, KeyType, LifeCycle, SubscriptionState, TierKind};

use super::fact::{ApiFact, Fact, Id, Resource};
use super::mirror::{Snapshot, Stamp};
use super::object::{Object, ShapeError, elements};
use super::{key_managers, owner, policies, throttle};

/// Most refused elements of a list that are named.
const MAX_REFUSED: usize = 100;

/// A list, and what of it could not be understood.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct List {
    /// What could.
    pub facts: Snapshot,
    /// What could not, in words.
    pub refused: Vec<String>,
    /// How many could not.
    pub refusals: usize,
}

/// Numbers of applications in API Manager's database to their UUIDs, for lists that know the numbers only.
pub type Numbers = HashMap<i64, String>;

/// Reads an answer. In one that is about `everybodys` things, those of the same name are told apart by their owners.
///
/// # Errors
/// When it is not what was asked for at all.
pub fn read(resource: Resource, answer: &Value, numbers: &Numbers, everybodys: bool) -> Result<List, ShapeError> {
    let mut refused = Vec::new();
    let facts = match resource {
        Resource::BlockConditions => throttle::block(answer, &mut refused)?,
        Resource::KeyTemplates => throttle::key_templates(elements(answer)?, &mut refused),
        _ => {
            let mut facts = Snapshot::new();
            for element in elements(answer)? {
                let read = Object::of(element).and_then(|object| Ok((object, one(resource, object, numbers)?)));
                match read {
                    Ok((object, (mut id, mut fact, stamp))) => {
                        if everybodys {
                            owner::tell_apart(&mut id, Some(&mut fact), object);
                        }
                        facts.insert(id.key, (fact, stamp));
                    }
                    Err(error) => refused.push(format!("{} {}: {error}", resource.name(), named(element))),
                }
            }
            facts
        }
    };
    let refusals = refused.len();
    refused.truncate(MAX_REFUSED);
    Ok(List { facts, refused, refusals })
}

/// What an element calls itself; never what it says, which may be secret.
fn named(element: &Value) -> String {
    let Ok(object) = Object::of(element) else { return String::new() };
    let name = ["name", "uuid", "subscriptionUUID", "consumerKey"].into_iter().find_map(|name| object.text(name));
    name.unwrap_or_default().chars().filter(|character| !character.is_control()).take(100).collect()
}

fn one(resource: Resource, object: Object<'_>, numbers: &Numbers) -> Result<(Id, Fact, Stamp), ShapeError> {
    let (id, fact) = match resource {
        Resource::ApplicationPolicies => plan(TierKind::Application, object)?,
        Resource::SubscriptionPolicies => plan(TierKind::Subscription, object)?,
        Resource::ApiPolicies => plan(TierKind::Api, object)?,
        Resource::Applications => application(object, &["uuid", "id", "name", "subName", "policy"])?,
        Resource::ApplicationKeys => credential(object, numbers)?,
        Resource::Subscriptions => subscription(object, "appId", numbers)?,
        Resource::Apis => api(object)?,
        Resource::KeyManagers => {
            let configuration = object.object("configuration").ok_or(ShapeError::Missing("configuration"))?;
            let manager = key_managers::key_manager(object, configuration)?;
            (Id::key_manager(&manager.name), Fact::KeyManager(manager))
        }
        Resource::RevokedTokens => {
            let jti = object.needed("jwt_signature")?;
            (Id::new(Resource::RevokedTokens, &jti), revoked(object.number("expiry_time")))
        }
        Resource::KeyTemplates | Resource::BlockConditions => return Err(ShapeError::Expected("another reader")),
    };
    Ok((id, fact, object.stamp()))
}

fn plan(kind: TierKind, object: Object<'_>) -> Result<(Id, Fact), ShapeError> {
    let tier = policies::tier(kind, object)?;
    Ok((Id::tier(kind, &tier.name), Fact::Tier(kind, tier)))
}

/// Reads an application; lists and events name its UUID, number, name, owner and plan differently.
///
/// # Errors
/// What is missing.
pub fn application(object: Object<'_>, names: &[&'static str; 5]) -> Result<(Id, Fact), ShapeError> {
    let [uuid, number, name, owner, plan] = *names;
    let attributes = object.object("attributes").into_iter().flat_map(|attributes| attributes.members());
    let attributes = attributes.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    let uuid = object.needed(uuid)?;
    let application = Application {
        id: object.number(number).unwrap_or(-1),
        name: object.needed(name)?,
        subscriber: object.needed(owner)?,
        tenant: object.tenant().unwrap_or_default(),
        tier: object.needed(plan)?,
        attributes: attributes.collect(),
        uuid,
    };
    Ok((Id::new(Resource::Applications, &application.uuid), Fact::Application(application)))
}

/// The application that something belongs to.
fn application_of(object: Object<'_>, number: &'static str, numbers: &Numbers) -> Result<String, ShapeError> {
    if let Ok(uuid) = object.needed("applicationUUID") {
        return Ok(uuid);
    }
    let number = object.number(number).or_else(|| object.number("applicationId"));
    number.and_then(|number| numbers.get(&number).cloned()).ok_or(ShapeError::Missing("applicationUUID"))
}

/// Reads a client of a key manager.
///
/// # Errors
/// What is missing, or cannot be understood.
pub fn credential(object: Object<'_>, numbers: &Numbers) -> Result<(Id, Fact), ShapeError> {
    let key_type = match object.needed("keyType")?.to_ascii_uppercase().as_str() {
        "PRODUCTION" => KeyType::Production,
        "SANDBOX" => KeyType::Sandbox,
        _ => return Err(ShapeError::Unclear("keyType")),
    };
    let id = credential_id(object)?;
    Ok((id, Fact::Credential { application: application_of(object, "applicationId", numbers)?, key_type }))
}

/// The id of a client of a key manager.
///
/// # Errors
/// What is missing.
pub fn credential_id(object: Object<'_>) -> Result<Id, ShapeError> {
    const RESIDENT: &str = "Resident Key Manager";
    let manager = object.needed("keyManager").unwrap_or_else(|_| RESIDENT.to_owned());
    Ok(Id::credential(&manager, &object.needed("consumerKey")?))
}

/// Reads a subscription.
///
/// # Errors
/// What is missing, or cannot be understood.
pub fn subscription(object: Object<'_>, number: &'static str, numbers: &Numbers) -> Result<(Id, Fact), ShapeError> {
    let state = object.needed("subscriptionState")?;
    let fact = Fact::Subscription {
        uuid: object.text("subscriptionUUID").or_else(|| object.text("subscriptionId")).unwrap_or_default(),
        state: SubscriptionState::from_name(&state.to_ascii_uppercase())
            .ok_or(ShapeError::Unclear("subscriptionState"))?,
        tier: object.needed("policyId")?,
    };
    Ok((subscription_id(object, number, numbers)?, fact))
}

/// The id of a subscription.
///
/// # Errors
/// What is missing.
pub fn subscription_id(object: Object<'_>, number: &'static str, numbers: &Numbers) -> Result<Id, ShapeError> {
    Ok(Id::subscription(&application_of(object, number, numbers)?, &object.needed("apiUUID")?))
}

fn api(object: Object<'_>) -> Result<(Id, Fact), ShapeError> {
    let state = object.text("status").or_else(|| object.text("lcState"));
    let fact = ApiFact {
        life_cycle: state.map_or(Ok(LifeCycle::Published), |state| life_cycle(&state))?,
        default_version: object.flag("isDefaultVersion").unwrap_or(false),
    };
    Ok((Id::new(Resource::Apis, &object.needed("uuid")?), Fact::Api(fact)))
}

/// What a state of the life cycle means to gateways. A retired API is no longer served, whether or not it was taken away.
///
/// # Errors
/// When there is no such state.
pub fn life_cycle(state: &str) -> Result<LifeCycle, ShapeError> {
    match state.to_ascii_uppercase().as_str() {
        "CREATED" | "PUBLISHED" | "DEPRECATED" => Ok(LifeCycle::Published),
        "PROTOTYPED" => Ok(LifeCycle::Prototyped),
        "BLOCKED" | "RETIRED" => Ok(LifeCycle::Blocked),
        _ => Err(ShapeError::Unclear("status")),
    }
}

/// Milliseconds since 1970 after which a token would not be accepted anyway; for good when they are missing: that somebody wanted
/// it revoked is beyond doubt.
#[must_use]
pub fn revoked(expires_ms: Option<i64>) -> Fact {
    let seconds = expires_ms.filter(|expires| *expires > 0).and_then(|expires| u32::try_from(expires / 1000).ok());
    Fact::Revoked(seconds.unwrap_or(u32::MAX))
}

#[cfg(test)]
#[path = "lists_tests.rs"]
mod tests;
