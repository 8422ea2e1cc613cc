//! Operation policies, on the sample project: every action as the backend and the client see it, and Open Policy Agent.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use reqwest::Method;
use serde_json::json;
use tollgate_tests::backend::Seen;
use tollgate_tests::http::Answer;
use tollgate_tests::{Backend, Gateway, eventually, project};

const AGENT: &str = "http://127.0.0.1:8181";

/// What an agent answers: status and body.
type Verdict = Arc<Mutex<(u16, &'static str)>>;

/// An agent that answers as the test says at the time.
async fn agent() -> (Backend, Verdict) {
    let verdict: Verdict = Arc::new(Mutex::new((200, r#"{"result": true}"#)));
    let told = Arc::clone(&verdict);
    let agent = Backend::answering(None, move |_| {
        let (status, body) = *told.lock().unwrap();
        hyper::Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap()
    })
    .await
    .unwrap();
    (agent, verdict)
}

/// The sample project on a gateway, with its agent at that URL.
async fn gateway(agent: &str) -> Gateway {
    let gateway = Gateway::start().await.unwrap();
    let archive = project::sample_with("policies", &gateway.backend.url(), &[(AGENT, agent)]).unwrap();
    gateway.adapter.deploy(archive).await.unwrap();
    eventually("the API is served", async || {
        // The last word of the configuration: what the response policies need of Envoy as well.
        gateway.all_answer("/shops/1.0.0/headers", 32, |status| status == 200).await
    })
    .await
    .unwrap();
    gateway.backend.forget();
    gateway
}

async fn ask(gateway: &Gateway, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = gateway.request(method, &format!("/shops/1.0.0{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request).await.unwrap()
}

/// Asks, and returns what the backend saw.
async fn seen(gateway: &Gateway, method: Method, path: &str, headers: &[(&str, &str)]) -> (Answer, Seen) {
    gateway.backend.forget();
    let answer = ask(gateway, method, path, headers).await;
    let mut seen = gateway.backend.take();
    assert_eq!(seen.len(), 1, "{path}: {} {}", answer.status, answer.body);
    (answer, seen.remove(0))
}

#[tokio::test]
async fn headers_of_requests_and_responses_are_changed() {
    let gateway = gateway(AGENT).await;
    let sent =
        [("x-added", "mine"), ("x-added", "mine too"), ("x-secret", "hush"), ("x-old", "value"), ("x-kept", "k")];
    let (answer, got) = seen(&gateway, Method::GET, "/headers", &sent).await;
    let values = |name: &str| -> Vec<String> {
        got.headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(values("x-added"), ["one \"quoted\": value"]);
    assert_eq!((values("x-new"), values("x-kept")), (vec!["value".to_owned()], vec!["k".to_owned()]));
    assert_eq!((values("x-secret").len(), values("x-old").len()), (0, 0));
    assert_eq!((answer.header("x-served-by"), answer.header("content-type")), (Some("gateway"), None));

    // Each operation has its own policies, and most have none.
    let (answer, got) = seen(&gateway, Method::PUT, "/headers", &sent).await;
    assert_eq!(got.headers.get_all("x-added").iter().collect::<Vec<_>>(), ["two"]);
    assert_eq!(got.headers["x-secret"], "hush");
    assert_eq!((answer.header("x-served-by"), answer.header("content-type")), (None, Some("application/json")));
    let (_, got) = seen(&gateway, Method::GET, "/plain?gone=1&a=0", &sent).await;
    assert_eq!(got.headers.get_all("x-added").iter().count(), 2);
    assert_eq!((got.path.as_str(), got.query.as_deref()), ("/base/plain", Some("gone=1&a=0")));
}

#[tokio::test]
async fn paths_queries_and_methods_are_rewritten() {
    let gateway = gateway(AGENT).await;
    for (path, expected) in [
        ("/query", "GET /base/query?a=1%20%26%202"),
        ("/query?z=%7e&gone=1&%61=0&b=+%2B&gone", "GET /base/query?z=%7e&a=1%20%26%202&b=+%2B"),
        ("/shops/shop1234.xyz/pets/pet890/orders", "GET /base/pets/pet890.pets/hello-shops/abcd-shops/shop1234"),
        ("/shops/s%20h.xyz/pets/p/orders/?x=1&y=%2F", "GET /base/pets/p.pets/hello-shops/abcd-shops/s%20h?x=1&y=%2F"),
        ("/discard?x=1&own=no", "GET /base/kept?own=yes"),
        ("/discard", "GET /base/kept?own=yes"),
        ("/method?x=1", "PUT /base/method?x=1"),
    ] {
        let (answer, got) = seen(&gateway, Method::GET, path, &[]).await;
        let query = got.query.map(|query| format!("?{query}")).unwrap_or_default();
        assert_eq!(format!("{} {}{query}", got.method, got.path), expected, "{path}");
        assert_eq!(answer.status.as_u16(), 200);
    }
    gateway.backend.forget();
    for method in [Method::POST, Method::PUT] {
        let answer = ask(&gateway, method.clone(), "/method", &[]).await;
        assert_eq!(answer.status.as_u16(), 404, "{method} has no operation, whatever GET becomes");
    }
    let stepping_out = ask(&gateway, Method::GET, "/shops/a.xyz/pets/..%2F../orders", &[]).await;
    assert_eq!(stepping_out.status.as_u16(), 400, "{}", stepping_out.body);
    assert_eq!(gateway.backend.count(), 0);
}

#[tokio::test]
async fn open_policy_agent_has_the_last_word() {
    let (agent, verdict) = agent().await;
    let gateway = gateway(&agent.url()).await;
    let denied = r#"{"error_message":"Forbidden","code":"901101"}"#;
    let failed = r#"{"error_message":"Internal Server Error","code":"901102"}"#;
    let unclear = r#"{"error_message":"Internal Server Error","code":"901103"}"#;
    for (told, status, body) in [
        ((200, r#"{"result": true}"#), 200, None),
        ((200, r#"{"result": false}"#), 403, Some(denied)),
        ((500, r#"{"result": true}"#), 500, Some(failed)),
        ((200, r#"{"result": "yes"}"#), 500, Some(unclear)),
        ((200, "{}"), 500, Some(unclear)),
        ((200, "<html>"), 500, Some(unclear)),
    ] {
        *verdict.lock().unwrap() = told;
        gateway.backend.forget();
        let answer = ask(
            &gateway,
            Method::GET,
            "/judged?a=b",
            &[("x-role", "admin"), ("authorization", "mine"), ("x-forwarded-for", "10.0.0.1")],
        )
        .await;
        assert_eq!(answer.status.as_u16(), status, "{told:?}: {}", answer.body);
        if let Some(body) = body {
            assert_eq!(answer.body, body, "{told:?}");
        }
        assert_eq!(gateway.backend.count(), usize::from(status == 200), "{told:?}");
    }
    let asked = agent.take();
    assert_eq!(asked.len(), 6);
    check_question(&asked[0]);

    drop(agent);
    eventually("an agent that is gone lets nobody in", async || {
        let answer = ask(&gateway, Method::GET, "/judged", &[]).await;
        anyhow::ensure!((answer.status.as_u16(), answer.body.as_str()) == (500, failed), "{}", answer.body);
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_agent_is_asked_about_known_callers_and_told_their_tokens_where_a_policy_says_so() {
    let (agent, _) = agent().await;
    let gateway = gateway(&agent.url()).await;
    let stranger = ask(&gateway, Method::GET, "/judged-with-token", &[]).await;
    assert_eq!((stranger.status.as_u16(), agent.count()), (401, 0));
    let token = gateway.token("").await.unwrap();
    let known =
        ask(&gateway, Method::GET, "/judged-with-token", &[("authorization", &format!("Bearer {token}"))]).await;
    assert_eq!(known.status.as_u16(), 200, "{}", known.body);
    let question = agent.take().remove(0);
    assert_eq!((question.path.as_str(), question.headers.get("authorization")), ("/v1/data/shops", None));
    let input = serde_json::from_slice::<serde_json::Value>(&question.body).unwrap()["input"].clone();
    let expected = json!({"token": token, "tokenType": "JWT", "keyType": "PRODUCTION"});
    assert_eq!(input["authenticationContext"], expected);
}

/// The question of a request by nobody in particular.
fn check_question(question: &Seen) {
    assert_eq!((question.method.as_str(), question.path.as_str()), ("POST", "/v1/data/shops/allow"));
    assert_eq!(question.headers["authorization"], "Bearer opa-access-key");
    assert_eq!(question.headers["content-type"], "application/json");
    let input = serde_json::from_slice::<serde_json::Value>(&question.body).unwrap()["input"].clone();
    assert_eq!(
        (&input["method"], &input["path"], &input["query"]),
        (&json!("GET"), &json!("/shops/1.0.0/judged"), &json!("?a=b"))
    );
    assert_eq!(input["transportHeaders"]["x-role"], "admin");
    assert_eq!(input["transportHeaders"].get("authorization"), None, "credentials are not shown");
    assert_eq!(input["requestOrigin"], "10.0.0.1");
    let context = &input["apiContext"];
    assert_eq!((&context["apiName"], &context["apiVersion"]), (&json!("Shops"), &json!("1.0.0")));
    assert_eq!((&context["orgId"], &context["pathTemplate"]), (&json!("carbon.super"), &json!("/judged")));
    assert_eq!(context["prodClusterName"], "carbon.super_clusterProd_localhost_Shops1.0.0");
    assert_eq!(input.get("authenticationContext"), None);
}

#[tokio::test]
async fn a_policy_that_cannot_be_applied_changes_nothing() {
    let gateway = gateway(AGENT).await;
    for (from, to, part) in [
        ("{uri.var.petId}", "{uri.var.petName}", "has no such parameter"),
        ("headerName: X-Added", "headerNam: X-Added", "ccAddHeader needs the parameter headerName"),
        ("updatedMethod: PUT", "updatedMethod: FETCH", "no method"),
        ("policyName: renameHeader", "policyName: renamedHeader", "no policy renamedHeader"),
        ("action: SET_HEADER", "action: SET_HEADERS", "did you mean SET_HEADER?"),
    ] {
        let archive = project::sample_with("policies", &gateway.backend.url(), &[(from, to)]).unwrap();
        let answer = gateway.adapter.try_deploy(archive, true).await.unwrap();
        assert!(!answer.status.is_success(), "{to}");
        assert!(answer.body.contains(part), "{to}: {}", answer.body);
    }
    let (_, got) = seen(&gateway, Method::GET, "/headers", &[("x-old", "1")]).await;
    assert_eq!(
        (&got.headers["x-added"], &got.headers["x-new"]),
        (&"one \"quoted\": value".parse().unwrap(), &"1".parse().unwrap())
    );
}
