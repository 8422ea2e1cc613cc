//! One gateway: exactly the limit, in every window.

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
            assert_eq!(load.passed(), limit * window, "{name} in window {window}");
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
