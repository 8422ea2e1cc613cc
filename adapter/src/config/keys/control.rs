//! `[controlPlane]`, `[globalAdapter]` and `[analytics]`.

use super::{Key, Section, behind, off};

const PLANE: &str = "controlPlane.enabled";
const GLOBAL: &str = "globalAdapter.enabled";
const ANALYTICS_ON: &str = "analytics.enabled";

pub(super) const CONTROL_PLANE: Section =
    Section { name: "controlPlane", about: "APIs and subscriptions from API Manager.", keys: CONTROL_PLANE_KEYS };

pub(super) const GLOBAL_ADAPTER: Section =
    Section { name: "globalAdapter", about: "Sharding over a global adapter.", keys: GLOBAL_ADAPTER_KEYS };

pub(super) const ANALYTICS: Section =
    Section { name: "analytics", about: "Events for analytics.", keys: ANALYTICS_KEYS };

const CONTROL_PLANE_KEYS: &[Key] = &[
    off(
        "controlPlane.enabled",
        "taking APIs and subscriptions from API Manager",
        "deploy with apictl, or from a folder or a Git repository",
    ),
    behind("controlPlane.serviceURL", PLANE),
    behind("controlPlane.username", PLANE),
    behind("controlPlane.password", PLANE).secret(),
    behind("controlPlane.environmentLabels", PLANE),
    behind("controlPlane.retryInterval", PLANE),
    behind("controlPlane.skipSSLVerification", PLANE),
    behind("controlPlane.sendRevisionUpdate", PLANE),
    behind("controlPlane.syncApisOnStartUp", PLANE),
    behind("controlPlane.brokerConnectionParameters.eventListeningEndpoints", PLANE).secret(),
    behind("controlPlane.brokerConnectionParameters.reconnectInterval", PLANE),
    behind("controlPlane.brokerConnectionParameters.reconnectRetryCount", PLANE),
    behind("controlPlane.requestWorkerPool.poolSize", PLANE),
    behind("controlPlane.requestWorkerPool.queueSizePerPool", PLANE),
    behind("controlPlane.requestWorkerPool.pauseTimeAfterFailure", PLANE),
    behind("controlPlane.httpClient.requestTimeOut", PLANE),
];

const GLOBAL_ADAPTER_KEYS: &[Key] = &[
    off(
        "globalAdapter.enabled",
        "sharding over a global adapter",
        "name the environments of this adapter in adapter.vhostMapping",
    ),
    behind("globalAdapter.serviceURL", GLOBAL),
    behind("globalAdapter.overrideHostName", GLOBAL),
    behind("globalAdapter.localLabel", GLOBAL),
    behind("globalAdapter.retryInterval", GLOBAL),
];

const ANALYTICS_KEYS: &[Key] = &[
    off("analytics.enabled", "analytics", "use access logs, metrics and traces"),
    behind("analytics.type", ANALYTICS_ON),
    behind("analytics.adapter.bufferFlushInterval", ANALYTICS_ON),
    behind("analytics.adapter.bufferSizeBytes", ANALYTICS_ON),
    behind("analytics.adapter.gRPCRequestTimeout", ANALYTICS_ON),
    behind("analytics.adapter.customProperties.enabled", ANALYTICS_ON),
    behind("analytics.adapter.customProperties.requestHeaders", ANALYTICS_ON),
    behind("analytics.adapter.customProperties.responseHeaders", ANALYTICS_ON),
    behind("analytics.adapter.customProperties.responseTrailers", ANALYTICS_ON),
    behind("analytics.enforcer.configProperties.*", ANALYTICS_ON).secret(),
    behind("analytics.enforcer.LogReceiver.port", ANALYTICS_ON),
    behind("analytics.enforcer.LogReceiver.maxMessageSize", ANALYTICS_ON),
    behind("analytics.enforcer.LogReceiver.maxHeaderLimit", ANALYTICS_ON),
    behind("analytics.enforcer.LogReceiver.keepAliveTime", ANALYTICS_ON),
    behind("analytics.enforcer.LogReceiver.threadPool.*", ANALYTICS_ON),
];
