//! What the proof of each stage says, in words.

use tollgate_model::contract::CLUSTER_HEADER;
use tollgate_model::{ApiKeyPlace, Requirement, Security};

use super::{Fact, lossy};
use crate::stages::admit::Admitted;
use crate::stages::authenticate::Identity;
use crate::stages::authorize::{Permit, Subscribed};
use crate::token::VerifiedToken;
use crate::{Cx, Edits};

/// Headers whose values steer the router, and are nobody's secret.
const SHOWN: &str = "x-envoy-";

pub(crate) fn admitted(admitted: &Admitted) -> Vec<Fact> {
    let api = &admitted.api.api;
    let certificates = match &api.mutual_ssl {
        None => "ignored",
        Some(rules) if rules.mandatory && rules.application_security => "mandatory, and a token or key as well",
        Some(rules) if rules.mandatory => "mandatory, and enough",
        Some(_) => "optional, and never enough",
    };
    vec![
        Fact::new("API", format!("{} {} on {}", api.name, api.version, api.virtual_host)),
        Fact::new("resource", admitted.resource.resource.template.as_str()),
        Fact::new("operation", admitted.operation.method.as_str()),
        Fact::new("credentials", security(&admitted.operation.security)),
        Fact::new("certificates", certificates),
    ]
}

pub(crate) fn asked(admitted: &Admitted) -> Vec<Fact> {
    if admitted.api.api.graphql.is_none() {
        return Vec::new();
    }
    admitted
        .operations()
        .map(|(name, operation)| Fact::new(format!("field {name}"), security(&operation.security)))
        .collect()
}

fn security(security: &Security) -> String {
    let needed: Vec<String> = security.requirements().iter().map(requirement).collect();
    match security.scopes() {
        _ if needed.is_empty() => "none".to_owned(),
        [] => needed.join(", or "),
        scopes => format!("{}; of a token one of the scopes {}", needed.join(", or "), scopes.join(" ")),
    }
}

fn requirement(requirement: &Requirement) -> String {
    let token = requirement.token.then(|| "an access token".to_owned());
    let keys = requirement.api_keys.iter().map(|place| match place {
        ApiKeyPlace::Header { name } => format!("an API key in the header {name}"),
        ApiKeyPlace::Query { name } => format!("an API key in the query parameter {name}"),
    });
    let workload = requirement.workload.then(|| "a workload with a SPIFFE ID".to_owned());
    token.into_iter().chain(keys).chain(workload).collect::<Vec<_>>().join(" and ")
}

pub(crate) fn identity(identity: &Identity) -> Vec<Fact> {
    let who = match identity {
        Identity::Anonymous => "anybody",
        Identity::Bearer(_) => "the bearer of an access token",
        Identity::ApiKey(key) if key.token.is_none() => "the holder of an opaque API key",
        Identity::ApiKey(_) => "the holder of a signed API key",
        Identity::InternalKey(_) => "the publisher's test console",
        Identity::Certificate(_) => "the owner of a certificate",
        Identity::Workload(_) => "a workload",
    };
    let mut facts = vec![Fact::new("caller", who)];
    if let Identity::Certificate(certificate) = identity {
        facts.push(Fact::new("subject", certificate.subject.as_str()));
    }
    if let Identity::Workload(workload) = identity {
        facts.push(Fact::new("SPIFFE ID", &*workload.id));
        facts.push(Fact::new("scopes", workload.credential.scopes.join(" ")));
    }
    facts.extend(identity.token().into_iter().flat_map(|found| token(found)));
    facts
}

fn token(token: &VerifiedToken) -> Vec<Fact> {
    let claims = &token.claims;
    let mut facts = vec![
        Fact::new("token service", token.issuer.issuer.name.as_str()),
        Fact::new("expires at", claims.expires_at.to_string()),
        Fact::new("scopes", claims.scopes.join(" ")),
    ];
    let named = [("subject", &claims.subject), ("consumer key", &claims.consumer_key)];
    facts.extend(named.into_iter().filter_map(|(what, value)| Some(Fact::new(what, value.as_deref()?))));
    let apis = claims.subscribed_apis.as_ref();
    facts.extend(apis.map(|apis| Fact::new("APIs that it lists", apis.len().to_string())));
    facts
}

pub(crate) fn permit(permit: &Permit) -> Vec<Fact> {
    let side = permit.key_type.map_or("whichever there is".to_owned(), |side| format!("{side:?}"));
    let mut facts = vec![Fact::new("backend", side.to_lowercase())];
    facts.extend(permit.subscribed().into_iter().flat_map(subscribed));
    facts
}

fn subscribed(subscribed: &Subscribed) -> [Fact; 3] {
    let application = &subscribed.application;
    [
        Fact::new("application", format!("{} ({}) of {}", application.name, application.uuid, application.subscriber)),
        Fact::new("plan of the application", subscribed.application_tier.name.as_str()),
        Fact::new("plan of the subscription", subscribed.tier.name.as_str()),
    ]
}

/// What is about to be counted. A request that was counted in an earlier round is not counted again.
pub(crate) fn charges(cx: &Cx) -> Vec<Fact> {
    cx.answers.charges().into_iter().map(|key| Fact::new("counted", key)).collect()
}

pub(crate) fn edits(edits: &Edits) -> Vec<Fact> {
    let path = edits.path.as_deref().map(lossy).map(|path| path.split('?').next().unwrap_or_default().to_owned());
    let mut facts: Vec<Fact> = cluster(edits).map(|name| Fact::new("cluster", name)).into_iter().collect();
    facts.extend(path.map(|path| Fact::new("path", path)));
    facts.extend(edits.remove.iter().map(|name| Fact::new("header taken away", name.as_ref())));
    for (name, value) in edits.set.iter().chain(&edits.add).filter(|(name, _)| name != CLUSTER_HEADER) {
        let value = if name.starts_with(SHOWN) { lossy(value) } else { "not shown".to_owned() };
        facts.push(Fact::new(format!("header {name}"), value));
    }
    facts
}

/// The cluster that the router is told.
pub(super) fn cluster(edits: &Edits) -> Option<String> {
    edits.set.iter().find(|(name, _)| name == CLUSTER_HEADER).map(|(_, value)| lossy(value))
}
