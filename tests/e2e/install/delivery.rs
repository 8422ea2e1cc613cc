//! Modules on their way: from the adapter under their hash, and through a registry in both forms of image.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tollgate_model::contract::{ENVIRONMENT_HEADER, FEED_PATH};
use tollgate_tests::http::{Answer, client, client_with};
use tollgate_tests::ports::Port;
use tollgate_tests::program::{adapter, adapter_refuses};
use tollgate_tests::registry::{PASSWORD, USER};
use tollgate_tests::{Gateway, RegistryServer, Settings, locate};

const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const WASM_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn fetch(url: &str, accept: &str) -> (StatusCode, Option<String>, Bytes) {
    let response = client(0).unwrap().get(url).header("accept", accept).send().await.unwrap();
    let media_type = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
    (response.status(), media_type, response.bytes().await.unwrap())
}

/// What proxies take out of an image: see Istio's image fetcher.
fn unpacked(media_type: &str, layer: &[u8]) -> Vec<u8> {
    if media_type == WASM_LAYER {
        return layer.to_vec();
    }
    assert_eq!(media_type, DOCKER_LAYER);
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(layer));
    let mut files = archive.entries().unwrap().map(Result::unwrap);
    let mut file = files.find(|file| file.path().unwrap().ends_with("plugin.wasm")).expect("no plugin.wasm");
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn modules_come_back_whole_from_a_registry_in_both_forms() {
    let (registry, folder) = (RegistryServer::start(false).await.unwrap(), tempfile::tempdir().unwrap());
    let module = locate::module().unwrap();
    let (bytes, path) = (std::fs::read(&module).unwrap(), module.display().to_string());
    let repository = format!("{}/tollgate", registry.host());
    for (format, manifest_type, layer_type, layers) in
        [("compat", DOCKER, DOCKER_LAYER, 1), ("artifact", OCI, WASM_LAYER, 2)]
    {
        let push = ["push-filters", &repository, "--plain-http", "--wasm", &path, "--format", format, "--tag", format];
        let printed = adapter(folder.path(), &[], &push).unwrap();
        let base = format!("http://{}/v2/tollgate/enforcer", registry.host());
        let (status, media_type, manifest) = fetch(&format!("{base}/manifests/{format}"), manifest_type).await;
        assert_eq!((status, media_type.as_deref()), (StatusCode::OK, Some(manifest_type)), "{format}");
        let digest = hash(&manifest);
        assert!(printed.contains(&format!("image sha256 {digest}")), "{printed}");
        assert!(printed.contains(&format!("module sha256 {}", hash(&bytes))), "{printed}");

        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let listed = manifest["layers"].as_array().unwrap();
        assert_eq!(listed.len(), layers, "{manifest}");
        let last = listed.last().unwrap();
        assert_eq!(last["mediaType"], layer_type);
        let blob = last["digest"].as_str().unwrap();
        let (status, _, layer) = fetch(&format!("{base}/blobs/{blob}"), "*/*").await;
        assert_eq!((status, format!("sha256:{}", hash(&layer)).as_str()), (StatusCode::OK, blob));
        assert!(unpacked(layer_type, &layer) == bytes, "{format}: another module came back");

        // Whoever renders a manifest knows the digest without asking the registry.
        let rendered = ["render", "--target", "istio", "--wasm", &path, "--format", format, "--tag", format];
        let rendered = [&rendered[..], &["--repository", &repository]].concat();
        let plugin: Value =
            serde_saphyr::from_multiple(&adapter(folder.path(), &[], &rendered).unwrap()).unwrap().remove(0);
        assert_eq!(plugin["spec"]["sha256"], digest, "{format}");
        assert_eq!(plugin["spec"]["url"], format!("oci://{repository}/enforcer:{format}"));
    }
}

/// The recipe brings every module that there is into a registry, under the hashes that it prints.
#[tokio::test]
async fn the_recipe_pushes_every_module() {
    let (registry, home) = (RegistryServer::start(false).await.unwrap(), tempfile::tempdir().unwrap());
    let folder = locate::module().unwrap().parent().unwrap().to_owned();
    let files = folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> = files
        .filter_map(|name| Some(name.strip_suffix(".wasm")?.to_owned()))
        .filter(|name| !name.ends_with("-trap"))
        .collect();
    assert_eq!(names.len(), 6, "{names:?}");
    for (format, manifest_type) in [("compat", DOCKER), ("artifact", OCI)] {
        // Its dependencies were built by whoever runs the tests; nobody has ever logged in there.
        let mut recipe = std::process::Command::new(locate::root().join("just"));
        let repository = format!("{}/{format}", registry.host());
        recipe.args(["--no-deps", "push-filters", &repository, "--plain-http", "--format", format]);
        recipe.current_dir(locate::root()).env("HOME", home.path()).env_remove("DOCKER_CONFIG");
        let output = recipe.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).unwrap();
        for name in &names {
            let module = hash(&std::fs::read(folder.join(format!("{name}.wasm"))).unwrap());
            let tag = env!("CARGO_PKG_VERSION");
            let url = format!("http://{}/v2/{format}/{name}/manifests/{tag}", registry.host());
            let (status, _, manifest) = fetch(&url, manifest_type).await;
            assert_eq!(status, StatusCode::OK, "{url}");
            let image = hash(&manifest);
            let said = format!("oci://{repository}/{name}:{tag}\n  image sha256 {image}\n  module sha256 {module}\n");
            assert!(printed.contains(&said), "{name}: {printed}");
        }
    }
}

/// A folder with the config.json that `docker login` leaves.
fn logged_in(folder: &Path, host: &str, password: &str) -> PathBuf {
    use base64::Engine as _;
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{password}"));
    let docker = folder.join(password);
    std::fs::create_dir_all(&docker).unwrap();
    std::fs::write(docker.join("config.json"), format!(r#"{{"auths":{{"{host}":{{"auth":"{auth}"}}}}}}"#)).unwrap();
    docker
}

#[tokio::test]
async fn a_registry_that_asks_gets_what_docker_login_left() {
    let (registry, folder) = (RegistryServer::start(true).await.unwrap(), tempfile::tempdir().unwrap());
    let (module, host) = (locate::module().unwrap().display().to_string(), registry.host());
    let push = ["push-filters", &format!("{host}/tollgate"), "--plain-http", "--wasm", &module];
    let said = adapter_refuses(folder.path(), &push).unwrap();
    assert!(said.contains("does not take the image"), "{said}");
    for (password, good) in [("wrong", false), (PASSWORD, true)] {
        let docker = logged_in(folder.path(), &host, password).display().to_string();
        let outcome = adapter(folder.path(), &[("DOCKER_CONFIG", &docker)], &push);
        assert_eq!(outcome.is_ok(), good, "{outcome:?}");
        if let Err(error) = outcome {
            assert!(!format!("{error:?}").contains(&format!("{USER}:")), "{error:?}");
        }
    }
}

#[tokio::test]
async fn mistakes_of_a_push_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let module = locate::module().unwrap().display().to_string();
    std::fs::write(folder.path().join("enforcer.wasm"), "no module").unwrap();
    let (free, nobody) = (Port::free().unwrap(), "127.0.0.1");
    let nobody = format!("{nobody}:{}/tollgate", free.number());
    for (arguments, part) in [
        (vec!["push-filters", "x/y"], "is not a WebAssembly module"),
        (vec!["push-filters", "x/y", "--wasm", "nowhere.wasm"], "./just wasm"),
        (vec!["push-filters", "NOT A NAME", "--wasm", &module], "is not the name of an image"),
        (vec!["push-filters", &nobody, "--plain-http", "--wasm", &module], "does not take the image"),
        (vec!["push-filters", "x/y", "--wasm", &module, "--authority", "nowhere.pem"], "PEM file"),
    ] {
        let said = adapter_refuses(folder.path(), &arguments).unwrap();
        assert!(said.starts_with("error: ") && said.contains(part), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn the_adapter_offers_its_modules_under_their_hashes() {
    let port = Port::free().unwrap();
    let listen = format!("filters = {}", port.number());
    let gateway = Gateway::with(Settings { listen, ..Settings::default() }).await.unwrap();
    let module = std::fs::read(locate::module().unwrap()).unwrap();
    let own = hash(&module);
    let plain = format!("http://localhost:{}", port.number());
    let secure = format!("https://localhost:{}", gateway.ports.public);
    for base in [&plain, &secure] {
        let ask = |method: Method, path: &str| gateway.client().request(method, format!("{base}{path}"));
        let list = Answer::of(ask(Method::GET, "/filters")).await.unwrap().json();
        let listed = list["filters"].as_array().unwrap();
        let enforcer = listed.iter().find(|entry| entry["name"] == "enforcer").unwrap();
        assert_eq!((enforcer["sha256"].as_str(), enforcer["bytes"].as_u64()), (Some(&*own), Some(module.len() as u64)));
        // Whatever is listed is served, and is what its hash says.
        for entry in listed {
            let path = entry["path"].as_str().unwrap();
            let response = ask(Method::GET, path).send().await.unwrap();
            assert_eq!(response.headers()["content-type"], "application/wasm");
            assert_eq!(response.headers()["cache-control"], "public, max-age=31536000, immutable");
            let etag = response.headers()["etag"].to_str().unwrap().to_owned();
            assert_eq!(hash(&response.bytes().await.unwrap()), entry["sha256"].as_str().unwrap());
            let head = Answer::of(ask(Method::HEAD, path)).await.unwrap();
            assert_eq!(head.header("content-length"), Some(&*entry["bytes"].to_string()));
            let again = Answer::of(ask(Method::GET, path).header("if-none-match", etag)).await.unwrap();
            assert_eq!(again.status, StatusCode::NOT_MODIFIED);
        }
        let unknown = format!("/filters/{}.wasm", "0".repeat(64));
        assert_eq!(Answer::of(ask(Method::GET, &unknown)).await.unwrap().status, StatusCode::NOT_FOUND);
    }
    // Over plain HTTP nothing else is to be had.
    for path in ["/jwks", "/testkey", "/v1/feed?since=0", "/metrics", "/health"] {
        let answer = Answer::of(gateway.client().get(format!("{plain}{path}"))).await.unwrap();
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}

/// The adapter's own sidecar has judged who asks; nobody else gets to a loopback address.
#[tokio::test]
async fn the_feed_for_the_own_sidecar_speaks_plain_text() {
    let port = Port::free().unwrap();
    let listen = format!("meshFeed = {}", port.number());
    let gateway = Gateway::with(Settings { listen, ..Settings::default() }).await.unwrap();
    let client = client_with(|builder| builder.http2_prior_knowledge()).unwrap();
    for client in [&client, gateway.client()] {
        let url = format!("http://localhost:{}{FEED_PATH}?since=0.0", port.number());
        let response = client.get(&url).header(ENVIRONMENT_HEADER, "Default").send().await.unwrap();
        assert_eq!(
            (response.status(), response.headers()["content-type"].as_bytes()),
            (StatusCode::OK, &b"application/octet-stream"[..])
        );
        assert!(response.bytes().await.unwrap().len() > 100);
        let unknown = client.get(&url).header(ENVIRONMENT_HEADER, "Nowhere").send().await.unwrap();
        assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    }
}
