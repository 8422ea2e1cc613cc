//! Archives, and what looks like one.

use std::io::Write as _;

use proptest::prelude::*;
use serde_json::json;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::*;

const API: &str = "01234567-89ab-cdef-0123-456789abcdef";
const REVISION: &str = "fedcba98-7654-3210-fedc-ba9876543210";

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(contents).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn deployments(list: &Value) -> Vec<u8> {
    json!({"type": "deployments", "version": "v4.2.0", "data": {"deployments": list}}).to_string().into_bytes()
}

fn here() -> Vec<String> {
    vec!["Default".to_owned(), "Europe".to_owned()]
}

#[test]
fn apis_are_found_with_what_is_said_of_them() {
    let name = format!("{API}-{REVISION}.zip");
    let listed = deployments(&json!([
        {"apiFile": name, "organizationId": "carbon.super", "apiContext": "/a/1", "version": "1", "environments": [
            {"name": "Default", "vhost": "gw.example.com", "deployedTime": 5}, {"name": "Elsewhere", "vhost": "x"}]},
        {"apiFile": name, "environments": [{"name": "Europe", "vhost": "eu.example.com"}]},
        {"apiFile": "other-1.zip", "environments": [{"name": "Elsewhere"}]},
        {"apiFile": "lost-2.zip", "environments": [{"name": "Default"}]},
    ]));
    let configs = json!({"productionEndpoint": "http://p", "sandboxEndpoint": "http://s"});
    let properties = json!({"apis": {API: {
        "Default": {"envId": "1", "configs": configs}, "Europe": {"envId": "2", "configs": {"productionEndpoint": "http://q"}},
        "Elsewhere": {"configs": configs},
    }}});
    let bytes = zip(&[
        ("Deployments.JSON", &listed),
        ("env_properties.json", properties.to_string().as_bytes()),
        (&name.to_uppercase(), b"project"),
    ]);
    let items = read(&bytes, &here()).unwrap();
    assert_eq!(items.len(), 2);
    let found = &items[0].artifact;
    assert_eq!(
        (found.uuid.as_str(), found.revision.as_str(), found.organization.as_str()),
        (API, REVISION, "carbon.super")
    );
    let hosts: Vec<(&str, &str)> =
        found.environments.iter().map(|(name, host)| (name.as_str(), host.as_str())).collect();
    assert_eq!(hosts, [("Default", "gw.example.com"), ("Europe", "eu.example.com")]);
    assert_eq!(items[0].project.as_deref(), Ok(&b"project"[..]));
    assert_eq!(found.digest.len(), 64);
    let production = |environment: &str| found.endpoints[environment].production.as_deref();
    assert_eq!((production("Default"), production("Europe")), (Some("http://p"), Some("http://q")));
    assert_eq!(found.endpoints["Europe"].sandbox, None, "nothing is left of the one before");
    assert_eq!(found.endpoints.len(), 2);
    assert_eq!((items[1].artifact.uuid.as_str(), items[1].artifact.revision.as_str()), ("lost", "2"));
    assert!(items[1].project.as_ref().unwrap_err().contains("not in the archive"));
}

#[test]
fn a_broken_archive_says_nothing() {
    let good = deployments(&json!([]));
    assert!(read(&zip(&[(DEPLOYMENTS, &good)]), &here()).unwrap().is_empty());
    let half = {
        let mut bytes = zip(&[(DEPLOYMENTS, &good)]);
        bytes.truncate(bytes.len() / 2);
        bytes
    };
    for (bytes, part) in [
        (Vec::new(), "cannot be read"),
        (b"<html>".to_vec(), "cannot be read"),
        (half, "cannot be read"),
        (zip(&[("else.json", b"{}")]), "deployments.json"),
        (zip(&[(&format!("folder/{DEPLOYMENTS}"), &good)]), "deployments.json"),
        (zip(&[(DEPLOYMENTS, b"{")]), "no JSON"),
        (zip(&[(DEPLOYMENTS, b"{}")]), "data is missing"),
        (zip(&[(DEPLOYMENTS, b"{\"data\":{}}")]), "data.deployments is missing"),
        (zip(&[(DEPLOYMENTS, &deployments(&json!([{"environments": []}])))]), "apiFile is missing"),
        (zip(&[(DEPLOYMENTS, &deployments(&json!([{"apiFile": "-1.zip"}])))]), "apiFile cannot be understood"),
        (zip(&[(DEPLOYMENTS, &deployments(&json!([{"apiFile": "a\n-1.zip"}])))]), "apiFile cannot be understood"),
        (zip(&[(DEPLOYMENTS, &deployments(&json!([{"apiFile": "a-1.zip"}])))]), "environments is missing"),
        (
            zip(&[(DEPLOYMENTS, &deployments(&json!([{"apiFile": "a-1.zip", "environments": {}}])))]),
            "environments is missing",
        ),
        (zip(&[(DEPLOYMENTS, &good), (PROPERTIES, b"[]")]), "env_properties.json"),
        (zip(&[(DEPLOYMENTS, &good), (PROPERTIES, b"{\"apis\": 5}")]), "env_properties.json"),
    ] {
        let error = read(&bytes, &here()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_archive_or_an_error(bytes: Vec<u8>, listed in "\\PC{0,60}") {
        let _ = read(&bytes, &here());
        let _ = read(&zip(&[(DEPLOYMENTS, listed.as_bytes()), (PROPERTIES, &bytes)]), &here());
    }
}
