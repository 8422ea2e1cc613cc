//! Begins with the last good state, if there is one.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::acknowledge::Acknowledger;
use super::apis::Apis;
use super::events::{Ears, TOPICS};
use super::fact::Resource;
use super::hub::{ARTIFACTS, Hub};
use super::mirror::{Applied, Mirror};
use super::pull::{Puller, judge_all};
use super::rest::{RestClient, RestError};
use super::schedule::Source;
use super::settings::EventHubSettings;
use super::share::Share;
use super::store::{Owner, State, Store, StoreError};
use crate::broker::{self, News};
use crate::inputs::catalog::Catalog;
use crate::inputs::global_adapter::{self, Identity};
use crate::model::{ControlPlaneReport, Gateways, Refusals, WorldWriter};
use crate::tls::TlsError;

/// Why API Manager cannot be followed at all.
#[derive(Debug, thiserror::Error)]
pub enum EventHubError {
    /// The last good state cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no client.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// The certificates to trust cannot be read.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The adapter itself failed.
    #[error("the adapter failed while starting ({0})")]
    Task(#[from] JoinError),
}

/// API Manager as a source. It serves the last good state, and does not ask yet.
pub struct EventHub {
    hub: Hub,
    client: RestClient,
    ready: watch::Receiver<bool>,
}

impl EventHub {
    /// Brings the last good state into the world.
    ///
    /// # Errors
    /// When it cannot be opened, or certificates cannot be read.
    pub async fn open(
        settings: EventHubSettings,
        catalog: Arc<Catalog>,
        world: WorldWriter,
        reports: Arc<dyn Refusals>,
        hosts: BTreeMap<String, String>,
    ) -> Result<Self, EventHubError> {
        let client = RestClient::new(&settings)?;
        let shared = settings.global_adapter.as_ref();
        let share = shared.map(|global| global.label.as_str());
        let owner = Owner::new(settings.url.as_str(), &settings.tenant, &settings.environments, share);
        let path = settings.store.clone();
        let (store, state) = spawn_blocking(move || {
            let store = Store::open(&path, &owner)?;
            let state = store.read()?;
            Ok::<_, StoreError>((store, state))
        })
        .await??;
        let (sender, ready) = watch::channel(false);
        let now = Instant::now();
        let sources = Resource::ALL.map(|resource| (resource, Source::new(settings.retry)));
        let report = ControlPlaneReport { location: settings.url.to_string(), ..ControlPlaneReport::default() };
        let mut hub = Hub {
            puller: Puller::new(client.clone(), settings.environments.clone()),
            store: Arc::new(store),
            mirror: Mirror::default(),
            apis: Apis::default(),
            catalog,
            world,
            reports,
            hosts: Arc::new(hosts),
            acknowledger: None,
            share: shared.map(|_| Share::default()),
            ears: Ears {
                tenant: Some(settings.tenant.clone()).filter(|_| shared.is_none()),
                shared: shared.is_some(),
                environments: settings.environments.clone(),
                ..Ears::default()
            },
            sources: sources.into(),
            artifacts: Source::new(settings.retry),
            tasks: JoinSet::new(),
            epoch: now,
            subscribed: None,
            reconcile: now,
            paused: now,
            unwritten: BTreeMap::new(),
            unwritten_apis: BTreeMap::new(),
            unacknowledged: Vec::new(),
            disk_pause: None,
            complete: state.complete.clone(),
            complete_written: true,
            ready: sender,
            report,
            shown: ControlPlaneReport::default(),
            settings,
        };
        hub.restore(state).await;
        Ok(Self { hub, client, ready })
    }

    /// What a test drives by itself.
    #[cfg(test)]
    pub(super) fn into_parts(self) -> (Hub, watch::Receiver<bool>) {
        (self.hub, self.ready)
    }

    /// Begins to follow API Manager, until `shutdown`. What these gateways take is reported, where that is wanted. To a global
    /// adapter, where there is one, this one is known by `identity`.
    ///
    /// # Errors
    /// When certificates cannot be read.
    pub fn follow(
        self,
        gateways: Arc<dyn Gateways>,
        identity: &Identity,
        shutdown: CancellationToken,
    ) -> Result<(tokio::task::JoinHandle<()>, watch::Receiver<bool>), EventHubError> {
        let Self { mut hub, client, ready } = self;
        let news: mpsc::Receiver<News> = broker::follow(&hub.settings.broker, &TOPICS, shutdown.clone())?;
        if let Some(global) = &hub.settings.global_adapter {
            hub.share = Some(Share::told_by(global_adapter::follow(global, identity, shutdown.clone())?));
        }
        if hub.settings.report_revisions {
            hub.acknowledger = Some(Acknowledger::start(client, gateways, shutdown.clone()));
        }
        Ok((tokio::spawn(hub.run(news, shutdown)), ready))
    }
}

impl Hub {
    async fn restore(&mut self, state: State) {
        let (facts, apis) = (state.facts.len(), state.artifacts.len());
        let mut applied = Applied::default();
        for (id, fact, stamp) in state.facts {
            applied.changed.insert(id.clone(), Some(fact.clone()));
            self.mirror.restore(id, fact, stamp);
        }
        self.show(&applied).await;
        let items = self.kept(state.artifacts).await;
        if items.iter().any(|item| item.project.is_err()) {
            self.complete.remove(ARTIFACTS);
        }
        match judge_all(&self.judge(), items).await {
            Ok(judged) => self.take(judged, Vec::new()).await,
            Err(error) => tracing::error!(%error, "kept APIs cannot be read; they are asked for"),
        }
        // What has just been read is there already.
        self.unwritten_apis.clear();
        if self.complete.len() > Resource::ALL.len() {
            tracing::info!(facts, apis, "the last good state of API Manager is served");
            self.ready.send_replace(true);
        }
        self.show_report();
    }
}
