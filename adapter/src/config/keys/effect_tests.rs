//! Every key of config.toml that is read changes the configuration: each gets one value after another until something differs.
//! And every key that Choreo Connect's documentation has is in the table.

use std::collections::BTreeSet;

use super::tests::asked;
use super::*;
use crate::config::reader::Kind;
use crate::config::{Config, Environment, Reader};

/// Everything that can be on at a time, besides tracing.
const ALL_ON: &str = "
    [adapter.metrics]\nenabled = true
    [adapter.sourceControl]\nenabled = true
    [adapter.sourceControl.repository]\nURL = 'https://git.example/a.git'
    [adapter.consul]\nenabled = true\nserviceMeshEnabled = true\ncertFile = 'a.pem'\nkeyFile = 'a.key'
    [[adapter.vhostMapping]]\nenvironment = 'Default'\nvhost = 'localhost'
    [[adapter.server.users]]\nusername = 'a'\npassword = 'b'
    [router.downstream.tls]\nmTLSAPIsEnabled = true
    [router.filters.compression.requestDirection]\nenabled = true
    [router.awsLambda]\nenabled = true
    [router.keystore]\ncertPath = 'a.pem'\nkeyPath = 'a.key'
    [adapter.keystore]\ncertPath = 'a.pem'\nkeyPath = 'a.key'
    [enforcer.jwtIssuer]\npublicCertificatePath = 'a.pem'\nprivateKeyPath = 'a.key'
    [[enforcer.jwtIssuer.jwtUser]]\nusername = 'a'\npassword = 'b'
    [enforcer.jwtGenerator]\nenabled = true
    [[enforcer.jwtGenerator.keypair]]\npublicCertificatePath = 'a.pem'\nprivateKeyPath = 'a.key'\nuseForSigning = true
    [[enforcer.jwtGenerator.keypair]]\npublicCertificatePath = 'b.pem'
    [[enforcer.security.tokenService]]\nname = 'a'\nissuer = 'b'\njwksURL = 'https://a.example/keys'
    [[enforcer.security.tokenService.claimMapping]]\nlocalClaim = 'a'\nremoteClaim = 'b'
    [analytics]\nenabled = true\ntype = 'ELK'
    [analytics.adapter.customProperties]\nenabled = true\nrequestHeaders = ['x-a']
    [enforcer.throttling]\nenableGlobalEventPublishing = true
    [[enforcer.throttling.publisher.URLGroup]]\nreceiverURLs = ['tcp://a:1']
    [tollgate.accessLogs]\nenable = true
    [tollgate.revocation.etcd]\nendpoints = ['http://etcd.example:2379']\nusername = 'a'\npassword = 'b'
    [tollgate.quota]\nowner = 'redis'
    [tollgate.quota.redis]\nurls = ['redis://redis.example']
    [[tollgate.virtualHosts]]\nhost = 'a'\naliases = ['b']
";

/// Configurations of which each key changes one at least.
fn bases() -> Vec<String> {
    let managed = "[controlPlane]\nenabled = true\npassword = 'a'\n[globalAdapter]\nenabled = true\n";
    vec![
        ALL_ON.to_owned(),
        String::new(),
        managed.to_owned(),
        "[tollgate.quota]\nowner = 'redis'\n[tollgate.quota.redis]\nurls = ['redis://redis.example']\ntopology = 'sentinel'\nmasterName = 'a'\n"
            .to_owned(),
        "[tollgate.accessLogs]\nenable = true\nlogFormat = 'JSON'\n".to_owned(),
        "[enforcer.security.mutualSSL]\nenableClientValidation = false\n".to_owned(),
        // Not complete: keys are what is added.
        "[[enforcer.security.tokenService]]\nname = 'a'\nissuer = 'b'\n".to_owned(),
    ]
}

/// Tracing has no variables that override it, so its keys are written one by one.
fn traced() -> Vec<Vec<(&'static str, &'static str)>> {
    let on = ("tracing.enabled", "true");
    vec![
        vec![on, ("tracing.type", "'zipkin'")],
        vec![on, ("tracing.type", "'otlp'"), ("tracing.configProperties.connectionString", "'https://a.example'")],
        vec![
            on,
            ("tracing.type", "'otlp'"),
            ("tracing.configProperties.host", "'a'"),
            ("tracing.configProperties.authHeaderName", "'x-a'"),
            ("tracing.configProperties.authHeaderValue", "'b'"),
        ],
        vec![
            on,
            ("tracing.type", "'otlp'"),
            ("tracing.configProperties.host", "'a'"),
            ("tracing.configProperties.protocol", "'http'"),
        ],
    ]
}

fn environment() -> Environment {
    let set = ["adapter_admin_pwd", "enforcer_admin_pwd", "cp_admin_pwd", "tm_admin_pwd"];
    set.map(|name| (name.to_owned(), "p".to_owned())).into()
}

/// The configuration, and whether it is without errors.
fn read(text: &str, environment: &Environment) -> (String, bool) {
    let mut reader = Reader::new("config.toml", text, environment);
    let config = Config::from_reader(&mut reader);
    let problems = reader.finish();
    (format!("{config:?}"), !problems.has_errors())
}

/// Values of the kind, of which one is not the usual one and makes sense.
fn candidates(kind: &Kind) -> Vec<String> {
    match kind {
        Kind::Flag => vec!["true".to_owned(), "false".to_owned()],
        Kind::Number(range) => {
            let inside =
                [*range.start(), *range.end(), range.start().saturating_add(1), range.start().saturating_add(7)];
            inside.into_iter().filter(|number| range.contains(number)).map(|number| number.to_string()).collect()
        }
        Kind::Numbers(range) => vec![range.start().to_string()],
        Kind::Text | Kind::Texts => TEXTS.map(str::to_owned).into(),
    }
}

/// One of them fits any key that is a text.
const TEXTS: [&str; 32] = [
    "zipkin",
    r#"{"keys":[]}"#,
    "other",
    "other.example",
    "127.0.0.9",
    "7s",
    "200ms",
    "/other",
    "https://other.example/x",
    "http://other.example:2379",
    "redis://other.example",
    "PS256",
    "GET",
    "x-other",
    "NONE",
    "ASYNCHRONOUS",
    "HTTP1",
    "TLS1_2",
    "TLS1_3",
    "AES128-SHA",
    "gzipRle",
    "a/b",
    "Asia/Colombo",
    "JSON",
    "cluster",
    "embedded",
    "otlp",
    "http",
    "amqp://a:b@other.example:5672",
    "tcp://other.example:9611",
    "ssl://other.example:9711",
    "failover",
];

/// Keys of which nothing comes, as docs/configuration.md says: they have one value, or none that matters.
const WITHOUT_EFFECT: [&str; 7] = [
    "adapter.metrics.type",
    "analytics.type",
    "enforcer.jwtGenerator.claimsExtractorImpl",
    "enforcer.jwtGenerator.encoding",
    "enforcer.jwtIssuer.signingAlgorithm",
    "enforcer.security.tokenService[].certificateAlias",
    "router.filters.compression.library",
];
/// One pair signs, so that one key alone cannot be changed.
const TOGETHER: &str = "enforcer.jwtGenerator.keypair[].useForSigning";

fn changes(key: &str, kind: &Kind) -> bool {
    let element = key.replace("[]", ".0");
    let mut environment = environment();
    let values = candidates(kind);
    if let Some(variable) = CONFIG.variable(&element) {
        return bases().iter().any(|base| {
            let before = read(base, &environment);
            values.iter().any(|value| {
                environment.insert(variable.clone(), value.clone());
                let after = read(base, &environment);
                environment.remove(&variable);
                after.1 && after.0 != before.0
            })
        });
    }
    traced().iter().any(|base| {
        let text = |extra: Option<&str>| {
            let own = extra.map(|value| format!("{key} = '{value}'\n")).unwrap_or_default();
            let others = base.iter().filter(|(name, _)| extra.is_none() || !name.eq_ignore_ascii_case(key));
            others.map(|(name, value)| format!("{} = {value}\n", name.to_lowercase())).collect::<String>() + &own
        };
        let before = read(&text(None), &environment);
        assert!(before.1, "{}", text(None));
        values.iter().any(|value| {
            let after = read(&text(Some(value)), &environment);
            after.1 && after.0 != before.0
        })
    })
}

#[test]
fn every_key_that_is_read_changes_something() {
    for base in bases().iter().take(6) {
        assert!(read(base, &environment()).1, "{base}");
    }
    let idle: Vec<String> = asked()
        .into_iter()
        // What is secret is not shown; whoever reads it tests it.
        .filter(|(key, _)| CONFIG.find(key).is_some_and(|key| key.status == Status::Read && !key.secret))
        .filter(|(key, _)| !key.eq_ignore_ascii_case(TOGETHER))
        .filter(|(key, kind)| !changes(key, kind))
        .map(|(key, _)| key)
        .collect();
    assert_eq!(idle, WITHOUT_EFFECT.map(str::to_lowercase), "these are read, and nothing comes of it");
}

#[test]
fn every_key_of_the_original_is_known() {
    let original: BTreeSet<String> = ORIGINAL
        .lines()
        .filter_map(|line| line.trim().split_once(": "))
        .flat_map(|(table, names)| names.split(' ').map(move |name| format!("{table}.{name}").to_lowercase()))
        .map(|key| key.trim_start_matches("log.").to_owned())
        .collect();
    let known: BTreeSet<String> = CONFIG.keys().chain(LOGS.keys()).map(|key| key.path.to_lowercase()).collect();
    assert_eq!(original.difference(&known).collect::<Vec<_>>(), [""; 0], "not in the table of keys");
    let added = |key: &str| CONFIG.keys().chain(LOGS.keys()).any(|one| one.path.eq_ignore_ascii_case(key) && one.added);
    let unmarked: Vec<&String> = known.difference(&original).filter(|key| !added(key)).collect();
    assert_eq!(unmarked, [""; 0], "additions are marked as such");
}

/// The keys of Choreo Connect's config.toml, and of its log_config.toml under `log`.
const ORIGINAL: &str = "
    adapter: artifactsDirectory soapErrorInXMLEnabled
    adapter.server: enabled host port tokenTTL tokenPrivateKeyPath
    adapter.server.users[]: username password
    adapter.vhostMapping[]: environment vhost
    adapter.keystore: certPath keyPath
    adapter.truststore: location
    adapter.consul: enabled url pollInterval ACLToken mgwServiceName serviceMeshEnabled caCertFile certFile keyFile
    adapter.sourceControl: enabled pollInterval retryInterval maxRetryCount artifactsDirectory
    adapter.sourceControl.repository: URL branch username accessToken SSHKeyFile
    adapter.metrics: enabled type port collectionInterval
    router: listenerHost listenerPort securedListenerHost securedListenerPort listenerCodecType clusterTimeoutInSeconds
    router: enforcerResponseTimeoutInSeconds systemHost useRemoteAddress perConnectionBufferLimitBytes
    router.keystore: certPath keyPath
    router.cors: enabled allowOrigins allowMethods allowHeaders exposeHeaders allowCredentials
    router.upstream.tls: minimumProtocolVersion maximumProtocolVersion ciphers trustedCertPath verifyHostName disableSslVerification
    router.upstream.dns: dNSRefreshRate respectDNSTtl
    router.upstream.health: timeout interval unhealthyThreshold healthyThreshold
    router.upstream.timeouts: routeTimeoutInSeconds maxRouteTimeoutInSeconds routeIdleTimeoutInSeconds
    router.upstream.retry: maxRetryCount baseIntervalInMillis statusCodes
    router.upstream.http2: hpackTableSize maxConcurrentStreams
    router.downstream.tls: minimumProtocolVersion maximumProtocolVersion ciphers trustedCertPath mTLSAPIsEnabled
    router.connection.timeouts: requestTimeoutInSeconds requestHeadersTimeoutInSeconds streamIdleTimeoutInSeconds idleTimeoutInSeconds
    router.payloadPassingToEnforcer: passRequestPayload maxRequestBytes allowPartialMessage packAsBytes
    router.awsLambda: enabled awsRegion payloadPassthrough invocationMode
    router.filters.compression: enabled library
    router.filters.compression.requestDirection: enabled minimumContentLength contentType
    router.filters.compression.responseDirection: enabled minimumContentLength contentType enableForEtagHeader
    router.filters.compression.libraryProperties: memoryLevel windowBits compressionLevel compressionStrategy chunkSize
    enforcer: filters
    enforcer.filters[]: className position configProperties.*
    enforcer.authService: port maxMessageSize maxHeaderLimit keepAliveTime
    enforcer.authService.threadPool: coreSize maxSize keepAliveTime queueSize
    enforcer.cache: enabled maximumSize expiryTime
    enforcer.management: username password
    enforcer.restserver: enabled
    enforcer.jwtGenerator: enabled encoding claimDialect convertDialect header signingAlgorithm enableUserClaims gatewayGeneratorImpl
    enforcer.jwtGenerator: claimsExtractorImpl tokenTTL jwksRatelimitQuota jwksRatelimitTimeWindowInSeconds useKidProperty
    enforcer.jwtGenerator.keypair[]: publicCertificatePath privateKeyPath useForSigning
    enforcer.jwtIssuer: enabled issuer encoding claimDialect signingAlgorithm publicCertificatePath privateKeyPath validityPeriod
    enforcer.jwtIssuer.jwtUser[]: username password
    enforcer.security.authHeader: enableOutboundAuthHeader authorizationHeader testConsoleHeaderName
    enforcer.security.mutualSSL: certificateHeader enableClientValidation clientCertificateEncode enableOutboundCertificateHeader
    enforcer.security.tokenService[]: name issuer certificateAlias jwksURL validateSubscription consumerKeyClaim certificateFilePath
    enforcer.security.tokenService[].claimMapping[]: remoteClaim localClaim
    enforcer.throttling: enableGlobalEventPublishing enableHeaderConditions enableQueryParamConditions enableJwtClaimConditions
    enforcer.throttling: jmsConnectionInitialContextFactory jmsConnectionProviderURL
    enforcer.throttling.publisher: username password pool.* agent.*
    enforcer.throttling.publisher.agent: queueSize batchSize reconnectionInterval socketTimeoutMS sslEnabledProtocols
    enforcer.throttling.publisher.URLGroup[]: receiverURLs authURLs type
    enforcer.metrics: enabled type
    controlPlane: enabled serviceURL username password environmentLabels retryInterval skipSSLVerification sendRevisionUpdate syncApisOnStartUp
    controlPlane.brokerConnectionParameters: eventListeningEndpoints reconnectInterval reconnectRetryCount
    controlPlane.requestWorkerPool: poolSize queueSizePerPool pauseTimeAfterFailure
    controlPlane.httpClient: requestTimeOut
    globalAdapter: enabled serviceURL overrideHostName localLabel retryInterval
    analytics: enabled type
    analytics.adapter: bufferFlushInterval bufferSizeBytes gRPCRequestTimeout
    analytics.adapter.customProperties: enabled requestHeaders responseHeaders responseTrailers
    analytics.enforcer: configProperties.*
    analytics.enforcer.LogReceiver: port maxMessageSize maxHeaderLimit keepAliveTime threadPool.*
    tracing: enabled type
    tracing.configProperties: maxPathLength host port endpoint libraryName instrumentationName maximumTracesPerSecond timeout
    tracing.configProperties: connectionString authHeaderName authHeaderValue connectionTimeout
    log: logfile logLevel LogFormat
    log.rotation: MaxSize MaxBackups MaxAge Compress
    log.pkg[]: name logLevel
    log.accessLogs: enable logfile format
    log.wireLogs: enable include
";
