//! `[enforcer]`: what the filters are told, and the issuer of test keys.

use std::collections::BTreeMap;
use std::time::Duration;

use tollgate_model::{CertificateSource, Settings};

use super::adapter::{KeyPairPaths, credentials, key_pair};
use super::reader::Reader;
use crate::outputs::settings::TestUser;
use tollgate_project::names;

/// The issuer of test keys.
#[derive(Debug, Clone)]
pub struct TestKeyConfig {
    /// `iss` of its tokens.
    pub issuer: String,
    /// The signing key and its certificate; development ones when none are configured.
    pub signing: Option<KeyPairPaths>,
    /// How long a token is valid.
    pub validity: Duration,
    /// Who may have one; nobody when empty.
    pub users: Vec<TestUser>,
}

const CLOCK_SKEW: &str = "tollgate.clockSkewInSeconds";

pub(super) fn settings(reader: &mut Reader<'_>) -> Settings {
    let defaults = Settings::default();
    let authorization_header = header(reader, "enforcer.security.authHeader.authorizationHeader");
    let internal_key_header = header(reader, "enforcer.security.authHeader.testConsoleHeaderName");
    // They are made of records.
    let events = super::analytics::enabled(reader);
    Settings {
        authorization_header: authorization_header.unwrap_or(defaults.authorization_header),
        internal_key_header: internal_key_header.unwrap_or(defaults.internal_key_header),
        client_certificate: client_certificate(reader),
        direct_clients: reader.flag("router.useRemoteAddress").unwrap_or(false),
        forward_authorization: reader.flag("enforcer.security.authHeader.enableOutboundAuthHeader").unwrap_or(false),
        clock_skew_seconds: reader.number(CLOCK_SKEW, 0..=600).unwrap_or(defaults.clock_skew_seconds),
        soap_faults: super::adapter::soap_faults(reader),
        gateways: reader.number("tollgate.quota.gateways", 1..=10_000).unwrap_or(defaults.gateways),
        limit_headers: reader.flag("tollgate.quota.headers").unwrap_or(defaults.limit_headers),
        traffic_manager: None,
        backend_jwt: None,
        aliases: aliases(reader),
        explain: None,
        usage_records: events || reader.flag("tollgate.usageRecords.enable").unwrap_or(false),
    }
}

/// `[[tollgate.virtualHosts]]`: further names, each of one virtual host.
fn aliases(reader: &mut Reader<'_>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for index in 0..reader.count("tollgate.virtualHosts") {
        let (host_key, aliases_key) =
            (format!("tollgate.virtualHosts.{index}.host"), format!("tollgate.virtualHosts.{index}.aliases"));
        let host = reader.text(&host_key).map(|host| names::virtual_host(&host));
        let Some(Ok(host)) = host else {
            reader.error(&host_key, "this is no virtual host", "write the name that APIs are deployed under");
            continue;
        };
        let aliases = reader.texts(&aliases_key).unwrap_or_default();
        if aliases.is_empty() {
            reader.error(&aliases_key, "the virtual host has no further names", "write some, or remove the entry");
        }
        for alias in aliases {
            let checked = match names::virtual_host(&alias) {
                Ok(name) if name.contains('*') => Err("is a wildcard"),
                Ok(name) if name == host => Err("is the name that the virtual host has anyway"),
                Ok(name) if found.contains_key(&name) => Err("is listed twice"),
                other => other,
            };
            match checked {
                Ok(name) => {
                    found.insert(name, host.clone());
                }
                Err(what) => reader.error(&aliases_key, &format!("{alias} {what}"), "write host names without ports"),
            }
        }
    }
    found
}

pub(super) fn header(reader: &mut Reader<'_>, key: &str) -> Option<String> {
    let name = reader.text(key)?;
    let checked = names::header(&name);
    if let Err(what) = checked {
        reader.error(key, &format!("the header name {what}"), "write a header name");
    }
    checked.ok()
}

fn client_certificate(reader: &mut Reader<'_>) -> CertificateSource {
    const FORWARD: &str = "enforcer.security.mutualSSL.enableOutboundCertificateHeader";
    let name = header(reader, "enforcer.security.mutualSSL.certificateHeader");
    let from_header = reader.flag("enforcer.security.mutualSSL.enableClientValidation") == Some(false);
    let encoded = reader.flag("enforcer.security.mutualSSL.clientCertificateEncode").unwrap_or(false);
    let forward = reader.flag(FORWARD).unwrap_or(false);
    if forward && !from_header {
        reader.error(
            FORWARD,
            "backends cannot be told of a certificate that no header tells the gateway",
            "switch it off, or set enableClientValidation to false if a proxy in front of the gateway writes the header",
        );
    }
    let header = name.unwrap_or_else(|| CertificateSource::default().header);
    CertificateSource { header, from_header, encoded, forward }
}

pub(super) fn test_keys(reader: &mut Reader<'_>) -> Option<TestKeyConfig> {
    let enabled = reader.flag("enforcer.jwtIssuer.enabled").unwrap_or(true);
    let issuer =
        reader.text("enforcer.jwtIssuer.issuer").unwrap_or_else(|| "https://localhost:9095/testkey".to_owned());
    let seconds = reader.number("enforcer.jwtIssuer.validityPeriod", 1..=31_536_000).unwrap_or(3600);
    if reader.text("enforcer.jwtIssuer.signingAlgorithm").is_some_and(|name| name != "SHA256withRSA") {
        reader.error("enforcer.jwtIssuer.signingAlgorithm", "only SHA256withRSA can be used", "remove the key");
    }
    let signing = key_pair(reader, "enforcer.jwtIssuer.publicCertificatePath", "enforcer.jwtIssuer.privateKeyPath");
    let users = test_users(reader, enabled);
    enabled.then_some(TestKeyConfig { issuer, signing, validity: Duration::from_secs(seconds.into()), users })
}

fn test_users(reader: &mut Reader<'_>, enabled: bool) -> Vec<TestUser> {
    let count = reader.count("enforcer.jwtIssuer.jwtUser");
    let mut users = Vec::new();
    for index in 0..count {
        let key = |name: &str| format!("enforcer.jwtIssuer.jwtUser.{index}.{name}");
        if let Some((username, password)) = credentials(reader, &key("username"), &key("password")) {
            users.push(TestUser { username, password });
        }
    }
    if count > 0 || !enabled {
        return users;
    }
    match reader.variable("enforcer_admin_pwd") {
        Some(password) => users.push(TestUser { username: "admin".to_owned(), password }),
        None => reader.warn(
            "enforcer.jwtIssuer.jwtUser",
            "nobody can get test keys, because enforcer_admin_pwd, the password of the default user admin, is not set",
            "set the environment variable enforcer_admin_pwd, add [[enforcer.jwtIssuer.jwtUser]], or set enforcer.jwtIssuer.enabled to false",
        ),
    }
    users
}
