//! A GraphQL schema, and what api.yaml may say of the costs of its fields.
#![no_main]

use tollgate_fuzz::{GRAPHQL, check_all};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    check_all(&[("api.yaml", GRAPHQL.as_bytes()), ("Definitions/schema.graphql", data)]);
});
