//! `[controlPlane]`, `[globalAdapter]` and `[analytics]`.

use super::{Key, Section, idle, read};

pub(super) const CONTROL_PLANE: Section = Section {
    name: "controlPlane",
    about: "APIs, subscriptions and all else from API Manager.",
    keys: CONTROL_PLANE_KEYS,
};

pub(super) const GLOBAL_ADAPTER: Section = Section {
    name: "globalAdapter",
    about: "Who shares the APIs of API Manager among several adapters.",
    keys: GLOBAL_ADAPTER_KEYS,
};

pub(super) const ANALYTICS: Section =
    Section { name: "analytics", about: "Events for analytics.", keys: ANALYTICS_KEYS };

const CONTROL_PLANE_KEYS: &[Key] = &[
    read(
        "controlPlane.enabled",
        "false",
        "whether everything is taken from API Manager; see [control plane](control-plane.md)",
    ),
    read("controlPlane.serviceURL", "\"https://apim:9443/\"", "where its REST interface is"),
    read(
        "controlPlane.username",
        "\"admin\"",
        "who signs in; the tenant behind the last `@` is the one whose APIs are served, `carbon.super` without one",
    ),
    read("controlPlane.password", "\"$env{cp_admin_pwd}\"", "the password; the variable must be set if there is none")
        .secret(),
    read("controlPlane.environmentLabels", "[\"Default\"]", "gateway environments whose APIs are served"),
    read(
        "controlPlane.retryInterval",
        "5",
        "most seconds until what failed is asked again; the first times it is asked sooner",
    ),
    read(
        "controlPlane.skipSSLVerification",
        "false",
        "whether any certificate is accepted, of API Manager and of its broker; otherwise those of the system's authorities and \
         of `adapter.truststore.location`",
    ),
    read(
        "controlPlane.sendRevisionUpdate",
        "false",
        "whether API Manager is told which revisions gateways serve, when they have taken them",
    ),
    idle("controlPlane.syncApisOnStartUp", "false", "everything is compared at every start"),
    read(
        "controlPlane.brokerConnectionParameters.eventListeningEndpoints",
        "[\"amqp://admin:$env{cp_admin_pwd}@apim:5672?retries='10'&connectdelay='30'\"]",
        "brokers that stand in for each other, `amqp://` or `amqps://`; pauses between tries grow to `connectdelay` seconds \
         within `retries` tries",
    )
    .secret(),
    idle(
        "controlPlane.brokerConnectionParameters.reconnectInterval",
        "5000",
        "it belongs to Azure Service Bus; an AMQP broker is tried for ever, as its address says",
    ),
    idle(
        "controlPlane.brokerConnectionParameters.reconnectRetryCount",
        "60",
        "it belongs to Azure Service Bus; an AMQP broker is tried for ever",
    ),
    read("controlPlane.requestWorkerPool.poolSize", "4", "questions to API Manager that are under way at a time"),
    read(
        "controlPlane.requestWorkerPool.queueSizePerPool",
        "1000",
        "APIs for each worker that wait to be asked for by themselves; when there are more, all are asked for together",
    ),
    read(
        "controlPlane.requestWorkerPool.pauseTimeAfterFailure",
        "5",
        "seconds in which no API is asked for by itself after one could not be had",
    ),
    read(
        "controlPlane.httpClient.requestTimeOut",
        "30",
        "seconds in which API Manager may say nothing while it is asked",
    ),
];

const GLOBAL_ADAPTER_KEYS: &[Key] = &[
    read(
        "globalAdapter.enabled",
        "false",
        "whether a global adapter says which APIs this adapter serves; see [control plane](control-plane.md)",
    ),
    read(
        "globalAdapter.serviceURL",
        "\"global-adapter:18000\"",
        "its host and port; the two show each other `adapter.keystore` and a certificate that `adapter.truststore` knows",
    ),
    read("globalAdapter.overrideHostName", "\"\"", "the name in its certificate; its host when empty"),
    read("globalAdapter.localLabel", "\"default\"", "by what label it knows this adapter"),
    read(
        "globalAdapter.retryInterval",
        "5",
        "most seconds until it is tried again after it could not be reached; the first times it is tried sooner",
    ),
];

/// Why settings of Choreo's analytics and of the server that received logs have no meaning.
const CLOUD: &str = "it belongs to Choreo's analytics in the cloud, or to classes of Java";
const XDS: &str = "gateways log over the port of xDS, within this program's own bounds";

const ANALYTICS_KEYS: &[Key] = &[
    read("analytics.enabled", "false", "whether there are events about requests; see [analytics](analytics.md)"),
    read("analytics.type", "\"Default\"", "must be `ELK` where events are on: lines for whoever ships logs"),
    read("analytics.adapter.bufferFlushInterval", "\"1s\"", "how long a gateway keeps what it logs, at most `1m`"),
    read("analytics.adapter.bufferSizeBytes", "16384", "so many bytes of it are sent at once, however early"),
    idle("analytics.adapter.gRPCRequestTimeout", "\"20s\"", "gateways log in one stream that has no end"),
    read("analytics.adapter.customProperties.enabled", "false", "whether events tell of the headers below"),
    read("analytics.adapter.customProperties.requestHeaders", "[]", "headers of requests; never name credentials"),
    read("analytics.adapter.customProperties.responseHeaders", "[]", "headers of responses"),
    read("analytics.adapter.customProperties.responseTrailers", "[]", "trailers of responses"),
    idle("analytics.enforcer.configProperties.*", "\"\"", CLOUD).secret(),
    idle("analytics.enforcer.LogReceiver.port", "18090", XDS),
    idle("analytics.enforcer.LogReceiver.maxMessageSize", "1000000000", XDS),
    idle("analytics.enforcer.LogReceiver.maxHeaderLimit", "8192", XDS),
    idle("analytics.enforcer.LogReceiver.keepAliveTime", "600", XDS),
    idle("analytics.enforcer.LogReceiver.threadPool.*", "\"\"", XDS),
];
