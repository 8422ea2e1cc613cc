//! The administrator's pages.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Response, StatusCode};
use serde_json::json;
use warp::{Filter, Rejection};

use super::control_plane;
use super::machine::Machine;
use super::status::{Counters, Report, Status};
use crate::explain;

/// Most bytes of a request to be explained.
const MAX_EXPLAIN: u64 = 2 * 1024 * 1024;

/// `/health`, `/ready`, `/status`, `/metrics` and `/explain`.
pub(super) fn routes(
    status: Arc<Status>,
    machine: Arc<Machine>,
) -> impl Filter<Extract = (Response<String>,), Error = Rejection> + Clone + Send + Sync + 'static {
    let shared = Arc::clone(&status);
    let with = move || {
        let status = Arc::clone(&shared);
        warp::any().map(move || Arc::clone(&status))
    };
    let health = warp::path!("health").map(|| page(StatusCode::OK, &json!({"status": "healthy"})));
    let ready = warp::path!("ready").and(with()).map(|status: Arc<Status>| ready(&status));
    let all =
        warp::path!("status").and(with()).map(|status: Arc<Status>| match serde_json::to_value(status.report()) {
            Ok(report) => page(StatusCode::OK, &report),
            Err(error) => page(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": error.to_string()})),
        });
    let explain = explain_route(Arc::clone(&status));
    let metrics = metrics_route(status, machine);
    let pages = health.or(ready).unify().or(all).unify().or(metrics).unify();
    warp::get().and(pages).or(explain).unify()
}

/// `/explain`: a request to be explained is posted, and nothing happens but that it is. Browsers of the machine's users post to
/// the loopback address too when a page tells them, but not JSON, and no page gets to see the answer.
fn explain_route(
    status: Arc<Status>,
) -> impl Filter<Extract = (Response<String>,), Error = Rejection> + Clone + Send + Sync + 'static {
    let json = warp::header::exact("content-type", "application/json");
    let body = warp::body::content_length_limit(MAX_EXPLAIN).and(warp::body::bytes());
    warp::path!("explain").and(warp::post()).and(json).and(body).then(move |body: bytes::Bytes| {
        let status = Arc::clone(&status);
        async move {
            let page = tokio::task::spawn_blocking(move || explain_page(&status, &body));
            page.await.unwrap_or_else(|error| page_error(&error))
        }
    })
}

fn explain_page(status: &Status, body: &[u8]) -> Response<String> {
    let refused = |error: String| page(StatusCode::BAD_REQUEST, &json!({ "error": error }));
    let Some(world) = status.world() else {
        return page(StatusCode::SERVICE_UNAVAILABLE, &json!({"error": "the adapter is not ready"}));
    };
    let request = match serde_json::from_slice::<explain::Request>(body) {
        Ok(request) => request,
        Err(error) => return refused(format!("this is no request to explain: {error}")),
    };
    match explain::explain(&world, &request, explain::now()).map(serde_json::to_value) {
        Ok(Ok(found)) => page(StatusCode::OK, &found),
        Ok(Err(error)) => page(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": error.to_string()})),
        Err(error) => refused(error),
    }
}

/// `/metrics`.
pub(super) fn metrics_route(
    status: Arc<Status>,
    machine: Arc<Machine>,
) -> impl Filter<Extract = (Response<String>,), Error = Rejection> + Clone + Send + Sync + 'static {
    warp::path!("metrics").and(warp::get()).then(move || {
        let (status, machine) = (Arc::clone(&status), Arc::clone(&machine));
        async move {
            let page = tokio::task::spawn_blocking(move || {
                let mut text = metrics(&status, &status.summary());
                machine.write(&mut text);
                text
            });
            match page.await {
                Ok(text) => reply(StatusCode::OK, "text/plain; version=0.0.4", text),
                Err(error) => page_error(&error),
            }
        }
    })
}

fn page_error(error: &tokio::task::JoinError) -> Response<String> {
    page(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": error.to_string()}))
}

fn ready(status: &Status) -> Response<String> {
    let gateways = status.summary().gateways.into_iter().filter(|node| node.ready && node.connected);
    let gateways: Vec<String> = gateways.map(|node| node.name).collect();
    let (code, text) =
        if status.is_ready() { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    let mut body = json!({"gateways": gateways, "status": text});
    if let (Some(plane), Some(body)) = (status.summary().control_plane, body.as_object_mut()) {
        body.insert("controlPlane".to_owned(), control_plane::ready(&plane));
    }
    page(code, &body)
}

/// The text format of Prometheus. A handful of numbers does not need a registry.
fn metrics(status: &Status, report: &Report) -> String {
    let mut text = String::new();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let gateways = |of: fn(&crate::outputs::nodes::NodeReport) -> bool| {
        count(report.gateways.iter().filter(|node| of(node)).count())
    };
    let gauges = [
        ("ready", "Whether the adapter is ready.", u64::from(report.ready)),
        ("deployments", "Deployed APIs.", count(report.counts.deployments)),
        ("clusters", "Envoy clusters of all environments.", count(report.counts.clusters)),
        ("refused_projects", "Projects that were refused and not corrected since.", count(report.refused.len())),
        ("gateways_connected", "Gateways with an open xDS stream.", gateways(|node| node.connected)),
        (
            "gateways_ready",
            "Connected gateways that serve with all their data.",
            gateways(|node| node.connected && node.ready),
        ),
        (
            "gateways_rejecting",
            "Connected gateways whose last answer was a refusal.",
            gateways(|node| node.connected && node.types.values().any(|state| state.error().is_some())),
        ),
        (
            "gateways_up_to_date",
            "Connected gateways that have acknowledged everything.",
            gateways(|node| node.connected && node.up_to_date),
        ),
        (
            "sources_failing",
            "Sources of projects that could not be read last time.",
            count(report.sources.values().filter(|source| source.error.is_some()).count()),
        ),
        (
            "issuers_failing",
            "Issuers whose keys could not be fetched last time.",
            count(report.issuers.values().filter(|issuer| issuer.error.is_some()).count()),
        ),
    ];
    for (name, help, value) in gauges {
        sample(&mut text, name, "gauge", help, value);
    }
    for (name, help, value) in counters(&status.counters) {
        sample(&mut text, name, "counter", help, value);
    }
    if let Some(plane) = &report.control_plane {
        control_plane::metrics(&mut text, plane);
    }
    text
}

/// What has happened so often: name, meaning and number.
fn counters(counters: &Counters) -> [(&'static str, &'static str, u64); 12] {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    [
        ("xds_responses_total", "Responses sent to gateways.", read(&counters.xds_responses)),
        ("xds_rejections_total", "Responses that gateways refused.", read(&counters.xds_rejections)),
        ("feed_requests_total", "Requests of filters for changes.", read(&counters.feed_requests)),
        ("feed_bytes_total", "Bytes of changes sent to filters.", read(&counters.feed_bytes)),
        ("key_fetches_total", "Key sets fetched from issuers.", read(&counters.key_fetches)),
        ("key_fetch_failures_total", "Key sets that could not be fetched.", read(&counters.key_fetch_failures)),
        ("test_keys_total", "Test keys given out.", read(&counters.test_keys)),
        ("test_key_refusals_total", "Test keys refused for wrong credentials.", read(&counters.test_key_refusals)),
        ("analytics_events_total", "Events for analytics.", read(&counters.analytics_events)),
        (
            "analytics_events_dropped_total",
            "Events that were dropped because too many waited to be written.",
            read(&counters.analytics_events_dropped),
        ),
        ("uses_published_total", "Uses that a Traffic Manager was told of.", read(&counters.uses_published)),
        ("uses_dropped_total", "Uses that no Traffic Manager was told of.", read(&counters.uses_dropped)),
    ]
}

pub(super) fn sample(text: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    // Writing to a string cannot fail.
    writeln!(text, "# HELP tollgate_{name} {help}\n# TYPE tollgate_{name} {kind}\ntollgate_{name} {value}").ok();
}

fn page(status: StatusCode, body: &serde_json::Value) -> Response<String> {
    reply(status, "application/json", body.to_string())
}

fn reply(status: StatusCode, content_type: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Problems;
    use crate::outputs::xds::ResourceType;

    async fn get(status: &Arc<Status>, path: &str) -> (u16, String) {
        let machine = Arc::new(Machine::new(std::time::Duration::ZERO));
        let response = warp::test::request().path(path).reply(&routes(Arc::clone(status), machine)).await;
        (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_follows_the_adapter_and_lists_ready_gateways() {
        let status = Status::new();
        assert_eq!(get(&status, "/health").await.0, 200);
        assert_eq!(get(&status, "/ready").await.0, 503);
        status.set_ready();
        let connection = status.nodes().connect("Default/a", "Default", false);
        for kind in ResourceType::ALL {
            connection.acknowledged(kind, "v");
        }
        connection.was_ready();
        assert_eq!(get(&status, "/ready").await, (200, r#"{"gateways":["Default/a"],"status":"ready"}"#.to_owned()));
    }

    #[tokio::test]
    async fn status_shows_refusals_of_gateways_and_of_projects() {
        let status = Status::new();
        let connection = status.nodes().connect("Default/a", "Default", true);
        connection.sent(ResourceType::Listener, "v");
        connection.rejected(ResourceType::Listener, "v", "cannot bind '0.0.0.0:9090'");
        let mut problems = Problems::new();
        problems.error(("api.yaml", "/data"), "there is no data", "", "");
        status.refuse("petstore.zip", &problems);
        let (_, body) = get(&status, "/status").await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let listener = &body["gateways"][0]["types"]["listener"];
        assert_eq!(listener["rejected"]["error"], "cannot bind '0.0.0.0:9090'");
        assert_eq!(body["refused"]["petstore.zip"][0]["what"], "there is no data");
        status.accept("petstore.zip");
        let (_, body) = get(&status, "/metrics").await;
        assert!(body.contains("\ntollgate_gateways_rejecting 1\n"), "{body}");
        assert!(body.contains("\ntollgate_refused_projects 0\n"), "{body}");
    }
}
