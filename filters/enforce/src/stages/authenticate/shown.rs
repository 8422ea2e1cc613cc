//! What a request shows of who calls, where that alone says who it is.
//!
//! For the memory of verdicts, which must never take one caller for another: where anything else of the request may count, it
//! is nothing.

use std::borrow::Cow;

use tollgate_model::{Requirement, Security};

use super::super::admit::Admitted;
use super::{Identity, api_key, authorization_header};
use crate::bytes::same;
use crate::token::Usage;
use crate::{Cx, Header};

/// It, as it stands in the request.
pub(crate) struct Shown<'r> {
    /// What it is shown as; `None` for nothing, where nothing is asked for.
    pub(crate) usage: Option<Usage>,
    pub(crate) text: Cow<'r, [u8]>,
}

impl<'r> Shown<'r> {
    /// Of this request, for this operation.
    pub(crate) fn of(cx: &'r Cx, admitted: &'r Admitted) -> Option<Self> {
        // The body of a GraphQL request counts, and certificates do.
        if admitted.asked.is_some() || admitted.api.api.mutual_ssl.is_some() {
            return None;
        }
        let requirements = match &admitted.operation.security {
            security if admitted.is_prototype() || *security == Security::Unsecured => return Some(Self::NOTHING),
            security => security.requirements(),
        };
        // It would come first.
        if cx.request.get(&admitted.settings.internal_key_header) != Header::Absent {
            return None;
        }
        if requirements.iter().any(|requirement| requirement.token) {
            match cx.request.get(authorization_header(admitted)) {
                Header::One(value) if requirements.contains(&Requirement::TOKEN) => return Self::token(value),
                Header::One(_) | Header::Many => return None,
                Header::Absent => {}
            }
        }
        Self::key(cx, admitted, requirements)
    }

    const NOTHING: Self = Self { usage: None, text: Cow::Borrowed(b"") };

    /// The text behind `Bearer `, in its usual form.
    fn token(value: &'r [u8]) -> Option<Self> {
        let text = value.strip_prefix(b"Bearer ")?;
        Some(Self { usage: Some(Usage::AccessToken), text: Cow::Borrowed(text) })
    }

    /// The first of the API keys of which one suffices.
    fn key(cx: &'r Cx, admitted: &'r Admitted, requirements: &'r [Requirement]) -> Option<Self> {
        for requirement in requirements.iter().filter(|requirement| !requirement.token) {
            let [place] = requirement.api_keys.as_slice() else { return None };
            if requirement.workload {
                return None;
            }
            if let Some(text) = api_key::text_at(cx, admitted, place) {
                return Some(Self { usage: Some(Usage::ApiKey), text });
            }
        }
        None
    }

    /// Whether every request that shows this, now or later, has this identity, while that is current.
    pub(crate) fn makes(&self, identity: &Identity) -> bool {
        let free = match identity {
            Identity::Anonymous => return self.usage.is_none(),
            Identity::Bearer(token) => !token.is_bound(),
            Identity::ApiKey(key) => key.token.as_ref().is_none_or(|token| {
                let claims = &token.claims;
                !token.is_bound() && claims.permitted_addresses.is_none() && claims.permitted_referers.is_none()
            }),
            Identity::InternalKey(_) | Identity::Certificate(_) | Identity::Workload(_) => false,
        };
        let is_this = |(usage, text): (Usage, &str)| Some(usage) == self.usage && same(text.as_bytes(), &self.text);
        free && identity.credential().is_some_and(is_this)
    }
}
