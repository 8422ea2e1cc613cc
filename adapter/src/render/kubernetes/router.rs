//! Gateways of plain Envoy, which take everything from the adapter.

use serde_json::{Value, json};

use super::{
    ROUTER, container_ports, container_security, disruption_budget, labels, object, pod_annotations, pod_security,
    ports, selector, service_account, service_ports, spread, tls_secret,
};
use crate::bootstrap;
use crate::config::Environment;
use crate::render::{Document, Options, RenderError};

const BOOTSTRAP: &str = "/etc/envoy";
const CERTIFICATES: &str = "/etc/tollgate-tls";

pub(super) fn documents(options: &Options) -> Result<Vec<Document>, RenderError> {
    let bootstrap = bootstrap(options)?;
    let data = json!({ "data": { "envoy.yaml": bootstrap } });
    let config_map = object(options, ("v1", "ConfigMap"), ROUTER, data);
    let mut documents =
        vec![service_account(options, ROUTER), Document::new("All else comes from the adapter.", config_map)];
    documents.extend(options.installation.certificates.iter().map(|certificates| {
        let object = tls_secret(options, ROUTER, &certificates.router, &certificates.ca);
        Document::new("What gateways show to the adapter, and the authority of its certificate.", object)
    }));
    documents.push(deployment(options, &bootstrap)?);
    let spec = json!({ "selector": selector(ROUTER), "ports": service_ports(&router_ports(options)) });
    documents.push(Document::new(
        "Make it a LoadBalancer, or put an Ingress in front of it, for clients outside of the cluster.",
        object(options, ("v1", "Service"), ROUTER, json!({ "spec": spec })),
    ));
    documents.push(Document::new("", disruption_budget(options, ROUTER)));
    Ok(documents)
}

fn bootstrap(options: &Options) -> Result<String, RenderError> {
    let listen = &options.deployment.listen;
    let variables = Environment::from(
        [
            ("ROUTER_LABEL", options.environment.clone()),
            ("ROUTER_PRIVATE_KEY_PATH", format!("{CERTIFICATES}/tls.key")),
            ("ROUTER_PUBLIC_CERT_PATH", format!("{CERTIFICATES}/tls.crt")),
            ("ADAPTER_CA_CERT_PATH", format!("{CERTIFICATES}/ca.crt")),
            ("ADAPTER_HOST", options.host()),
            ("ADAPTER_PORT", listen.xds.port().to_string()),
            ("ENFORCER_PORT", listen.feed.port().to_string()),
            ("TOLLGATE_PUBLIC_PORT", listen.public.port().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    Ok(bootstrap::render(&variables)?)
}

fn router_ports(options: &Options) -> Vec<(&'static str, u16)> {
    ports(&[("http", options.deployment.http), ("https", options.deployment.https)])
}

fn deployment(options: &Options, bootstrap: &str) -> Result<Document, RenderError> {
    let spec = json!({
        "replicas": options.installation.router_replicas,
        "selector": { "matchLabels": selector(ROUTER) },
        "template": {
            "metadata": { "labels": pod_labels(), "annotations": pod_annotations(bootstrap) },
            "spec": {
                "serviceAccountName": ROUTER,
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 60,
                "securityContext": pod_security(),
                "topologySpreadConstraints": spread(ROUTER),
                "containers": [container(options)?],
                "volumes": [
                    { "name": "bootstrap", "configMap": { "name": ROUTER } },
                    {
                        "name": "certificates",
                        "secret": { "secretName": format!("{ROUTER}-tls"), "defaultMode": 0o440 },
                    },
                    { "name": "tmp", "emptyDir": {} },
                ],
            },
        },
    });
    Ok(Document::new(
        "Needs the secret tollgate-router-tls (tls.crt, tls.key, ca.crt). A gateway takes requests once it has accepted its whole \
         configuration.",
        object(options, ("apps/v1", "Deployment"), ROUTER, json!({ "spec": spec })),
    ))
}

/// Its listeners are its own: a sidecar in front of it would only see them twice.
fn pod_labels() -> Value {
    let mut labels = labels(ROUTER);
    labels.insert("sidecar.istio.io/inject".to_owned(), "false".into());
    Value::Object(labels)
}

fn container(options: &Options) -> Result<Value, RenderError> {
    let deployment = &options.deployment;
    let (scheme, port) = match (deployment.http, deployment.https) {
        (Some(_), _) => ("HTTP", "http"),
        (None, Some(_)) => ("HTTPS", "https"),
        (None, None) => {
            return Err(RenderError::options(
                "both listeners of the gateways are switched off",
                "set router.listenerPort or router.securedListenerPort, or use --router-replicas 0",
            ));
        }
    };
    let probe = |path: &str, seconds: u32, failures: u32| {
        let host = json!([{ "name": "Host", "value": deployment.system_host }]);
        let get = json!({ "path": path, "port": port, "scheme": scheme, "httpHeaders": host });
        json!({ "httpGet": get, "periodSeconds": seconds, "timeoutSeconds": 5, "failureThreshold": failures })
    };
    // Several gateways of one label are told apart by their pods' names.
    let instance = "{\"node\":{\"metadata\":{\"instanceIdentifier\":\"$(POD_NAME)\"}}}";
    let arguments = ["--config-path", &format!("{BOOTSTRAP}/envoy.yaml"), "--config-yaml", instance].map(str::to_owned);
    Ok(json!({
        "name": "envoy",
        "image": options.installation.router_image,
        "command": std::iter::once("envoy".to_owned()).chain(arguments).collect::<Vec<_>>(),
        "env": [{ "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }],
        "ports": container_ports(&router_ports(options)),
        "startupProbe": probe("/ready", 5, 60),
        "readinessProbe": probe("/ready", 5, 3),
        "livenessProbe": probe("/health", 10, 3),
        "resources": { "requests": { "cpu": "500m", "memory": "256Mi" }, "limits": { "memory": "2Gi" } },
        "securityContext": container_security(),
        "volumeMounts": [
            { "name": "bootstrap", "mountPath": BOOTSTRAP, "readOnly": true },
            { "name": "certificates", "mountPath": CERTIFICATES, "readOnly": true },
            { "name": "tmp", "mountPath": "/tmp" },
        ],
    }))
}
