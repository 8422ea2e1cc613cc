//! How APIs arrive: over REST ([`apictl`]), from a directory ([`folder`]) and from a Git repository ([`git`]), as projects
//! that [`project`] reads and [`catalog`] keeps; and who may call them, from a file
//! ([`subscriptions`]) and from etcd ([`revocation`]); where their backends are ([`consul`]); all of it from API Manager
//! ([`event_hub`]), or the part of it that a global adapter leaves to this one ([`global_adapter`]); and who its Traffic Manager
//! throttles ([`decisions`]). Must never import `outputs`.

pub mod apictl;
pub mod catalog;
pub mod consul;
pub mod decisions;
pub mod event_hub;
pub mod folder;
pub mod git;
pub mod global_adapter;
mod pauses;
pub mod revocation;
pub mod subscriptions;

pub use tollgate_project as project;
