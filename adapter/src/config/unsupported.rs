//! Switches of Choreo Connect that this release cannot honour. Each is refused when it is on: whoever switched it on relies
//! on what it does.

use super::reader::Reader;

/// Key, and what it would do.
const REFUSED: &[(&str, &str)] = &[
    ("controlPlane.enabled", "taking APIs and subscriptions from API Manager"),
    ("globalAdapter.enabled", "sharding over a global adapter"),
    ("adapter.consul.enabled", "service discovery by Consul"),
    ("analytics.enabled", "analytics"),
    ("router.payloadPassingToEnforcer.passRequestPayload", "passing request bodies to the enforcer"),
    ("enforcer.throttling.enableGlobalEventPublishing", "throttling"),
    ("enforcer.jwtGenerator.enabled", "the backend JWT"),
];

/// Refuses what is switched on.
pub fn check(reader: &mut Reader<'_>) {
    for &(key, what) in REFUSED {
        if reader.flag(key) == Some(true) {
            reader.error(key, &format!("{what} is not supported by this release"), "switch it off");
        }
    }
    if reader.count("enforcer.filters") > 0 {
        reader.error("enforcer.filters", "custom filters in Java cannot run in this gateway", "remove them");
    }
    let key = "enforcer.metrics.enabled";
    if reader.flag(key) == Some(true) {
        reader.warn(key, "the filters' metrics are always among Envoy's own", "remove the key");
    }
}
