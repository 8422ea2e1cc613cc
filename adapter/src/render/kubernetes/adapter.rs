//! The adapter's objects.

use serde_json::{Map, Value, json};

use super::{
    ADAPTER, ROUTER, container_ports, container_security, disruption_budget, labels, metadata, object, pod_annotations,
    pod_security, ports, selector, service_account, service_ports, spread, tls_secret,
};
use crate::render::{Document, Link, Options};

const CONFIG: &str = "/etc/tollgate";
const CERTIFICATES: &str = "/etc/tollgate-tls";
const STATE: &str = "/var/lib/tollgate";
/// Where the image has the modules.
const MODULE: &str = "/usr/share/tollgate/enforcer.wasm";

pub(super) fn documents(options: &Options) -> Vec<Document> {
    let mut documents = vec![service_account(options, ADAPTER), config_map(options)];
    documents.extend(secrets(options));
    documents.extend(volume_claim(options));
    documents.push(deployment(options));
    documents.push(service(options));
    documents.push(Document::new(
        "Gateways go on without the adapter, so draining a machine need not wait for it.",
        disruption_budget(options, ADAPTER),
    ));
    documents.push(network_policy(options));
    documents
}

fn config_map(options: &Options) -> Document {
    let subscriptions = options.installation.subscriptions.iter().map(|text| ("subscriptions.yaml", text));
    let files = std::iter::once(("config.toml", &options.config)).chain(subscriptions);
    let data =
        json!({ "data": files.map(|(name, text)| (name.to_owned(), text.clone().into())).collect::<Map<_, _>>() });
    Document::new(
        "Paths are left to the Deployment's environment. The adapter reads config.toml at its start, and follows subscriptions.",
        object(options, ("v1", "ConfigMap"), ADAPTER, data),
    )
}

fn secrets(options: &Options) -> Vec<Document> {
    let values = options.installation.secrets.iter().map(|secrets| {
        let body = json!({ "type": "Opaque", "stringData": secrets.0 });
        Document::new("What config.toml names as $env{...}.", object(options, ("v1", "Secret"), ADAPTER, body))
    });
    let pair = options.installation.certificates.iter().map(|certificates| {
        let object = tls_secret(options, ADAPTER, &certificates.adapter, &certificates.ca);
        Document::new("The adapter's pair, and the authority of the gateways' certificates.", object)
    });
    values.chain(pair).collect()
}

fn volume_claim(options: &Options) -> Option<Document> {
    let size = options.installation.storage.as_ref()?;
    let spec = json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": size } } });
    Some(Document::new(
        "Deployed projects, fetched keys, and counters.",
        object(options, ("v1", "PersistentVolumeClaim"), ADAPTER, json!({ "spec": spec })),
    ))
}

fn adapter_ports(options: &Options) -> Vec<(&'static str, u16)> {
    let (listen, deployment) = (&options.deployment.listen, &options.deployment);
    ports(&[
        ("grpc-xds", Some(listen.xds.port())),
        ("tls-feed", Some(listen.feed.port())),
        ("https-public", Some(listen.public.port())),
        ("https-rest", deployment.rest),
        ("http-filters", listen.filters.map(|address| address.port())),
        ("http-metrics", deployment.metrics),
    ])
}

fn deployment(options: &Options) -> Document {
    let installation = &options.installation;
    // Two processes must never have one store.
    let strategy = if installation.storage.is_some() { "Recreate" } else { "RollingUpdate" };
    let mut pod_labels = labels(ADAPTER);
    let inject = options.link == Link::Mesh;
    pod_labels.insert("sidecar.istio.io/inject".to_owned(), inject.to_string().into());
    let spec = json!({
        "replicas": installation.replicas,
        "strategy": { "type": strategy },
        "selector": { "matchLabels": selector(ADAPTER) },
        "template": {
            "metadata": { "labels": pod_labels, "annotations": pod_annotations(&options.config) },
            "spec": {
                "serviceAccountName": ADAPTER,
                "automountServiceAccountToken": false,
                "securityContext": pod_security(),
                "topologySpreadConstraints": spread(ADAPTER),
                "containers": [container(options)],
                "volumes": volumes(options),
            },
        },
    });
    Document::new(
        "Needs the secret tollgate-adapter-tls (tls.crt, tls.key, ca.crt); tollgate-adapter holds what config.toml names as \
         $env{...}, adapter_admin_pwd if it names no users.",
        object(options, ("apps/v1", "Deployment"), ADAPTER, json!({ "spec": spec })),
    )
}

fn container(options: &Options) -> Value {
    let set = |name: &str, value: &str| json!({ "name": name, "value": value });
    let probe = |what: &str, seconds: u32, failures: u32| {
        let command = json!(["adapter", "probe", what, "--config", format!("{CONFIG}/config.toml")]);
        json!({ "exec": { "command": command }, "periodSeconds": seconds, "timeoutSeconds": 5, "failureThreshold": failures })
    };
    json!({
        "name": "adapter",
        "image": options.installation.image,
        "command": ["adapter", "serve", "--config", format!("{CONFIG}/config.toml")],
        "env": [
            set("CC_ADAPTER_KEYSTORE_CERTPATH", &format!("{CERTIFICATES}/tls.crt")),
            set("CC_ADAPTER_KEYSTORE_KEYPATH", &format!("{CERTIFICATES}/tls.key")),
            set("CC_ADAPTER_TRUSTSTORE_LOCATION", &format!("{CERTIFICATES}/ca.crt")),
            set("CC_TOLLGATE_STATEDIRECTORY", STATE),
            set("CC_TOLLGATE_MODULE", MODULE),
        ],
        "envFrom": [{ "secretRef": { "name": ADAPTER, "optional": true } }],
        "ports": container_ports(&adapter_ports(options)),
        "startupProbe": probe("ready", 5, 60),
        "readinessProbe": probe("ready", 5, 3),
        "livenessProbe": probe("health", 10, 3),
        "resources": { "requests": { "cpu": "100m", "memory": "128Mi" }, "limits": { "memory": "1Gi" } },
        "securityContext": container_security(),
        "volumeMounts": [
            { "name": "config", "mountPath": CONFIG, "readOnly": true },
            { "name": "certificates", "mountPath": CERTIFICATES, "readOnly": true },
            { "name": "state", "mountPath": STATE },
            { "name": "tmp", "mountPath": "/tmp" },
        ],
    })
}

fn volumes(options: &Options) -> Value {
    let state = match options.installation.storage {
        Some(_) => json!({ "name": "state", "persistentVolumeClaim": { "claimName": ADAPTER } }),
        None => json!({ "name": "state", "emptyDir": {} }),
    };
    json!([
        { "name": "config", "configMap": { "name": ADAPTER } },
        { "name": "certificates", "secret": { "secretName": format!("{ADAPTER}-tls"), "defaultMode": 0o440 } },
        state,
        { "name": "tmp", "emptyDir": {} },
    ])
}

fn service(options: &Options) -> Document {
    let mut ports = adapter_ports(options);
    let mesh = options.deployment.listen.mesh_feed.filter(|_| options.link == Link::Mesh);
    ports.retain(|(name, _)| *name != "http-metrics");
    let mut ports = service_ports(&ports);
    if let (Some(address), Some(ports)) = (mesh, ports.as_array_mut()) {
        // The sidecar has this port; the container has it on loopback only.
        let port = address.port();
        ports.push(json!({ "name": "http2-mesh-feed", "port": port, "targetPort": port }));
    }
    let spec = json!({ "selector": selector(ADAPTER), "ports": ports });
    Document::new("", object(options, ("v1", "Service"), ADAPTER, json!({ "spec": spec })))
}

/// What may reach which port. Where the adapter goes (issuers, Git, Redis) is not ours to know, so that is left open.
fn network_policy(options: &Options) -> Document {
    let listen = &options.deployment.listen;
    let tcp =
        |ports: &[u16]| -> Value { ports.iter().map(|port| json!({ "protocol": "TCP", "port": port })).collect() };
    let proxies = json!([{
        "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": options.proxies.namespace } },
        "podSelector": { "matchLabels": options.proxies.labels },
    }]);
    let fetched = listen.filters.map(|address| address.port());
    let logs = (options.deployment.analytics.is_some() && options.link == Link::Tls).then(|| listen.xds.port());
    let to_proxies: Vec<u16> = std::iter::once(options.feed_port()).chain(fetched).chain(logs).collect();
    let mut ingress = vec![
        json!({
            "from": [{ "podSelector": { "matchLabels": selector(ROUTER) } }],
            "ports": tcp(&[listen.xds.port(), listen.feed.port(), listen.public.port()]),
        }),
        json!({ "from": proxies, "ports": tcp(&to_proxies) }),
    ];
    let open: Vec<u16> = options.deployment.rest.into_iter().chain(options.deployment.metrics).collect();
    if !open.is_empty() {
        ingress.push(json!({ "ports": tcp(&open) }));
    }
    let spec =
        json!({ "podSelector": { "matchLabels": selector(ADAPTER) }, "policyTypes": ["Ingress"], "ingress": ingress });
    let policy = Map::from_iter([
        ("apiVersion".to_owned(), "networking.k8s.io/v1".into()),
        ("kind".to_owned(), "NetworkPolicy".into()),
        ("metadata".to_owned(), metadata(options, ADAPTER, ADAPTER)),
        ("spec".to_owned(), spec),
    ]);
    Document::new(
        "Gateways and proxies of the mesh reach their ports; people reach the REST API, which asks them for a password.",
        Value::Object(policy),
    )
}
