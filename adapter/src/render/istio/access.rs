//! How proxies reach the adapter's feed: by its own mutual TLS, or by that of the mesh.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{analytics, beside_proxies};
use crate::render::kubernetes::{ADAPTER, selector};
use crate::render::{Document, Link, Options, RenderError};

pub(super) fn documents(options: &Options) -> Result<Vec<Document>, RenderError> {
    match options.link {
        Link::Tls => {
            let outside = options.is_outside().then(|| service_entry(options));
            Ok(outside.into_iter().chain([own_tls(options)]).collect())
        }
        Link::Mesh => mesh(options),
    }
}

/// The adapter is not in the cluster.
fn service_entry(options: &Options) -> Document {
    let logs = options.deployment.analytics.iter().map(|_| (analytics::port(options), "grpc-logs", "GRPC"));
    let ports = std::iter::once((options.feed_port(), "http2-feed", "HTTP2")).chain(logs);
    let ports = ports.map(|(number, name, protocol)| json!({ "number": number, "name": name, "protocol": protocol }));
    Document::new(
        "The adapter is outside of the mesh; without this, the proxies have no cluster for it.",
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": beside_proxies(options, ADAPTER),
            "spec": {
                "hosts": [options.host()],
                "exportTo": ["."],
                "location": "MESH_EXTERNAL",
                "resolution": "DNS",
                "ports": ports.collect::<Vec<_>>(),
            },
        }),
    )
}

fn own_tls(options: &Options) -> Document {
    Document::new(
        "The adapter speaks mutual TLS itself, with certificates of its own authority: the mesh must neither wrap the connection \
         a second time nor send plain text. The secret holds tls.crt, tls.key and ca.crt: the proxies' pair, and the adapter's \
         authority.",
        rule(
            options,
            &json!({
                "mode": "MUTUAL",
                "credentialName": options.proxies.secret,
                "sni": options.host(),
                "subjectAltNames": [options.host()],
            }),
        ),
    )
}

fn rule(options: &Options, tls: &Value) -> Value {
    let logs = options.deployment.analytics.iter().map(|_| analytics::port(options));
    // The mesh has one port for both.
    let ports: BTreeSet<u16> = std::iter::once(options.feed_port()).chain(logs).collect();
    let ports: Value = ports.into_iter().map(|port| json!({ "port": { "number": port }, "tls": tls })).collect();
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": beside_proxies(options, ADAPTER),
        "spec": {
            "host": options.host(),
            "exportTo": ["."],
            "workloadSelector": { "matchLabels": options.proxies.labels },
            "trafficPolicy": { "portLevelSettings": ports },
        },
    })
}

fn mesh(options: &Options) -> Result<Vec<Document>, RenderError> {
    let principals = principals(options)?;
    Ok(vec![
        Document::new(
            "The proxies show the mesh's certificates to the adapter's sidecar.",
            rule(options, &json!({ "mode": "ISTIO_MUTUAL" })),
        ),
        Document::new(
            "The sidecar hands the feed to the adapter on its loopback address, where nobody else in the mesh gets to.",
            sidecar(options),
        ),
        Document::new(
            "Nothing but the mesh's mutual TLS gets to that port. On its other ports the adapter speaks TLS itself.",
            peer_authentication(options),
        ),
        Document::new(
            "Of the mesh, only these may ask. What is sent holds the APIs' rules and their subscribers.",
            authorization_policy(options, &principals),
        ),
    ])
}

/// Who may ask, in the mesh's terms.
fn principals(options: &Options) -> Result<Vec<String>, RenderError> {
    let mut principals = Vec::new();
    for caller in &options.proxies.callers {
        let Some((namespace, account)) = caller.split_once('/') else {
            return Err(RenderError::options(
                format!("the caller '{caller}' is not a namespace and a service account"),
                "write for example --caller istio-system/istio-ingressgateway-service-account",
            ));
        };
        principals.push(format!("cluster.local/ns/{namespace}/sa/{account}"));
    }
    if principals.is_empty() {
        return Err(RenderError::options(
            "nobody may ask the adapter",
            "name the proxies' accounts, for example --caller istio-system/istio-ingressgateway-service-account",
        ));
    }
    Ok(principals)
}

fn beside_adapter(options: &Options) -> Value {
    json!({ "name": ADAPTER, "namespace": options.namespace })
}

fn sidecar(options: &Options) -> Value {
    let port = options.feed_port();
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "Sidecar",
        "metadata": beside_adapter(options),
        "spec": {
            "workloadSelector": { "labels": selector(ADAPTER) },
            "ingress": [{
                "port": { "number": port, "protocol": "HTTP2", "name": "http2-mesh-feed" },
                "defaultEndpoint": format!("127.0.0.1:{port}"),
            }],
        },
    })
}

fn peer_authentication(options: &Options) -> Value {
    json!({
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": beside_adapter(options),
        "spec": {
            "selector": { "matchLabels": selector(ADAPTER) },
            "mtls": { "mode": "PERMISSIVE" },
            "portLevelMtls": { options.feed_port().to_string(): { "mode": "STRICT" } },
        },
    })
}

fn authorization_policy(options: &Options, principals: &[String]) -> Value {
    json!({
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": beside_adapter(options),
        "spec": {
            "selector": { "matchLabels": selector(ADAPTER) },
            "action": "DENY",
            "rules": [{
                "from": [{ "source": { "notPrincipals": principals } }],
                "to": [{ "operation": { "ports": [options.feed_port().to_string()] } }],
            }],
        },
    })
}
