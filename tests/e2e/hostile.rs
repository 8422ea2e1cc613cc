//! Hostile input: whatever a client sends, no VM fails and nothing secured is reached without credentials.

use reqwest::StatusCode;
use tollgate_tests::backend::Seen;
use tollgate_tests::http::{raw_request, send_raw};
use tollgate_tests::token::mutations;
use tollgate_tests::{ApiProject, Backend, Gateway};

use crate::apis::pets;

const SECURED: &str = "/pets/1.0.0/pet/5";

async fn with_pets() -> (Gateway, String) {
    let gateway = Gateway::start().await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    let token = gateway.token("").await.unwrap();
    gateway.backend.forget();
    (gateway, token)
}

/// Sends a raw `GET` for the secured resource; returns the status, 0 for a connection closed without an answer.
async fn status(gateway: &Gateway, headers: &[(&str, &[u8])]) -> u16 {
    let answer = send_raw(gateway.ports.http, &raw_request("GET", SECURED.as_bytes(), headers)).await.unwrap();
    answer.status.unwrap_or(0)
}

/// What it is, the headers, and the expected status.
type Case<'h> = (&'static str, Vec<(&'static str, &'h [u8])>, u16);

#[tokio::test]
async fn strange_headers_neither_trap_nor_bypass() {
    let (gateway, token) = with_pets().await;
    let bearer = format!("Bearer {token}");
    let good = ("authorization", bearer.as_bytes());
    let not_utf8: &[u8] = b"caf\xe9 \xff\xfe\x80";
    let large = vec![b'x'; 50_000];
    let larger = vec![b'x'; 60 * 1024];
    let garbage: &[u8] = b"Bearer garbage";
    let (a, b) = bearer.split_at(40);
    let continued = [a.as_bytes(), b"\xff", b.as_bytes()].concat();

    let table: [Case<'_>; 14] = [
        ("plain", vec![good], 200),
        ("not UTF-8, with a token", vec![good, ("x-strange", not_utf8), ("cookie", not_utf8)], 200),
        ("not UTF-8, without a token", vec![("x-strange", not_utf8), ("cookie", not_utf8)], 401),
        ("credentials that are not UTF-8", vec![("authorization", not_utf8)], 401),
        ("a token with a byte that is not UTF-8", vec![("authorization", &continued)], 401),
        ("a large header, with a token", vec![good, ("x-large", &large)], 200),
        ("a large header, without a token", vec![("x-large", &large)], 401),
        ("60 kB, with a token", vec![good, ("x-large", &larger)], 431),
        ("60 kB, without a token", vec![("x-large", &larger)], 431),
        ("60 kB of credentials", vec![("authorization", &larger)], 431),
        ("good and bad credentials", vec![good, ("authorization", garbage)], 401),
        ("bad and good credentials", vec![("authorization", garbage), good], 401),
        ("empty credentials", vec![("authorization", b"")], 401),
        ("another scheme", vec![("authorization", b"Basic YWRtaW46YWRtaW4=")], 401),
    ];
    let mut expected = 0;
    for (name, headers, wanted) in table {
        assert_eq!(status(&gateway, &headers).await, wanted, "{name}");
        expected += usize::from(wanted == 200);
    }
    assert_eq!(gateway.backend.count(), expected);
}

#[tokio::test]
async fn many_headers_neither_trap_nor_bypass() {
    let (gateway, token) = with_pets().await;
    let bearer = format!("Bearer {token}");
    let names: Vec<String> = (0..1000).map(|number| format!("x-header-{number}")).collect();
    for (count, with_token, allowed) in [(80, true, 200), (80, false, 401), (1000, true, 431), (1000, false, 431)] {
        let mut headers: Vec<(&str, &[u8])> =
            names.iter().take(count).map(|name| (name.as_str(), b"value".as_slice())).collect();
        if with_token {
            headers.push(("authorization", bearer.as_bytes()));
        }
        assert_eq!(status(&gateway, &headers).await, allowed, "{count} headers, token: {with_token}");
    }
    assert_eq!(gateway.backend.count(), 1);
}

#[tokio::test]
async fn a_token_of_ten_megabytes_is_refused() {
    let (gateway, token) = with_pets().await;
    let mut parts = token.split('.');
    let (head, _, signature) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    for size in [50_000, 10 * 1024 * 1024] {
        let large = format!("Bearer {head}.{}.{signature}", "e".repeat(size));
        let found = status(&gateway, &[("authorization", large.as_bytes())]).await;
        // Where the client still writes when the gateway hangs up, the answer may be lost.
        let allowed: &[u16] = if size > 60_000 { &[431, 0] } else { &[401] };
        assert!(allowed.contains(&found), "{size} bytes: {found}");
    }
    assert_eq!(gateway.backend.count(), 0);
}

#[tokio::test]
async fn mutated_tokens_are_refused() {
    let (gateway, token) = with_pets().await;
    // The true token first: it is in the cache when its relatives come.
    assert_eq!(gateway.get(SECURED, Some(&token)).await.unwrap().status, StatusCode::OK);
    gateway.backend.forget();
    for mutated in mutations(&token) {
        let found = status(&gateway, &[("authorization", format!("Bearer {mutated}").as_bytes())]).await;
        assert_eq!(found, 401, "{mutated}");
    }
    let forms = [
        format!("Bearer{token}"),
        format!("Bearer  {token} {token}"),
        format!("Bearer {token} {token}"),
        format!("Bearer {token}, Bearer {token}"),
        format!("Bearer {token}."),
        format!("Bearer .{token}"),
        format!("Bearer {token}.{token}"),
        format!("\"Bearer {token}\""),
        token.clone(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer ..".to_owned(),
        "Bearer a.b.c".to_owned(),
        "Bearer e30.e30.e30".to_owned(),
        format!("Bearer {}", ".".repeat(20_000)),
        format!("Bearer {}", "[".repeat(20_000)),
    ];
    for form in forms {
        let found = status(&gateway, &[("authorization", form.as_bytes())]).await;
        assert_eq!(found, 401, "{form:.200}");
    }
    assert_eq!(gateway.backend.count(), 0);
}

/// JSON that is deep, doubled or enormous inside a token must be refused like any other wrong token.
#[tokio::test]
async fn hostile_json_in_tokens_is_refused() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let (gateway, token) = with_pets().await;
    let mut parts = token.split('.').map(str::to_owned);
    let (head, payload, signature) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let documents = [
        "[".repeat(15_000),
        format!("{}1{}", r#"{"a":"#.repeat(5_000), "}".repeat(5_000)),
        r#"{"alg":"RS256","alg":"none"}"#.to_owned(),
        r#"{"exp":1e400}"#.to_owned(),
        format!(r#"{{"exp":{}}}"#, "9".repeat(10_000)),
        r#"{"iss":"\ud800"}"#.to_owned(),
        "null".to_owned(),
        "\u{0}".to_owned(),
    ];
    for document in documents {
        let encoded = URL_SAFE_NO_PAD.encode(&document);
        for forged in [format!("{encoded}.{payload}.{signature}"), format!("{head}.{encoded}.{signature}")] {
            let found = status(&gateway, &[("authorization", format!("Bearer {forged}").as_bytes())]).await;
            assert_eq!(found, 401, "{document:.100}");
        }
    }
    assert_eq!(gateway.backend.count(), 0);
}

/// An API with an open door next to a closed one.
fn doors(backend: &Backend) -> ApiProject {
    ApiProject::new("Doors", "1.0", "/doors")
        .production(&format!("{}/base", backend.url()))
        .unsecured("GET", "/public/*")
        .secured("GET", "/admin")
        .secured("GET", "/admin/*")
}

/// Targets that somebody, somewhere, takes for `/admin`.
const TARGETS: [&str; 48] = [
    "/doors/1.0/admin",
    "/doors/1.0/admin/",
    "/doors/1.0/admin?",
    "/doors/1.0/admin?x=/public/",
    "/doors/1.0/admin#/public/",
    "/doors/1.0/admin;x",
    "/doors/1.0/admin;/../public/x",
    "/doors/1.0/;x/admin",
    "/doors/1.0;x/admin",
    "//doors/1.0/admin",
    "/doors//1.0/admin",
    "/doors/1.0//admin",
    "/doors/1.0/./admin",
    "/./doors/1.0/admin",
    "/doors/1.0/%61dmin",
    "/doors/1.0/%2561dmin",
    "/doors/1.0%2Fadmin",
    "/doors/1.0/ADMIN",
    "/doors/1.0/public/../admin",
    "/doors/1.0/public/x/../../admin",
    "/doors/1.0/public//../admin",
    "/doors/1.0/public/..//admin",
    "/doors/1.0/public/./../admin",
    "/doors/1.0/public/%2e%2e/admin",
    "/doors/1.0/public/%2E%2E/admin",
    "/doors/1.0/public/.%2e/admin",
    "/doors/1.0/public/%2e./admin",
    "/doors/1.0/public/..%2fadmin",
    "/doors/1.0/public/..%2Fadmin",
    "/doors/1.0/public%2f..%2fadmin",
    "/doors/1.0/public/%2e%2e%2fadmin",
    "/doors/1.0/public/%252e%252e/admin",
    "/doors/1.0/public/..%252fadmin",
    "/doors/1.0/public/..;/admin",
    "/doors/1.0/public/..;x=y/admin",
    "/doors/1.0/public;/../admin",
    "/doors/1.0/public/;/../../admin",
    "/doors/1.0/public/%2e%2e;/admin",
    "/doors/1.0/public/..%3b/admin",
    "/doors/1.0/public/..\\admin",
    "/doors/1.0/public/..%5cadmin",
    "/doors/1.0/public/..%5Cadmin",
    "/doors/1.0/public\\..\\admin",
    "/doors/1.0/public/%00/../../admin",
    "/doors/1.0/public/..%00/admin",
    "/doors/1.0/public/%c0%ae%c0%ae/admin",
    "/doors/1.0/public/../../1.0/admin",
    "/doors/1.0/public/../../../doors/1.0/admin",
];

#[tokio::test]
async fn no_spelling_of_a_path_reaches_a_secured_resource() {
    let gateway = Gateway::start().await.unwrap();
    gateway.deploy(&doors(&gateway.backend), "/doors/1.0/public/x").await.unwrap();
    gateway.backend.forget();
    for target in TARGETS {
        let forms = [
            target.to_owned(),
            format!("http://localhost{target}"),
            format!("http://localhost:{}{target}", gateway.ports.http),
            format!("https://user@localhost{target}"),
            format!("http://elsewhere.test{target}"),
        ];
        for form in forms {
            for method in ["GET", "OPTIONS", "HEAD", "get"] {
                let answer = send_raw(gateway.ports.http, &raw_request(method, form.as_bytes(), &[])).await.unwrap();
                let status = answer.status.unwrap_or(0);
                assert!(status < 500, "{method} {form}: {status}");
            }
        }
    }
    let reached: Vec<String> = gateway.backend.take().into_iter().filter(reaches_admin).map(|seen| seen.path).collect();
    assert_eq!(reached, Vec::<String>::new(), "these may be taken for /admin by a backend");

    // The doors are where the test thinks they are.
    let token = gateway.token("").await.unwrap();
    for (path, token, status, count) in [
        ("/doors/1.0/public/x", None, 200, 1),
        ("/doors/1.0/admin", None, 401, 1),
        ("/doors/1.0/admin", Some(token.as_str()), 200, 2),
    ] {
        assert_eq!(gateway.get(path, token).await.unwrap().status.as_u16(), status, "{path}");
        assert_eq!(gateway.backend.count(), count, "{path}");
    }
    assert!(gateway.backend.take().iter().any(reaches_admin), "the test would not notice");
}

/// Whether the most lenient of backends would serve `/base/admin`: one that decodes, takes backslashes for slashes,
/// drops path parameters, merges slashes, ignores case, and resolves dots only after all that.
fn reaches_admin(seen: &Seen) -> bool {
    let mut segments: Vec<String> = Vec::new();
    let decoded = percent_decode(&seen.path).replace('\\', "/").to_lowercase();
    for segment in decoded.split('/') {
        match segment.split(';').next().unwrap_or_default().trim_matches('\0') {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name.to_owned()),
        }
    }
    segments.iter().any(|segment| segment == "admin") && segments.get(1).is_none_or(|segment| segment != "public")
}

fn percent_decode(text: &str) -> String {
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| byte == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let value = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = if value.is_some() { &after[2..] } else { after };
        decoded.push(value.unwrap_or(byte));
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
