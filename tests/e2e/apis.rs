//! The APIs that several tests use.

use tollgate_tests::{ApiProject, Backend};

/// Base path of [`pets`].
pub const PETS: &str = "/pets/1.0.0";

/// Body of the 401 for missing or wrong credentials, exactly.
pub const INVALID_CREDENTIALS: &str = r#"{"error_message":"Invalid Credentials","code":"900901","error_description":"Make sure you have provided the correct security credentials"}"#;

/// Body of the 404, exactly.
pub const NOT_FOUND: &str =
    r#"{"error_message":"Not Found","code":"404","error_description":"The requested resource is not available."}"#;

/// An API with a resource of every kind, and no sandbox backend.
pub fn pets(backend: &Backend) -> ApiProject {
    ApiProject::new("Pets", "1.0.0", "/pets")
        .production(&format!("{}/v2", backend.url()))
        .secured("GET", "/pet/{petId}")
        .secured("POST", "/pet")
        .secured("GET", "/files/*")
        .scoped("GET", "/admin", &["admin:read", "admin:write"])
        .unsecured("GET", "/health")
}

/// An API that only says whether it is there.
pub fn probe(backend: &Backend, context: &str) -> ApiProject {
    ApiProject::new(&format!("Probe{}", context.replace('/', "-")), "1.0.0", context)
        .production(&backend.url())
        .unsecured("GET", "/up")
}
