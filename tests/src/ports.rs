//! Which ports a gateway listens on.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};

/// Below the range the kernel takes the local ports of outgoing connections from.
const LOWEST: u16 = 12_000;
const HIGHEST: u16 = 32_000;

/// The ports of one gateway.
#[derive(Debug)]
pub struct Ports {
    /// Router, plain HTTP.
    pub http: u16,
    /// Router, HTTPS.
    pub https: u16,
    /// Envoy's admin interface.
    pub envoy_admin: u16,
    /// Adapter: xDS.
    pub xds: u16,
    /// Adapter: REST interface of apictl.
    pub rest: u16,
    /// Adapter: feed of the filters.
    pub feed: u16,
    /// Adapter: test keys and JWKS.
    pub public: u16,
    /// Adapter: health, status, metrics.
    pub admin: u16,
    /// Released, and so free for others, when the gateway is gone.
    _leases: Vec<Lease>,
}

impl Ports {
    /// The well-known ones.
    #[must_use]
    pub const fn standard() -> Self {
        Self {
            http: 9090,
            https: 9095,
            envoy_admin: 9000,
            xds: 18000,
            rest: 9843,
            feed: 8081,
            public: 9001,
            admin: 6060,
            _leases: Vec::new(),
        }
    }

    /// Eight that nobody uses, kept from all other gateways on this machine.
    ///
    /// # Errors
    /// When no port is left.
    pub fn free() -> Result<Self> {
        let mut leases = Vec::new();
        let mut next = || -> Result<u16> {
            let lease = Lease::take()?;
            let port = lease.port;
            leases.push(lease);
            Ok(port)
        };
        let (http, https, envoy_admin, xds) = (next()?, next()?, next()?, next()?);
        let (rest, feed, public, admin) = (next()?, next()?, next()?, next()?);
        Ok(Self { http, https, envoy_admin, xds, rest, feed, public, admin, _leases: leases })
    }

    /// With what each is for.
    #[must_use]
    pub const fn named(&self) -> [(u16, &'static str); 8] {
        [
            (self.http, "HTTP listener of the gateway"),
            (self.https, "HTTPS listener of the gateway"),
            (self.envoy_admin, "admin interface of Envoy"),
            (self.xds, "xDS server of the adapter"),
            (self.rest, "REST interface of the adapter"),
            (self.feed, "feed of the adapter"),
            (self.public, "test keys of the adapter"),
            (self.admin, "admin interface of the adapter"),
        ]
    }

    /// Checks that every one of them can be listened on.
    ///
    /// # Errors
    /// Names the first busy port, what it is for, and how to find who has it.
    pub fn check_free(&self) -> Result<()> {
        for (port, purpose) in self.named() {
            if let Err(error) = TcpListener::bind(local(port)) {
                bail!(
                    "port {port} ({purpose}) cannot be listened on: {error}. Stop the program that has it; \
                     `ss -ltnp 'sport = :{port}'` names it"
                );
            }
        }
        Ok(())
    }
}

/// `127.0.0.1:port`.
#[must_use]
pub const fn local(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

/// One port that nobody else uses while it is held.
#[derive(Debug)]
pub struct Port(Lease);

impl Port {
    /// A free one.
    ///
    /// # Errors
    /// When no port is left.
    pub fn free() -> Result<Self> {
        Lease::take().map(Self)
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.0.port
    }
}

/// A port held by a lock on a file of that name. A bound socket would not do: the processes need the port themselves, and
/// Envoy binds with `SO_REUSEPORT`, so that two of them could share one without noticing.
#[derive(Debug)]
struct Lease {
    port: u16,
    _lock: File,
}

impl Lease {
    fn take() -> Result<Self> {
        static NEXT: Mutex<u16> = Mutex::new(LOWEST);
        let folder = lock_folder()?;
        let mut next = NEXT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for _ in LOWEST..HIGHEST {
            let port = *next;
            *next = if port >= HIGHEST { LOWEST } else { port.saturating_add(1) };
            let lock = File::create(folder.join(port.to_string())).context("creating the lock of a port")?;
            if lock.try_lock().is_ok() && TcpListener::bind(local(port)).is_ok() {
                return Ok(Self { port, _lock: lock });
            }
        }
        bail!("no port between {LOWEST} and {HIGHEST} is free")
    }
}

fn lock_folder() -> Result<PathBuf> {
    let folder = std::env::temp_dir().join("tollgate-ports");
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_gateways_share_a_port() {
        let gateways: Vec<Ports> = (0..4).map(|_| Ports::free().unwrap()).collect();
        let ports: BTreeSet<u16> = gateways.iter().flat_map(Ports::named).map(|(port, _)| port).collect();
        assert_eq!(ports.len(), 4 * 8);
    }

    #[test]
    fn a_busy_port_is_named_with_its_purpose() {
        let ports = Ports::free().unwrap();
        let _taken = TcpListener::bind(local(ports.rest)).unwrap();
        let error = ports.check_free().unwrap_err().to_string();
        assert!(error.contains(&ports.rest.to_string()) && error.contains("REST interface"), "{error}");
    }
}
