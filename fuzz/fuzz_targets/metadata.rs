//! An api.yaml or api.json, beside definitions of every kind, of which it chooses one.
#![no_main]

use tollgate_fuzz::{ASYNCAPI, OPENAPI, SCHEMA, check_all};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let file = if data.starts_with(b"{") { "api.json" } else { "api.yaml" };
    check_all(&[
        (file, data),
        ("Definitions/asyncapi.yaml", ASYNCAPI.as_bytes()),
        ("Definitions/schema.graphql", SCHEMA.as_bytes()),
        ("Definitions/swagger.yaml", OPENAPI.as_bytes()),
    ]);
});
