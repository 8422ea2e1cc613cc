//! `[[enforcer.security.tokenService]]`: whose tokens and keys are accepted, and under which conditions.

use tollgate_model::{Algorithm, Issuer};

use super::TestKeyConfig;
use super::reader::Reader;
use crate::outputs::settings::{KeySource, TokenService};

/// Most characters of a key set in the configuration.
const MAX_INLINE: usize = 256 * 1024;
/// Most URLs of an issuer's keys.
const MAX_URLS: usize = 8;
/// Claims that no other may be renamed to: they say whether a token is good.
const FIXED_CLAIMS: [&str; 7] = ["iss", "exp", "nbf", "iat", "jti", "aud", "cnf"];

pub(super) fn read(reader: &mut Reader<'_>, test_keys: Option<&TestKeyConfig>) -> Vec<TokenService> {
    let mut services: Vec<TokenService> = Vec::new();
    for index in 0..reader.count("enforcer.security.tokenService") {
        let prefix = format!("enforcer.security.tokenService.{index}");
        let Some(service) = token_service(reader, &prefix) else { continue };
        if let Some(test) = test_keys.filter(|test| test.issuer == service.issuer) {
            own_issuer(reader, &prefix, &service, test);
            continue;
        }
        let same_issuer = |other: &TokenService| !service.issuer.is_empty() && other.issuer == service.issuer;
        if services.iter().any(|other| same_issuer(other) || other.name == service.name) {
            reader.error(&prefix, "another token service has the same name or issuer", "remove one of them");
        }
        services.push(service);
    }
    services
}

/// Whether the service of that name signs API keys or keys of the test console, which say by themselves whom they are for.
fn signs_keys(name: Option<&str>) -> bool {
    matches!(name, Some(Issuer::API_KEYS | Issuer::PUBLISHER))
}

fn token_service(reader: &mut Reader<'_>, prefix: &str) -> Option<TokenService> {
    let key = |name: &str| format!("{prefix}.{name}");
    let name = reader.text(&key("name"));
    let key_service = signs_keys(name.as_deref());
    let validate_subscription = reader.flag(&key("validateSubscription")) == Some(true);
    // The alias names a certificate of a Java trust store, which does not exist here.
    reader.text(&key("certificateAlias"));
    let issuer = reader.text(&key("issuer")).or_else(|| key_service.then(String::new));
    let keys = key_source(reader, prefix);
    let consumer_key_claim = reader.text(&key("consumerKeyClaim"));
    let scopes_claim = reader.text(&key("scopesClaim"));
    let algorithms = algorithms(reader, &key("algorithms"));
    let audiences = audiences(reader, &key("audience"));
    let claim_mapping = claim_mapping(reader, &key("claimMapping"));
    let certificate_bound_tokens = reader.flag(&key("certificateBoundTokens")).unwrap_or(false);
    let (Some(name), Some(issuer), Some(keys)) = (name, issuer, keys) else {
        let fix = "set name, issuer, and certificateFilePath, jwksURL, jwksURLs or jwks";
        reader.error(prefix, "the token service has no name, no issuer or no keys", fix);
        return None;
    };
    Some(TokenService {
        consumer_key_claim,
        scopes_claim,
        algorithms,
        audiences,
        claim_mapping,
        certificate_bound_tokens,
        validate_subscription,
        ..TokenService::named(&name, &issuer, keys)
    })
}

fn key_source(reader: &mut Reader<'_>, prefix: &str) -> Option<KeySource> {
    let inline = format!("{prefix}.jwks");
    let urls = urls(reader, prefix).map(KeySource::JwkSets);
    let file = reader.path(&format!("{prefix}.certificateFilePath")).map(KeySource::Certificate);
    let text = reader.text(&inline);
    if text.is_some() && (urls.is_some() || file.is_some()) {
        reader.error(&inline, "there is also a jwksURL or a certificateFilePath", "keep one of them");
    }
    let set = text.and_then(|text| {
        let set = Some(&text).filter(|text| text.len() <= MAX_INLINE).and_then(|text| serde_json::from_str(text).ok());
        if set.is_none() {
            reader.error(&inline, "this is no JWK set", "write {\"keys\": [...]} as a text of at most 256 KiB");
        }
        set.map(KeySource::Inline)
    });
    urls.or(file).or(set)
}

/// `jwksURL`, and then those of `jwksURLs`.
fn urls(reader: &mut Reader<'_>, prefix: &str) -> Option<Vec<String>> {
    let (one, several) = (reader.text(&format!("{prefix}.jwksURL")), format!("{prefix}.jwksURLs"));
    let more = reader.texts(&several);
    if more.as_ref().is_some_and(|urls| urls.is_empty() || urls.len() > MAX_URLS) {
        reader.error(
            &several,
            "there is no URL here, or too many",
            &format!("name 1 to {MAX_URLS}, or remove the key"),
        );
    }
    let mut urls: Vec<String> = Vec::new();
    for url in one.into_iter().chain(more.unwrap_or_default()) {
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    (!urls.is_empty()).then_some(urls)
}

fn audiences(reader: &mut Reader<'_>, key: &str) -> Vec<String> {
    let audiences = reader.texts(key);
    if audiences.as_ref().is_some_and(Vec::is_empty) {
        reader.error(key, "without an audience every token would be refused", "name some, or remove the key");
    }
    audiences.unwrap_or_default()
}

fn claim_mapping(reader: &mut Reader<'_>, key: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for index in 0..reader.count(key) {
        let prefix = format!("{key}.{index}");
        let remote = reader.text(&format!("{prefix}.remoteClaim"));
        let local = reader.text(&format!("{prefix}.localClaim"));
        match (remote, local) {
            (_, Some(local)) if FIXED_CLAIMS.contains(&local.as_str()) => {
                let what = "the claim says whether a token is good, and no other can take its place";
                reader.error(&prefix, what, "choose another localClaim");
            }
            (Some(remote), Some(local)) => pairs.push((remote, local)),
            _ => reader.error(&prefix, "the mapping has no remoteClaim or no localClaim", "set both"),
        }
    }
    pairs
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
