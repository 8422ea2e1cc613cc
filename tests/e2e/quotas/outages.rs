//! Redis dies, becomes slow, takes the password no more, or vanishes into a black hole, all of it under load: what the posture
//! says holds, no limit is passed, and nobody waits for longer than the deadline.

use tollgate_tests::{Proxy, Weather, eventually};

use super::*;

/// A request waits for half a second at most; a busy machine needs some time besides. Less than Redis takes when it is slow.
const DEADLINE: Duration = Duration::from_millis(1_800);
const LIMIT: usize = 400;
const OTHER: &str = "other";

struct Bad {
    name: &'static str,
    plans: [&'static str; 3],
    weather: Weather,
}

const ALL: [Bad; 4] = [
    Bad { name: "killed", plans: ["k-local", "k-deny", "k-allow"], weather: Weather::Closed },
    Bad { name: "slow", plans: ["s-local", "s-deny", "s-allow"], weather: Weather::Slow(Duration::from_secs(2)) },
    Bad { name: "black-holed", plans: ["b-local", "b-deny", "b-allow"], weather: Weather::BlackHole },
    Bad { name: "another password", plans: ["p-local", "p-deny", "p-allow"], weather: Weather::Fair },
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_redis_the_posture_holds() {
    let server = RedisServer::start(None).await.unwrap();
    let proxy = Proxy::towards(server.port()).await.unwrap();
    let folder = TempDir::new().unwrap();
    let plans: Vec<Plan> = ALL
        .iter()
        .flat_map(|bad| bad.plans.into_iter().zip(["local", "deny", "allow"]))
        .map(|(name, posture)| (name, LIMIT, "year", posture))
        .collect();
    let gateway = gateway(&folder, &plans, &redis(proxy.port(), 1)).await;
    for bad in &ALL {
        check(&gateway, &server, &proxy, bad).await;
    }
}

async fn check(gateway: &Gateway, server: &RedisServer, proxy: &Proxy, bad: &Bad) {
    let [local, deny, allow] = bad.plans.map(|plan| Load::start(gateway.ports.http, 3, &path(plan)));
    let loads = [&local, &deny, &allow];
    let reach = async |what: &str, done: &dyn Fn() -> bool| {
        let look = async || {
            ensure!(done(), "{}: {loads:?}", bad.name);
            Ok(())
        };
        within(PATIENCE, what, look).await.unwrap();
    };
    reach("some pass", &|| loads.iter().all(|load| load.passed() > 20)).await;
    break_it(server, proxy, bad).await;
    eventually("the gateway says so", async || degraded(gateway, 1)).await.unwrap();
    // Its own part is the whole limit, since there is no other gateway.
    reach("the local part is used", &|| local.passed() >= LIMIT * 9 / 10 && local.refused() > 300).await;
    let (allowed, denied) = (allow.passed(), deny.refused());
    reach("requests pass or are refused", &|| allow.passed() > allowed + 500 && deny.refused() > denied + 300).await;
    mend(server, proxy).await;
    eventually("the owner is found again", async || degraded(gateway, 0)).await.unwrap();
    reach("the rest is given out", &|| deny.passed() >= LIMIT / 2).await;
    let refused = [local.refused(), deny.refused()];
    reach("then all are refused", &|| local.refused() > refused[0] + 300 && deny.refused() > refused[1] + 300).await;
    for (load, posture) in [(local, "local"), (deny, "deny"), (allow, "allow")] {
        let totals = load.stop().await.unwrap();
        assert!(totals.slowest < DEADLINE, "{}, {posture}: {totals:?}", bad.name);
        assert!(posture == "allow" || totals.passed <= LIMIT, "{}, {posture}: {totals:?}", bad.name);
    }
}

async fn break_it(server: &RedisServer, proxy: &Proxy, bad: &Bad) {
    if bad.name == "another password" {
        server.command(&["CONFIG", "SET", "requirepass", OTHER]).await.unwrap();
        // Connections that there are stay good.
        proxy.interrupt();
    }
    proxy.set(bad.weather);
}

async fn mend(server: &RedisServer, proxy: &Proxy) {
    proxy.set(Weather::Fair);
    server.reset_password(OTHER).await.unwrap();
}

fn degraded(gateway: &Gateway, expected: u64) -> anyhow::Result<()> {
    let found = gateway.envoy.stats("tollgate_quota_degraded")?;
    ensure!(found.iter().any(|(_, value)| *value == expected), "{found:?}");
    Ok(())
}
