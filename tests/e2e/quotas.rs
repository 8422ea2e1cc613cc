//! Quotas under full load: exact in one gateway, bounded on both sides over several, and kept whatever happens to their owner.

mod distributed;
mod exact;
mod outages;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use serde_json::json;
use tempfile::TempDir;
use tollgate_tests::load::{Load, Totals};
use tollgate_tests::{ApiProject, Gateway, RedisServer, Settings, within};

/// Longer than a slow machine needs for a hundred thousand requests.
const PATIENCE: Duration = Duration::from_secs(240);

/// A plan of the subscriptions file: `(name, requests, window, posture)`.
type Plan = (&'static str, usize, &'static str, &'static str);

/// An API whose operations, named like the plans, are answered by the gateway itself.
fn api(plans: &[Plan]) -> ApiProject {
    let example = json!({"200": {"description": "ok", "content": {"application/json": {"example": "ok"}}}});
    let api = ApiProject::new("Counted", "1.0.0", "/counted").with("endpointImplementationType", "MOCKED_OAS");
    let api = api.unsecured_with("GET", "/free", json!({"responses": example}));
    plans.iter().fold(api, |api, (name, ..)| {
        let members = json!({"responses": example, "x-wso2-throttling-tier": name});
        api.unsecured_with("GET", &format!("/{name}"), members)
    })
}

fn path(plan: &str) -> String {
    format!("/counted/1.0.0/{plan}")
}

/// A gateway with these plans, and further tables of its adapter's configuration.
async fn gateway(folder: &TempDir, plans: &[Plan], extra: &str) -> Gateway {
    let mut text = "tiers:\n".to_owned();
    for (name, requests, per, posture) in plans {
        text.push_str(&format!(
            "  - {{name: {name}, kind: api, posture: {posture}, limits: [{{requests: {requests}, per: {per}}}]}}\n"
        ));
    }
    let file = folder.path().join("subscriptions.yaml");
    std::fs::write(&file, text).unwrap();
    let adapter = format!("subscriptionsFile = '{}'", file.display());
    let gateway = Gateway::with(Settings { adapter, extra: extra.to_owned(), ..Settings::default() }).await.unwrap();
    gateway.deploy(&api(plans), &path("free")).await.unwrap();
    gateway
}

/// The tables that name a Redis as the owner of the quotas, for so many gateways.
fn redis(port: u16, gateways: usize) -> String {
    format!(
        "\n[tollgate.quota]\nowner = 'redis'\ngateways = {gateways}\n[tollgate.quota.redis]\n\
         urls = ['redis://127.0.0.1:{port}']\n"
    )
}

/// Full load on a plan until its quota is used up and a rush of further requests was refused.
async fn use_up(gateway: &Gateway, plan: &str, limit: usize) -> Totals {
    let load = Load::start(gateway.ports.http, 16, &path(plan));
    let done = within(PATIENCE, "the quota is used up", async || {
        ensure!(load.passed() >= limit && load.refused() >= 500, "{} of {limit}, {load:?}", load.passed());
        Ok(())
    });
    done.await.unwrap();
    load.stop().await.unwrap()
}

/// Milliseconds of the clock that the owners go by.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Waits until so many milliseconds of a window of that length have passed.
async fn moment_of_window(length_ms: u64, milliseconds: std::ops::Range<u64>) {
    within(Duration::from_millis(2 * length_ms), "the window is that old", async || {
        let age = now_ms() % length_ms;
        ensure!(milliseconds.contains(&age), "{age} ms");
        Ok(())
    })
    .await
    .unwrap();
}
