//! Gateways that take all from the adapter, started from what `adapter render` writes for them.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use reqwest::StatusCode;
use tempfile::TempDir;
use tollgate_tests::program::adapter;
use tollgate_tests::{ApiProject, Envoy, Gateway};

use super::manifests::accepted;
use super::schemas::{documents, title};

/// What `--target envoy-ads` writes, filled from the environment.
fn plain(gateway: &Gateway, folder: &Path) -> Result<String> {
    let certificates = gateway.adapter.state().join("certificates");
    let file = |name: &str| certificates.join(name).display().to_string();
    let ports = &gateway.ports;
    let environment = [
        ("ROUTER_ADMIN_HOST", "127.0.0.1".to_owned()),
        ("ROUTER_ADMIN_PORT", ports.envoy_admin.to_string()),
        ("ROUTER_PRIVATE_KEY_PATH", file("router.key")),
        ("ROUTER_PUBLIC_CERT_PATH", file("router.pem")),
        ("ADAPTER_CA_CERT_PATH", file("ca.pem")),
        ("ADAPTER_HOST", "127.0.0.1".to_owned()),
        ("ADAPTER_PORT", ports.xds.to_string()),
        ("ENFORCER_PORT", ports.feed.to_string()),
        ("TOLLGATE_PUBLIC_PORT", ports.public.to_string()),
    ];
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    adapter(folder, &environment, &["render", "--target", "envoy-ads"])
}

/// What `--target kubernetes` writes into the gateways' ConfigMap, with the files of their Secret.
fn kubernetes(gateway: &Gateway, folder: &Path) -> Result<String> {
    let ports = &gateway.ports;
    let config = format!(
        "[tollgate.listen]\nxds = {}\npublic = {}\n[enforcer.authService]\nport = {}\n",
        ports.xds, ports.public, ports.feed
    );
    std::fs::write(folder.join("config.toml"), config)?;
    let certificates = gateway.adapter.state().join("certificates").display().to_string();
    let arguments = ["render", "--target", "kubernetes", "--config", "config.toml", "--adapter", "127.0.0.1"];
    let objects = documents(&adapter(folder, &[], &[&arguments[..], &["--certificates", &certificates]].concat())?);
    let find = |wanted: &str| objects.iter().find(|object| title(object) == wanted).context(wanted.to_owned());
    let files = find("Secret tollgate-router-tls")?["stringData"].as_object().context("no files")?;
    for (name, text) in files {
        std::fs::write(folder.join(name), text.as_str().unwrap_or_default())?;
    }
    let bootstrap = find("ConfigMap tollgate-router")?["data"]["envoy.yaml"].as_str().context("no bootstrap")?;
    // In a pod the folder and the port are its own; here they are not.
    let here = bootstrap.replace("/etc/tollgate-tls", &folder.display().to_string());
    let admin = here.replace("port_value: 9000", &format!("port_value: {}", ports.envoy_admin));
    ensure!(admin != here, "the bootstrap has another admin port: {here}");
    Ok(admin)
}

#[tokio::test(flavor = "multi_thread")]
async fn rendered_gateways_serve() -> Result<()> {
    // Dropped after the gateway, which logs into them.
    let folders = [TempDir::new()?, TempDir::new()?];
    let mut gateway = Gateway::start().await?;
    let project =
        ApiProject::new("Rendered", "1.0.0", "/rendered").production(&gateway.backend.url()).secured("GET", "/{id}");
    gateway.deploy(&project, "/rendered/1.0.0/1").await?;
    for (folder, render) in folders.iter().zip([plain, kubernetes]) {
        let bootstrap = render(&gateway, folder.path())?;
        accepted(&bootstrap)?;
        gateway.envoy.kill()?;
        gateway.envoy = Envoy::with_bootstrap(folder.path(), &bootstrap, gateway.ports.envoy_admin, 2)?;
        gateway.wait_ready().await?;
        let token = gateway.token("").await?;
        let answer = gateway.get("/rendered/1.0.0/1", Some(&token)).await?;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(gateway.get("/rendered/1.0.0/1", None).await?.status, StatusCode::UNAUTHORIZED);
        assert_eq!(gateway.envoy.vm_failures()?, Vec::<String>::new());
    }
    Ok(())
}
