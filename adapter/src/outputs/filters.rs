//! The filter modules over HTTP, each under its hash: for proxies that fetch them by themselves.
//!
//! Must never serve anything else: whoever asks is not known, and what is there is public.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use serde_json::json;
use warp::{Filter, Rejection};

use crate::delivery::{Module, Modules};

/// What is under a hash never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ENDING: &str = ".wasm";

/// `GET` and `HEAD` of `/filters`, a list, and of `/filters/<sha256>.wasm`.
pub fn routes(
    modules: Arc<Modules>,
) -> impl Filter<Extract = (Response<Bytes>,), Error = Rejection> + Clone + Send + Sync + 'static {
    let listed = Arc::clone(&modules);
    let reading = || warp::get().or(warp::head()).unify().and(warp::method());
    let list = warp::path!("filters").and(reading()).map(move |method: Method| list(&listed, &method));
    let one =
        warp::path!("filters" / String).and(reading()).and(warp::header::optional::<String>("if-none-match")).map(
            move |file: String, method: Method, known: Option<String>| one(&modules, &file, &method, known.as_deref()),
        );
    list.or(one).unify()
}

fn list(modules: &Modules, method: &Method) -> Response<Bytes> {
    let entry = |module: &Module| {
        json!({
            "name": module.name,
            "sha256": module.sha256,
            "bytes": module.bytes.len(),
            "path": format!("/filters/{}{ENDING}", module.sha256),
        })
    };
    let text = format!("{:#}\n", json!({ "filters": modules.iter().map(entry).collect::<Vec<_>>() }));
    reply(StatusCode::OK, method, Bytes::from(text), [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")])
}

fn one(modules: &Modules, file: &str, method: &Method, known: Option<&str>) -> Response<Bytes> {
    let Some(module) = file.strip_suffix(ENDING).and_then(|hash| modules.with_hash(hash)) else {
        let text = "there is no module with this hash; /filters lists those that there are\n";
        return reply(StatusCode::NOT_FOUND, method, Bytes::from(text), [(CONTENT_TYPE, "text/plain")]);
    };
    let tag = format!("\"{}\"", module.sha256);
    let same = known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    let headers = [(CONTENT_TYPE, "application/wasm"), (CACHE_CONTROL, FOR_EVER), (ETAG, tag.as_str())];
    if same {
        return reply(StatusCode::NOT_MODIFIED, method, Bytes::new(), headers);
    }
    reply(StatusCode::OK, method, module.bytes.clone(), headers)
}

fn reply<'h>(
    status: StatusCode,
    method: &Method,
    body: Bytes,
    headers: impl IntoIterator<Item = (HeaderName, &'h str)>,
) -> Response<Bytes> {
    let length = body.len();
    let mut response = Response::new(if method == Method::HEAD { Bytes::new() } else { body });
    *response.status_mut() = status;
    if status != StatusCode::NOT_MODIFIED {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules() -> Arc<Modules> {
        Arc::new([Module::new("enforcer", "\0asm one"), Module::new("mediate", "\0asm two")].into_iter().collect())
    }

    async fn ask(method: &str, path: &str, known: Option<&str>) -> Response<Bytes> {
        let request = warp::test::request().method(method).path(path);
        let request = match known {
            Some(tag) => request.header("if-none-match", tag),
            None => request,
        };
        request.reply(&routes(modules())).await
    }

    fn header<'r>(response: &'r Response<Bytes>, name: &str) -> &'r str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[tokio::test]
    async fn a_module_is_served_under_its_hash_for_ever() {
        let modules = modules();
        let hash = &modules.named("mediate").unwrap().sha256;
        let path = format!("/filters/{hash}.wasm");
        let answer = ask("GET", &path, None).await;
        assert_eq!((answer.status(), &answer.body()[..]), (StatusCode::OK, &b"\0asm two"[..]));
        assert_eq!(header(&answer, "content-type"), "application/wasm");
        assert_eq!(header(&answer, "cache-control"), "public, max-age=31536000, immutable");
        let head = ask("HEAD", &path, None).await;
        assert_eq!((head.status(), head.body().len(), header(&head, "content-length")), (StatusCode::OK, 0, "8"));
        let tag = header(&head, "etag").to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}")] {
            assert_eq!(ask("GET", &path, Some(&known)).await.status(), StatusCode::NOT_MODIFIED, "{known}");
        }
        assert_eq!(ask("GET", &path, Some("\"x\"")).await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn the_list_names_what_there_is() {
        let answer = ask("GET", "/filters", None).await;
        let list: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        let names: Vec<&str> =
            list["filters"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["enforcer", "mediate"]);
        for entry in list["filters"].as_array().unwrap() {
            let answer = ask("GET", entry["path"].as_str().unwrap(), None).await;
            assert_eq!((answer.status(), answer.body().len()), (StatusCode::OK, 8), "{entry}");
        }
    }

    #[tokio::test]
    async fn nothing_else_is_served() {
        let hash = modules().named("enforcer").unwrap().sha256.clone();
        for (method, path) in [
            ("GET", "/filters/enforcer.wasm".to_owned()),
            ("GET", format!("/filters/{hash}")),
            ("GET", format!("/filters/{hash}.wasm/x")),
            ("GET", "/filters/..%2fconfig.toml".to_owned()),
            ("POST", format!("/filters/{hash}.wasm")),
            ("GET", "/".to_owned()),
        ] {
            let status = ask(method, &path, None).await.status();
            assert!(status.is_client_error(), "{method} {path}: {status}");
        }
    }
}
