//! What goes wrong when a plugin is installed, and that it lets nobody through and says what it is.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use hyper::Response;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tollgate_tests::{Backend, locate, within};

use super::proxies::{Extension, Proxy, Shape, deny_all, local, plain, plugin, service};
use super::{ADAPTER, HOST, Mesh, PATIENCE, PLUGIN, PORT, answers, call, healthy, log};

const HEALTH: &str = "/reviews/1.0.0/health";

/// A gateway of the mesh whose only filter is the extension, in front of the application in plain text.
fn gateway(mesh: &Mesh, extension: &Extension, more: Vec<Value>) -> Result<Proxy> {
    let mut shape = Shape::new(mesh.folder("gateway"));
    shape.filters = vec![extension.filter()];
    shape.clusters = more;
    shape.discovers_clusters = true;
    shape.gateway(HOST, plain("outbound|9080||reviews", mesh.application()?))
}

fn extension(mesh: &Mesh) -> Result<Extension> {
    let folder = mesh.folder("gateway");
    std::fs::create_dir_all(&folder)?;
    Extension::new(&folder, PLUGIN)
}

async fn counted(proxy: &Proxy, stat: &str) -> Result<()> {
    within(PATIENCE, "it is counted", async || {
        let stats = proxy.envoy.stats(stat)?;
        ensure!(stats.iter().any(|(_, value)| *value > 0), "{stat}: {stats:?}");
        Ok(())
    })
    .await
}

/// Until Envoy has a plugin, and whenever Istio's agent could not get its module, everything is denied.
#[tokio::test]
async fn without_its_module_everything_is_denied() -> Result<()> {
    let mesh = Mesh::start("").await?;
    let extension = extension(&mesh)?;
    let gateway = gateway(&mesh, &extension, vec![mesh.adapter_cluster()])?;
    let configuration = Mesh::configuration(ADAPTER);
    // Nothing has been said of it.
    answers(&gateway, HOST, HEALTH, 403).await?;
    // The agent could not download it.
    extension.set(&deny_all())?;
    counted(&gateway, "extension_config_discovery.*config_reload").await?;
    answers(&gateway, HOST, HEALTH, 403).await?;
    // A file that is not there.
    let missing = mesh.folder("nowhere.wasm");
    extension.set(&plugin(PLUGIN, "enforcer", &local(&missing), &configuration))?;
    counted(&gateway, "extension_config_discovery.*(config_fail|update_rejected)").await?;
    answers(&gateway, HOST, HEALTH, 403).await?;
    assert!(log(&gateway).contains("nowhere.wasm"), "the log does not name the module");
    // A configuration that the module does not understand.
    let misspelt = json!({ "clutser": ADAPTER });
    extension.set(&plugin(PLUGIN, "enforcer", &local(&locate::module()?), &misspelt))?;
    within(PATIENCE, "the log says what is wrong", async || {
        ensure!(log(&gateway).contains("unknown field `clutser`"), "it does not");
        Ok(())
    })
    .await?;
    answers(&gateway, HOST, HEALTH, 403).await?;
    assert_eq!(mesh.application.count(), 0);
    // And then the right one.
    extension.set(&plugin(PLUGIN, "enforcer", &local(&locate::module()?), &configuration))?;
    answers(&gateway, HOST, HEALTH, 200).await?;
    answers(&gateway, HOST, "/reviews/1.0.0/7", 401).await?;
    Ok(())
}

/// Fetched modules are held against their hash.
#[tokio::test]
async fn a_module_with_another_hash_is_not_run() -> Result<()> {
    let mesh = Mesh::start("").await?;
    let extension = extension(&mesh)?;
    let bytes = std::fs::read(locate::module()?)?;
    let hash = format!("{:x}", Sha256::digest(&bytes));
    let served = Bytes::from(bytes);
    let server = Backend::answering(None, move |_| Response::new(served.clone())).await?;
    let port: u16 = server.url().rsplit_once(':').map(|(_, port)| port.parse()).transpose()?.unwrap_or_default();
    let gateway = gateway(&mesh, &extension, vec![mesh.adapter_cluster(), plain("modules", port)])?;
    let remote = |sha256: &str| {
        json!({ "remote": { "http_uri": { "uri": format!("{}/{sha256}.wasm", server.url()), "cluster": "modules", "timeout": "10s" },
                            "sha256": sha256, "retry_policy": { "num_retries": 0 } } })
    };
    let set = |sha256: &str| extension.set(&plugin(PLUGIN, "enforcer", &remote(sha256), &Mesh::configuration(ADAPTER)));
    set(&"ab".repeat(32))?;
    within(PATIENCE, "the module is fetched", async || {
        ensure!(server.count() > 0, "nobody has asked for it");
        Ok(())
    })
    .await?;
    counted(&gateway, "remote_load_fetch_failures").await?;
    for _ in 0..8 {
        let answer = call(&gateway, Method::GET, HOST, HEALTH, &[]).await?;
        assert!([403, 500, 503].contains(&answer.status.as_u16()), "{} {}", answer.status, answer.body);
    }
    assert_eq!(mesh.application.count(), 0);
    set(&hash)?;
    answers(&gateway, HOST, HEALTH, 200).await?;
    healthy(&gateway)
}

/// Nobody answers where the module should be.
#[tokio::test]
async fn a_module_that_cannot_be_downloaded_lets_nobody_through() -> Result<()> {
    let mesh = Mesh::start("").await?;
    let extension = extension(&mesh)?;
    let closed = tollgate_tests::ports::Port::free()?;
    let gateway = gateway(&mesh, &extension, vec![mesh.adapter_cluster(), plain("modules", closed.number())])?;
    let code = json!({ "remote": { "http_uri": { "uri": "http://modules/enforcer.wasm", "cluster": "modules", "timeout": "1s" },
                                   "sha256": "ab".repeat(32), "retry_policy": { "num_retries": 0 } } });
    extension.set(&plugin(PLUGIN, "enforcer", &code, &Mesh::configuration(ADAPTER)))?;
    counted(&gateway, "remote_load_fetch_failures").await?;
    for _ in 0..8 {
        let answer = call(&gateway, Method::GET, HOST, HEALTH, &[]).await?;
        assert!([403, 500, 503].contains(&answer.status.as_u16()), "{} {}", answer.status, answer.body);
    }
    assert_eq!(mesh.application.count(), 0);
    extension.set(&plugin(PLUGIN, "enforcer", &local(&locate::module()?), &Mesh::configuration(ADAPTER)))?;
    answers(&gateway, HOST, HEALTH, 200).await?;
    healthy(&gateway)
}

/// A wrong name of the adapter's cluster is told by its name, counted, answered at once, and forgotten when it is there.
#[tokio::test]
async fn a_missing_cluster_is_named_and_heals_by_itself() -> Result<()> {
    let mesh = Mesh::start("").await?;
    let extension = extension(&mesh)?;
    extension.set(&plugin(PLUGIN, "enforcer", &local(&locate::module()?), &Mesh::configuration(ADAPTER)))?;
    let gateway = gateway(&mesh, &extension, Vec::new())?;
    let refused = answers(&gateway, HOST, HEALTH, 503).await?;
    assert_eq!(refused.json()["code"], "102500", "{}", refused.body);
    counted(&gateway, "tollgate_adapter_cluster_missing_total").await?;
    let said = format!("this Envoy has no cluster {ADAPTER}");
    assert!(log(&gateway).contains(&said), "{}", log(&gateway));
    assert_eq!(mesh.application.count(), 0);

    gateway.discover_clusters(&[mesh.adapter_cluster()])?;
    answers(&gateway, HOST, HEALTH, 200).await?;
    healthy(&gateway)
}

/// A network policy that lets nothing through to the adapter: the cluster is there, and nobody answers.
#[tokio::test]
async fn an_adapter_that_cannot_be_reached_lets_nobody_through() -> Result<()> {
    let mesh = Mesh::start("").await?;
    let extension = extension(&mesh)?;
    extension.set(&plugin(PLUGIN, "enforcer", &local(&locate::module()?), &Mesh::configuration(ADAPTER)))?;
    // A port that nobody listens on.
    let closed = tollgate_tests::ports::Port::free()?;
    let gateway = gateway(&mesh, &extension, vec![plain(ADAPTER, closed.number())])?;
    let refused = answers(&gateway, HOST, HEALTH, 503).await?;
    assert_eq!(refused.json()["code"], "102500", "{}", refused.body);
    counted(&gateway, "tollgate_feed_failures_total").await?;
    assert!(log(&gateway).contains("feed answers 503"), "{}", log(&gateway));
    assert_eq!(mesh.application.count(), 0);
    healthy(&gateway)
}

/// A network policy that swallows what is sent: connections hang. Nobody is kept waiting, and nobody gets through.
#[tokio::test]
async fn an_adapter_that_is_silent_keeps_nobody_waiting() -> Result<()> {
    let mesh = Mesh::start("").await?;
    let extension = extension(&mesh)?;
    extension.set(&plugin(PLUGIN, "enforcer", &local(&locate::module()?), &Mesh::configuration(ADAPTER)))?;
    // The system takes connections for it, and nobody ever reads from them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let gateway = gateway(&mesh, &extension, vec![plain(ADAPTER, silent.local_addr()?.port())])?;
    let refused = answers(&gateway, HOST, HEALTH, 503).await?;
    assert_eq!(refused.json()["code"], "102500", "{}", refused.body);
    for _ in 0..8 {
        let began = Instant::now();
        let answer = call(&gateway, Method::GET, HOST, HEALTH, &[]).await?;
        assert_eq!(answer.status, 503, "{}", answer.body);
        // Polls wait for as long as half a minute; requests do not.
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
    assert_eq!(mesh.application.count(), 0);
    healthy(&gateway)
}

/// A module that traps comes back (FAIL_RELOAD), and in between nobody gets through.
#[tokio::test]
async fn a_trapped_module_comes_back_in_a_mesh() -> Result<()> {
    let mesh = Mesh::start("").await?;
    let extension = extension(&mesh)?;
    extension.set(&plugin(PLUGIN, "enforcer", &local(&locate::trap_module()?), &Mesh::configuration(ADAPTER)))?;
    let gateway = gateway(&mesh, &extension, vec![mesh.adapter_cluster()])?;
    answers(&gateway, HOST, HEALTH, 200).await?;
    mesh.application.forget();
    let trapped = call(&gateway, Method::GET, HOST, HEALTH, &[("x-tollgate-trap", "1")]).await?;
    assert_eq!(trapped.status, 503, "{}", trapped.body);
    for _ in 0..8 {
        let answer = call(&gateway, Method::GET, HOST, "/reviews/1.0.0/7", &[]).await?;
        assert!([401, 503].contains(&answer.status.as_u16()), "{} {}", answer.status, answer.body);
    }
    assert_eq!(mesh.application.count(), 0);
    assert_ne!(gateway.envoy.vm_failures()?, Vec::<String>::new(), "the module did not trap");
    answers(&gateway, HOST, HEALTH, 200).await?;
    Ok(())
}

/// Several gateways and sidecars share one adapter, each with a snapshot of its own.
#[tokio::test]
async fn proxies_share_one_adapter() -> Result<()> {
    let mesh = Mesh::start("").await?;
    let proxies = (0..3).map(|number| {
        let name = format!("gateway-{number}");
        let mut shape = Shape::new(mesh.folder(&name));
        shape.filters = vec![mesh.enforcer(&locate::module()?, &name)?.filter()];
        shape.clusters = vec![mesh.adapter_cluster()];
        shape.gateway(HOST, plain("outbound|9080||reviews", mesh.application()?))
    });
    let proxies = proxies.collect::<Result<Vec<Proxy>>>()?;
    let (reviews, caller) = (mesh.authority.identity("default", "reviews")?, mesh.authority.identity("shop", "page")?);
    let sidecar = mesh.sidecar(&reviews, &mesh.enforcer(&locate::module()?, "sidecar")?)?;
    let upstream = service(HOST, PORT, sidecar.port, &caller.upstream(&reviews, HOST, PORT));
    let page = Shape::new(mesh.folder("page")).outbound(&[HOST], upstream)?;
    for proxy in &proxies {
        answers(proxy, HOST, HEALTH, 200).await?;
    }
    answers(&page, HOST, HEALTH, 200).await?;
    mesh.adapter.undeploy("Reviews", "1.0.0").await?;
    for proxy in &proxies {
        answers(proxy, HOST, HEALTH, 404).await?;
        healthy(proxy)?;
    }
    answers(&page, HOST, HEALTH, 404).await?;
    healthy(&sidecar)
}
