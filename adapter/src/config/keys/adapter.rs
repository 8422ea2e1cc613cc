//! `[adapter]`.

use super::{Key, Section, read, unset};

pub(super) const SECTION: Section = Section {
    name: "adapter",
    about: "The adapter itself: its REST API, where APIs come from, its certificates.",
    keys: KEYS,
};

const KEYS: &[Key] = &[
    unset(
        "adapter.artifactsDirectory",
        "none",
        "the projects in its folder `apis` (folders or zips) are deployed, and followed as they change",
    ),
    unset(
        "adapter.subscriptionsFile",
        "none",
        "plans, applications and subscriptions; see [subscriptions](subscriptions.md)",
    )
    .added(),
    read(
        "adapter.soapErrorInXMLEnabled",
        "false",
        "whether callers who speak SOAP are refused with SOAP faults, by the enforcer and by the router",
    ),
    read("adapter.server.enabled", "true", "whether the REST API of `apictl` runs"),
    read("adapter.server.host", "\"0.0.0.0\"", "address it listens on"),
    read("adapter.server.port", "\"9843\"", "port it listens on"),
    read("adapter.server.tokenTTL", "\"1h\"", "validity of its tokens, at most `24h`"),
    unset("adapter.server.tokenPrivateKeyPath", "a development key", "PKCS #8 PEM of the RSA key that signs them"),
    read(
        "adapter.server.deployTimeout",
        "\"5s\"",
        "how long the answer to a deploy or undeploy waits for connected gateways, at most `5m`; `0s` means not at all",
    )
    .added(),
    read("adapter.server.users[].username", "\"admin\"", "who may use the REST API"),
    read(
        "adapter.server.users[].password",
        "\"$env{adapter_admin_pwd}\"",
        "the password; the variable must be set if no user is configured",
    )
    .secret(),
    read(
        "adapter.vhostMapping[].environment",
        "\"Default\"",
        "an environment of gateways; there are no others than those that are mapped",
    ),
    read("adapter.vhostMapping[].vhost", "\"localhost\"", "its default virtual host"),
    unset("adapter.keystore.certPath", "a development certificate", "the adapter's certificate, for all its ports"),
    unset("adapter.keystore.keyPath", "its key", "the key of that certificate"),
    unset(
        "adapter.truststore.location",
        "the development authority",
        "PEM file or folder: authorities of gateways' certificates and of issuers' JWKS servers",
    ),
    read("adapter.consul.enabled", "false", "whether backends may be [services of Consul](#services-of-consul)"),
    read("adapter.consul.url", "\"https://169.254.1.1:8501\"", "its HTTP interface"),
    read(
        "adapter.consul.pollInterval",
        "5",
        "seconds between two looks at each service; more and more, up to 30, while Consul cannot be reached",
    ),
    unset(
        "adapter.consul.ACLToken",
        "none",
        "the token it is asked with; it needs `service:read` and `node:read`, and in a service mesh `service:write` for \
         `mgwServiceName`",
    )
    .secret(),
    read("adapter.consul.mgwServiceName", "\"wso2\"", "the service that gateways are in Consul's service mesh"),
    read(
        "adapter.consul.serviceMeshEnabled",
        "false",
        "whether services of Consul are spoken to as members of its service mesh, with the certificates that its agent issues",
    ),
    unset("adapter.consul.caCertFile", "the system's authorities", "file or folder of further ones for Consul"),
    unset("adapter.consul.certFile", "none", "certificate that Consul is shown where it asks for one"),
    unset("adapter.consul.keyFile", "none", "its key"),
    read(
        "adapter.sourceControl.enabled",
        "false",
        "whether projects are taken from a Git repository; needs the `git` program",
    ),
    read("adapter.sourceControl.pollInterval", "30", "seconds between two looks at the remote"),
    read(
        "adapter.sourceControl.retryInterval",
        "5",
        "seconds until the next try after a failure, doubling up to `pollInterval`",
    ),
    read("adapter.sourceControl.maxRetryCount", "20", "how often the start tries when there is no clone to begin with"),
    unset(
        "adapter.sourceControl.artifactsDirectory",
        "`<stateDirectory>/git`",
        "where the clone is kept; it belongs to the adapter, which refuses a folder with anything else in it",
    ),
    unset(
        "adapter.sourceControl.repository.URL",
        "required when enabled",
        "`https://`, `http://`, `ssh://`, `user@host:path`, `file://` or a path",
    ),
    unset("adapter.sourceControl.repository.branch", "the remote's default branch", "the branch"),
    unset("adapter.sourceControl.repository.username", "`git`", "for HTTP"),
    unset("adapter.sourceControl.repository.accessToken", "none", "for HTTP; sent to the configured server only")
        .secret(),
    unset("adapter.sourceControl.repository.SSHKeyFile", "none", "private key for SSH"),
    unset(
        "adapter.sourceControl.repository.SSHKnownHostsFile",
        "files that the variable `SSH_KNOWN_HOSTS` lists, or else `known_hosts` of the adapter's user",
        "keys of SSH servers, as `ssh-keyscan` prints them; no other server is spoken to",
    )
    .added(),
    read(
        "adapter.metrics.enabled",
        "false",
        "whether metrics for Prometheus are served on `tollgate.listen.host`; the admin port has them in any case",
    ),
    read("adapter.metrics.type", "\"prometheus\"", "only `prometheus`"),
    read("adapter.metrics.port", "19085", "their port"),
    read("adapter.metrics.collectionInterval", "5", "least seconds between two measurements of the machine"),
];
