//! What requests leave behind for access logs.

use std::rc::Rc;

use tollgate_model::Settings;

use super::*;

const PATH: &str = "GET /pets/1.0/pet/5?apikey=hush";

fn recording() -> TestDirectory {
    let mut directory = TestDirectory::new(api());
    directory.settings = Some(Settings { usage_records: true, ..Settings::default() });
    directory
}

fn record(directory: &TestDirectory, line: &str, headers: &[(&str, &str)]) -> Option<serde_json::Value> {
    let record = match decide_with(directory, &request(line, headers), &Answers::default()) {
        Decision::Forward(edits) => edits.record,
        Decision::Reply(reply) => reply.record,
        Decision::Ask(question) => panic!("{question:?}"),
    };
    let record: Rc<[u8]> = record?;
    assert!(!record.iter().any(u8::is_ascii_control), "a line has no line breaks");
    Some(serde_json::from_slice(&record).unwrap())
}

#[track_caller]
fn check(line: &str, headers: &[(&str, &str)], expected: serde_json::Value) {
    assert_eq!(record(&recording(), line, headers), Some(expected), "{line}");
    assert_eq!(record(&TestDirectory::new(api()), line, headers), None, "nothing is recorded unless it is wanted");
}

#[test]
fn records_say_who_called_what_and_what_became_of_it() {
    let bearer = format!("Bearer {}", token(json!({"azp": "ck", "sub": "alice"})));
    let credentials = [("authorization", bearer.as_str())];
    let operation = json!({
        "virtualHost": "localhost", "api": "pets", "apiName": "Pets", "apiVersion": "1.0",
        "organization": "carbon.super", "resource": "/pet/{id}", "method": "GET",
    });
    let with = |more: serde_json::Value| {
        let mut all = operation.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    // Nobody validates subscriptions here, so the application is the one of everybody.
    let forwarded = json!({
        "outcome": "forwarded", "keyType": "PRODUCTION", "application": "fc27aca9-3e9c-3c07-a8fa-6eb41b1d6f95",
        "applicationName": "anon:test", "subscriber": "unknown", "tier": "Unlimited",
    });
    let mut seen = record(&recording(), PATH, &credentials).unwrap();
    let application = seen["application"].clone();
    assert!(application.as_str().is_some_and(|uuid| uuid.len() == 36), "{application}");
    seen["application"] = forwarded["application"].clone();
    assert_eq!(seen, with(forwarded));
    check(PATH, &[], with(json!({"outcome": "answered", "code": "900901"})));
    check("GET /nowhere", &[], json!({"outcome": "answered", "code": "404"}));
}

#[test]
fn records_hold_no_credential() {
    let bearer = format!("Bearer {}", token(json!({"azp": "ck"})));
    let record = record(&recording(), PATH, &[("authorization", &bearer)]).unwrap().to_string();
    let signature = bearer.rsplit('.').next().unwrap();
    assert!(!record.contains(signature) && !record.contains("hush"), "{record}");
}
