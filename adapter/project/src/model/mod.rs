//! What projects become, and what is wrong with them. Must never do I/O.

mod deployment;
mod discovery;
mod problem;

pub use deployment::{AwsCredentials, CircuitBreakers, Cluster, Deployment, DeploymentKey, Endpoint, LambdaFunction};
pub use discovery::{Discovery, Instance, Instances, Mesh, Service};
pub use problem::{Problem, Problems, Severity};
