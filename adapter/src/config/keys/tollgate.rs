//! `[tollgate]`: what Choreo Connect has nothing of.

use super::{Key, Section, read, unset};

pub(super) const SECTION: Section =
    Section { name: "tollgate", about: "What Choreo Connect has nothing of.", keys: KEYS };

const KEYS: &[Key] = &[
    read("tollgate.stateDirectory", "\"./.tollgate\"", "store, development certificates, fetched keys").added(),
    read(
        "tollgate.module",
        "\"./enforcer.wasm\"",
        "the filter, sent to gateways over xDS; it and the modules beside it are offered under `/filters` too",
    )
    .added(),
    read("tollgate.listen.host", "\"0.0.0.0\"", "address of the ports below and of the feed").added(),
    read("tollgate.listen.xds", "18000", "port of xDS").added(),
    read("tollgate.listen.public", "9001", "port of test keys and JWKS").added(),
    unset(
        "tollgate.listen.filters",
        "off",
        "port that offers `/filters` over plain HTTP, and nothing else, to proxies that check modules by their hash",
    )
    .added(),
    unset(
        "tollgate.listen.meshFeed",
        "off",
        "port of the feed in plain text, always on loopback: for the adapter's own sidecar, which judges who may ask",
    )
    .added(),
    read("tollgate.listen.admin", "6060", "port of health, readiness, status and metrics; always on loopback").added(),
    unset("tollgate.virtualHosts[].host", "none", "a virtual host with further names; see [mesh](mesh.md)").added(),
    unset("tollgate.virtualHosts[].aliases", "none", "those names, such as short ones of a Kubernetes service").added(),
    read(
        "tollgate.accessLogs.enable",
        "false",
        "whether gateways write access logs; `[accessLogs]` of log_config.toml counts instead, if it is there",
    )
    .added(),
    read(
        "tollgate.accessLogs.logfile",
        "\"/tmp/envoy.access.log\"",
        "file on the gateway's machine; `/dev/stdout` is one",
    )
    .added(),
    read("tollgate.accessLogs.logFormat", "\"TEXT\"", "`TEXT` or `JSON`").added(),
    unset("tollgate.accessLogs.format", "a line, or an object, without queries", "what is logged, in Envoy's terms")
        .added(),
    read(
        "tollgate.clockSkewInSeconds",
        "5",
        "seconds that clocks may differ when the times of tokens are checked, at most 600",
    )
    .added(),
    unset(
        "tollgate.explain.keyPath",
        "nobody may have live requests explained",
        "Ed25519 key in PEM, private or public, whose passes let live requests be explained; see [explain](explain.md)",
    )
    .added(),
    read(
        "tollgate.usageRecords.enable",
        "false",
        "whether every request leaves a record of what was decided, for access logs; see [operations](operations.md)",
    )
    .added(),
    unset(
        "tollgate.analytics.logfile",
        "standard output",
        "file for events, rotated at 100 MiB; see [analytics](analytics.md)",
    )
    .added(),
    unset(
        "tollgate.revocation.etcd.endpoints",
        "none",
        "URLs of etcd, from which revoked tokens are taken; see [subscriptions](subscriptions.md)",
    )
    .added(),
    read("tollgate.revocation.etcd.prefix", "\"/revoked/\"", "what their names begin with").added(),
    unset("tollgate.revocation.etcd.username", "none", "for an etcd that asks for it").added(),
    unset("tollgate.revocation.etcd.password", "none", "of that user").secret().added(),
    unset(
        "tollgate.revocation.etcd.trustedCertPath",
        "the system's authorities",
        "authorities of an etcd whose certificate the system does not trust",
    )
    .added(),
    read(
        "tollgate.controlPlane.reconcileInterval",
        "300",
        "seconds between two comparisons with all that API Manager has, whatever it told in between",
    )
    .added(),
    read(
        "tollgate.quota.owner",
        "\"embedded\"",
        "who counts: `embedded`, or `redis` for several adapters; see [limits](limits.md)",
    )
    .added(),
    read("tollgate.quota.timeZone", "\"UTC\"", "where days, weeks, months and years of limits begin").added(),
    read("tollgate.quota.gateways", "1", "gateways that share every limit while the owner is away").added(),
    read("tollgate.quota.headers", "false", "whether clients are told how their limits stand, in `RateLimit` and `RateLimit-Policy`; see [limits](limits.md)").added(),
    unset("tollgate.quota.redis.urls", "none", "`redis://` or `rediss://` addresses").secret().added(),
    read("tollgate.quota.redis.topology", "\"single\"", "`single`, `cluster` or `sentinel`").added(),
    unset("tollgate.quota.redis.masterName", "none", "the master that sentinels are asked for").added(),
    read("tollgate.quota.redis.deadline", "\"250ms\"", "longest wait for Redis, at most 400ms").added(),
];
