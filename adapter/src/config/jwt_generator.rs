//! `[enforcer.jwtGenerator]`: the tokens that tell backends who calls.

use std::path::PathBuf;
use std::time::Duration;

use tollgate_model::BackendJwtHeader;

use super::adapter::KeyPairPaths;
use super::enforcer::header;
use super::reader::Reader;
use crate::outputs::settings::RateLimit;

const SECTION: &str = "enforcer.jwtGenerator";
/// What backends are told, and with which keys.
#[derive(Debug, Clone)]
pub struct JwtGeneratorConfig {
    /// Header that carries the token. Lower case.
    pub header: String,
    /// Put before the names of the gateway's own claims; empty, or ends with a slash.
    pub dialect: String,
    /// Whether tokens are signed.
    pub signed: bool,
    /// Whether their header names the key by `kid`, and not by `x5t`.
    pub use_kid: bool,
    /// How long one is valid.
    pub validity: Duration,
    /// The pair that signs; the development one when none is configured.
    pub signing: Option<KeyPairPaths>,
    /// Certificates of further keys to publish.
    pub published: Vec<PathBuf>,
}

impl JwtGeneratorConfig {
    /// What the filters are told before the keys are known.
    pub(super) fn header(&self) -> BackendJwtHeader {
        BackendJwtHeader { header: self.header.clone(), revision: String::new() }
    }
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<JwtGeneratorConfig> {
    let key = |name: &str| format!("{SECTION}.{name}");
    let enabled = reader.flag(&key("enabled")).unwrap_or(false);
    let header = header(reader, &key("header")).unwrap_or_else(|| "x-jwt-assertion".to_owned());
    let dialect = reader.text(&key("claimDialect")).unwrap_or_else(|| "http://wso2.org/claims".to_owned());
    let use_kid = reader.flag(&key("useKidProperty")).unwrap_or(true);
    let seconds = reader.number(&key("tokenTTL"), 1..=31_536_000).unwrap_or(3600);
    let signed = algorithm(reader, &key("signingAlgorithm"));
    without_effect(reader);
    let (signing, published) = key_pairs(reader, &key("keypair"));
    let trimmed = dialect.trim_end_matches('/');
    enabled.then(|| JwtGeneratorConfig {
        header,
        dialect: if trimmed.is_empty() { String::new() } else { format!("{trimmed}/") },
        signed,
        use_kid,
        validity: Duration::from_secs(seconds.into()),
        signing,
        published,
    })
}

/// How often the keys may be asked for.
pub(super) fn rate_limit(reader: &mut Reader<'_>) -> RateLimit {
    let defaults = RateLimit::default();
    let requests = reader.number(&format!("{SECTION}.jwksRatelimitQuota"), 1..=u32::MAX);
    let seconds = reader.number(&format!("{SECTION}.jwksRatelimitTimeWindowInSeconds"), 1..=86_400);
    RateLimit {
        requests: requests.unwrap_or(defaults.requests),
        window: seconds.map_or(defaults.window, |seconds| Duration::from_secs(seconds.into())),
    }
}

fn algorithm(reader: &mut Reader<'_>, key: &str) -> bool {
    match reader.text(key).as_deref() {
        None | Some("SHA256withRSA") => true,
        Some("NONE") => {
            let fix = "see that nobody but the gateway reaches the backends, or remove the key";
            reader.warn(key, "without a signature a backend cannot tell who has written the token", fix);
            false
        }
        Some(_) => {
            reader.error(key, "tokens cannot be signed with that algorithm", "write SHA256withRSA or NONE");
            true
        }
    }
}

/// Keys that do nothing in the original either.
fn without_effect(reader: &mut Reader<'_>) {
    let encoding = format!("{SECTION}.encoding");
    if reader.text(&encoding).is_some_and(|name| !["base64", "base64url"].contains(&name.as_str())) {
        reader.error(&encoding, "there is no such encoding", "write base64 or base64url, or remove the key");
    }
    reader.text(&format!("{SECTION}.claimsExtractorImpl"));
}

/// The pair that signs, and the certificates of the others.
fn key_pairs(reader: &mut Reader<'_>, list: &str) -> (Option<KeyPairPaths>, Vec<PathBuf>) {
    let (mut signing, mut published) = (Vec::new(), Vec::new());
    let count = reader.count(list);
    for index in 0..count {
        let key = |name: &str| format!("{list}.{index}.{name}");
        let certificate = reader.path(&key("publicCertificatePath"));
        let private_key = reader.path(&key("privateKeyPath"));
        let signs = reader.flag(&key("useForSigning")).unwrap_or(false);
        match (certificate, private_key) {
            (Some(certificate), Some(key)) if signs => signing.push(KeyPairPaths { certificate, key }),
            (Some(certificate), _) if !signs => published.push(certificate),
            _ => {
                let what = "the key pair is not complete";
                let fix = "set publicCertificatePath, and for the pair that signs privateKeyPath too";
                reader.error(&format!("{list}.{index}"), what, fix);
                return (None, Vec::new());
            }
        }
    }
    if count > 0 && signing.len() != 1 {
        let what = "exactly one key pair must sign the tokens for backends (BLOCKER)";
        reader.error(list, what, "set useForSigning to true for one pair, and to false for all others");
    }
    (signing.pop(), published)
}
