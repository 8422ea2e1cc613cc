//! Plain Envoy whose listener, routes and clusters are the user's, with the enforcer in front of them.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use reqwest::{Method, StatusCode};
use tempfile::TempDir;
use tollgate_model::contract::CLUSTER_HEADER;
use tollgate_tests::adapter::{Adapter, AdapterConfig, PASSWORD, USER};
use tollgate_tests::http::{Answer, client};
use tollgate_tests::ports::Ports;
use tollgate_tests::program::adapter;
use tollgate_tests::{Backend, Envoy, eventually, locate};

use crate::apis::pets;

/// An adapter, a backend, and an Envoy that has its own routes.
struct OwnRoutes {
    envoy: Envoy,
    adapter: Adapter,
    backend: Backend,
    ports: Ports,
    folder: TempDir,
}

impl OwnRoutes {
    /// `delivery` are further arguments of `adapter render`.
    async fn start(delivery: &[&str]) -> Result<Self> {
        let folder = TempDir::with_prefix("tollgate-own-")?;
        let (ports, backend) = (Ports::free()?, Backend::start().await?);
        let config =
            AdapterConfig { state: folder.path().join("state"), module: locate::module()?, ..AdapterConfig::default() };
        let adapter = Adapter::start(folder.path(), &config, &ports).await?;
        adapter.deploy(pets(&backend).zip()?).await?;
        let bootstrap = rendered(folder.path(), adapter.state(), &ports, &backend, delivery)?;
        validate(folder.path(), &bootstrap)?;
        let envoy = Envoy::with_bootstrap(folder.path(), &bootstrap, ports.envoy_admin, 2)?;
        Ok(Self { envoy, adapter, backend, ports, folder })
    }

    async fn get(&self, path: &str, token: Option<&str>) -> Result<Answer> {
        let request = client(0)?.request(Method::GET, format!("http://localhost:{}{path}", self.ports.http));
        Answer::of(match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
        .await
    }

    async fn token(&self) -> Result<String> {
        let request = client(0)?.get(format!("https://localhost:{}/testkey", self.ports.public));
        let answer = Answer::of(request.basic_auth(USER, Some(PASSWORD))).await?;
        ensure!(answer.status == StatusCode::OK, "/testkey answers {}", answer.status);
        Ok(answer.body)
    }
}

fn rendered(folder: &Path, state: &Path, ports: &Ports, backend: &Backend, delivery: &[&str]) -> Result<String> {
    let certificates = state.join("certificates");
    let file = |name: &str| certificates.join(name).display().to_string();
    let (key, certificate, ca) = (file("router.key"), file("router.pem"), file("ca.pem"));
    let [admin, http, feed, public] = [ports.envoy_admin, ports.http, ports.feed, ports.public].map(|p| p.to_string());
    let url = backend.url();
    let upstream = url.rsplit_once(':').context("the backend has no port")?.1;
    let environment = [
        ("ROUTER_ADMIN_PORT", admin.as_str()),
        ("ROUTER_PRIVATE_KEY_PATH", &key),
        ("ROUTER_PUBLIC_CERT_PATH", &certificate),
        ("ADAPTER_CA_CERT_PATH", &ca),
        ("ENFORCER_HOST", "127.0.0.1"),
        ("ENFORCER_PORT", &feed),
        ("TOLLGATE_PUBLIC_PORT", &public),
        ("LISTENER_HOST", "127.0.0.1"),
        ("LISTENER_PORT", &http),
        ("UPSTREAM_PORT", upstream),
    ];
    adapter(folder, &environment, &[&["render", "--target", "envoy"], delivery].concat())
}

fn validate(folder: &Path, bootstrap: &str) -> Result<()> {
    let path = folder.join("validated.yaml");
    std::fs::write(&path, bootstrap)?;
    let mut command = std::process::Command::new(locate::envoy()?);
    let verdict = command.args(["--mode", "validate", "--config-path"]).arg(&path).output()?;
    ensure!(verdict.status.success(), "{}", String::from_utf8_lossy(&verdict.stderr));
    Ok(())
}

/// What a user expects of such a gateway, however it got the module.
async fn serves(gateway: &mut OwnRoutes) {
    let token = gateway.token().await.unwrap();
    eventually("the own routes serve", async || {
        gateway.envoy.check_running()?;
        let answer = gateway.get("/pets/1.0.0/pet/5?x=1", Some(&token)).await?;
        ensure!(answer.status == StatusCode::OK, "{} {}", answer.status, answer.body);
        Ok(())
    })
    .await
    .unwrap();
    gateway.backend.forget();
    let answer = gateway.get("/pets/1.0.0/pet/5?x=1", Some(&token)).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let [seen] = &gateway.backend.take()[..] else { panic!("the backend saw another number of requests than one") };
    assert_eq!((seen.path.as_str(), seen.query.as_deref()), ("/v2/pet/5", Some("x=1")));
    assert_eq!((seen.headers.get("authorization"), seen.headers.get(CLUSTER_HEADER)), (None, None));
    for (path, token, status) in [
        ("/pets/1.0.0/pet/5", None, StatusCode::UNAUTHORIZED),
        ("/pets/1.0.0/pet/5", Some("nonsense"), StatusCode::UNAUTHORIZED),
        ("/pets/1.0.0/nothing", Some(&*token), StatusCode::NOT_FOUND),
        ("/", Some(&token), StatusCode::NOT_FOUND),
    ] {
        let answer = gateway.get(path, token).await.unwrap();
        assert_eq!(answer.status, status, "{path} {}", answer.body);
    }
    assert!(gateway.backend.take().is_empty(), "a refused request reached the backend");
    assert_eq!(gateway.envoy.vm_failures().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn routes_of_ones_own_are_guarded_by_a_module_from_a_file() {
    let module = locate::module().unwrap().display().to_string();
    let mut gateway = OwnRoutes::start(&["--file", &module]).await.unwrap();
    serves(&mut gateway).await;
    // What Kubernetes asks of the adapter.
    let probe = |what: &str| adapter(gateway.folder.path(), &[], &["probe", what, "--config", "config.toml"]);
    assert!(probe("ready").is_ok() && probe("health").is_ok());
    // The adapter may go: what is known stays enforced.
    gateway.adapter.kill().unwrap();
    assert!(probe("ready").is_err() && probe("health").is_err());
    let token_less = gateway.get("/pets/1.0.0/pet/5", None).await.unwrap();
    assert_eq!(token_less.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn routes_of_ones_own_are_guarded_by_a_module_from_the_adapter() {
    let module = locate::module().unwrap().display().to_string();
    let mut gateway = OwnRoutes::start(&["--delivery", "http", "--wasm", &module]).await.unwrap();
    serves(&mut gateway).await;
}

/// The adapter serves the module, but it is not the one that the bootstrap expects.
#[tokio::test]
async fn a_module_with_another_hash_is_not_run_and_nothing_passes() {
    let module = locate::module().unwrap().display().to_string();
    let wrong = "0".repeat(64);
    let gateway = OwnRoutes::start(&["--delivery", "http", "--wasm", &module, "--sha256", &wrong]).await.unwrap();
    let token = gateway.token().await.unwrap();
    eventually("Envoy has fetched, does not like what it got, and fetches again", async || {
        let fetched = gateway.envoy.stats("cluster.tollgate_public.upstream_rq_200")?;
        ensure!(fetched.iter().any(|(_, count)| *count > 1), "{fetched:?}");
        Ok(())
    })
    .await
    .unwrap();
    for _ in 0..8 {
        // Either Envoy does not listen, or it refuses.
        if let Ok(answer) = gateway.get("/pets/1.0.0/pet/5", Some(&token)).await {
            assert!(answer.status.is_server_error(), "{} {}", answer.status, answer.body);
        }
    }
    assert!(gateway.backend.take().is_empty(), "a request passed without the enforcer");
}
