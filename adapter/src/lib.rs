//! The adapter: takes APIs from its inputs, keeps them, and feeds Envoy and the filters.
//!
//! Arrows point inward: [`inputs`] and [`outputs`] depend on [`model`] and never on each other; [`run`] wires them.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod admin;
pub mod bootstrap;
pub mod broker;
pub mod certs;
pub mod cli;
pub mod config;
pub mod delivery;
pub mod explain;
pub mod inputs;
pub mod logging;
pub mod model;
pub mod outputs;
pub mod render;
pub mod run;
pub mod signing;
pub mod tls;
