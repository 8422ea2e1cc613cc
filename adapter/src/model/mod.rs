//! What inputs make and outputs watch. Knows neither: must never import `inputs` or `outputs`, and must never do I/O.

mod control_plane;
mod directory;
pub mod gateways;
mod key_manager;
mod origin;
pub mod plans;
mod refusals;
mod sharded;
mod subscribers;
pub mod world;
mod writer;

pub use control_plane::{BrokerReport, ControlPlaneReport, ControlPlaneState, ListReport};
pub use directory::WorldDirectory;
pub use gateways::Gateways;
pub use key_manager::KeyManager;
pub use origin::{Origin, ProjectOrigin};
pub use refusals::{Refusals, SourceReport};
pub use sharded::Sharded;
pub use subscribers::{Expiry, Key, Revoked, RevokedBy, Subscribers, ThrottleRules};
pub use tollgate_project::model::{
    AwsCredentials, CircuitBreakers, Cluster, Deployment, DeploymentKey, Discovery, Endpoint, Instance, Instances,
    LambdaFunction, Mesh, Problem, Problems, Service, Severity,
};
pub use world::World;
pub use writer::WorldWriter;
