//! `[adapter]`: the REST API, certificates and virtual hosts.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::duration;
use super::reader::Reader;
use crate::inputs::apictl::User;
use tollgate_project::names;

const MAX_TOKEN_VALIDITY: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_DEPLOY_TIMEOUT: Duration = Duration::from_secs(5 * 60);
const DEFAULT_DEPLOY_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_TOKEN_VALIDITY: Duration = Duration::from_secs(60 * 60);

/// The REST API.
#[derive(Debug, Clone)]
pub struct Rest {
    /// Where it listens.
    pub address: SocketAddr,
    /// Who may use it.
    pub users: Vec<User>,
    /// How long its tokens are valid.
    pub token_validity: Duration,
    /// How long the answer to a change waits for the gateways.
    pub deploy_timeout: Duration,
    /// PKCS #8 PEM of the RSA key that signs them; a development key when none is configured.
    pub token_key: Option<PathBuf>,
}

/// Whether callers who speak SOAP get SOAP faults.
pub(super) fn soap_faults(reader: &mut Reader<'_>) -> bool {
    reader.flag("adapter.soapErrorInXMLEnabled").unwrap_or(false)
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPairPaths {
    /// PEM certificate.
    pub certificate: PathBuf,
    /// PEM key.
    pub key: PathBuf,
}

pub(super) fn rest(reader: &mut Reader<'_>) -> Option<Rest> {
    let enabled = reader.flag("adapter.server.enabled").unwrap_or(true);
    let host = super::host(reader, "adapter.server.host", Ipv4Addr::UNSPECIFIED.into());
    let port = super::own_port(reader, "adapter.server.port", 9843);
    let token_validity = token_validity(reader);
    let token_key = reader.path("adapter.server.tokenPrivateKeyPath");
    let deploy_timeout = deploy_timeout(reader);
    let users = users(reader, enabled);
    enabled.then_some(Rest { address: SocketAddr::new(host, port), users, token_validity, deploy_timeout, token_key })
}

fn token_validity(reader: &mut Reader<'_>) -> Duration {
    const KEY: &str = "adapter.server.tokenTTL";
    let Some(text) = reader.text(KEY) else { return DEFAULT_TOKEN_VALIDITY };
    match duration::parse(&text) {
        Some(validity) if validity <= MAX_TOKEN_VALIDITY => validity.max(Duration::from_secs(1)),
        Some(_) => {
            reader.warn(KEY, "tokens are valid for 24h at most, so 24h is used", "write at most 24h");
            MAX_TOKEN_VALIDITY
        }
        None => {
            reader.warn(KEY, "this is no duration, so 1h is used", "write for example 1h or 30m");
            DEFAULT_TOKEN_VALIDITY
        }
    }
}

fn deploy_timeout(reader: &mut Reader<'_>) -> Duration {
    const KEY: &str = "adapter.server.deployTimeout";
    let Some(text) = reader.text(KEY) else { return DEFAULT_DEPLOY_TIMEOUT };
    match duration::parse(&text) {
        Some(timeout) if timeout <= MAX_DEPLOY_TIMEOUT => timeout,
        // What the parser takes for none at all.
        None if ["0", "0s", "0ms"].contains(&text.trim()) => Duration::ZERO,
        _ => {
            reader.error(
                KEY,
                "a duration of at most 5m is expected here",
                "write for example 5s, or 0s for no waiting",
            );
            DEFAULT_DEPLOY_TIMEOUT
        }
    }
}

fn users(reader: &mut Reader<'_>, enabled: bool) -> Vec<User> {
    let count = reader.count("adapter.server.users");
    let mut users = Vec::new();
    for index in 0..count {
        let key = |name: &str| format!("adapter.server.users.{index}.{name}");
        if let Some((username, password)) = credentials(reader, &key("username"), &key("password")) {
            users.push(User { username, password });
        }
    }
    if count > 0 || !enabled {
        return users;
    }
    match reader.variable("adapter_admin_pwd") {
        Some(password) => users.push(User { username: "admin".to_owned(), password }),
        None => reader.error(
            "adapter.server.users",
            "no user is configured, and adapter_admin_pwd, the password of the default user admin, is not set",
            "set the environment variable adapter_admin_pwd, or add [[adapter.server.users]] with username and password",
        ),
    }
    users
}

/// A name and a password, both not empty.
pub(super) fn credentials(reader: &mut Reader<'_>, name: &str, password: &str) -> Option<(String, String)> {
    let before = reader.problems.errors().count();
    let found = (reader.text(name), reader.text(password));
    match found {
        (Some(name), Some(password)) => return Some((name, password)),
        // A missing variable was reported already.
        _ if reader.problems.errors().count() > before => {}
        (None, _) => reader.error(name, "the user has no name", "write username = \"...\""),
        (_, None) => reader.error(password, "the user has no password", "write password = \"...\""),
    }
    None
}

/// Two paths that only make sense together.
pub(super) fn key_pair(reader: &mut Reader<'_>, certificate: &str, key: &str) -> Option<KeyPairPaths> {
    match (reader.path(certificate), reader.path(key)) {
        (Some(certificate), Some(key)) => Some(KeyPairPaths { certificate, key }),
        (None, None) => None,
        (Some(_), None) => {
            reader.error(key, "the certificate is configured, its key is not", "set both or neither");
            None
        }
        (None, Some(_)) => {
            reader.error(certificate, "the key is configured, its certificate is not", "set both or neither");
            None
        }
    }
}

pub(super) fn virtual_hosts(reader: &mut Reader<'_>) -> Option<BTreeMap<String, String>> {
    let count = reader.count("adapter.vhostMapping");
    let mut hosts = BTreeMap::new();
    for index in 0..count {
        let environment_key = format!("adapter.vhostMapping.{index}.environment");
        let host_key = format!("adapter.vhostMapping.{index}.vhost");
        let (environment, host) = (reader.text(&environment_key), reader.text(&host_key));
        match environment.as_deref().map(names::token) {
            Some(Ok(_)) => {}
            Some(Err(what)) => {
                reader.error(&environment_key, &format!("the environment {what}"), "choose another name");
            }
            None => {
                reader.error(&environment_key, "the mapping names no environment", "write environment = \"Default\"");
            }
        }
        let host = match host.as_deref().map(names::virtual_host) {
            Some(Ok(host)) => Some(host),
            Some(Err(what)) => {
                reader.error(&host_key, &format!("the virtual host {what}"), "write a host name");
                None
            }
            None => {
                reader.error(&host_key, "the mapping names no virtual host", "write vhost = \"localhost\"");
                None
            }
        };
        if let (Some(environment), Some(host)) = (environment, host)
            && hosts.insert(environment, host).is_some()
        {
            reader.error(&environment_key, "the environment is mapped twice", "remove one of the mappings");
        }
    }
    (count > 0).then_some(hosts)
}
