//! What `adapter render` writes: in the terms of those who read it, and refused where it could not work.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate_model::Callbacks;
use tollgate_model::contract::PluginConfig;
use tollgate_tests::locate;
use tollgate_tests::program::{adapter, adapter_refuses};

use super::schemas::{conforms, documents, title};

const HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const GATEWAY_ACCOUNT: &str = "istio-system/istio-ingressgateway-service-account";

fn render(arguments: &[&str]) -> Vec<Value> {
    let folder = TempDir::new().unwrap();
    let text = adapter(folder.path(), &[], &[&["render", "--target"], arguments].concat()).unwrap();
    assert!(text.starts_with("# Made by: adapter render --target "), "{text}");
    documents(&text)
}

fn find<'d>(documents: &'d [Value], wanted: &str) -> &'d Value {
    documents.iter().find(|document| title(document) == wanted).unwrap_or_else(|| panic!("no {wanted}"))
}

#[test]
fn all_manifests_are_what_kubernetes_and_istio_declare() {
    let mesh = ["--link", "mesh", "--caller", GATEWAY_ACCOUNT];
    let sidecars = ["--inbound", "--proxy-namespace", "shop", "--selector", "app=reviews,version=v1"];
    for (arguments, kinds) in [
        (vec!["istio", "--sha256", HASH], "WasmPlugin DestinationRule"),
        (vec!["istio-ext", "--sha256", HASH], "TrafficExtension DestinationRule"),
        (vec!["istio-envoyfilter", "--sha256", HASH, "--callbacks", "all"], "EnvoyFilter DestinationRule"),
        (vec!["istio", "--delivery", "http", "--sha256", HASH], "WasmPlugin DestinationRule"),
        (vec!["istio", "--delivery", "file"], "WasmPlugin DestinationRule"),
        (vec!["istio-envoyfilter", "--delivery", "file", "--inbound"], "EnvoyFilter DestinationRule"),
        (
            vec!["istio-ext", "--sha256", HASH, "--adapter", "tollgate.example"],
            "TrafficExtension ServiceEntry DestinationRule",
        ),
        (
            [&["istio-ext", "--sha256", HASH][..], &mesh, &sidecars].concat(),
            "TrafficExtension DestinationRule Sidecar PeerAuthentication AuthorizationPolicy",
        ),
        (
            vec!["kubernetes"],
            "ServiceAccount ConfigMap PersistentVolumeClaim Deployment Service PodDisruptionBudget NetworkPolicy \
             ServiceAccount ConfigMap Deployment Service PodDisruptionBudget",
        ),
        (
            [&["kubernetes", "--router-replicas", "0", "--storage", "none"][..], &mesh].concat(),
            "ServiceAccount ConfigMap Deployment Service PodDisruptionBudget NetworkPolicy",
        ),
    ] {
        let documents = render(&arguments);
        let found: Vec<&str> = documents.iter().filter_map(|document| document["kind"].as_str()).collect();
        assert_eq!(found.join(" "), kinds, "{arguments:?}");
        documents.iter().for_each(conforms);
    }
}

#[test]
fn the_plugin_is_told_what_the_module_understands() {
    let host = "tollgate-adapter.gate.svc.cluster.local";
    let expected = |port: u16, callbacks| PluginConfig {
        cluster: format!("outbound|{port}||{host}"),
        authority: Some(host.to_owned()),
        environment: "Default".to_owned(),
        managed: false,
        own_routes: false,
        callbacks,
    };
    let headers = Callbacks { response_headers: true, ..Callbacks::NONE };
    let common = ["--namespace", "gate", "--sha256", HASH];
    for (target, at) in [("istio", "/spec"), ("istio-ext", "/spec/wasm")] {
        let documents = render(&[&[target][..], &common].concat());
        let wasm = documents[0].pointer(at).unwrap();
        assert_eq!(
            serde_json::from_value::<PluginConfig>(wasm["pluginConfig"].clone()).unwrap(),
            expected(8081, headers)
        );
        assert_eq!((&wasm["failStrategy"], &wasm["pluginName"]), (&json!("FAIL_RELOAD"), &json!("enforcer")));
        assert_eq!((&wasm["sha256"], &documents[0]["spec"]["phase"]), (&json!(HASH), &json!("AUTHN")));
        // The way to the adapter is that of the cluster which the module asks for.
        let settings = &documents[1]["spec"]["trafficPolicy"]["portLevelSettings"][0];
        assert_eq!((&documents[1]["spec"]["host"], &settings["port"]["number"]), (&json!(host), &json!(8081)));
    }
    let mesh = ["--link", "mesh", "--caller", GATEWAY_ACCOUNT, "--callbacks", "request-body"];
    let documents = render(&[&["istio-envoyfilter"][..], &common, &mesh].concat());
    let plugin = &documents[0]["spec"]["configPatches"][0]["patch"]["value"]["typed_config"]["config"];
    let text = plugin["configuration"]["value"].as_str().unwrap();
    let body = Callbacks { request_body: true, ..Callbacks::NONE };
    assert_eq!(serde_json::from_str::<PluginConfig>(text).unwrap(), expected(8083, body));
    assert_eq!(plugin["allow_on_headers_stop_iteration"], true);
    assert_eq!(plugin["vm_config"]["code"]["remote"]["sha256"], HASH);
    // Or else Envoy would take one fetched module for another.
    assert_eq!(plugin["vm_config"]["configuration"]["value"], HASH);
    let policy = find(&documents, "AuthorizationPolicy tollgate-adapter");
    let from = &policy["spec"]["rules"][0]["from"][0]["source"]["notPrincipals"];
    assert_eq!(from, &json!([format!("cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account")]));
    assert_eq!(policy["spec"]["rules"][0]["to"][0]["operation"]["ports"], json!(["8083"]));
    let sidecar = find(&documents, "Sidecar tollgate-adapter");
    assert_eq!(sidecar["spec"]["ingress"][0]["defaultEndpoint"], "127.0.0.1:8083");
}

#[test]
fn analytics_bring_an_access_log_and_the_way_for_it() {
    let folder = TempDir::new().unwrap();
    let config = "[analytics]\nenabled = true\ntype = 'ELK'\n[tollgate.listen]\nmeshFeed = 8083\n";
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    let render = |arguments: &[&str]| {
        let arguments = [&["render", "--config", "config.toml", "--target"][..], arguments].concat();
        let objects = documents(&adapter(folder.path(), &[], &arguments).unwrap());
        objects.iter().for_each(conforms);
        objects
    };
    let host = "tollgate-adapter.tollgate.svc.cluster.local";
    let mesh = ["--link", "mesh", "--caller", GATEWAY_ACCOUNT, "--inbound"];
    for (more, context, logs, ports) in [
        (&[][..], "GATEWAY", 18000, vec![8081, 18000]),
        (&mesh[..], "SIDECAR_INBOUND", 8083, vec![8083]),
        (&["--adapter", "tollgate.example"], "GATEWAY", 18000, vec![8081, 18000]),
    ] {
        for target in ["istio", "istio-ext", "istio-envoyfilter"] {
            let objects = render(&[&[target, "--sha256", HASH][..], more].concat());
            let patch = &find(&objects, "EnvoyFilter tollgate-analytics")["spec"]["configPatches"][0];
            assert_eq!(patch["match"]["context"], context, "{target} {more:?}");
            let log = &patch["patch"]["value"]["typed_config"]["access_log"][0]["typed_config"]["common_config"];
            assert_eq!(log["filter_state_objects_to_log"], json!(["wasm.tollgate"]));
            let host = if more.contains(&"tollgate.example") { "tollgate.example" } else { host };
            let cluster = log["grpc_service"]["envoy_grpc"]["cluster_name"].as_str();
            assert_eq!(cluster, Some(&*format!("outbound|{logs}||{host}")), "{target} {more:?}");
            let settings =
                &find(&objects, "DestinationRule tollgate-adapter")["spec"]["trafficPolicy"]["portLevelSettings"];
            let numbers = settings.as_array().unwrap().iter().filter_map(|setting| setting["port"]["number"].as_u64());
            assert_eq!(numbers.collect::<Vec<_>>(), ports, "{target} {more:?}");
        }
    }
    // The proxies get to that port too.
    let objects = render(&["kubernetes"]);
    let rule = &find(&objects, "NetworkPolicy tollgate-adapter")["spec"]["ingress"][1]["ports"];
    assert_eq!(rule, &json!([{ "protocol": "TCP", "port": 8081 }, { "protocol": "TCP", "port": 18000 }]));
}

/// What an `EnvoyFilter` carries is a matter of Envoy's, which no schema of Istio's checks.
#[test]
fn envoy_accepts_what_the_envoy_filter_carries() {
    let module = locate::module().unwrap().display().to_string();
    for callbacks in ["none", "response-headers", "all"] {
        let arguments = ["istio-envoyfilter", "--delivery", "file", "--file", &module, "--callbacks", callbacks];
        let documents = render(&arguments);
        let extension = &documents[0]["spec"]["configPatches"][0]["patch"]["value"];
        let filter = &documents[0]["spec"]["configPatches"][1]["patch"]["value"];
        assert_eq!(extension["name"], filter["name"]);
        assert_eq!(filter["config_discovery"]["config_source"]["initial_fetch_timeout"], "0s");
        let manager =
            "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
        let router = json!({ "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" });
        let bootstrap = json!({ "static_resources": { "listeners": [{
            "name": "a",
            "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } },
            "filter_chains": [{ "filters": [{ "name": "hcm", "typed_config": {
                "@type": manager,
                "stat_prefix": "a",
                "http_filters": [extension, { "name": "router", "typed_config": router }],
                "route_config": { "virtual_hosts": [{ "name": "a", "domains": ["*"], "routes": [] }] },
            } }] }],
        }] } });
        accepted(&bootstrap.to_string()).unwrap();
    }
}

/// That Envoy accepts a bootstrap.
pub fn accepted(bootstrap: &str) -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("envoy.yaml");
    std::fs::write(&path, bootstrap)?;
    let mut command = Command::new(locate::envoy()?);
    let verdict = command.args(["--mode", "validate", "--config-path"]).arg(&path).output()?;
    ensure!(verdict.status.success(), "{}", String::from_utf8_lossy(&verdict.stderr));
    Ok(())
}

/// Certificates as `adapter certificates` makes them.
fn certificates(folder: &Path) -> String {
    adapter(folder, &[], &["certificates", "made", "--name", "tollgate-adapter.tollgate.svc.cluster.local"]).unwrap();
    folder.join("made").display().to_string()
}

#[test]
fn gateways_in_kubernetes_start_from_a_bootstrap_that_envoy_accepts() {
    let folder = TempDir::new().unwrap();
    let made = certificates(folder.path());
    let documents = render(&["kubernetes", "--certificates", &made]);
    let bootstrap = find(&documents, "ConfigMap tollgate-router")["data"]["envoy.yaml"].as_str().unwrap();
    assert!(bootstrap.contains("tollgate-adapter.tollgate.svc.cluster.local"));
    let secret = find(&documents, "Secret tollgate-router-tls");
    let mut here = bootstrap.to_owned();
    for (name, content) in secret["stringData"].as_object().unwrap() {
        std::fs::write(folder.path().join(name), content.as_str().unwrap()).unwrap();
    }
    here = here.replace("/etc/tollgate-tls", &folder.path().display().to_string());
    accepted(&here).unwrap();
}

#[test]
fn the_adapter_in_kubernetes_accepts_its_configuration_and_may_do_little() {
    let folder = TempDir::new().unwrap();
    let made = certificates(folder.path());
    let arguments = ["render", "--target", "kubernetes", "--certificates", &made, "--secrets", "adapter_admin_pwd"];
    let documents = documents(&adapter(folder.path(), &[("adapter_admin_pwd", "hush")], &arguments).unwrap());
    documents.iter().for_each(conforms);
    let config = find(&documents, "ConfigMap tollgate-adapter")["data"]["config.toml"].as_str().unwrap();
    std::fs::write(folder.path().join("config.toml"), config).unwrap();

    let pod = &find(&documents, "Deployment tollgate-adapter")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let mut environment: Vec<(&str, &str)> = Vec::new();
    for variable in container["env"].as_array().unwrap() {
        environment.push((variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap()));
    }
    let secret = &find(&documents, "Secret tollgate-adapter")["stringData"];
    assert_eq!(secret, &json!({ "adapter_admin_pwd": "hush" }));
    environment.push(("adapter_admin_pwd", "hush"));
    environment.push(("enforcer_admin_pwd", "hush"));
    adapter(folder.path(), &environment, &["config", "check", "config.toml", "--strict"]).unwrap();
    let shown = adapter(folder.path(), &environment, &["config", "show", "config.toml"]).unwrap();
    for part in ["adapter.keystore.certPath = \"/etc/tollgate-tls/tls.crt\"", "tollgate.listen.filters = 9002"] {
        assert!(shown.contains(part), "{shown}");
    }

    for part in ["tollgate-adapter", "tollgate-router"] {
        let pod = &find(&documents, &format!("Deployment {part}"))["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{part}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{part}");
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true, "{part}");
        assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]), "{part}");
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            assert!(container[probe].is_object(), "{part} has no {probe}");
        }
        // A Service finds the pods, and names ports that they have.
        let service = &find(&documents, &format!("Service {part}"))["spec"];
        let labels = &find(&documents, &format!("Deployment {part}"))["spec"]["template"]["metadata"]["labels"];
        for (name, value) in service["selector"].as_object().unwrap() {
            assert_eq!(&labels[name], value, "{part}");
        }
        let has = |name: &Value| container["ports"].as_array().unwrap().iter().any(|port| &port["name"] == name);
        assert!(service["ports"].as_array().unwrap().iter().all(|port| has(&port["targetPort"])), "{part}");
    }
}

#[test]
fn several_adapters_and_other_ports_follow_the_configuration() {
    let folder = TempDir::new().unwrap();
    let config = "[adapter.server]\nenabled = false\n[adapter.metrics]\nenabled = true\n[tollgate.listen]\nxds = 1234\n\
                  [tollgate.quota]\nowner = 'redis'\nredis.urls = ['$env{redis_url}']\n[router]\nlistenerPort = 0\n";
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    let arguments =
        ["render", "--target", "kubernetes", "--config", "config.toml", "--replicas", "3", "--storage", "none"];
    let documents = documents(&adapter(folder.path(), &[], &arguments).unwrap());
    documents.iter().for_each(conforms);
    assert_eq!(find(&documents, "ConfigMap tollgate-adapter")["data"]["config.toml"], config);
    assert_eq!(find(&documents, "Deployment tollgate-adapter")["spec"]["replicas"], 3);
    let ports = &find(&documents, "Service tollgate-adapter")["spec"]["ports"];
    let names: Vec<&str> = ports.as_array().unwrap().iter().filter_map(|port| port["name"].as_str()).collect();
    assert_eq!((names.as_slice(), &ports[0]["port"]), (&["grpc-xds", "tls-feed", "https-public"][..], &json!(1234)));
    let router = &find(&documents, "Deployment tollgate-router")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(router["readinessProbe"]["httpGet"]["scheme"], "HTTPS");
}

#[test]
fn what_could_not_work_is_refused_with_a_way_out() {
    let folder = TempDir::new().unwrap();
    for (name, text) in [
        ("plain.toml", "[tollgate.listen]\nadmin = 6060\n"),
        ("broken.toml", "[tollgate.listen]\nxds = 'x'\n"),
        ("off.toml", "[router]\nlistenerPort = 0\nsecuredListenerPort = 0\n"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    for (arguments, part) in [
        (vec!["istio"], "give --sha256"),
        (vec!["istio", "--sha256", "abc"], "64 hexadecimal digits"),
        (vec!["istio", "--sha256", HASH, "--callbacks", "request-body"], "--target istio-envoyfilter"),
        (vec!["istio", "--sha256", HASH, "--environment", "Blue", "--config", "plain.toml"], "choose one of Default"),
        (vec!["istio", "--sha256", HASH, "--link", "mesh"], "--caller"),
        (vec!["istio", "--sha256", HASH, "--link", "mesh", "--caller", "x"], "namespace and a service account"),
        (vec!["istio", "--sha256", HASH, "--link", "mesh", "--config", "plain.toml"], "tollgate.listen.meshFeed"),
        (vec!["istio", "--sha256", HASH, "--link", "mesh", "--adapter", "a.example"], "leave --adapter out"),
        (vec!["istio", "--sha256", HASH, "--delivery", "http", "--config", "plain.toml"], "tollgate.listen.filters"),
        (vec!["istio", "--sha256", HASH, "--selector", "app"], "name=value"),
        (vec!["istio", "--wasm", "plain.toml"], "is not a WebAssembly module"),
        (vec!["istio", "--sha256", HASH, "--config", "broken.toml"], "broken.toml:2#tollgate.listen.xds"),
        (vec!["istio", "--sha256", HASH, "--config", "nowhere.toml"], "nowhere.toml cannot be read"),
        (vec!["envoy", "--delivery", "oci"], "--delivery file"),
        (vec!["envoy", "--delivery", "http"], "give --sha256"),
        (vec!["kubernetes", "--replicas", "2"], "tollgate.quota.owner"),
        (vec!["kubernetes", "--config", "off.toml"], "--router-replicas 0"),
        (vec!["kubernetes", "--secrets", "nobody"], "no variable nobody"),
        (vec!["kubernetes", "--certificates", "nowhere"], "adapter certificates"),
        (vec!["docker"], "possible values"),
    ] {
        let said = adapter_refuses(folder.path(), &[&["render", "--target"][..], &arguments].concat()).unwrap();
        assert!(said.starts_with("error: ") && said.contains(part), "{arguments:?}: {said}");
    }
}
