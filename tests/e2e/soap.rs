//! SOAP APIs: served as they are, and refused in the language of their callers where the gateway is told to.

use reqwest::Method;
use tollgate_tests::http::Answer;
use tollgate_tests::{Gateway, Settings, eventually, project};

const PATH: &str = "/phoneverify/1.0.0/";
const FAULTS: &str = "soapErrorInXMLEnabled = true\n";

/// A gateway with the sample project in front of that backend.
async fn with(adapter: &str, backend: impl FnOnce(&Gateway) -> String) -> Gateway {
    let settings = Settings { adapter: adapter.to_owned(), ..Settings::default() };
    let gateway = Gateway::with(settings).await.unwrap();
    let archive = project::sample("soap", &backend(&gateway)).unwrap();
    gateway.adapter.deploy(archive).await.unwrap();
    eventually("the API is served", async || {
        // Connections of their own, so that every worker is asked.
        for _ in 0..16 {
            let answer = post(&gateway, &[]).await;
            anyhow::ensure!(answer.status.as_u16() == 401, "{answer:?}");
        }
        Ok(())
    })
    .await
    .unwrap();
    gateway
}

async fn post(gateway: &Gateway, headers: &[(&str, &str)]) -> Answer {
    let mut request = gateway.request(Method::POST, PATH).body("<soap/>");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request).await.unwrap()
}

const SOAP_11: [(&str, &str); 2] = [("content-type", "text/xml; charset=utf-8"), ("soapaction", "\"CheckPhone\"")];
const SOAP_12: [(&str, &str); 1] = [("content-type", "application/soap+xml;charset=utf-8;action=\"CheckPhone\"")];

#[tokio::test]
async fn a_soap_call_reaches_the_backend_and_refusals_are_json_by_default() {
    let gateway = with("", |gateway| gateway.backend.url()).await;
    let token = format!("Bearer {}", gateway.token("").await.unwrap());
    gateway.backend.forget();
    let answer = post(&gateway, &[SOAP_11[0], SOAP_11[1], ("authorization", &token)]).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
    let [seen] = &gateway.backend.take()[..] else { panic!("one call") };
    assert_eq!((seen.path.as_str(), &seen.body[..]), ("/phoneverify/query.asmx/", &b"<soap/>"[..]));
    assert_eq!(seen.headers["soapaction"], "\"CheckPhone\"");
    assert_eq!(seen.headers.get("authorization"), None);

    let refused = post(&gateway, &SOAP_11).await;
    assert_eq!((refused.status.as_u16(), refused.header("content-type")), (401, Some("application/json")));
    let listed = gateway.adapter.list_of("type:soap").await.unwrap();
    assert_eq!((&listed["count"], &listed["list"][0]["apiType"]), (&1.into(), &"SOAP".into()), "{listed}");
    assert_eq!(gateway.adapter.list_of("type:http").await.unwrap()["count"], 0);
}

#[tokio::test]
async fn refusals_are_soap_faults_where_the_gateway_is_told_to() {
    let gateway = with(FAULTS, |gateway| gateway.backend.url()).await;
    let json = post(&gateway, &[("content-type", "text/xml")]).await;
    assert_eq!(json.header("content-type"), Some("application/json"), "no SOAPAction, so no SOAP 1.1");

    let answer = post(&gateway, &SOAP_11).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (401, Some("text/xml")));
    assert!(answer.header("www-authenticate").is_some());
    let parts = [
        "http://schemas.xmlsoap.org/soap/envelope/",
        "<faultcode>soapenv:Server</faultcode><faultstring>Invalid Credentials</faultstring>",
        "<detail>900901:Make sure you have provided the correct security credentials</detail>",
    ];
    for part in parts {
        assert!(answer.body.contains(part), "{part} in {}", answer.body);
    }

    let answer = post(&gateway, &SOAP_12).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (401, Some("application/soap+xml")));
    let parts = [
        "http://www.w3.org/2003/05/soap-envelope",
        "<soapenv:Value>soapenv:Receiver</soapenv:Value>",
        "<soapenv:Text xml:lang=\"en\">Invalid Credentials</soapenv:Text>",
        "<soapenv:Detail>900901:Make sure",
    ];
    for part in parts {
        assert!(answer.body.contains(part), "{part} in {}", answer.body);
    }
}

#[tokio::test]
async fn what_envoy_says_is_a_soap_fault_too() {
    let gateway = with(FAULTS, |_| "http://127.0.0.1:9".to_owned()).await;
    let token = format!("Bearer {}", gateway.token("").await.unwrap());
    let credentials = ("authorization", token.as_str());
    let version_1_1 = [&SOAP_11[..], &[credentials]].concat();
    let version_1_2 = [&SOAP_12[..], &[credentials]].concat();
    let plain = [("content-type", "text/xml"), credentials];
    for (headers, content_type, part) in [
        (&version_1_1, "text/xml", "<faultstring>Upstream connection failed</faultstring><detail>102503:<![CDATA["),
        (&version_1_2, "application/soap+xml", "<soapenv:Detail>102503:<![CDATA["),
        (&plain.to_vec(), "application/json", "\"code\":\"102503\""),
    ] {
        let answer = post(&gateway, headers).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (503, Some(content_type)), "{headers:?}");
        assert!(answer.body.contains(part), "{part} in {}", answer.body);
    }
}
