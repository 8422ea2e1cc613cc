//! On whose behalf a caller calls, and whether that application has subscribed to the API.
//!
//! What a token says of itself goes before the tables. Must never let anybody in because something is missing: an unknown key,
//! application, subscription or plan is a refusal.

use std::rc::Rc;

use tollgate_model::{
    Api, Application, Credential, KeyType as Side, Subscription, SubscriptionState, Tier, TierKind, keys,
};

use super::super::authenticate::Identity;
use crate::rejection::Rejection;
use crate::token::{KeyType, SubscribedApi, VerifiedToken};
use crate::{Cx, Found};

/// Name of the application on whose behalf the test console calls.
const TEST_CONSOLE: &str = "internal-key-app";

/// On whose behalf somebody calls, and what they may use.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Subscribed {
    /// The application.
    pub(crate) application: Rc<Application>,
    /// Its own plan.
    pub(crate) application_tier: Rc<Tier>,
    /// The plan of its subscription to the API.
    pub(crate) tier: Rc<Tier>,
    /// Which backend its key is for, as far as the tables say.
    pub(crate) side: Option<Side>,
}

/// Which backend a key is for: what it says itself goes before what the tables say.
pub(crate) fn key_type(said: Option<KeyType>, subscribed: Option<&Subscribed>) -> KeyType {
    let side = subscribed.and_then(|subscribed| subscribed.side);
    said.unwrap_or(match side {
        Some(Side::Sandbox) => KeyType::Sandbox,
        Some(Side::Production) | None => KeyType::Production,
    })
}

/// The subscription behind a caller; none for callers who need none.
pub(crate) fn validate(cx: &Cx, api: &Api, identity: &Identity) -> Result<Option<Subscribed>, Rejection> {
    match identity {
        Identity::Anonymous | Identity::Certificate(_) => Ok(None),
        Identity::Bearer(token) if token.issuer.issuer.validate_subscription => {
            if token.claims.subscribed_apis.is_none() {
                return looked_up(cx, api, token).map(Some);
            }
            claimed(cx, token, Some(listed(token, api).ok_or(Rejection::Forbidden)?)).map(Some)
        }
        // Subscriptions of this issuer do not count.
        Identity::Bearer(token) => claimed(cx, token, listed(token, api)).map(Some),
        // Asked for already.
        Identity::ApiKey(key) => Ok(Some(key.subscribed.clone())),
        Identity::Workload(workload) => Ok(Some(workload.subscribed.clone())),
        Identity::InternalKey(token) => {
            let anonymous = token.issuer.anonymous.clone();
            let application =
                Application { name: TEST_CONSOLE.to_owned(), ..Application::clone(&anonymous.application) };
            Ok(Some(Subscribed { application: Rc::new(application), ..anonymous }))
        }
    }
}

/// The subscription behind a signed API key: what it lists, else that of the application it says it was given to.
pub(in crate::stages) fn of_api_key(cx: &Cx, api: &Api, token: &VerifiedToken) -> Result<Subscribed, Rejection> {
    let claims = &token.claims;
    let entry = listed(token, api);
    if entry.is_some() || !token.issuer.issuer.validate_subscription {
        return claimed(cx, token, entry);
    }
    let application = claims.holder.as_ref().and_then(|holder| holder.application.as_ref());
    let uuid = application.map(|application| application.uuid.as_str()).filter(|uuid| !uuid.is_empty());
    // A list that lacks the API says enough.
    let uuid = uuid.filter(|_| claims.subscribed_apis.is_none()).ok_or(Rejection::Forbidden)?;
    let application = cx.directory.application(uuid)?.ok_or(Rejection::NotSubscribed)?;
    of_application(cx, api, application, None, claims.key_type)
}

/// What the token itself says of its subscription to the API.
fn listed<'t>(token: &'t VerifiedToken, api: &Api) -> Option<&'t SubscribedApi> {
    let is_for = |entry: &&SubscribedApi| {
        entry.name.as_deref() == Some(&api.name) && entry.version.as_deref() == Some(&api.version)
    };
    token.claims.subscribed_apis.iter().flatten().find(is_for)
}

/// What the token says, completed by the plans of the tables where it names one without saying what it is.
fn claimed(cx: &Cx, token: &VerifiedToken, entry: Option<&SubscribedApi>) -> Result<Subscribed, Rejection> {
    let anonymous = &token.issuer.anonymous;
    let (holder, issuer_checks) = (token.claims.holder.as_deref(), token.issuer.issuer.validate_subscription);
    // Where subscriptions do not count, a token may say what it likes of itself.
    let Some(holder) = holder.filter(|_| issuer_checks) else { return Ok(anonymous.clone()) };
    let tier = |kind, name: &str| match holder.tiers.iter().find(|tier| tier.name == name) {
        Some(tier) => Ok(Rc::new(tier.clone())),
        None => {
            Ok::<_, Rejection>(plan(cx.directory.tier(kind, name), name)?.unwrap_or_else(|| Rc::new(Tier::named(name))))
        }
    };
    let application = holder.application.clone().map_or_else(|| Rc::clone(&anonymous.application), Rc::new);
    let named = entry.and_then(|entry| entry.tier.as_deref()).unwrap_or(Tier::UNLIMITED);
    Ok(Subscribed {
        application_tier: tier(TierKind::Application, &application.tier)?,
        tier: tier(TierKind::Subscription, named)?,
        application,
        side: None,
    })
}

/// What the tables say.
fn looked_up(cx: &Cx, api: &Api, token: &VerifiedToken) -> Result<Subscribed, Rejection> {
    let consumer_key = token.claims.consumer_key.as_deref().ok_or(Rejection::Forbidden)?;
    let key = keys::credential(token.issuer.name(), consumer_key);
    let credential: Rc<Credential> = cx.directory.credential(&key)?.ok_or(Rejection::NotSubscribed)?;
    let application = cx.directory.application(&credential.application)?.ok_or(Rejection::NotSubscribed)?;
    of_application(cx, api, application, Some(credential.key_type), token.claims.key_type)
}

/// The subscription of an application, for which a key of this side was made that says this of itself.
pub(in crate::stages) fn of_application(
    cx: &Cx,
    api: &Api,
    application: Rc<Application>,
    side: Option<Side>,
    said: Option<KeyType>,
) -> Result<Subscribed, Rejection> {
    let subscription = subscription(cx, &application.uuid, api)?.ok_or(Rejection::NotSubscribed)?;
    let (tier, application_tier) = (&subscription.tier, &application.tier);
    let subscribed = Subscribed {
        tier: known(cx.directory.tier(TierKind::Subscription, tier), tier)?,
        application_tier: known(cx.directory.tier(TierKind::Application, application_tier), application_tier)?,
        application,
        side,
    };
    let key_type = key_type(said, Some(&subscribed));
    match subscription.state {
        SubscriptionState::Blocked => Err(Rejection::SubscriptionBlocked),
        SubscriptionState::OnHold | SubscriptionState::Rejected => Err(Rejection::SubscriptionInactive),
        SubscriptionState::ProdOnlyBlocked if key_type != KeyType::Sandbox => Err(Rejection::SubscriptionBlocked),
        SubscriptionState::ProdOnlyBlocked
        | SubscriptionState::Unblocked
        | SubscriptionState::TierUpdatePending
        | SubscriptionState::DeletePending => Ok(subscribed),
    }
}

/// The subscription to the API by its id, else by its name.
fn subscription(cx: &Cx, application: &str, api: &Api) -> Found<Subscription> {
    let by_id = cx.directory.subscription(&keys::subscription(application, &api.id))?;
    match by_id {
        Some(found) => Ok(Some(found)),
        None => cx.directory.subscription(&keys::subscription_by_name(application, &api.name, &api.version)),
    }
}

/// A plan; the one that bounds nothing need not be in any table.
fn plan(found: Found<Tier>, name: &str) -> Found<Tier> {
    let found = found?;
    Ok(found.or_else(|| (name == Tier::UNLIMITED).then(|| Rc::new(Tier::unlimited()))))
}

/// A plan that must be known: without it nobody can say what the subscription allows.
fn known(found: Found<Tier>, name: &str) -> Result<Rc<Tier>, Rejection> {
    plan(found, name)?.ok_or(Rejection::Unreadable)
}
