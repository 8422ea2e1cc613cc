//! What requests leave behind for access logs.

use std::rc::Rc;

use tollgate_model::Settings;

use super::*;

type Part = fn(&Cx, Option<&[u8]>) -> parts::Decided;

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
        other => panic!("{other:?}"),
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

/// The module that observes stands anywhere: it says what it knows, lets everything pass and leaves word as it was.
#[test]
fn observing_needs_nobody_and_refuses_nobody() {
    let bearer = format!("Bearer {}", token(json!({"azp": "ck"})));
    let observed = |line: &str, chain: &[Part], directory: &TestDirectory| {
        let request = request(line, &[("authorization", &bearer)]);
        let (answers, connection, now) = (Answers::default(), TestConnection::default(), Timestamp(NOW * 1000));
        let callbacks = Callbacks::NONE;
        let cx = Cx { directory, request: &request, answers: &answers, connection: &connection, now, callbacks };
        let evidence =
            chain.iter().fold(None, |evidence: Option<Vec<u8>>, part| part(&cx, evidence.as_deref()).evidence);
        let parts::Decided { decision, evidence } = parts::observe(&cx, evidence.as_deref());
        let Decision::Forward(Edits { record, .. }) = decision else { panic!("{line}: {decision:?}") };
        assert_eq!(evidence, None);
        record.map(|record| serde_json::from_slice::<serde_json::Value>(&record).unwrap())
    };
    let known = |record: &serde_json::Value| {
        ["outcome", "apiName", "keyType"].map(|name| record[name].as_str().unwrap_or_default().to_owned())
    };
    let directory = recording();
    let chain: [Part; 3] = [parts::authenticate, parts::authorize, parts::limit];
    for (line, chain, expected) in [
        (PATH, &chain[..], ["forwarded", "Pets", "PRODUCTION"]),
        (PATH, &chain[..1], ["forwarded", "Pets", "PRODUCTION"]),
        (PATH, &[], ["forwarded", "Pets", ""]),
        ("GET /nowhere", &[], ["forwarded", "", ""]),
    ] {
        let record = observed(line, chain, &directory).unwrap();
        assert_eq!(known(&record), expected, "{line} {}", chain.len());
    }
    assert_eq!(observed(PATH, &chain, &TestDirectory::new(api())), None, "nothing is recorded unless it is wanted");
}

/// Whose quota was used up is said, by one module or by several.
#[test]
fn records_of_refusals_name_the_application() {
    let mut directory = recording();
    directory.api.tier = Some("None".to_owned());
    let tier = tollgate_model::Tier {
        limits: vec![tollgate_model::Limit {
            amount: 1,
            unit: tollgate_model::QuotaUnit::Requests,
            window: tollgate_model::Window { count: 1, unit: tollgate_model::TimeUnit::Minute },
        }],
        ..tollgate_model::Tier::named("None")
    };
    directory.subscribers.tiers.insert((tollgate_model::TierKind::Api, "None".to_owned()), tier);
    let exhausted = crate::Stock::Exhausted { until: Timestamp(1) };
    directory.quotas.stock.insert("api|/pets/1.0:1.0".to_owned(), exhausted);
    let bearer = format!("Bearer {}", token(json!({"azp": "ck"})));
    let record = record(&directory, PATH, &[("authorization", &bearer)]).unwrap();
    assert_eq!((&record["code"], &record["applicationName"]), (&json!("900800"), &json!("anon:test")), "{record}");
}
