//! Functions of AWS Lambda as backends. A double stands for AWS: that calls reach it and are signed can be seen here, that AWS
//! accepts them cannot.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};
use tollgate_tests::http::Answer;
use tollgate_tests::{ApiProject, Backend, Gateway, Settings};

const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:hello";

fn project() -> ApiProject {
    let endpoints = json!({
        "endpoint_type": "awslambda", "access_method": "stored", "amznAccessKey": "AKIDEXAMPLE",
        "amznSecretKey": "hush", "amznRegion": "eu-west-1",
    });
    let function = |name: &str| json!({ "x-amzn-resource-name": format!("{ARN}{name}") });
    ApiProject::new("Functions", "1.0.0", "/functions")
        .with("endpointConfig", endpoints)
        .unsecured_with("POST", "/one", function("-one"))
        .unsecured_with("GET", "/two/{id}", function("-two"))
}

async fn gateway(double: &Backend, more: &str) -> Result<Gateway> {
    let extra = format!("[router.awsLambda]\nenabled = true\nendpoint = '{}'\n{more}\n", double.url());
    Gateway::with(Settings { extra, ..Settings::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_calls_its_function_with_a_signature() -> Result<()> {
    let double = Backend::start().await?;
    let gateway = gateway(&double, "").await?;
    gateway.deploy(&project(), "/functions/1.0.0/two/5").await?;
    double.forget();

    let request = gateway.request(Method::POST, "/functions/1.0.0/one?x=y").body("{\"a\":1}");
    assert_eq!(Answer::of(request).await?.status, 200);
    assert_eq!(gateway.get("/functions/1.0.0/two/5", None).await?.status, 200);
    let [one, two] = double.take().try_into().map_err(|seen| anyhow::anyhow!("{seen:?}"))?;
    for (call, name) in [(&one, "-one"), (&two, "-two")] {
        assert_eq!((call.method.as_str(), call.query.as_deref()), ("POST", None));
        let path = call.path.replace("%3A", ":");
        assert_eq!(path, format!("/2015-03-31/functions/{ARN}{name}/invocations"));
        let signature = call.headers["authorization"].to_str()?;
        assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{signature}");
        assert!(signature.contains("/eu-west-1/lambda/aws4_request"), "{signature}");
        assert!(signature.contains("SignedHeaders=") && signature.contains("Signature="), "{signature}");
        assert!(call.headers.contains_key("x-amz-date") && call.headers.contains_key("x-amz-content-sha256"));
        assert_eq!(call.headers["x-amz-invocation-type"], "RequestResponse");
    }
    assert_eq!(&one.body[..], b"{\"a\":1}");
    assert!(!std::fs::read_to_string(gateway.adapter.log())?.contains("hush"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_may_get_the_whole_request_and_answer_later() -> Result<()> {
    let double = Backend::start().await?;
    let gateway = gateway(&double, "payloadPassthrough = false\ninvocationMode = 'asynchronous'").await?;
    gateway.deploy(&project(), "/functions/1.0.0/two/5").await?;
    double.forget();
    gateway.get("/functions/1.0.0/two/5?x=y", None).await?;
    let seen = double.take();
    let call = seen.first().ok_or_else(|| anyhow::anyhow!("nothing was called"))?;
    assert_eq!(call.headers["x-amz-invocation-type"], "Event");
    let payload: Value = serde_json::from_slice(&call.body)?;
    assert_eq!((payload["method"].as_str(), payload["raw_path"].as_str()), (Some("GET"), Some("/two/5?x=y")));
    assert_eq!(payload["query_string_parameters"]["x"], "y");
    Ok(())
}
