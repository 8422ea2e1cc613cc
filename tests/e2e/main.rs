//! The end-to-end suite: real Envoy, the real adapter, the real module, and only what a user can see.
//!
//! Each file holds the tests of one promise. That no VM fails is checked after every one of them, when its gateway is
//! dropped.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test reports by panicking"
)]

mod algorithms;
mod analytics;
mod apis;
mod attacks;
mod backend_jwt;
mod bandwidth;
mod changes;
mod codes;
mod configuration;
mod consul;
mod control_plane;
mod credentials;
mod explain;
mod git_http;
mod git_ssh;
mod graphql;
mod hostile;
mod hosts;
mod install;
mod interceptors;
mod issuers;
mod lambda;
mod limits;
mod logs;
mod mesh;
mod oracles;
mod origins;
mod outages;
mod parity;
mod policies;
mod projects;
mod quota_owners;
mod quotas;
mod refusals;
mod requests;
mod revocation;
mod soak;
mod soap;
mod sources;
mod subscriptions;
mod system;
mod token_services;
mod tour;
mod tracing;
mod traffic_manager;
mod transport;
mod traps;
mod upstreams;
mod usage;
mod websockets;
