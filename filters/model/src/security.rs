//! Who may call: what an operation accepts, what an API asks of the connection, and keys the gateway itself knows.

use serde::{Deserialize, Serialize};

/// Who may call an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Security {
    /// Anyone (`x-wso2-disable-security`, `x-auth-type: None`).
    Unsecured,
    /// The bearer of an access token of a known issuer.
    #[serde(rename = "oauth2")]
    OAuth2 {
        /// The token must hold at least one of them; none means any token will do.
        #[serde(default)]
        scopes: Vec<String>,
    },
    /// Who meets one of several requirements. Filters that do not know this kind deny the API.
    AnyOf {
        /// At least one.
        requirements: Vec<Requirement>,
        /// Asked of callers who are known by their access token, and of nobody else.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        scopes: Vec<String>,
    },
}

impl Security {
    /// The scopes of which an access token must hold one; none means any token will do.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        match self {
            Self::Unsecured => &[],
            Self::OAuth2 { scopes } | Self::AnyOf { scopes, .. } => scopes,
        }
    }

    /// The alternatives, of which one must be met; none when nothing is asked for.
    #[must_use]
    pub fn requirements(&self) -> &[Requirement] {
        match self {
            Self::Unsecured => &[],
            Self::OAuth2 { .. } => std::slice::from_ref(&TOKEN),
            Self::AnyOf { requirements, .. } => requirements,
        }
    }
}

/// Credentials that are all needed at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requirement {
    /// Whether an access token is among them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub token: bool,
    /// Places that must hold an API key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_keys: Vec<ApiKeyPlace>,
    /// Whether the connection must say which workload calls (a SPIFFE ID), and the workload be that of an application.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub workload: bool,
}

static TOKEN: Requirement = Requirement::TOKEN;

impl Requirement {
    /// An access token alone.
    pub const TOKEN: Self = Self { token: true, api_keys: Vec::new(), workload: false };

    /// The identity of the calling workload alone.
    pub const WORKLOAD: Self = Self { token: false, api_keys: Vec::new(), workload: true };

    /// An API key alone.
    #[must_use]
    pub fn api_key(place: ApiKeyPlace) -> Self {
        Self { token: false, api_keys: vec![place], workload: false }
    }
}

/// Where a request carries an API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "in", rename_all = "camelCase")]
pub enum ApiKeyPlace {
    /// A header.
    Header {
        /// Its name in lower case.
        name: String,
    },
    /// A parameter of the query.
    Query {
        /// Its name, decoded, with regard to case.
        name: String,
    },
}

/// What an API makes of the certificates of its callers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MutualSsl {
    /// Whether nobody gets in without one of the certificates.
    pub mandatory: bool,
    /// Whether those who have one need a token or key besides. Without a mandatory certificate everybody does.
    pub application_security: bool,
    /// Certificates that are accepted.
    pub certificates: Vec<ClientCertificate>,
}

/// A certificate of a caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientCertificate {
    /// Name in the project.
    pub alias: String,
    /// Who it belongs to: the distinguished name of its subject.
    pub subject: String,
    /// Subscription tier of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// SHA-256 of the certificate in DER, in lower-case hexadecimal digits.
    pub sha256: String,
}
