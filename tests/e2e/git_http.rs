//! A Git repository behind HTTP that asks for a name and a token: `git http-backend`, as Git servers run it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use tollgate_tests::backend::Seen;
use tollgate_tests::{Backend, Gateway, Settings};

use crate::apis::probe;
use crate::sources::{Remote, serves, status_shows, write};

const TOKEN: &str = "hush-hush-token";

/// Serves the repository to whoever knows the password.
#[derive(Clone)]
struct Server {
    repository: PathBuf,
    password: Arc<Mutex<String>>,
}

impl Server {
    fn expects(&self, password: &str) {
        password.clone_into(&mut self.password.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn answer(&self, request: &Seen) -> Response<Bytes> {
        let password = self.password.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let expected = format!("Basic {}", STANDARD.encode(format!("builder:{password}")));
        if request.headers.get("authorization").is_none_or(|found| found.as_bytes() != expected.as_bytes()) {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            response.headers_mut().insert("www-authenticate", HeaderValue::from_static("Basic realm=\"git\""));
            return response;
        }
        from_cgi(&run(&self.repository, request))
    }
}

fn run(repository: &Path, request: &Seen) -> Vec<u8> {
    let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut child = Command::new("git")
        .args(["-c", "safe.directory=*", "http-backend"])
        .env("GIT_PROJECT_ROOT", repository)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", request.query.as_deref().unwrap_or_default())
        .env("REQUEST_METHOD", request.method.as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_USER", "builder")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git is there");
    let mut input = child.stdin.take().expect("its input is ours");
    let body = request.body.clone();
    let writer = std::thread::spawn(move || input.write_all(&body));
    let output = child.wait_with_output().expect("git ends");
    let _ = writer.join();
    output.stdout
}

/// The answer of a CGI program (RFC 3875).
fn from_cgi(output: &[u8]) -> Response<Bytes> {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").expect("headers end");
    let mut response = Response::new(Bytes::copy_from_slice(&output[end + 4..]));
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").expect("a header");
        if name.eq_ignore_ascii_case("status") {
            *response.status_mut() = value[..3].parse().expect("a status");
        } else {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            response.headers_mut().insert(name, HeaderValue::from_str(value).expect("a value"));
        }
    }
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_behind_http_is_followed_with_name_and_token() {
    let backend = Backend::start().await.unwrap();
    let remote = Remote::new();
    let apis = remote.folder().join("apis");
    write(&apis, &probe(&backend, "/one"));
    remote.commit(&[]);
    let server = Server { repository: remote.folder().to_owned(), password: Arc::new(Mutex::new(TOKEN.to_owned())) };
    let git = {
        let server = server.clone();
        Backend::answering(None, move |request| server.answer(request)).await.unwrap()
    };
    let extra = format!(
        "[adapter.sourceControl]\nenabled = true\npollInterval = 1\nretryInterval = 1\n[adapter.sourceControl.repository]\nURL = '{}/.git'\nbranch = 'main'\nusername = 'builder'\naccessToken = '{TOKEN}'\n",
        git.url()
    );
    let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
    gateway.all_answer("/one/1.0.0/up", 8, |status| status == 200).await.expect("from the start");

    server.expects("another");
    status_shows(&gateway, "/sources/git/error", "git fetch failed").await;
    write(&apis, &probe(&backend, "/two"));
    std::fs::remove_file(apis.join("Probe-one.zip")).unwrap();
    remote.commit(&[]);
    gateway.all_answer("/one/1.0.0/up", 8, |status| status == 200).await.expect("what was good stays");

    server.expects(TOKEN);
    serves(&gateway, "/two/1.0.0/up", 200).await;
    serves(&gateway, "/one/1.0.0/up", 404).await;
    let status = gateway.adapter.status().await.unwrap().to_string();
    let log = std::fs::read_to_string(gateway.adapter.log()).unwrap();
    assert!(
        !status.contains(TOKEN) && !log.contains(TOKEN) && !log.contains(&STANDARD.encode(format!("builder:{TOKEN}")))
    );
    assert!(log.contains("git fetch failed"), "{log}");
}
