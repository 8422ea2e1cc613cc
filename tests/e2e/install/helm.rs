//! The Helm chart: it says what `adapter render` says, and refuses what could not work.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use tollgate_tests::locate;
use tollgate_tests::program::adapter;

use super::schemas::{conforms, documents, title};

const HASH: &str = "00000000000000000000000000000000000000000000000000000000000000aa";
/// Helm compiled from source knows no version of Kubernetes by itself.
const KUBERNETES: &str = "1.34.0";

fn chart() -> String {
    locate::root().join("istio/helm").display().to_string()
}

fn helm(arguments: &[&str]) -> Output {
    Command::new(locate::helm().unwrap()).args(arguments).output().unwrap()
}

/// The objects that the chart makes of these values.
fn template(values: &[&str]) -> Result<BTreeMap<String, Value>, String> {
    let mut arguments = vec!["template", "tollgate"];
    let chart = chart();
    arguments.extend([&*chart, "--namespace", "tollgate", "--kube-version", KUBERNETES]);
    values.iter().for_each(|value| arguments.extend(["--set", value]));
    let Output { status, stdout, stderr } = helm(&arguments);
    if !status.success() {
        return Err(String::from_utf8_lossy(&stderr).into_owned());
    }
    Ok(by_title(documents(&String::from_utf8(stdout).unwrap())))
}

fn by_title(documents: Vec<Value>) -> BTreeMap<String, Value> {
    let count = documents.len();
    let named: BTreeMap<String, Value> = documents.into_iter().map(|document| (title(&document), document)).collect();
    assert_eq!(named.len(), count, "two objects have one name");
    named
}

/// The objects that the adapter renders.
fn rendered(commands: &[&[&str]]) -> BTreeMap<String, Value> {
    let folder = TempDir::new().unwrap();
    let one = |arguments: &&[&str]| {
        documents(&adapter(folder.path(), &[], &[&["render", "--target"][..], arguments].concat()).unwrap())
    };
    by_title(commands.iter().flat_map(one).collect())
}

#[test]
fn the_chart_is_sound() {
    let lint = helm(&["lint", "--strict", &chart(), "--kube-version", KUBERNETES]);
    assert!(lint.status.success(), "{}", String::from_utf8_lossy(&lint.stdout));
}

#[test]
fn the_chart_and_the_adapter_say_the_same() {
    let account = "istio-system/istio-ingressgateway-service-account";
    let url = "plugin.url=oci://registry.example/tollgate/enforcer:0.1.0";
    let hash = format!("plugin.sha256={HASH}");
    let caller = format!("proxies.callers[0]={account}");
    for (values, commands) in [
        (vec![], vec![vec!["kubernetes"]]),
        (
            vec!["adapter.storage=none", "router.replicas=0", "environment=Blue", "virtualHost=blue.example"],
            vec![vec![
                "kubernetes",
                "--storage",
                "none",
                "--router-replicas",
                "0",
                "--environment",
                "Blue",
                "--virtual-host",
                "blue.example",
            ]],
        ),
        (vec!["plugin.kind=WasmPlugin", url, &hash], vec![vec!["kubernetes"], vec!["istio", "--sha256", HASH]]),
        (
            vec![
                "plugin.kind=TrafficExtension",
                url,
                &hash,
                "link=mesh",
                &caller,
                "proxies.inbound=true",
                "router.replicas=3",
            ],
            vec![
                vec!["kubernetes", "--link", "mesh", "--caller", account, "--router-replicas", "3"],
                vec!["istio-ext", "--sha256", HASH, "--link", "mesh", "--caller", account, "--inbound"],
            ],
        ),
    ] {
        let made = template(&values).unwrap();
        let commands: Vec<&[&str]> = commands.iter().map(Vec::as_slice).collect();
        let expected = rendered(&commands);
        assert_eq!(made.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{values:?}");
        for (name, object) in &made {
            conforms(object);
            assert_eq!(object, &expected[name], "{name} with {values:?}");
        }
    }
}

/// With analytics, by what the chart's own configuration says.
#[test]
fn the_chart_and_the_adapter_say_the_same_of_analytics() {
    let account = "istio-system/istio-ingressgateway-service-account";
    let url = "plugin.url=oci://registry.example/tollgate/enforcer:0.1.0";
    let (hash, caller) = (format!("plugin.sha256={HASH}"), format!("proxies.callers[0]={account}"));
    let mesh = ["link=mesh", &caller, "proxies.inbound=true"];
    for (more, arguments) in [(&[][..], &[][..]), (&mesh[..], &["--link", "mesh", "--caller", account, "--inbound"])] {
        let made = template(&[&["analytics=true", "plugin.kind=WasmPlugin", url, &hash][..], more].concat()).unwrap();
        let folder = TempDir::new().unwrap();
        let config = made["ConfigMap tollgate-adapter"]["data"]["config.toml"].as_str().unwrap();
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        let config = folder.path().join("config.toml").display().to_string();
        let common = [&["--config", &config][..], arguments].concat();
        let (adapter, proxies) =
            ([&["kubernetes"][..], &common].concat(), [&["istio", "--sha256", HASH][..], &common].concat());
        let expected = rendered(&[&adapter, &proxies]);
        assert_eq!(made.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{more:?}");
        assert!(made.contains_key("EnvoyFilter tollgate-analytics"));
        for (name, object) in &made {
            conforms(object);
            assert_eq!(object, &expected[name], "{name} with {more:?}");
        }
    }
}

#[test]
fn gateways_of_the_chart_start_from_the_same_bootstrap() {
    let read = |path: &str| std::fs::read_to_string(locate::root().join(path)).unwrap();
    assert_eq!(read("istio/helm/files/bootstrap.yaml"), read("envoy-config/bootstrap.yaml"));
}

#[test]
fn values_that_could_not_work_are_refused() {
    for (values, part) in [
        (vec!["adapter.replicas=2"], "storage"),
        (vec!["link=mesh"], "callers"),
        (vec!["link=tsl"], "link"),
        (vec!["plugin.kind=WasmPlugin"], "sha256"),
        (vec!["plugin.kind=WasmPlugin", "plugin.url=enforcer.wasm", "plugin.sha256=x"], "url"),
        (vec!["ports.xds=0"], "xds"),
        (vec!["adaptor.replicas=1"], "adaptor"),
    ] {
        let said = template(&values).unwrap_err();
        assert!(said.contains("values don't meet the specifications") && said.contains(part), "{values:?}: {said}");
    }
}

#[test]
fn the_chart_has_the_version_of_the_project() {
    let text = std::fs::read_to_string(locate::root().join("istio/helm/Chart.yaml")).unwrap();
    let chart: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!((&chart["version"], &chart["appVersion"]), (&env!("CARGO_PKG_VERSION").into(), &chart["version"]));
}
