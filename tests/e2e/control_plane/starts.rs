//! In whatever order API Manager, its broker, the adapter and Envoy start, and over whatever they speak with each other.

use anyhow::{Result, ensure};
use tempfile::TempDir;
use tollgate_tests::apim::{ApiManager, Operation, RESIDENT};
use tollgate_tests::{Gateway, RabbitMq, Settings, eventually};

use super::{NOT_SUBSCRIBED, OK, PET, PETS, answers, control_plane, token, usual};

struct Parts {
    gateway: Gateway,
    apim: ApiManager,
    broker: RabbitMq,
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
        self.broker.kill()?;
        self.gateway.adapter.kill()?;
        self.gateway.envoy.kill()
    }

    /// Starts a part, and waits until it lives, but not until it works.
    async fn start(&mut self, part: Part) -> Result<()> {
        match part {
            Manager => self.apim.listen().await,
            Broker => self.broker.start_again().await,
            Adapter => self.gateway.adapter.launch_again().await,
            Envoy => self.gateway.envoy.restart(),
        }
    }
}

#[tokio::test]
async fn the_order_of_starts_does_not_matter() {
    let mut broker = RabbitMq::start().await.unwrap();
    broker.kill().unwrap();
    let apim = ApiManager::stopped(&broker.url()).unwrap();
    let extra =
        control_plane(&apim, &[broker.url()], &["Default"], "\n[tollgate.controlPlane]\nreconcileInterval = 3\n");
    let settings = Settings { extra, unready: true, ..Settings::default() };
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

    // Each order and its reverse: every part has been before and after every other.
    let orders = [
        [Manager, Broker, Adapter, Envoy],
        [Envoy, Adapter, Broker, Manager],
        [Broker, Envoy, Manager, Adapter],
        [Adapter, Manager, Envoy, Broker],
    ];
    for (number, order) in orders.into_iter().enumerate() {
        let name = format!("app{number}");
        let key = format!("{name}-key");
        parts.kill().unwrap();
        parts.apim.silently(Operation::application(&name)).unwrap();
        parts.apim.silently(Operation::keys(&name, &key, RESIDENT)).unwrap();
        parts.apim.silently(Operation::subscribe(&name, PETS)).unwrap();
        for part in order {
            parts.start(part).await.unwrap();
        }
        let bearer = token(&key, &key);
        let known = async || answers(&parts.gateway, PET, Some(&bearer), OK).await;
        eventually(&format!("all is known after {order:?}"), known).await.unwrap();
        // And messages arrive.
        parts.apim.perform(Operation::unsubscribe(&name, PETS)).unwrap();
        let told = async || answers(&parts.gateway, PET, Some(&bearer), NOT_SUBSCRIBED).await;
        eventually(&format!("messages arrive after {order:?}"), told).await.unwrap();
    }
    assert_eq!(parts.apim.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn only_trusted_certificates_and_the_next_broker_of_the_list() {
    let apim = ApiManager::stopped("amqp://127.0.0.1:1").unwrap();
    let broker = RabbitMq::with_tls(&apim.certificates().broker()).await.unwrap();
    let mut apim = apim.publishing_to(&broker.url());
    apim.listen().await.unwrap();
    let brokers = ["amqps://admin:admin@127.0.0.1:1".to_owned(), broker.tls_url().unwrap()];
    let plane = control_plane(&apim, &brokers, &["Default"], "");
    let verifying = plane.replace("skipSSLVerification = true", "skipSSLVerification = false");
    let settings = Settings { extra: verifying.clone(), unready: true, ..Settings::default() };
    let mut gateway = Gateway::launch(settings).await.unwrap();
    let refused = async || {
        let status = gateway.adapter.status().await?["controlPlane"].to_string();
        ensure!(status.to_lowercase().contains("certificate"), "{status}");
        Ok(())
    };
    eventually("a stranger's certificate is refused", refused).await.unwrap();
    assert_eq!(gateway.adapter.ready().await.unwrap().status, 503);
    assert!(apim.asked().is_empty());

    let trusted = TempDir::new().unwrap();
    std::fs::write(trusted.path().join("apim.pem"), apim.certificates().authority()).unwrap();
    // Gateways are known by this one.
    std::fs::copy(gateway.adapter.state().join("certificates/ca.pem"), trusted.path().join("ca.pem")).unwrap();
    let truststore = format!("\n[adapter.truststore]\nlocation = '{}'\n", trusted.path().display());
    gateway.reconfigure_adapter(|config| config.extra = format!("{verifying}{truststore}")).await.unwrap();
    apim.all(usual(&gateway.backend.url())).unwrap();
    apim.perform(Operation::subscribe("web", PETS)).unwrap();
    let web = token("web-key", "web");
    eventually("all arrives over TLS", async || answers(&gateway, PET, Some(&web), OK).await).await.unwrap();
    let connected = gateway.adapter.status().await.unwrap()["controlPlane"]["broker"].clone();
    assert_eq!(connected["connected"], true, "{connected}");
    assert!(!connected.to_string().contains("admin:admin"), "{connected}");
}
