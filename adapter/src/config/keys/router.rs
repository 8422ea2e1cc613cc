//! `[router]` and `[tracing]`.

use super::{Key, Section, behind, idle, off, read, unset};

const PAYLOAD: &str = "router.payloadPassingToEnforcer.passRequestPayload";
const MEDIA_TYPES: &str = "[\"application/javascript\", \"application/json\", \"application/xhtml+xml\", \
                           \"image/svg+xml\", \"text/css\", \"text/html\", \"text/plain\", \"text/xml\"]";

pub(super) const SECTION: Section =
    Section { name: "router", about: "What gateways do with connections, whatever the API.", keys: ROUTER_KEYS };

pub(super) const TRACING: Section = Section {
    name: "tracing",
    about: "Where gateways report spans. Nothing else is read while it is off. The service is `choreo_connect_router` with OTLP, and `ROUTER_CLUSTER` of the bootstrap with Zipkin.",
    keys: TRACING_KEYS,
};

const ROUTER_KEYS: &[Key] = &[
    read("router.listenerHost", "\"0.0.0.0\"", "address of the HTTP listener"),
    read("router.listenerPort", "9090", "its port; 0 switches it off"),
    read("router.securedListenerHost", "\"0.0.0.0\"", "address of the HTTPS listener"),
    read("router.securedListenerPort", "9095", "its port; 0 switches it off"),
    read("router.listenerCodecType", "\"AUTO\"", "`AUTO`, `HTTP1` or `HTTP2`"),
    read(
        "router.clusterTimeoutInSeconds",
        "20",
        "seconds for connecting to a backend; also for connecting to an interceptor, and for its answer, where its definition says neither",
    ),
    idle(
        "router.enforcerResponseTimeoutInSeconds",
        "20",
        "the enforcer decides inside Envoy, so nothing is waited for",
    ),
    read("router.systemHost", "\"localhost\"", "host of `/health`, `/ready`, `/testkey`, `/.wellknown/jwks`"),
    read(
        "router.useRemoteAddress",
        "false",
        "whether the connection's address is the client's; if not, the first element of `x-forwarded-for` is, which then only a proxy in front of the gateway may write",
    ),
    read("router.perConnectionBufferLimitBytes", "1048576", "most bytes that a listener buffers for a connection"),
    unset(
        "router.keystore.certPath",
        "a development certificate",
        "certificate of the HTTPS listener, and towards backends",
    ),
    unset("router.keystore.keyPath", "its key", "the key of that certificate"),
    read(
        "router.cors.enabled",
        "true",
        "whether APIs without rules of their own for pages of other origins have these",
    ),
    read("router.cors.allowOrigins", "[\"*\"]", "origins that are welcome"),
    read(
        "router.cors.allowMethods",
        "[\"GET\", \"PUT\", \"POST\", \"DELETE\", \"PATCH\", \"OPTIONS\"]",
        "methods that they may use",
    ),
    read(
        "router.cors.allowHeaders",
        "[\"authorization\", \"Access-Control-Allow-Origin\", \"Content-Type\", \"SOAPAction\", \"apikey\", \"testKey\", \"Internal-Key\"]",
        "headers that they may send",
    ),
    read("router.cors.exposeHeaders", "[]", "headers that they may see"),
    read("router.cors.allowCredentials", "false", "whether they may send credentials"),
    read(
        "router.upstream.tls.minimumProtocolVersion",
        "\"TLS1_2\"",
        "lowest TLS version towards backends: `TLS1_0` to `TLS1_3`",
    ),
    read("router.upstream.tls.maximumProtocolVersion", "\"TLS1_3\"", "highest TLS version towards backends"),
    unset("router.upstream.tls.ciphers", "Envoy's choice", "cipher suites up to TLS 1.2"),
    read(
        "router.upstream.tls.trustedCertPath",
        "\"/etc/ssl/certs/ca-certificates.crt\"",
        "authorities of backends, on the gateway's machine",
    ),
    read("router.upstream.tls.verifyHostName", "true", "whether a backend's certificate must name the host"),
    read(
        "router.upstream.tls.disableSslVerification",
        "false",
        "whether certificates of backends are not checked at all",
    ),
    read("router.upstream.dns.dNSRefreshRate", "5000", "milliseconds between two look-ups of a backend's name"),
    read("router.upstream.dns.respectDNSTtl", "false", "whether the record's own time to live counts instead"),
    read(
        "router.upstream.health.timeout",
        "1",
        "seconds that a TCP health check waits; clusters with several endpoints are checked",
    ),
    read("router.upstream.health.interval", "10", "seconds between two checks"),
    read("router.upstream.health.unhealthyThreshold", "2", "failures that take an endpoint out"),
    read("router.upstream.health.healthyThreshold", "2", "successes that take it back"),
    read(
        "router.upstream.outlierDetection.enabled",
        "true",
        "whether an endpoint that fails real requests is left alone for a while, in clusters with several",
    )
    .added(),
    read(
        "router.upstream.outlierDetection.consecutiveFailures",
        "5",
        "after so many broken connections, or answers 502, 503, 504, in a row",
    )
    .added(),
    read(
        "router.upstream.outlierDetection.consecutive5xx",
        "0",
        "or after so many answers of any 5xx in a row; 0 means that they do not count",
    )
    .added(),
    read("router.upstream.outlierDetection.interval", "10", "seconds between two looks at who may come back").added(),
    read(
        "router.upstream.outlierDetection.baseEjectionTime",
        "30",
        "seconds of the first time; longer each time again",
    )
    .added(),
    read("router.upstream.outlierDetection.maxEjectionPercent", "50", "most endpoints at a time, in percent").added(),
    read("router.upstream.timeouts.routeTimeoutInSeconds", "60", "seconds until the backend has answered"),
    read("router.upstream.timeouts.maxRouteTimeoutInSeconds", "60", "cap of timeouts that APIs name"),
    read("router.upstream.timeouts.routeIdleTimeoutInSeconds", "300", "seconds without traffic"),
    read("router.upstream.retry.maxRetryCount", "5", "cap of retries that APIs name"),
    read("router.upstream.retry.baseIntervalInMillis", "25", "milliseconds until the first retry"),
    read("router.upstream.retry.statusCodes", "[504]", "answers that are tried again, when an API names none"),
    read(
        "router.upstream.http2.hpackTableSize",
        "4096",
        "bytes of the table for header compression, towards backends that speak HTTP/2",
    ),
    read("router.upstream.http2.maxConcurrentStreams", "2147483647", "most streams of such a connection"),
    read("router.downstream.tls.minimumProtocolVersion", "\"TLS1_2\"", "lowest TLS version of the HTTPS listener"),
    read("router.downstream.tls.maximumProtocolVersion", "\"TLS1_3\"", "highest TLS version of the HTTPS listener"),
    unset("router.downstream.tls.ciphers", "Envoy's choice", "cipher suites up to TLS 1.2"),
    read(
        "router.downstream.tls.trustedCertPath",
        "\"/etc/ssl/certs/ca-certificates.crt\"",
        "PEM file or folder, on the adapter's machine: authorities of clients' certificates",
    ),
    read(
        "router.downstream.tls.mTLSAPIsEnabled",
        "false",
        "whether clients are asked for certificates; none is needed to connect, but a bad one ends the connection",
    ),
    read(
        "router.connection.timeouts.requestTimeoutInSeconds",
        "0",
        "seconds until a whole request is there; 0 means no limit",
    ),
    read(
        "router.connection.timeouts.requestHeadersTimeoutInSeconds",
        "0",
        "seconds until its headers are there; 0 means no limit",
    ),
    read("router.connection.timeouts.streamIdleTimeoutInSeconds", "300", "seconds of a request without traffic"),
    read("router.connection.timeouts.idleTimeoutInSeconds", "3600", "seconds of a connection without requests"),
    off(
        "router.payloadPassingToEnforcer.passRequestPayload",
        "passing bodies of all requests to the enforcer",
        "what reads bodies asks for them by itself",
    ),
    behind("router.payloadPassingToEnforcer.maxRequestBytes", PAYLOAD),
    behind("router.payloadPassingToEnforcer.allowPartialMessage", PAYLOAD),
    behind("router.payloadPassingToEnforcer.packAsBytes", PAYLOAD),
    read("router.awsLambda.enabled", "false", "whether functions of AWS Lambda can be backends"),
    idle("router.awsLambda.awsRegion", "\"us-east-1\"", "a function is called in the region that its ARN names"),
    read(
        "router.awsLambda.payloadPassthrough",
        "true",
        "whether the body goes to the function as it is, rather than the whole request as JSON",
    ),
    read(
        "router.awsLambda.invocationMode",
        "\"SYNCHRONOUS\"",
        "`SYNCHRONOUS`, or `ASYNCHRONOUS`: the answer of the function is not awaited",
    ),
    unset(
        "router.awsLambda.endpoint",
        "AWS in the function's region",
        "URL where functions are called, for a private endpoint",
    )
    .added(),
    read("router.filters.compression.enabled", "true", "whether bodies are compressed"),
    read("router.filters.compression.library", "\"gzip\"", "only `gzip`"),
    read(
        "router.filters.compression.requestDirection.enabled",
        "false",
        "whether requests are compressed for backends",
    ),
    read(
        "router.filters.compression.requestDirection.minimumContentLength",
        "30",
        "least bytes, if the length is known",
    ),
    read("router.filters.compression.requestDirection.contentType", MEDIA_TYPES, "which media types"),
    read(
        "router.filters.compression.responseDirection.enabled",
        "true",
        "whether answers are compressed for clients that take it",
    ),
    read(
        "router.filters.compression.responseDirection.minimumContentLength",
        "30",
        "least bytes, if the length is known",
    ),
    read("router.filters.compression.responseDirection.contentType", MEDIA_TYPES, "which media types"),
    read(
        "router.filters.compression.responseDirection.enableForEtagHeader",
        "true",
        "whether answers with an ETag are compressed too",
    ),
    read("router.filters.compression.libraryProperties.memoryLevel", "3", "memory against speed and ratio"),
    read("router.filters.compression.libraryProperties.windowBits", "12", "window as a power of two"),
    read("router.filters.compression.libraryProperties.compressionLevel", "9", "speed against ratio"),
    read(
        "router.filters.compression.libraryProperties.compressionStrategy",
        "\"defaultStrategy\"",
        "`defaultStrategy`, `gzipFiltered`, `gzipHuffmanOnly`, `gzipRle` or `gzipFixed`",
    ),
    read("router.filters.compression.libraryProperties.chunkSize", "4096", "bytes of the output buffer"),
];

const TRACING_KEYS: &[Key] = &[
    read("tracing.enabled", "false", "whether gateways report spans"),
    read(
        "tracing.type",
        "\"zipkin\"",
        "`zipkin`; `jaeger`, which takes Zipkin's format; `otlp`; `azure` is refused: send OTLP to an OpenTelemetry collector that passes spans on",
    ),
    unset("tracing.configProperties.host", "`jaeger`; none for OTLP", "the collector's host"),
    unset("tracing.configProperties.port", "`9411`; for OTLP `4317` or `4318`", "the collector's port"),
    unset(
        "tracing.configProperties.connectionString",
        "none",
        "for OTLP: the collector's URL, `https://` for TLS as towards backends; instead of `host` and `port`",
    ),
    read("tracing.configProperties.protocol", "\"grpc\"", "for OTLP: `grpc` or `http`").added(),
    unset(
        "tracing.configProperties.endpoint",
        "`/api/v2/spans`; `/v1/traces`",
        "path for Zipkin, and for OTLP over HTTP",
    ),
    unset("tracing.configProperties.authHeaderName", "none", "header that an OTLP collector wants for authentication"),
    unset("tracing.configProperties.authHeaderValue", "none", "its value").secret(),
    read("tracing.configProperties.samplingPercentage", "100", "share of requests that are traced").added(),
    idle(
        "tracing.configProperties.maximumTracesPerSecond",
        "\"2\"",
        "Envoy samples by share: set `tracing.configProperties.samplingPercentage`",
    ),
    read(
        "tracing.configProperties.maxPathLength",
        "256",
        "most characters of a path; queries are never reported, and paths are those that backends see",
    ),
    read("tracing.configProperties.instrumentationName", "\"CHOREO-CONNECT\"", "tag `otel.library.name`"),
    unset("tracing.configProperties.libraryName", "`instrumentationName`", "another name of that key"),
    read("tracing.configProperties.timeout", "15", "seconds that a report may take"),
    unset(
        "tracing.configProperties.connectionTimeout",
        "`router.clusterTimeoutInSeconds`",
        "seconds for connecting to the collector",
    ),
];
