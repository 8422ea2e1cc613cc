//! A VM that traps: only the request that did it, and those of its worker for a moment, are refused; nobody slips through.

use reqwest::{Method, StatusCode};
use tollgate_tests::http::Answer;
use tollgate_tests::{Gateway, Settings, eventually, locate};

use crate::apis::pets;

/// A module built with `trap-injection` traps on this header.
const TRAP: &str = "x-tollgate-trap";
const PATH: &str = "/pets/1.0.0/pet/5";

#[tokio::test]
async fn a_trapped_worker_comes_back_and_lets_nobody_through() {
    let module = Some(locate::trap_module().unwrap());
    let settings = Settings { module, unjudged: true, ..Settings::default() };
    let gateway = Gateway::with(settings).await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    let token = gateway.token("").await.unwrap();
    gateway.backend.forget();

    // Enough connections to hit both workers.
    for _ in 0..16 {
        let request = gateway.request(Method::GET, PATH).bearer_auth(&token).header(TRAP, "1");
        let answer = Answer::of(request).await.unwrap();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.body);
        // Right after the trap, a stranger is refused in one way or the other.
        gateway.all_answer(PATH, 8, |status| status == 401 || status == 503).await.unwrap();
    }
    assert_ne!(gateway.envoy.vm_failures().unwrap(), Vec::<String>::new(), "the module did not trap");
    assert_eq!(gateway.backend.count(), 0, "a request passed while a VM was down");

    eventually("both workers are back", async || {
        gateway.all_answer("/pets/1.0.0/health", 16, |status| status == 200).await
    })
    .await
    .unwrap();
    gateway.all_answer(PATH, 16, |status| status == 401).await.unwrap();
    let answer = gateway.get(PATH, Some(&token)).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}
