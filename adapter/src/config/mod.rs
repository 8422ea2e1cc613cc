//! The configuration: config.toml with the keys of Choreo Connect, turned into values that mean something.
//!
//! All mistakes are reported at once, each with its key. Must never log a value: it may be a secret.

mod adapter;
mod analytics;
mod consul;
mod control_plane;
mod deployment;
mod duration;
mod enforcer;
mod global_adapter;
mod jwt_generator;
pub mod keys;
mod lambda;
mod logs;
mod metrics;
mod quota;
mod reader;
mod revocation;
mod router;
mod source_control;
mod throttling;
mod token_services;

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tollgate_model::Settings;

pub use adapter::{KeyPairPaths, Rest};
pub use deployment::Deployment;
pub use enforcer::TestKeyConfig;
pub use jwt_generator::JwtGeneratorConfig;
pub use logs::{LineFormat, LogConfig, LogFile, locate as locate_logs};
pub use metrics::MetricsConfig;
pub use reader::{Effective, Environment, Reader, Source};
pub use throttling::ThrottlingConfig;

use crate::inputs::consul::ConsulSettings;
use crate::inputs::event_hub::EventHubSettings;
use crate::inputs::git::GitSettings;
use crate::inputs::revocation::EtcdSettings;
use crate::model::Problems;
use crate::outputs::settings::{Gateway, Listen, QuotaSettings, TokenService};
use tollgate_project::{CompileOptions, Overrides};

/// Everything that can be configured.
#[derive(Debug, Clone)]
pub struct Config {
    /// The REST API; none when it is switched off.
    pub rest: Option<Rest>,
    /// The adapter's own certificate; a development one when none is configured.
    pub keystore: Option<KeyPairPaths>,
    /// Authorities of gateways' certificates; the development one when none is configured.
    pub truststore: Option<PathBuf>,
    /// The Traffic Manager that counts, if there is one.
    pub throttling: Option<ThrottlingConfig>,
    /// Folder below which `apis` holds projects to deploy at the start.
    pub artifacts: Option<PathBuf>,
    /// The Git repository that projects come from.
    pub git: Option<GitSettings>,
    /// The API Manager that everything is taken from, and nothing from elsewhere.
    pub control_plane: Option<EventHubSettings>,
    /// Where services are looked up that projects name as backends.
    pub consul: Option<ConsulSettings>,
    /// Plans, applications and subscriptions.
    pub subscriptions: Option<PathBuf>,
    /// Where systems leave word of tokens that they revoke.
    pub revocation: Option<EtcdSettings>,
    /// Folder of the store, of development certificates and of fetched keys.
    pub state: PathBuf,
    /// The enforcer module.
    pub module: PathBuf,
    /// Addresses for gateways.
    pub listen: Listen,
    /// Address of the admin pages.
    pub admin: SocketAddr,
    /// Metrics for other machines.
    pub metrics: MetricsConfig,
    /// What holds for every project.
    pub projects: CompileOptions,
    /// What holds for every filter.
    pub settings: Settings,
    /// What gateways are made of.
    pub gateway: Gateway,
    /// The gateways' certificate; a development one when none is configured.
    pub gateway_keystore: Option<KeyPairPaths>,
    /// Issuers whose tokens are accepted.
    pub token_services: Vec<TokenService>,
    /// The issuer of test keys.
    pub test_keys: Option<TestKeyConfig>,
    /// Who owns the counters of rate limits.
    pub quota: QuotaSettings,
    /// How backends are told who calls.
    pub jwt_generator: Option<JwtGeneratorConfig>,
    /// The Ed25519 key of passes for live requests; nobody may have them explained when absent.
    pub explain_key: Option<PathBuf>,
}

impl Config {
    /// Reads a configuration. The problems hold warnings in any case.
    ///
    /// # Errors
    /// All problems, at least one of them an error.
    pub fn read(file: &str, text: &str, environment: &Environment) -> Result<(Self, Problems), Problems> {
        let mut reader = Reader::new(file, text, environment);
        let config = Self::from_reader(&mut reader);
        let problems = reader.finish();
        if problems.has_errors() { Err(problems) } else { Ok((config, problems)) }
    }

    /// Reads everything. What is wrong is among the reader's problems, and then the result means nothing.
    #[must_use]
    pub fn from_reader(reader: &mut Reader<'_>) -> Self {
        reader.refuse_unsupported();
        let settings = enforcer::settings(reader);
        let test_keys = enforcer::test_keys(reader);
        let listen = listen(reader);
        let admin = admin(reader);
        let state = reader.path("tollgate.stateDirectory").unwrap_or_else(|| PathBuf::from("./.tollgate"));
        let control_plane = control_plane::read(reader, &state);
        let managed = control_plane::enabled(reader);
        let jwt_generator = jwt_generator::read(reader);
        let backend_jwt = jwt_generator.as_ref().map(JwtGeneratorConfig::header);
        let truststore = reader.path("adapter.truststore.location");
        let throttling = throttling::read(reader, truststore.as_deref());
        let traffic_manager = throttling.as_ref().map(|throttling| throttling.manager);
        Self {
            rest: adapter::rest(reader),
            keystore: adapter::key_pair(reader, "adapter.keystore.certPath", "adapter.keystore.keyPath"),
            truststore,
            throttling,
            artifacts: reader.path("adapter.artifactsDirectory").filter(|_| !managed),
            subscriptions: reader.path("adapter.subscriptionsFile"),
            revocation: revocation::read(reader),
            git: source_control::read(reader, &state).filter(|_| !managed),
            control_plane,
            consul: consul::read(reader),
            state,
            module: reader.path("tollgate.module").unwrap_or_else(|| PathBuf::from("./enforcer.wasm")),
            listen,
            admin,
            metrics: metrics::read(reader, listen.xds.ip()),
            projects: projects(reader),
            gateway: router::read(reader, &settings),
            jwt_generator,
            gateway_keystore: adapter::key_pair(reader, "router.keystore.certPath", "router.keystore.keyPath"),
            settings: Settings { backend_jwt, traffic_manager, ..settings },
            token_services: token_services::read(reader, test_keys.as_ref()),
            quota: quota::read(reader),
            test_keys,
            explain_key: reader.path(EXPLAIN_KEY),
        }
    }
}

/// Names the file with the key of passes.
pub const EXPLAIN_KEY: &str = "tollgate.explain.keyPath";

/// The text of a configuration file. An absurdly large one is not read.
///
/// # Errors
/// Why it cannot be read.
pub fn read_file(path: &Path) -> Result<String, String> {
    const MAX_BYTES: u64 = 8 * 1024 * 1024;
    let failed = |error: std::io::Error| format!("{} cannot be read ({error})", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    if u64::try_from(text.len()).is_ok_and(|length| length < MAX_BYTES) {
        return Ok(text);
    }
    Err(format!("{} has more than {MAX_BYTES} bytes, and no configuration is that large", path.display()))
}

/// The part of the configuration that decides how projects are read.
#[must_use]
pub fn projects(reader: &mut Reader<'_>) -> CompileOptions {
    let defaults = CompileOptions::default();
    let seconds = reader.number("router.upstream.timeouts.maxRouteTimeoutInSeconds", 1..=86_400);
    let retries = reader.number("router.upstream.retry.maxRetryCount", 0..=255);
    // Zero is reported by who reads it for all clusters.
    let interceptor = reader.number("router.clusterTimeoutInSeconds", 0..=86_400).map(|seconds| seconds.min(300));
    let mut virtual_hosts = adapter::virtual_hosts(reader).unwrap_or(defaults.virtual_hosts);
    // API Manager names virtual hosts itself; gateways of an environment without APIs are served all the same.
    for environment in control_plane::environments(reader) {
        virtual_hosts.entry(environment).or_insert_with(|| "localhost".to_owned());
    }
    CompileOptions {
        virtual_hosts,
        max_timeout_ms: seconds.map_or(defaults.max_timeout_ms, |seconds| seconds.saturating_mul(1000)),
        max_retries: retries.and_then(|count| u8::try_from(count).ok()).unwrap_or(defaults.max_retries),
        retry_status_codes: router::retry_status_codes(reader).unwrap_or(defaults.retry_status_codes),
        organization: control_plane::tenant(reader).unwrap_or(defaults.organization),
        cors: router::cors(reader),
        lambda: lambda::read(reader),
        consul: consul::enabled(reader),
        interceptor_timeout_ms: interceptor
            .map_or(defaults.interceptor_timeout_ms, |seconds| seconds.saturating_mul(1000)),
        overrides: Overrides::among(reader.environment()),
    }
}

/// Where the adapter serves gateways.
fn listen(reader: &mut Reader<'_>) -> Listen {
    let host = host(reader, "tollgate.listen.host", Ipv4Addr::UNSPECIFIED.into());
    let on = |port: u16| SocketAddr::new(host, port);
    Listen {
        xds: on(own_port(reader, "tollgate.listen.xds", 18000)),
        feed: on(own_port(reader, "enforcer.authService.port", 8081)),
        public: on(own_port(reader, "tollgate.listen.public", 9001)),
        filters: reader.port("tollgate.listen.filters").flatten().map(on),
        mesh_feed: reader
            .port("tollgate.listen.meshFeed")
            .flatten()
            .map(|port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)),
    }
}

/// Where the admin pages are.
#[must_use]
pub fn admin(reader: &mut Reader<'_>) -> SocketAddr {
    let port = own_port(reader, "tollgate.listen.admin", 6060);
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// An IP address to bind.
fn host(reader: &mut Reader<'_>, key: &str, default: IpAddr) -> IpAddr {
    let Some(text) = reader.text(key) else { return default };
    match text.parse() {
        Ok(address) => address,
        Err(_) if text == "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Err(_) => {
            reader.error(key, "an IP address is expected here", "write for example 0.0.0.0 or 127.0.0.1");
            default
        }
    }
}

/// A port of the adapter itself, which cannot be switched off.
fn own_port(reader: &mut Reader<'_>, key: &str, default: u16) -> u16 {
    match reader.port(key) {
        None => default,
        Some(Some(port)) => port,
        Some(None) => {
            reader.error(key, "this port cannot be switched off", "write a port, or remove the key");
            default
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
