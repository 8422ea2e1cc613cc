//! What the outputs have to be told: plain values, already checked by whoever read the configuration.
//!
//! Must never read a file or the environment.

mod analytics;
mod downstream;
mod tracing;
mod upstream;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use tollgate_model::{Algorithm, JwkSet};

use super::issuers::KeyTrust;
use super::quota::RedisSettings;
use super::traffic_manager::PublisherSettings;
pub use analytics::Analytics;
pub use downstream::{AccessLog, Codec, Compressible, Compression, DownstreamTls, Gzip, LogFormat, Strategy, WireLog};
pub use tracing::{Tracing, TracingProtocol};
pub use upstream::{Dns, HealthCheck, Http2, OutlierDetection, UpstreamTls};

/// All settings of the outputs.
#[derive(Debug, Clone)]
pub struct OutputSettings {
    /// Addresses of the adapter's own servers.
    pub listen: Listen,
    /// PEM certificate the adapter shows.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// PEM file, or folder of PEM files, of the authorities that issue gateways' certificates.
    pub client_ca: PathBuf,
    /// What every gateway is made of.
    pub gateway: Gateway,
    /// The files that it is given.
    pub gateway_files: GatewayFiles,
    /// Issuers whose tokens are accepted, besides that of the test keys.
    pub token_services: Vec<TokenService>,
    /// Who is believed when keys are fetched over HTTPS.
    pub key_trust: KeyTrust,
    /// Folder that keeps fetched keys, so that a restart while an issuer is down does not lose them.
    pub key_cache: PathBuf,
    /// The issuer of test keys, if there is one.
    pub test_keys: Option<TestKeys>,
    /// How backends are told who calls, if they are.
    pub backend_jwt: Option<BackendJwtSettings>,
    /// Who owns the counters of rate limits.
    pub quota: QuotaSettings,
    /// File of the embedded owner.
    pub quota_store: PathBuf,
    /// Where uses are published, if a Traffic Manager counts them.
    pub traffic_manager: Option<PublisherSettings>,
}

/// Who owns the counters of rate limits.
#[derive(Debug, Clone)]
pub struct QuotaSettings {
    /// Who.
    pub owner: QuotaOwnerKind,
    /// Where days, weeks, months and years begin.
    pub zone: TimeZone,
}

/// The owners there are.
#[derive(Debug, Clone)]
pub enum QuotaOwnerKind {
    /// This adapter; right as long as there is only one.
    Embedded,
    /// Redis, which several adapters share.
    Redis(RedisSettings),
}

/// Tokens that tell backends who calls (`[enforcer.jwtGenerator]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendJwtSettings {
    /// Put before the names of the gateway's own claims; empty, or ends with a slash.
    pub dialect: String,
    /// Whether they are signed.
    pub signed: bool,
    /// Whether their header names the key by `kid`, and not by `x5t`.
    pub use_kid: bool,
    /// How long one is valid.
    pub validity: Duration,
    /// The pair that signs.
    pub signing: SigningPair,
    /// Certificates of further keys to publish.
    pub published: Vec<PathBuf>,
}

/// A private key and the certificate of its public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningPair {
    /// PKCS #8 PEM of an RSA key.
    pub key: PathBuf,
    /// PEM.
    pub certificate: PathBuf,
}

/// So many requests in so much time, for each gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// How many requests.
    pub requests: u32,
    /// In how much time.
    pub window: Duration,
}

impl Default for RateLimit {
    /// That of Choreo Connect for the keys.
    fn default() -> Self {
        Self { requests: 1000, window: Duration::from_secs(10) }
    }
}

/// Addresses of the adapter's own servers.
#[derive(Debug, Clone, Copy)]
pub struct Listen {
    /// xDS (gRPC with client certificates), 18000.
    pub xds: SocketAddr,
    /// Feed of the filters (HTTPS with client certificates), 8081.
    pub feed: SocketAddr,
    /// `/testkey`, `/jwks` and `/filters` (HTTPS), 9001.
    pub public: SocketAddr,
    /// `/filters` alone over plain HTTP; none when switched off.
    pub filters: Option<SocketAddr>,
    /// The feed in plain text for the own sidecar, on loopback; none when switched off.
    pub mesh_feed: Option<SocketAddr>,
}

/// What every gateway is made of, whatever its environment.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Plain HTTP listener; none when switched off.
    pub http: Option<ListenerAddress>,
    /// HTTPS listener; none when switched off.
    pub https: Option<ListenerAddress>,
    /// Virtual host of `/health`, `/ready`, `/testkey` and `/.wellknown/jwks`; may be `*`.
    pub system_host: String,
    /// Whether the connection's address is the client's, rather than what `x-forwarded-for` claims.
    pub use_remote_address: bool,
    /// Protocol of the listeners.
    pub codec: Codec,
    /// TLS towards clients.
    pub downstream_tls: DownstreamTls,
    /// Access log; none when switched off.
    pub access_log: Option<AccessLog>,
    /// Wire log; none when switched off.
    pub wire_log: Option<WireLog>,
    /// Compression; none when switched off.
    pub compression: Option<Compression>,
    /// Whether callers who speak SOAP get SOAP faults from the router too.
    pub soap_faults: bool,
    /// Most bytes a listener buffers for a connection.
    pub connection_buffer_bytes: u32,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// Retries of requests whose API asks for them.
    pub retry: Retry,
    /// TLS towards backends.
    pub upstream_tls: UpstreamTls,
    /// HTTP/2 towards backends.
    pub upstream_http2: Http2,
    /// How names of backends are resolved.
    pub dns: Dns,
    /// Health checks of clusters with several endpoints.
    pub health_check: HealthCheck,
    /// Which endpoints are left alone for a while; none when switched off.
    pub outlier_detection: Option<OutlierDetection>,
    /// Tracing; none when switched off.
    pub tracing: Option<Tracing>,
    /// How often the keys may be asked for that verify tokens of the gateway.
    pub jwks_limit: RateLimit,
    /// Whether clients are told how their limits stand.
    pub limit_headers: bool,
    /// Events about requests; none when switched off.
    pub analytics: Option<Analytics>,
}

/// Files that every gateway is given.
#[derive(Debug, Clone)]
pub struct GatewayFiles {
    /// PEM certificate of the HTTPS listener, also shown to backends that ask for one.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The enforcer module.
    pub module: PathBuf,
}

/// Where a listener of the gateway binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerAddress {
    /// IP address.
    pub host: String,
    /// Port, not 0.
    pub port: u16,
}

/// Timeouts of a gateway; zero means none.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// Whole answer of a backend, unless the API has its own.
    pub route: Duration,
    /// A stream of a route without traffic.
    pub route_idle: Duration,
    /// Connecting to a backend.
    pub connect: Duration,
    /// Receiving the whole request.
    pub request: Duration,
    /// Receiving the request's headers.
    pub request_headers: Duration,
    /// A stream without traffic.
    pub stream_idle: Duration,
    /// A connection without streams.
    pub connection_idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            route: Duration::from_secs(60),
            route_idle: Duration::from_secs(300),
            connect: Duration::from_secs(20),
            request: Duration::ZERO,
            request_headers: Duration::ZERO,
            stream_idle: Duration::from_secs(300),
            connection_idle: Duration::from_secs(3600),
        }
    }
}

/// How requests are retried when the enforcer asks for it by header.
#[derive(Debug, Clone)]
pub struct Retry {
    /// Pause before the first retry.
    pub base_interval: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { base_interval: Duration::from_millis(25) }
    }
}

/// A TLS protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.0.
    V1_0,
    /// TLS 1.1.
    V1_1,
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// One `[[enforcer.security.tokenService]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenService {
    /// Name of the key manager.
    pub name: String,
    /// Exact value of the `iss` claim; empty for a service that signs keys only.
    pub issuer: String,
    /// Where its keys are.
    pub keys: KeySource,
    /// Claim that holds the consumer key.
    pub consumer_key_claim: Option<String>,
    /// Claim that holds the scopes.
    pub scopes_claim: Option<String>,
    /// Algorithms its tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// Values of `aud` of which a token must have one; none means that it is not looked at.
    pub audiences: Vec<String>,
    /// Remote and local name of claims.
    pub claim_mapping: Vec<(String, String)>,
    /// Whether tokens that name a certificate are good only with it.
    pub certificate_bound_tokens: bool,
    /// Whether tokens and keys are good only for APIs that their holder is subscribed to.
    pub validate_subscription: bool,
}

impl TokenService {
    /// A service whose tokens are as Choreo Connect expects them.
    #[must_use]
    pub fn named(name: &str, issuer: &str, keys: KeySource) -> Self {
        Self {
            name: name.to_owned(),
            issuer: issuer.to_owned(),
            keys,
            consumer_key_claim: None,
            scopes_claim: None,
            algorithms: Algorithm::DEFAULT.to_vec(),
            audiences: Vec::new(),
            claim_mapping: Vec::new(),
            certificate_bound_tokens: false,
            validate_subscription: false,
        }
    }
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// PEM file of an X.509 certificate or a public key.
    Certificate(PathBuf),
    /// URLs of JWK sets, at least one; the issuer has the keys of all of them.
    JwkSets(Vec<String>),
    /// A JWK set in the configuration itself.
    Inline(JwkSet),
}

/// The issuer of test keys (`[enforcer.jwtIssuer]`).
#[derive(Debug, Clone)]
pub struct TestKeys {
    /// `iss` of its tokens.
    pub issuer: String,
    /// PKCS #8 PEM of the RSA key that signs.
    pub signing_key: PathBuf,
    /// Certificate of its public key.
    pub certificate: PathBuf,
    /// How long a token is valid.
    pub validity: Duration,
    /// Who may have one.
    pub users: Vec<TestUser>,
}

/// Somebody who may have test keys.
#[derive(Clone)]
pub struct TestUser {
    /// Name.
    pub username: String,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for TestUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestUser").field("username", &self.username).finish_non_exhaustive()
    }
}
