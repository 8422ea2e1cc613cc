//! The decision: what happens to a request, as a pure function of the directory, the request, the answers so far and
//! the time.
//!
//! Start reading at [`decide`]. `stages/` lists the steps in the order in which a request takes them; `token/` holds the
//! mechanics of access tokens, `resource/` those of paths and templates, `rejection/` every way to say no.
//!
//! This crate must never do I/O, read a clock, name Envoy, or panic: it runs unchanged in wasm, in the adapter, in unit
//! tests and in fuzzers. Whatever it needs of the world it asks for with a [`Question`].
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod anonymous;
mod answers;
mod bytes;
mod call;
mod connection;
mod cors;
mod cx;
mod decide;
mod directory;
mod evidence;
pub mod explain;
#[doc(hidden)]
pub mod fuzzing;
pub mod graphql;
mod headers;
mod intercept;
mod limit;
mod mock;
mod policy;
mod query;
mod quota;
pub mod rejection;
pub mod resource;
mod stages;
mod subscribers;
#[cfg(test)]
mod testing;
pub mod token;
mod uri_mapping;
mod vouch;
pub mod websocket;
mod wildcard;

pub use answers::{Answer, Answers, CallAnswer, MAX_QUESTIONS, RequestBody};
pub use call::Call;
pub use connection::Connection;
pub use cx::{Cx, Decision, Edits, HeaderEdit, Question, Record, Reply, Timestamp};
pub use decide::{Repeat, again, decide, parts};
pub use directory::{CompiledApi, CompiledIssuer, Directory, Invalid, RefreshGate, Unreadable};
pub use evidence::{Evidence, MAX_EVIDENCE, NotEvidence, Query, Reached};
pub use explain::explain;
pub use headers::{Header, HeaderMap, MalformedHeaders};
pub use intercept::{Held, Interception, Outcome};
pub use limit::{CompiledDecisions, CompiledPolicy, CompiledTier, Throttle, check_pattern};
pub use quota::{Counter, CounterId, Quotas, Standing, Stock};
pub use stages::limit::{FrameDecision, FrameLimits};
pub use stages::verdict::Verdicts;
pub use subscribers::{Found, Revocations, Subscribers};
pub use uri_mapping::UriMapping;
pub use vouch::{Caller, Shown, Unknown, identify};
