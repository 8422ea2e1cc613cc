//! Traffic under constant change, every answer of which is held against what it must be.
//!
//! An API is deployed over and over, now open to every token and now only to those with a scope that none has; tokens are new, used
//! again, expired, forged, missing, and taken back, and so are API keys, of which no scope is asked. A model of all that says which
//! answers are right. While a change is under way both sides of it are; once it had time to arrive, only one is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tollgate_model::Algorithm;

use crate::adapter::{Keys, TokenService};
use crate::http::Answer;
use crate::token::{Claims, KeyPair};
use crate::{ApiProject, Etcd, Gateway, Settings, eventually};

const ISSUER: &str = "https://soak.test/token";
/// What tokens are for.
const PATH: &str = "/soak/1.0.0/items/1";
/// What API keys are for.
const KEYS_PATH: &str = "/soak/1.0.0/keys/1";
const KEY_HEADER: &str = "apikey";
/// How long a change may take to be enforced everywhere. The promise is a fraction of it; what is tested here is the answer.
const GRACE: Duration = Duration::from_secs(5);
/// Loops of requests.
const LANES: usize = 4;
/// Tokens, and API keys, that are used again: so many of each.
const POOL: usize = 32;
/// Bytes by which Envoy may grow once its memories are full.
const GROWTH: u64 = 48 * 1024 * 1024;
/// How long Envoy's memories take to fill at most.
const FILLING: Duration = Duration::from_secs(8 * 60);

/// What was done.
#[derive(Debug, Default, Clone, Copy)]
pub struct Account {
    /// Requests whose answer was right.
    pub requests: u64,
    /// Among them, those that could have one answer only.
    pub certain: u64,
    /// Changes of the API.
    pub pushes: u64,
    /// Tokens that were taken back.
    pub revocations: u64,
    /// Bytes of Envoy when its memories were full, and at the end.
    pub memory: (u64, u64),
}

/// What is true, and since when.
struct Model {
    /// Whether tokens without the scope get in.
    open: bool,
    /// When that was last changed; `None` while it is.
    settled: Option<Instant>,
    pool: Vec<Pooled>,
    account: Account,
    stopping: bool,
}

#[derive(Clone)]
struct Pooled {
    token: String,
    kind: Kind,
    id: String,
    revoked: Option<Instant>,
}

/// What a token is shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    AccessToken,
    ApiKey,
}

/// What a request shows, and what is right for it.
struct Shown {
    token: Option<String>,
    kind: Kind,
    expected: Vec<u16>,
}

impl Model {
    fn was_taken(&self, token: Option<&str>) -> bool {
        self.pool.iter().any(|pooled| Some(pooled.token.as_str()) == token && pooled.revoked.is_some())
    }
}

type Shared = Arc<Mutex<Model>>;

fn with<T>(model: &Shared, then: impl FnOnce(&mut Model) -> T) -> T {
    then(&mut model.lock().unwrap_or_else(PoisonError::into_inner))
}

/// How an API changes.
#[derive(Debug, Clone, Copy)]
pub struct Churn {
    /// Bursts of changes. After each it is quiet, long enough to be sure of answers.
    pub bursts: u32,
    /// Changes of a burst, one right after the other.
    pub pushes: u32,
}

/// Soaks a gateway for so long.
///
/// # Errors
/// The first wrong answer, or growth of memory. A VM that fails is found when the gateway is dropped.
pub async fn soak(duration: Duration, changes: Churn) -> Result<Account> {
    let (folder, etcd) = (TempDir::new().context("making a folder")?, Etcd::start().await?);
    let key = KeyPair::shared()?;
    let pem = folder.path().join("soak.pem");
    std::fs::write(&pem, key.public_pem()?).context("writing the issuer's key")?;
    let keys = "[[enforcer.security.tokenService]]\nname = 'APIM APIkey'\nvalidateSubscription = true";
    let revocation = format!("[tollgate.revocation.etcd]\nendpoints = ['{}']", etcd.url());
    let extra = format!("\n{revocation}\n\n{keys}\ncertificateFilePath = '{}'\n", pem.display());
    let service = TokenService {
        name: "Soak".to_owned(),
        issuer: ISSUER.to_owned(),
        keys: Keys::File(pem),
        algorithms: Vec::new(),
    };
    let gateway =
        Arc::new(Gateway::with(Settings { extra, token_services: vec![service], ..Settings::default() }).await?);
    gateway.deploy(&project(&gateway, true), PATH).await?;
    let model = Model { open: true, settled: None, pool: Vec::new(), account: Account::default(), stopping: false };
    let model = Arc::new(Mutex::new(model));
    refill(&model);
    let token = with(&model, |model| model.pool.first().map(|pooled| pooled.token.clone()));
    eventually("the API is served", async || {
        let status = gateway.get(PATH, token.as_deref()).await?.status.as_u16();
        ensure!(status == 200, "{status}");
        Ok(())
    })
    .await?;
    with(&model, |model| model.settled = Some(Instant::now()));

    let mut lanes = JoinSet::new();
    for number in 0..LANES {
        lanes.spawn(lane(number, Arc::clone(&gateway), Arc::clone(&model)));
    }
    let outcome = tokio::select! {
        outcome = churn(&gateway, &etcd, &model, duration, changes) => outcome,
        Some(ended) = lanes.join_next() => ended.context("a lane")?.and_then(|()| bail!("a lane ended early")),
    };
    with(&model, |model| model.stopping = true);
    while let Some(ended) = lanes.join_next().await {
        ended.context("a lane")??;
    }
    outcome?;
    let account = with(&model, |model| model.account);
    ensure!(account.certain > 0, "no answer was ever certain, so nothing was proved: {account:?}");
    let (full, end) = account.memory;
    ensure!(end <= full.saturating_add(GROWTH), "Envoy grew from {full} to {end} bytes");
    Ok(account)
}

fn project(gateway: &Gateway, open: bool) -> ApiProject {
    let schemes = json!({"securitySchemes": {
        "default": {"type": "oauth2", "flows": {"implicit": {"authorizationUrl": "https://x.test", "scopes": {}}}},
        "key": {"type": "apiKey", "in": "header", "name": KEY_HEADER},
    }});
    let project = ApiProject::new("Soak", "1.0.0", "/soak").production(&gateway.backend.url());
    let project = project.with_extension("components", schemes).asking("GET", "/keys/{id}", &json!([{"key": []}]));
    if open { project.secured("GET", "/items/{id}") } else { project.scoped("GET", "/items/{id}", &["nobody"]) }
}

/// Changes the API and takes tokens back until the time is over.
async fn churn(gateway: &Gateway, etcd: &Etcd, model: &Shared, duration: Duration, changes: Churn) -> Result<()> {
    let start = Instant::now();
    let filled = FILLING.min(duration.mul_f64(0.5));
    for burst in 1..=changes.bursts {
        for number in 0..changes.pushes {
            push(gateway, model, number % 2 == burst % 2).await?;
            take_back(etcd, model).await?;
            refill(model);
        }
        gateway.backend.forget();
        let next = duration.mul_f64(f64::from(burst) / f64::from(changes.bursts));
        tokio::time::sleep(next.saturating_sub(start.elapsed()).max(GRACE.saturating_mul(2))).await;
        if start.elapsed() >= filled && with(model, |model| model.account.memory.0 == 0) {
            let memory = gateway.envoy.memory()?;
            with(model, |model| model.account.memory.0 = memory);
        }
    }
    let memory = gateway.envoy.memory()?;
    with(model, |model| model.account.memory.1 = memory);
    Ok(())
}

async fn push(gateway: &Gateway, model: &Shared, open: bool) -> Result<()> {
    with(model, |model| model.settled = None);
    gateway.adapter.deploy(project(gateway, open).zip()?).await?;
    with(model, |model| {
        (model.open, model.settled) = (open, Some(Instant::now()));
        model.account.pushes = model.account.pushes.saturating_add(1);
    });
    Ok(())
}

async fn take_back(etcd: &Etcd, model: &Shared) -> Result<()> {
    let taken = with(model, |model| {
        // Of both kinds in turn.
        let kind = if model.account.revocations.is_multiple_of(2) { Kind::AccessToken } else { Kind::ApiKey };
        let pooled = model.pool.iter_mut().find(|pooled| pooled.kind == kind && pooled.revoked.is_none())?;
        pooled.revoked = Some(Instant::now());
        model.account.revocations = model.account.revocations.saturating_add(1);
        Some(pooled.id.clone())
    });
    match taken {
        Some(id) => etcd.put(&format!("/revoked/{id}"), "4000000000000").await,
        None => Ok(()),
    }
}

/// New tokens in place of those that were taken back long ago.
fn refill(model: &Shared) {
    for kind in [Kind::AccessToken, Kind::ApiKey] {
        let held = with(model, |model| {
            let old = |at: Instant| at.elapsed() > GRACE.saturating_mul(4);
            model.pool.retain(|pooled| !pooled.revoked.is_some_and(old));
            model.pool.iter().filter(|pooled| pooled.kind == kind).count()
        });
        let new: Vec<Pooled> = (held..POOL).filter_map(|_| Pooled::new(kind).ok()).collect();
        with(model, |model| model.pool.extend(new));
    }
}

impl Pooled {
    fn new(kind: Kind) -> Result<Self> {
        let id = unique();
        let claims = Claims::of(ISSUER).with("jti", id.clone());
        let claims = match kind {
            Kind::AccessToken => claims,
            Kind::ApiKey => {
                let listed = json!([{"name": "Soak", "context": "/soak/1.0.0", "version": "1.0.0"}]);
                claims.with("token_type", "apiKey").with("subscribedAPIs", listed)
            }
        };
        Ok(Self { token: sign(claims)?, kind, id, revoked: None })
    }
}

fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("soak-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn sign(claims: Claims) -> Result<String> {
    Ok(KeyPair::shared()?.sign(Algorithm::RS256, &claims))
}

async fn lane(number: usize, gateway: Arc<Gateway>, model: Shared) -> Result<()> {
    let client = crate::http::client(1)?;
    let mut turn = number;
    while !with(&model, |model| model.stopping) {
        turn = turn.wrapping_add(7);
        let begun = Instant::now();
        let shown = show(&model, turn)?;
        let path = if shown.kind == Kind::ApiKey { KEYS_PATH } else { PATH };
        let request = client.get(gateway.url(path));
        let request = match (&shown.token, shown.kind) {
            (None, _) => request,
            (Some(token), Kind::AccessToken) => request.bearer_auth(token),
            (Some(token), Kind::ApiKey) => request.header(KEY_HEADER, token),
        };
        let status = Answer::of(request).await?.status.as_u16();
        // A change that has begun meanwhile excuses either answer.
        let scoped = shown.kind == Kind::AccessToken;
        let moved = scoped && with(&model, |model| model.settled.is_none_or(|settled| settled > begun));
        let excused =
            moved && matches!(status, 200 | 403) && shown.expected.iter().any(|right| [200, 403].contains(right));
        // So does a token that was taken back while it was on its way.
        let taken = status == 401 && with(&model, |model| model.was_taken(shown.token.as_deref()));
        if !shown.expected.contains(&status) && !excused && !taken {
            let open = with(&model, |model| model.open);
            bail!("answered {status}, and not {:?}; the API is open: {open}; token {:?}", shown.expected, shown.token);
        }
        with(&model, |model| {
            let account = &mut model.account;
            account.requests = account.requests.saturating_add(1);
            account.certain = account.certain.saturating_add(u64::from(shown.expected.len() == 1 && !moved));
        });
    }
    Ok(())
}

/// The next request.
fn show(model: &Shared, turn: usize) -> Result<Shown> {
    let good = with(model, |model| match model.settled {
        Some(settled) if settled.elapsed() > GRACE => vec![if model.open { 200 } else { 403 }],
        _ => vec![200, 403],
    });
    let refused = vec![401];
    let usual = |token: Option<String>, expected: Vec<u16>| Shown { token, kind: Kind::AccessToken, expected };
    Ok(match turn % 8 {
        0 => usual(Some(Pooled::new(Kind::AccessToken)?.token), good),
        1 => usual(None, refused),
        2 => usual(Some(sign(Claims::of(ISSUER).expiring(-60))?), refused),
        3 => {
            let token = Pooled::new(Kind::AccessToken)?.token;
            let (content, _) = token.rsplit_once('.').ok_or_else(|| anyhow!("a token without a signature"))?;
            usual(Some(format!("{content}.{}", "A".repeat(342))), refused)
        }
        _ => {
            let pooled = with(model, |model| {
                let position = turn.checked_rem(model.pool.len())?;
                model.pool.get(position).cloned()
            });
            let pooled = pooled.context("the pool is empty")?;
            // Scopes are not asked of keys.
            let good = if pooled.kind == Kind::ApiKey { vec![200] } else { good };
            let expected = match pooled.revoked {
                None => good,
                Some(at) if at.elapsed() > GRACE => refused,
                Some(_) => [good, refused].concat(),
            };
            Shown { token: Some(pooled.token), kind: pooled.kind, expected }
        }
    })
}
