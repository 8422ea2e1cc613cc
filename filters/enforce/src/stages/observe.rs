//! What a request leaves behind: one line of JSON that says who called what, and what became of it.
//!
//! Off unless the settings say otherwise. It never decides anything, and must never hold a credential: access logs are read
//! by many.

use serde::Serialize;

use super::admit::Admitted;
use super::authorize::{Permit, Subscribed};
use crate::token::KeyType;
use crate::{Cx, Record};

/// What [`crate::rejection::Entry::details`] begin with.
const DETAILS: &str = "tollgate_";

/// Bytes that most records have at most, so that few have to grow.
const USUAL_RECORD: usize = 512;

/// A record, as it is written. Members may be added; readers skip those that they do not know.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'w> {
    /// `forwarded` or `answered`.
    outcome: &'static str,
    /// Of an answer by the gateway: its error code, or what kind of answer it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'w str>,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    operation: Option<OperationMembers<'w>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    application: Option<ApplicationMembers<'w>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OperationMembers<'w> {
    virtual_host: &'w str,
    api: &'w str,
    api_name: &'w str,
    api_version: &'w str,
    organization: &'w str,
    resource: &'w str,
    method: &'w str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ApplicationMembers<'w> {
    application: &'w str,
    application_name: &'w str,
    subscriber: &'w str,
    tier: &'w str,
}

/// The record of a request that goes on, as far as it is known whose it is. Every request with this permit has the same, so it is
/// written once.
pub(crate) fn forwarded(admitted: &Admitted, permit: Option<&Permit>) -> Option<Record> {
    if !admitted.settings.usage_records {
        return None;
    }
    let write = || written("forwarded", None, Some(admitted), permit);
    permit.map_or_else(write, |permit| permit.record(write))
}

/// The record of a request that goes on although nobody knows what it is for.
pub(crate) fn unknown(cx: &Cx) -> Option<Record> {
    let wanted = cx.directory.settings().is_some_and(|settings| settings.usage_records);
    if wanted { written("forwarded", None, None, None) } else { None }
}

/// The record of a request that the gateway answers, as far as it is known what it was for and who sent it; `details` are
/// those of the reply.
pub(crate) fn answered(cx: &Cx, admitted: Option<&Admitted>, permit: Option<&Permit>, details: &str) -> Option<Record> {
    let wanted = cx.directory.settings().is_some_and(|settings| settings.usage_records);
    let code = details.strip_prefix(DETAILS).unwrap_or(details);
    if wanted { written("answered", Some(code), admitted, permit) } else { None }
}

fn written(
    outcome: &'static str,
    code: Option<&str>,
    admitted: Option<&Admitted>,
    permit: Option<&Permit>,
) -> Option<Record> {
    let written = Written {
        outcome,
        code,
        operation: admitted.map(operation),
        key_type: permit.and_then(|permit| permit.key_type).map(name),
        application: permit.and_then(|permit| permit.subscribed.as_ref()).map(application),
    };
    let mut record = Vec::with_capacity(USUAL_RECORD);
    // Texts and nothing else, which cannot fail.
    serde_json::to_writer(&mut record, &written).ok()?;
    Some(record.into())
}

fn operation<'a>(admitted: &'a Admitted) -> OperationMembers<'a> {
    let api = &admitted.api.api;
    OperationMembers {
        virtual_host: &api.virtual_host,
        api: &api.id,
        api_name: &api.name,
        api_version: &api.version,
        organization: &api.organization,
        resource: &admitted.resource.resource.template,
        method: &admitted.operation.method,
    }
}

fn application(subscribed: &Subscribed) -> ApplicationMembers<'_> {
    let Subscribed { application, tier, .. } = subscribed;
    ApplicationMembers {
        application: &application.uuid,
        application_name: &application.name,
        subscriber: &application.subscriber,
        tier: &tier.name,
    }
}

const fn name(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::Production => "PRODUCTION",
        KeyType::Sandbox => "SANDBOX",
        KeyType::Unknown => "UNKNOWN",
    }
}
