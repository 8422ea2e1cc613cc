//! Policies of whole projects: what reaches the model, and what is refused.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tollgate_model::{HeaderPolicy, Include, OpaPolicy, Policies, RequestPolicy, Secret};

use crate::model::{Deployment, Severity};
use crate::{CompileOptions, ProjectFiles, compile, directory};

const SPECIFICATION: &str = r#"{"name": "p", "version": "v1", "applicableFlows": ["request", "response", "fault"],
    "supportedGateways": ["Synapse", "ChoreoConnect"], "policyAttributes": [
    {"name": "headerName", "required": true, "validationRegex": "^[a-z-]+$"},
    {"name": "mode", "required": false, "defaultValue": "strict", "allowedValues": ["strict", "lax"]}]}"#;

/// A project with one policy `p` and the entries of one operation, `GET /pet/{id}`.
fn project(specification: &Value, definition: &str, flows: &Value) -> ProjectFiles {
    let api = json!({"type": "api", "data": {"name": "Pets", "version": "1.0.0", "context": "/pets",
        "endpointConfig": {"production_endpoints": {"url": "http://aa"}},
        "operations": [{"target": "/pet/{id}/", "verb": "get", "operationPolicies": flows}]}});
    let oas = json!({"openapi": "3.0.1", "paths": {"/pet/{id}": {"get": {}, "put": {}}, "/other": {"get": {}}}});
    let mut files = ProjectFiles::default();
    let mut add = |path: &str, content: String| files.insert(path, content.into_bytes()).unwrap();
    add("api.json", api.to_string());
    add("Definitions/swagger.json", oas.to_string());
    add("Policies/p_v1.json", json!({"type": "operation_policy_specification", "data": specification}).to_string());
    add("Policies/p_v1.gotmpl", definition.to_owned());
    add("Policies/p_v1.j2", "<not read>".to_owned());
    files
}

fn specification() -> Value {
    serde_json::from_str(SPECIFICATION).unwrap()
}

/// One policy `p` with these parameters in the request flow.
fn entry(parameters: &Value) -> Value {
    json!({"request": [{"policyName": "p", "policyVersion": "v1", "parameters": parameters}]})
}

fn deployed(files: &ProjectFiles) -> Result<(Deployment, Vec<String>), Vec<String>> {
    match compile(files, &CompileOptions::default()) {
        Ok(compiled) => Ok((
            compiled.blueprint.on("localhost", BTreeSet::new()),
            compiled.warnings.iter().map(ToString::to_string).collect(),
        )),
        Err(problems) => Err(problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .map(ToString::to_string)
            .collect()),
    }
}

#[track_caller]
fn gives(definition: &str, parameters: &Value, expected: RequestPolicy) {
    let (deployment, warnings) = deployed(&project(&specification(), definition, &entry(parameters))).unwrap();
    let operation = &deployment.api.resources[0].operations[0];
    let policies = Policies { request: vec![expected], response: Vec::new() };
    assert_eq!(operation.policies, Some(policies), "{definition}");
    assert_eq!(warnings, Vec::<String>::new());
    let others = deployment.api.operations().filter(|operation| operation.policies.is_some()).count();
    assert_eq!((others, deployment.api.needs()), (1, 2));
}

#[track_caller]
fn refuses(files: &ProjectFiles, part: &str) {
    let errors = deployed(files).map(|_| ()).unwrap_err();
    assert!(errors.iter().any(|error| error.contains(part)), "{errors:?} lack {part:?}");
}

/// A definition with these lines of parameters.
fn action(name: &str, lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    format!("definition:\n  action: {name}\n  parameters:\n{lines}")
}

fn plain() -> Value {
    json!({"headerName": "x-a"})
}

#[test]
fn every_action_reaches_the_model() {
    let text = str::to_owned;
    let set =
        |value: &str| RequestPolicy::Header(HeaderPolicy::Set { name: text("x-a"), value: Secret::from(text(value)) });
    for (name, lines, expected) in [
        ("SET_HEADER", &["headerName: '{{ .headerName }}'", "headerValue: 1.10"][..], set("1.10")),
        ("SET_HEADER", &["headerName: X-A", "headerValue: '{{ .mode }}'"], set("strict")),
        ("REMOVE_HEADER", &["headerName: X-A"], RequestPolicy::Header(HeaderPolicy::Remove { name: text("x-a") })),
        (
            "RENAME_HEADER",
            &["currentHeaderName: a", "updatedHeaderName: B"],
            RequestPolicy::RenameHeader { from: text("a"), to: text("b") },
        ),
        (
            "ADD_QUERY",
            &["queryParamName: a b", "queryParamValue: true"],
            RequestPolicy::SetQuery { name: text("a b"), value: text("true") },
        ),
        ("REMOVE_QUERY", &["queryParamName: a"], RequestPolicy::RemoveQuery { name: text("a") }),
        (
            "REWRITE_RESOURCE_PATH",
            &["resourcePath: b/{uri.var.id}.c/", "includeQueryParams: false"],
            RequestPolicy::RewritePath { path: text("/b/{uri.var.id}.c"), keep_query: false },
        ),
        (
            "REWRITE_RESOURCE_METHOD",
            &["currentMethod: get", "updatedMethod: POST"],
            RequestPolicy::RewriteMethod { method: text("POST") },
        ),
        (
            "OPA",
            &[
                "serverURL: https://opa:8181/v1/data/",
                "policy: a/b",
                "rule: allow",
                "accessKey: key",
                "sendAccessToken: true",
                "connectionTimeout: 70000",
                "requestGenerator:",
            ],
            RequestPolicy::Opa(Box::new(OpaPolicy {
                cluster: text("carbon.super_opa0_localhost_Pets1.0.0"),
                authority: text("opa:8181"),
                path: text("/v1/data/a/b/allow"),
                access_key: Some(Secret::from(text("key"))),
                send_access_token: true,
                timeout_ms: 60_000,
            })),
        ),
    ] {
        gives(&action(name, lines), &plain(), expected);
    }
}

#[test]
fn the_agent_becomes_a_cluster_with_its_limits() {
    let opa = |more: &str| action("OPA", &["serverURL: http://opa", "policy: a", more]);
    for (more, expected) in
        [("maxOpenConnections: 500\n    maxPerRoute: 200", Some(200)), ("maxPerRoute: -1", None), ("rule: x", None)]
    {
        let twice = json!({"request": [entry(&plain())["request"][0], entry(&plain())["request"][0]]});
        let (deployment, _) = deployed(&project(&specification(), &opa(more), &twice)).unwrap();
        let agents: Vec<_> = deployment.clusters.iter().filter(|cluster| cluster.name.contains("_opa")).collect();
        assert_eq!(agents.len(), 1, "both policies share it");
        assert_eq!(agents[0].circuit_breakers.and_then(|limits| limits.max_connections), expected, "{more}");
        assert_eq!((agents[0].endpoints[0].host.as_str(), agents[0].endpoints[0].port), ("opa", 80));
    }
}

#[test]
fn parameters_of_actions_are_checked() {
    for (name, lines, part) in [
        ("SET_HEADER", &["headerName: x-a"][..], "SET_HEADER needs headerValue"),
        ("SET_HEADER", &["headerName: x-a", "headerValue: ''"], "needs headerValue"),
        ("SET_HEADER", &["headerName: x-a", "headerValue: b", "headerVelue: c"], "did you mean headerValue?"),
        ("SET_HEADER", &["headerName: 'x a'", "headerValue: b"], "headerName of SET_HEADER holds"),
        ("SET_HEADER", &["headerName: Host", "headerValue: b"], "not for policies to change"),
        ("SET_HEADER", &["headerName: x-envoy-max-retries", "headerValue: 9"], "not for policies to change"),
        ("SET_HEADER", &["headerName: x-wso2-cluster-header", "headerValue: b"], "not for policies to change"),
        ("SET_HEADER", &["headerName: ':path'", "headerValue: b"], "headerName of SET_HEADER holds"),
        ("SET_HEADER", &["headerName: x-a", "headerValue: \"a\\r\\nb\""], "line break"),
        ("SET_HEADER", &["headerName: x-a", "headerValue: [a]"], "gives no definition (line 5"),
        ("SET_HEADERS", &["headerName: x-a"], "did you mean SET_HEADER?"),
        ("REWRITE_RESOURCE_PATH", &["resourcePath: /a"], "needs includeQueryParams"),
        ("REWRITE_RESOURCE_PATH", &["resourcePath: /a", "includeQueryParams: maybe"], "neither true nor false"),
        ("REWRITE_RESOURCE_PATH", &["resourcePath: /a/{id}", "includeQueryParams: true"], "cannot be used"),
        ("REWRITE_RESOURCE_PATH", &["resourcePath: /a?b", "includeQueryParams: true"], "cannot be used"),
        ("REWRITE_RESOURCE_PATH", &["resourcePath: /a/../b", "includeQueryParams: true"], "dot segment"),
        (
            "REWRITE_RESOURCE_PATH",
            &["resourcePath: '/a/{uri.var.name}'", "includeQueryParams: true"],
            "/pet/{id} has no such parameter",
        ),
        ("REWRITE_RESOURCE_METHOD", &["updatedMethod: get"], "did you mean GET?"),
        ("REWRITE_RESOURCE_METHOD", &["updatedMethod: PUT", "currentMethod: POST"], "is not GET"),
        ("REWRITE_RESOURCE_METHOD", &["updatedMethod: HEAD"], "would wait"),
        ("OPA", &["serverURL: opa", "policy: a"], "serverURL of OPA is no absolute URL"),
        ("OPA", &["serverURL: http://opa", "policy: a/../b"], "no path of a package"),
        ("OPA", &["serverURL: http://opa", "policy: a", "requestGenerator: org.example.Own"], "Java class"),
        ("OPA", &["serverURL: http://opa", "policy: a", "additionalProperties: a,b"], "additionalProperties"),
        ("OPA", &["serverURL: http://opa", "policy: a", "maxPerRoute: many"], "no whole number"),
    ] {
        refuses(&project(&specification(), &action(name, lines), &entry(&plain())), part);
    }
}

#[test]
fn entries_are_checked_against_the_specification() {
    let definition = action("REMOVE_HEADER", &["headerName: '{{ .headerName }}'"]);
    let changed = |key: &str, value: Value| {
        let mut specification = specification();
        specification[key] = value;
        specification
    };
    let good = entry(&plain());
    for (specification, flows, part) in [
        (specification(), entry(&json!({})), "p needs the parameter headerName"),
        (specification(), entry(&json!({"headerName": "X A"})), "asks for ^[a-z-]+$"),
        (
            specification(),
            json!({"request": [{"policyName": "q", "policyVersion": "v1"}]}),
            "no policy q of version v1",
        ),
        (specification(), json!({"request": [{"policyName": "p"}]}), "there is no policyVersion"),
        (specification(), json!({"requests": good["request"]}), "requests is no flow"),
        (changed("applicableFlows", json!(["response"])), good.clone(), "not for the request flow"),
        (changed("supportedGateways", json!(["Synapse"])), good.clone(), "not for this gateway"),
        (changed("name", json!("q")), good.clone(), "name is not p"),
        (changed("version", json!("v2")), good.clone(), "version is not v1"),
        (
            changed("policyAttributes", json!([{"name": "a", "validationRegex": "("}])),
            good.clone(),
            "regular expression",
        ),
        (
            changed("policyAttributes", json!([{"name": "a", "validationRegex": "(a{1000}){1000}"}])),
            good,
            "regular expr",
        ),
    ] {
        refuses(&project(&specification, &definition, &flows), part);
    }
    let with_response = json!({"response": entry(&plain())["request"]});
    let rename = action("RENAME_HEADER", &["currentHeaderName: a", "updatedHeaderName: b"]);
    refuses(&project(&specification(), &rename, &with_response), "cannot be used in the response flow");
}

#[test]
fn templates_are_checked_and_values_stay_secret() {
    let secret = json!({"headerName": "x-a", "mode": "hush: \"'"});
    for (definition, part) in [
        ("{{ if }}", "the template cannot be read: line 1, column 1"),
        ("a: {{ .haederName }}", "did you mean haederName by headerName?"),
        ("{{ lt .mode 1 }}", "cannot be compared"),
        ("definition: {{ .mode }}", "gives no definition"),
        ("nothing", "gives no definition"),
        ("", "gives no definition"),
        ("definition: {action: SET_HEADER, parameters: {}, more: 1}", "gives no definition"),
        ("definition: {action: &a x, parameters: {a: *a}}", "gives no definition"),
    ] {
        let files = project(&specification(), definition, &entry(&secret));
        refuses(&files, part);
        assert!(!format!("{:?}", compile(&files, &CompileOptions::default())).contains("hush"), "{definition}");
    }
}

#[test]
fn operations_are_matched_by_path_and_method() {
    let definition = action("REMOVE_HEADER", &["headerName: '{{ .headerName }}'"]);
    let api = |operations: Value| {
        let mut files = ProjectFiles::default();
        let whole = project(&specification(), &definition, &entry(&plain()));
        for path in whole.paths().filter(|path| *path != "api.json") {
            files.insert(path, whole.get(path).unwrap().to_vec()).unwrap();
        }
        let api = json!({"type": "api", "data": {"name": "Pets", "version": "1.0.0", "context": "/pets",
            "endpointConfig": {"production_endpoints": {"url": "http://aa"}}, "operations": operations}});
        files.insert("api.json", api.to_string().into_bytes()).unwrap();
        files
    };
    let operation =
        |verb: &str, target: &str| json!({"verb": verb, "target": target, "operationPolicies": entry(&plain())});
    let (deployment, _) = deployed(&api(json!([operation("PUT", "pet/{id}"), operation("get", "/other/")]))).unwrap();
    let with: Vec<String> = deployment
        .api
        .resources
        .iter()
        .flat_map(|r| {
            r.operations.iter().filter(|o| o.policies.is_some()).map(|o| format!("{} {}", o.method, r.template))
        })
        .collect();
    assert_eq!(with, ["PUT /pet/{id}", "GET /other"]);
    refuses(&api(json!([operation("POST", "/other")])), "no operation POST /other");
    refuses(&api(json!([operation("GET", "/pet/{name}")])), "no operation GET /pet/{name}");
    refuses(&api(json!([operation("GET", "/other"), operation("GET", "other/")])), "/data/operations/0 has policies");
    refuses(&api(json!([{"target": "/other", "operationPolicies": entry(&plain())}])), "no verb");
}

#[test]
fn what_is_not_run_is_warned_about() {
    let method = action("REWRITE_RESOURCE_METHOD", &["updatedMethod: PUT"]);
    let twice = json!({"request": [entry(&plain())["request"][0], entry(&plain())["request"][0]],
        "fault": entry(&plain())["request"], "response": []});
    let (deployment, warnings) = deployed(&project(&specification(), &method, &twice)).unwrap();
    assert_eq!(deployment.api.resources[0].operations[0].policies.as_ref().unwrap().request.len(), 1);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("earlier one") && warnings[1].contains("fault flow"), "{warnings:?}");
    let unknown = entry(&json!({"headerName": "x-a", "moode": "lax"}));
    let (_, warnings) = deployed(&project(&specification(), &method, &unknown)).unwrap();
    assert!(warnings[0].contains("did you mean mode?"), "{warnings:?}");
    let agents = action("OPA", &["serverURL: http://opa", "policy: a"]);
    let many = json!({"request": vec![entry(&plain())["request"][0].clone(); 4]});
    refuses(&project(&specification(), &agents, &many), "too many OPA policies");
}

#[test]
fn the_sample_project_compiles_without_a_warning() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/projects/policies");
    let files = directory::read(folder.as_ref(), folder.as_ref()).unwrap();
    let (deployment, warnings) = deployed(&files).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(deployment.api.operations().filter(|operation| operation.policies.is_some()).count(), 8);
}

#[test]
fn interceptors_are_called_where_a_policy_says_so() {
    let definition = "definition:\n  action: CALL_INTERCEPTOR_SERVICE\n  parameters:\n    \
                      interceptorServiceURL: \"{{ .url }}\"\n    includes: \"{{ .includes }}\"\n";
    let entry = |url: &str, includes: &str| json!([{"policyName": "p", "policyVersion": "v1", "parameters": {"url": url, "includes": includes}}]);
    let mut bare = specification();
    bare["policyAttributes"] = json!([{"name": "url"}, {"name": "includes"}]);
    let flows = json!({
        "request": entry("https://before:8443", "request_headers, request_body,request_headers"),
        "response": entry("http://after", "response_headers"),
    });
    let (deployment, warnings) = deployed(&project(&bare, definition, &flows)).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    let operation = &deployment.api.resources[0].operations[0];
    let (before, after) = (operation.interceptors.request.as_ref(), operation.interceptors.response.as_ref());
    assert_eq!(before.unwrap().authority, "before:8443");
    assert_eq!(before.unwrap().includes, [Include::RequestHeaders, Include::RequestBody]);
    assert_eq!(after.unwrap().authority, "after");
    let clusters: Vec<&str> = deployment.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    assert!(clusters.contains(&before.unwrap().cluster.as_str()), "{clusters:?}");
    assert!(deployment.api.resources[0].operations[1].interceptors.is_empty(), "only that operation");
    for (url, includes, error) in [
        ("before:8443", "request_headers", "interceptorServiceURL"),
        ("http://before", "request_heads", "includes"),
        ("http://before", "", "includes"),
    ] {
        let flows = json!({"request": entry(url, includes)});
        let errors = deployed(&project(&bare, definition, &flows)).unwrap_err();
        assert!(errors.iter().any(|text| text.contains(error)), "{errors:?}");
    }
}
