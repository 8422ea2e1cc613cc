//! A definition of a policy, as a project may have it: read, and rendered with values of every type.
#![no_main]

use tollgate_gotemplate::{MAX_OUTPUT, Template};

libfuzzer_sys::fuzz_target!(|source: &str| {
    let Ok(template) = Template::parse(source) else { return };
    let values = serde_json::json!({
        "x": "value", "empty": "", "yes": true, "no": false, "n": 7, "list": ["a", 1, null], "map": {"x": {"y": "z"}},
    });
    if let Ok(text) = template.render(&values) {
        assert!(text.len() <= MAX_OUTPUT);
    }
});
