//! Whole projects, and who wins when several files speak.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tollgate_model::Security;

use super::*;
use crate::model::Deployment;
use crate::vendor;
use crate::{LambdaOptions, Overrides, directory};

fn project(data: &Value, definition: &Value, more: &[(&str, Value)]) -> ProjectFiles {
    let mut api = json!({"name": "Pets", "version": "1.0.0", "context": "/pets",
        "endpointConfig": {"production_endpoints": {"url": "http://from-api-yaml/x", "config": {"actionDuration": "3000"}}}});
    merge_into(&mut api, data);
    let mut oas = json!({"openapi": "3.0.1", "paths": {"/pet": {"get": {}}}});
    merge_into(&mut oas, definition);
    let mut files = ProjectFiles::default();
    files.insert("api.json", json!({"type": "api", "data": api}).to_string().into_bytes()).unwrap();
    files.insert("Definitions/swagger.json", oas.to_string().into_bytes()).unwrap();
    for (path, document) in more {
        files.insert(path, document.to_string().into_bytes()).unwrap();
    }
    files
}

fn merge_into(target: &mut Value, change: &Value) {
    for (key, value) in change.as_object().unwrap() {
        target[key] = value.clone();
    }
}

#[track_caller]
fn deployed(files: &ProjectFiles) -> Deployment {
    let compiled = compile(files, &CompileOptions::default()).unwrap();
    compiled.blueprint.on("localhost", BTreeSet::from(["Default".to_owned()]))
}

#[track_caller]
fn refused(files: &ProjectFiles, expected: &[&str]) {
    let problems = compile(files, &CompileOptions::default()).unwrap_err();
    let text: Vec<String> = problems.errors().map(ToString::to_string).collect();
    assert_eq!(text.len(), expected.len(), "{text:#?}");
    for (text, part) in text.iter().zip(expected) {
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
}

#[test]
fn the_sample_project_compiles_without_a_warning() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/projects/petstore");
    let files = directory::read(folder.as_ref(), folder.as_ref()).unwrap();
    let compiled = compile(&files, &CompileOptions::default()).unwrap();
    assert_eq!(compiled.warnings, Problems::new());
    let (host, environments) = compiled.targets.first_key_value().unwrap();
    let deployment = compiled.blueprint.on(host, environments.clone());
    assert_eq!(deployment.api.base_path, "/petstore/1.0.5");
    assert_eq!(deployment.api.virtual_host, "localhost");
    let production = deployment.api.production.as_ref().unwrap();
    assert_eq!(production.cluster, "carbon.super_clusterProd_localhost_SwaggerPetstore1.0.5");
    assert_eq!(production.base_path, "/v2");
    assert_eq!(deployment.clusters.len(), 1);
    assert_eq!(deployment.clusters[0].name, production.cluster);
    let security = |template: &str, method: &str| {
        let resource = deployment.api.resources.iter().find(|resource| resource.template == template).unwrap();
        resource.operations.iter().find(|operation| operation.method == method).unwrap().security.clone()
    };
    assert_eq!(security("/health", "GET"), Security::Unsecured);
    assert_eq!(security("/pet/{petId}", "GET"), Security::OAuth2 { scopes: vec![] });
    assert_eq!(security("/admin/*", "GET"), Security::OAuth2 { scopes: vec!["admin:read".to_owned()] });
    assert_eq!(security("/store/order/{orderId}", "DELETE"), Security::OAuth2 { scopes: vec![] });
    assert_eq!(deployment.api.resources.len(), 6);
}

/// The end-to-end tests say how they are served.
#[test]
fn the_other_sample_projects_compile() {
    for (name, base_path, clusters, operations, warned) in [
        ("cors", "/shop/1.0.0", 1, 2, &[][..]),
        ("mock", "/mocked/1.0.0", 0, 3, &["/paths/~1nothing/get"]),
        ("secured-backend", "/secured/1.0.0", 3, 2, &[]),
        ("swagger2", "/two/1.0.0", 1, 3, &[]),
        ("extensions", "/everything/1.2.0", 6, 4, &["/paths/~1pets~1{petId}/put/x-mediation-script"]),
        ("lambda", "/functions/1.0.0", 1, 2, &[]),
    ] {
        let folder = format!("{}/../../tests/projects/{name}", env!("CARGO_MANIFEST_DIR"));
        let lambda = LambdaOptions { payload_passthrough: true, synchronous: true, endpoint: None };
        let options = CompileOptions { lambda: Some(lambda), ..CompileOptions::default() };
        let compiled = compile(&directory::read(folder.as_ref(), folder.as_ref()).unwrap(), &options).unwrap();
        let warnings: Vec<&str> = compiled.warnings.iter().map(|warning| warning.pointer.as_str()).collect();
        assert_eq!(warnings, warned, "{name}");
        let deployment = compiled.blueprint.on("localhost", BTreeSet::new());
        let found: usize = deployment.api.resources.iter().map(|resource| resource.operations.len()).sum();
        assert_eq!(
            (deployment.api.base_path.as_str(), deployment.clusters.len(), found),
            (base_path, clusters, operations)
        );
    }
}

/// Every extension and every kind of file is in one of the sample projects at least.
#[test]
fn the_sample_projects_cover_every_extension() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/projects");
    let (mut texts, mut paths) = (String::new(), Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let project = entry.unwrap().path();
        let files = directory::read(&project, &project).unwrap();
        for path in files.paths() {
            texts.push_str(&String::from_utf8_lossy(files.get(path).unwrap()));
            paths.push(path.to_owned());
        }
    }
    let others = ["x-scopes", "x-uri-mapping", "operationPolicies", "endpoint_security", "MOCKED_OAS"];
    for word in vendor::names().chain(others) {
        assert!(texts.contains(&format!("{word}:")) || texts.contains(&format!(": {word}")), "no project has {word}");
    }
    for part in [
        "swagger.yaml",
        "asyncapi.yaml",
        "schema.graphql",
        "graphql-complexity.yaml",
        "deployment_environments.yaml",
        "client_certificates.yaml",
        "endpoint_certificates.yaml",
        "interceptors/",
        ".gotmpl",
    ] {
        assert!(paths.iter().any(|path| path.contains(part)), "no project has {part}");
    }
}

#[test]
fn later_sources_replace_earlier_ones() {
    let servers = json!([{"url": "http://from-servers/v9"}]);
    let production = json!({"urls": ["http://from-extension/y"]});
    let sandbox = json!({"urls": ["http://sandbox/z"]});
    let with_sandbox = json!({"endpointConfig": {"production_endpoints": {"url": "http://from-api-yaml/x"}, "sandbox_endpoints": {"url": "http://sandbox-of-api-yaml"}}});
    for (data, definition, base_path, production, sandbox) in [
        (json!({}), json!({}), "/pets/1.0.0", Some("from-api-yaml"), None),
        (with_sandbox.clone(), json!({}), "/pets/1.0.0", Some("from-api-yaml"), Some("sandbox-of-api-yaml")),
        (with_sandbox.clone(), json!({"servers": servers}), "/v9", Some("from-servers"), None),
        (
            with_sandbox,
            json!({"servers": [{"url": "/"}]}),
            "/pets/1.0.0",
            Some("from-api-yaml"),
            Some("sandbox-of-api-yaml"),
        ),
        (
            json!({}),
            json!({"servers": servers, "x-wso2-basePath": "/b", "x-wso2-production-endpoints": production}),
            "/b",
            Some("from-extension"),
            None,
        ),
        (json!({}), json!({"servers": servers, "x-wso2-sandbox-endpoints": sandbox}), "/v9", None, Some("sandbox")),
        (
            json!({}),
            json!({"x-wso2-sandbox-endpoints": sandbox}),
            "/pets/1.0.0",
            Some("from-api-yaml"),
            Some("sandbox"),
        ),
        (
            json!({"lifeCycleStatus": "PROTOTYPED"}),
            json!({"servers": servers, "x-wso2-sandbox-endpoints": sandbox}),
            "/pets/1.0.0",
            Some("from-api-yaml"),
            None,
        ),
    ] {
        let deployment = deployed(&project(&data, &definition, &[]));
        let host = |backend: &Option<tollgate_model::Backend>| {
            let cluster = backend.as_ref().map(|backend| backend.cluster.clone())?;
            deployment
                .clusters
                .iter()
                .find(|candidate| candidate.name == cluster)
                .map(|found| found.endpoints[0].host.clone())
        };
        assert_eq!(deployment.api.base_path, base_path, "{definition}");
        assert_eq!(host(&deployment.api.production).as_deref(), production, "{definition}");
        assert_eq!(host(&deployment.api.sandbox).as_deref(), sandbox, "{definition}");
    }
}

#[test]
fn api_yaml_fills_in_the_timeout_that_the_extension_leaves_open() {
    for (advanced, expected) in [(json!({}), 3000), (json!({"timeoutInMillis": 50}), 50)] {
        let endpoints = json!({"urls": ["http://from-extension/y"], "advanceEndpointConfig": advanced});
        let deployment = deployed(&project(&json!({}), &json!({"x-wso2-production-endpoints": endpoints}), &[]));
        assert_eq!(deployment.api.production.unwrap().timeout_ms, Some(expected));
    }
}

#[test]
fn clusters_are_shared_only_by_equal_addresses() {
    let sides = |production: &str, sandbox: &str| {
        let config = json!({"endpointConfig": {"production_endpoints": {"url": production}, "sandbox_endpoints": {"url": sandbox}}});
        deployed(&project(&config, &json!({}), &[]))
    };
    let same = sides("http://host/a", "http://host/b");
    assert_eq!(same.clusters.len(), 1);
    assert_eq!(same.api.sandbox.unwrap().base_path, "/b");
    assert_eq!(sides("http://host/a", "http://host:81/a").clusters.len(), 2);
    let paths = json!({"paths": {"/a": {"get": {}, "x-wso2-production-endpoints": {"urls": ["http://own"]}}, "/b": {"get": {}}}});
    let own = deployed(&project(&json!({}), &paths, &[]));
    let names: BTreeSet<&str> = own.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    assert_eq!(names.len(), 2);
    assert_eq!(own.api.resources[1].production, None);
}

#[test]
fn a_definition_may_have_a_longer_name() {
    let plain = project(&json!({}), &json!({}), &[]);
    let mut renamed = ProjectFiles::default();
    for path in plain.paths() {
        let name = path.replace("Definitions/swagger.json", "Definitions/v1/pets-swagger.json");
        renamed.insert(&name, plain.get(path).unwrap().to_vec()).unwrap();
    }
    assert_eq!(compile(&renamed, &CompileOptions::default()), compile(&plain, &CompileOptions::default()));
    let whole = plain.get("Definitions/swagger.json").unwrap().to_vec();
    renamed.insert("Definitions/swagger.json", whole).unwrap();
    refused(&renamed, &["the project also has Definitions/swagger.json"]);
}

#[test]
fn the_default_version_is_reachable_without_its_version() {
    for (default, expected) in [(true, Some("/pets")), (false, None)] {
        let deployment = deployed(&project(&json!({"isDefaultVersion": default}), &json!({}), &[]));
        assert_eq!(deployment.api.default_base_path.as_deref(), expected);
    }
}

#[test]
fn projects_are_refused_as_a_whole() {
    refused(&ProjectFiles::default(), &["could not find api.yaml"]);
    let nothing = json!({});
    refused(&project(&json!({"endpointConfig": {}}), &nothing, &[]), &["neither a production nor a sandbox"]);
    refused(&project(&json!({"context": "/{version}"}), &nothing, &[]), &["base path"]);
    refused(&project(&json!({"context": "/"}), &json!({"x-wso2-basePath": "/"}), &[]), &["would take every path"]);
    refused(&project(&nothing, &nothing, &[("api.yaml", nothing.clone())]), &["also has", "no data"]);
    refused(
        &project(&nothing, &nothing, &[("Endpoint-certificates/interceptors/a.pem", nothing.clone())]),
        &["holds no certificate"],
    );
    refused(
        &project(
            &json!({"name": null, "type": "SSE"}),
            &json!({"paths": {"x": {}}}),
            &[("deployment_environments.json", json!([]))],
        ),
        &["SSE is no type", "no name", "begin with /"],
    );
    let many = format!("/{}", "{a}/".repeat(40));
    refused(&project(&nothing, &json!({"paths": {many: {"get": {}}}}), &[]), &["32 parameters"]);
    let scoped = json!({"operations": [{"target": "/pet", "verb": "GET", "scopes": ["write"]}]});
    refused(&project(&scoped, &nothing, &[]), &["scopes of GET /pet"]);
    let both = json!({"security": [{"default": ["write"]}], "components": {"securitySchemes": {"default": {"type": "oauth2"}}}});
    deployed(&project(&scoped, &both, &[]));
    let sandbox_only =
        json!({"lifeCycleStatus": "PROTOTYPED", "endpointConfig": {"sandbox_endpoints": {"url": "http://aa"}}});
    refused(&project(&sandbox_only, &nothing, &[]), &["no production endpoint"]);
}

#[test]
fn an_api_without_rules_for_other_origins_gets_those_of_the_gateway() {
    let gateway = CompileOptions::default().cors;
    for (extension, allowed) in [
        (json!(null), Some(vec!["*".to_owned()])),
        (json!({"accessControlAllowOrigins": ["https://a.example"]}), Some(vec!["https://a.example".to_owned()])),
        (json!({"corsConfigurationEnabled": false}), None),
    ] {
        let api = deployed(&project(&json!({}), &json!({"x-wso2-cors": extension}), &[])).api;
        assert_eq!(api.cors.map(|cors| cors.allow_origins), allowed, "{extension}");
    }
    let off = CompileOptions { cors: None, ..CompileOptions::default() };
    let compiled = compile(&project(&json!({}), &json!({}), &[]), &off).unwrap();
    assert_eq!((compiled.blueprint.api.cors, gateway.is_some()), (None, true));
}

#[test]
fn rules_of_api_yaml_are_not_read_and_that_is_said_when_it_matters() {
    for (enabled, extension, warned) in [
        (true, json!({"accessControlAllowOrigins": ["*"]}), 0),
        (false, json!({"corsConfigurationEnabled": false}), 0),
        (false, json!({"accessControlAllowOrigins": ["*"]}), 1),
        (true, json!({"corsConfigurationEnabled": false}), 1),
    ] {
        let data = json!({"corsConfiguration": {"corsConfigurationEnabled": enabled}});
        let files = project(&data, &json!({"x-wso2-cors": extension}), &[]);
        let warnings = compile(&files, &CompileOptions::default()).unwrap().warnings;
        assert_eq!(warnings.iter().count(), warned, "{enabled} {extension}");
    }
}

#[test]
fn backends_get_the_credentials_they_want_and_nobody_else_sees_them() {
    let basic = |name: &str| json!({"enabled": true, "type": "BASIC", "username": name, "password": "hush"});
    let config = |security: Value| {
        json!({"endpointConfig": {"production_endpoints": {"url": "http://from-api-yaml"},
        "sandbox_endpoints": {"url": "http://sandbox"}, "endpoint_security": security}})
    };
    let extended =
        json!({"urls": ["http://own"], "securityConfig": {"type": "basic", "username": "x", "password": "y"}});
    let (none, plain) = (json!({}), json!({"urls": ["http://plain"]}));
    let (me, extension) = (Some("Basic bWU6aHVzaA=="), Some("Basic eDp5"));
    for (security, definition, expected) in [
        (none.clone(), none.clone(), (None, None)),
        (json!({"production": basic("me")}), none.clone(), (me, None)),
        (json!({"sandbox": basic("me")}), none.clone(), (None, me)),
        (json!({"production": basic("me")}), json!({"x-wso2-production-endpoints": plain}), (me, None)),
        (json!({"production": basic("me")}), json!({"x-wso2-production-endpoints": extended}), (extension, None)),
        (none.clone(), json!({"x-wso2-sandbox-endpoints": extended}), (None, extension)),
    ] {
        let files = project(&config(security), &definition, &[]);
        let deployment = deployed(&files);
        let header = |backend: &Option<tollgate_model::Backend>| {
            backend.as_ref()?.authorization.as_ref().map(|secret| secret.expose().to_owned())
        };
        let api = &deployment.api;
        assert_eq!((header(&api.production).as_deref(), header(&api.sandbox).as_deref()), expected, "{definition}");
        let shown = format!("{files:?} {deployment:?} {:?}", compile(&files, &CompileOptions::default()));
        assert!(!shown.contains("hush") && !shown.contains("aHVzaA") && !shown.contains("eDp5"), "{shown}");
    }
    let own = json!({"paths": {"/pet": {"get": {}, "x-wso2-production-endpoints": plain}}});
    let resource = &deployed(&project(&config(json!({"production": basic("me")})), &own, &[])).api.resources[0];
    assert_eq!(resource.production.as_ref().unwrap().authorization, None, "another host must not learn them");
    let unnamed = deployed(&project(&config(json!({"production": {"enabled": true, "type": "basic"}})), &none, &[]));
    let sent = unnamed.api.production.and_then(|backend| backend.authorization);
    assert_eq!(sent.as_ref().map(tollgate_model::Secret::expose), Some("Basic Og=="), "as the original sends it");
}

#[test]
fn variables_of_the_environment_have_the_last_word() {
    let id = names::api_id("Pets", "1.0.0");
    let variables: std::collections::BTreeMap<String, String> = [
        ("prod_endpoint_0", "http://from-variable:81/v7"),
        ("prod_basic_username", "me"),
        ("prod_basic_password", "hush"),
    ]
    .map(|(name, value)| (format!("api_{id}_{name}"), value.to_owned()))
    .into();
    let options = CompileOptions { overrides: Overrides::among(&variables), ..CompileOptions::default() };
    let extension = json!({"x-wso2-production-endpoints": {"urls": ["http://from-extension/y"],
        "advanceEndpointConfig": {"timeoutInMillis": 70}}});
    let compiled = compile(&project(&json!({}), &extension, &[]), &options).unwrap();
    let deployment = compiled.blueprint.on("localhost", BTreeSet::new());
    let production = deployment.api.production.unwrap();
    assert_eq!((production.base_path.as_str(), production.timeout_ms), ("/v7", Some(70)));
    assert_eq!(production.authorization.unwrap().expose(), "Basic bWU6aHVzaA==");
    assert_eq!((deployment.clusters[0].endpoints[0].host.as_str(), deployment.clusters.len()), ("from-variable", 1));
}

#[test]
fn limits_belong_to_a_cluster_so_that_different_ones_keep_clusters_apart() {
    let side = |requests: u32| {
        json!({"urls": ["http://same/x"],
        "advanceEndpointConfig": {"circuitBreakers": {"maxRequests": requests}}})
    };
    for (production, sandbox, clusters) in [(5, 5, 1), (5, 6, 2)] {
        let definition =
            json!({"x-wso2-production-endpoints": side(production), "x-wso2-sandbox-endpoints": side(sandbox)});
        let deployment = deployed(&project(&json!({}), &definition, &[]));
        assert_eq!(deployment.clusters.len(), clusters);
        assert_eq!(deployment.clusters[0].circuit_breakers.unwrap().max_requests, Some(5));
    }
}

#[test]
fn a_mocked_api_needs_no_backend() {
    let data = json!({"endpointImplementationType": "MOCKED_OAS",
        "endpointConfig": {"implementation_status": "prototyped", "production_endpoints": {"url": "default"}}});
    let paths =
        json!({"paths": {"/pet": {"get": {"responses": {"200": {"content": {"text/plain": {"example": "hi"}}}}}}}});
    let deployment = deployed(&project(&data, &paths, &[]));
    assert_eq!((deployment.api.production, deployment.clusters.len()), (None, 0));
    let mock = deployment.api.resources[0].operations[0].mock.clone().unwrap();
    assert_eq!(mock.responses[0].content[0].examples[0].body, "hi");
}

#[test]
fn certificates_of_the_project_reach_the_clusters() {
    let pem = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem();
    let config = json!({"endpointConfig": {"production_endpoints": {"url": "https://secure/x"}}});
    let mut files = project(&config, &json!({}), &[("env_properties.json", json!({}))]);
    files.insert("Endpoint-certificates/a.pem", pem.clone().into_bytes()).unwrap();
    let compiled = compile(&files, &CompileOptions::default()).unwrap();
    let deployment = compiled.blueprint.on("localhost", BTreeSet::new());
    assert_eq!(deployment.clusters[0].endpoints[0].trusted_ca.as_deref(), Some(pem.replace('\r', "").as_str()));
    let warnings: Vec<String> = compiled.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("not read"), "{warnings:?}");
    files.insert("Endpoint-certificates/b.pem", b"no pem".to_vec()).unwrap();
    refused(&files, &["holds no certificate"]);
}

/// A WebSocket API with one channel.
fn socket(data: &Value, definition: &Value) -> ProjectFiles {
    let mut api = json!({"name": "Chat", "version": "1.0.0", "context": "/chat", "type": "WS"});
    merge_into(&mut api, data);
    let mut channels = json!({"asyncapi": "2.0.0", "channels": {"/a": {"publish": {"x-scopes": ["s"]}}}});
    merge_into(&mut channels, definition);
    let mut files = ProjectFiles::default();
    files.insert("api.json", json!({"type": "api", "data": api}).to_string().into_bytes()).unwrap();
    files.insert("Definitions/asyncapi.json", channels.to_string().into_bytes()).unwrap();
    files
}

#[test]
fn who_names_the_backends_of_a_websocket_api() {
    let servers = json!({"servers": {"production": {"url": "ws://aa/x"}}});
    let hosts = |files: &ProjectFiles| -> Vec<Vec<String>> {
        let clusters = deployed(files).clusters;
        clusters.iter().map(|one| one.endpoints.iter().map(|endpoint| endpoint.host.clone()).collect()).collect()
    };
    let nothing = json!({});
    let both = json!({"endpointConfig": {"endpoint_type": "ws", "production_endpoints": {"url": "wss://api/x"},
        "sandbox_endpoints": {"url": "ws://sandbox"}}});
    assert_eq!(hosts(&socket(&both, &nothing)), [["api"], ["sandbox"]]);
    assert_eq!(hosts(&socket(&both, &servers)), [["aa"], ["sandbox"]], "a server replaces its side");
    let several = json!({"endpointConfig": {"endpoint_type": "failover", "production_endpoints": {"url": "ws://aa/x"},
        "production_failovers": [{"url": "ws://bb/x"}]}});
    assert_eq!(hosts(&socket(&several, &servers)), [["aa", "bb"]], "unless it repeats one of several");
    let elsewhere = json!({"servers": {"production": {"url": "ws://cc/x"}}});
    assert_eq!(hosts(&socket(&several, &elsewhere)), [["cc"]]);
    let shared = json!({"endpointConfig": {"endpoint_type": "load_balance",
        "production_endpoints": [{"url": "ws://aa/x"}, {"url": "ws://bb/x"}]}});
    let deployment = deployed(&socket(&shared, &nothing));
    assert_eq!(deployment.clusters[0].endpoints.iter().map(|one| one.priority).collect::<Vec<_>>(), [0, 0]);
    assert_eq!((deployment.api_type.as_str(), deployment.api.base_path.as_str()), ("WS", "/chat/1.0.0"));
}

#[test]
fn kinds_are_not_mixed() {
    let (nothing, servers) = (json!({}), json!({"servers": {"production": {"url": "ws://aa/x"}}}));
    let http = json!({"endpointConfig": {"production_endpoints": {"url": "http://aa"}}});
    refused(&socket(&http, &nothing), &["another scheme than ws or wss"]);
    let web_socket = json!({"endpointConfig": {"production_endpoints": {"url": "ws://aa"}}});
    refused(&project(&web_socket, &nothing, &[]), &["another scheme than http or https"]);
    refused(&project(&nothing, &nothing, &[("Definitions/asyncapi.json", nothing.clone())]), &["no WebSocket API"]);
    let mut both = socket(&nothing, &servers);
    both.insert("Definitions/swagger.json", b"{}".to_vec()).unwrap();
    refused(&both, &["describes no WebSocket API"]);
    let scoped = |scopes: Value| json!({"operations": [{"target": "/a", "verb": "SUBSCRIBE", "scopes": scopes}]});
    deployed(&socket(&scoped(json!(["s"])), &servers));
    let mut lost = servers;
    lost["channels"] = json!({"/a": {}});
    refused(&socket(&scoped(json!(["s"])), &lost), &["scopes of SUBSCRIBE /a are missing"]);
}

/// Blocked stays blocked, and prototyped endpoints are a prototype, whatever the kind.
#[test]
fn the_life_cycle_of_every_kind() {
    let prototyped = |url: &str| json!({"implementation_status": "prototyped", "production_endpoints": {"url": url}});
    for (kind, url) in [("HTTP", "http://aa/x"), ("SOAP", "http://aa/x"), ("WS", "ws://aa/x")] {
        for (status, endpoints, expected) in [
            ("PUBLISHED", json!({"production_endpoints": {"url": url}}), LifeCycle::Published),
            ("PUBLISHED", prototyped(url), LifeCycle::Prototyped),
            ("PROTOTYPED", json!({"production_endpoints": {"url": url}}), LifeCycle::Prototyped),
            ("BLOCKED", prototyped(url), LifeCycle::Blocked),
        ] {
            let data = json!({"type": kind, "lifeCycleStatus": status, "endpointConfig": endpoints});
            let nothing = json!({});
            let files = if kind == "WS" { socket(&data, &nothing) } else { project(&data, &nothing, &[]) };
            let api = deployed(&files).api;
            assert_eq!((api.life_cycle, api.kind.name()), (expected, kind), "{status}");
        }
    }
}

#[test]
fn services_of_consul() {
    let text = "consul([east].pets.[v1], https://default:8443/x)";
    let with = CompileOptions { consul: true, ..CompileOptions::default() };
    let metadata = json!({"endpointConfig": {"production_endpoints": {"url": text}}});
    let extension = json!({"x-wso2-production-endpoints": {"urls": [text]}});
    let servers = json!({"servers": [{"url": text}]});
    let resource = json!({"paths": {"/pet": {"x-wso2-production-endpoints": {"urls": [text]}, "get": {}}}});
    for (data, definition, pointer) in [
        (&metadata, &json!({}), "api.json#/data/endpointConfig/production_endpoints/url"),
        (&json!({}), &extension, "Definitions/swagger.json#/x-wso2-production-endpoints/urls/0"),
        (&json!({}), &servers, "Definitions/swagger.json#/servers/0/url"),
        (&json!({}), &resource, "Definitions/swagger.json#/paths/~1pet/x-wso2-production-endpoints/urls/0"),
    ] {
        let files = project(data, definition, &[]);
        let deployment = compile(&files, &with).unwrap().blueprint.on("localhost", BTreeSet::new());
        let found = deployment.clusters.iter().flat_map(|cluster| &cluster.endpoints);
        let found: Vec<_> = found.filter_map(|one| Some((one.discovery.as_ref()?, one))).collect();
        let [(discovery, endpoint)] = found.as_slice() else { panic!("{pointer}: {found:?}") };
        assert_eq!(discovery.service.to_string(), "[east].pets.[v1]");
        assert_eq!((endpoint.authority(), endpoint.tls), (("default", 8443), true));
        // Without Consul it would be the default for ever.
        refused(&files, &["Consul is switched off"]);
        refused(&files, &[&format!("{pointer}: ")]);
    }
    let broken = "consul(east.pets,https://default)";
    let bad = json!({"x-wso2-production-endpoints": {"urls": [broken]}});
    refused(&project(&json!({}), &bad, &[]), &["urls/0: the URL names a service of Consul by 2 parts"]);
    let bad = json!({"servers": [{"url": broken}]});
    refused(&project(&json!({}), &bad, &[]), &["servers/0/url: the server URL names a service of Consul by 2 parts"]);
}
