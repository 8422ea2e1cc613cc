//! WSO2 API Manager as far as gateways see it: its REST interface over TLS, and its messages through a real RabbitMQ.
//!
//! There is one truth, the [`state`]. An [`Operation`] changes it and publishes what API Manager would publish; the REST
//! interface always shows it. Everything else here is what can go wrong on the way: messages that get lost, come twice,
//! late or in disorder, and answers that are none. Written from the interface's description, never from the adapter.

mod artifact;
mod certificate;
mod event;
mod fault;
mod operation;
mod oracle;
mod publisher;
mod rest;
mod say;
mod state;
mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};

pub use certificate::{Certificates, certificate_of};
pub use event::{Event, TOPICS};
pub use fault::Fault;
pub use operation::Operation;
pub use oracle::Call;
pub use state::{
    Api, Application, Block, Deployment, Files, KeyManager, KeyMapping, Policy, Project, RESIDENT, SUBSCRIBER,
    SUPER_TENANT, Subscription, Tenant,
};

use crate::ports::Port;
use crate::server::Server;
use crate::{eventually, within};
use fault::Faults;
use publisher::Publisher;

/// The administrator; of another tenant with `@` and its domain behind.
pub const USER: &str = "admin";
/// Their password.
pub const PASSWORD: &str = "admin";

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// As it should.
    Once,
    /// Not at all.
    Lost,
    /// Two times.
    Twice,
    /// When [`ApiManager::release`] is called, last in, first out.
    Held,
}

/// What a gateway said about a revision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Acknowledgement {
    /// It is deployed.
    Deployed {
        /// UUID of the API.
        api: String,
        /// Number of the revision.
        revision: i64,
        /// Where.
        environment: String,
        /// Its virtual host.
        vhost: String,
    },
    /// It is not any more.
    Undeployed {
        /// UUID of the API.
        api: String,
        /// UUID of the revision.
        revision: String,
        /// Where.
        environment: String,
    },
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its query, decoded.
    pub query: Vec<(String, String)>,
}

#[derive(Debug, Default)]
struct World {
    tenants: BTreeMap<String, Tenant>,
    faults: Faults,
    held: Vec<Event>,
    asked: Vec<Asking>,
    acknowledged: Vec<Acknowledgement>,
    complaints: Vec<String>,
}

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
}

/// A running API Manager.
#[derive(Debug)]
pub struct ApiManager {
    shared: Arc<Shared>,
    publisher: Publisher,
    server: Option<Server>,
    certificates: Certificates,
    port: Port,
    tenant: String,
}

impl ApiManager {
    /// Starts one that publishes to the broker at that URL. There is one tenant, the super tenant, and nothing in it but
    /// the usual plans.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(broker: &str) -> Result<Self> {
        let mut manager = Self::stopped(broker)?;
        manager.listen().await?;
        Ok(manager)
    }

    /// One that does not listen yet.
    ///
    /// # Errors
    /// When no port is left.
    pub fn stopped(broker: &str) -> Result<Self> {
        let world = World {
            tenants: BTreeMap::from([(SUPER_TENANT.to_owned(), Tenant::new(SUPER_TENANT, 0))]),
            ..World::default()
        };
        Ok(Self {
            shared: Arc::new(Shared { world: Mutex::new(world) }),
            publisher: Publisher::start(broker.to_owned()),
            server: None,
            certificates: Certificates::new()?,
            port: Port::free()?,
            tenant: SUPER_TENANT.to_owned(),
        })
    }

    /// The same, with another broker: messages that are waiting for the old one are lost.
    #[must_use]
    pub fn publishing_to(mut self, broker: &str) -> Self {
        self.publisher = Publisher::start(broker.to_owned());
        self
    }

    /// Listens, with everything it knew before.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn listen(&mut self) -> Result<()> {
        let (port, tls) = (self.port.number(), self.certificates.server()?);
        // The port of one that was just killed may need a moment.
        let server = eventually("API Manager listens", async || {
            let shared = Arc::clone(&self.shared);
            Server::listen_on(port, Some(tls.clone()), move |request| rest::answer(&shared, &request)).await
        })
        .await?;
        self.server = Some(server);
        Ok(())
    }

    /// Ends the REST interface with all its connections. What it knows stays.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// `https://localhost:port/`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}/", self.port.number())
    }

    /// Where the keys of its resident key manager are: those of [`crate::token::KeyPair::shared`].
    #[must_use]
    pub fn jwks_url(&self) -> String {
        format!("{}oauth2/jwks", self.url())
    }

    /// The certificates it is known by.
    #[must_use]
    pub const fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// From now on operations are of that tenant.
    pub fn switch_tenant(&mut self, domain: &str) {
        let mut world = self.world();
        let number = world.tenants.len();
        world.tenants.entry(domain.to_owned()).or_insert_with(|| Tenant::new(domain, number));
        drop(world);
        domain.clone_into(&mut self.tenant);
    }

    /// Does something, and publishes it.
    ///
    /// # Errors
    /// When it names something that is not there.
    pub fn perform(&self, operation: Operation) -> Result<()> {
        self.deliver(operation, Delivery::Once)
    }

    /// Does something, and publishes it in that way.
    ///
    /// # Errors
    /// When it names something that is not there.
    pub fn deliver(&self, operation: Operation, delivery: Delivery) -> Result<()> {
        let mut world = self.world();
        let tenant = world.tenants.get_mut(&self.tenant).context("the tenant is gone")?;
        let shown = format!("{operation:?}");
        let events = tenant.perform(operation).with_context(|| shown)?;
        for event in events {
            match delivery {
                Delivery::Lost => {}
                Delivery::Held => world.held.push(event),
                // Published under the lock, so that messages keep the order of what they tell.
                Delivery::Once => self.publisher.publish(event),
                Delivery::Twice => {
                    self.publisher.publish(event.clone());
                    self.publisher.publish(event);
                }
            }
        }
        Ok(())
    }

    /// Does something silently, as if it had happened long ago.
    ///
    /// # Errors
    /// When it names something that is not there.
    pub fn silently(&self, operation: Operation) -> Result<()> {
        self.deliver(operation, Delivery::Lost)
    }

    /// Publishes what was held back, the last first.
    pub fn release(&self) {
        let held = std::mem::take(&mut self.world().held);
        held.into_iter().rev().for_each(|event| self.publisher.publish(event));
    }

    /// Publishes messages that nobody can understand, on every topic.
    pub fn poison(&self) {
        for topic in TOPICS {
            for body in event::POISON {
                self.publisher.publish(Event { topic, body: body.to_owned() });
            }
        }
    }

    /// Publishes any text.
    pub fn publish(&self, topic: &'static str, body: &str) {
        self.publisher.publish(Event { topic, body: body.to_owned() });
    }

    /// The next requests for a resource (the end of its path; all when empty) go wrong like that, so many times.
    pub fn fail(&self, resource: &str, fault: Fault, times: usize) {
        self.world().faults.add(resource, fault, times);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.world().faults.clear();
    }

    /// What the current tenant has.
    #[must_use]
    pub fn state(&self) -> Tenant {
        self.world().tenants.get(&self.tenant).cloned().unwrap_or_default()
    }

    /// The requests that came so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asking> {
        self.world().asked.clone()
    }

    /// What gateways said about revisions.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<Acknowledgement> {
        self.world().acknowledged.clone()
    }

    /// Waits until a path was asked for.
    ///
    /// # Errors
    /// When it is not.
    pub async fn is_asked_for(&self, resource: &str) -> Result<()> {
        within(crate::PATIENCE, "API Manager is asked", async || {
            ensure!(self.asked().iter().any(|asking| asking.path.ends_with(resource)), "nobody asks for {resource}");
            Ok(())
        })
        .await
    }

    /// Requests that the real one would not have understood.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.world().complaints.clone()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.shared.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
