//! Every way to say no.
//!
//! A [`Rejection`] says why; the [catalogue](CATALOGUE) says what the client is told. One place turns both into a reply.

mod catalogue;
mod flaw;
mod render;
mod soap;
mod throttling;

pub use catalogue::{CATALOGUE, Entry};
pub use flaw::Flaw;

pub(crate) use render::challenge_for_certificate;

use crate::decide::Halt;
use crate::{Cx, Reply, Timestamp, Unreadable};
use catalogue as entries;

/// 31 December 9999, the last day an HTTP date can name, in seconds since the epoch.
const MAX_DATE: u64 = 253_402_300_799;

/// A window's end is known that exactly: gateways and owners of quotas count whole milliseconds of clocks that each follow the time
/// in their own way, so an end at a whole second may look a little later than it is.
const CLOCK_ERROR_MS: u64 = 100;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// No API, resource or operation there.
    NotFound,
    /// The path can be read in two ways that do not reach the same resource.
    AmbiguousPath,
    /// The header map cannot be read.
    Malformed,
    /// A plain request to a WebSocket API.
    NoUpgrade,
    /// A request to change the protocol, which the API does not take.
    Upgrade,
    /// The API's life cycle state is BLOCKED.
    ApiBlocked,
    /// No snapshot has arrived yet.
    NotReady,
    /// The policy exists but cannot be read or enforced.
    Unreadable,
    /// The operation needs callbacks that this gateway does not make.
    CallbacksMissing,
    /// The module that comes before this one has left no word of the request.
    NoEvidence,
    /// The request is to go to another place than the gateway's routes know of.
    ForeignRoutes,
    /// The request's body has more bytes than this, and something needs the whole of it.
    BodyTooLarge(usize),
    /// A token was sent, but it could not be judged.
    Unjudged,
    /// The backend cannot be told who calls.
    NoBackendJwt,
    /// A certificate that the API does not know.
    BadCertificate,
    /// Good credentials that are not for this API, or not for use from here.
    Forbidden,
    /// The caller's application is not known, or has not subscribed to the API.
    NotSubscribed,
    /// The subscription is blocked for this key.
    SubscriptionBlocked,
    /// The subscription is not approved.
    SubscriptionInactive,
    /// No credentials, or credentials of a kind the operation does not take.
    NoCredentials,
    /// Credentials that are not good, for this reason.
    InvalidCredentials(BadCredentials),
    /// A mocked operation gets a preference for something that is no status code.
    BadPreference,
    /// A mocked operation has no example that fits, for this reason.
    NotMocked(String),
    /// The body of a GraphQL request cannot be decided about, for this reason.
    InvalidQuery(String),
    /// A GraphQL query is nested deeper than the caller may.
    QueryTooDeep {
        /// Its depth.
        depth: u32,
        /// The greatest allowed.
        limit: u32,
    },
    /// A GraphQL query weighs more than the caller may.
    QueryTooComplex {
        /// Its weight.
        complexity: u64,
        /// The greatest allowed.
        limit: u32,
    },
    /// Open Policy Agent says no.
    PolicyDenied,
    /// Open Policy Agent could not be reached, or answered with an error.
    PolicyAgentFailed,
    /// Open Policy Agent gave neither yes nor no.
    PolicyAgentUnclear,
    /// An interceptor could not be asked, or has failed.
    InterceptorFailed,
    /// An interceptor has answered something that cannot be carried out.
    InterceptorAnswer,
    /// The token holds none of the scopes of the resource with this path template.
    ScopeMissing(String),
    /// A limit is reached, and nothing is left until then.
    Throttled(Level, Timestamp),
    /// A deny condition holds.
    Denied,
}

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Of the API as a whole.
    Api,
    /// Of an operation.
    Resource,
    /// Of an application's subscription to the API.
    Subscription,
    /// Of an application.
    Application,
    /// Of a custom policy.
    Custom,
}

/// What is wrong with credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadCredentials {
    /// Not a token at all.
    NotAToken,
    /// A token that is not good, for this reason.
    Token(Flaw),
    /// A production key where there is only a sandbox backend.
    NoProduction,
    /// A sandbox key where there is only a production backend.
    NoSandbox,
    /// A good token that was taken back.
    Revoked,
    /// The token's `keytype` is neither PRODUCTION nor SANDBOX.
    KeyType,
    /// An API key that is not good, for this reason.
    ApiKey(Flaw),
    /// A key of the test console that is not good, for this reason.
    InternalKey(Flaw),
    /// A workload that no application has named.
    Workload,
}

impl BadCredentials {
    const fn text(self) -> &'static str {
        match self {
            Self::NotAToken => "Not a JWT token. Failed to decode the token header",
            Self::Token(_) => "Invalid Credentials",
            Self::NoProduction => "Production key offered to an API with no production endpoint",
            Self::NoSandbox => "Sandbox key offered to an API with no sandbox endpoint",
            Self::Revoked => "Invalid JWT token",
            Self::KeyType => "Invalid key type.",
            Self::ApiKey(_) => "API key authentication failed.",
            Self::InternalKey(_) => "Internal key authentication failed.",
            Self::Workload => "The calling workload is not known",
        }
    }
}

impl Rejection {
    /// The line of the catalogue.
    #[must_use]
    pub const fn entry(&self) -> &'static Entry {
        match self {
            Self::NotFound => &entries::NOT_FOUND,
            Self::AmbiguousPath => &entries::AMBIGUOUS_PATH,
            Self::Malformed => &entries::MALFORMED,
            Self::NoUpgrade => &entries::NO_UPGRADE,
            Self::Upgrade => &entries::UPGRADE,
            Self::ApiBlocked => &entries::API_BLOCKED,
            Self::NotReady => &entries::NOT_READY,
            Self::Unreadable => &entries::UNREADABLE,
            Self::CallbacksMissing => &entries::CALLBACKS_MISSING,
            Self::NoEvidence => &entries::NO_EVIDENCE,
            Self::ForeignRoutes => &entries::FOREIGN_ROUTES,
            Self::BodyTooLarge(_) => &entries::BODY_TOO_LARGE,
            Self::Unjudged => &entries::UNJUDGED,
            Self::NoBackendJwt => &entries::NO_BACKEND_JWT,
            Self::BadCertificate => &entries::BAD_CERTIFICATE,
            Self::Forbidden => &entries::FORBIDDEN,
            Self::NotSubscribed => &entries::NOT_SUBSCRIBED,
            Self::SubscriptionBlocked => &entries::SUBSCRIPTION_BLOCKED,
            Self::SubscriptionInactive => &entries::SUBSCRIPTION_INACTIVE,
            Self::NoCredentials | Self::InvalidCredentials(_) => &entries::INVALID_CREDENTIALS,
            Self::InvalidQuery(_) => &entries::INVALID_QUERY,
            Self::QueryTooDeep { .. } => &entries::QUERY_TOO_DEEP,
            Self::QueryTooComplex { .. } => &entries::QUERY_TOO_COMPLEX,
            Self::BadPreference => &entries::BAD_PREFERENCE,
            Self::NotMocked(_) => &entries::NOT_MOCKED,
            Self::PolicyDenied => &entries::POLICY_DENIED,
            Self::PolicyAgentFailed => &entries::POLICY_AGENT_FAILED,
            Self::PolicyAgentUnclear => &entries::POLICY_AGENT_UNCLEAR,
            Self::InterceptorFailed => &entries::INTERCEPTOR_FAILED,
            Self::InterceptorAnswer => &entries::INTERCEPTOR_ANSWER,
            Self::ScopeMissing(_) => &entries::SCOPE_MISSING,
            Self::Throttled(Level::Api, _) => &throttling::API_LIMIT,
            Self::Throttled(Level::Resource, _) => &throttling::RESOURCE_LIMIT,
            Self::Throttled(Level::Subscription, _) => &throttling::SUBSCRIPTION_LIMIT,
            Self::Throttled(Level::Application, _) => &throttling::APPLICATION_LIMIT,
            Self::Throttled(Level::Custom, _) => &throttling::CUSTOM_LIMIT,
            Self::Denied => &throttling::DENIED,
        }
    }

    /// What `error_description` says.
    #[must_use]
    pub fn description(&self) -> String {
        let general = self.entry().description;
        match self {
            Self::InvalidCredentials(why) => format!("{}. {general}", why.text()),
            Self::NotMocked(why) | Self::InvalidQuery(why) => why.clone(),
            Self::QueryTooDeep { depth, limit } => format!("[maximum query depth exceeded {depth} > {limit}]"),
            Self::QueryTooComplex { complexity, limit } => {
                format!("[maximum query complexity exceeded {complexity} > {limit}]")
            }
            Self::ScopeMissing(template) => {
                format!("User is NOT authorized to access the Resource: {template}. Scope validation failed.")
            }
            Self::BodyTooLarge(limit) => format!("The request body is larger than the {limit} bytes allowed."),
            _ => general.to_owned(),
        }
    }

    /// What is not for clients to know, and for whoever has the decision explained.
    #[must_use]
    pub const fn flaw(&self) -> Option<Flaw> {
        match self {
            Self::InvalidCredentials(
                BadCredentials::Token(flaw) | BadCredentials::ApiKey(flaw) | BadCredentials::InternalKey(flaw),
            ) => Some(*flaw),
            _ => None,
        }
    }

    /// The reply to a client of whom nothing is known.
    #[must_use]
    pub fn reply(&self) -> Reply {
        self.with_retry(render::json(self))
    }

    /// Says when trying again may help, as the original does: an HTTP date (RFC 9110, section 10.2.3).
    fn with_retry(&self, mut reply: Reply) -> Reply {
        if let Self::Throttled(_, until) = self {
            // A date has no parts of a second, and one that is too early would be a lie.
            let seconds = until.0.saturating_sub(CLOCK_ERROR_MS).div_ceil(1000).min(MAX_DATE);
            let date = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds));
            reply.headers.extend(date.map(|date| ("retry-after".into(), httpdate::fmt_http_date(date))));
        }
        reply
    }

    /// The reply to the client of that request, in its own language.
    pub(crate) fn reply_to(&self, cx: &Cx) -> Reply {
        let faults = cx.directory.settings().is_some_and(|settings| settings.soap_faults);
        let reply = match soap::Version::of(cx.request).filter(|_| faults) {
            Some(version) => soap::fault(self, version),
            None => render::json(self),
        };
        self.with_retry(reply)
    }
}

impl From<Unreadable> for Rejection {
    fn from(Unreadable: Unreadable) -> Self {
        Self::Unreadable
    }
}

impl From<Rejection> for Halt {
    fn from(rejection: Rejection) -> Self {
        Self::Refuse(rejection)
    }
}
