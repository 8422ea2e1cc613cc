//! The configuration that is shipped as files: Envoy accepts the bootstrap, and the module accepts what the Istio manifests
//! give it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tollgate_model::Callbacks;
use tollgate_model::contract::{ENFORCER_FILTER, PluginConfig};
use tollgate_tests::locate;

/// Variables of the bootstrap beside the paths of certificates.
const ADDRESSES: [(&str, &str); 6] = [
    ("ROUTER_ADMIN_HOST", "127.0.0.1"),
    ("ROUTER_LABEL", "Default"),
    ("HOSTNAME", "gateway-1"),
    ("ADAPTER_PORT", "18000"),
    ("ENFORCER_PORT", "8081"),
    ("TOLLGATE_PUBLIC_PORT", "9001"),
];
const PATHS: [&str; 3] = ["ROUTER_PUBLIC_CERT_PATH", "ROUTER_PRIVATE_KEY_PATH", "ADAPTER_CA_CERT_PATH"];

/// A self-signed certificate and its key, which Envoy reads when it validates.
struct Pair {
    _folder: TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

impl Pair {
    fn generate() -> Result<Self> {
        let folder = TempDir::new()?;
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let (certificate, key) = (folder.path().join("router.pem"), folder.path().join("router.key"));
        std::fs::write(&certificate, pair.cert.pem())?;
        std::fs::write(&key, pair.signing_key.serialize_pem())?;
        Ok(Self { _folder: folder, certificate, key })
    }
}

/// `adapter bootstrap` for an adapter at `host`, with nothing of our own environment.
fn bootstrap(host: &str, pair: &Pair) -> Result<Command> {
    let mut command = Command::new(locate::adapter()?);
    command.arg("bootstrap").env_clear().envs(ADDRESSES).env("ADAPTER_HOST", host);
    command.envs(PATHS.into_iter().zip([&pair.certificate, &pair.key, &pair.certificate]));
    Ok(command)
}

#[test]
fn envoy_accepts_the_bootstrap_for_names_and_addresses() -> Result<()> {
    let pair = Pair::generate()?;
    for host in ["adapter.example", "127.0.0.1", "::1"] {
        let printed = bootstrap(host, &pair)?.output()?;
        ensure!(printed.status.success(), "{host}: {}", String::from_utf8_lossy(&printed.stderr));
        let file = TempDir::new()?;
        let path = file.path().join("envoy.yaml");
        std::fs::write(&path, &printed.stdout)?;
        let verdict =
            Command::new(locate::envoy()?).args(["--mode", "validate", "--config-path"]).arg(&path).output()?;
        ensure!(verdict.status.success(), "{host}: {}", String::from_utf8_lossy(&verdict.stderr));
    }
    Ok(())
}

fn manifest(name: &str) -> Result<Value> {
    let path = locate::root().join("istio").join(name);
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("parsing {}", path.display()))
}

/// The part of a manifest that configures the module.
fn plugin<'m>(manifest: &'m Value, pointer: &str) -> Result<&'m Value> {
    manifest.pointer(pointer).with_context(|| format!("the manifest has no {pointer}"))
}

#[test]
fn the_module_accepts_the_plugin_configuration_of_both_manifests() -> Result<()> {
    let expected = PluginConfig {
        cluster: "outbound|8081||tollgate-adapter.tollgate.svc.cluster.local".to_owned(),
        authority: Some("tollgate-adapter.tollgate.svc.cluster.local".to_owned()),
        environment: "Default".to_owned(),
        managed: false,
        own_routes: false,
        callbacks: Callbacks { response_headers: true, ..Callbacks::NONE },
    };
    for (file, kind, at) in
        [("wasm-plugin.yaml", "WasmPlugin", "/spec"), ("traffic-extension.yaml", "TrafficExtension", "/spec/wasm")]
    {
        let manifest = manifest(file)?;
        let wasm = plugin(&manifest, at)?;
        assert_eq!(manifest["apiVersion"], "extensions.istio.io/v1alpha1", "{file}");
        assert_eq!(manifest["kind"], kind, "{file}");
        assert_eq!(manifest["spec"]["phase"], "AUTHN", "{file}");
        assert_eq!(wasm["failStrategy"], "FAIL_RELOAD", "{file}");
        // The root id, which the adapter gives to plain Envoy as well.
        assert_eq!(wasm["pluginName"], ENFORCER_FILTER.rsplit('.').next().unwrap_or_default(), "{file}");
        assert_eq!(serde_json::from_value::<PluginConfig>(wasm["pluginConfig"].clone())?, expected, "{file}");
    }
    Ok(())
}

#[test]
fn the_manifests_lead_to_the_adapter_they_declare() -> Result<()> {
    let text = std::fs::read_to_string(locate::root().join("istio/adapter.yaml"))?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text)?;
    let [service, rule] = documents.as_slice() else { anyhow::bail!("{} documents instead of 2", documents.len()) };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let host =
        format!("{}.{}.svc.cluster.local", text(&service["metadata"]["name"]), text(&service["metadata"]["namespace"]));
    let port = service["spec"]["ports"][0]["port"].clone();
    let settings = &rule["spec"]["trafficPolicy"]["portLevelSettings"][0];
    assert_eq!(rule["spec"]["host"], host);
    assert_eq!(settings["port"]["number"], port);
    assert_eq!(settings["tls"]["mode"], "MUTUAL");
    assert_eq!(manifest("wasm-plugin.yaml")?["spec"]["pluginConfig"]["cluster"], format!("outbound|{port}||{host}"));
    Ok(())
}

#[test]
fn every_placeholder_of_the_bootstrap_is_documented() -> Result<()> {
    let folder: &Path = &locate::root().join("envoy-config");
    let (template, page) =
        (std::fs::read_to_string(folder.join("bootstrap.yaml"))?, std::fs::read_to_string(folder.join("README.md"))?);
    let names: Vec<&str> = template.split("${").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "{name} is not in envoy-config/README.md");
    }
    Ok(())
}
