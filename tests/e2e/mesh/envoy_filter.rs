//! `EnvoyFilter` as `adapter render` writes it, put into proxies as istiod does: bodies are seen before headers go on, and the
//! proxies tell the adapter what has become of requests.

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tollgate_tests::http::{Answer, client};
use tollgate_tests::program::adapter as run;
use tollgate_tests::{locate, project, within};

use super::proxies::{self, Extension, Proxy, Shape, plain};
use super::{HOST, Mesh, PATIENCE, healthy};
use crate::install::schemas::documents;

const LIBRARY: &str = "/library/1.0.0";

/// The patches of all objects of that kind, by what they apply to.
struct Patches(Vec<Value>);

impl Patches {
    fn rendered(mesh: &Mesh) -> Result<Self> {
        let config = mesh.folder("rendered.toml");
        let text = format!(
            "{}[tollgate.listen]\nxds = {}\n[enforcer.authService]\nport = {}\n",
            mesh.events.config(),
            mesh.ports.xds,
            mesh.ports.feed
        );
        std::fs::write(&config, text).context("writing the configuration")?;
        let (config, module) = (config.display().to_string(), locate::module()?.display().to_string());
        let arguments = "render --target istio-envoyfilter --delivery file --callbacks all";
        let arguments: Vec<&str> =
            arguments.split_whitespace().chain(["--config", &*config, "--file", &*module]).collect();
        let objects = documents(&run(mesh.folder.path(), &[], &arguments)?);
        let filters = objects.into_iter().filter(|object| object["kind"] == "EnvoyFilter");
        Ok(Self(filters.flat_map(|object| object["spec"]["configPatches"].as_array().cloned()).flatten().collect()))
    }

    fn value(&self, applies_to: &str) -> &Value {
        let found = self.0.iter().find(|patch| patch["applyTo"] == applies_to);
        &found.unwrap_or_else(|| panic!("no patch for {applies_to}"))["patch"]["value"]
    }
}

/// The ingress gateway with all patches, and the clusters that istiod makes of the adapter's service.
fn gateway(mesh: &Mesh, patches: &Patches) -> Result<Proxy> {
    let folder = mesh.folder("patched");
    std::fs::create_dir_all(&folder)?;
    let (resource, place) = (patches.value("EXTENSION_CONFIG"), patches.value("HTTP_FILTER"));
    assert_eq!(resource["name"], place["name"]);
    let extension = Extension::named(&folder, place["name"].as_str().unwrap_or_default())?;
    extension.set(&resource["typed_config"])?;
    let log = patches.value("NETWORK_FILTER")["typed_config"]["access_log"].as_array().context("no access log")?;
    let certificates = mesh.adapter.state().join("certificates");
    let host = "tollgate-adapter.tollgate.svc.cluster.local";
    let service = |port: u16| proxies::adapter(&format!("outbound|{port}||{host}"), port, &certificates);
    let mut shape = Shape::new(folder);
    shape.filters = vec![extension.filter()];
    shape.access_logs.clone_from(log);
    shape.clusters = vec![service(mesh.ports.feed), proxies::http2(service(mesh.ports.xds))];
    shape.gateway(HOST, plain("outbound|9080||library", mesh.application()?))
}

async fn ask(proxy: &Proxy, case: &str, query: &str) -> Result<Answer> {
    let request = client(0)?.request(Method::POST, format!("http://localhost:{}{LIBRARY}", proxy.port));
    let request = request.header("host", HOST).header("content-type", "application/json").header("x-case", case);
    Answer::of(request.body(json!({ "query": query }).to_string())).await
}

#[tokio::test]
async fn patched_proxies_see_bodies_and_tell_the_adapter() -> Result<()> {
    let mesh = Mesh::start("applications: []").await?;
    mesh.adapter.deploy(project::sample("graphql", &format!("http://{HOST}:9080"))?).await?;
    let patches = Patches::rendered(&mesh)?;
    let proxy = gateway(&mesh, &patches)?;
    within(PATIENCE, "the API is served", async || {
        let answer = ask(&proxy, "first", "{books {id}}").await?;
        anyhow::ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        Ok(())
    })
    .await?;
    let served = ask(&proxy, "served", "{books {id}}").await?;
    assert_eq!(served.status, 200, "{}", served.body);
    // What a query asks for stands in its body.
    let refused = ask(&proxy, "refused", "mutation {lend(book: \"1\") {id}}").await?;
    assert_eq!(refused.status, 401, "{}", refused.body);
    let (name, event) = mesh.events.of("refused").await?;
    let found = (name.as_str(), &event["apiType"], &event["errorCode"]);
    assert_eq!(found, ("apim:faulty", &json!("GRAPHQL"), &json!(900_901)), "{event}");
    let (name, event) = mesh.events.of("served").await?;
    assert_eq!((name.as_str(), &event["apiName"]), ("apim:response", &json!("Library")), "{event}");
    healthy(&proxy)
}
