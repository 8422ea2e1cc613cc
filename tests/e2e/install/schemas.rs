//! The published schemas of Kubernetes and Istio, which `tests/schemas` keeps.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::{Map, Value};
use tollgate_tests::locate;

const DEFINITIONS: &str = "$defs";

/// All documents of a YAML text.
pub fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("no YAML: {error}\n{text}"))
}

/// `kind name` of an object.
pub fn title(object: &Value) -> String {
    format!("{} {}", object["kind"].as_str().unwrap_or("?"), object["metadata"]["name"].as_str().unwrap_or("?"))
}

/// Panics unless the object is one that Kubernetes or Istio declares, in every field.
pub fn conforms(object: &Value) {
    let text = |name: &str| object[name].as_str().unwrap_or_default();
    let key = format!("{}/{}", text("apiVersion"), text("kind"));
    let validator = validators().get(&key).unwrap_or_else(|| panic!("there is no schema of {key}: {object:#}"));
    let errors: Vec<String> =
        validator.iter_errors(object).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{}: {errors:#?}", title(object));
}

fn validators() -> &'static BTreeMap<String, jsonschema::Validator> {
    static ALL: OnceLock<BTreeMap<String, jsonschema::Validator>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all = BTreeMap::new();
        for file in ["kubernetes.json", "istio.json"] {
            let text = std::fs::read_to_string(locate::root().join("tests/schemas").join(file)).unwrap();
            let mut kinds: Map<String, Value> = serde_json::from_str(&text).unwrap();
            let definitions = kinds.remove(DEFINITIONS);
            for (key, mut schema) in kinds {
                if let Some(definitions) = &definitions {
                    schema[DEFINITIONS] = definitions.clone();
                }
                let validator = jsonschema::draft7::new(&schema).unwrap_or_else(|error| panic!("{key}: {error}"));
                all.insert(key, validator);
            }
        }
        all
    })
}

#[test]
fn the_schemas_find_what_is_wrong() {
    let good = serde_json::json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "a" }, "spec": { "ports": [{ "port": 1 }] },
    });
    conforms(&good);
    for (pointer, value) in [
        ("/spec/ports/0/port", serde_json::json!("one")),
        ("/spec/ports/0", serde_json::json!({ "prt": 1 })),
        ("/spec/ports/0", serde_json::json!({ "port": 1, "portt": 1 })),
        ("/kind", serde_json::json!("Servise")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(std::panic::catch_unwind(|| conforms(&bad)).is_err(), "{bad}");
    }
    let plugin = serde_json::json!({
        "apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin", "metadata": {},
        "spec": { "url": "x", "failStrategy": "FAIL_SOMEHOW" },
    });
    assert!(std::panic::catch_unwind(|| conforms(&plugin)).is_err());
}
