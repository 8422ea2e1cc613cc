//! The hub against an API Manager that is played here, and messages that are handed to it.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Response;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tollgate_model::{LifeCycle, SubscriptionState, TierKind, keys};
use warp::Filter as _;

use super::super::open::EventHub;
use super::super::testing::{Api, artifacts, petstore_zip, settings};
use super::*;
use crate::broker::Message;
use crate::inputs::catalog;
use crate::inputs::project::CompileOptions;
use crate::model::{ControlPlaneState, Problems, World};

#[path = "share_tests.rs"]
mod share;

const PATIENCE: Duration = Duration::from_secs(60);
const UUID: [&str; 2] = ["00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"];
const REVISION: &str = "00000000-0000-0000-0000-0000000000ff";

/// What a path answers.
#[derive(Debug, Clone)]
enum Answer {
    Json(Value),
    Bytes(Vec<u8>),
    Status(u16, &'static str),
    Hang,
}

type Answers = Arc<Mutex<BTreeMap<String, Answer>>>;

/// API Manager as far as a hub can see.
struct Manager {
    answers: Answers,
    /// Path, query and body of every question.
    asked: Arc<Mutex<Vec<[String; 3]>>>,
    url: String,
}

impl Manager {
    async fn start() -> Self {
        let (answers, asked): (Answers, Arc<Mutex<Vec<[String; 3]>>>) = <_>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (shared, log) = (Arc::clone(&answers), Arc::clone(&asked));
        let query = warp::query::raw().or_else(|_| async { Ok::<_, Infallible>((String::new(),)) });
        let question = warp::path!("internal" / "data" / "v1" / String).and(query).and(warp::body::bytes());
        let route = question.then(move |path: String, query: String, body: bytes::Bytes| {
            let body = String::from_utf8_lossy(&body).into_owned();
            log.lock().unwrap().push([path.clone(), query.clone(), body]);
            // An API may be asked for by itself.
            let api = query.split('&').find_map(|part| part.strip_prefix("apiId=")).map(str::to_owned);
            let (key, shared) = (api.unwrap_or(path), Arc::clone(&shared));
            async move {
                let answer = shared.lock().unwrap().get(&key).cloned();
                respond(answer.unwrap_or(Answer::Status(404, "No Api artifacts found"))).await
            }
        });
        tokio::spawn(crate::tls::serve_plain(listener, warp::service(route), CancellationToken::new()));
        let manager = Self { answers, asked, url };
        for path in [
            "application-policies",
            "subscription-policies",
            "applications",
            "application-key-mappings",
            "subscriptions",
            "apis",
        ] {
            manager.set(path, Answer::Json(json!({"list": []})));
        }
        manager.set("keymanagers", Answer::Json(json!([])));
        manager.set("revokedjwt", Answer::Json(json!([])));
        manager.set("runtime-artifacts", Answer::Status(204, ""));
        manager
    }

    fn set(&self, path: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    fn populate(&self) {
        self.set("applications", Answer::Json(json!({"list": [application("app", "Unlimited")]})));
        let key = json!({"applicationUUID": "app", "consumerKey": "ck", "keyType": "PRODUCTION", "keyManager": "KM"});
        self.set("application-key-mappings", Answer::Json(json!({"list": [key]})));
        self.set("subscriptions", Answer::Json(json!({"list": [subscription("UNBLOCKED", 10)]})));
        self.set(
            "apis",
            Answer::Json(json!({"list": [{"uuid": UUID[0], "status": "PUBLISHED", "isDefaultVersion": false}]})),
        );
        self.set("revokedjwt", Answer::Json(json!([{"jwt_signature": "j", "expiry_time": 4_000_000_000_000_i64}])));
        self.set("block", Answer::Json(json!({"api": ["/blocked/1"]})));
        self.deploy(&[UUID[0]]);
    }

    fn deploy(&self, uuids: &[&str]) {
        let api = |uuid: &&str| Api {
            uuid: (*uuid).to_owned(),
            revision: REVISION.to_owned(),
            places: vec![("Default".to_owned(), "gw.example.com".to_owned())],
            project: petstore_zip(&format!("Pets{}", &uuid[35..])),
        };
        let apis: Vec<Api> = uuids.iter().map(api).collect();
        self.set("runtime-artifacts", Answer::Bytes(artifacts(&apis)));
        self.set("retrieve-api-artifacts", Answer::Bytes(artifacts(&apis)));
        for uuid in UUID {
            let own: Vec<Api> = apis.iter().filter(|api| api.uuid == uuid).cloned().collect();
            let gone = Answer::Status(404, "No Api artifacts found");
            self.set(uuid, if own.is_empty() { gone } else { Answer::Bytes(artifacts(&own)) });
        }
    }

    fn fail(&self, answer: &Answer) {
        for answers in self.answers.lock().unwrap().values_mut() {
            *answers = answer.clone();
        }
    }
}

async fn respond(answer: Answer) -> Response<Vec<u8>> {
    let (status, body) = match answer {
        Answer::Json(value) => (200, value.to_string().into_bytes()),
        Answer::Bytes(bytes) => (200, bytes),
        Answer::Status(status, text) => (status, text.as_bytes().to_vec()),
        Answer::Hang => std::future::pending().await,
    };
    Response::builder().status(status).body(body).unwrap()
}

fn application(uuid: &str, plan: &str) -> Value {
    json!({"uuid": uuid, "id": 1, "name": uuid, "subName": "alice", "policy": plan, "tenantDomain": "carbon.super"})
}

fn subscription(state: &str, stamp: i64) -> Value {
    json!({"subscriptionUUID": "s", "applicationUUID": "app", "apiUUID": UUID[0], "policyId": "Gold",
        "subscriptionState": state, "timeStamp": stamp})
}

fn body(kind: &str, event: &Value) -> String {
    let packed = STANDARD.encode(event.to_string());
    json!({"event": {"payloadData": {"eventType": kind, "event": packed}}}).to_string()
}

fn event(kind: &str, event: &Value) -> News {
    News::Message(Message::unreceipted("notification", body(kind, event)))
}

#[derive(Default)]
struct Reports {
    plane: Mutex<ControlPlaneReport>,
    refused: Mutex<BTreeSet<String>>,
}

impl Refusals for Reports {
    fn refuse(&self, origin: &str, _: &Problems) {
        self.refused.lock().unwrap().insert(origin.to_owned());
    }
    fn accept(&self, origin: &str) {
        self.refused.lock().unwrap().remove(origin);
    }
    fn control_plane(&self, report: &ControlPlaneReport) {
        *self.plane.lock().unwrap() = report.clone();
    }
}

struct Adapter {
    world: WorldWriter,
    reports: Arc<Reports>,
    news: mpsc::Sender<News>,
    ready: watch::Receiver<bool>,
    store: Arc<Store>,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Adapter {
    async fn start(url: &str, folder: &Path, reconcile: Duration) -> Self {
        Self::open(EventHubSettings { reconcile, ..settings(url, folder) }, folder, None).await
    }

    async fn open(settings: EventHubSettings, folder: &Path, share: Option<Share>) -> Self {
        let (world, reports) = (WorldWriter::new(World::default()), Arc::new(Reports::default()));
        let refusals: Arc<dyn Refusals> = Arc::<Reports>::clone(&reports);
        let store = catalog::Store::open(folder).unwrap();
        let catalog = Catalog::new(store, CompileOptions::default(), world.clone(), Arc::clone(&refusals));
        let opened = EventHub::open(settings, catalog, world.clone(), refusals, BTreeMap::new()).await.unwrap();
        let (news, receiver) = mpsc::channel(100);
        let shutdown = CancellationToken::new();
        let (mut hub, ready) = opened.into_parts();
        hub.share = share;
        let store = Arc::clone(&hub.store);
        let task = tokio::spawn(hub.run(receiver, shutdown.clone()));
        Self { world, reports, news, ready, store, shutdown, task }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }

    async fn tell(&self, news: News) {
        self.news.send(news).await.unwrap();
    }

    async fn subscribed(&self) {
        self.tell(News::Subscribed { endpoint: "amqp://test".to_owned() }).await;
    }

    #[track_caller]
    fn eventually(&self, what: &str, holds: impl Fn(&World, &ControlPlaneReport) -> bool) -> impl Future<Output = ()> {
        let (world, reports, what) = (self.world.clone(), Arc::clone(&self.reports), what.to_owned());
        async move {
            let deadline = Instant::now() + PATIENCE;
            loop {
                let plane = reports.plane.lock().unwrap().clone();
                if holds(&world.current(), &plane) {
                    return;
                }
                assert!(Instant::now() < deadline, "{what}: {plane:#?}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    async fn is(&self, state: ControlPlaneState) {
        self.eventually(state.name(), |_, plane| plane.state == state).await;
    }
}

fn state(world: &World) -> Option<SubscriptionState> {
    world.subscribers.subscriptions.get(&keys::subscription("app", UUID[0])).map(|subscription| subscription.state)
}

fn served(world: &World) -> Vec<(String, LifeCycle)> {
    world.deployments.values().map(|one| (one.api.base_path.clone(), one.api.life_cycle)).collect()
}

fn counts(world: &World) -> [usize; 6] {
    let all = &world.subscribers;
    let revoked = all.revoked.len();
    [
        all.applications.len(),
        all.credentials.len(),
        all.subscriptions.len(),
        revoked,
        world.throttle.deny.len(),
        world.deployments.len(),
    ]
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn everything_is_pulled_and_events_change_it() {
    let (manager, folder) = (Manager::start().await, tempfile::tempdir().unwrap());
    manager.populate();
    let adapter = Adapter::start(&manager.url, folder.path(), LONG).await;
    assert!(!*adapter.ready.borrow());
    adapter.ready.clone().wait_for(|ready| *ready).await.unwrap();
    assert_eq!(counts(&adapter.world.current()), [1; 6]);
    adapter.is(ControlPlaneState::Stale).await;
    adapter.subscribed().await;
    adapter.is(ControlPlaneState::Live).await;

    adapter.tell(event("SUBSCRIPTIONS_UPDATE", &subscription("BLOCKED", 20))).await;
    adapter.eventually("blocked", |world, _| state(world) == Some(SubscriptionState::Blocked)).await;
    // An older event is asked about, and API Manager knows better.
    manager.set("subscriptions", Answer::Json(json!({"list": [subscription("ON_HOLD", 30)]})));
    adapter.tell(event("SUBSCRIPTIONS_UPDATE", &subscription("UNBLOCKED", 15))).await;
    adapter.eventually("on hold", |world, _| state(world) == Some(SubscriptionState::OnHold)).await;
    // A plan that nobody has heard of is asked for.
    let plan =
        json!({"name": "Own", "defaultLimit": {"requestCount": {"timeUnit": "min", "unitTime": 1, "requestCount": 7}}});
    manager.set("application-policies", Answer::Json(json!({"list": [plan]})));
    let mut created = application("new", "Own");
    for (from, to) in [
        ("id", "applicationId"),
        ("name", "applicationName"),
        ("subName", "subscriber"),
        ("policy", "applicationPolicy"),
    ] {
        created[to] = created[from].clone();
    }
    adapter.tell(event("APPLICATION_CREATE", &created)).await;
    let own = keys::tier(TierKind::Application, "Own");
    adapter.eventually("the plan", |world, _| world.subscribers.tiers.get(&own).is_some()).await;
    adapter.tell(News::Message(Message::unreceipted("notification", "poison"))).await;
    adapter.eventually("poison", |_, plane| plane.poison == 1).await;
    adapter.stop().await;
}

#[tokio::test]
async fn apis_come_change_and_go() {
    let (manager, folder) = (Manager::start().await, tempfile::tempdir().unwrap());
    manager.populate();
    let adapter = Adapter::start(&manager.url, folder.path(), LONG).await;
    adapter.subscribed().await;
    adapter.is(ControlPlaneState::Live).await;
    let api = |uuid: &str, more: Value| {
        let mut api = json!({"uuid": uuid, "gatewayLabels": ["Default"]});
        more.as_object().unwrap().iter().for_each(|(name, value)| api[name] = value.clone());
        api
    };
    manager.deploy(&UUID);
    adapter.tell(event("DEPLOY_API_IN_GATEWAY", &api(UUID[1], json!({"timeStamp": 100})))).await;
    adapter.eventually("two", |world, _| served(world).len() == 2).await;
    adapter.tell(event("API_LIFECYCLE_CHANGE", &api(UUID[0], json!({"apiStatus": "BLOCKED", "timeStamp": 100})))).await;
    adapter.eventually("blocked", |world, _| served(world).iter().any(|(_, state)| *state == LifeCycle::Blocked)).await;
    // Taken at once, also when API Manager cannot be asked.
    manager.set(UUID[1], Answer::Status(500, ""));
    adapter.tell(event("REMOVE_API_FROM_GATEWAY", &api(UUID[1], json!({"timeStamp": 200})))).await;
    adapter.eventually("one", |world, _| served(world).len() == 1).await;
    // The default version is known beside the project, which is read anew for it.
    let listed = json!({"list": [{"uuid": UUID[0], "status": "PUBLISHED", "isDefaultVersion": true}]});
    manager.set("apis", Answer::Json(listed));
    adapter.tell(event("API_UPDATE", &api(UUID[0], json!({"action": "DEFAULT_VERSION", "timeStamp": 300})))).await;
    let default = |world: &World| world.deployments.values().any(|one| one.api.default_base_path.is_some());
    adapter.eventually("the default version", |world, _| default(world)).await;
    adapter.stop().await;
}

#[tokio::test]
async fn nothing_bad_takes_anything_away_and_all_of_it_is_made_good() {
    let (manager, folder) = (Manager::start().await, tempfile::tempdir().unwrap());
    manager.populate();
    let adapter = Adapter::start(&manager.url, folder.path(), Duration::from_secs(1)).await;
    adapter.subscribed().await;
    adapter.is(ControlPlaneState::Live).await;
    let half = {
        let mut bytes = artifacts(&[]);
        bytes.truncate(20);
        bytes
    };
    for bad in [
        Answer::Status(500, "broken"),
        Answer::Status(403, "no"),
        Answer::Status(404, "not here"),
        Answer::Hang,
        Answer::Bytes(b"{".to_vec()),
        Answer::Bytes(half),
        Answer::Json(json!({"error": "no list"})),
        Answer::Json(json!([{"error": "of no kind"}])),
        Answer::Json(json!({"list": [{"error": "of no kind"}], "api": 5})),
    ] {
        // An optional list that was empty may be one that API Manager does not have.
        let failures = |plane: &ControlPlaneReport| {
            let lists = ["applications", "subscriptions", "apis", "artifacts", "revokedTokens", "blockConditions"];
            lists.map(|list| plane.sources.get(list).map_or(0, |list| list.failures))
        };
        let before = failures(&adapter.reports.plane.lock().unwrap());
        manager.fail(&bad);
        // One that was asked before may still be answered otherwise.
        let failing =
            |plane: &ControlPlaneReport| failures(plane).iter().zip(before).all(|(now, before)| *now > before + 1);
        adapter.eventually(&format!("{bad:?} is no answer"), |_, plane| failing(plane)).await;
        assert_eq!(counts(&adapter.world.current()), [1; 6]);
        assert_eq!(adapter.reports.plane.lock().unwrap().state, ControlPlaneState::Stale);
    }
    // A condition that cannot be understood may be the one that is not listed.
    let fresh = Manager::start().await;
    fresh.populate();
    fresh
        .set("block", Answer::Json(json!({"user": ["eve@t.com"], "ip": [{"type": "IP", "id": 4, "fixedIp": "moon"}]})));
    *manager.answers.lock().unwrap() = fresh.answers.lock().unwrap().clone();
    let refused =
        |plane: &ControlPlaneReport| plane.sources.get("blockConditions").is_some_and(|list| list.refused == 1);
    adapter.eventually("one condition is refused", |_, plane| refused(plane)).await;
    assert_eq!(adapter.world.current().throttle.deny.len(), 2, "one is new, and the other one stays");
    // Meanwhile an event was lost.
    let fresh = Manager::start().await;
    fresh.populate();
    fresh.set("subscriptions", Answer::Json(json!({"list": [subscription("BLOCKED", 50)]})));
    *manager.answers.lock().unwrap() = fresh.answers.lock().unwrap().clone();
    adapter.is(ControlPlaneState::Live).await;
    adapter.eventually("made good", |world, _| state(world) == Some(SubscriptionState::Blocked)).await;
    adapter.stop().await;
}

#[tokio::test]
async fn a_message_is_acknowledged_when_it_is_stored_and_not_before() {
    let (manager, folder) = (Manager::start().await, tempfile::tempdir().unwrap());
    manager.populate();
    let adapter = Adapter::start(&manager.url, folder.path(), LONG).await;
    adapter.subscribed().await;
    adapter.is(ControlPlaneState::Live).await;
    adapter.store.broken.store(true, Ordering::Relaxed);
    let (message, acknowledged) =
        Message::receipted("notification", body("SUBSCRIPTIONS_UPDATE", &subscription("BLOCKED", 20)));
    adapter.tell(News::Message(message)).await;
    // Gateways need not wait for the disk.
    adapter.eventually("blocked", |world, _| state(world) == Some(SubscriptionState::Blocked)).await;
    adapter.eventually("the disk fails", |_, plane| plane.store_error.is_some()).await;
    assert!(!acknowledged.load(Ordering::Relaxed));
    adapter.store.broken.store(false, Ordering::Relaxed);
    adapter.eventually("acknowledged", |_, _| acknowledged.load(Ordering::Relaxed)).await;
    let kept = adapter.store.read().unwrap().facts;
    let blocked = |fact: &Fact| matches!(fact, Fact::Subscription { state: SubscriptionState::Blocked, .. });
    assert!(kept.iter().any(|(_, fact, _)| blocked(fact)), "{kept:?}");
    adapter.stop().await;
}

#[tokio::test]
async fn the_last_good_state_is_served_while_nobody_is_there() {
    let (manager, folder): (Manager, TempDir) = (Manager::start().await, tempfile::tempdir().unwrap());
    manager.populate();
    let first = Adapter::start(&manager.url, folder.path(), LONG).await;
    first.subscribed().await;
    first.is(ControlPlaneState::Live).await;
    first.tell(event("SUBSCRIPTIONS_UPDATE", &subscription("BLOCKED", 20))).await;
    first.eventually("blocked", |world, _| state(world) == Some(SubscriptionState::Blocked)).await;
    // Lists are written a moment after they are shown.
    let path = folder.path().join("control-plane.redb");
    tokio::time::sleep(Duration::from_millis(500)).await;
    first.stop().await;
    assert!(path.exists());

    manager.fail(&Answer::Hang);
    let second = Adapter::start(&manager.url, folder.path(), LONG).await;
    assert!(*second.ready.borrow(), "at once");
    assert_eq!(counts(&second.world.current()), [1; 6]);
    assert_eq!(state(&second.world.current()), Some(SubscriptionState::Blocked));
    second.is(ControlPlaneState::Stale).await;
    manager.populate();
    manager.set("application-policies", Answer::Json(json!({"list": []})));
    second.stop().await;

    let elsewhere = Manager::start().await;
    let third = Adapter::start(&elsewhere.url, folder.path(), LONG).await;
    assert_eq!(counts(&third.world.current()), [0; 6], "another API Manager has another state");
    third.stop().await;
}

#[tokio::test]
async fn one_bad_api_concerns_nobody_else() {
    let (manager, folder) = (Manager::start().await, tempfile::tempdir().unwrap());
    manager.populate();
    let api = |uuid: &str, project: Vec<u8>| Api {
        uuid: uuid.to_owned(),
        revision: REVISION.to_owned(),
        places: vec![("Default".to_owned(), String::new())],
        project,
    };
    let apis = [api(UUID[0], b"no zip".to_vec()), api(UUID[1], petstore_zip("Pets"))];
    manager.set("runtime-artifacts", Answer::Bytes(artifacts(&apis)));
    let adapter = Adapter::start(&manager.url, folder.path(), LONG).await;
    adapter.ready.clone().wait_for(|ready| *ready).await.unwrap();
    assert_eq!(served(&adapter.world.current()).len(), 1);
    let refused: Vec<String> = adapter.reports.refused.lock().unwrap().iter().cloned().collect();
    assert_eq!(refused, [format!("API Manager:{}", UUID[0])]);
    adapter.stop().await;
}
