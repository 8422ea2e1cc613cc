//! The filters' side towards Envoy: call-outs, shared data, clock, metrics and headers.
//!
//! [`Abi`] lists every single thing the filters ask of their host; `envoy/` is its only real implementation and the only
//! place that may name proxy-wasm. Everything else here is ordinary code that is tested natively against a fake host.
//!
//! - [`Worker`]: one VM's memory: configuration, snapshot, leadership.
//! - [`RequestFlow`]: one request, from its headers to a decision carried out.
//! - `snapshot/`: the feed into shared data, and shared data into look-ups.
//!
//! This crate must never decide anything about a request (that is `tollgate-enforce`), and never panic.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod abi;
mod connection;
#[cfg(target_arch = "wasm32")]
mod envoy;
#[cfg(test)]
mod fake;
mod metrics;
mod quota;
mod reach;
mod request;
mod role;
mod signature;
mod snapshot;
mod usage;
mod worker;

pub use abi::{Abi, CallId, Fields, Level, MetricId, MetricKind, Nanos, Side, Status, Steady};
#[cfg(target_arch = "wasm32")]
pub use envoy::start;
pub use request::{Flow, RequestFlow};
pub use role::{Authenticate, Authorize, Enforcer, Mediate, Module, Observe, RateLimit, Role};
/// It only has to be linked.
#[cfg(target_arch = "wasm32")]
use tollgate_memory as _;
pub use worker::{Response, Worker};
