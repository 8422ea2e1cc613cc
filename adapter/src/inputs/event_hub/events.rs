//! Messages of API Manager: an envelope of JSON, and in it what happened. Where a message does not say everything, it only says
//! what to pull. Must never show what a message says: it may be secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::fact::{Fact, Id, Resource};
use super::key_managers;
use super::lists::{self, Numbers};
use super::mirror::{Change, Stamp};
use super::object::{Object, ShapeError};
use super::{owner, throttle};

/// The topics of API Manager that concern gateways.
pub const TOPICS: [&str; 4] = ["notification", "keymanager", "tokenRevocation", "throttleData"];

/// What a message says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heard {
    /// What is different.
    pub changes: Vec<Change>,
    /// What must be pulled to know.
    pub pulls: Vec<Resource>,
    /// An API of which there may be another revision, or none any more.
    pub api: Option<ApiEvent>,
    /// An API that is in another state of its life cycle.
    pub moved: Option<(String, tollgate_model::LifeCycle, Stamp)>,
}

/// News of where an API is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiEvent {
    /// Which.
    pub uuid: String,
    /// From which environments it was certainly taken; none when it was deployed, or nobody knows.
    pub removed_from: Vec<String>,
    /// When.
    pub stamp: Stamp,
}

/// Why a message cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoisonError {
    /// It is no JSON.
    #[error("the message is no JSON")]
    Json,
    /// What is packed into it is no base64, or no JSON.
    #[error("{0} is no JSON in base64")]
    Packed(&'static str),
    /// Something is missing or wrong.
    #[error("{kind}: {error}")]
    Shape {
        /// What kind of event it is, as far as that is a name.
        kind: String,
        /// What is wrong.
        error: ShapeError,
    },
}

/// How messages are read.
#[derive(Debug, Clone, Default)]
pub struct Ears {
    /// Whose messages count; everybody's when absent.
    pub tenant: Option<String>,
    /// Environments of this adapter.
    pub environments: Vec<String>,
    /// Numbers of applications that are known.
    pub numbers: Numbers,
    /// Whether a global adapter says which APIs there are. Then only the states of their life cycles count, and they may be
    /// of different owners.
    pub shared: bool,
}

impl Ears {
    /// Reads a message. One that does not concern gateways says nothing.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn read(&self, topic: &str, body: &[u8]) -> Result<Heard, PoisonError> {
        let value: Value = serde_json::from_slice(body).map_err(|_| PoisonError::Json)?;
        let wrong = |error| PoisonError::Shape { kind: topic.to_owned(), error };
        let payload = payload(&value).map_err(wrong)?;
        match topic {
            "notification" => self.notification(payload),
            "keymanager" if self.is_for_us(payload) => {
                key_manager(payload).map(|heard| self.told_apart(heard, payload))
            }
            "tokenRevocation" => revocation(payload).map_err(wrong),
            "throttleData" if self.is_for_us(payload) => throttling(payload).map_err(wrong),
            _ => Ok(Heard::default()),
        }
    }

    fn is_for_us(&self, object: Object<'_>) -> bool {
        match (&self.tenant, object.tenant()) {
            (Some(own), Some(other)) => own.eq_ignore_ascii_case(&other),
            _ => true,
        }
    }

    fn notification(&self, payload: Object<'_>) -> Result<Heard, PoisonError> {
        let shape = |kind: &str, error| PoisonError::Shape { kind: name_of(kind), error };
        let kind = payload.needed("eventType").map_err(|error| shape("notification", error))?;
        let packed = payload.needed("event").map_err(|error| shape(&kind, error))?;
        let event = unpack(&packed).ok_or(PoisonError::Packed("event"))?;
        let object = Object::of(&event).map_err(|error| shape(&kind, error))?;
        if !self.is_for_us(object) {
            return Ok(Heard::default());
        }
        let stamp = match object.stamp() {
            0 => payload.stamp(),
            stamp => stamp,
        };
        let heard = self.event(&kind, object, stamp).map_err(|error| shape(&kind, error))?;
        Ok(self.told_apart(heard, object))
    }

    fn told_apart(&self, mut heard: Heard, object: Object<'_>) -> Heard {
        if self.shared {
            for change in &mut heard.changes {
                match change {
                    Change::Put { id, fact, .. } => owner::tell_apart(id, Some(fact), object),
                    Change::Remove { id, .. } => owner::tell_apart(id, None, object),
                }
            }
        }
        heard
    }

    /// By parts of the kind's name, in the order of the original.
    fn event(&self, kind: &str, object: Object<'_>, stamp: Stamp) -> Result<Heard, ShapeError> {
        let change = |change| Ok(Heard { changes: vec![change], ..Heard::default() });
        let gone = |id, incarnation| Change::Remove { id, incarnation, stamp };
        let put = |(id, fact), partial| Change::Put { id, fact, stamp, partial };
        match kind {
            "API_LIFECYCLE_CHANGE" => moved(object, stamp),
            // Policies of API Manager's own gateways.
            "DEPLOY_POLICY_MAPPING_IN_GATEWAY" | "REMOVE_POLICY_MAPPING_FROM_GATEWAY" => Ok(Heard::default()),
            "APPLICATION_CREATE" | "APPLICATION_UPDATE" => {
                let names = ["uuid", "applicationId", "applicationName", "subscriber", "applicationPolicy"];
                let partial = object.get("attributes").is_none();
                change(put(lists::application(object, &names)?, partial))
            }
            "APPLICATION_DELETE" => change(gone(Id::new(Resource::Applications, &object.needed("uuid")?), None)),
            "APPLICATION_REGISTRATION_CREATE" => change(put(lists::credential(object, &self.numbers)?, false)),
            "REMOVE_APPLICATION_KEYMAPPING" => change(gone(lists::credential_id(object)?, None)),
            "SUBSCRIPTIONS_CREATE" | "SUBSCRIPTIONS_UPDATE" => {
                change(put(lists::subscription(object, "applicationId", &self.numbers)?, false))
            }
            "SUBSCRIPTIONS_DELETE" => {
                let incarnation = object.text("subscriptionUUID").or_else(|| object.text("subscriptionId"));
                let id = lists::subscription_id(object, "applicationId", &self.numbers)?;
                change(gone(id, incarnation))
            }
            _ if kind.contains("API") && self.shared => Ok(Heard::default()),
            _ if kind.contains("API") => self.api(kind, object, stamp),
            _ if kind.contains("APPLICATION") => pulls(&[Resource::Applications, Resource::ApplicationKeys]),
            _ if kind.contains("SUBSCRIPTION") => pulls(&[Resource::Subscriptions]),
            _ if kind.contains("POLICY") => policy(object),
            _ => Ok(Heard::default()),
        }
    }

    fn api(&self, kind: &str, object: Object<'_>, stamp: Stamp) -> Result<Heard, ShapeError> {
        let labels: Vec<String> = object.list("gatewayLabels").filter_map(Value::as_str).map(str::to_owned).collect();
        if !labels.is_empty() && !labels.iter().any(|label| self.environments.contains(label)) {
            return Ok(Heard::default());
        }
        let removed_from = if kind == "REMOVE_API_FROM_GATEWAY" { labels } else { Vec::new() };
        let action = object.text("action").unwrap_or_default();
        let event = match kind {
            "DEPLOY_API_IN_GATEWAY" | "REMOVE_API_FROM_GATEWAY" | "API_DELETE" => true,
            "API_UPDATE" => action.contains("DEFAULT_VERSION"),
            _ => false,
        };
        let api = match event {
            true => Some(ApiEvent { uuid: object.needed("uuid")?, removed_from, stamp }),
            false => None,
        };
        // What is known beside its project may be new too.
        let pulls = if kind == "REMOVE_API_FROM_GATEWAY" { Vec::new() } else { vec![Resource::Apis] };
        Ok(Heard { api, pulls, ..Heard::default() })
    }
}

#[allow(clippy::unnecessary_wraps, reason = "all kinds of events have the same result")]
fn pulls(resources: &[Resource]) -> Result<Heard, ShapeError> {
    Ok(Heard { pulls: resources.to_vec(), ..Heard::default() })
}

/// Events of plans do not say how much they allow.
fn policy(object: Object<'_>) -> Result<Heard, ShapeError> {
    match object.text("policyType").as_deref().map(str::to_ascii_uppercase).as_deref() {
        Some("APPLICATION") => pulls(&[Resource::ApplicationPolicies]),
        Some("SUBSCRIPTION") => pulls(&[Resource::SubscriptionPolicies]),
        Some("API") => pulls(&[Resource::ApiPolicies]),
        Some("GLOBAL") => pulls(&[Resource::KeyTemplates]),
        _ => Err(ShapeError::Unclear("policyType")),
    }
}

fn moved(object: Object<'_>, stamp: Stamp) -> Result<Heard, ShapeError> {
    let state = lists::life_cycle(&object.needed("apiStatus")?)?;
    Ok(Heard { moved: Some((object.needed("uuid")?, state, stamp)), ..Heard::default() })
}

/// A kind of event as it may be shown: kinds are names, and whatever else stands there may be anything.
fn name_of(kind: &str) -> String {
    const LONGEST: usize = 64;
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    match kind.len() <= LONGEST && kind.chars().all(is_name) {
        true => kind.to_owned(),
        false => "an event of no known kind".to_owned(),
    }
}

fn payload(value: &Value) -> Result<Object<'_>, ShapeError> {
    let event = Object::of(value)?.object("event").ok_or(ShapeError::Missing("event"))?;
    event.object("payloadData").ok_or(ShapeError::Missing("payloadData"))
}

fn unpack(text: &str) -> Option<Value> {
    let bytes = STANDARD.decode(text.trim()).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Key managers are few, so what a message says is confirmed by a pull.
fn key_manager(payload: Object<'_>) -> Result<Heard, PoisonError> {
    let shape = |error| PoisonError::Shape { kind: "keymanager".to_owned(), error };
    if payload.text("event_type").is_some_and(|kind| kind != "key_manager_configuration") {
        return Ok(Heard::default());
    }
    let action = payload.needed("action").map_err(shape)?.to_ascii_lowercase();
    let name = payload.needed("name").map_err(shape)?;
    let (id, stamp) = (Id::key_manager(&name), payload.stamp());
    let change = match action.as_str() {
        "add" | "update" => {
            let packed = payload.needed("value").map_err(shape)?;
            let value = unpack(&packed).ok_or(PoisonError::Packed("value"))?;
            let configuration = Object::of(&value).map_err(shape)?;
            let manager = key_managers::key_manager(payload, configuration).map_err(shape)?;
            Change::Put { id, fact: Fact::KeyManager(manager), stamp, partial: false }
        }
        "delete" => Change::Remove { id, incarnation: None, stamp },
        _ => return Err(shape(ShapeError::Unclear("action"))),
    };
    Ok(Heard { changes: vec![change], pulls: vec![Resource::KeyManagers], ..Heard::default() })
}

fn revocation(payload: Object<'_>) -> Result<Heard, ShapeError> {
    let jti = payload.needed("revokedToken")?;
    let fact = lists::revoked(payload.number("expiryTime"));
    // A token is revoked once; the order of such messages means nothing.
    let change = Change::Put { id: Id::new(Resource::RevokedTokens, &jti), fact, stamp: 0, partial: false };
    Ok(Heard { changes: vec![change], ..Heard::default() })
}

/// Decisions of the Traffic Manager come over the same topic; who limits requests by them listens for itself.
fn throttling(payload: Object<'_>) -> Result<Heard, ShapeError> {
    let change = if payload.get("keyTemplateValue").is_some() {
        throttle::template_event(payload)?
    } else if payload.get("blockingCondition").is_some() {
        throttle::block_event(payload)?
    } else {
        return Ok(Heard::default());
    };
    Ok(Heard { changes: vec![change], ..Heard::default() })
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
