//! What the programs of the benchmark share: their arguments, signed tokens, and the snapshots of measured filters.
//!
//! These programs are measured against, or measure with; they are built with optimisations and do as little as they can.
//! Must never be a dependency of what is shipped.

pub mod bare;
pub mod scenario;
pub mod tokens;
pub mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use anyhow::{Context, Result};

/// The argument at that position (the first is 1), read as what is wanted.
///
/// # Errors
/// Says which argument is missing or cannot be read.
pub fn argument<T: FromStr>(position: usize, name: &str) -> Result<T> {
    let text = std::env::args().nth(position).with_context(|| format!("argument {position} ({name}) is missing"))?;
    text.parse().ok().with_context(|| format!("argument {position} ({name}) is '{text}', which cannot be read"))
}

/// `127.0.0.1:port`.
#[must_use]
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
