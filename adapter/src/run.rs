//! Wires inputs, model and outputs, and runs them until the process is told to stop. The only place that knows all parts.
//!
//! Order: certificates, store, admin pages, stored deployments or API Manager, the artifacts directory, the Git repository, outputs,
//! REST API, ready. What gateways are told first is therefore complete.

pub mod at_rest;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tollgate_model::Settings;

use crate::admin::{self, Machine, Status};
use crate::certs::{self, CertError, DevelopmentCertificates};
use crate::config::{Config, JwtGeneratorConfig, KeyPairPaths, Rest, TestKeyConfig};
use crate::explain::pass::{self, PassKeyError};
use crate::inputs::apictl::{Authenticator, KeyError, RestApi};
use crate::inputs::catalog::{Catalog, DeployError, Store, StoreError};
use crate::inputs::consul::{Consul, ConsulError};
use crate::inputs::decisions::DecisionListener;
use crate::inputs::event_hub::{EventHub, EventHubError};
use crate::inputs::folder::{Folder, FolderError};
use crate::inputs::git::{Git, GitError};
use crate::inputs::global_adapter::Identity;
use crate::inputs::revocation::{self, Revocation, RevocationError};
use crate::inputs::subscriptions::SubscriptionsFile;
use crate::logging::LogReload;
use crate::model::{ControlPlaneReport, Problems, Refusals, SourceReport, World, WorldWriter};
use crate::outputs::acknowledge::Acknowledgements;
use crate::outputs::issuers::KeyTrust;
use crate::outputs::settings::{BackendJwtSettings, GatewayFiles, SigningPair, TestKeys};
use crate::outputs::{self, OutputError, OutputSettings};
use crate::tls::{self, TlsError, Trust};

/// Why the adapter does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No development certificates.
    #[error(transparent)]
    Certificates(#[from] CertError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored deployments cannot be read.
    #[error(transparent)]
    Load(#[from] DeployError),
    /// The artifacts directory cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The Git repository cannot be used.
    #[error("the Git repository cannot be used: {0}")]
    Git(#[from] GitError),
    /// A project cannot be read.
    #[error("{}", list(.0))]
    Project(Problems),
    /// The subscriptions file cannot be used.
    #[error("{}", list(.0))]
    Subscriptions(Problems),
    /// The revoked tokens cannot be read.
    #[error(transparent)]
    Revocation(#[from] RevocationError),
    /// API Manager cannot be followed.
    #[error(transparent)]
    ControlPlane(#[from] EventHubError),
    /// Consul cannot be asked.
    #[error("Consul cannot be asked: {0}")]
    Consul(#[from] ConsulError),
    /// An output cannot start.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The key of passes cannot be used.
    #[error(transparent)]
    PassKey(#[from] PassKeyError),
    /// The REST API's certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The REST API's signing key cannot be read.
    #[error("{} cannot be read ({source}); correct adapter.server.tokenPrivateKeyPath, or remove it", path.display())]
    TokenKeyFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The REST API's signing key cannot be used.
    #[error(transparent)]
    TokenKey(#[from] KeyError),
    /// A background task failed.
    #[error("the adapter failed while starting ({0})")]
    Task(#[from] tokio::task::JoinError),
    /// Signals cannot be received.
    #[error("the adapter cannot be told to stop ({0})")]
    Signal(std::io::Error),
}

/// Runs the adapter until SIGINT or SIGTERM.
///
/// # Errors
/// Why it could not start.
pub async fn serve(config: Config, logs: Option<LogReload>) -> Result<(), RunError> {
    let mut stop = Signals::listen().map_err(RunError::Signal)?;
    let shutdown = CancellationToken::new();
    // A start may have to wait long, for a Git repository that cannot be reached for example.
    let running = tokio::select! {
        running = start(config, logs, shutdown.clone()) => running,
        () = stop.received() => {
            tracing::info!("stopping before the start is complete");
            shutdown.cancel();
            return Ok(());
        }
    };
    let running = match running {
        Ok(running) => running,
        Err(error) => {
            shutdown.cancel();
            return Err(error);
        }
    };
    stop.received().await;
    tracing::info!("stopping");
    shutdown.cancel();
    running.ended().await;
    Ok(())
}

/// All that runs.
struct Running {
    outputs: outputs::Outputs,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    async fn ended(self) {
        self.outputs.ended().await;
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a server ended badly");
            }
        }
    }
}

async fn start(config: Config, logs: Option<LogReload>, shutdown: CancellationToken) -> Result<Running, RunError> {
    let status = Status::new();
    let refusals: Arc<dyn Refusals> = Arc::new(StatusRefusals(Arc::clone(&status)));
    let certificates = config.state.join("certificates");
    let development = tokio::task::spawn_blocking(move || certs::ensure(&certificates)).await??;
    let state = config.state.clone();
    let store = tokio::task::spawn_blocking(move || Store::open(&state)).await??;
    let world = WorldWriter::new(first_world(&config)?);
    status.show_world(world.watch());
    let catalog = Catalog::new(store, config.projects.clone(), world.clone(), Arc::clone(&refusals));
    // Up first: a start may have to wait for others, and these pages say for whom.
    let machine = Arc::new(Machine::new(config.metrics.interval));
    let (admin, admin_task) =
        admin::spawn(config.admin, Arc::clone(&status), Arc::clone(&machine), shutdown.clone()).await?;
    let mut tasks = vec![admin_task];
    match &config.control_plane {
        // What was deployed over the REST API waits until API Manager is switched off again.
        Some(settings) => {
            let hosts = config.projects.virtual_hosts.clone();
            let refusals = Arc::clone(&refusals);
            let hub = EventHub::open(settings.clone(), Arc::clone(&catalog), world.clone(), refusals, hosts).await?;
            let gateways = Arc::new(Acknowledgements::new(Arc::clone(&status)));
            let (task, mut complete) = hub.follow(gateways, &identity(&config, &development), shutdown.clone())?;
            tasks.push(task);
            // What gateways are told first is complete.
            let _ = complete.wait_for(|complete| *complete).await;
        }
        None => {
            let served = catalog.load().await?;
            tracing::info!(served, "stored deployments read");
        }
    }
    let sources = Sources::open(&config, &catalog, &world, &refusals, &shutdown).await?;
    // Bound before anything is served, so that a busy port stops the adapter before gateways rely on it.
    let rest = match &config.rest {
        Some(rest) => Some(bind_rest(rest, &config, &development, Arc::clone(&catalog), Arc::clone(&status)).await?),
        None => None,
    };
    let settings = output_settings(&config, &development);
    let outputs = outputs::spawn(settings, world, Arc::clone(&status), shutdown.clone()).await?;
    let control = outputs.logs.clone();
    if let Some(address) = config.metrics.address {
        tasks.push(admin::spawn_metrics(address, Arc::clone(&status), machine, shutdown.clone()).await?);
    }
    let address = rest.as_ref().map(|rest| rest.address.to_string()).unwrap_or_else(|| "off".to_owned());
    tasks.extend(rest.map(|rest| rest.spawn(shutdown.clone())));
    if let Some(logs) = logs {
        let apply = move |access_log, wire_log| control.set(access_log, wire_log);
        tasks.push(tokio::spawn(logs.follow(apply, refusals, shutdown.clone())));
    }
    tasks.extend(sources.follow(shutdown));
    status.set_ready();
    tracing::info!(rest = %address, xds = %outputs.xds, feed = %outputs.feed, public = %outputs.public, %admin, "ready");
    Ok(Running { outputs, tasks })
}

/// What there is before any project.
fn first_world(config: &Config) -> Result<World, RunError> {
    let explain = config.explain_key.as_deref().map(pass::public_key).transpose()?;
    let settings = Settings { explain, ..config.settings.clone() };
    Ok(World { settings, environments: config.projects.virtual_hosts.clone(), ..World::default() })
}

/// Where projects and subscribers come from beside the REST API. They are read before gateways are told anything.
struct Sources {
    folder: Option<Folder>,
    git: Option<Git>,
    subscriptions: Option<SubscriptionsFile>,
    revocation: Option<Revocation>,
    consul: Option<Consul>,
    decisions: Option<DecisionListener>,
    world: WorldWriter,
}

impl Sources {
    async fn open(
        config: &Config,
        catalog: &Arc<Catalog>,
        world: &WorldWriter,
        refusals: &Arc<dyn Refusals>,
        shutdown: &CancellationToken,
    ) -> Result<Self, RunError> {
        let world = world.clone();
        let mut sources = Self {
            folder: None,
            git: None,
            subscriptions: None,
            revocation: None,
            consul: None,
            decisions: None,
            world,
        };
        // Before the APIs: one that is served must know its subscribers.
        if let Some(path) = &config.subscriptions {
            let file = SubscriptionsFile::open(path.clone(), sources.world.clone(), Arc::clone(refusals)).await;
            sources.subscriptions = Some(file.map_err(RunError::Subscriptions)?);
        }
        if let Some(settings) = &config.revocation {
            sources.revocation = Some(Revocation::open(settings, sources.world.clone()).await?);
        }
        if let Some(artifacts) = &config.artifacts {
            let (folder, outcome) = Folder::open(artifacts, Arc::clone(catalog), Arc::clone(refusals)).await?;
            tracing::info!(served = outcome.served, refused = outcome.refused, "artifacts directory read");
            sources.folder = Some(folder);
        }
        if let Some(git) = &config.git {
            sources.git = Some(Git::open(git.clone(), Arc::clone(catalog), Arc::clone(refusals)).await?);
        }
        if let Some(throttling) = &config.throttling {
            let (manager, world) = (throttling.manager, sources.world.clone());
            let listener = DecisionListener::open(&throttling.broker, manager, world, shutdown.clone())?;
            sources.decisions = Some(listener);
        }
        // After the projects, which say what to ask for.
        if let Some(settings) = &config.consul {
            let consul = Consul::open(settings, sources.world.clone(), Arc::clone(refusals)).await?;
            sources.consul = Some(consul);
        }
        Ok(sources)
    }

    fn follow(self, shutdown: CancellationToken) -> impl Iterator<Item = JoinHandle<()>> {
        let folder = self.folder.map(|folder| tokio::spawn(folder.run(shutdown.clone())));
        let git = self.git.map(|git| tokio::spawn(git.run(shutdown.clone())));
        let subscriptions = self.subscriptions.map(|file| tokio::spawn(file.run(shutdown.clone())));
        let revocation = self.revocation.map(|revocation| tokio::spawn(revocation.run(shutdown.clone())));
        let consul = self.consul.map(|consul| tokio::spawn(consul.run(shutdown.clone())));
        let decisions = self.decisions.map(|decisions| tokio::spawn(decisions.run(shutdown.clone())));
        let purge = tokio::spawn(revocation::purge_expired(self.world, shutdown));
        folder
            .into_iter()
            .chain(git)
            .chain(subscriptions)
            .chain(revocation)
            .chain(consul)
            .chain(decisions)
            .chain([purge])
    }
}

fn list(problems: &Problems) -> String {
    problems.errors().map(ToString::to_string).collect::<Vec<_>>().join("\nerror: ")
}

/// The REST API, bound and not served yet.
struct BoundRest {
    address: SocketAddr,
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    api: RestApi,
}

impl BoundRest {
    fn spawn(self, shutdown: CancellationToken) -> JoinHandle<()> {
        let service = warp::service(self.api.routes());
        tokio::spawn(tls::serve(self.listener, self.tls, service, shutdown))
    }
}

async fn bind_rest(
    rest: &Rest,
    config: &Config,
    development: &DevelopmentCertificates,
    catalog: Arc<Catalog>,
    status: Arc<Status>,
) -> Result<BoundRest, RunError> {
    let (certificate, key) = adapter_pair(config, development);
    let tls = tls::server_config(&certificate, &key, None)?;
    let path = rest.token_key.clone().unwrap_or_else(|| development.token_signing.key.clone());
    let pem = tokio::fs::read_to_string(&path).await.map_err(|source| RunError::TokenKeyFile { path, source })?;
    let auth = Authenticator::new(rest.users.clone(), &pem, rest.token_validity.as_secs())?;
    let failed = |source| OutputError::Bind { what: "the REST API", address: rest.address, source };
    let listener = TcpListener::bind(rest.address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let gateways = Arc::new(Acknowledgements::new(status));
    let managed = config.control_plane.is_some();
    Ok(BoundRest {
        address,
        listener,
        tls,
        api: RestApi::new(catalog, auth, gateways, rest.deploy_timeout).managed(managed),
    })
}

/// As whom the adapter asks others that know it.
fn identity(config: &Config, development: &DevelopmentCertificates) -> Identity {
    let (certificate, key) = adapter_pair(config, development);
    Identity { certificate, key, authorities: config.truststore.clone().unwrap_or_else(|| development.ca.clone()) }
}

fn adapter_pair(config: &Config, development: &DevelopmentCertificates) -> (PathBuf, PathBuf) {
    pair(config.keystore.as_ref(), &development.adapter.certificate, &development.adapter.key)
}

fn pair(configured: Option<&KeyPairPaths>, certificate: &Path, key: &Path) -> (PathBuf, PathBuf) {
    match configured {
        Some(pair) => (pair.certificate.clone(), pair.key.clone()),
        None => (certificate.to_path_buf(), key.to_path_buf()),
    }
}

fn output_settings(config: &Config, development: &DevelopmentCertificates) -> OutputSettings {
    let (certificate, key) = adapter_pair(config, development);
    let (router_certificate, router_key) =
        pair(config.gateway_keystore.as_ref(), &development.router.certificate, &development.router.key);
    OutputSettings {
        listen: config.listen,
        certificate,
        key,
        client_ca: config.truststore.clone().unwrap_or_else(|| development.ca.clone()),
        gateway: config.gateway.clone(),
        gateway_files: GatewayFiles { certificate: router_certificate, key: router_key, module: config.module.clone() },
        token_services: config.token_services.clone(),
        key_trust: key_trust(config),
        key_cache: config.state.join("keys"),
        quota: config.quota.clone(),
        quota_store: config.state.join("quota.redb"),
        traffic_manager: config.throttling.as_ref().map(|throttling| throttling.publisher.clone()),
        test_keys: config.test_keys.as_ref().map(|keys| test_keys(keys, development)),
        backend_jwt: config.jwt_generator.as_ref().map(|generator| backend_jwt(generator, development)),
    }
}

fn key_trust(config: &Config) -> KeyTrust {
    let believed = config.control_plane.as_ref().filter(|plane| plane.trust == Trust::Anybody);
    KeyTrust { authorities: config.truststore.clone(), api_manager: believed.map(|plane| plane.url.clone()) }
}

fn test_keys(config: &TestKeyConfig, development: &DevelopmentCertificates) -> TestKeys {
    let signing = &development.token_signing;
    let (certificate, signing_key) = pair(config.signing.as_ref(), &signing.certificate, &signing.key);
    TestKeys {
        issuer: config.issuer.clone(),
        signing_key,
        certificate,
        validity: config.validity,
        users: config.users.clone(),
    }
}

fn backend_jwt(config: &JwtGeneratorConfig, development: &DevelopmentCertificates) -> BackendJwtSettings {
    let own = &development.token_signing;
    let (certificate, key) = pair(config.signing.as_ref(), &own.certificate, &own.key);
    BackendJwtSettings {
        dialect: config.dialect.clone(),
        signed: config.signed,
        use_kid: config.use_kid,
        validity: config.validity,
        signing: SigningPair { key, certificate },
        published: config.published.clone(),
    }
}

/// Inputs report to a trait, so that they know nothing of the status page.
struct StatusRefusals(Arc<Status>);

impl Refusals for StatusRefusals {
    fn refuse(&self, origin: &str, problems: &Problems) {
        self.0.refuse(origin, problems);
    }

    fn accept(&self, origin: &str) {
        self.0.accept(origin);
    }

    fn source(&self, name: &str, report: SourceReport) {
        self.0.source(name, report);
    }

    fn control_plane(&self, report: &ControlPlaneReport) {
        self.0.control_plane(report);
    }
}

/// Listens from the start, so that a signal during the start is not lost.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
