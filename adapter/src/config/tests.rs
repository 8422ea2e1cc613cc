//! Whole configurations.

use super::*;
use crate::outputs::settings::KeySource;

fn environment() -> Environment {
    [("adapter_admin_pwd", "a"), ("enforcer_admin_pwd", "e")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
}

#[track_caller]
fn good(text: &str) -> (Config, Vec<String>) {
    let (config, problems) = Config::read("config.toml", text, &environment()).unwrap();
    (config, problems.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn bad(text: &str, environment: &Environment, expected: &[&str]) {
    let problems = Config::read("config.toml", text, environment).unwrap_err();
    let found: Vec<String> = problems.errors().map(ToString::to_string).collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, part) in found.iter().zip(expected) {
        assert!(found.contains(part), "{found:?} lacks {part:?}");
    }
}

#[test]
fn an_empty_file_gives_the_defaults_of_the_original() {
    let (config, warnings) = good("");
    assert_eq!(warnings, [""; 0]);
    let rest = config.rest.unwrap();
    assert_eq!((rest.address.to_string().as_str(), rest.token_validity.as_secs()), ("0.0.0.0:9843", 3600));
    assert_eq!((rest.users[0].username.as_str(), rest.users[0].password.as_str()), ("admin", "a"));
    assert_eq!(config.admin.to_string(), "127.0.0.1:6060");
    let listen = config.listen;
    assert_eq!([listen.xds, listen.feed, listen.public].map(|address| address.port()), [18000, 8081, 9001]);
    assert_eq!(config.gateway.http.map(|listener| listener.port), Some(9090));
    assert_eq!(config.gateway.https.map(|listener| listener.port), Some(9095));
    assert_eq!(config.projects, CompileOptions::default());
    assert_eq!(config.settings, Settings::default());
    let test_keys = config.test_keys.unwrap();
    assert_eq!(
        (test_keys.issuer.as_str(), test_keys.users[0].password.as_str()),
        ("https://localhost:9095/testkey", "e")
    );
}

#[test]
fn settings_are_read_whatever_their_case() {
    let (config, warnings) = good(
        r#"
        [ADAPTER.server]
        Port = "1234"
        tokenttl = "48h"
        [[Adapter.VhostMapping]]
        Environment = "Default"
        vhost = "US.example.com"
        [router]
        listenerPort = 0
        [router.upstream.timeouts]
        MAXROUTETIMEOUTINSECONDS = 5
        [enforcer.security.authHeader]
        enableOutboundAuthHeader = true
        authorizationHeader = "X-Auth"
        [[enforcer.security.tokenService]]
        name = "Resident"
        issuer = "https://idp"
        jwksURL = "https://idp/jwks"
        validateSubscription = false
        "#,
    );
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("24h"), "{warnings:?}");
    let rest = config.rest.unwrap();
    assert_eq!((rest.address.port(), rest.token_validity.as_secs()), (1234, 86_400));
    assert_eq!(config.projects.virtual_hosts.get("Default").map(String::as_str), Some("us.example.com"));
    assert_eq!(config.projects.max_timeout_ms, 5000);
    assert_eq!(config.gateway.http, None);
    assert_eq!(config.settings.authorization_header, "x-auth");
    assert!(config.settings.forward_authorization);
    assert_eq!(config.token_services[0].keys, KeySource::JwkSets(vec!["https://idp/jwks".to_owned()]));
}

#[test]
fn what_is_not_used_is_warned_of() {
    let (_, warnings) = good("[router]\nlistenerPrt = 9\n[router.cors]\nenable = true");
    assert_eq!(warnings.len(), 2);
    for (warning, close) in warnings.iter().zip(["router.cors.enabled", "router.listenerPort"]) {
        assert!(warning.contains("not used") && warning.contains(close), "{warnings:?}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    bad(
        r#"
        [adapter.server]
        port = "many"
        host = "somewhere"
        [[adapter.vhostMapping]]
        environment = "a b"
        vhost = "x:80"
        [adapter.keystore]
        certPath = "only-one.pem"
        [router]
        listenerPort = 0
        securedListenerPort = ""
        "#,
        &environment(),
        &["IP address", "whole number", "key is not", "environment", "virtual host", "both listeners"],
    );
}

#[test]
fn what_cannot_be_enforced_is_refused() {
    for (text, part) in [
        ("[controlPlane]\nenabled = true", "no password for API Manager"),
        ("[globalAdapter]\nenabled = true", "controlPlane is off"),
        (
            "[enforcer.throttling]\nenableGlobalEventPublishing = true\n\
             jmsConnectionProviderURL = \"amqp://a:b@c/d?brokerlist='tcp://e:1'\"",
            "the Traffic Manager asks for a password",
        ),
        ("[[enforcer.filters]]\nclassName = 'x'", "custom filters"),
        ("[[tollgate.virtualHosts]]\nhost = 'a b'\naliases = ['c']", "no virtual host"),
        ("[[tollgate.virtualHosts]]\nhost = 'a'", "no further names"),
        ("[[tollgate.virtualHosts]]\nhost = 'a'\naliases = ['*.b']", "*.b is a wildcard"),
        ("[[tollgate.virtualHosts]]\nhost = 'a'\naliases = ['b:80']", "b:80 is no host name"),
        ("[[tollgate.virtualHosts]]\nhost = 'a'\naliases = ['A']", "has anyway"),
        ("[[tollgate.virtualHosts]]\nhost = 'a'\naliases = ['b', 'B']", "B is listed twice"),
        ("[tollgate.revocation.etcd]\nendpoints = ['localhost:2379']", "no address of etcd"),
        ("[tollgate.revocation.etcd]\nendpoints = []", "no address of etcd"),
        ("[tollgate.revocation.etcd]\nendpoints = ['http://e']\nusername = 'u'", "its password"),
        ("[[enforcer.security.tokenService]]\nname='a'\nissuer='b'\ncertificateAlias='wso2carbon'", "no keys"),
        (
            "[[enforcer.security.tokenService]]\nname='a'\nissuer='b'\njwksURL='c'\nalgorithms=['HS256']",
            "no algorithm that tokens can be verified with",
        ),
        (
            "[[enforcer.security.tokenService]]\nname='a'\nissuer='b'\njwksURL='c'\nalgorithms=[]",
            "every token would be refused",
        ),
        (
            "[[enforcer.security.tokenService]]\nname='MGW'\nissuer='https://localhost:9095/testkey'\ncertificateFilePath='x'",
            "other keys",
        ),
    ] {
        bad(text, &environment(), &[part]);
    }
    good("[controlPlane]\nenabled = false\n[analytics]\nenabled = false");
}

#[test]
fn passwords_come_from_the_environment() {
    let none = Environment::new();
    bad("", &none, &["set the environment variable adapter_admin_pwd"]);
    let users = "[[adapter.server.users]]\nusername='me'\npassword='$env{my_pwd}'";
    bad(users, &none, &["my_pwd is not set"]);
    bad("[[adapter.server.users]]\nusername='me'\npassword=''", &none, &["no password"]);
    let set = Environment::from([("my_pwd".to_owned(), "secret".to_owned())]);
    let (config, warnings) = Config::read("c", users, &set).unwrap();
    assert_eq!(config.rest.unwrap().users[0].password, "secret");
    assert!(warnings.iter().any(|warning| warning.to_string().contains("enforcer_admin_pwd")));
    assert!(config.test_keys.unwrap().users.is_empty());
    Config::read("c", "[adapter.server]\nenabled=false", &none).unwrap();
}

#[test]
fn rules_for_other_origins() {
    let cors = |text: &str| good(&format!("[router.cors]\n{text}")).0.projects.cors;
    assert_eq!(cors(""), CompileOptions::default().cors);
    assert_eq!(cors("enabled = false"), None);
    let own = cors(
        "allowOrigins = ['https://a.example']\nallowMethods = 'GET, PUT'\nexposeHeaders = []\nallowCredentials = true",
    );
    let own = own.unwrap();
    assert_eq!(
        (own.allow_origins, own.allow_methods.join(" ")),
        (vec!["https://a.example".to_owned()], "GET PUT".to_owned())
    );
    assert!(own.allow_credentials && own.expose_headers.is_empty() && own.allow_headers.len() == 7);
    for (text, part) in [
        ("allowOrigins = ['a b']", "no origin"),
        ("allowHeaders = [1]", "a list of texts"),
        ("allowMethods = 5", "a list of texts"),
        ("exposeHeaders = ['x\\r\\ny']", "not allowed"),
        ("enabled = 'maybe'", "true or false"),
    ] {
        bad(&format!("[router.cors]\n{text}").replace('\'', "\""), &environment(), &[part]);
    }
}

#[test]
fn keys_without_a_meaning_are_warned_of_when_they_are_changed() {
    for (text, expected) in [
        ("[enforcer.authService.threadPool]\ncoreSize = 400", None),
        ("[enforcer.authService.threadPool]\ncoreSize = 4", Some("own threads")),
        ("[enforcer.cache]\nenabled = 'true'", None),
        ("[enforcer.cache]\nexpiryTime = 1", Some("bound their caches")),
        ("[enforcer.management]\nusername = 'me'\npassword = 'hush'", Some("no admin API")),
        ("[enforcer.restserver]\nenabled = true", None),
        (
            "[controlPlane]\nenabled = false\npassword = '$env{unset}'\n[controlPlane.httpClient]\nrequestTimeOut = 1",
            None,
        ),
        (
            "[analytics]\nenabled = false\n[analytics.enforcer.configProperties]\n'publisher.reporter.class' = 'hush'",
            Some("classes of Java"),
        ),
        (
            "[analytics]\nenabled = true\ntype = 'elk'\n[analytics.enforcer.LogReceiver]\nport = 18091",
            Some("port of xDS"),
        ),
        ("[router.connectionTimeout]\nidleTimeoutInSeconds = 7", Some("older name")),
        ("[globalAdapter]\nserviceUrl = 'x'", Some("write globalAdapter.serviceURL instead")),
        ("[globalAdapter]\nserviceURL = 'x'", None),
    ] {
        let (_, warnings) = good(text);
        match expected {
            None => assert_eq!(warnings, [""; 0], "{text}"),
            Some(part) => {
                assert!(warnings.iter().all(|warning| warning.contains(part)), "{text}: {warnings:?}");
                assert!(!warnings.is_empty() && !warnings.concat().contains("hush"), "{text}");
            }
        }
    }
    let (config, _) = good("[router.connectionTimeout]\nidleTimeoutInSeconds = 7");
    assert_eq!(config.gateway.timeouts.connection_idle.as_secs(), 7);
}

#[test]
fn what_is_fixed_cannot_be_changed() {
    for (text, part) in [
        ("[enforcer.restserver]\nenabled = false", "enforcer.jwtIssuer.enabled"),
        ("[enforcer.restserver]\nenable = false", "enforcer.jwtIssuer.enabled"),
        ("[enforcer.jwtIssuer]\nclaimDialect = 'http://wso2.org/claims'", "no prefix"),
    ] {
        bad(text, &environment(), &[part]);
    }
    bad(
        "[router.connectionTimeout]\nidleTimeoutInSeconds = 7\n[router.connection.timeouts]\nidleTimeoutInSeconds = 8",
        &environment(),
        &["also as router.connection.timeouts.idleTimeoutInSeconds in line 4"],
    );
}

#[test]
fn the_environment_overrides_lists_maps_and_older_names() {
    let read = |variables: &[(&str, &str)], text: &str| {
        let mut all = environment();
        all.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let (config, warnings) = Config::read("c", text, &all).unwrap();
        (config, warnings.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let (config, warnings) = read(
        &[
            ("CC_ADAPTER_VHOSTMAPPING_0_VHOST", "us.example.com"),
            ("CC_ADAPTER_VHOSTMAPPING_1_ENVIRONMENT", "Second"),
            ("CC_ADAPTER_VHOSTMAPPING_1_VHOST", "two.example.com"),
            ("CC_ROUTER_CORS_ALLOWMETHODS", "GET, PUT"),
            ("CC_ROUTER_CONNECTIONTIMEOUT_IDLETIMEOUTINSECONDS", "7"),
            ("CC_CONTROLPLANE_PASSWORD", "hush"),
        ],
        "[[adapter.vhostMapping]]\nenvironment = 'Default'\nvhost = 'localhost'",
    );
    assert_eq!(warnings, [""; 0]);
    let hosts: Vec<(&str, &str)> =
        config.projects.virtual_hosts.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(hosts, [("Default", "us.example.com"), ("Second", "two.example.com")]);
    assert_eq!(config.projects.cors.unwrap().allow_methods, ["GET", "PUT"]);
    assert_eq!(config.gateway.timeouts.connection_idle.as_secs(), 7);
    for (name, part) in [
        ("CC_TRACING_ENABLED", "[tracing] is not overridden"),
        ("CC_ROUTER_LISTENERPRT", "did you mean CC_ROUTER_LISTENERPORT?"),
        ("CC_ADAPTER_VHOSTMAPPING_7_COLOUR", "overrides no key"),
        ("CC_ENFORCER_CACHE_EXPIRYTIME", "bound their caches"),
    ] {
        let (config, warnings) = read(&[(name, "true")], "");
        assert!(config.gateway.tracing.is_none());
        assert!(warnings.len() == 1 && warnings[0].contains(part) && warnings[0].contains(name), "{warnings:?}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]
    /// Whatever is in the file and in the environment, there is a configuration or at least one error.
    #[test]
    fn any_configuration_is_read_or_refused(
        settings in proptest::collection::vec((proptest::prelude::any::<u16>(), 0_usize..VALUES.len()), 0..12),
        overriding in proptest::collection::vec((proptest::prelude::any::<u16>(), ".{0,12}"), 0..4),
        rest in "(.|\\n|[\\[\\]={}\"'$]){0,80}",
    ) {
        let keys: Vec<_> = keys::CONFIG.keys().map(|key| key.path.replace("[]", ".0")).collect();
        let key = |number: u16| keys[usize::from(number) % keys.len()].clone();
        let mut text: String = settings.iter().map(|(number, value)| format!("{} = {}\n", key(*number), VALUES[*value])).collect();
        let overriding = overriding.iter().filter_map(|(number, value)| {
            Some((keys::CONFIG.variable(&key(*number))?, value.clone()))
        });
        let environment: Environment = environment().into_iter().chain(overriding).collect();
        for text in [text.clone(), rest.clone(), { text.push_str(&rest); text }] {
            match Config::read("c", &text, &environment) {
                Ok((_, warnings)) => proptest::prop_assert!(!warnings.has_errors()),
                Err(problems) => proptest::prop_assert!(problems.has_errors()),
            }
        }
    }
}

const VALUES: [&str; 14] = [
    "true",
    "false",
    "0",
    "-1",
    "99999999999",
    "1.5",
    "''",
    "'$env{x}'",
    "'$env{'",
    "[]",
    "[1, 'a']",
    "[{ a = 1 }]",
    "{ b.c = 'd' }",
    "1979-05-27T07:32:00Z",
];

#[test]
fn tokens_for_backends() {
    let read = |text: &str| good(&format!("[enforcer.jwtGenerator]\nenabled = true\n{text}")).0;
    assert!(good("").0.jwt_generator.is_none() && good("").0.settings.backend_jwt.is_none());
    let config = read("");
    let generator = config.jwt_generator.unwrap();
    assert_eq!(config.settings.backend_jwt.unwrap().header, "x-jwt-assertion");
    assert_eq!(
        (generator.dialect.as_str(), generator.signed, generator.use_kid),
        ("http://wso2.org/claims/", true, true)
    );
    assert_eq!((generator.validity.as_secs(), generator.signing.is_none()), (3600, true));
    assert_eq!((config.gateway.jwks_limit.requests, config.gateway.jwks_limit.window.as_secs()), (1000, 10));
    for (dialect, expected) in
        [("", "http://wso2.org/claims/"), ("/", ""), ("http://d", "http://d/"), ("http://d/", "http://d/")]
    {
        let generator = read(&format!("claimDialect = '{dialect}'")).jwt_generator.unwrap();
        assert_eq!(generator.dialect, expected, "{dialect}");
    }
    let own = read(
        "header = 'X-Caller'\nsigningAlgorithm = 'NONE'\nuseKidProperty = false\ntokenTTL = 60\njwksRatelimitQuota = 2\n\
         jwksRatelimitTimeWindowInSeconds = 5\n\
         [[enforcer.jwtGenerator.keypair]]\npublicCertificatePath = 'a.pem'\nprivateKeyPath = 'a.key'\nuseForSigning = true\n\
         [[enforcer.jwtGenerator.keypair]]\npublicCertificatePath = 'b.pem'\nuseForSigning = false",
    );
    let generator = own.jwt_generator.unwrap();
    assert_eq!(own.settings.backend_jwt.unwrap().header, "x-caller");
    assert_eq!((generator.signed, generator.use_kid, generator.validity.as_secs()), (false, false, 60));
    assert_eq!(generator.signing.unwrap().key, PathBuf::from("a.key"));
    assert_eq!(generator.published, [PathBuf::from("b.pem")]);
    assert_eq!((own.gateway.jwks_limit.requests, own.gateway.jwks_limit.window.as_secs()), (2, 5));
    let pair = |signs: bool| {
        format!(
            "[[enforcer.jwtGenerator.keypair]]\npublicCertificatePath='a'\nprivateKeyPath='b'\nuseForSigning={signs}\n"
        )
    };
    for (text, part) in [
        ("signingAlgorithm = 'HS256'".to_owned(), "SHA256withRSA"),
        ("encoding = 'hex'".to_owned(), "no such encoding"),
        ("gatewayGeneratorImpl = 'my.Class'".to_owned(), "Java classes"),
        (pair(false), "exactly one key pair"),
        (format!("{}{}", pair(true), pair(true)), "exactly one key pair"),
        ("[[enforcer.jwtGenerator.keypair]]\nuseForSigning=true".to_owned(), "not complete"),
    ] {
        bad(&format!("[enforcer.jwtGenerator]\nenabled = true\n{text}"), &environment(), &[part]);
    }
}
