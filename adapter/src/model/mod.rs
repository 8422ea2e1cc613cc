//! What inputs make and outputs watch. Knows neither: must never import `inputs` or `outputs`, and must never do I/O.

mod control_plane;
mod directory;
mod discovery;
pub mod gateways;
mod key_manager;
mod origin;
pub mod plans;
pub mod problem;
mod refusals;
mod sharded;
mod subscribers;
pub mod world;
mod writer;

pub use control_plane::{BrokerReport, ControlPlaneReport, ControlPlaneState, ListReport};
pub use directory::WorldDirectory;
pub use discovery::{Discovery, Instance, Instances, Service};
pub use gateways::Gateways;
pub use key_manager::KeyManager;
pub use origin::{Origin, ProjectOrigin};
pub use problem::{Problem, Problems, Severity};
pub use refusals::{Refusals, SourceReport};
pub use sharded::Sharded;
pub use subscribers::{Expiry, Key, Revoked, RevokedBy, Subscribers, ThrottleRules};
pub use world::{AwsCredentials, CircuitBreakers, Cluster, Deployment, DeploymentKey, Endpoint, LambdaFunction, World};
pub use writer::WorldWriter;
