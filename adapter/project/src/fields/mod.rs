//! Every field of api.yaml and every extension of a definition that docs/projects.md lists, a row each: what a project
//! becomes with it that it is not without it. A field that the page lists and no row names fails, and so does the reverse.

#![allow(clippy::too_many_lines, reason = "tables are as long as what they list")]

mod definition;
mod metadata;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::model::Deployment;
use crate::{CompileOptions, LambdaOptions, ProjectFiles, compile};

/// What a field does to a project.
enum Effect {
    /// At that place of what is deployed there is this value, and another one without the field.
    At(&'static str, Value),
    /// There is no difference, and nothing to be said.
    Nothing,
    /// It is deployed with a warning that holds this.
    Warned(&'static str),
    /// It is refused for an error that holds this.
    Refused(&'static str),
}

/// The kinds of projects that a field is tried in.
#[derive(Clone, Copy, Debug)]
enum Base {
    Http,
    Swagger,
    Mocked,
    WebSocket,
    GraphQl,
    Lambda,
}

/// Name of the field in docs/projects.md, the project, what is put where, and what comes of it.
type Row = (&'static str, Base, Vec<(&'static str, Value)>, Effect);

use Effect::{At, Nothing, Refused, Warned};

const POLICY: &str = "type: operation_policy_specification\nversion: v4.1.0\ndata:\n  name: mark\n  version: v1\n  applicableFlows: [request, response, fault]\n  supportedGateways: [ChoreoConnect]\n  supportedApiTypes: [HTTP]\n  policyAttributes:\n    - {name: value, type: String, required: false, defaultValue: plain}\n";
const POLICY_DEFINITION: &str = "definition:\n  action: SET_HEADER\n  parameters:\n    headerName: x-mark\n    headerValue: {{ printf \"%q\" .value }}\n";

/// A project as one document: `data` of api.yaml, the definition, and further files.
fn base(base: Base) -> Value {
    let production = |url: &str| json!({"production_endpoints": {"url": url}});
    let data = |kind: &str, config: Value| json!({"name": "Pets", "version": "1.0.0", "context": "/pets", "type": kind, "endpointConfig": config});
    let openapi = json!({"openapi": "3.0.1", "info": {"title": "Title", "version": "9"},
        "paths": {"/pet/{id}": {"get": {"responses": {"200": {"content": {"text/plain": {"example": "hi"}}}}}}}});
    let http = data("HTTP", production("http://prod.example/x"));
    let (data, definition, files) = match base {
        Base::Http => {
            let policy = json!({"Policies/mark_v1.yaml": POLICY, "Policies/mark_v1.gotmpl": POLICY_DEFINITION});
            (http, openapi, policy)
        }
        Base::Swagger => {
            let swagger = json!({"swagger": "2.0", "paths": {"/pet": {"get": {}}}});
            (http, swagger, json!({}))
        }
        Base::Mocked => {
            let mut data = data("HTTP", json!({"endpoint_type": "default"}));
            data["endpointImplementationType"] = json!("MOCKED_OAS");
            (data, openapi, json!({}))
        }
        Base::WebSocket => {
            let asyncapi = json!({"asyncapi": "2.0.0", "channels": {"/room/{name}": {"publish": {}}}});
            (data("WS", production("ws://prod.example/x")), asyncapi, json!({}))
        }
        Base::GraphQl => {
            let mut data = data("GRAPHQL", production("http://prod.example/x"));
            data["operations"] = json!([{"target": "book", "verb": "QUERY"}]);
            let schema = "type Query {\n  book: Book\n  books: [Book]\n}\ntype Book {\n  title: String\n}\n";
            (data, json!(null), json!({"Definitions/schema.graphql": schema}))
        }
        Base::Lambda => {
            let mut definition = openapi;
            definition["paths"]["/pet/{id}"]["get"]["x-amzn-resource-name"] = json!(ARN);
            (data("HTTP", json!({"endpoint_type": "awslambda"})), definition, json!({}))
        }
    };
    json!({"data": data, "definition": definition, "files": files})
}

const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:pets";

/// Puts a value at a JSON pointer, and makes the objects on the way.
fn put(document: &mut Value, pointer: &str, value: Value) {
    let mut here = document;
    for part in pointer.split('/').skip(1) {
        let key = part.replace("~1", "/").replace("~0", "~");
        if here.is_null() && key == "0" {
            *here = json!([]);
        }
        here = match here {
            Value::Array(list) => {
                let at: usize = key.parse().unwrap();
                if at == list.len() {
                    list.push(json!({}));
                }
                &mut list[at]
            }
            other => {
                if !other.is_object() {
                    *other = Value::Object(Map::new());
                }
                &mut other[key]
            }
        };
    }
    *here = value;
}

fn files(project: &Value) -> ProjectFiles {
    let mut files = ProjectFiles::default();
    let api = json!({"type": "api", "version": "v4.2.0", "data": project["data"]});
    files.insert("api.json", api.to_string().into_bytes()).unwrap();
    let name = if project["definition"]["asyncapi"].is_null() { "swagger" } else { "asyncapi" };
    if !project["definition"].is_null() {
        let text = project["definition"].to_string();
        files.insert(&format!("Definitions/{name}.json"), text.into_bytes()).unwrap();
    }
    for (path, content) in project["files"].as_object().unwrap() {
        let text = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
        files.insert(path, text.into_bytes()).unwrap();
    }
    files
}

/// All that is deployed, and the warnings; or the errors.
fn outcome(project: &Value) -> Result<(Value, Vec<String>), Vec<String>> {
    let lambda = LambdaOptions { payload_passthrough: true, synchronous: true, endpoint: None };
    let options = CompileOptions { lambda: Some(lambda), consul: true, ..CompileOptions::default() };
    let texts = |problems: &crate::model::Problems| problems.iter().map(ToString::to_string).collect();
    match compile(&files(project), &options) {
        Ok(compiled) => {
            let deployment = compiled.blueprint.on("localhost", BTreeSet::new());
            Ok((shown(&deployment), texts(&compiled.warnings)))
        }
        Err(problems) => Err(problems.errors().map(ToString::to_string).collect()),
    }
}

fn shown(deployment: &Deployment) -> Value {
    let clusters: Vec<Value> = deployment
        .clusters
        .iter()
        .map(|cluster| {
            let endpoint = |one: &crate::model::Endpoint| {
                let discovery = one.discovery.as_ref().map(|found| found.service.to_string());
                json!({"host": one.host, "port": one.port, "tls": one.tls, "priority": one.priority,
                    "trusted": one.trusted_ca.is_some(), "discovery": discovery})
            };
            let function = cluster.lambda.as_ref().map(|one| {
                let key = one.credentials.as_ref().map(|keys| (keys.access_key.as_str(), keys.secret_key.expose()));
                json!({"arn": one.arn, "key": key})
            });
            json!({"name": cluster.name, "http2": cluster.http2, "lambda": function,
                "connect": cluster.connect_timeout.map(|time| time.as_millis()),
                "limits": cluster.circuit_breakers.map(|limits| json!([limits.max_connections, limits.max_requests,
                    limits.max_pending_requests, limits.max_retries, limits.max_connection_pools])),
                "endpoints": cluster.endpoints.iter().map(endpoint).collect::<Vec<_>>()})
        })
        .collect();
    json!({"api": deployment.api, "type": deployment.api_type, "clusters": clusters})
}

/// What is wrong with a row.
fn check(kind: Base, changes: &[(&str, Value)], effect: &Effect) -> Result<(), String> {
    let mut project = base(kind);
    let (before, said) = outcome(&project).map_err(|errors| format!("without the field {errors:?}"))?;
    if !said.is_empty() {
        return Err(format!("without the field {said:?}"));
    }
    for (pointer, value) in changes {
        put(&mut project, pointer, value.clone());
    }
    let has = |texts: &[String], part: &str| texts.iter().any(|text| text.contains(part));
    let at = |whole: &Value, pointer: &str| whole.pointer(pointer).cloned().unwrap_or_default();
    match (effect, outcome(&project)) {
        (Effect::Refused(part), Err(errors)) if has(&errors, part) => Ok(()),
        (Effect::Warned(part), Ok((_, said))) if has(&said, part) => Ok(()),
        (Effect::Nothing, Ok((after, said))) if after == before && said.is_empty() => Ok(()),
        (Effect::At(pointer, expected), Ok((after, said)))
            if at(&after, pointer) == *expected && at(&before, pointer) != *expected && said.is_empty() =>
        {
            Ok(())
        }
        (Effect::At(pointer, expected), Ok((after, said))) => {
            let (was, is) = (at(&before, pointer), at(&after, pointer));
            Err(format!("{pointer} was {was} and is {is}, where {expected} is expected; {said:?}"))
        }
        (_, Ok((_, said))) => Err(format!("it is deployed, with {said:?}")),
        (_, Err(errors)) => Err(format!("it is refused: {errors:?}")),
    }
}

fn rows() -> Vec<Row> {
    metadata::rows().into_iter().chain(definition::rows()).collect()
}

#[test]
fn every_field_has_its_effect() {
    let wrong: Vec<String> = rows()
        .iter()
        .filter_map(|(name, kind, changes, effect)| {
            check(*kind, changes, effect).err().map(|why| format!("{name} ({kind:?}, {changes:?}): {why}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_page_lists_what_is_tested() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/projects.md");
    let page = std::fs::read_to_string(page).unwrap();
    let fields = |line: &str| -> Vec<String> {
        let first = line.strip_prefix("| `").and_then(|rest| rest.split(" | ").next()).unwrap_or_default().to_owned();
        format!("`{first}").split('`').skip(1).step_by(2).map(str::to_owned).filter(|name| !name.is_empty()).collect()
    };
    let listed: BTreeSet<String> = page.lines().flat_map(fields).collect();
    let tested: BTreeSet<String> = rows().iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(listed.difference(&tested).collect::<Vec<_>>(), [""; 0], "listed without a row");
    assert_eq!(tested.difference(&listed).collect::<Vec<_>>(), [""; 0], "a row without being listed");
}
