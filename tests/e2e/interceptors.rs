//! Interceptors: services that see requests and responses on their way, and change them.
//!
//! The double of a service does what the client's headers `x-on-request` and `x-on-response` say: a status, `garbage`, or
//! the JSON of an answer. Without one it answers 204.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::{Response, StatusCode};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tollgate_tests::backend::Seen;
use tollgate_tests::http::{Answer, client, client_with, send_raw};
use tollgate_tests::{ApiProject, Backend, Gateway, eventually, project};

use crate::transport::Authority;

const ON_REQUEST: &str = "x-on-request";
const ON_RESPONSE: &str = "x-on-response";
const BASE: &str = "/intercepted/1.0.0";
/// Longer than one buffer of Envoy's, shorter than its limit.
const LONG: usize = 300_000;

/// The backend's side: what came, with a mark.
fn tell_back(request: &Seen) -> Response<Bytes> {
    let told = json!({"path": request.path, "body": String::from_utf8_lossy(&request.body)});
    let response = Response::builder().header("content-type", "application/json").header("x-backend", "was here");
    response.body(Bytes::from(told.to_string())).unwrap()
}

/// The service's side.
fn play(call: &Seen) -> Response<Bytes> {
    let told: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let script = if call.path == "/api/v1/handle-request" { ON_REQUEST } else { ON_RESPONSE };
    let script = told["requestHeaders"][script].as_str().unwrap_or("204").to_owned();
    let (status, body) = match script.parse::<u16>() {
        Ok(status) => (status, Bytes::new()),
        Err(_) if script == "garbage" => (200, Bytes::from_static(b"{\"body\": 5}")),
        Err(_) => (200, Bytes::from(script)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

fn service(url: &str, includes: &[&str]) -> Value {
    json!({"serviceURL": url, "clusterTimeout": 2, "requestTimeout": 2, "includes": includes})
}

/// `/all` is told everything, `/heads` no bodies; `/silent` and `/down` ask services that do not answer.
fn api(backend: &str, service_url: &str, silent: &str, other: &str) -> ApiProject {
    let all = ["request_headers", "request_body", "request_trailers", "invocation_context"];
    let all_after = [&all[..], &["response_headers", "response_body", "response_trailers"]].concat();
    let both = |before: &[&str], after: &[&str]| {
        json!({"x-wso2-request-interceptor": service(service_url, before),
               "x-wso2-response-interceptor": service(service_url, after)})
    };
    let heads = || both(&["request_headers"], &["request_headers", "response_headers"]);
    let before = |url: &str| json!({"x-wso2-request-interceptor": service(url, &["request_headers"])});
    let after = |url: &str| json!({"x-wso2-response-interceptor": service(url, &[])});
    ApiProject::new("Intercepted", "1.0.0", "/intercepted")
        .production(&format!("{backend}/v2"))
        .with_extension("x-wso2-endpoints", json!([{"other": {"urls": [format!("{other}/elsewhere")]}}]))
        .unsecured("GET", "/plain")
        .unsecured_with("POST", "/all/{id}", both(&all, &all_after))
        .unsecured_with("GET", "/all/{id}", both(&all, &all_after))
        .unsecured_with("POST", "/heads", heads())
        .unsecured_with("GET", "/heads", heads())
        .unsecured_with("GET", "/silent", before(silent))
        .unsecured_with("GET", "/down", before("http://127.0.0.1:9"))
        .unsecured_with("GET", "/silent-after", after(silent))
        .unsecured_with("GET", "/down-after", after("http://127.0.0.1:9"))
}

struct Intercepted {
    gateway: Gateway,
    backend: Backend,
    service: Backend,
    other: Backend,
    /// Takes connections and never answers.
    _silent: TcpListener,
    /// Keeps its connections, so that what is left over of one message would spoil the next.
    client: Client,
}

impl Intercepted {
    async fn start() -> Result<Self> {
        let silent = TcpListener::bind("127.0.0.1:0").await?;
        let (service, other) = (Backend::answering(None, play).await?, Backend::start().await?);
        let backend = Backend::answering(None, tell_back).await?;
        let gateway = Gateway::start().await?;
        let silent_url = format!("http://{}", silent.local_addr()?);
        let api = api(&backend.url(), &service.url(), &silent_url, &other.url());
        gateway.deploy(&api, &format!("{BASE}/plain")).await?;
        // Callbacks come with another configuration than the API itself.
        eventually("bodies are shown", async || {
            gateway.all_answer(&format!("{BASE}/all/0"), 8, |status| status == 200).await
        })
        .await?;
        let this = Self { gateway, backend, service, other, _silent: silent, client: client(1)? };
        this.forget();
        Ok(this)
    }

    fn forget(&self) {
        self.backend.forget();
        self.service.forget();
        self.other.forget();
    }

    async fn send(&self, method: Method, path: &str, scripts: &[(&str, &Value)], body: String) -> Result<Answer> {
        let mut request = self.client.request(method, self.gateway.url(&format!("{BASE}{path}")));
        for (name, script) in scripts {
            let text = script.as_str().map_or_else(|| script.to_string(), str::to_owned);
            request = request.header(*name, text);
        }
        Answer::of(if body.is_empty() { request } else { request.body(body) }).await
    }

    /// What the backend saw, once.
    fn seen(&self) -> Seen {
        let [seen] = &self.backend.take()[..] else { panic!("the backend saw another number of requests than one") };
        seen.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_told_what_they_ask_for() -> Result<()> {
    let this = Intercepted::start().await?;
    let context = json!({"interceptorContext": {"kept": "for later"}});
    let answer = this.send(Method::POST, "/all/7?x=y", &[(ON_REQUEST, &context)], "hello".to_owned()).await?;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let calls = this.service.take();
    let [before, after] = &calls[..] else { panic!("{calls:?}") };
    let told: Value = serde_json::from_slice(&before.body)?;
    assert_eq!((before.method.as_str(), before.path.as_str()), ("POST", "/api/v1/handle-request"));
    assert_eq!(before.headers["content-type"], "application/json");
    assert_eq!(told["requestBody"], base64("hello"));
    assert_eq!(told["requestTrailers"], json!({}));
    assert_eq!(told["requestHeaders"][":path"], format!("{BASE}/all/7?x=y"));
    assert_eq!(told["requestHeaders"].get("x-wso2-cluster-header"), None);
    let about = &told["invocationContext"];
    for (member, value) in [
        ("protocol", "HTTP/1.1"),
        ("method", "POST"),
        ("basePath", BASE),
        ("apiName", "Intercepted"),
        ("apiVersion", "1.0.0"),
        ("pathTemplate", "/all/{id}"),
        ("vhost", "localhost"),
        ("scheme", "http"),
    ] {
        assert_eq!(about[member], value, "{member} of {about}");
    }
    assert!(about["requestId"].as_str().is_some_and(|id| id.len() > 30), "{about}");
    assert!(about["source"].as_str().is_some_and(|source| source.starts_with("127.0.0.1")), "{about}");

    let told: Value = serde_json::from_slice(&after.body)?;
    assert_eq!(after.path, "/api/v1/handle-response");
    assert_eq!((&told["responseCode"], &told["interceptorContext"]["kept"]), (&json!(200), &json!("for later")));
    assert_eq!((&told["requestBody"], &told["invocationContext"]), (&json!(base64("hello")), about));
    assert_eq!(told["responseHeaders"]["content-type"], "application/json");
    assert_eq!(told["responseBody"], base64(&answer.body));

    this.send(Method::POST, "/heads", &[], "hello".to_owned()).await?;
    for call in this.service.take() {
        let told: Value = serde_json::from_slice(&call.body)?;
        let unasked = ["requestBody", "responseBody", "invocationContext", "requestTrailers", "responseTrailers"];
        assert!(unasked.iter().all(|member| told.get(member).is_none()), "{told}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_changed_before_their_backend_gets_them() -> Result<()> {
    let this = Intercepted::start().await?;
    for path in ["/all/1", "/heads"] {
        let script = json!({
            "headersToRemove": ["X-Gone"],
            "headersToReplace": {"X-New": "new", "x-wso2-cluster-header": "stolen", "content-length": "1"},
            "headersToAdd": {"x-more": "two"},
        });
        let url = this.gateway.url(&format!("{BASE}{path}"));
        let request = this.client.post(url).header("x-gone", "1").header("x-new", "old").header("x-more", "one");
        let answer = Answer::of(request.header(ON_REQUEST, script.to_string()).body("as it was")).await?;
        assert_eq!(answer.status, StatusCode::OK, "{path} {}", answer.body);
        let seen = this.seen();
        assert_eq!(seen.headers.get("x-gone"), None);
        assert_eq!(seen.headers["x-new"], "new");
        assert_eq!(seen.headers.get_all("x-more").iter().collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(&seen.body[..], b"as it was");
    }
    let moved = json!({"headersToReplace": {":path": format!("{BASE}/moved?a=b"), ":method": "PUT"}});
    this.send(Method::POST, "/heads", &[(ON_REQUEST, &moved)], "x".to_owned()).await?;
    let seen = this.seen();
    assert_eq!((seen.method.as_str(), seen.path.as_str(), seen.query.as_deref()), ("PUT", "/v2/moved", Some("a=b")));

    let elsewhere = json!({"dynamicEndpoint": {"endpointName": "other"}});
    assert_eq!(this.send(Method::GET, "/heads", &[(ON_REQUEST, &elsewhere)], String::new()).await?.status, 200);
    assert_eq!(this.backend.count(), 0);
    assert_eq!(this.other.take()[0].path, "/elsewhere/heads");
    Ok(())
}

/// What is left over of a body would be taken for the next request.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_may_become_shorter_and_longer() -> Result<()> {
    let this = Intercepted::start().await?;
    let long = "l".repeat(LONG);
    for (sent, becomes) in
        [("a longer one", "short"), ("short", "a longer one"), (long.as_str(), "short"), ("gone", "")]
    {
        let script = json!({"body": base64(becomes)});
        let answer = this.send(Method::POST, "/all/1", &[(ON_REQUEST, &script)], sent.to_owned()).await?;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(this.seen().body, becomes);
        // Next on the same connections.
        let answer = this.send(Method::GET, "/plain", &[], String::new()).await?;
        assert_eq!((answer.status, this.seen().path.as_str()), (StatusCode::OK, "/v2/plain"));
    }
    let answer = this.send(Method::POST, "/all/1", &[], long.clone()).await?;
    assert_eq!((answer.status, this.seen().body.len()), (StatusCode::OK, LONG));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_in_pieces_and_over_http2_are_held_until_they_are_whole() -> Result<()> {
    let this = Intercepted::start().await?;
    let script = json!({"body": base64("in their place")}).to_string();
    let head = format!(
        "POST {BASE}/all/1 HTTP/1.1\r\nhost: localhost\r\n{ON_REQUEST}: {script}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let answer =
        send_raw(this.gateway.ports.http, format!("{head}5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n").as_bytes()).await?;
    assert_eq!(answer.status, Some(200), "{}", answer.text);
    let seen = this.seen();
    assert_eq!((&seen.body[..], &seen.headers["content-length"]), (&b"in their place"[..], &"14".parse()?));
    let told: Value = serde_json::from_slice(&this.service.take()[0].body)?;
    assert_eq!(told["requestBody"], base64("hello world"));

    let http2 = client_with(|builder| builder.http2_prior_knowledge())?;
    let request = http2.post(this.gateway.url(&format!("{BASE}/all/1"))).header(ON_REQUEST, &script);
    let answer = Answer::of(request.body("x".repeat(LONG))).await?;
    assert_eq!((answer.status, answer.version), (StatusCode::OK, reqwest::Version::HTTP_2), "{}", answer.body);
    assert_eq!(&this.seen().body[..], b"in their place");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_may_answer_the_client_itself() -> Result<()> {
    let this = Intercepted::start().await?;
    for (script, status, body) in [
        (json!({"directRespond": true}), 204, ""),
        (json!({"directRespond": true, "body": base64("hello")}), 200, "hello"),
        (json!({"directRespond": true, "responseCode": 418, "body": base64("tea")}), 418, "tea"),
        (json!({"directRespond": true, "headersToAdd": {"x-by": "service", "x-envoy-max-retries": "1"}}), 204, ""),
    ] {
        let answer = this.send(Method::POST, "/all/1", &[(ON_REQUEST, &script)], "x".to_owned()).await?;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (status, body), "{script}");
        assert_eq!(answer.header("x-by").is_some(), script.get("headersToAdd").is_some());
        assert_eq!(answer.header("x-envoy-max-retries"), None);
        assert_eq!((this.backend.count(), this.service.take().len()), (0, 1), "nobody else is asked");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_are_changed_before_their_client_gets_them() -> Result<()> {
    let this = Intercepted::start().await?;
    let long = "l".repeat(LONG);
    for (path, method, script, status, body) in [
        ("/all/1", Method::GET, json!({"body": base64("other")}), 200, Some("other")),
        ("/all/1", Method::POST, json!({"body": base64(&"o".repeat(LONG / 100))}), 200, None),
        ("/all/1", Method::GET, json!({"body": ""}), 204, Some("")),
        ("/all/1", Method::GET, json!({"body": base64("made"), "responseCode": 201}), 201, Some("made")),
        ("/heads", Method::GET, json!({"responseCode": 503}), 503, None),
        ("/heads", Method::GET, json!({"responseCode": 204}), 204, Some("")),
    ] {
        let mut script = script;
        script["headersToReplace"] = json!({"content-type": "text/x-other"});
        script["headersToAdd"] = json!({"x-more": "yes"});
        let sent = if method == Method::POST { long.clone() } else { String::new() };
        let answer = this.send(method, path, &[(ON_RESPONSE, &script)], sent).await?;
        assert_eq!(answer.status.as_u16(), status, "{path} {script} {}", answer.body);
        if let Some(body) = body {
            assert_eq!(answer.body, body, "{path} {script}");
        }
        // Envoy takes it away where there is no content.
        let content_type = Some("text/x-other").filter(|_| status != 204);
        assert_eq!((answer.header("content-type"), answer.header("x-more")), (content_type, Some("yes")), "{script}");
        let next = this.send(Method::GET, "/plain", &[], String::new()).await?;
        assert_eq!((next.status, next.json()["path"].as_str()), (StatusCode::OK, Some("/v2/plain")));
    }
    let plain = this.send(Method::GET, "/plain", &[], String::new()).await?;
    assert_eq!(plain.header("x-backend"), Some("was here"), "it would be seen");
    let untouched = this.send(Method::POST, "/all/1", &[], long.clone()).await?;
    assert_eq!(untouched.json()["body"].as_str().map(str::len), Some(LONG), "{}", untouched.status);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_refused_and_shows_nothing_of_the_backend() -> Result<()> {
    let this = Intercepted::start().await?;
    let words = |text: &str| Value::String(text.to_owned());
    let unknown = json!({"dynamicEndpoint": {"endpointName": "unknown"}});
    let trailers = json!({"trailersToAdd": {"a": "b"}});
    let body = json!({"body": base64("never told")});
    let no_base64 = json!({"body": "%"});
    let forged = json!({"headersToAdd": {"a": "b\r\nc: d"}});
    for (path, header, script, code, asked) in [
        ("/all/1", ON_REQUEST, &words("500"), "103500", 0),
        ("/all/1", ON_REQUEST, &words("garbage"), "103501", 0),
        ("/all/1", ON_REQUEST, &no_base64, "103501", 0),
        ("/heads", ON_REQUEST, &unknown, "103501", 0),
        ("/heads", ON_REQUEST, &trailers, "103501", 0),
        ("/heads", ON_REQUEST, &body, "103501", 0),
        ("/heads", ON_REQUEST, &forged, "103501", 0),
        ("/silent", ON_REQUEST, &words("204"), "103500", 0),
        ("/down", ON_REQUEST, &words("204"), "103500", 0),
        ("/all/1", ON_RESPONSE, &words("404"), "103500", 1),
        ("/all/1", ON_RESPONSE, &words("garbage"), "103501", 1),
        ("/heads", ON_RESPONSE, &words("garbage"), "103501", 1),
        ("/heads", ON_RESPONSE, &body, "103501", 1),
        ("/silent-after", ON_RESPONSE, &words("204"), "103500", 1),
        ("/down-after", ON_RESPONSE, &words("204"), "103500", 1),
    ] {
        let answer = this.send(Method::GET, path, &[(header, script)], String::new()).await?;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{path} {script} {}", answer.body);
        assert_eq!(answer.json()["code"], code, "{path} {script}");
        assert_eq!((answer.header("x-backend"), this.backend.take().len()), (None, asked), "{path} {script}");
        assert!(!answer.body.contains("/v2"), "{}", answer.body);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_recognised_by_the_certificate_of_the_project() -> Result<()> {
    let (authority, stranger) = (Authority::new()?, Authority::new()?);
    let tls = authority.server("127.0.0.1", None, &[])?;
    let service = Backend::answering(Some(tls), play).await?;
    let gateway = Gateway::start().await?;
    for (context, trusted, status) in [("/known", authority.pem(), 200), ("/unknown", stranger.pem(), 500)] {
        let told = json!({"x-wso2-request-interceptor": self::service(&service.url(), &["request_headers"])});
        let project = ApiProject::new(&context[1..], "1.0.0", context)
            .production(&gateway.backend.url())
            .with_file("Endpoint-certificates/interceptors/service.pem", &trusted)
            .unsecured("GET", "/plain")
            .unsecured_with("GET", "/x", told);
        gateway.deploy(&project, &format!("{context}/1.0.0/plain")).await?;
        service.forget();
        let answer = gateway.get(&format!("{context}/1.0.0/x"), None).await?;
        assert_eq!((answer.status.as_u16(), service.count()), (status, usize::from(status == 200)), "{}", answer.body);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_project_is_served() -> Result<()> {
    let gateway = Gateway::start().await?;
    gateway.adapter.deploy(project::sample("interceptors", &gateway.backend.url())?).await?;
    let path = "/bookstore/1.0.0/books";
    // Nobody listens where its interceptor should be, which shows that it is asked.
    eventually("the interceptor is asked", async || gateway.all_answer(path, 8, |status| status == 500).await).await?;
    assert_eq!(gateway.get(path, None).await?.json()["code"], "103500");
    Ok(())
}

const CALL: &str = "definition:
  action: CALL_INTERCEPTOR_SERVICE
  parameters:
    interceptorServiceURL: \"{{ .interceptorServiceURL }}\"
    includes: \"{{ .includes }}\"
";

/// An operation policy names the services, and goes before the extension of the definition.
#[tokio::test(flavor = "multi_thread")]
async fn policies_call_services_too() -> Result<()> {
    let service = Backend::answering(None, play).await?;
    let gateway = Gateway::start().await?;
    let policy = |includes: &str| {
        let parameters = json!({"interceptorServiceURL": service.url(), "includes": includes});
        json!([{"policyName": "ccCall", "policyVersion": "v1", "parameters": parameters}])
    };
    let flows = json!({"request": policy("request_headers"), "response": policy("request_headers,response_headers")});
    let specification = json!({"type": "operation_policy_specification", "version": "v4.1.0", "data": {
        "name": "ccCall", "version": "v1", "applicableFlows": ["request", "response"],
        "supportedGateways": ["ChoreoConnect"],
        "policyAttributes": [{"name": "interceptorServiceURL", "required": true}, {"name": "includes", "required": true}]}});
    let nobody = json!({"x-wso2-request-interceptor": {"serviceURL": "http://127.0.0.1:9"}});
    let api = ApiProject::new("Policed", "1.0.0", "/policed")
        .production(&gateway.backend.url())
        .unsecured("GET", "/plain")
        .unsecured_with("GET", "/asked", nobody)
        .with("operations", json!([{"target": "/asked", "verb": "GET", "operationPolicies": flows}]))
        .with_file("Policies/ccCall_v1.json", &specification.to_string())
        .with_file("Policies/ccCall_v1.gotmpl", CALL);
    gateway.deploy(&api, "/policed/1.0.0/plain").await?;
    let served = async || gateway.all_answer("/policed/1.0.0/asked", 8, |status| status == 200).await;
    eventually("responses are shown", served).await?;
    gateway.backend.forget();
    let request = client(0)?.get(gateway.url("/policed/1.0.0/asked"));
    let request = request
        .header(ON_REQUEST, json!({"headersToAdd": {"x-before": "1"}}).to_string())
        .header(ON_RESPONSE, json!({"headersToAdd": {"x-after": "2"}}).to_string());
    let answer = Answer::of(request).await?;
    assert_eq!((answer.status, answer.headers["x-after"].to_str()?), (StatusCode::OK, "2"));
    let [seen] = &gateway.backend.take()[..] else { panic!("the backend saw another number of requests than one") };
    assert_eq!(seen.headers["x-before"], "1");
    Ok(())
}
