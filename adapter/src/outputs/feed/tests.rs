use std::collections::BTreeSet;
use std::sync::Arc;

use tollgate_model::wire::{FeedFrame, Shard};
use tollgate_model::{Api, ApiKind, Issuer, LifeCycle, Slot, Table, keys};

use super::frame::{Answer, answer};
use super::tables::Tables;
use super::*;
use crate::model::Deployment;
use tollgate_model::wire::MAX_FRAME;

const EPOCH: u64 = 7;

fn deployment(id: &str, base_path: &str, default_base_path: Option<&str>) -> Arc<Deployment> {
    let api = Api {
        id: id.to_owned(),
        name: id.to_owned(),
        version: "1.0".to_owned(),
        organization: "carbon.super".to_owned(),
        virtual_host: "localhost".to_owned(),
        base_path: base_path.to_owned(),
        default_base_path: default_base_path.map(ToOwned::to_owned),
        kind: ApiKind::Http,
        life_cycle: LifeCycle::Published,
        authorization_header: None,
        tier: None,
        mutual_ssl: None,
        graphql: None,
        endpoints: Vec::new(),
        production: None,
        sandbox: None,
        cors: None,
        resources: Vec::new(),
    };
    Arc::new(Deployment {
        variant: String::new(),
        api,
        api_type: "HTTP".to_owned(),
        context: base_path.to_owned(),
        environments: BTreeSet::from(["Default".to_owned()]),
        clusters: Vec::new(),
    })
}

fn world(deployments: &[Arc<Deployment>]) -> World {
    let mut world = World::default();
    world.environments.insert("Default".to_owned(), "localhost".to_owned());
    world.deployments = deployments.iter().map(|deployment| (deployment.key(), Arc::clone(deployment))).collect();
    world
}

/// What a gateway holds, applying frames as the leader does.
#[derive(Default)]
struct Gateway {
    cursor: Cursor,
    shards: BTreeMap<usize, Vec<u8>>,
    frames: usize,
}

impl Gateway {
    /// Asks until there is nothing more to come. `between` runs before every continuation of a series.
    fn pull(&mut self, tables: &mut Tables, limit: usize, mut between: impl FnMut(&mut Tables)) -> Vec<Table> {
        let mut order = Vec::new();
        loop {
            let Answer::Frame(bytes) = answer(tables, EPOCH, self.cursor, limit).unwrap() else { return order };
            assert!(bytes.len() <= limit);
            let frame = FeedFrame::decode(&bytes).unwrap();
            self.frames += 1;
            if frame.reset {
                self.shards.clear();
            }
            for shard in &frame.shards {
                let slot = Shard::decode(shard).unwrap().slot;
                order.push(slot.table);
                self.shards.insert(slot.position(), shard.to_vec());
            }
            self.cursor = frame.cursor;
            if !frame.more {
                return order;
            }
            between(tables);
        }
    }

    fn get(&self, table: Table, key: &[u8]) -> Option<String> {
        let shard = self.shards.get(&table.slot(key).position())?;
        let shard = Shard::decode(shard).unwrap();
        shard.get(key).map(|entry| String::from_utf8(entry.value.to_vec()).unwrap())
    }

    fn route(&self, path: &str) -> Option<String> {
        self.get(Table::Route, &keys::route("localhost", path))
    }
}

fn whole(tables: &mut Tables) -> Gateway {
    let mut gateway = Gateway::default();
    gateway.pull(tables, MAX_FRAME, |_| ());
    gateway
}

fn tables(world: &World) -> Tables {
    let mut tables = Tables::default();
    tables.apply("Default", world);
    tables
}

#[test]
fn a_new_gateway_gets_everything_in_the_order_of_reference() {
    let mut tables = tables(&world(&[deployment("a", "/a/1.0", Some("/a"))]));
    let mut gateway = Gateway::default();
    let order = gateway.pull(&mut tables, MAX_FRAME, |_| ());
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(gateway.route("/a/1.0").as_deref(), Some("\"a\""));
    assert_eq!(gateway.route("/a").as_deref(), Some("\"a\""));
    assert_eq!(gateway.get(Table::VirtualHost, b"localhost").as_deref(), Some("{}"));
    let settings = gateway.get(Table::Settings, b"").unwrap();
    assert_eq!(serde_json::from_str::<tollgate_model::Settings>(&settings).unwrap(), World::default().settings);
    let api = gateway.get(Table::Api, &keys::api("localhost", "a")).unwrap();
    assert_eq!(serde_json::from_str::<Api>(&api).unwrap().base_path, "/a/1.0");
    assert_eq!(answer(&tables, EPOCH, gateway.cursor, MAX_FRAME).unwrap(), Answer::Nothing);
}

#[test]
fn a_change_brings_only_what_it_touched() {
    let (a, b) = (deployment("a", "/a", None), deployment("b", "/b", None));
    let mut tables = tables(&world(&[Arc::clone(&a)]));
    let mut gateway = whole(&mut tables);
    assert!(tables.apply("Default", &world(&[Arc::clone(&a), Arc::clone(&b)])));
    assert_eq!(gateway.pull(&mut tables, MAX_FRAME, |_| ()), [Table::Api, Table::Route]);
    assert_eq!(gateway.route("/b").as_deref(), Some("\"b\""));
    assert!(tables.apply("Default", &world(&[b])));
    gateway.pull(&mut tables, MAX_FRAME, |_| ());
    assert_eq!((gateway.route("/a"), gateway.get(Table::Api, &keys::api("localhost", "a"))), (None, None));
    assert!(gateway.route("/b").is_some());
}

#[test]
fn the_same_world_again_is_no_change() {
    let mut tables = tables(&world(&[deployment("a", "/a", None)]));
    let revision = tables.revision();
    assert!(!tables.apply("Default", &world(&[deployment("a", "/a", None)])), "equal, though not the same pointer");
    assert_eq!(tables.revision(), revision);
}

#[test]
fn an_environment_sees_only_its_own() {
    let mut world = world(&[deployment("a", "/a", None)]);
    world.environments.insert("Other".to_owned(), "other.example".to_owned());
    let mut tables = Tables::default();
    tables.apply("Other", &world);
    let gateway = whole(&mut tables);
    assert_eq!((gateway.route("/a"), gateway.get(Table::VirtualHost, b"localhost")), (None, None));
    assert!(gateway.get(Table::VirtualHost, b"other.example").is_some());
}

#[test]
fn a_path_of_its_own_goes_before_a_default_version_and_survives_it() {
    let (own, default) = (deployment("z", "/a", None), deployment("a", "/a/2.0", Some("/a")));
    let both = world(&[Arc::clone(&own), Arc::clone(&default)]);
    let mut tables = tables(&both);
    assert_eq!(whole(&mut tables).route("/a").as_deref(), Some("\"z\""));
    tables.apply("Default", &world(&[default]));
    assert_eq!(whole(&mut tables).route("/a").as_deref(), Some("\"a\""));
    tables.apply("Default", &both);
    tables.apply("Default", &world(&[own]));
    let gateway = whole(&mut tables);
    assert_eq!((gateway.route("/a").as_deref(), gateway.route("/a/2.0")), (Some("\"z\""), None));
}

#[test]
fn issuers_come_and_go() {
    let mut world = world(&[]);
    let mut tables = tables(&world);
    let mut gateway = whole(&mut tables);
    let issuer = Issuer::named("MGW", "https://localhost:9095/testkey");
    world.issuers = vec![Arc::new(issuer)];
    tables.apply("Default", &world);
    assert_eq!(gateway.pull(&mut tables, MAX_FRAME, |_| ()), [Table::Issuer]);
    assert!(gateway.get(Table::Issuer, b"MGW").is_some());
    world.issuers.clear();
    tables.apply("Default", &world);
    gateway.pull(&mut tables, MAX_FRAME, |_| ());
    assert_eq!(gateway.get(Table::Issuer, b"MGW"), None);
}

#[test]
fn a_foreign_or_impossible_cursor_starts_anew() {
    let mut tables = tables(&world(&[deployment("a", "/a", None)]));
    let current = whole(&mut tables).cursor;
    for cursor in [
        Cursor::default(),
        Cursor { epoch: EPOCH + 1, ..current },
        Cursor { revision: u64::MAX, ..current },
        Cursor { revision: current.revision + (1 << 16), ..current },
    ] {
        let Answer::Frame(bytes) = answer(&tables, EPOCH, cursor, MAX_FRAME).unwrap() else { panic!("{cursor}") };
        let frame = FeedFrame::decode(&bytes).unwrap();
        assert!(frame.reset && !frame.more && frame.cursor == current, "{cursor}");
    }
}

fn many(count: usize) -> Vec<Arc<Deployment>> {
    (0..count).map(|number| deployment(&format!("api-{number}"), &format!("/api/{number}"), None)).collect()
}

#[test]
fn what_does_not_fit_one_frame_comes_in_several() {
    let world = world(&many(300));
    let mut tables = tables(&world);
    let mut gateway = Gateway::default();
    let order = gateway.pull(&mut tables, 8 * 1024, |_| ());
    assert!(gateway.frames > 3 && order.is_sorted());
    assert!((0..300).all(|number| gateway.route(&format!("/api/{number}")).is_some()));
    assert_eq!(answer(&tables, EPOCH, gateway.cursor, MAX_FRAME).unwrap(), Answer::Nothing);
}

#[test]
fn a_change_during_a_series_arrives_before_anything_is_shown() {
    let mut deployments = many(300);
    let mut tables = tables(&world(&deployments));
    let mut gateway = Gateway::default();
    let mut changes = 0;
    deployments.remove(0);
    deployments.push(deployment("late", "/late", None));
    gateway.pull(&mut tables, 16 * 1024, |tables| {
        changes += 1;
        if changes == 2 {
            tables.apply("Default", &world(&deployments));
        }
    });
    assert!(gateway.route("/late").is_some());
    assert_eq!(gateway.route("/api/0"), None);
    assert_eq!(answer(&tables, EPOCH, gateway.cursor, MAX_FRAME).unwrap(), Answer::Nothing);
}

#[test]
fn a_change_that_does_not_fit_one_frame_starts_anew() {
    let mut tables = tables(&world(&many(300)));
    let mut gateway = Gateway::default();
    gateway.pull(&mut tables, MAX_FRAME, |_| ());
    tables.apply("Default", &world(&[]));
    let emptied = Slot::all().count();
    let order = gateway.pull(&mut tables, 8 * 1024, |_| ());
    assert!(order.len() <= emptied && gateway.frames > 2);
    assert!((0..300).all(|number| gateway.route(&format!("/api/{number}")).is_none()));
}

mod http {
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;
    use tollgate_model::contract::{ENVIRONMENT_HEADER, FEED_WAIT_SECONDS, MANAGED_HEADER, NODE_HEADER};

    use super::*;
    use crate::admin::Status;
    use crate::model::WorldWriter;
    use crate::outputs::issuers::{IssuerSettings, Issuers, KeyTrust};
    use crate::outputs::xds::{Offer, ResourceType, Resources};

    fn context(feed: Feed) -> FeedContext {
        let status = Status::new();
        let folder = std::path::Path::new("unused");
        let settings =
            IssuerSettings { services: &[], test_keys: None, key_trust: &KeyTrust::default(), key_cache: folder };
        let issuers = Issuers::new(&settings, WorldWriter::new(World::default()), Arc::clone(&status)).unwrap();
        let none = Arc::new(Resources::new(Vec::new()));
        let offer = Offer { clusters: Arc::clone(&none), extension: none };
        let (_, offers) = watch::channel(Arc::new(BTreeMap::from([("Default".to_owned(), offer)])));
        let (minter, shutdown) = (None, CancellationToken::new());
        FeedContext { feed: Arc::new(feed), issuers, status, offers, minter, shutdown }
    }

    fn with(world: &World) -> FeedContext {
        let feed = Feed::default();
        feed.apply(world).unwrap();
        context(feed)
    }

    async fn get(context: &FeedContext, since: &str, environment: &str) -> (u16, Vec<u8>) {
        let response = warp::test::request()
            .path(&format!("/v1/feed?since={since}"))
            .header(ENVIRONMENT_HEADER, environment)
            .header(NODE_HEADER, "Default/a")
            .reply(&routes(context.clone()))
            .await;
        (response.status().as_u16(), response.body().to_vec())
    }

    async fn current(context: &FeedContext) -> Cursor {
        FeedFrame::decode(&get(context, "0.0", "Default").await.1).unwrap().cursor
    }

    #[tokio::test]
    async fn bad_questions_are_told_what_is_wrong() {
        let context = with(&world(&[]));
        for (since, environment, status, text) in [
            ("0.0", "Elsewhere", 404, "Elsewhere"),
            ("now", "Default", 400, "since"),
            ("0.0&since=0.0", "Default", 400, "twice"),
        ] {
            let (found, body) = get(&context, since, environment).await;
            assert_eq!(found, status);
            assert!(String::from_utf8(body).unwrap().contains(text));
        }
        let missing = warp::test::request().path("/v1/feed?since=0.0").reply(&routes(context.clone())).await;
        assert_eq!(missing.status(), 400);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_without_a_change_ends_with_nothing() {
        let context = with(&world(&[]));
        let since = current(&context).await.to_string();
        let before = tokio::time::Instant::now();
        assert_eq!(get(&context, &since, "Default").await.0, 204);
        assert_eq!(before.elapsed().as_secs(), FEED_WAIT_SECONDS);
        assert!(
            context.status.nodes().report(&crate::outputs::acknowledge::Published::default())[0].feed_cursor.as_deref()
                == Some(since.as_str())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_with_the_change() {
        let context = with(&world(&[]));
        let since = current(&context).await.to_string();
        let change = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            context.feed.apply(&world(&[deployment("a", "/a", None)])).unwrap();
        };
        let before = tokio::time::Instant::now();
        let ((status, body), ()) = tokio::join!(get(&context, &since, "Default"), change);
        assert_eq!((status, before.elapsed().as_secs()), (200, 3));
        assert!(!FeedFrame::decode(&body).unwrap().reset);
    }

    /// Asks as the filters of a gateway that gets its clusters from here, and says how long that took.
    async fn managed(context: &FeedContext) -> u64 {
        let before = tokio::time::Instant::now();
        let request = warp::test::request().path("/v1/feed?since=0.0").header(ENVIRONMENT_HEADER, "Default");
        let request = request.header(NODE_HEADER, "Default/a").header(MANAGED_HEADER, "1");
        assert_eq!(request.reply(&routes(context.clone())).await.status(), 200);
        before.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_managed_gateway_hears_of_apis_once_it_has_their_clusters() {
        let context = with(&world(&[]));
        let version = context.offers.borrow()["Default"].clusters.version().to_owned();
        assert_eq!(managed(&context).await, 5, "without a stream the wait is bounded");
        let connection = context.status.nodes().connect("Default/a", "Default", true);
        let takes_clusters = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            connection.acknowledged(ResourceType::Extension, &version);
            connection.acknowledged(ResourceType::Cluster, "older");
            tokio::time::sleep(Duration::from_secs(1)).await;
            connection.acknowledged(ResourceType::Cluster, &version);
        };
        assert_eq!(tokio::join!(managed(&context), takes_clusters).0, 3);
        assert_eq!(managed(&context).await, 0);
        connection.rejected(ResourceType::Cluster, &version, "no");
        assert_eq!(managed(&context).await, 0, "a refusal is an answer too");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_with_the_adapter() {
        let context = with(&world(&[]));
        let since = current(&context).await.to_string();
        context.shutdown.cancel();
        let before = tokio::time::Instant::now();
        assert_eq!(get(&context, &since, "Default").await.0, 204);
        assert_eq!(before.elapsed().as_secs(), 0);
    }

    #[tokio::test]
    async fn keys_of_an_unknown_issuer_are_not_found() {
        let context = with(&world(&[]));
        let ask = |body: &'static str| {
            let filter = routes(context.clone());
            async move {
                warp::test::request().method("POST").path("/v1/keys").body(body).reply(&filter).await.status().as_u16()
            }
        };
        assert_eq!(ask(r#"{"issuer":"https://nobody","kid":"k"}"#).await, 404);
        assert_eq!(ask(r#"{"issuer":7}"#).await, 400);
    }
}

#[test]
fn what_an_older_filter_would_serve_wrongly_says_so() {
    for (kind, needs) in [(ApiKind::Http, 1), (ApiKind::Soap, 1), (ApiKind::GraphQl, 2), (ApiKind::WebSocket, 2)] {
        let mut deployment = Arc::unwrap_or_clone(deployment("a", "/a", None));
        deployment.api.kind = kind;
        let mut tables = Tables::default();
        tables.apply("Default", &world(&[Arc::new(deployment)]));
        let key = keys::api("localhost", "a");
        let stored = tables.shards().find(|(slot, _)| **slot == Table::Api.slot(&key)).unwrap().1;
        assert_eq!(Shard::decode(&stored.bytes).unwrap().get(&key).unwrap().needs, needs, "{kind:?}");
    }
}
