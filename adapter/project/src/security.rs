//! Who may call an operation, from the definition and from api.yaml. In doubt an operation is secured.

use serde_json::Value;
use tollgate_model::{ApiKeyPlace, Requirement, Security};

use super::dialect::Dialect;
use super::document::Node;
use super::names;
use super::unsupported::{did_you_mean, refuse};
use crate::model::Problems;

/// Header, and parameter of the query, of the API keys that api.yaml asks for.
const MANDATORY: &str = "oauth_basic_auth_api_key_mandatory";
/// What `securityScheme` may list.
const KNOWN: [&str; 7] = ["oauth2", "api_key", "mutualssl", "mutualssl_mandatory", "spiffe", "basic_auth", MANDATORY];
/// What becomes of a scheme that nobody can tell the meaning of.
const WITHOUT_MEANING: &str = "callers are asked for a token, as they are where nothing is said";
const API_KEY: &str = "apikey";
/// Most bytes in the name of a parameter.
const MAX_PARAMETER: usize = 255;

/// What `securityScheme` of api.yaml lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NamedSchemes {
    /// `oauth2`: access tokens are accepted.
    pub oauth2: bool,
    /// `api_key`: API keys are accepted, in the header or the query.
    pub api_key: bool,
    /// `mutualssl`: certificates of callers count.
    pub mutual_ssl: bool,
    /// `mutualssl_mandatory`: nobody gets in without one.
    pub mutual_ssl_mandatory: bool,
    /// `spiffe`: callers known by the identity of their workload are accepted (an addition).
    pub spiffe: bool,
    /// `oauth_basic_auth_api_key_mandatory`: with a certificate a token or key is needed besides.
    pub application_security: bool,
}

impl NamedSchemes {
    /// An api.yaml that lists none.
    pub const NONE: Self = Self {
        oauth2: false,
        api_key: false,
        mutual_ssl: false,
        mutual_ssl_mandatory: false,
        application_security: false,
        spiffe: false,
    };

    /// Reads the list among the members of `data`.
    pub fn read(data: &Node<'_>, problems: &mut Problems) -> Self {
        let mut named = Self::NONE;
        for item in data.get("securityScheme").map(|list| list.items(problems)).unwrap_or_default() {
            match item.text(problems) {
                None => {}
                Some("oauth2") => named.oauth2 = true,
                Some("api_key") => named.api_key = true,
                Some("mutualssl") => named.mutual_ssl = true,
                Some("mutualssl_mandatory") => named.mutual_ssl_mandatory = true,
                Some("spiffe") => named.spiffe = true,
                Some(MANDATORY) => named.application_security = true,
                // Says what holds anyway.
                Some("oauth_basic_auth_api_key_optional") => {}
                Some("basic_auth") => {
                    item.warn(
                        problems,
                        "basic_auth is not accepted by a gateway",
                        "callers need an access token",
                        "remove it",
                    );
                }
                Some(other) => {
                    let what = format!("{other} is no known security scheme");
                    match did_you_mean(other, KNOWN) {
                        Some(close) => {
                            let why = "the API would be served with other security than it was meant to have";
                            item.error(problems, what, why, &format!("did you mean {close}?"));
                        }
                        None => item.warn(problems, what, "it has no effect", "remove it"),
                    }
                }
            }
        }
        named
    }

    /// Whether the schemes of the definition do not count.
    const fn replaces(self) -> bool {
        self.oauth2 || self.api_key
    }

    /// Security of an operation whose definition names no schemes.
    pub fn security(self, scopes: Vec<String>) -> Security {
        secured(self.or_workload(self.requirements()), scopes)
    }

    /// Security of an operation that no definition describes: access tokens, and API keys where they are named.
    pub fn with_scopes(self, scopes: Vec<String>) -> Security {
        secured(self.or_workload(Self { oauth2: true, ..self }.requirements()), scopes)
    }

    fn requirements(self) -> Vec<Requirement> {
        let token = self.oauth2.then_some(Requirement::TOKEN);
        let places =
            [ApiKeyPlace::Header { name: API_KEY.to_owned() }, ApiKeyPlace::Query { name: API_KEY.to_owned() }];
        let keys = places.into_iter().filter(|_| self.api_key).map(Requirement::api_key);
        token.into_iter().chain(keys).collect()
    }

    /// The same, or the identity of a workload where api.yaml accepts it, unless they say themselves where it counts.
    fn or_workload(self, mut requirements: Vec<Requirement>) -> Vec<Requirement> {
        if self.spiffe && !requirements.iter().any(|requirement| requirement.workload) {
            if requirements.is_empty() {
                requirements.push(Requirement::TOKEN);
            }
            requirements.push(Requirement::WORKLOAD);
        }
        requirements
    }
}

/// What older filters know as well is written as they know it. Nothing to meet means a token.
fn secured(requirements: Vec<Requirement>, scopes: Vec<String>) -> Security {
    if requirements.iter().all(|requirement| *requirement == Requirement::TOKEN) {
        Security::OAuth2 { scopes }
    } else {
        Security::AnyOf { requirements, scopes }
    }
}

/// What decides about security above a single operation.
#[derive(Debug, Clone)]
pub struct Schemes<'v> {
    definition: Node<'v>,
    dialect: Dialect,
    named: NamedSchemes,
}

/// What one name in a requirement of the definition asks for.
enum Scheme {
    OAuth2,
    /// Basic and bearer schemes mean the access token; roles of OpenAPI 3.1 are not read.
    Http,
    ApiKey(ApiKeyPlace),
    /// The identity of the workload that calls.
    Workload,
    /// api.yaml replaces it, or a problem was reported.
    Nothing,
}

impl<'v> Schemes<'v> {
    /// The schemes of that definition, unless api.yaml names others.
    #[must_use]
    pub const fn new(definition: Node<'v>, dialect: Dialect, named: NamedSchemes) -> Self {
        Self { definition, dialect, named }
    }

    /// Security of an operation. `above` says whether its path or its API disables security.
    pub fn of(&self, operation: &Node<'v>, above: bool, problems: &mut Problems) -> Security {
        let unsecured = disabled(operation, problems).unwrap_or(above);
        // Read in any case, so that an unsupported scheme is not discovered only when security is switched on.
        let (defined, scopes) = self.defined(operation, problems);
        if unsecured {
            return Security::Unsecured;
        }
        let requirements = if self.named.replaces() { self.named.requirements() } else { defined };
        secured(self.named.or_workload(requirements), scopes)
    }

    /// What the definition asks for, and the first non-empty list of scopes, which is the one the original reads.
    fn defined(&self, operation: &Node<'v>, problems: &mut Problems) -> (Vec<Requirement>, Vec<String>) {
        let Some(list) = operation.get("security").or_else(|| self.definition.get("security")) else {
            return (Vec::new(), Vec::new());
        };
        let (mut requirements, mut found) = (Vec::new(), Vec::new());
        for item in list.items(problems) {
            let (requirement, scopes) = self.requirement(&item, problems);
            if found.is_empty() {
                found = scopes;
            }
            if !requirements.contains(&requirement) {
                requirements.push(requirement);
            }
        }
        (requirements, found)
    }

    /// All members of a requirement must be met. One that asks for nothing asks for a token: nothing is open unless
    /// security is disabled.
    fn requirement(&self, item: &Node<'v>, problems: &mut Problems) -> (Requirement, Vec<String>) {
        let mut requirement = Requirement { token: false, api_keys: Vec::new(), workload: false };
        let mut found: Vec<String> = Vec::new();
        for (name, scopes) in item.members(problems) {
            match self.scheme(name, &scopes, problems) {
                scheme @ (Scheme::OAuth2 | Scheme::Workload) => {
                    match scheme {
                        Scheme::Workload => requirement.workload = true,
                        _ => requirement.token = true,
                    }
                    let scopes = scopes.texts(problems);
                    if !scopes.is_empty() && !found.is_empty() {
                        refuse(item, "a requirement of several lists of scopes at once", problems);
                    } else if !scopes.is_empty() {
                        found = scopes.into_iter().map(str::to_owned).collect();
                    }
                }
                Scheme::Http => requirement.token = true,
                Scheme::ApiKey(place) => requirement.api_keys.push(place),
                Scheme::Nothing => {}
            }
        }
        requirement.token |= requirement.api_keys.is_empty() && !requirement.workload;
        (requirement, found)
    }

    fn scheme(&self, name: &str, node: &Node<'v>, problems: &mut Problems) -> Scheme {
        let schemes = self.dialect.security_schemes(&self.definition);
        let scheme = schemes.and_then(|schemes| schemes.get(name));
        let kind = scheme.as_ref().and_then(|scheme| scheme.value().get("type")).and_then(Value::as_str);
        match (kind, scheme) {
            (Some("oauth2" | "openIdConnect"), _) => Scheme::OAuth2,
            (Some(kind), _) if kind == self.dialect.http_scheme() => Scheme::Http,
            (Some("apiKey" | "mutualTLS"), _) if self.named.replaces() => Scheme::Nothing,
            (Some("apiKey"), Some(scheme)) => api_key(&scheme, problems).map_or(Scheme::Nothing, Scheme::ApiKey),
            (Some("mutualTLS"), _) if self.named.spiffe => Scheme::Workload,
            (Some("mutualTLS"), _) => {
                node.warn(
                    problems,
                    format!("the security scheme {name} of type mutualTLS asks for a token here"),
                    "whose certificates are accepted is said by the whole API",
                    "list spiffe in securityScheme of api.yaml for workloads of a mesh, or mutualssl with Client-certificates in the project",
                );
                Scheme::Http
            }
            (Some(other), _) => {
                let what = format!("the security scheme {name} has the unknown type {other}");
                node.warn(problems, what, WITHOUT_MEANING, "use oauth2 or apiKey");
                Scheme::Http
            }
            (None, _) => {
                let what = format!("the security scheme {name} is not defined");
                let fix = format!("define it under {}", self.dialect.security_schemes_place());
                node.warn(problems, what, WITHOUT_MEANING, &fix);
                Scheme::OAuth2
            }
        }
    }
}

/// Where a scheme of type `apiKey` looks for the key.
fn api_key(scheme: &Node<'_>, problems: &mut Problems) -> Option<ApiKeyPlace> {
    let text = |key: &str, problems: &mut Problems| scheme.get(key).and_then(|node| node.text(problems));
    let (place, name) = (text("in", problems), text("name", problems).unwrap_or_default());
    let checked = match place {
        Some("header") => names::header(name).map(|name| ApiKeyPlace::Header { name }),
        Some("query") if name.is_empty() || name.len() > MAX_PARAMETER => Err("is empty or longer than 255 bytes"),
        Some("query") => Ok(ApiKeyPlace::Query { name: name.to_owned() }),
        _ => {
            let why = "a gateway looks for keys in headers and in the query";
            scheme.error(problems, "the place of the API key cannot be used", why, "write in: header or in: query");
            return None;
        }
    };
    if let Err(what) = checked {
        let why = "no request could carry the key";
        scheme.error(problems, format!("the name of the API key {what}"), why, "correct the name");
    }
    checked.ok()
}

/// Whether security is switched off here; `None` when nothing is said. The boolean wins over `x-auth-type`.
pub fn disabled(node: &Node<'_>, problems: &mut Problems) -> Option<bool> {
    if let Some(flag) = node.get("x-wso2-disable-security") {
        // A flag of the wrong type is an error already; it must not open anything.
        return Some(flag.boolean(problems).unwrap_or(false));
    }
    let kind = node.get("x-auth-type")?;
    let none = kind.text(problems).is_some_and(|text| text.eq_ignore_ascii_case("none"));
    Some(none)
}

#[cfg(test)]
#[path = "security_tests.rs"]
mod tests;
