//! API projects: how they are unpacked, read and checked. The same code serves the REST API, the artifacts directory and
//! `adapter validate`. Must never store or publish anything, and knows nothing of the adapter.
//!
//! Life of a project: [`archive`] or [`directory`] -> [`ProjectFiles`] -> [`compile`] -> [`Blueprint`] and its
//! [`Targets`] -> [`Blueprint::on`] -> a deployment.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod archive;
mod asyncapi;
mod blueprint;
mod certificates;
mod client_certificates;
mod compile;
mod consul;
pub mod cors;
mod credentials;
mod definition;
mod dialect;
pub mod directory;
pub mod document;
mod duplicates;
mod endpoints;
mod environments;
#[cfg(test)]
mod fields;
mod files;
mod graphql;
pub mod interceptors;
mod lambda;
mod metadata;
mod mock;
pub mod model;
pub mod names;
mod options;
mod overrides;
pub mod pem;
mod placement;
mod policies;
mod resources;
mod security;
mod strict_json;
mod template;
mod throttling;
mod tuning;
pub mod unsupported;
mod upstream;
mod vendor;

pub use blueprint::Blueprint;
pub use compile::{Compiled, compile, compile_placed};
pub use environments::Targets;
pub use files::ProjectFiles;
pub use lambda::LambdaOptions;
pub use options::{CompileOptions, default_cors};
pub use overrides::Overrides;
pub use placement::Placement;
pub use unsupported::did_you_mean;
