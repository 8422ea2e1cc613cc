//! Starts real gateways for tests and demonstrations: the adapter and Envoy as processes, a recording backend, and clients.
//!
//! Everything listens on 127.0.0.1, on ports of its own and with folders of its own, so that any number of gateways run
//! side by side. Whatever was started is stopped when its owner is dropped. Nothing here waits for a fixed time: it polls
//! until the outcome is there ([`eventually`]) and gives up with the reason.
//!
//! This crate must never be a dependency of what is shipped, and never look inside the processes it starts: it sees what
//! a user sees.

pub mod adapter;
pub mod apim;
pub mod backend;
pub mod consul;
pub mod data_bridge;
pub mod envoy;
pub mod etcd;
mod eventually;
pub mod gateway;
pub mod global_adapter;
pub mod http;
pub mod issuer;
pub mod load;
pub mod locate;
pub mod ports;
pub mod process;
pub mod program;
pub mod project;
pub mod proxy;
pub mod rabbitmq;
pub mod redis;
pub mod registry;
mod server;
pub mod soak;
pub mod sshd;
pub mod token;
pub mod traffic;

pub use backend::Backend;
pub use consul::Consul;
pub use envoy::Envoy;
pub use etcd::Etcd;
pub use eventually::{PATIENCE, eventually, within};
pub use gateway::{Gateway, Settings};
pub use project::ApiProject;
pub use proxy::{Proxy, Weather};
pub use rabbitmq::{RabbitMq, Topics};
pub use redis::{RedisCluster, RedisSentinel, RedisServer};
pub use registry::RegistryServer;
pub use sshd::SshServer;
