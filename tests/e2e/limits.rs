//! Rate limits on real gateways: exact counts, every level, and what happens without the owner of the quotas.

use std::collections::BTreeMap;

use serde_json::json;
use tempfile::TempDir;
use tollgate_tests::token::Claims;
use tollgate_tests::{ApiProject, Gateway, RedisServer, Settings, eventually};

use crate::apis::pets;
use crate::subscriptions::{ISSUER, PATH, token, token_service};

/// Plans with windows that no test sees the end of.
const PLANS: &str = "
tiers:
  - {name: Seven, kind: subscription, limits: [{requests: 7, per: year}]}
  - {name: Five, kind: application, limits: [{requests: 5, per: year}]}
  - {name: Forty, kind: subscription, limits: [{requests: 40, per: year}]}
  - {name: Shadow, kind: subscription, shadow: true, limits: [{requests: 1, per: year}]}
applications:
";

pub fn application(name: &str, tier: &str, plan: &str) -> String {
    format!(
        "  - name: {name}\n    tier: {tier}\n    keys: [{{keyManager: Portal, consumerKey: {name}}}]\n    \
         subscriptions: [{{api: Pets, version: 1.0.0, tier: {plan}}}]\n"
    )
}

pub fn of(consumer_key: &str) -> String {
    token(Claims::of(ISSUER).with("azp", consumer_key).without("keytype"))
}

async fn gateway(folder: &TempDir, text: &str, extra: &str, project: impl Fn(&Gateway) -> ApiProject) -> Gateway {
    let settings = Settings { extra: extra.to_owned(), ..Settings::default() };
    gateway_with(folder, text, settings, project).await
}

pub async fn gateway_with(
    folder: &TempDir,
    text: &str,
    settings: Settings,
    project: impl Fn(&Gateway) -> ApiProject,
) -> Gateway {
    let file = folder.path().join("subscriptions.yaml");
    std::fs::write(&file, text).unwrap();
    let adapter = format!("subscriptionsFile = '{}'", file.display());
    let extra = format!("{}{}", token_service(folder, true), settings.extra);
    let gateway = Gateway::with(Settings { adapter, extra, ..settings }).await.unwrap();
    let project = project(&gateway);
    gateway.deploy(&project, "/pets/1.0.0/health").await.unwrap();
    gateway
}

/// How many of so many requests got which answer, all sent at once.
async fn rush(gateway: &Gateway, bearer: &str, count: usize) -> BTreeMap<String, usize> {
    let answers = (0..count).map(|_| gateway.get(PATH, Some(bearer)));
    let mut outcomes = BTreeMap::new();
    for answer in futures_util::future::join_all(answers).await {
        let answer = answer.unwrap();
        let code = answer.body.split("\"code\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        *outcomes.entry(format!("{} {code}", answer.status.as_u16()).trim().to_owned()).or_default() += 1;
    }
    outcomes
}

/// Sends until nothing is left, and a rush after that: exactly `limit` get through, whatever is leased, drawn and given back.
async fn use_up(gateway: &Gateway, application: &str, limit: usize, refusal: &str) {
    let bearer = of(application);
    let mut passed = 0;
    let more = async || {
        let outcomes = rush(gateway, &bearer, 30).await;
        anyhow::ensure!(outcomes.keys().all(|outcome| outcome == "200" || outcome == refusal), "{outcomes:?}");
        passed += outcomes.get("200").copied().unwrap_or(0);
        anyhow::ensure!(passed >= limit, "{passed} of {limit}");
        Ok(())
    };
    eventually("the quota is used up", more).await.unwrap();
    assert_eq!(passed, limit, "{application}");
    assert_eq!(rush(gateway, &bearer, 30).await, counts([(refusal, 30)]));
}

fn counts<const N: usize>(of: [(&str, usize); N]) -> BTreeMap<String, usize> {
    of.into_iter().map(|(outcome, count)| (outcome.to_owned(), count)).collect()
}

#[tokio::test]
async fn exactly_the_limit_passes_at_every_level() {
    let folder = TempDir::new().unwrap();
    let applications = application("seven", "Unlimited", "Seven")
        + &application("five", "Five", "Unlimited")
        + &application("forty", "Unlimited", "Forty")
        + &application("shadow", "Unlimited", "Shadow");
    let gateway = gateway(&folder, &format!("{PLANS}{applications}"), "", |gateway| pets(&gateway.backend)).await;
    use_up(&gateway, "seven", 7, "429 900804").await;
    use_up(&gateway, "five", 5, "429 900803").await;
    // More than one lease, and both workers.
    use_up(&gateway, "forty", 40, "429 900804").await;
    assert_eq!(rush(&gateway, &of("shadow"), 30).await, counts([("200", 30)]));

    let refused = gateway.get(PATH, Some(&of("seven"))).await.unwrap();
    let retry = refused.headers.get("retry-after").unwrap().to_str().unwrap().to_owned();
    assert!(retry.ends_with("00:00:00 GMT") && retry.contains(" Jan "), "the window ends with the year: {retry}");
    assert_eq!(
        refused.body,
        r#"{"error_message":"Message throttled out","code":"900804","error_description":"You have exceeded your quota"}"#
    );
}

#[tokio::test]
async fn a_dear_operation_counts_as_several_requests() {
    let folder = TempDir::new().unwrap();
    let text = format!("{PLANS}{}", application("seven", "Unlimited", "Seven"));
    let project = |gateway: &Gateway| {
        let project = ApiProject::new("Pets", "1.0.0", "/pets").production(&gateway.backend.url());
        let dear = project.secured_with("GET", "/dear", json!({"x-tollgate-cost": 3}));
        dear.secured("GET", "/cheap").unsecured("GET", "/health")
    };
    // One worker, since another might hold the last of such a small quota.
    let gateway = gateway_with(&folder, &text, Settings { workers: 1, ..Settings::default() }, project).await;
    let mut outcomes = Vec::new();
    for path in ["dear", "dear", "dear", "cheap", "cheap"] {
        let answer = gateway.get(&format!("/pets/1.0.0/{path}"), Some(&of("seven"))).await.unwrap();
        outcomes.push((path, answer.status.as_u16()));
    }
    // Two and a third of them fit into seven.
    assert_eq!(outcomes, [("dear", 200), ("dear", 200), ("dear", 429), ("cheap", 200), ("cheap", 429)]);
}

#[tokio::test]
async fn who_is_denied_gets_nothing_and_the_file_is_followed() {
    let folder = TempDir::new().unwrap();
    let text = format!("{PLANS}{}", application("web", "Unlimited", "Unlimited"));
    let gateway = gateway(&folder, &text, "", |gateway| pets(&gateway.backend)).await;
    assert_eq!(rush(&gateway, &of("web"), 4).await, counts([("200", 4)]));
    let file = folder.path().join("subscriptions.yaml");
    std::fs::write(&file, format!("{text}denyConditions:\n  - {{application: 'unknown:web'}}\n")).unwrap();
    let denied = async || {
        let outcome = rush(&gateway, &of("web"), 1).await;
        anyhow::ensure!(outcome == counts([("403 900805", 1)]), "{outcome:?}");
        Ok(())
    };
    eventually("the application is denied", denied).await.unwrap();
}

#[tokio::test]
async fn a_lost_redis_leaves_each_gateway_its_part() {
    let folder = TempDir::new().unwrap();
    let mut redis = RedisServer::start(None).await.unwrap();
    let extra = format!(
        "\n[tollgate.quota]\nowner = 'redis'\ngateways = 2\n[tollgate.quota.redis]\nurls = ['{}']\n",
        redis.url()
    );
    let applications = application("seven", "Unlimited", "Seven") + &application("forty", "Unlimited", "Forty");
    let gateway = gateway(&folder, &format!("{PLANS}{applications}"), &extra, |gateway| pets(&gateway.backend)).await;
    use_up(&gateway, "seven", 7, "429 900804").await;
    redis.kill().unwrap();
    // Half of the limit is this gateway's, and nobody waits for long.
    use_up(&gateway, "forty", 20, "429 900804").await;
}

#[tokio::test]
async fn clients_learn_how_their_limits_stand_where_that_is_wanted() {
    let folder = TempDir::new().unwrap();
    let text = format!("{PLANS}{}", application("seven", "Unlimited", "Seven"));
    let extra = "\n[tollgate.quota]\nheaders = true\n";
    let gateway = gateway(&folder, &text, extra, |gateway| pets(&gateway.backend)).await;
    let mut told = Vec::new();
    for _ in 0..9 {
        let answer = gateway.get(PATH, Some(&of("seven"))).await.unwrap();
        let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
        assert_eq!(header("ratelimit-policy"), r#""subscription";q=7"#, "{answer:?}");
        let left = header("ratelimit").strip_prefix("\"subscription\";r=").map(str::to_owned).unwrap();
        told.push((answer.status.as_u16(), left.split(';').next().unwrap().parse::<u64>().unwrap()));
    }
    // One worker after the other: each knows what it has, and what the process has left.
    assert_eq!(told.iter().filter(|(status, _)| *status == 200).count(), 7, "{told:?}");
    assert_eq!((told[0].0, told[0].1), (200, 6), "{told:?}");
    assert!(told[7..].iter().all(|(status, left)| (*status, *left) == (429, 0)), "{told:?}");
}
