//! What leaves the adapter: resources for Envoy, the feed for the filters, test keys for people.
//!
//! Outputs watch the world and never change it, but for the issuers' keys that they fetch. Must never import `inputs`.

pub mod acknowledge;
mod analytics;
pub mod backend_jwt;
mod beside;
mod body;
pub mod feed;
mod filters;
pub mod issuers;
pub mod nodes;
mod public;
mod publish;
pub mod quota;
pub mod settings;
pub mod traffic_manager;
pub mod xds;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use warp::Filter as _;

pub use settings::OutputSettings;

use self::backend_jwt::Minter;
use self::beside::Beside;
use self::feed::{Feed, FeedContext};
use self::issuers::{IssuerError, IssuerSettings, Issuers};
use self::public::PublicContext;
use self::publish::Publisher;
use self::quota::{Embedded, QuotaOwner, Receipts, Redis};
use self::settings::{AccessLog, QuotaOwnerKind, QuotaSettings, TestKeys, WireLog};
use self::traffic_manager::PublisherSettings;
use self::xds::{Blueprint, OwnKeys, XdsContext, XdsError};
use crate::admin::Status;
use crate::delivery::{ModuleError, Modules};
use crate::model::WorldWriter;
use crate::signing::{SigningError, TokenSigner};
use crate::tls::{self, TlsError};

/// Why the outputs cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// An address is taken or not ours.
    #[error("cannot listen on {address} for {what}: {source} (fix: stop what uses it, or configure another port)")]
    Bind {
        /// Which server.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The administrator's pages are for the own machine only.
    #[error("{address} is not a loopback address, so the admin pages cannot be served there (fix: use 127.0.0.1)")]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The filter modules cannot be read.
    #[error(transparent)]
    Modules(#[from] ModuleError),
    /// The resources for Envoy cannot be made.
    #[error(transparent)]
    Xds(#[from] XdsError),
    /// The token services cannot be used.
    #[error(transparent)]
    Issuers(#[from] IssuerError),
    /// The signing key cannot be used.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// Events cannot be written.
    #[error(transparent)]
    Analytics(#[from] analytics::AnalyticsError),
    /// The counters of an earlier run cannot be read.
    #[error(transparent)]
    Quota(#[from] quota::StoreError),
    /// No randomness.
    #[error("the system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// Changes what gateways log of requests.
#[derive(Debug, Clone)]
pub struct LogControl(Arc<Blueprint>);

impl LogControl {
    /// They log in this way from now on.
    pub fn set(&self, access_log: Option<AccessLog>, wire_log: Option<WireLog>) {
        self.0.log(access_log, wire_log);
    }
}

/// The running outputs.
#[derive(Debug)]
pub struct Outputs {
    /// What gateways log of requests.
    pub logs: LogControl,
    /// Where xDS is served.
    pub xds: SocketAddr,
    /// Where the feed is served.
    pub feed: SocketAddr,
    /// Where test keys are served.
    pub public: SocketAddr,
    tasks: TaskTracker,
}

impl Outputs {
    /// Waits until everything has ended after the shutdown.
    pub async fn ended(self) {
        self.tasks.wait().await;
    }
}

/// Starts all outputs until `shutdown`.
///
/// Everything that is stored must be in the writer's world before: what is missing in it is taken away from the gateways.
///
/// # Errors
/// When an address cannot be bound, or a file cannot be used; nothing is left running then.
pub async fn spawn(
    settings: OutputSettings,
    writer: WorldWriter,
    status: Arc<Status>,
    shutdown: CancellationToken,
) -> Result<Outputs, OutputError> {
    let server_tls = tls::server_config(&settings.certificate, &settings.key, Some(&settings.client_ca))?;
    let public_tls = tls::server_config(&settings.certificate, &settings.key, None)?;
    let own_keys = OwnKeys { test_keys: settings.test_keys.is_some(), backend_jwt: settings.backend_jwt.is_some() };
    let blueprint = Arc::new(Blueprint::load(settings.gateway.clone(), &settings.gateway_files, own_keys)?);
    let modules = Arc::new(Modules::beside(&settings.gateway_files.module)?);
    let test_keys = settings.test_keys.clone().map(with_signer).transpose()?;
    let issuers = issuers_of(&settings, test_keys.as_deref(), writer.clone(), Arc::clone(&status))?;
    let owner = quota_owner(settings.quota, &settings.quota_store)?;
    let minter =
        settings.backend_jwt.map(|jwt| Minter::start(jwt, writer.clone(), Arc::clone(&issuers))).transpose()?;
    let (xds, xds_listener) = bind("xDS", settings.listen.xds).await?;
    let (feed_address, feed_listener) = bind("the feed", settings.listen.feed).await?;
    let (public, public_listener) = bind("test keys", settings.listen.public).await?;
    let filters_listener = bind_if("filter modules", settings.listen.filters).await?;
    let mesh_listener = bind_if("the feed of the mesh", settings.listen.mesh_feed).await?;
    // A gateway must not learn that an issuer has no keys only because they were not fetched yet.
    issuers.first_fetch().await;
    let mut key_managers = issuers::Follower::new(Arc::clone(&issuers));
    key_managers.catch_up().await;

    let feed = Arc::new(Feed::default());
    let logs = LogControl(Arc::clone(&blueprint));
    let publisher = Publisher::new(writer.watch(), Arc::clone(&blueprint), Arc::clone(&feed), Arc::clone(&status))?;
    let tasks = TaskTracker::new();
    let events = settings.gateway.analytics.as_ref();
    let events = analytics::service(events, writer.watch(), Arc::clone(&status), &tasks)?;
    let xds_context = XdsContext { blueprint, offers: publisher.offers(), status: Arc::clone(&status) };
    let feed_context = FeedContext {
        feed,
        issuers: Arc::clone(&issuers),
        status: Arc::clone(&status),
        offers: publisher.offers(),
        minter: minter.clone(),
        shutdown: shutdown.clone(),
    };
    let public_context = PublicContext { test_keys, minter: minter.clone(), status: Arc::clone(&status) };

    tasks.spawn(publisher.run(shutdown.clone()));
    if let Some(minter) = minter {
        tasks.spawn(minter.follow(shutdown.clone()));
    }
    tasks.spawn(issuers.keep_fresh(shutdown.clone()));
    tasks.spawn(key_managers.run(shutdown.clone()));
    let service = Beside { service: xds::service(xds_context), beside: events.clone() };
    tasks.spawn(tls::serve(xds_listener, Arc::clone(&server_tls), service, shutdown.clone()));
    let uses = publish_uses(settings.traffic_manager.as_ref(), &status, &tasks, &shutdown)?;
    let counting = quota::routes(Receipts::new(owner)).or(traffic_manager::routes(uses)).unify();
    let service = warp::service(feed::routes(feed_context).or(counting).unify());
    if let Some(listener) = mesh_listener {
        let service = Beside { service: service.clone(), beside: events };
        tasks.spawn(tls::serve_plain(listener, service, shutdown.clone()));
    }
    tasks.spawn(tls::serve(feed_listener, server_tls, service, shutdown.clone()));
    if let Some(listener) = filters_listener {
        let service = warp::service(filters::routes(Arc::clone(&modules)));
        tasks.spawn(tls::serve_plain(listener, service, shutdown.clone()));
    }
    let service = warp::service(public::routes(public_context).or(filters::routes(modules)).unify());
    tasks.spawn(tls::serve(public_listener, public_tls, service, shutdown));
    tasks.close();
    Ok(Outputs { logs, xds, feed: feed_address, public, tasks })
}

fn with_signer(keys: TestKeys) -> Result<Arc<(TestKeys, TokenSigner)>, SigningError> {
    let signer = TokenSigner::load(&keys.signing_key, &keys.certificate)?;
    Ok(Arc::new((keys, signer)))
}

fn quota_owner(settings: QuotaSettings, store: &Path) -> Result<Arc<dyn QuotaOwner>, quota::StoreError> {
    Ok(match settings.owner {
        QuotaOwnerKind::Embedded => Arc::new(Embedded::open(store, settings.zone)?),
        QuotaOwnerKind::Redis(redis) => Arc::new(Redis::new(redis)),
    })
}

fn issuers_of(
    settings: &OutputSettings,
    test_keys: Option<&(TestKeys, TokenSigner)>,
    writer: WorldWriter,
    status: Arc<Status>,
) -> Result<Arc<Issuers>, IssuerError> {
    let issuer_settings = IssuerSettings {
        services: &settings.token_services,
        test_keys: test_keys.map(|(keys, signer)| (keys.issuer.as_str(), signer.jwk())),
        key_trust: &settings.key_trust,
        key_cache: &settings.key_cache,
    };
    Issuers::new(&issuer_settings, writer, status)
}

/// Begins to publish uses, if a Traffic Manager counts them.
fn publish_uses(
    settings: Option<&PublisherSettings>,
    status: &Arc<Status>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<Option<traffic_manager::Publisher>, OutputError> {
    let Some(settings) = settings else { return Ok(None) };
    let (publisher, running) = traffic_manager::Publisher::start(settings, status, shutdown)?;
    running.into_iter().for_each(|task| drop(tasks.spawn(task)));
    Ok(Some(publisher))
}

/// The address with the port the system chose, should it have been 0.
async fn bind(what: &'static str, address: SocketAddr) -> Result<(SocketAddr, TcpListener), OutputError> {
    let failed = |source| OutputError::Bind { what, address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((bound, listener))
}

/// Binds what is switched on.
async fn bind_if(what: &'static str, address: Option<SocketAddr>) -> Result<Option<TcpListener>, OutputError> {
    match address {
        Some(address) => bind(what, address).await.map(|(_, listener)| Some(listener)),
        None => Ok(None),
    }
}
