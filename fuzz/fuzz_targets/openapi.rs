//! An OpenAPI 3 or Swagger 2 definition, as YAML or JSON, of an API and of a mocked one.
#![no_main]

use tollgate_fuzz::{HTTP, MOCKED, check_all};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let file = if data.starts_with(b"{") { "Definitions/swagger.json" } else { "Definitions/swagger.yaml" };
    for metadata in [HTTP, MOCKED] {
        check_all(&[("api.yaml", metadata.as_bytes()), (file, data)]);
    }
});
