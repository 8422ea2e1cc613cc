//! API Manager and its broker over TLS: only whom the trust store knows is believed, and what breaks off is taken up again.

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tollgate_tests::apim::{ApiManager, Certificates, Operation};
use tollgate_tests::{Gateway, Proxy, RabbitMq, Settings, Weather, eventually};

use super::{NOT_SUBSCRIBED, OK, PET, PETS, answers, control_plane, token, usual};

/// Where nobody listens.
const NOBODY: &str = "amqps://admin:admin@127.0.0.1:1";

async fn reported(gateway: &Gateway) -> Result<Value> {
    Ok(gateway.adapter.status().await?["controlPlane"].clone())
}

/// Waits until the status says of the broker that its certificate is not trusted, and how to change that.
async fn the_broker_is_refused(gateway: &Gateway, port: u16) {
    let refused = async || {
        let broker = reported(gateway).await?["broker"].clone();
        let error = broker["error"].as_str().unwrap_or_default();
        let parts = [format!("amqps://localhost:{port}: "), "certificate".to_owned(), "adapter.truststore".to_owned()];
        ensure!(broker["connected"] == false && parts.iter().all(|part| error.contains(part)), "{broker}");
        Ok(())
    };
    eventually("the certificate of the broker is refused", refused).await.unwrap();
}

async fn is_live(gateway: &Gateway, endpoint: &str) {
    let live = async || {
        let plane = reported(gateway).await?;
        ensure!(plane["state"] == "live" && plane["broker"]["endpoint"] == endpoint, "{plane}");
        ensure!(!plane.to_string().contains("admin:admin"), "the password is shown: {plane}");
        Ok(())
    };
    eventually("everything arrives over TLS", live).await.unwrap();
}

fn trust(folder: &Path, name: &str, authority: &str) {
    std::fs::write(folder.join(name), authority).unwrap();
}

#[tokio::test]
async fn only_trusted_certificates_and_the_next_broker_of_the_list() {
    let (apim, of_broker) = (ApiManager::stopped("amqp://127.0.0.1:1").unwrap(), Certificates::new().unwrap());
    let mut broker = RabbitMq::with_tls(&of_broker.broker()).await.unwrap();
    let mut apim = apim.publishing_to(&broker.url());
    apim.listen().await.unwrap();
    let tls_url = broker.tls_url().unwrap();
    let port: u16 = tls_url.rsplit(':').next().unwrap().parse().unwrap();
    let endpoint = format!("amqps://localhost:{port}");
    let plane = |brokers: &[String]| {
        let plane = control_plane(&apim, brokers, &["Default"], "");
        plane.replace("skipSSLVerification = true", "skipSSLVerification = false")
    };
    let extra = plane(&[NOBODY.to_owned(), tls_url.clone()]);
    let settings = Settings { extra: extra.clone(), unready: true, ..Settings::default() };
    let mut gateway = Gateway::launch(settings).await.unwrap();
    let refused = async || {
        let sources = reported(&gateway).await?["sources"].to_string();
        ensure!(sources.contains("invalid peer certificate"), "{sources}");
        Ok(())
    };
    eventually("a stranger's certificate is refused", refused).await.unwrap();
    the_broker_is_refused(&gateway, port).await;
    assert_eq!(gateway.adapter.ready().await.unwrap().status, 503);
    assert!(apim.asked().is_empty());

    // API Manager is known, its broker is not: what is asked for arrives.
    let trusted = TempDir::new().unwrap();
    trust(trusted.path(), "apim.pem", apim.certificates().authority());
    // Gateways are known by this one.
    std::fs::copy(gateway.adapter.state().join("certificates/ca.pem"), trusted.path().join("ca.pem")).unwrap();
    let truststore = format!("\n[adapter.truststore]\nlocation = '{}'\n", trusted.path().display());
    apim.all_silently(usual(&gateway.backend.url())).unwrap();
    apim.silently(Operation::subscribe("web", PETS)).unwrap();
    gateway.reconfigure_adapter(|config| config.extra = format!("{extra}{truststore}")).await.unwrap();
    let web = token("web-key", "web");
    eventually("what is asked for is there", async || answers(&gateway, PET, Some(&web), OK).await).await.unwrap();
    the_broker_is_refused(&gateway, port).await;
    assert_ne!(reported(&gateway).await.unwrap()["state"], "live");

    // Both are known. Before the broker that works the list has one that is gone and one that says nothing.
    trust(trusted.path(), "broker.pem", of_broker.authority());
    let silent = Proxy::towards(port).await.unwrap();
    silent.set(Weather::BlackHole);
    let silent = format!("amqps://admin:admin@localhost:{}", silent.port());
    let extra = plane(&[NOBODY.to_owned(), silent, tls_url]);
    gateway.reconfigure_adapter(|config| config.extra = format!("{extra}{truststore}")).await.unwrap();
    is_live(&gateway, &endpoint).await;
    apim.perform(Operation::unsubscribe("web", PETS)).unwrap();
    let told = async || answers(&gateway, PET, Some(&web), NOT_SUBSCRIBED).await;
    eventually("messages arrive over TLS", told).await.unwrap();

    // A broker that dies and comes back is listened to again, and what was missed is made good.
    broker.kill().unwrap();
    let lost = async || {
        let broker = reported(&gateway).await?["broker"].clone();
        ensure!(broker["connected"] == false, "{broker}");
        Ok(())
    };
    eventually("the broker is missed", lost).await.unwrap();
    apim.silently(Operation::subscribe("web", PETS)).unwrap();
    broker.start_again().await.unwrap();
    is_live(&gateway, &endpoint).await;
    eventually("what was missed is there", async || answers(&gateway, PET, Some(&web), OK).await).await.unwrap();
    apim.perform(Operation::unsubscribe("web", PETS)).unwrap();
    let told = async || answers(&gateway, PET, Some(&web), NOT_SUBSCRIBED).await;
    eventually("messages arrive over TLS again", told).await.unwrap();
    assert_eq!(apim.complaints(), Vec::<String>::new());
}
