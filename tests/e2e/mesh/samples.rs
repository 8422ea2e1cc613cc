//! The samples for Istio at work: configuration, projects, subscriptions and filters as they lie there.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use tollgate_tests::adapter::{PASSWORD, USER};
use tollgate_tests::http::{Answer, client};
use tollgate_tests::locate;

use super::identities::Identity;
use super::proxies::{Extension, Proxy, Shape, http2, local, plain, plugin, service};
use super::{Mesh, PLUGIN, PORT, answers, call, healthy};
use crate::install::schemas::documents;

const PATH: &str = "/bookreviews/1.0.0/1";
const REVIEWS: &str = "reviews.bookinfo.svc.cluster.local";

fn folder(sample: &str) -> PathBuf {
    locate::root().join("istio").join(sample)
}

/// An adapter that has of the sample all but its ports and passwords.
async fn mesh(sample: &str) -> Result<Mesh> {
    let here = folder(sample);
    let config = std::fs::read_to_string(here.join("config.toml"))?;
    let own = |block: &&str| !block.contains("[adapter]\n") && !block.contains("[tollgate.listen]\n");
    let tables = config.split("\n\n").filter(own).collect::<Vec<_>>().join("\n\n");
    let temporary = TempDir::with_prefix("tollgate-sample-")?;
    let mut subscriptions = here.join("subscriptions.yaml");
    if !subscriptions.exists() {
        subscriptions = temporary.path().join("subscriptions.yaml");
        std::fs::write(&subscriptions, "applications: []")?;
    }
    Mesh::with(temporary, &subscriptions, Some(here), &format!("{tables}\n")).await
}

/// The sidecar of the reviews, with the filter as the sample has it.
fn sidecar(mesh: &Mesh, sample: &Path, reviews: &Identity) -> Result<Proxy> {
    let filter = documents(&std::fs::read_to_string(sample.join("filter.yaml"))?).remove(0);
    assert_eq!(filter["spec"]["match"][0]["mode"], "SERVER");
    let configuration: &Value = &filter["spec"]["wasm"]["pluginConfig"];
    let here = mesh.folder("reviews");
    std::fs::create_dir_all(&here)?;
    let extension = Extension::new(&here, PLUGIN)?;
    extension.set(&plugin(PLUGIN, "enforcer", &local(&locate::module()?), configuration))?;
    let mut shape = Shape::new(here);
    shape.filters = vec![extension.filter()];
    // Behind the adapter's sidecar, which has tests of its own.
    let adapter = configuration["cluster"].as_str().context("no cluster")?;
    shape.clusters = vec![http2(plain(adapter, mesh.mesh_feed.number()))];
    shape.inbound(reviews, PORT, mesh.application()?)
}

fn calling(mesh: &Mesh, own: &Identity, hosts: &[&str], reviews: &Identity, at: u16) -> Result<Proxy> {
    let folder = mesh.folder(&own.id.replace([':', '/'], "-"));
    Shape::new(folder).outbound(hosts, service(REVIEWS, PORT, at, &own.upstream(reviews, REVIEWS, PORT)))
}

#[tokio::test]
async fn the_sample_of_service_to_service_knows_the_product_page() -> Result<()> {
    let mesh = mesh("service-to-service").await?;
    let identity = |account| mesh.authority.identity("bookinfo", account);
    let reviews = identity("reviews")?;
    let sidecar = sidecar(&mesh, &folder("service-to-service"), &reviews)?;
    let hosts = ["reviews:9080", "reviews", REVIEWS];
    let page = calling(&mesh, &identity("productpage")?, &hosts, &reviews, sidecar.port)?;
    let other = calling(&mesh, &identity("ratings")?, &hosts, &reviews, sidecar.port)?;
    for host in hosts {
        answers(&page, host, PATH, 200).await?;
    }
    assert!(mesh.application.take().iter().all(|seen| seen.path == "/reviews/1"));
    let refused = answers(&other, "reviews:9080", PATH, 401).await?;
    assert_eq!(refused.json()["code"], "900901", "{}", refused.body);
    assert_eq!(mesh.application.count(), 0);
    healthy(&sidecar)
}

#[tokio::test]
async fn the_sample_of_sidecar_mode_lets_tokens_in() -> Result<()> {
    const HOST: &str = "bookinfo.example";
    let mesh = mesh("sidecar-mode").await?;
    let reviews = mesh.authority.identity("bookinfo", "reviews")?;
    let sidecar = sidecar(&mesh, &folder("sidecar-mode"), &reviews)?;
    let ingress = mesh.authority.identity("istio-system", "istio-ingressgateway-service-account")?;
    let gateway = calling(&mesh, &ingress, &[HOST], &reviews, sidecar.port)?;
    answers(&gateway, HOST, PATH, 401).await?;
    let request = client(0)?.get(format!("https://localhost:{}/testkey", mesh.ports.public));
    let token = Answer::of(request.basic_auth(USER, Some(PASSWORD))).await?;
    ensure!(token.status == 200, "/testkey answers {}", token.status);
    let bearer = format!("Bearer {}", token.body.trim());
    let answer = call(&gateway, Method::GET, HOST, PATH, &[("authorization", &bearer)]).await?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let [seen] = &mesh.application.take()[..] else { panic!("the application saw another number of requests") };
    assert_eq!((seen.path.as_str(), seen.headers.get("authorization")), ("/reviews/1", None));
    healthy(&sidecar)
}
