//! Asks a running adapter: for its status page (`adapter status`), which is shown to people, or for an explanation. Must never need
//! more than the page.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::explain;

/// How long to wait for the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The status page of the adapter at that address.
///
/// # Errors
/// When it does not answer.
pub async fn fetch(address: &str) -> Result<Value, String> {
    // Nothing is encrypted here, but the client is not made without a provider. Somebody else's is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = format!("http://{address}/status");
    let failed = |error| unanswered(&url, &error);
    let request = client().map_err(failed)?.get(&url);
    let answer = request.send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
    let text = answer.text().await.map_err(failed)?;
    serde_json::from_str(&text).map_err(|error| format!("{url} does not answer as the adapter does ({error})"))
}

/// What the adapter at that address makes of a request.
///
/// # Errors
/// When it does not answer, or has nothing to explain.
pub async fn explain(address: &str, request: &explain::Request) -> Result<Value, String> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = format!("http://{address}/explain");
    let failed = |error| unanswered(&url, &error);
    let body = serde_json::to_string(request).map_err(|error| error.to_string())?;
    let request = client().map_err(failed)?.post(&url).header("content-type", "application/json").body(body);
    let text = request.send().await.map_err(failed)?.text().await.map_err(failed)?;
    let answer: Value = serde_json::from_str(&text).map_err(|_| format!("{url} answered {text}"))?;
    match answer.get("error").and_then(Value::as_str) {
        Some(error) => Err(error.to_owned()),
        None => Ok(answer),
    }
}

fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()
}

fn unanswered(url: &str, error: &reqwest::Error) -> String {
    let hint = "is the adapter running, and is this its tollgate.listen.admin?";
    format!("{url} does not answer as the adapter does ({error}); {hint}")
}

/// Whether the page at that path says yes; for whoever watches over the process.
///
/// # Errors
/// What it says instead.
pub async fn probe(address: &str, path: &str) -> Result<(), String> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = format!("http://{address}{path}");
    let failed = |error| unanswered(&url, &error);
    let status = client().map_err(failed)?.get(&url).send().await.map_err(failed)?.status();
    if status.is_success() { Ok(()) } else { Err(format!("{url} answers {status}")) }
}

/// The page for people.
#[must_use]
pub fn render(status: &Value) -> String {
    let mut text = String::new();
    let ready = if status["ready"] == true { "ready" } else { "not ready" };
    line(&mut text, &format!("adapter: {ready}, revision {}", status["revision"]));
    if status["controlPlane"].is_object() {
        super::control_plane::lines(&status["controlPlane"]).iter().for_each(|one| line(&mut text, one));
    }
    for (name, source) in members(&status["sources"]) {
        let revision = source["revision"].as_str().map(|revision| format!(" at {revision}")).unwrap_or_default();
        let (location, count, refused) = (word(&source["location"]), &source["projects"], &source["refused"]);
        line(&mut text, &format!("source {name}: {location}{revision}, {count} projects, {refused} refused"));
        if let Some(error) = source["error"].as_str() {
            line(&mut text, &format!("  error ({} in a row): {error}", source["failures"]));
        }
    }
    for gateway in items(&status["gateways"]) {
        gateway_lines(&mut text, gateway);
    }
    for (name, problems) in members(&status["refused"]) {
        line(&mut text, &format!("refused {name}:"));
        for problem in items(problems) {
            let place = [word(&problem["file"]), word(&problem["pointer"])].join("#");
            line(&mut text, &format!("  {place} {} (fix: {})", word(&problem["what"]), word(&problem["fix"])));
        }
    }
    for api in items(&status["deployments"]) {
        let environments: Vec<&str> = items(&api["environments"]).filter_map(Value::as_str).collect();
        let (name, version, host) = (word(&api["name"]), word(&api["version"]), word(&api["vhost"]));
        let origin = &api["origin"];
        let from = [word(&origin["source"]), word(&origin["project"]), word(&origin["revision"])];
        let from: Vec<&str> = from.into_iter().filter(|part| !part.is_empty()).collect();
        let (path, environments, from) = (word(&api["context"]), environments.join(","), from.join(" "));
        line(&mut text, &format!("api {name} {version}: {host}{path} [{environments}] from {from}"));
    }
    text
}

fn gateway_lines(text: &mut String, gateway: &Value) {
    let state = match (gateway["connected"] == true, gateway["ready"] == true, gateway["upToDate"] == true) {
        (false, ..) => "disconnected",
        (true, false, _) => "connected, not ready",
        (true, true, false) => "ready, behind",
        (true, true, true) => "ready, up to date",
    };
    line(text, &format!("gateway {}: {state}", word(&gateway["name"])));
    for (kind, of_type) in members(&gateway["types"]) {
        let rejected = of_type.get("rejected").unwrap_or(&Value::Null);
        if let Some(error) = rejected["error"].as_str() {
            line(text, &format!("  refuses {kind} {}: {error}", word(&rejected["version"])));
        }
    }
    for (cluster, refused) in members(&gateway["refusedClusters"]) {
        line(text, &format!("  goes without {cluster} of {}: {}", word(&refused["api"]), word(&refused["error"])));
    }
    if let Some(problems) = gateway["filterProblems"].as_str() {
        line(text, &format!("  its filters deny what they cannot read: {problems}"));
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail. What others wrote must not steer a terminal.
    writeln!(text, "{}", line.replace(|character: char| character.is_control(), " ")).ok();
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_that_matters_is_shown() {
        let status = json!({
            "ready": true,
            "revision": 7,
            "sources": {"git": {"location": "https://git.example/a.git", "projects": 3, "refused": 1, "revision": "abc",
                "error": "git fetch failed", "failures": 2}},
            "gateways": [{"name": "Default/a", "connected": true, "ready": true, "upToDate": false,
                "types": {"listener": {"rejected": {"version": "v", "error": "port in use\u{1b}[31m"}}},
                "refusedClusters": {"c": {"api": "Pets:1 on localhost", "error": "bad"}}, "filterProblems": "api: 1"}],
            "refused": {"git:apis/cats": [{"file": "api.yaml", "pointer": "/data", "what": "there is no data", "fix": "add it"}]},
            "deployments": [{"name": "Pets", "version": "1", "vhost": "localhost", "context": "/pets/1",
                "environments": ["Default", "Europe"], "origin": {"source": "git", "project": "apis/pets", "revision": "abc"}}],
        });
        let expected = "adapter: ready, revision 7\n\
            source git: https://git.example/a.git at abc, 3 projects, 1 refused\n  \
              error (2 in a row): git fetch failed\n\
            gateway Default/a: ready, behind\n  \
              refuses listener v: port in use [31m\n  \
              goes without c of Pets:1 on localhost: bad\n  \
              its filters deny what they cannot read: api: 1\n\
            refused git:apis/cats:\n  \
              api.yaml#/data there is no data (fix: add it)\n\
            api Pets 1: localhost/pets/1 [Default,Europe] from git apis/pets abc\n";
        assert_eq!(render(&status), expected);
    }

    #[tokio::test]
    async fn nobody_there_is_said() {
        let error = fetch("127.0.0.1:1").await.unwrap_err();
        assert!(error.contains("is the adapter running"), "{error}");
    }
}
