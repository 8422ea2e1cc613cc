//! Three Envoys, two adapters, one Redis.

use tollgate_tests::ports::Port;
use tollgate_tests::{Envoy, eventually};

use super::*;

const WINDOW: u64 = 10_000;

struct Fleet {
    /// The first gateway has a second Envoy beside its own.
    first: Gateway,
    second: Gateway,
    _beside: Envoy,
    _admin: Port,
    _folders: [TempDir; 3],
    _redis: RedisServer,
}

impl Fleet {
    async fn start(plans: &[Plan]) -> Self {
        let server = RedisServer::start(None).await.unwrap();
        let folders = [TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap()];
        let extra = redis(server.port(), 3);
        let first = gateway(&folders[0], plans, &extra).await;
        let second = gateway(&folders[1], plans, &extra).await;
        let admin = Port::free().unwrap();
        let state = first.adapter.state();
        let beside = Envoy::start_beside(folders[2].path(), state, &first.ports, "Default", admin.number()).unwrap();
        eventually("the third Envoy serves the API", async || {
            let revision = beside.stats("tollgate_feed_revision")?;
            ensure!(revision.iter().any(|(_, value)| *value > 0), "{revision:?}");
            let listeners = beside.stats("listener_manager.workers_started")?;
            ensure!(listeners.iter().any(|(_, value)| *value == 1), "{listeners:?}");
            Ok(())
        })
        .await
        .unwrap();
        Self { first, second, _beside: beside, _admin: admin, _folders: folders, _redis: server }
    }

    /// Full load on all three.
    fn load(&self, plan: &str) -> [Load; 2] {
        [Load::start(self.first.ports.http, 12, &path(plan)), Load::start(self.second.ports.http, 6, &path(plan))]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_gateways_share_a_limit_and_use_nearly_all_of_it() {
    let plans: [Plan; 3] = [
        ("all", 600, "10 seconds", "local"),
        ("few", 20, "10 seconds", "deny"),
        ("skewed", 600, "10 seconds", "local"),
    ];
    let fleet = Fleet::start(&plans).await;
    moment_of_window(WINDOW, 100..2_000).await;
    for (plan, limit) in [("all", 600), ("few", 20)] {
        moment_of_window(WINDOW, 0..2_500).await;
        let loads = fleet.load(plan);
        let passed = || loads.iter().map(Load::passed).sum::<usize>();
        let mut before = 0;
        for window in 1..=2 {
            moment_of_window(WINDOW, 9_500..10_000).await;
            let (all, used) = (passed(), passed() - before);
            assert!(used <= limit, "{plan}: {used} of {limit} in window {window}");
            assert!(used * 100 >= limit * 95, "{plan}: only {used} of {limit} in window {window}");
            before = all;
            moment_of_window(WINDOW, 0..9_500).await;
        }
        for load in loads {
            load.stop().await.unwrap();
        }
    }
    // Everybody has some of the quota, and then all of the demand is in one place.
    moment_of_window(WINDOW, 0..1_500).await;
    let mut passed = 0;
    for load in fleet.load("skewed") {
        eventually("some pass", async || {
            ensure!(load.passed() > 5, "{load:?}");
            Ok(())
        })
        .await
        .unwrap();
        passed += load.stop().await.unwrap().passed;
    }
    let load = Load::start(fleet.second.ports.http, 6, &path("skewed"));
    moment_of_window(WINDOW, 9_500..10_000).await;
    passed += load.passed();
    load.stop().await.unwrap();
    assert!((480..=600).contains(&passed), "{passed} of 600");
}
