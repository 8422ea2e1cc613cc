//! A GraphQL schema.
#![no_main]

use tollgate_fuzz::{GRAPHQL, check_with};

libfuzzer_sys::fuzz_target!(|data: &[u8]| check_with(GRAPHQL, "Definitions/schema.graphql", data));
