//! API Manager as the control plane: what is done there takes effect at the gateway, whatever happens on the way.
//!
//! Every scenario runs against the double in `tests/src/apim`, a real RabbitMQ, the adapter and Envoy.

mod convergence;
mod environments;
mod global_adapter;
mod key_managers;
mod outages;
mod portal;
mod publisher;
mod starts;
mod throttling;
mod tls;
mod tokens;
mod up;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tollgate_model::Algorithm;
use tollgate_tests::apim::{ApiManager, KeyManager, Operation, RESIDENT, certificate_of};
use tollgate_tests::http::Answer;
use tollgate_tests::token::{Claims, KeyPair};
use tollgate_tests::{ApiProject, Gateway, Settings, Topics, eventually};

/// Issuer of the resident key manager.
const ISSUER: &str = "https://apim.test/oauth2/token";
const PET: &str = "/pets/1.0.0/pet/5";
const PETS: &str = "Pets:1.0.0";
/// Within what an operation takes effect.
const SOON: Duration = Duration::from_secs(2);

const NOT_SUBSCRIBED: (u16, &str) = (403, "900908");
const INVALID: (u16, &str) = (401, "900901");
const GONE: (u16, &str) = (404, "404");
const OK: (u16, &str) = (200, "");

/// A gateway under an API Manager.
struct Plant {
    gateway: Gateway,
    apim: ApiManager,
    taken: Vec<(String, Duration)>,
    _topics: Topics,
}

/// `[controlPlane]` for that API Manager and these brokers.
fn control_plane(apim: &ApiManager, brokers: &[String], labels: &[&str], more: &str) -> String {
    let brokers: Vec<String> = brokers.iter().map(|url| format!("{url}?retries='3'&connectdelay='1'")).collect();
    format!(
        "\n[controlPlane]\nenabled = true\nserviceURL = '{}'\nusername = 'admin'\npassword = 'admin'\n\
         environmentLabels = {labels:?}\nretryInterval = 1\nsendRevisionUpdate = true\nskipSSLVerification = true\n\
         [controlPlane.httpClient]\nrequestTimeOut = 5\n\
         [controlPlane.requestWorkerPool]\npauseTimeAfterFailure = 1\n\
         [controlPlane.brokerConnectionParameters]\neventListeningEndpoints = {brokers:?}\n{more}",
        apim.url()
    )
}

/// The resident key manager, whose tokens [`token`] makes.
fn resident() -> Operation {
    let pem = certificate_of(KeyPair::shared().unwrap()).unwrap();
    let keys = json!({"certificate_type": "PEM", "certificate_value": STANDARD.encode(pem)});
    Operation::key_manager(RESIDENT, KeyManager::of(ISSUER, &keys))
}

/// An API whose backend sees which revision calls it.
fn pets(backend: &str, revision: u32) -> ApiProject {
    ApiProject::new("Pets", "1.0.0", "/pets")
        .production(&format!("{backend}/r{revision}"))
        .secured("GET", "/pet/{petId}")
        .unsecured("GET", "/health")
}

/// A token of an application's consumer key.
fn token(consumer_key: &str, jti: &str) -> String {
    let claims = Claims::of(ISSUER).with("azp", consumer_key).with("jti", jti).without("keytype");
    KeyPair::shared().unwrap().sign(Algorithm::RS256, &claims)
}

/// Pets published and deployed in `Default`, and an application `web` with keys `web-key`; not subscribed.
fn usual(backend: &str) -> Vec<Operation> {
    vec![
        resident(),
        Operation::publish(pets(backend, 1)),
        Operation::deploy(PETS, &["Default"]),
        Operation::application("web"),
        Operation::keys("web", "web-key", RESIDENT),
    ]
}

impl Plant {
    /// One whose API Manager has nothing.
    async fn start() -> Self {
        Self::with("").await
    }

    /// The same with further tables of the adapter's configuration.
    async fn with(more: &str) -> Self {
        Self::configured(|text| text, more).await
    }

    /// One that does not tell API Manager what its gateways serve.
    async fn without_acknowledgement() -> Self {
        Self::configured(|text| text.replace("sendRevisionUpdate = true\n", ""), "").await
    }

    async fn configured(change: impl FnOnce(String) -> String, more: &str) -> Self {
        let topics = Topics::shared().await.unwrap();
        let apim = ApiManager::start(&topics.url()).await.unwrap();
        let extra = change(control_plane(&apim, &[topics.url()], &["Default"], more));
        let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
        Self { gateway, apim, taken: Vec::new(), _topics: topics }
    }

    fn backend(&self) -> String {
        self.gateway.backend.url()
    }

    fn perform(&self, operation: Operation) {
        self.apim.perform(operation).unwrap();
    }

    /// Whether every worker answers like that: status, and the code of a refusal.
    async fn answers(&self, path: &str, token: Option<&str>, expected: (u16, &str)) -> Result<()> {
        answers(&self.gateway, path, token, expected).await
    }

    /// Waits until every worker answers like that, and remembers how long it took.
    async fn soon(&mut self, what: &str, path: &str, token: Option<&str>, expected: (u16, &str)) {
        let started = Instant::now();
        eventually(what, async || self.answers(path, token, expected).await).await.unwrap();
        self.taken.push((what.to_owned(), started.elapsed()));
    }

    /// Does something, and waits until every worker answers like that.
    async fn then(&mut self, operation: Operation, path: &str, token: Option<&str>, expected: (u16, &str)) {
        let what = format!("{path} answers {expected:?} after {operation:?}");
        let what = what.chars().take(200).collect::<String>();
        self.perform(operation);
        self.soon(&what, path, token, expected).await;
    }

    /// Checks what holds at the end of every scenario: nothing that API Manager did not understand, and everything soon.
    fn judge(mut self) {
        assert_eq!(self.apim.complaints(), Vec::<String>::new());
        self.taken.sort_by_key(|(_, taken)| *taken);
        // Other processes may get in the way of one or two, but not of most.
        if let Some((what, middle)) = self.taken.get(self.taken.len() / 2) {
            assert!(*middle < SOON, "half of all took longer than {middle:?}, such as: {what}");
        }
    }
}

async fn answers(gateway: &Gateway, path: &str, token: Option<&str>, (status, code): (u16, &str)) -> Result<()> {
    let mut requests = JoinSet::new();
    for _ in 0..8 {
        let request = gateway.request(Method::GET, path);
        requests.spawn(Answer::of(match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }));
    }
    while let Some(answer) = requests.join_next().await {
        let answer = answer??;
        let right = code.is_empty() || answer.body.contains(&format!(r#""code":"{code}""#));
        ensure!(answer.status.as_u16() == status && right, "{path} answers {} {}", answer.status, answer.body);
    }
    Ok(())
}
