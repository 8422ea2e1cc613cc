use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio::net::TcpListener;
use warp::Filter;

use super::*;
use crate::model::{KeyManager, World};
use crate::outputs::settings::KeySource;
use tollgate_model::{Issuer, JwkSet};

const ISSUER: &str = "https://issuer.example";

/// An issuer that can be told what to answer, and counts how often it is asked.
#[derive(Clone)]
struct Publisher {
    address: SocketAddr,
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicUsize>,
}

impl Publisher {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new((503, String::new())));
        let publisher = Self { address, answer: Arc::clone(&answer), asked: Arc::default() };
        let asked = Arc::clone(&publisher.asked);
        let filter = warp::path!("jwks").map(move || {
            asked.fetch_add(1, Ordering::SeqCst);
            let (status, body) = answer.lock().unwrap().clone();
            warp::reply::with_status(body, http::StatusCode::from_u16(status).unwrap())
        });
        tokio::spawn(crate::tls::serve_plain(listener, warp::service(filter), CancellationToken::new()));
        publisher
    }

    fn publish(&self, kids: &[&str]) {
        let keys: Vec<String> =
            kids.iter().map(|kid| format!(r#"{{"kty":"RSA","kid":"{kid}","n":"AQ","e":"AQAB"}}"#)).collect();
        *self.answer.lock().unwrap() = (200, format!(r#"{{"keys":[{}]}}"#, keys.join(",")));
    }

    fn fail(&self) {
        *self.answer.lock().unwrap() = (503, String::new());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn service(&self) -> TokenService {
        let keys = KeySource::JwkSets(vec![format!("http://{}/jwks", self.address)]);
        let consumer_key_claim = Some("client_id".to_owned());
        TokenService { consumer_key_claim, ..TokenService::named("Remote", ISSUER, keys) }
    }
}

struct Adapter {
    issuers: Arc<Issuers>,
    writer: WorldWriter,
    status: Arc<Status>,
}

fn adapter(services: &[TokenService], cache: &TempDir) -> Adapter {
    let writer = WorldWriter::new(World::default());
    let status = Status::new();
    let settings =
        IssuerSettings { services, test_keys: None, key_trust: &KeyTrust::default(), key_cache: cache.path() };
    let issuers = Issuers::new(&settings, writer.clone(), Arc::clone(&status)).unwrap();
    Adapter { issuers, writer, status }
}

fn published(adapter: &Adapter) -> Vec<String> {
    let world = adapter.writer.current();
    world.issuers[0].keys.keys.iter().filter_map(|key| key.kid.clone()).collect()
}

#[tokio::test]
async fn keys_are_fetched_and_published() {
    let (publisher, cache) = (Publisher::start().await, tempfile::tempdir().unwrap());
    publisher.publish(&["one"]);
    let adapter = adapter(&[publisher.service()], &cache);
    let world = adapter.writer.current();
    assert!(world.issuers[0].refreshable && world.issuers[0].keys.keys.is_empty());
    adapter.issuers.first_fetch().await;
    assert_eq!(published(&adapter), ["one"]);
    let world = adapter.writer.current();
    assert_eq!(world.issuers[0].consumer_key_claim.as_deref(), Some("client_id"));
    let report = &adapter.status.report().issuers["Remote"];
    assert!(report.keys == 1 && report.last_fetch.is_some() && report.error.is_none());
}

#[tokio::test]
async fn an_unknown_key_is_fetched_at_once_and_a_known_one_asks_nobody() {
    let (publisher, cache) = (Publisher::start().await, tempfile::tempdir().unwrap());
    publisher.publish(&["one"]);
    let adapter = adapter(&[publisher.service()], &cache);
    adapter.issuers.first_fetch().await;
    publisher.publish(&["one", "two"]);
    assert_eq!(adapter.issuers.keys(ISSUER, "one").await.unwrap().keys.len(), 1);
    assert_eq!(publisher.asked(), 1);
    assert_eq!(adapter.issuers.keys(ISSUER, "two").await.unwrap().keys.len(), 2);
    assert_eq!(published(&adapter), ["one", "two"]);
    assert_eq!(publisher.asked(), 2);
    assert_eq!(adapter.issuers.keys("https://nobody.example", "one").await, None);
}

#[tokio::test]
async fn however_many_ask_there_is_one_fetch() {
    let (publisher, cache) = (Publisher::start().await, tempfile::tempdir().unwrap());
    publisher.publish(&["one"]);
    let adapter = adapter(&[publisher.service()], &cache);
    adapter.issuers.first_fetch().await;
    let questions: Vec<String> = (0..50).map(|number| format!("unknown-{number}")).collect();
    let answers = join_all(questions.iter().map(|kid| adapter.issuers.keys(ISSUER, kid))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().keys.len() == 1));
    assert_eq!(publisher.asked(), 2);
}

#[tokio::test]
async fn keys_stay_while_the_issuer_is_down_even_over_a_restart() {
    let (publisher, cache) = (Publisher::start().await, tempfile::tempdir().unwrap());
    publisher.publish(&["one"]);
    let before = adapter(&[publisher.service()], &cache);
    before.issuers.first_fetch().await;
    publisher.fail();
    assert_eq!(before.issuers.keys(ISSUER, "two").await.unwrap().keys.len(), 1);
    let report = before.status.report().issuers["Remote"].clone();
    assert!(report.keys == 1 && report.error.unwrap().contains("503"));

    let after = adapter(&[publisher.service()], &cache);
    assert_eq!(published(&after), ["one"]);
    let moved =
        TokenService { keys: KeySource::JwkSets(vec!["http://127.0.0.1:9/other".to_owned()]), ..publisher.service() };
    assert!(published(&adapter(&[moved], &cache)).is_empty(), "keys of another URL are not trusted");
}

/// One URL that fails keeps its own keys and holds back no other.
#[tokio::test]
async fn an_issuer_may_have_several_urls() {
    let (first, second) = (Publisher::start().await, Publisher::start().await);
    let cache = tempfile::tempdir().unwrap();
    first.publish(&["a", "both"]);
    second.publish(&["b", "both"]);
    let urls = [&first, &second].map(|publisher| format!("http://{}/jwks", publisher.address));
    let service = TokenService { keys: KeySource::JwkSets(urls.into()), ..first.service() };
    let before = adapter(std::slice::from_ref(&service), &cache);
    before.issuers.first_fetch().await;
    assert_eq!(published(&before), ["a", "both", "b"]);
    assert!(before.status.report().issuers["Remote"].error.is_none());
    second.fail();
    first.publish(&["c"]);
    assert!(before.issuers.keys(ISSUER, "c").await.is_some());
    assert_eq!(published(&before), ["c", "b", "both"]);
    let report = before.status.report().issuers["Remote"].clone();
    assert!(report.keys == 3 && report.error.unwrap().contains("503"));
    // Also over a restart.
    assert_eq!(published(&adapter(&[service], &cache)), ["c", "b", "both"]);
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_again_in_time() {
    let (publisher, cache) = (Publisher::start().await, tempfile::tempdir().unwrap());
    let adapter = adapter(&[publisher.service()], &cache);
    publisher.publish(&["one"]);
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(Arc::clone(&adapter.issuers).keep_fresh(shutdown.clone()));
    let mut worlds = adapter.writer.watch();
    worlds.wait_for(|world| world.issuers[0].keys.keys.len() == 1).await.unwrap();
    publisher.publish(&["one", "two"]);
    worlds.wait_for(|world| world.issuers[0].keys.keys.len() == 2).await.unwrap();
    shutdown.cancel();
    task.await.unwrap();
}

#[test]
fn the_issuer_of_test_keys_is_always_there() {
    let folder = tempfile::tempdir().unwrap();
    let files = crate::certs::ensure(folder.path()).unwrap().token_signing;
    let signer = crate::signing::TokenSigner::load(&files.key, &files.certificate).unwrap();
    let check = |services: &[TokenService], expected: &[(&str, usize)]| {
        let writer = WorldWriter::new(World::default());
        let test_keys = Some((ISSUER, signer.jwk()));
        let settings =
            IssuerSettings { services, test_keys, key_trust: &KeyTrust::default(), key_cache: folder.path() };
        Issuers::new(&settings, writer.clone(), Status::new()).unwrap();
        let world = writer.current();
        let found: Vec<(&str, usize)> =
            world.issuers.iter().map(|issuer| (issuer.name.as_str(), issuer.keys.keys.len())).collect();
        assert_eq!(found, expected);
    };
    let certificate = || KeySource::Certificate(files.certificate.clone());
    let service = |name: &str, issuer: &str| TokenService::named(name, issuer, certificate());
    check(&[], &[("MGW", 1)]);
    check(&[service("Resident", "https://other")], &[("Resident", 1), ("MGW", 1)]);
    check(&[service("Local", ISSUER)], &[("Local", 1)]);
    let remote = KeySource::JwkSets(vec!["http://127.0.0.1:9/jwks".to_owned()]);
    check(&[TokenService { keys: remote, ..service("Remote", ISSUER) }], &[("Remote", 1)]);
    let inline = KeySource::Inline(JwkSet { keys: vec![signer.jwk().clone()] });
    check(&[TokenService::named("Inline", "https://other", inline)], &[("Inline", 1), ("MGW", 1)]);
    // Services that sign keys only need no issuer.
    check(
        &[service(Issuer::API_KEYS, ""), service(Issuer::PUBLISHER, "")],
        &[("APIM APIkey", 1), ("APIM Publisher", 1), ("MGW", 1)],
    );
}

#[test]
fn services_that_cannot_be_used_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let files = crate::certs::ensure(folder.path()).unwrap();
    let service = |name: &str, issuer: &str, path: &Path| {
        TokenService::named(name, issuer, KeySource::Certificate(path.to_owned()))
    };
    let good = &files.token_signing.certificate;
    let check = |services: &[TokenService], expected: &str| {
        let settings =
            IssuerSettings { services, test_keys: None, key_trust: &KeyTrust::default(), key_cache: folder.path() };
        let error = Issuers::new(&settings, WorldWriter::new(World::default()), Status::new()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&[service("a", "x", good), service("a", "y", good)], "same name \"a\"");
    check(&[service("a", "x", good), service("b", "x", good)], "same issuer \"x\"");
    check(&[service("a", "x", &files.adapter.certificate)], "not RSA");
    check(&[service("a", "x", &folder.path().join("missing.pem"))], "missing.pem");
}

/// What is known of key managers, by their names without case.
fn show(adapter: &Adapter, managers: &[KeyManager]) {
    let managers = managers.iter().map(|manager| (manager.name.to_lowercase(), manager.clone())).collect();
    adapter.writer.update(|world| world.key_managers = Arc::new(managers));
}

fn issuers(adapter: &Adapter) -> Vec<(String, String, bool)> {
    let world = adapter.writer.current();
    let of = |issuer: &Arc<Issuer>| (issuer.name.clone(), issuer.issuer.clone(), issuer.validate_subscription);
    world.issuers.iter().map(of).collect()
}

#[tokio::test]
async fn key_managers_go_before_the_configuration_and_leave_it_behind() {
    let (publisher, cache) = (Publisher::start().await, tempfile::tempdir().unwrap());
    publisher.publish(&["one"]);
    let adapter = adapter(&[publisher.service()], &cache);
    let mut follower = Follower::new(Arc::clone(&adapter.issuers));
    let manager = |name: &str, issuer: &str| KeyManager {
        name: name.to_owned(),
        issuer: issuer.to_owned(),
        accepted: true,
        jwks_url: Some(format!("http://{}/jwks", publisher.address)),
        claim_mapping: vec![("a".to_owned(), "b".to_owned())],
        ..KeyManager::default()
    };
    let configured = ("Remote".to_owned(), ISSUER.to_owned(), false);
    let named = |name: &str, issuer: &str| (name.to_owned(), issuer.to_owned(), true);

    show(&adapter, &[manager("Okta", ISSUER), manager("Other", "https://other")]);
    follower.catch_up().await;
    assert_eq!(issuers(&adapter), [named("Okta", ISSUER), named("Other", "https://other")]);
    // Its keys were there before its tokens were accepted, and are asked for by its name.
    assert!(adapter.writer.current().issuers.iter().all(|issuer| issuer.keys.keys.len() == 1));
    publisher.publish(&["one", "two"]);
    assert_eq!(adapter.issuers.keys("https://other", "two").await.unwrap().keys.len(), 2);
    let asked = publisher.asked();

    // Another change leaves those alone that stay as they are.
    show(&adapter, &[manager("Other", "https://other")]);
    follower.catch_up().await;
    assert_eq!(issuers(&adapter), [configured.clone(), named("Other", "https://other")]);
    assert_eq!(publisher.asked(), asked);
    assert!(!adapter.status.report().issuers.contains_key("Okta"));

    // Who has the name of a service that signs keys, or the issuer of another, or bad certificates, is none.
    let disabled = KeyManager { accepted: false, ..manager("Off", "https://off") };
    let broken = KeyManager { certificate: Some("no PEM".to_owned()), ..manager("Broken", "https://broken") };
    let twin = manager("Twin", "https://other");
    show(
        &adapter,
        &[manager("Other", "https://other"), manager(Issuer::API_KEYS, "https://keys"), disabled, broken, twin],
    );
    follower.catch_up().await;
    assert_eq!(issuers(&adapter), [configured.clone(), named("Other", "https://other")]);
    let report = adapter.status.report();
    for name in [Issuer::API_KEYS, "Broken", "Twin"] {
        assert!(report.issuers[name].error.is_some(), "{name}");
    }
    show(&adapter, &[]);
    follower.catch_up().await;
    assert_eq!(issuers(&adapter), [configured]);
}
