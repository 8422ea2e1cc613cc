//! One gateway: exactly the limit, in every window.

use std::path::Path;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tollgate_tests::{Envoy, Proxy, Weather};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn one_gateway_lets_exactly_the_limit_through() {
    let plans: [Plan; 6] = [
        ("one", 1, "year", "local"),
        ("two", 2, "year", "local"),
        ("ten", 10, "year", "deny"),
        ("thousand", 1_000, "year", "allow"),
        ("myriad", 10_000, "year", "local"),
        ("hundredthousand", 100_000, "year", "local"),
    ];
    let folder = TempDir::new().unwrap();
    let gateway = gateway(&folder, &plans, "").await;
    for (name, limit, ..) in plans {
        assert_eq!(use_up(&gateway, name, limit).await.passed, limit, "{name}");
    }
}

/// Full load from the beginning of one window until near the end of the third one.
#[tokio::test(flavor = "multi_thread")]
async fn every_window_has_the_whole_limit_and_no_more() {
    const WINDOW: u64 = 5_000;
    let plans: [Plan; 3] = [
        ("single", 1, "5 seconds", "local"),
        ("fifty", 50, "5 seconds", "local"),
        ("fivehundred", 500, "5 seconds", "deny"),
    ];
    let folder = TempDir::new().unwrap();
    let gateway = gateway(&folder, &plans, "").await;
    moment_of_window(WINDOW, 200..1_500).await;
    let loads = plans.map(|(name, ..)| Load::start(gateway.ports.http, 6, &path(name)));
    for window in 1..=3 {
        moment_of_window(WINDOW, 4_500..5_000).await;
        for (load, (name, limit, ..)) in loads.iter().zip(plans) {
            // By now it is used up, so what passes from here on is of the next window.
            let degraded = gateway.envoy.stats("tollgate_quota_degraded").unwrap();
            assert_eq!(load.passed(), limit * window, "{name} in window {window}: {load:?}, {degraded:?}");
        }
        moment_of_window(WINDOW, 0..4_500).await;
    }
    for load in loads {
        load.stop().await.unwrap();
    }
}

/// The adapter is killed and comes back in the middle of a window: what it has leased is not forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_that_restarts_leases_nothing_twice() {
    let plans: [Plan; 2] = [("long", 20_000, "year", "local"), ("strict", 20_000, "year", "deny")];
    let folder = TempDir::new().unwrap();
    let mut gateway = gateway(&folder, &plans, "").await;
    for (name, limit, ..) in plans {
        let load = Load::start(gateway.ports.http, 8, &path(name));
        let reach = async |part: usize| {
            let passed = async || {
                ensure!(load.passed() >= part, "{} of {part}", load.passed());
                Ok(())
            };
            within(PATIENCE, "requests pass", passed).await.unwrap();
        };
        reach(limit / 4).await;
        gateway.adapter.kill().unwrap();
        gateway.adapter.start_again().await.unwrap();
        // What was under way when it died, and the block that it had promised, may be lost.
        reach(limit - limit / 50 - 600).await;
        let refused = load.refused();
        within(PATIENCE, "the rest is refused", async || {
            ensure!(load.refused() > refused + 2_000, "{load:?}");
            Ok(())
        })
        .await
        .unwrap();
        let totals = load.stop().await.unwrap();
        assert!(totals.passed <= limit, "{name}: {totals:?}");
    }
}

/// Answers of the adapter come too late, and a client that waited for one is gone: what was leased for them goes back.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_hears_cost_nothing() {
    let plans: [Plan; 3] =
        [("late", 10, "year", "deny"), ("gone", 10, "year", "deny"), ("before", 20_000, "year", "deny")];
    let folder = TempDir::new().unwrap();
    let mut gateway = gateway(&folder, &plans, "").await;
    let [plans @ .., (before, all, ..)] = plans;
    let proxy = Proxy::towards(gateway.ports.feed).await.unwrap();
    ask_through(&mut gateway, folder.path(), &proxy).await;
    // Every worker has a connection, and so needs none while the weather is bad.
    use_up(&gateway, before, all).await;
    // Longer than a request waits for quota, there and back.
    proxy.set(Weather::Slow(Duration::from_millis(400)));
    let before = questions(&gateway).unwrap();
    let late = Load::start(gateway.ports.http, 1, &path("late"));
    let mut gone = TcpStream::connect(("127.0.0.1", gateway.ports.http)).await.unwrap();
    gone.write_all(format!("GET {} HTTP/1.1\r\nhost: localhost\r\n\r\n", path("gone")).as_bytes()).await.unwrap();
    within(PATIENCE, "both ask", async || {
        ensure!(questions(&gateway)? >= before + 2, "{before} questions before");
        Ok(())
    })
    .await
    .unwrap();
    drop(gone);
    within(PATIENCE, "who waited too long is refused", async || {
        ensure!(late.refused() > 0, "{late:?}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(late.stop().await.unwrap().passed, 0);
    proxy.set(Weather::Fair);
    for (name, limit, ..) in plans {
        assert_eq!(use_up(&gateway, name, limit).await.passed, limit, "{name}");
    }
}

/// Questions that requests have waited for.
fn questions(gateway: &Gateway) -> anyhow::Result<u64> {
    Ok(gateway.envoy.stats("tollgate_questions_total")?.iter().map(|(_, count)| count).sum())
}

/// Another Envoy in place of the gateway's, which reaches the feed and the owner of quotas through the proxy.
async fn ask_through(gateway: &mut Gateway, folder: &Path, proxy: &Proxy) {
    let bootstrap = std::fs::read_to_string(gateway.envoy.bootstrap()).unwrap();
    let (direct, proxied) = [gateway.ports.feed, proxy.port()].map(|port| format!("port_value: {port}")).into();
    assert_eq!(bootstrap.matches(&direct).count(), 1, "{bootstrap}");
    gateway.envoy.kill().unwrap();
    let bootstrap = bootstrap.replace(&direct, &proxied);
    gateway.envoy = Envoy::with_bootstrap(folder, &bootstrap, gateway.ports.envoy_admin, 2).unwrap();
    gateway.wait_ready().await.unwrap();
    gateway.all_answer(&path("free"), 32, |status| status == 200).await.unwrap();
}
