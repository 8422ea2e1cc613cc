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
    assert_eq!(config.router.http.map(|listener| listener.port), Some(9090));
    assert_eq!(config.router.https.map(|listener| listener.port), Some(9095));
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
    assert_eq!(config.router.http, None);
    assert_eq!(config.settings.authorization_header, "x-auth");
    assert!(config.settings.forward_authorization);
    assert_eq!(config.token_services[0].keys, KeySource::JwkSet("https://idp/jwks".to_owned()));
}

#[test]
fn what_is_not_used_is_warned_of() {
    let (_, warnings) = good("[router]\nlistenerPrt = 9\n[router.cors]\nenable = true");
    assert_eq!(warnings.len(), 2);
    assert!(warnings.iter().all(|warning| warning.contains("not used")), "{warnings:?}");
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
        ("[controlPlane]\nenabled = true", "API Manager"),
        ("[enforcer.throttling]\nenableGlobalEventPublishing = true", "throttling"),
        ("[enforcer.jwtGenerator]\nenabled = true", "backend JWT"),
        ("[[enforcer.filters]]\nclassName = 'x'", "custom filters"),
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
