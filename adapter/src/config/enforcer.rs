//! `[enforcer]`: what the filters are told, whose tokens are accepted, and the issuer of test keys.

use std::time::Duration;

use tollgate_model::{Algorithm, Settings};

use super::adapter::{KeyPairPaths, credentials, key_pair};
use super::reader::Reader;
use crate::inputs::project::names;
use crate::outputs::settings::{KeySource, TestUser, TokenService};

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

pub(super) fn settings(reader: &mut Reader<'_>) -> Settings {
    const HEADER: &str = "enforcer.security.authHeader.authorizationHeader";
    let defaults = Settings::default();
    let authorization_header = reader.text(HEADER).and_then(|name| match names::header(&name) {
        Ok(name) => Some(name),
        Err(what) => {
            reader.error(HEADER, &format!("the header name {what}"), "write a header name");
            None
        }
    });
    Settings {
        authorization_header: authorization_header.unwrap_or(defaults.authorization_header),
        forward_authorization: reader.flag("enforcer.security.authHeader.enableOutboundAuthHeader").unwrap_or(false),
        clock_skew_seconds: defaults.clock_skew_seconds,
        soap_faults: super::adapter::soap_faults(reader),
    }
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

pub(super) fn token_services(reader: &mut Reader<'_>, test_keys: Option<&TestKeyConfig>) -> Vec<TokenService> {
    let mut services: Vec<TokenService> = Vec::new();
    for index in 0..reader.count("enforcer.security.tokenService") {
        let prefix = format!("enforcer.security.tokenService.{index}");
        let Some(service) = token_service(reader, &prefix) else { continue };
        if let Some(test) = test_keys.filter(|test| test.issuer == service.issuer) {
            own_issuer(reader, &prefix, &service, test);
            continue;
        }
        let twice = services.iter().any(|other| other.issuer == service.issuer || other.name == service.name);
        if twice {
            reader.error(&prefix, "another token service has the same name or issuer", "remove one of them");
        }
        services.push(service);
    }
    services
}

fn token_service(reader: &mut Reader<'_>, prefix: &str) -> Option<TokenService> {
    let key = |name: &str| format!("{prefix}.{name}");
    if reader.flag(&key("validateSubscription")) == Some(true) {
        let fix = "set it to false, if every token of this issuer may call every API";
        reader.error(&key("validateSubscription"), "subscriptions are not enforced by this release", fix);
    }
    if reader.has(&key("claimMapping")) {
        let count = reader.count(&key("claimMapping"));
        for mapping in 0..count {
            for side in ["remoteClaim", "localClaim"] {
                reader.text(&format!("{prefix}.claimMapping.{mapping}.{side}"));
            }
        }
        reader.warn(&key("claimMapping"), "claims are not mapped by this release", "");
    }
    // The alias names a certificate of a Java trust store, which does not exist here.
    reader.text(&key("certificateAlias"));
    let consumer_key_claim = reader.text(&key("consumerKeyClaim"));
    let scopes_claim = reader.text(&key("scopesClaim"));
    let algorithms = algorithms(reader, &key("algorithms"));
    let name = reader.text(&key("name"));
    let issuer = reader.text(&key("issuer"));
    let keys = match (reader.text(&key("jwksURL")), reader.path(&key("certificateFilePath"))) {
        (Some(url), _) => Some(KeySource::JwkSet(url)),
        (None, Some(file)) => Some(KeySource::Certificate(file)),
        (None, None) => None,
    };
    let (Some(name), Some(issuer), Some(keys)) = (name, issuer, keys) else {
        let fix = "set name, issuer, and certificateFilePath or jwksURL";
        reader.error(prefix, "the token service has no name, no issuer or no keys", fix);
        return None;
    };
    Some(TokenService { name, issuer, keys, consumer_key_claim, scopes_claim, algorithms })
}

/// An empty list is what nobody means: it would refuse every token.
fn algorithms(reader: &mut Reader<'_>, key: &str) -> Vec<Algorithm> {
    let Some(names) = reader.texts(key) else { return Algorithm::DEFAULT.to_vec() };
    let known = Algorithm::ALL.map(Algorithm::name).join(", ");
    let mut algorithms = Vec::new();
    for name in &names {
        match Algorithm::from_name(name) {
            Some(algorithm) => algorithms.push(algorithm),
            None => reader.error(
                key,
                "this is no algorithm that tokens can be verified with",
                &format!("write some of {known}"),
            ),
        }
    }
    if names.is_empty() {
        reader.error(
            key,
            "without an algorithm every token would be refused",
            &format!("write some of {known}, or remove the key"),
        );
    }
    algorithms
}

/// The original lists its own test keys as a token service; here they are accepted by themselves.
fn own_issuer(reader: &mut Reader<'_>, prefix: &str, service: &TokenService, test: &TestKeyConfig) {
    let own = test.signing.as_ref().map(|pair| KeySource::Certificate(pair.certificate.clone()));
    if own.as_ref() == Some(&service.keys) {
        reader.warn(prefix, "test keys are accepted without this token service", "remove it");
    } else {
        reader.error(
            prefix,
            "this token service has the issuer of the test keys, but other keys",
            "remove it, since test keys are accepted without it, or set enforcer.jwtIssuer.enabled to false",
        );
    }
}
