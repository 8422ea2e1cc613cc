use envoy_types::pb::envoy::config::core::v3::SocketAddress;
use envoy_types::pb::envoy::data::accesslog::v3::{HttpRequestProperties, HttpResponseProperties, ResponseFlags};
use envoy_types::pb::google::protobuf::UInt32Value;
use serde_json::{Value, json};

use super::*;

/// Answered by its backend after 12 ms, 3 of which it took to get there and 2 to get back to the client.
fn entry(record: &Value, status: u32, details: &str) -> HttpAccessLogEntry {
    let record = BytesValue { value: record.to_string().into_bytes() };
    let state = Any { type_url: BytesValue::type_url(), value: record.encode_to_vec() };
    let after = |millis: i32| Some(Duration { seconds: 0, nanos: millis * 1_000_000 });
    let at = |address: &str, port| {
        let port_specifier = Some(socket_address::PortSpecifier::PortValue(port));
        let socket = SocketAddress { address: address.to_owned(), port_specifier, ..SocketAddress::default() };
        Some(Address { address: Some(address::Address::SocketAddress(socket)) })
    };
    HttpAccessLogEntry {
        common_properties: Some(AccessLogCommon {
            start_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 5_000_000 }),
            downstream_remote_address: at("10.0.0.7", 1234),
            upstream_remote_address: at("10.0.0.8", 9080),
            upstream_cluster: "prod".to_owned(),
            time_to_first_upstream_tx_byte: after(3),
            time_to_last_upstream_rx_byte: after(10),
            time_to_last_downstream_tx_byte: after(12),
            filter_state_objects: [("wasm.tollgate".to_owned(), state)].into(),
            ..AccessLogCommon::default()
        }),
        request: Some(HttpRequestProperties {
            request_id: "id-1".to_owned(),
            user_agent: "curl/8".to_owned(),
            request_headers: [("x-team".to_owned(), "a".to_owned())].into(),
            ..HttpRequestProperties::default()
        }),
        response: Some(HttpResponseProperties {
            response_code: Some(UInt32Value { value: status }),
            response_code_details: details.to_owned(),
            ..HttpResponseProperties::default()
        }),
        ..HttpAccessLogEntry::default()
    }
}

fn usage(more: Value) -> Value {
    let mut record = json!({
        "virtualHost": "localhost", "api": "pets", "apiName": "Pets", "apiVersion": "1.0", "organization": "carbon.super",
        "resource": "/pet/{id}", "method": "GET", "keyType": "PRODUCTION", "application": "u-1",
        "applicationName": "Web \"shop\"\n", "subscriber": "alice", "tier": "Gold",
    });
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

/// The name of the metric, and its properties.
fn parsed(entry: &HttpAccessLogEntry) -> Option<(String, Value)> {
    let line = line(entry, &World::default())?;
    assert!(line.ends_with('\n') && line.trim_end().lines().count() == 1, "{line:?}");
    let (head, properties) = line.split_once(", properties :").unwrap();
    let name = head.strip_prefix("2023-11-14T22:13:20.005Z INFO ELKCounterMetric apimMetrics: ").unwrap();
    Some((name.to_owned(), serde_json::from_str(properties).unwrap()))
}

#[test]
fn served_requests_are_told_with_their_times() {
    let (name, event) = parsed(&entry(&usage(json!({"outcome": "forwarded"})), 404, "via_upstream")).unwrap();
    assert_eq!(name, "apim:response");
    let expected = json!({
        "requestTimestamp": "2023-11-14T22:13:20.005Z", "correlationId": "id-1", "apiId": "pets", "apiName": "Pets",
        "apiVersion": "1.0", "apiType": "UNKNOWN", "apiCreator": "UNKNOWN", "apiCreatorTenantDomain": "carbon.super",
        "apiMethod": "GET", "apiResourceTemplate": "/pet/{id}", "applicationId": "u-1",
        "applicationName": "Web \"shop\"\n", "applicationOwner": "alice", "keyType": "PRODUCTION", "regionId": "UNKNOWN",
        "gatewayType": "ENVOY", "proxyResponseCode": 404, "targetResponseCode": 404, "eventType": "response",
        "destination": "10.0.0.8:9080", "apiContext": "UNKNOWN", "userName": "UNKNOWN", "userAgent": "curl/8",
        "userIp": "10.0.0.7", "responseCacheHit": false, "responseLatency": 12, "backendLatency": 7,
        "requestMediationLatency": 3, "responseMediationLatency": 2, "properties": {"x-team": "a"},
    });
    assert_eq!(event, expected);
    let (name, mock) =
        parsed(&entry(&usage(json!({"outcome": "answered", "code": "mock"})), 200, "tollgate_mock")).unwrap();
    assert_eq!((name.as_str(), &mock["targetResponseCode"]), ("apim:response", &json!(-1)));
    let times = ["responseLatency", "backendLatency", "requestMediationLatency", "responseMediationLatency"];
    assert_eq!(times.map(|time| mock[time].as_u64()), [Some(12), Some(0), Some(12), Some(0)]);
}

#[test]
fn faults_have_the_kinds_of_the_original() {
    for (code, status, kind, message) in [
        ("900901", 401, "AUTH", "AUTHENTICATION_FAILURE"),
        ("900910", 403, "AUTH", "AUTHORIZATION_FAILURE"),
        ("900908", 403, "AUTH", "SUBSCRIPTION_VALIDATION_FAILURE"),
        ("700700", 503, "AUTH", "SUBSCRIPTION_VALIDATION_FAILURE"),
        ("403", 403, "AUTH", "OTHER"),
        ("900805", 403, "THROTTLED", "BLOCKED"),
        ("900804", 429, "THROTTLED", "SUBSCRIPTION_LIMIT_EXCEEDED"),
        ("900807", 429, "THROTTLED", "OTHER"),
        ("102500_evidence", 500, "OTHER", "UNCLASSIFIED"),
    ] {
        let (name, event) =
            parsed(&entry(&usage(json!({"outcome": "answered", "code": code})), status, "tollgate")).unwrap();
        let found = (name.as_str(), event["errorType"].as_str(), event["errorMessage"].as_str());
        assert_eq!(found, ("apim:faulty", Some(kind), Some(message)), "{code}");
        let number: i64 = code.split('_').next().unwrap().parse().unwrap();
        assert_eq!((event["errorCode"].as_i64(), &event["userIp"]), (Some(number), &Value::Null), "{code}");
    }
    let mut down = entry(&usage(json!({"outcome": "forwarded"})), 503, "upstream_reset_before_response_started");
    let flags = ResponseFlags { upstream_connection_failure: true, ..ResponseFlags::default() };
    down.common_properties.as_mut().unwrap().response_flags = Some(flags);
    let (_, event) = parsed(&down).unwrap();
    assert_eq!((&event["errorType"], &event["errorCode"]), (&json!("TARGET_CONNECTIVITY"), &json!(101_500)));
}

#[test]
fn what_is_no_use_of_an_api_is_not_told() {
    for (record, status, details) in [
        (usage(json!({"outcome": "answered", "code": "404"})), 404, "tollgate_404"),
        (usage(json!({"outcome": "answered", "code": "preflight"})), 200, "tollgate_preflight"),
        (usage(json!({"outcome": "forwarded"})), 101, "via_upstream"),
        (usage(json!({"outcome": "forwarded"})), 404, "route_not_found"),
        (json!(null), 200, "via_upstream"),
    ] {
        assert_eq!(parsed(&entry(&record, status, details)), None, "{record} {details}");
    }
    // Requests for pages of the gateway leave no record.
    let mut without = entry(&json!({}), 200, "direct_response");
    without.common_properties.as_mut().unwrap().filter_state_objects.clear();
    assert_eq!(parsed(&without), None);
    assert_eq!(line(&HttpAccessLogEntry::default(), &World::default()), None);
}

proptest::proptest! {
    /// Whatever a gateway sends, there is one line or none.
    #[test]
    fn whatever_is_logged_is_one_line_or_none(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        text in "\\PC{0,40}|[\n\r\t\"\\\\]{0,10}",
        code in "[0-9a-z_]{0,12}",
        status in proptest::prelude::any::<u32>(),
        seconds in proptest::prelude::any::<i64>(),
        nanos in proptest::prelude::any::<i32>(),
    ) {
        let usage = json!({"outcome": "answered", "code": code, "apiName": text, "subscriber": text});
        let mut entry = entry(&usage, status, "tollgate");
        let common = entry.common_properties.as_mut().unwrap();
        common.start_time = Some(Timestamp { seconds, nanos });
        common.time_to_last_downstream_tx_byte = Some(Duration { seconds, nanos });
        let told = line(&entry, &World::default());
        let is_line = |line: &String| line.ends_with('\n') && line.matches(['\n', '\r']).count() == 1;
        proptest::prop_assert!(told.iter().all(is_line), "{told:?}");
        // Anything may stand where the record should be.
        let state = Any { type_url: BytesValue::type_url(), value: bytes };
        entry.common_properties.as_mut().unwrap().filter_state_objects.insert("wasm.tollgate".to_owned(), state);
        proptest::prop_assert!(line(&entry, &World::default()).iter().all(is_line));
    }
}
