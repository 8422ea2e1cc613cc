//! In whatever order API Manager, its broker, the adapter and Envoy start.

use anyhow::{Result, ensure};
use tollgate_tests::apim::{ApiManager, Operation, RESIDENT};
use tollgate_tests::{Gateway, Proxy, RabbitMq, Settings, Topics, Weather, eventually};

use super::{NOT_SUBSCRIBED, OK, PET, PETS, answers, control_plane, pets, token, usual};

const RECONCILE: &str = "\n[tollgate.controlPlane]\nreconcileInterval = 3\n";

struct Parts {
    gateway: Gateway,
    apim: ApiManager,
    broker: Messenger,
}

/// The broker: a process, or one that goes on behind a door, since it takes seconds to start. To who listens it is all the same:
/// connections end, and their queues are gone.
enum Messenger {
    Process(RabbitMq),
    Behind { door: Proxy, _topics: Topics },
}

#[derive(Debug, Clone, Copy)]
enum Part {
    ApiManager,
    Broker,
    Adapter,
    Envoy,
}

use Part::{Adapter, ApiManager as Manager, Broker, Envoy};

impl Parts {
    fn kill(&mut self) -> Result<()> {
        self.apim.kill();
        match &mut self.broker {
            Messenger::Process(broker) => broker.kill()?,
            Messenger::Behind { door, .. } => door.set(Weather::Closed),
        }
        self.gateway.adapter.kill()?;
        self.gateway.envoy.kill()
    }

    /// Starts a part, and waits until it lives, but not until it works.
    async fn start(&mut self, part: Part) -> Result<()> {
        match part {
            Manager => self.apim.listen().await,
            Broker => match &mut self.broker {
                Messenger::Process(broker) => broker.start_again().await,
                Messenger::Behind { door, .. } => {
                    door.set(Weather::Fair);
                    Ok(())
                }
            },
            Adapter => self.gateway.adapter.launch_again().await,
            Envoy => self.gateway.envoy.restart(),
        }
    }

    /// Ends all, changes everything there is while nobody looks, starts in that order, and sees that the gateway has what API
    /// Manager has. `round` counts from 1.
    async fn all_is_well_after(&mut self, order: &[Part], round: u32) {
        let application = |round| format!("app{round}");
        let key = |round| format!("app{round}-key");
        let (name, bearer) = (application(round), token(&key(round), &key(round)));
        self.kill().unwrap();
        let changes = [
            Operation::application(&name),
            Operation::keys(&name, &key(round), RESIDENT),
            Operation::subscribe(&name, PETS),
            Operation::publish(pets(&self.gateway.backend.url(), round)),
            Operation::deploy(PETS, &["Default"]),
        ];
        self.apim.all_silently(changes).unwrap();
        let former = self.apim.state().applications.contains_key(&application(round - 1));
        if former {
            self.apim.silently(Operation::DeleteApplication { name: application(round - 1) }).unwrap();
        }
        for part in order {
            self.start(*part).await.unwrap();
        }
        let gateway = &self.gateway;
        let equal = async || {
            answers(gateway, PET, Some(&bearer), OK).await?;
            let answer = gateway.get(PET, Some(&bearer)).await?;
            ensure!(answer.json()["path"] == format!("/r{round}/pet/5"), "the revision before: {}", answer.body);
            let gone = token(&key(round - 1), "gone");
            answers(gateway, PET, Some(&gone), NOT_SUBSCRIBED).await
        };
        eventually(&format!("the gateway equals API Manager after {order:?}"), equal).await.unwrap();
        // And messages arrive.
        self.apim.perform(Operation::unsubscribe(&name, PETS)).unwrap();
        let told = async || answers(gateway, PET, Some(&bearer), NOT_SUBSCRIBED).await;
        eventually(&format!("messages arrive after {order:?}"), told).await.unwrap();
    }
}

#[tokio::test]
async fn the_order_of_starts_does_not_matter() {
    let mut broker = RabbitMq::start().await.unwrap();
    broker.kill().unwrap();
    let apim = ApiManager::stopped(&broker.url()).unwrap();
    let extra = control_plane(&apim, &[broker.url()], &["Default"], RECONCILE);
    let settings = Settings { extra, unready: true, ..Settings::default() };
    let broker = Messenger::Process(broker);
    let mut parts = Parts { gateway: Gateway::launch(settings).await.unwrap(), apim, broker };

    // With nothing known yet there is nothing to serve, and it says so.
    let connecting = async || {
        let ready = parts.gateway.adapter.ready().await?;
        let state = ready.json()["controlPlane"]["state"].clone();
        ensure!((ready.status.as_u16(), state.as_str()) == (503, Some("connecting")), "{} {state}", ready.status);
        Ok(())
    };
    eventually("it says that it has nothing to serve", connecting).await.unwrap();
    parts.apim.all_silently(usual(&parts.gateway.backend.url())).unwrap();
    parts.apim.silently(Operation::subscribe("web", PETS)).unwrap();
    parts.start(Manager).await.unwrap();
    let web = token("web-key", "web");
    let served = async || answers(&parts.gateway, PET, Some(&web), OK).await;
    eventually("API Manager is enough to begin with", served).await.unwrap();
    parts.start(Broker).await.unwrap();

    // One and its reverse, with a broker that is a process.
    for (round, order) in (1..).zip([[Manager, Broker, Adapter, Envoy], [Envoy, Adapter, Broker, Manager]]) {
        parts.all_is_well_after(&order, round).await;
    }
    assert_eq!(parts.apim.complaints(), Vec::<String>::new());
}

/// Every order that there is of these.
fn orders(parts: &[Part]) -> Vec<Vec<Part>> {
    if parts.is_empty() {
        return vec![Vec::new()];
    }
    let beginning_with = |(at, first): (usize, &Part)| {
        let (mut rest, first) = (parts.to_vec(), *first);
        rest.remove(at);
        orders(&rest).into_iter().map(move |rest| std::iter::once(first).chain(rest).collect::<Vec<Part>>())
    };
    parts.iter().enumerate().flat_map(beginning_with).collect()
}

#[tokio::test]
async fn all_orders_of_starts_end_with_what_api_manager_has() {
    let all = orders(&[Manager, Broker, Adapter, Envoy]);
    assert_eq!(all.len(), 24);
    let (some, others) = all.split_at(12);
    tokio::join!(one_after_another(some), one_after_another(others));
}

async fn one_after_another(orders: &[Vec<Part>]) {
    let topics = Topics::shared().await.unwrap();
    let door = Proxy::towards(topics.port()).await.unwrap();
    let apim = ApiManager::start(&topics.url()).await.unwrap();
    let extra = control_plane(&apim, &[topics.url_over(door.port())], &["Default"], RECONCILE);
    let gateway = Gateway::with(Settings { extra, workers: 1, ..Settings::default() }).await.unwrap();
    apim.all(usual(&gateway.backend.url())).unwrap();
    let broker = Messenger::Behind { door, _topics: topics };
    let mut parts = Parts { gateway, apim, broker };
    for (round, order) in (1..).zip(orders) {
        parts.all_is_well_after(order, round).await;
    }
    assert_eq!(parts.apim.complaints(), Vec::<String>::new());
}
