//! Installing: how modules get to proxies, and the manifests and bootstraps that `adapter render` writes.

mod delivery;
mod gateways;
mod helm;
mod manifests;
mod own_routes;
mod samples;
pub mod schemas;
