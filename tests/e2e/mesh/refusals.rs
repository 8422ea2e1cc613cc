//! What an operation needs and a plugin in a mesh cannot give: it is denied and told, and nothing else is.

use anyhow::{Context as _, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tollgate_tests::program::adapter;
use tollgate_tests::{ApiProject, Backend, locate, project, within};

use super::proxies::{Shape, plain};
use super::{HOST, Mesh, PATIENCE, answers, call, healthy, log};

const REFUSED: &str = r#"{"error_message":"Unclassified Validation Failure","code":"102500","error_description":"Error during validating the request"}"#;

/// The callbacks of the plugin's configuration are those of the manifests: bodies of requests are not among them.
#[tokio::test]
async fn what_a_plugin_is_not_called_for_is_denied() -> Result<()> {
    let mesh = Mesh::start("").await?;
    mesh.adapter.deploy(project::sample("graphql", &mesh.application.url())?).await?;
    let mut shape = Shape::new(mesh.folder("gateway"));
    shape.filters = vec![mesh.enforcer(&locate::module()?, "gateway")?.filter()];
    shape.clusters = vec![mesh.adapter_cluster()];
    let gateway = shape.gateway(HOST, plain("outbound|9080||reviews", mesh.application()?))?;
    within(PATIENCE, "the operation is denied", async || {
        let answer = call(&gateway, Method::POST, HOST, "/library/1.0.0", &[]).await?;
        ensure!((answer.status, answer.body.as_str()) == (StatusCode::INTERNAL_SERVER_ERROR, REFUSED), "{answer:?}");
        Ok(())
    })
    .await?;
    let said = log(&gateway);
    assert!(said.contains("request_body: true"), "the log does not name the callback: {said}");
    answers(&gateway, HOST, "/reviews/1.0.0/health", 200).await?;
    assert_eq!(mesh.application.count(), 1);
    healthy(&gateway)
}

/// An interceptor chooses another endpoint, where routes belong to somebody else.
#[tokio::test]
async fn an_endpoint_that_no_route_leads_to_is_denied() -> Result<()> {
    let mesh = Mesh::start("").await?;
    let elsewhere = json!({"dynamicEndpoint": {"endpointName": "other"}}).to_string();
    let service = Backend::answering(None, move |_| hyper::Response::new(elsewhere.clone().into())).await?;
    let interceptor = json!({"serviceURL": service.url(), "includes": []});
    let api = ApiProject::new("Chosen", "1.0.0", "/chosen")
        .production(&mesh.application.url())
        .with_extension("x-wso2-endpoints", json!([{"other": {"urls": [mesh.application.url()]}}]))
        .unsecured_with("GET", "/x", json!({"x-wso2-request-interceptor": interceptor}));
    mesh.adapter.deploy(api.zip()?).await?;
    // A mesh does not have the cluster of the service, unless somebody gives it the name that the adapter uses.
    let address = format!("127.0.0.1:{}", mesh.ports.admin);
    let arguments = ["explain", "--address", &address, "--api", "Chosen", "--path", "/x", "--output", "json"];
    let explained: serde_json::Value = serde_json::from_str(&adapter(mesh.folder.path(), &[], &arguments)?)?;
    let question = explained["verdict"]["question"].as_str().context("the interceptor is not asked")?;
    let cluster =
        question.strip_prefix("the answer of ").and_then(|rest| rest.split(' ').next()).context("no cluster")?;
    let url = service.url();
    let port: u16 = url.rsplit_once(':').context("the service has no port")?.1.parse()?;
    let mut shape = Shape::new(mesh.folder("gateway"));
    shape.filters = vec![mesh.enforcer(&locate::module()?, "gateway")?.filter()];
    shape.clusters = vec![mesh.adapter_cluster(), plain(cluster, port)];
    let gateway = shape.gateway(HOST, plain("outbound|9080||reviews", mesh.application()?))?;
    let answer = answers(&gateway, HOST, "/chosen/1.0.0/x", 500).await?;
    assert_eq!(answer.body, REFUSED);
    assert!(service.count() > 0, "the interceptor was never asked");
    assert_eq!(mesh.application.count(), 0);
    healthy(&gateway)
}
