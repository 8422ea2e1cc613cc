//! Kubernetes: the adapter, and gateways of plain Envoy where they are wanted.

mod adapter;
mod router;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{Document, Options, RenderError};

/// Name of the adapter's objects.
pub(super) const ADAPTER: &str = "tollgate-adapter";
/// Name of the gateways' objects.
pub(super) const ROUTER: &str = "tollgate-router";
/// The user of all containers; that of Choreo Connect's images.
const USER: u32 = 10_500;

pub(super) fn documents(options: &Options) -> Result<Vec<Document>, RenderError> {
    let mut documents = adapter::documents(options);
    if options.installation.router_replicas > 0 {
        documents.extend(router::documents(options)?);
    }
    Ok(documents)
}

/// Labels that choose the pods of one of the two.
pub(super) fn selector(name: &str) -> Value {
    json!({ "app.kubernetes.io/name": name })
}

fn labels(name: &str) -> Map<String, Value> {
    Map::from_iter([
        ("app.kubernetes.io/name".to_owned(), name.into()),
        ("app.kubernetes.io/part-of".to_owned(), "tollgate".into()),
    ])
}

fn metadata(options: &Options, object: &str, part: &str) -> Value {
    json!({ "name": object, "namespace": options.namespace, "labels": labels(part) })
}

/// An object that most have to be told nothing but a body.
fn object(options: &Options, (api, kind): (&str, &str), name: &str, body: Value) -> Value {
    let mut object = json!({ "apiVersion": api, "kind": kind, "metadata": metadata(options, name, name) });
    if let (Some(object), Value::Object(body)) = (object.as_object_mut(), body) {
        object.extend(body);
    }
    object
}

fn service_account(options: &Options, name: &str) -> Document {
    let body = json!({ "automountServiceAccountToken": false });
    Document::new("It asks nothing of Kubernetes.", object(options, ("v1", "ServiceAccount"), name, body))
}

fn disruption_budget(options: &Options, name: &str) -> Value {
    let spec = json!({ "maxUnavailable": 1, "selector": { "matchLabels": selector(name) } });
    object(options, ("policy/v1", "PodDisruptionBudget"), name, json!({ "spec": spec }))
}

/// A pair and its authority, as cert-manager leaves them too.
fn tls_secret(options: &Options, name: &str, (certificate, key): &(String, String), ca: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(options, &format!("{name}-tls"), name),
        "type": "kubernetes.io/tls",
        "stringData": { "tls.crt": certificate, "tls.key": key, "ca.crt": ca },
    })
}

/// What a container may do: nothing beyond its own files.
fn container_security() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": { "drop": ["ALL"] },
    })
}

fn pod_security() -> Value {
    json!({
        "runAsNonRoot": true,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "seccompProfile": { "type": "RuntimeDefault" },
    })
}

/// No two on one machine where that can be had.
fn spread(name: &str) -> Value {
    json!([{
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": { "matchLabels": selector(name) },
    }])
}

/// With which a changed configuration is read by a new pod.
fn pod_annotations(configuration: &str) -> Value {
    json!({ "checksum/config": hex::encode(Sha256::digest(configuration)) })
}

/// Ports by their names.
fn ports(ports: &[(&'static str, Option<u16>)]) -> Vec<(&'static str, u16)> {
    ports.iter().filter_map(|(name, port)| Some((*name, (*port)?))).collect()
}

fn container_ports(ports: &[(&'static str, u16)]) -> Value {
    ports.iter().map(|(name, port)| json!({ "name": name, "containerPort": port })).collect()
}

fn service_ports(ports: &[(&'static str, u16)]) -> Value {
    ports.iter().map(|(name, port)| json!({ "name": name, "port": port, "targetPort": name })).collect()
}
