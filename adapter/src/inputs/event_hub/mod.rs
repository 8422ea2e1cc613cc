//! WSO2 API Manager as the source of everything: APIs, applications, subscriptions, plans, key managers, revoked tokens and deny
//! conditions, over its REST interface and the topics of its broker.
//!
//! | part | does |
//! |---|---|
//! | [`hub`], [`hear`], [`answer`], [`deploy`], [`disk`] | the loop that brings pulls and events together |
//! | [`mirror`], [`apis`] | who is right when they disagree; pure |
//! | [`share`] | which APIs are this adapter's, where a global adapter says so |
//! | [`schedule`] | when what is asked |
//! | [`rest`], [`pull`] | questions and their answers |
//! | [`events`], [`lists`], [`policies`], [`key_managers`], [`throttle`], [`artifact`] | what messages and answers say |
//! | [`owner`] | what of several tenants has the same name |
//! | [`judge`] | projects as deployments |
//! | [`tables`] | facts as entries of the filters' tables |
//! | [`store`] | the last good state |
//! | [`acknowledge`] | what API Manager is told in return |
//!
//! Must never take anything away because API Manager, or its broker, cannot be reached or answers badly.

mod acknowledge;
mod answer;
mod apis;
mod artifact;
mod deploy;
mod disk;
mod events;
mod fact;
#[doc(hidden)]
pub mod fuzzing;
mod hear;
mod hub;
mod judge;
mod key_managers;
mod lists;
mod mirror;
mod object;
mod open;
mod owner;
mod policies;
mod pull;
mod report;
mod rest;
mod schedule;
mod settings;
mod share;
mod store;
mod tables;
#[cfg(test)]
mod testing;
mod throttle;

pub use self::open::{EventHub, EventHubError};
pub use self::settings::EventHubSettings;
