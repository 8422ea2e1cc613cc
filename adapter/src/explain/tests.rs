//! Explanations over a world of the adapter.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate_model::{DenyCondition, Secret};

use super::*;
use crate::inputs::project::{CompileOptions, ProjectFiles, compile};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// The sample API on the host of an environment.
fn world() -> World {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/projects/petstore");
    let path = std::path::Path::new(folder);
    let files: ProjectFiles = crate::inputs::folder::read(path, path).unwrap();
    let compiled = compile(&files.without_top_folder(), &CompileOptions::default()).unwrap();
    let deployments = compiled.targets.iter().map(|(host, environments)| {
        let deployment = compiled.blueprint.on(host, environments.clone());
        (deployment.key(), Arc::new(deployment))
    });
    let environments = BTreeMap::from([("Default".to_owned(), "localhost".to_owned())]);
    World { deployments: deployments.collect(), environments, ..World::default() }
}

fn get(api: Option<&str>, path: &str) -> Request {
    let text = |text: &str| text.to_owned();
    Request {
        environment: text("Default"),
        api: api.map(text),
        method: text("GET"),
        path: text(path),
        ..Request::default()
    }
}

fn explained(world: &World, request: &Request) -> String {
    match explain(world, request, NOW) {
        Ok(explanation) => text::render(&serde_json::to_value(&explanation).unwrap()),
        Err(error) => format!("error: {error}"),
    }
}

#[track_caller]
fn check(request: &Request, expected: &[&str]) {
    let shown = explained(&world(), request);
    for wanted in expected {
        assert!(shown.contains(wanted), "{wanted:?} is not in\n{shown}");
    }
}

#[test]
fn an_api_may_be_named_in_every_way() {
    let at = ["GET localhost/petstore/1.0.5/pet/1\n", "admit: passed", "authenticate: refused 401 900901"];
    for name in ["SwaggerPetstore", "SwaggerPetstore:1.0.5"] {
        check(&get(Some(name), "/pet/1"), &at);
    }
    check(&Request { host: Some("localhost".to_owned()), ..get(None, "/petstore/1.0.5/pet/1") }, &at);
    check(&get(Some("Nothing"), "/pet/1"), &["error: Default has no API Nothing"]);
    check(&get(Some("SwaggerPetstore:2"), "/pet/1"), &["error: Default has no API"]);
    check(&get(None, "/pet/1"), &["error: no host is given"]);
    let elsewhere = Request { environment: "Moon".to_owned(), ..get(None, "/") };
    check(&elsewhere, &["error: there is no environment \"Moon\"; there is Default"]);
}

#[test]
fn a_token_is_told_what_is_wrong_with_it_and_never_shown() {
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4IiwiZXhwIjoxfQ.c2VjcmV0";
    let request = Request { token: Some(Secret::from(token.to_owned())), ..get(Some("SwaggerPetstore"), "/pet/1?a=b") };
    check(&request, &["issuer \"x\": unknown", "no token service accepts tokens of its `iss`", "is answered 401"]);
    let shown = explained(&world(), &request);
    assert!(!shown.contains("c2VjcmV0") && !shown.contains("a=b"), "{shown}");
}

#[test]
fn what_an_administrator_has_laid_down_counts() {
    let mut world = world();
    let context = "/petstore/1.0.5".to_owned();
    world.throttle.deny.insert(b"deny\0one".as_slice().into(), DenyCondition::Api { context });
    let shown = explained(&world, &get(Some("SwaggerPetstore"), "/health"));
    assert!(shown.contains("limit: refused 403 900805"), "{shown}");
}
