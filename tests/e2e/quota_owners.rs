//! Every owner of quotas behaves alike: one table, stamped for each, against the real thing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use tollgate_adapter::outputs::quota::{Embedded, OwnerError, QuotaOwner, Redis, RedisSettings, Topology};
use tollgate_model::{Limit, QuotaAsk, QuotaUnit, TimeUnit, Unused, Window};
use tollgate_tests::{RedisCluster, RedisSentinel, RedisServer, eventually};

/// A window that no test sees the end of.
const YEAR: Window = Window { count: 1, unit: TimeUnit::Year };

fn ask(key: &str, amount: u64, want: u64, unused: Option<Unused>) -> QuotaAsk {
    let limit = Limit { amount, unit: QuotaUnit::Requests, window: YEAR };
    QuotaAsk { key: key.to_owned(), limit, want, unused, ahead: false }
}

async fn granted(owner: &dyn QuotaOwner, holder: &str, ask: QuotaAsk) -> u64 {
    owner.lease(vec![ask], holder).await.unwrap()[0].granted
}

/// What holds for whoever owns the counters.
async fn check(owner: Arc<dyn QuotaOwner>) {
    // A lone holder gets what it wants until nothing is left.
    for (want, expected) in [(4, 4), (4, 4), (4, 2), (4, 0)] {
        assert_eq!(granted(owner.as_ref(), "a", ask("lone", 10, want, None)).await, expected);
    }
    // Counters do not touch each other, and a batch is answered in its order.
    let batch = vec![ask("lone", 10, 1, None), ask("x", 3, 9, None), ask("y", 5, 2, None)];
    let grants = owner.lease(batch, "a").await.unwrap();
    assert_eq!(grants.iter().map(|grant| grant.granted).collect::<Vec<_>>(), [0, 3, 2]);
    // What comes back is there for others, once, and for its own window only.
    let window = grants[1].window;
    let back = |window| Some(Unused { window, amount: 2 });
    assert_eq!(granted(owner.as_ref(), "a", ask("x", 3, 0, back(window))).await, 0);
    assert_eq!(granted(owner.as_ref(), "a", ask("x", 3, 9, back(window - 1))).await, 2);
    // The next window is another one, and begins later.
    let ahead = |want| QuotaAsk { ahead: true, ..ask("lone", 10, want, None) };
    let next = owner.lease(vec![ahead(4), ahead(9)], "a").await.unwrap();
    assert_eq!([next[0].granted, next[0].left, next[1].granted, next[1].left], [4, 6, 6, 0]);
    assert_eq!(next[0].window, window + 1);
    assert!(next[0].starts_in_ms > 0 && next[0].starts_in_ms < next[0].ends_in_ms);
    // What was leased of it can come back before it begins.
    let back = Some(Unused { window: window + 1, amount: 3 });
    assert_eq!(granted(owner.as_ref(), "a", ask("lone", 10, 0, back)).await, 0);
    assert_eq!(granted(owner.as_ref(), "a", ahead(9)).await, 3);
    assert_eq!(granted(owner.as_ref(), "a", ask("lone", 10, 1, None)).await, 0);
    // Several holders share: each gets part of what is left, and all of it goes out in the end.
    let mut total = 0;
    for turn in 0..1_000 {
        total += granted(owner.as_ref(), ["a", "b", "c"][turn % 3], ask("shared", 1_000, 7, None)).await;
    }
    assert_eq!(total, 1_000);
    // Whoever comes at once gets the limit and no more.
    let tasks = (0..20_u64).map(|task| {
        let owner = Arc::clone(&owner);
        tokio::spawn(async move {
            let mut total = 0;
            for _ in 0..60 {
                total += granted(owner.as_ref(), ["a", "b"][task as usize % 2], ask("rush", 500, 3, None)).await;
            }
            total
        })
    });
    let mut total = 0;
    for task in tasks.collect::<Vec<_>>() {
        total += task.await.unwrap();
    }
    assert_eq!(total, 500);
}

fn redis(urls: Vec<String>) -> Redis {
    of(urls, Topology::Single)
}

fn of(urls: Vec<String>, topology: Topology) -> Redis {
    let deadline = Duration::from_millis(400);
    Redis::new(RedisSettings { urls, topology, deadline, zone: TimeZone::UTC })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_owner_keeps_the_rules() {
    let folder = tempfile::tempdir().unwrap();
    check(Arc::new(Embedded::open(&folder.path().join("quota.redb"), TimeZone::UTC).unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_keeps_the_rules() {
    let server = RedisServer::start(Some("secret")).await.unwrap();
    check(Arc::new(redis(vec![server.url()]))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_redis_keeps_the_rules() {
    let cluster = RedisCluster::start().await.unwrap();
    check(Arc::new(of(cluster.urls(), Topology::Cluster))).await;
    let keys = cluster.keys().await.unwrap();
    assert!(keys.iter().filter(|keys| **keys > 0).count() > 1, "counters lie on several nodes: {keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_that_sentinels_name_keeps_the_rules_and_so_does_the_next_one() {
    let mut servers = RedisSentinel::start().await.unwrap();
    let owner = Arc::new(of(vec![servers.url()], Topology::Sentinel(servers.name().to_owned())));
    check(Arc::clone(&owner) as Arc<dyn QuotaOwner>).await;
    assert_eq!(granted(owner.as_ref(), "a", ask("failover", 10, 4, None)).await, 4);
    servers.kill_master().await.unwrap();
    let lease = async || Ok(owner.lease(vec![ask("failover", 10, 10, None)], "a").await?[0].granted);
    // What the replica had by then is not leased again.
    assert_eq!(eventually("the replica is asked", lease).await.unwrap(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_adapters_share_one_redis() {
    let server = RedisServer::start(None).await.unwrap();
    let (first, second) = (redis(vec![server.url()]), redis(vec![server.url()]));
    let mut total = 0;
    for _ in 0..100 {
        total += granted(&first, "a", ask("k", 100, 5, None)).await;
        total += granted(&second, "b", ask("k", 100, 5, None)).await;
    }
    assert_eq!(total, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_gone_is_said_at_once_and_found_again() {
    let mut server = RedisServer::start(None).await.unwrap();
    let owner = redis(vec![server.url()]);
    assert_eq!(granted(&owner, "a", ask("k", 10, 1, None)).await, 1);
    server.kill().unwrap();
    let asked = Instant::now();
    let error = owner.lease(vec![ask("k", 10, 1, None)], "a").await.unwrap_err();
    assert!(matches!(error, OwnerError::Unreachable(_) | OwnerError::Late(_)), "{error}");
    assert!(asked.elapsed() < Duration::from_secs(1));
    server.start_again().await.unwrap();
    eventually("Redis is found again", async || Ok(owner.lease(vec![ask("k", 10, 1, None)], "a").await?))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_redis_and_a_wrong_password_do_not_hold_anybody_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let black_hole = redis(vec![format!("redis://{}", silent.local_addr().unwrap())]);
    let server = RedisServer::start(Some("secret")).await.unwrap();
    let wrong = redis(vec![format!("redis://:wrong@127.0.0.1:{}", server.port())]);
    for owner in [black_hole, wrong] {
        let asked = Instant::now();
        let error = owner.lease(vec![ask("k", 10, 1, None)], "a").await.unwrap_err().to_string();
        assert!(asked.elapsed() < Duration::from_secs(1), "{error}");
        assert!(!error.contains("wrong@"), "{error}");
        // And whoever comes next waits for nothing.
        let asked = Instant::now();
        owner.lease(vec![ask("k", 10, 1, None)], "a").await.unwrap_err();
        assert!(asked.elapsed() < Duration::from_millis(100));
    }
}
