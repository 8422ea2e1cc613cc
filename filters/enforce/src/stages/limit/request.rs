//! A request in the terms of throttle keys (Choreo Connect's, which API Manager's own policies and tools know).

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::net::IpAddr;

use serde_json::Value;
use tollgate_model::{Api, Operation};

use super::super::admit::Admitted;
use super::super::authorize::{Permit, Subscribed};
use crate::connection::client_address;
use crate::limit::charge::Cost;
use crate::limit::conditions::Traits;
use crate::limit::template::Values;
use crate::stages::mediate::query_without_keys;
use crate::token::KeyType;
use crate::{CompiledPolicy, Cx, Header, policy, query};

/// Tenant of names that carry none.
const SUPER_TENANT: &str = "carbon.super";

/// What limits ask of a request. Everything that costs is found out when it is first asked for.
pub(super) struct Request<'r, 'c> {
    cx: &'r Cx<'c>,
    admitted: &'r Admitted<'c>,
    permit: &'r Permit,
    client: OnceCell<Option<IpAddr>>,
    claims: OnceCell<Option<Value>>,
    /// Whether anything was asked that another request with the same permit may answer otherwise.
    looked_into: Cell<bool>,
}

impl<'r, 'c> Request<'r, 'c> {
    pub(super) const fn new(cx: &'r Cx<'c>, admitted: &'r Admitted<'c>, permit: &'r Permit) -> Self {
        let looked_into = Cell::new(false);
        Self { cx, admitted, permit, client: OnceCell::new(), claims: OnceCell::new(), looked_into }
    }

    /// Forgets what was asked so far.
    pub(super) fn overlook(&self) {
        self.looked_into.set(false);
    }

    /// Whether what was asked since then depends on more than the permit: on headers, the query, or the client's address.
    pub(super) const fn was_looked_into(&self) -> bool {
        self.looked_into.get()
    }

    pub(super) fn api(&self) -> &Api {
        &self.admitted.api.api
    }

    /// What is to be carried out, with the path template or the field.
    pub(super) fn operations(&self) -> impl Iterator<Item = (&str, &Operation)> {
        self.admitted.operations()
    }

    pub(super) fn subscribed(&self) -> Option<&Subscribed> {
        self.permit.subscribed.as_ref()
    }

    /// As many requests as the dearest of its operations says, which is one unless it says something; as many bytes as it announces.
    pub(super) fn cost(&self) -> Cost {
        let bytes = match self.cx.request.get("content-length") {
            Header::One(value) => std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
            Header::Absent | Header::Many => None,
        };
        let costs = self.operations().filter_map(|(_, operation)| operation.cost);
        Cost { requests: costs.max().map_or(1, |cost| u64::from(cost.get())), bytes: bytes.unwrap_or(0) }
    }

    /// `<base path>:<version>`.
    pub(super) fn api_key(&self) -> String {
        format!("{}:{}", self.api().base_path, self.api().version)
    }

    /// `<base path>/<version><template>:<method>`.
    pub(super) fn resource_key(&self, template: &str, method: &str) -> String {
        let Api { base_path, version, .. } = self.api();
        format!("{base_path}/{version}{template}:{method}")
    }

    /// `<application>:<base path>:<version>`.
    pub(super) fn subscription_key(&self) -> String {
        format!("{}:{}", self.application(), self.api_key())
    }

    /// `<application>:<user>@<tenant>`.
    pub(super) fn application_key(&self) -> String {
        format!("{}:{}", self.application(), self.user())
    }

    /// The application's number where the portal gave it one, else its UUID.
    pub(super) fn application(&self) -> Cow<'_, str> {
        match self.subscribed().map(|subscribed| subscribed.application.as_ref()) {
            Some(application) if application.id > 0 => Cow::Owned(application.id.to_string()),
            Some(application) => Cow::Borrowed(&application.uuid),
            None => Cow::Borrowed(""),
        }
    }

    /// `<subscriber>:<application name>`, as deny conditions write it.
    pub(super) fn application_name(&self) -> Option<String> {
        let application = &self.subscribed()?.application;
        Some(format!("{}:{}", application.subscriber, application.name))
    }

    /// `<base path>:<version>:<subscriber>-<application name>:<key type>`, as deny conditions write it.
    pub(super) fn subscription_name(&self) -> Option<String> {
        let application = &self.subscribed()?.application;
        let side = if self.permit.key_type == Some(KeyType::Sandbox) { "SANDBOX" } else { "PRODUCTION" };
        Some(format!("{}:{}-{}:{side}", self.api_key(), application.subscriber, application.name))
    }

    /// `<user>@<tenant>`. The tenant is added where the name has none.
    pub(super) fn user(&self) -> String {
        let subject = self.permit.token.as_ref().and_then(|token| token.claims.subject.as_deref());
        match subject.or(self.permit.workload.as_deref()).unwrap_or("anonymous") {
            user if user.contains('@') => user.to_owned(),
            user => format!("{user}@{}", self.application_tenant()),
        }
    }

    /// Tenant of the application.
    pub(super) fn application_tenant(&self) -> &str {
        let tenant = self.subscribed().map(|subscribed| subscribed.application.tenant.as_str());
        tenant.filter(|tenant| !tenant.is_empty()).unwrap_or(SUPER_TENANT)
    }

    /// The tenant in `/t/<tenant>/...`.
    pub(super) fn api_tenant(&self) -> &str {
        let tenant = self.api().base_path.strip_prefix("/t/").and_then(|rest| rest.split('/').next());
        tenant.filter(|tenant| !tenant.is_empty()).unwrap_or(SUPER_TENANT)
    }

    /// Address of the client.
    pub(super) fn client(&self) -> Option<IpAddr> {
        self.looked_into.set(true);
        *self.client.get_or_init(|| client_address(self.cx, &self.admitted.settings))
    }

    /// The key of a custom policy.
    pub(super) fn fill(&self, policy: &CompiledPolicy) -> String {
        policy.key(&Values {
            resource_key: &self.first_resource_key(),
            user: &self.user(),
            context: &self.api().base_path,
            version: &self.api().version,
            application_tenant: self.application_tenant(),
            api_tenant: self.api_tenant(),
            application: &self.application(),
            client: policy.needs_client().then(|| self.client()).flatten(),
        })
    }

    fn first_resource_key(&self) -> String {
        let first = self.operations().next();
        first.map(|(template, operation)| self.resource_key(template, &operation.method)).unwrap_or_default()
    }

    /// Headers that hold no credentials.
    pub(super) fn visible_headers(&self, cx: &Cx) -> Vec<(String, String)> {
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        policy::transport_headers(cx, self.admitted).into_iter().map(|(name, value)| (name, text(value))).collect()
    }

    /// Query parameters that hold no credentials, decoded.
    pub(super) fn visible_query(&self) -> Vec<(String, String)> {
        query::decoded(&query_without_keys(self.admitted))
    }

    /// Claims of the token, as texts.
    pub(super) fn claims(&self) -> Vec<(String, String)> {
        let claims = self.payload().and_then(Value::as_object).into_iter().flatten();
        claims.filter_map(|(name, _)| Some((name.clone(), self.claim(name)?.into_owned()))).collect()
    }

    fn payload(&self) -> Option<&Value> {
        let payload = || serde_json::from_slice(&self.permit.token.as_ref()?.payload()?).ok();
        self.claims.get_or_init(payload).as_ref()
    }
}

impl Traits for Request<'_, '_> {
    fn client(&self) -> Option<IpAddr> {
        Self::client(self)
    }

    fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.looked_into.set(true);
        let values: Vec<Cow<str>> = self.cx.request.all(name).map(String::from_utf8_lossy).collect();
        match values.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            many => Some(Cow::Owned(many.join(","))),
        }
    }

    fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        self.looked_into.set(true);
        let value = query::only(self.admitted.query, name.as_bytes())?;
        Some(Cow::Owned(String::from_utf8_lossy(&value).into_owned()))
    }

    fn claim(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.payload()?.get(name)? {
            Value::String(text) => Some(Cow::Borrowed(text)),
            Value::Null => None,
            other => Some(Cow::Owned(other.to_string())),
        }
    }
}
