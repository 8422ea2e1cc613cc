//! Instances of services that APIs name as backends, from Consul.
//!
//! Consul is asked for the services of the deployed APIs and nothing else, once before gateways are told anything and then again
//! and again. What it said last stays while it does not answer. Must never publish what has not changed.

mod client;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use self::client::{Client, Found, Question};
pub use self::client::{ConsulError, ConsulSettings};
use crate::model::{Instance, Instances, Mesh, Problems, Refusals, Service, World, WorldWriter};

/// How long the start waits for Consul.
const PATIENCE: Duration = Duration::from_secs(5);
/// Questions at a time.
const PARALLEL: usize = 8;
/// Most instances of a service.
const MAX_INSTANCES: usize = 1024;
/// Longest pause while Consul cannot be reached, unless it is asked even less often.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Under which name the status page shows what goes wrong.
const ORIGIN: &str = "Consul";

/// Which questions are asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    All,
    /// Those that were never asked: a new API does not wait for its turn.
    New,
}

/// Follows the services of deployed APIs.
pub struct Consul {
    client: Client,
    url: String,
    interval: Duration,
    /// The service that gateways are in the mesh, if there is one.
    member: Option<String>,
    /// As whom they speak to its members.
    mesh: Option<Arc<Mesh>>,
    /// Why that is not known, or not known anew.
    mesh_failure: Option<Failure>,
    world: WorldWriter,
    refusals: Arc<dyn Refusals>,
    /// What Consul said last.
    answers: BTreeMap<Question, Vec<Found>>,
    /// Why it said nothing the last time; empty for a question that was answered.
    failures: BTreeMap<Question, Option<Failure>>,
    /// What was reported last.
    reported: Problems,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    what: String,
    denied: bool,
    unreachable: bool,
}

impl Failure {
    fn of(error: &ConsulError) -> Self {
        Self { what: error.to_string(), denied: error.is_denied(), unreachable: error.is_unreachable() }
    }
}

impl Consul {
    /// Asks for the services of what is deployed, and waits for the answers, but not for long.
    ///
    /// # Errors
    /// When a certificate or key cannot be used.
    pub async fn open(
        settings: &ConsulSettings,
        world: WorldWriter,
        refusals: Arc<dyn Refusals>,
    ) -> Result<Self, ConsulError> {
        let mut consul = Self {
            client: Client::new(settings)?,
            url: settings.url.to_string(),
            interval: settings.interval,
            member: settings.mesh.clone(),
            mesh: None,
            mesh_failure: None,
            world,
            refusals,
            answers: BTreeMap::new(),
            failures: BTreeMap::new(),
            reported: Problems::new(),
        };
        if timeout(PATIENCE, consul.ask(Round::All)).await.is_err() {
            tracing::warn!(url = consul.url, "Consul takes long to answer; until it does, services are their defaults");
        }
        consul.publish();
        Ok(consul)
    }

    /// Follows Consul until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.follow() => {}
        }
    }

    async fn follow(&mut self) {
        let mut changes = self.world.watch();
        let mut pause = self.interval;
        // What was deployed since, and what the start did not wait for.
        self.ask(Round::New).await;
        self.publish();
        loop {
            let next = Instant::now().checked_add(pause).unwrap_or_else(Instant::now);
            loop {
                tokio::select! {
                    () = sleep_until(next) => break,
                    changed = changes.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        self.ask(Round::New).await;
                        self.publish();
                    }
                }
            }
            let reached = self.ask(Round::All).await;
            pause = if reached { self.interval } else { longer(pause, self.interval) };
            self.publish();
        }
    }

    /// Asks, and says whether Consul could be reached.
    async fn ask(&mut self, round: Round) -> bool {
        let wanted = wanted(&self.world.current());
        let questions: BTreeSet<Question> = wanted.iter().flat_map(Question::all_of).collect();
        self.answers.retain(|question, _| questions.contains(question));
        self.failures.retain(|question, _| questions.contains(question));
        let due = |question: &Question| round == Round::All || !self.failures.contains_key(question);
        let due: Vec<Question> = questions.into_iter().filter(due).collect();
        if due.is_empty() && round == Round::New {
            return true;
        }
        if !due.is_empty() && !self.join(round).await {
            self.report();
            return false;
        }
        let client = self.client.clone();
        let mut outcomes = stream::iter(due)
            .map(|question| async { (client.ask(&question).await, question) })
            .buffer_unordered(PARALLEL);
        let mut reached = true;
        while let Some((outcome, question)) = outcomes.next().await {
            match outcome {
                Ok(found) => {
                    self.answers.insert(question.clone(), found);
                    self.failures.insert(question, None);
                }
                Err(error) => {
                    let failure = Failure::of(&error);
                    let unreachable = failure.unreachable;
                    self.failures.insert(question, Some(failure));
                    if unreachable {
                        reached = false;
                        break;
                    }
                }
            }
        }
        self.report();
        reached
    }

    /// Learns as whom gateways are members of the mesh, and says whether Consul could be reached.
    async fn join(&mut self, round: Round) -> bool {
        let Some(service) = self.member.as_ref().filter(|_| round == Round::All || self.mesh.is_none()) else {
            return true;
        };
        match self.client.identity(service).await {
            Ok(mesh) => {
                self.mesh_failure = None;
                if self.mesh.as_deref() != Some(&mesh) {
                    tracing::info!(service, domain = mesh.trust_domain, "gateways have a new identity in the mesh");
                    self.mesh = Some(Arc::new(mesh));
                }
            }
            Err(error) => self.mesh_failure = Some(Failure::of(&error)),
        }
        self.mesh_failure.as_ref().is_none_or(|failure| !failure.unreachable)
    }

    /// Tells gateways what has changed, if anything has.
    fn publish(&self) {
        let world = self.world.current();
        // Without an identity members would turn gateways away, so there are none.
        let outside = self.member.is_some() && self.mesh.is_none();
        let instances: Instances = wanted(&world)
            .into_iter()
            .filter(|_| !outside)
            .filter_map(|service| {
                let found = instances(&service, &self.answers);
                (!found.is_empty()).then(|| (service, found.into()))
            })
            .collect();
        if world.instances == instances && world.mesh == self.mesh {
            return;
        }
        let services: BTreeSet<&Service> = world.instances.keys().chain(instances.keys()).collect();
        for service in services {
            let (before, now) = (world.instances.get(service), instances.get(service));
            if before != now {
                let count = now.map_or(0, |found| found.len());
                tracing::info!(%service, count, "the healthy instances of a service have changed");
            }
        }
        let mesh = self.mesh.clone();
        self.world.update(|world| (world.instances, world.mesh) = (instances, mesh));
    }

    /// Reports what goes wrong, when it is something else than before.
    fn report(&mut self) {
        let url = &self.url;
        let failed = self.failures.iter().filter_map(|(question, failure)| Some((question, failure.as_ref()?)));
        // One that cannot be reached is one problem, whatever it was to be asked.
        let mesh = self.mesh_failure.iter().map(|Failure { what, denied, unreachable }| {
            let asked = if *unreachable { "" } else { " about the gateway's identity in its mesh" };
            (format!("Consul at {url}{asked}: {what}"), *denied)
        });
        let found: BTreeSet<(String, bool)> = failed
            .map(|(Question { datacenter, name, .. }, Failure { what, denied, unreachable })| {
                let datacenter = datacenter.as_deref().unwrap_or("its own");
                let asked = format!(" about {name} in datacenter {datacenter}");
                (format!("Consul at {url}{}: {what}", if *unreachable { "" } else { &asked }), *denied)
            })
            .chain(mesh)
            .collect();
        let mut problems = Problems::new();
        for (what, denied) in found {
            let why = "the last instances stay, or the default where none was known";
            let fix = if denied {
                "give adapter.consul.ACLToken a token with service:read and node:read, and in a mesh service:write"
            } else {
                "start Consul, or correct adapter.consul"
            };
            problems.error(("", ""), what, why, fix);
        }
        if problems == self.reported {
            return;
        }
        for problem in problems.iter() {
            tracing::warn!(%problem, "a service cannot be followed");
        }
        if problems.is_empty() {
            tracing::info!(url = self.url, "Consul answers again");
            self.refusals.accept(ORIGIN);
        } else {
            self.refusals.refuse(ORIGIN, &problems);
        }
        self.reported = problems;
    }
}

fn longer(pause: Duration, interval: Duration) -> Duration {
    pause.saturating_mul(2).min(interval.max(LONGEST_PAUSE))
}

/// The services of all deployed APIs.
fn wanted(world: &World) -> BTreeSet<Service> {
    let clusters = world.deployments.values().flat_map(|deployment| &deployment.clusters);
    let endpoints = clusters.flat_map(|cluster| &cluster.endpoints);
    endpoints.filter_map(|endpoint| Some(endpoint.discovery.as_ref()?.service.clone())).collect()
}

/// The instances of all its datacenters that have one of its tags, in an order that depends on nothing else.
fn instances(service: &Service, answers: &BTreeMap<Question, Vec<Found>>) -> Vec<Instance> {
    let all = Question::all_of(service).filter_map(|question| answers.get(&question)).flatten();
    let tagged = |found: &&Found| service.tags.is_empty() || found.tags.iter().any(|tag| service.tags.contains(tag));
    let all: BTreeSet<&Instance> = all.filter(tagged).map(|found| &found.instance).collect();
    if all.len() > MAX_INSTANCES {
        tracing::warn!(%service, count = all.len(), "a service has too many instances; only {MAX_INSTANCES} are used");
    }
    all.into_iter().take(MAX_INSTANCES).cloned().collect()
}
