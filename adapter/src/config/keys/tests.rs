//! The table against what the code reads, and what is made of it against what is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::default_file::default_file;
use super::reference::reference;
use super::*;
use crate::config::reader::Kind;
use crate::config::{Config, Environment, LogConfig, Reader};

/// Configurations that have all keys read, between them.
const EVERYTHING: [&str; 4] = [
    "[controlPlane]\nenabled = true\n[globalAdapter]\nenabled = true\n\
     [enforcer.throttling]\nenableGlobalEventPublishing = true\n[[enforcer.throttling.publisher.URLGroup]]\ntype = 'failover'\n",
    "[adapter.sourceControl]\nenabled = true\n[adapter.sourceControl.repository]\nURL = 'https://git.example/a.git'\n\
     [adapter.consul]\nenabled = true\n\
     [[enforcer.security.tokenService]]\nname = 'a'\n[[enforcer.security.tokenService.claimMapping]]\nlocalClaim = 'a'\n\
     [[adapter.server.users]]\nusername = 'a'\n[[enforcer.jwtIssuer.jwtUser]]\nusername = 'a'\n\
     [[enforcer.jwtGenerator.keypair]]\nuseForSigning = true\n\
     [[adapter.vhostMapping]]\nvhost = 'a'\n[[tollgate.virtualHosts]]\nhost = 'a'\n[tracing]\nenabled = true\ntype = 'zipkin'\n",
    "[tracing]\nenabled = true\ntype = 'otlp'\n[tracing.configProperties]\nconnectionString = 'https://a'\n",
    "[tracing]\nenabled = true\ntype = 'otlp'\n[tracing.configProperties]\nprotocol = 'http'\nhost = 'a'\n",
];

/// The same of log_config.toml.
const ALL_LOGS: &str = "[[pkg]]\nname = 'a'\n[accessLogs]\nenable = true";

fn asked_logs() -> BTreeMap<String, Kind> {
    let none = Environment::new();
    let mut reader = Reader::of(&LOGS, "log_config.toml", ALL_LOGS, &none);
    let _ = LogConfig::from_reader(&mut reader);
    reader.asked().clone()
}

/// What the code asks for, by pattern.
pub(super) fn asked() -> BTreeMap<String, Kind> {
    let none = Environment::new();
    let mut asked = BTreeMap::new();
    for text in EVERYTHING {
        let mut reader = Reader::new("config.toml", text, &none);
        let _ = Config::from_reader(&mut reader);
        asked.extend(reader.asked().clone());
    }
    asked
}

fn committed(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[track_caller]
fn is_current(path: &str, expected: &str) {
    let path = committed(path);
    if std::env::var_os("TOLLGATE_WRITE_DOCS").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(
        found == expected,
        "{} is not what the table of keys says; run this test with TOLLGATE_WRITE_DOCS=1",
        path.display()
    );
}

#[test]
fn every_key_that_is_read_is_in_the_table_and_the_reverse() {
    for (schema, asked) in [(&CONFIG, asked()), (&LOGS, asked_logs())] {
        let asked: BTreeSet<String> = asked.into_keys().collect();
        let expected = |key: &&Key| matches!(key.status, Status::Read | Status::Off(_) | Status::Fixed(_));
        // A list that must be empty is not read, but looked for.
        let is_list = |key: &&Key| matches!((key.status, key.absent), (Status::Off(_), Absent::Otherwise(_)));
        let listed = schema.keys().filter(expected).filter(|key| !is_list(key));
        let listed: BTreeSet<String> = listed.map(|key| key.path.to_lowercase()).collect();
        let missing: Vec<&String> = asked.difference(&listed).collect();
        assert!(missing.is_empty(), "these are read: add them to adapter/src/config/keys as read(...): {missing:?}");
        let idle: Vec<&String> = listed.difference(&asked).collect();
        assert!(idle.is_empty(), "these are in adapter/src/config/keys as read, and nothing reads them: {idle:?}");
    }
}

#[test]
fn paths_are_unique_and_belong_to_their_section() {
    let mut seen = BTreeSet::new();
    for section in CONFIG.sections {
        for key in section.keys {
            assert!(key.path.starts_with(&format!("{}.", section.name)), "{}", key.path);
            assert!(seen.insert(key.path.to_lowercase()), "{} is there twice", key.path);
            let explained = !key.meaning.is_empty() || matches!(key.status, Status::Behind(_));
            assert!(explained && !key.meaning.contains('|'), "{}", key.path);
            if let Status::Behind(switch) = key.status {
                let found = CONFIG.find(switch).map(|key| key.status);
                assert!(matches!(found, Some(Status::Off(_))), "{} is behind {switch}, which is not off", key.path);
            }
        }
    }
    for alias in CONFIG.aliases {
        let table = format!("{}.", alias.new);
        let known = CONFIG.keys().any(|key| key.path == alias.new || key.path.starts_with(&table))
            || CONFIG.keys().any(|key| key.path.starts_with(&format!("{}[]", alias.new)));
        assert!(known, "{}", alias.new);
    }
}

#[test]
fn keys_are_found_and_suggested() {
    for (path, expected) in [
        ("ROUTER.listenerport", Some("router.listenerPort")),
        ("adapter.server.users.12.UserName", Some("adapter.server.users[].username")),
        ("analytics.enforcer.configProperties.publisher.reporter.class", Some("analytics.enforcer.configProperties.*")),
        ("analytics.enforcer.configProperties.", None),
        ("router.listenerPrt", None),
    ] {
        assert_eq!(CONFIG.find(path).map(|key| key.path), expected, "{path}");
    }
    for (path, expected) in [
        ("router.listenerPrt", Some("router.listenerPort")),
        ("Router.Cors.Enable", Some("router.cors.enabled")),
        ("enforcer.security.tokenService.0.jwkURL", Some("enforcer.security.tokenService[].jwksURL")),
        ("router.upstream.tls.mTLSAPIsEnabled", Some("router.downstream.tls.mTLSAPIsEnabled")),
        ("ruter.listenerPort", Some("router.listenerPort")),
        ("nothing.like.it", None),
    ] {
        assert_eq!(CONFIG.suggest(path).as_deref(), expected, "{path}");
    }
}

#[test]
fn the_default_file_says_what_no_file_says() {
    let environment = [("adapter_admin_pwd", "a"), ("enforcer_admin_pwd", "e")];
    let environment: Environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let file = default_file(&CONFIG);
    let (from_file, problems) = Config::read("config.toml", &file, &environment).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    let (from_none, _) = Config::read("config.toml", "", &environment).unwrap();
    assert_eq!(format!("{from_file:#?}"), format!("{from_none:#?}"));
    is_current("envoy-config/config.toml", &file);
    let file = default_file(&LOGS);
    let (mut from_file, problems) = LogConfig::read("log_config.toml", &file, &environment).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    // The table is there, so it counts; that it says nothing else than its absence is the point.
    assert_eq!(from_file.access_log.take(), Some(None));
    assert_eq!(from_file, LogConfig::read("log_config.toml", "", &environment).unwrap().0);
    is_current("envoy-config/log_config.toml", &file);
}

#[test]
fn the_documentation_is_up_to_date() {
    const BEGIN: &str = "<!-- made of adapter/src/config/keys: begin -->\n";
    const END: &str = "<!-- made of adapter/src/config/keys: end -->\n";
    let page = std::fs::read_to_string(committed("docs/configuration.md")).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let keys = reference(&CONFIG, &asked()) + &reference(&LOGS, &asked_logs());
    is_current("docs/configuration.md", &format!("{before}{BEGIN}\n{keys}{END}{after}"));
}
