use std::path::PathBuf;
use std::time::Duration;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

fn context() -> (tempfile::TempDir, PublicContext) {
    let folder = tempfile::tempdir().unwrap();
    let files = crate::certs::ensure(folder.path()).unwrap().token_signing;
    let signer = TokenSigner::load(&files.key, &files.certificate).unwrap();
    let user =
        |username: &str, password: &str| TestUser { username: username.to_owned(), password: password.to_owned() };
    let keys = TestKeys {
        issuer: "https://localhost:9095/testkey".to_owned(),
        signing_key: PathBuf::new(),
        certificate: PathBuf::new(),
        validity: Duration::from_secs(3600),
        users: vec![user("admin", "admin"), user("second", "p:ss")],
    };
    (folder, PublicContext { test_keys: Some(Arc::new((keys, signer))), minter: None, status: Status::new() })
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

fn claims(token: &str) -> serde_json::Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn test_keys_are_for_users_only() {
    let (_folder, context) = context();
    let check = |authorization: Option<String>, expected: Result<&'static str, u16>| {
        let filter = routes(context.clone());
        async move {
            let mut request = warp::test::request().path("/testkey");
            if let Some(value) = &authorization {
                request = request.header("authorization", value);
            }
            let response = request.reply(&filter).await;
            let body = String::from_utf8(response.body().to_vec()).unwrap();
            match expected {
                Ok(subject) => {
                    assert_eq!(response.headers()["content-type"], "text/plain");
                    assert_eq!(claims(&body)["sub"], subject, "{authorization:?}");
                }
                Err(status) => {
                    assert_eq!(response.status().as_u16(), status, "{authorization:?}");
                    assert!(!body.contains('.') || body == WRONG_CREDENTIALS, "{body}");
                }
            }
        }
    };
    check(Some(basic("admin:admin")), Ok("admin")).await;
    check(Some(basic("second:p:ss")), Ok("second")).await;
    check(Some(basic("admin:admin").replace("Basic", "bAsIc")), Ok("admin")).await;
    check(None, Err(401)).await;
    check(Some(basic("admin:wrong")), Err(401)).await;
    check(Some(basic("admin:p:ss")), Err(401)).await;
    check(Some(basic("adminadmin")), Err(401)).await;
    check(Some(basic("nobody:admin")), Err(401)).await;
    check(Some("Basic ???".to_owned()), Err(401)).await;
    check(Some("Basic".to_owned()), Err(401)).await;
    check(Some("Bearer admin:admin".to_owned()), Err(401)).await;
    check(Some(basic(&"x".repeat(MAX_CREDENTIALS))), Err(401)).await;
}

#[tokio::test]
async fn scope_and_key_type_come_from_form_or_query() {
    let (_folder, context) = context();
    let ask = |query: &'static str, form: String| {
        let filter = routes(context.clone());
        async move {
            let request = warp::test::request().method("POST").path(&format!("/testkey{query}")).body(form);
            let response = request.header("authorization", basic("admin:admin")).reply(&filter).await;
            (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
        }
    };
    let (_, token) = ask("", String::new()).await;
    assert_eq!((&claims(&token)["keytype"], claims(&token).get("scope")), (&"PRODUCTION".into(), None));
    let (_, token) = ask("", "scope=read%3Apets+write&keytype=SANDBOX".to_owned()).await;
    assert_eq!((&claims(&token)["keytype"], &claims(&token)["scope"]), (&"SANDBOX".into(), &"read:pets write".into()));
    let (_, token) = ask("?keytype=SANDBOX", String::new()).await;
    assert_eq!(claims(&token)["keytype"], "SANDBOX");
    assert_eq!(ask("?keytype=sandbox", String::new()).await.0, 400);
    assert_eq!(ask("", "x".repeat(MAX_FORM + 1)).await.0, 413);
}

#[tokio::test]
async fn the_published_key_is_the_one_that_signs() {
    let (_folder, context) = context();
    let response = warp::test::request().path("/jwks").reply(&routes(context.clone())).await;
    let keys: JwkSet = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(keys.keys, [context.test_keys.as_ref().unwrap().1.jwk().clone()]);
    assert!(!String::from_utf8(response.body().to_vec()).unwrap().contains("\"d\""));
    let response = warp::test::request().method("POST").path("/jwks").reply(&routes(context)).await;
    assert_eq!(response.status(), 405);
}
