//! Backends that are found through Consul come and go as it says, and outlive it.

use std::time::Duration;

use anyhow::{Result, ensure};
use tollgate_tests::consul::{Instance, Mesh};
use tollgate_tests::{ApiProject, Backend, Consul, Gateway, Settings, eventually, within};

use crate::transport::Authority;

const TOKEN: &str = "e4b7a3c6-consul";
const PATH: &str = "/found/1.0.0/pet";

fn configuration(consul: &Consul, token: &str) -> String {
    format!("\n[adapter.consul]\nenabled = true\nurl = '{}'\npollInterval = 1\nACLToken = '{token}'\n", consul.url())
}

/// An API whose backend is that service, with the gateway's backend as default.
async fn gateway(consul: &Consul, token: &str, service: &str) -> Gateway {
    let extra = configuration(consul, token);
    let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
    let url = format!("consul({service}, {})", gateway.backend.url());
    let project = ApiProject::new("Found", "1.0.0", "/found").production(&url).unsecured("GET", "/pet");
    gateway.deploy(&project, PATH).await.unwrap();
    gateway
}

/// Demands that requests reach all of `expected`, and none of the others.
async fn reach(gateway: &Gateway, expected: &[&Backend], others: &[&Backend]) -> Result<()> {
    let all = || expected.iter().chain(others);
    all().for_each(|backend| backend.forget());
    gateway.all_answer(PATH, 16, |status| status == 200).await?;
    let counts: Vec<usize> = all().map(|backend| backend.count()).collect();
    let (wanted, unwanted) = counts.split_at(expected.len());
    ensure!(wanted.iter().all(|count| *count > 0) && unwanted.iter().all(|count| *count == 0), "{counts:?}");
    Ok(())
}

#[tokio::test]
async fn instances_come_and_go_and_the_default_stands_in_for_none() {
    let consul = Consul::start(TOKEN).await.unwrap();
    let (one, two) = (Backend::start().await.unwrap(), Backend::start().await.unwrap());
    let gateway = gateway(&consul, TOKEN, "[*,east].pets.[v1]").await;
    let default = &gateway.backend;
    reach(&gateway, &[default], &[&one, &two]).await.unwrap();

    consul.set("", "pets", &[Instance::of(&one, &["v1", "x"]), Instance::of(&two, &["v2"])]);
    let first = async || reach(&gateway, &[&one], &[default, &two]).await;
    eventually("the instance with the tag is used", first).await.unwrap();

    consul.set("east", "pets", &[Instance::of(&two, &["v1"])]);
    let both = async || reach(&gateway, &[&one, &two], &[default]).await;
    eventually("both datacenters are used", both).await.unwrap();

    consul.set("", "pets", &[Instance::of(&one, &["v1"]).sick()]);
    let second = async || reach(&gateway, &[&two], &[default, &one]).await;
    eventually("the sick instance is left", second).await.unwrap();

    consul.set("east", "pets", &[]);
    let none = async || reach(&gateway, &[default], &[&one, &two]).await;
    eventually("the default stands in", none).await.unwrap();
}

#[tokio::test]
async fn what_was_found_outlives_consul_and_nothing_is_published_without_a_change() {
    let mut consul = Consul::start(TOKEN).await.unwrap();
    let (one, two) = (Backend::start().await.unwrap(), Backend::start().await.unwrap());
    consul.set("", "pets", &[Instance::of(&one, &[])]);
    let mut gateway = gateway(&consul, TOKEN, "pets").await;
    let first = async || reach(&gateway, &[&one], &[&gateway.backend, &two]).await;
    eventually("the instance is used", first).await.unwrap();

    let asked = |from: usize| {
        let consul = &consul;
        async move || {
            ensure!(consul.asked() >= from + 3, "asked {} times", consul.asked());
            Ok(())
        }
    };
    eventually("the instance is old news", asked(consul.asked())).await.unwrap();
    let revision = gateway.adapter.status().await.unwrap()["revision"].clone();
    eventually("it is asked again and again", asked(consul.asked())).await.unwrap();
    assert_eq!(gateway.adapter.status().await.unwrap()["revision"], revision);

    consul.break_down(true);
    eventually("it is asked in vain", asked(consul.asked())).await.unwrap();
    first().await.unwrap();
    consul.break_down(false);
    consul.stop();
    let reported = async || {
        let refused = gateway.adapter.status().await?["refused"]["Consul"].to_string();
        ensure!(refused.contains("no answer"), "{refused}");
        Ok(())
    };
    eventually("the status says that Consul is gone", reported).await.unwrap();
    first().await.unwrap();
    assert_eq!(gateway.adapter.status().await.unwrap()["revision"], revision);

    consul.set("", "pets", &[Instance::of(&two, &[])]);
    consul.start_again().await.unwrap();
    let second = async || reach(&gateway, &[&two], &[&gateway.backend, &one]).await;
    within(Duration::from_secs(60), "Consul is followed again", second).await.unwrap();
    assert!(gateway.adapter.status().await.unwrap()["refused"].get("Consul").is_none());

    // An adapter that starts asks before it tells gateways anything; what it cannot learn is the default.
    gateway.adapter.kill().unwrap();
    reach(&gateway, &[&two], &[&gateway.backend, &one]).await.unwrap();
    consul.stop();
    gateway.adapter.start_again().await.unwrap();
    let none = async || reach(&gateway, &[&gateway.backend], &[&one, &two]).await;
    within(Duration::from_secs(60), "the default stands in", none).await.unwrap();
}

#[tokio::test]
async fn a_token_that_consul_does_not_take_is_reported_and_never_shown() {
    let consul = Consul::start(TOKEN).await.unwrap();
    let one = Backend::start().await.unwrap();
    consul.set("", "pets", &[Instance::of(&one, &[])]);
    let mut gateway = gateway(&consul, "another-token", "pets").await;
    let reported = async || {
        let refused = gateway.adapter.status().await?["refused"]["Consul"].to_string();
        ensure!(refused.contains("403") && refused.contains("ACLToken"), "{refused}");
        Ok(())
    };
    eventually("the status names the token", reported).await.unwrap();
    reach(&gateway, &[&gateway.backend], &[&one]).await.unwrap();
    let shown =
        std::fs::read_to_string(gateway.adapter.log()).unwrap() + &gateway.adapter.status().await.unwrap().to_string();
    assert!(shown.contains("ACLToken") && !shown.contains("another-token"), "{shown}");

    let extra = configuration(&consul, TOKEN);
    gateway.reconfigure_adapter(|config| config.extra = extra).await.unwrap();
    let found = async || reach(&gateway, &[&one], &[&gateway.backend]).await;
    eventually("the instance is used", found).await.unwrap();
}

const DOMAIN: &str = "11111111-2222.consul";

fn spiffe(service: &str) -> String {
    format!("spiffe://{DOMAIN}/ns/default/dc/dc1/svc/{service}")
}

/// In the mesh the gateway shows the certificate of its service, speaks to nobody who is not the service it looks for, and
/// follows new authorities.
#[tokio::test]
async fn members_of_a_mesh_recognise_each_other() {
    let (old, new) = (Authority::new().unwrap(), Authority::new().unwrap());
    let consul = Consul::start(TOKEN).await.unwrap();
    let known = |authorities: &[&Authority], issuer: &Authority| {
        let (certificate, key) = issuer.workload(&spiffe("gateways")).unwrap();
        let authorities = authorities.iter().map(|one| one.pem()).collect();
        consul.set_mesh(Mesh {
            authorities,
            trust_domain: DOMAIN.to_owned(),
            service: "gateways".to_owned(),
            certificate,
            key,
        });
    };
    known(&[&old], &old);
    let member = async |authority: &Authority, name: &str| {
        Backend::with_tls(authority.member(&spiffe(name), &authority.pem()).unwrap()).await.unwrap()
    };
    let (pets, impostor, next) = (member(&old, "pets").await, member(&old, "cats").await, member(&new, "pets").await);
    let extra = format!("{}serviceMeshEnabled = true\nmgwServiceName = 'gateways'\n", configuration(&consul, TOKEN));
    let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
    let url = format!("consul(pets, {}/x)", gateway.backend.url());
    let project = ApiProject::new("Found", "1.0.0", "/found").production(&url).unsecured("GET", "/pet");
    gateway.deploy(&project, PATH).await.unwrap();
    reach(&gateway, &[&gateway.backend], &[&pets, &impostor]).await.unwrap();

    consul.set_members("pets", &[Instance::of(&pets, &[])]);
    let first = async || reach(&gateway, &[&pets], &[&gateway.backend]).await;
    eventually("the member is used", first).await.unwrap();

    consul.set_members("pets", &[Instance::of(&impostor, &[])]);
    let refused = async || gateway.all_answer(PATH, 8, |status| status == 503).await;
    eventually("somebody else is not spoken to", refused).await.unwrap();
    assert_eq!(impostor.count(), 0);

    known(&[&old, &new], &new);
    consul.set_members("pets", &[Instance::of(&next, &[])]);
    let second = async || reach(&gateway, &[&next], &[&gateway.backend]).await;
    eventually("members of the new authority are used", second).await.unwrap();
    let shown =
        std::fs::read_to_string(gateway.adapter.log()).unwrap() + &gateway.adapter.status().await.unwrap().to_string();
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
}
