//! Events about requests: what gateways log to the adapter, and the lines that it writes.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate_tests::http::Answer;
use tollgate_tests::ports::Port;
use tollgate_tests::{ApiProject, Gateway, Settings, eventually};

/// Events of one adapter.
pub struct Events(PathBuf);

impl Events {
    /// Those in that file.
    pub const fn at(file: PathBuf) -> Self {
        Self(file)
    }

    /// Configuration for it.
    pub fn config(&self) -> String {
        format!(
            "[analytics]\nenabled = true\ntype = 'ELK'\n[analytics.adapter]\nbufferFlushInterval = '100ms'\n\
             [analytics.adapter.customProperties]\nenabled = true\nrequestHeaders = ['X-Case']\n\
             [tollgate.analytics]\nlogfile = '{}'\n",
            self.0.display()
        )
    }

    /// Name and properties of all so far.
    fn all(&self) -> Vec<(String, Value)> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        let event = |line: &str| {
            let (head, properties) = line.split_once(", properties :")?;
            let (_, name) = head.rsplit_once(' ')?;
            Some((name.to_owned(), serde_json::from_str(properties).ok()?))
        };
        text.lines().filter_map(event).collect()
    }

    /// Waits for that of the request with this `x-case`.
    pub async fn of(&self, case: &str) -> Result<(String, Value)> {
        eventually(&format!("there is an event of {case}"), async || {
            let all = self.all();
            let found = all.iter().find(|(_, event)| event["properties"]["x-case"] == case);
            found.cloned().with_context(|| format!("no event of {case} among {all:?}"))
        })
        .await
    }
}

async fn get(gateway: &Gateway, path: &str, case: &str, token: Option<&str>) -> Result<u16> {
    let request = gateway.request(reqwest::Method::GET, path).header("x-case", case);
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    Ok(Answer::of(request).await?.status.as_u16())
}

/// What is told of a request that its backend has answered.
async fn served(gateway: &Gateway, events: &Events, token: &str) -> Result<()> {
    assert_eq!(get(gateway, "/used/1.0.0/items/7?secret=hush", "served", Some(token)).await?, 200);
    let (name, event) = events.of("served").await?;
    assert_eq!(name, "apim:response");
    for (member, expected) in [
        ("apiName", json!("Used")),
        ("apiVersion", json!("1.0.0")),
        ("apiType", json!("HTTP")),
        ("apiContext", json!("/used/1.0.0")),
        ("apiMethod", json!("GET")),
        ("apiResourceTemplate", json!("/items/{id}")),
        ("keyType", json!("PRODUCTION")),
        ("proxyResponseCode", json!(200)),
        ("targetResponseCode", json!(200)),
        ("destination", json!(gateway.backend.url())),
        ("gatewayType", json!("ENVOY")),
        ("userIp", json!("127.0.0.1")),
    ] {
        assert_eq!(event[member], expected, "{member} of {event}");
    }
    let time = |name: &str| event[name].as_u64().unwrap_or(u64::MAX);
    assert!(time("backendLatency") <= time("responseLatency") && time("responseLatency") < 20_000, "{event}");
    assert!(!event.to_string().contains("hush"), "{event}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_use_of_an_api_is_an_event() -> Result<()> {
    let folder = TempDir::new()?;
    let events = Events::at(folder.path().join("logs/events.log"));
    let mut gateway = Gateway::with(Settings { extra: events.config(), ..Settings::default() }).await?;
    let closed = Port::free()?;
    let project = ApiProject::new("Used", "1.0.0", "/used")
        .production(&gateway.backend.url())
        .secured("GET", "/items/{id}")
        .scoped("GET", "/admin", &["admin"])
        .unsecured("GET", "/open");
    gateway.deploy(&project, "/used/1.0.0/open").await?;
    let down = ApiProject::new("Down", "1.0.0", "/down")
        .production(&format!("http://127.0.0.1:{}", closed.number()))
        .unsecured("GET", "/open");
    gateway.adapter.deploy(down.zip()?).await?;
    let token = gateway.token("").await?;

    served(&gateway, &events, &token).await?;
    for (path, case, token, status, kind, code) in [
        ("/used/1.0.0/items/7", "refused", None, 401, "AUTH", 900_901),
        ("/used/1.0.0/admin", "scope", Some(&*token), 403, "AUTH", 900_910),
    ] {
        assert_eq!(get(&gateway, path, case, token).await?, status, "{case}");
        let (name, event) = events.of(case).await?;
        let found = (name.as_str(), &event["errorType"], &event["errorCode"], &event["apiName"]);
        assert_eq!(found, ("apim:faulty", &json!(kind), &json!(code), &json!("Used")), "{case}");
    }
    eventually("the backend that is down is asked for", async || {
        anyhow::ensure!(get(&gateway, "/down/1.0.0/open", "down", None).await? == 503, "not yet");
        Ok(())
    })
    .await?;
    let (name, event) = events.of("down").await?;
    assert_eq!((name.as_str(), &event["errorType"]), ("apim:faulty", &json!("TARGET_CONNECTIVITY")), "{event}");

    // Pages of the gateway, and paths of no API, are no use of one; a later event shows that theirs would be there.
    assert_eq!(get(&gateway, "/health", "page", None).await?, 200);
    assert_eq!(get(&gateway, "/used/1.0.0/nothing", "nothing", None).await?, 404);
    assert_eq!(get(&gateway, "/used/1.0.0/open", "last", None).await?, 200);
    events.of("last").await?;
    let cases: Vec<Value> = events.all().into_iter().map(|(_, event)| event["properties"]["x-case"].clone()).collect();
    assert!(!cases.contains(&json!("page")) && !cases.contains(&json!("nothing")), "{cases:?}");

    // An adapter that comes back is told again, and goes on in the same file.
    gateway.reconfigure_adapter(|_| {}).await?;
    eventually("events arrive again", async || {
        get(&gateway, "/used/1.0.0/open", "again", None).await?;
        let has = |case: &str| events.all().iter().any(|(_, event)| event["properties"]["x-case"] == case);
        anyhow::ensure!(has("again") && has("last"), "not yet");
        Ok(())
    })
    .await
}
