//! What holds for every API of a gateway.

use serde::{Deserialize, Serialize};

/// Global configuration of the filters: the only entry of the `settings` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Header that carries the access token unless an API names another. Lower case.
    pub authorization_header: String,
    /// Whether the backend gets the access token (`security.authHeader.enableOutboundAuthHeader`).
    #[serde(default)]
    pub forward_authorization: bool,
    /// Seconds a clock may be wrong when `exp` and `nbf` are checked.
    pub clock_skew_seconds: u32,
    /// Whether callers who speak SOAP are refused with SOAP faults (`adapter.soapErrorInXMLEnabled`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub soap_faults: bool,
}

impl Default for Settings {
    /// The defaults of Choreo Connect.
    fn default() -> Self {
        Self {
            authorization_header: "authorization".to_owned(),
            forward_authorization: false,
            clock_skew_seconds: 5,
            soap_faults: false,
        }
    }
}
