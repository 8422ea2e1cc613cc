//! What inputs make and outputs watch. Knows neither: must never import `inputs` or `outputs`, and must never do I/O.

pub mod problem;
mod refusals;
pub mod world;
mod writer;

pub use problem::{Problem, Problems, Severity};
pub use refusals::Refusals;
pub use world::{CircuitBreakers, Cluster, Deployment, DeploymentKey, Endpoint, World};
pub use writer::WorldWriter;
