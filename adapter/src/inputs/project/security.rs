//! Who may call an operation, from the definition and from api.yaml. In doubt an operation is secured.

use serde_json::Value;
use tollgate_model::Security;

use super::dialect::Dialect;
use super::document::Node;
use super::unsupported::refuse;
use crate::model::Problems;

/// What decides about security above a single operation.
#[derive(Debug, Clone)]
pub struct Schemes<'v> {
    definition: Node<'v>,
    dialect: Dialect,
    /// Whether api.yaml names `oauth2`, so that other schemes of the definition do not count.
    oauth2_only: bool,
}

impl<'v> Schemes<'v> {
    /// The schemes of that definition.
    #[must_use]
    pub const fn new(definition: Node<'v>, dialect: Dialect, oauth2_only: bool) -> Self {
        Self { definition, dialect, oauth2_only }
    }

    /// Security of an operation. `above` says whether its path or its API disables security.
    pub fn of(&self, operation: &Node<'v>, above: bool, problems: &mut Problems) -> Security {
        let unsecured = disabled(operation, problems).unwrap_or(above);
        // Read in any case, so that an unsupported scheme is not discovered only when security is switched on.
        let scopes = self.scopes(operation, problems);
        if unsecured { Security::Unsecured } else { Security::OAuth2 { scopes } }
    }

    /// The first non-empty list of scopes, as the original reads it.
    fn scopes(&self, operation: &Node<'v>, problems: &mut Problems) -> Vec<String> {
        let Some(list) = operation.get("security").or_else(|| self.definition.get("security")) else {
            return Vec::new();
        };
        let mut found: Vec<String> = Vec::new();
        for requirement in list.items(problems) {
            let mut oauth2_with_scopes: usize = 0;
            for (name, scopes) in requirement.members(problems) {
                if !self.is_oauth2(name, &scopes, problems) {
                    continue;
                }
                let scopes = scopes.texts(problems);
                if scopes.is_empty() {
                    continue;
                }
                oauth2_with_scopes = oauth2_with_scopes.saturating_add(1);
                if found.is_empty() {
                    found = scopes.into_iter().map(str::to_owned).collect();
                }
            }
            if oauth2_with_scopes > 1 {
                refuse(&requirement, "a requirement of several OAuth2 schemes at once", problems);
            }
        }
        found
    }

    fn is_oauth2(&self, name: &str, node: &Node<'v>, problems: &mut Problems) -> bool {
        let schemes = self.dialect.security_schemes(&self.definition);
        let scheme = schemes.and_then(|schemes| schemes.get(name));
        let kind = scheme.as_ref().and_then(|scheme| scheme.value().get("type")).and_then(Value::as_str);
        match kind {
            Some("oauth2" | "openIdConnect") => true,
            // Basic and bearer schemes of a definition mean the access token; roles of OpenAPI 3.1 are not read.
            Some(kind) if kind == self.dialect.http_scheme() => false,
            // api.yaml replaces them, so that the operation takes access tokens only.
            Some("apiKey" | "mutualTLS") if self.oauth2_only => false,
            Some(other @ ("apiKey" | "mutualTLS")) => {
                refuse(node, &format!("the security scheme {name} of type {other}"), problems);
                false
            }
            Some(other) => {
                node.error(
                    problems,
                    format!("the security scheme {name} has the unknown type {other}"),
                    "",
                    "use oauth2",
                );
                false
            }
            None => {
                node.error(
                    problems,
                    format!("the security scheme {name} is not defined"),
                    "nobody can tell what it asks for",
                    &format!("define it under {}", self.dialect.security_schemes_place()),
                );
                false
            }
        }
    }
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
mod tests {
    use serde_json::json;

    use super::*;

    fn definition() -> Value {
        json!({"components": {"securitySchemes": {
            "default": {"type": "oauth2"}, "other": {"type": "oauth2"}, "key": {"type": "apiKey"},
            "basic": {"type": "http"}, "odd": {"type": "magic"}}},
            "security": [{"default": []}]})
    }

    #[track_caller]
    fn check(operation: &Value, oauth2_only: bool, expected: Option<&[&str]>, errors: usize) {
        let definition = definition();
        let mut problems = Problems::new();
        let schemes = Schemes::new(Node::root("swagger.yaml", &definition), Dialect::OpenApi3, oauth2_only);
        let found = schemes.of(&Node::root("swagger.yaml", operation), false, &mut problems);
        let expected = expected.map_or(Security::Unsecured, |scopes| Security::OAuth2 {
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        });
        assert_eq!(found, expected, "{operation}");
        assert_eq!(problems.errors().count(), errors, "{operation}: {problems:?}");
    }

    #[test]
    fn security_of_operations() {
        for (operation, oauth2_only, expected, errors) in [
            (json!({}), false, Some(&[][..]), 0),
            (json!({"security": []}), false, Some(&[]), 0),
            (json!({"security": [{}]}), false, Some(&[]), 0),
            (json!({"security": [{"default": ["a", "b"]}]}), false, Some(&["a", "b"]), 0),
            (json!({"security": [{"default": []}, {"other": ["c"]}]}), false, Some(&["c"]), 0),
            (json!({"security": [{"default": ["a"], "other": ["c"]}]}), false, Some(&["a"]), 1),
            (json!({"security": [{"basic": ["role"]}]}), false, Some(&[]), 0),
            (json!({"security": [{"key": []}]}), false, Some(&[]), 1),
            (json!({"security": [{"key": []}]}), true, Some(&[]), 0),
            (json!({"security": [{"missing": []}]}), true, Some(&[]), 1),
            (json!({"security": [{"odd": []}]}), false, Some(&[]), 1),
            (json!({"security": "none"}), false, Some(&[]), 1),
            (json!({"x-wso2-disable-security": true}), false, None, 0),
            (json!({"x-wso2-disable-security": "true"}), false, Some(&[]), 1),
            (json!({"x-wso2-disable-security": false, "x-auth-type": "None"}), false, Some(&[]), 0),
            (json!({"x-auth-type": "None"}), false, None, 0),
            (json!({"x-auth-type": "Application & Application User"}), false, Some(&[]), 0),
            (json!({"x-wso2-disable-security": true, "security": [{"key": []}]}), false, None, 1),
        ] {
            check(&operation, oauth2_only, expected, errors);
        }
    }

    #[test]
    fn what_is_said_nearer_to_the_operation_wins() {
        let definition = definition();
        let mut problems = Problems::new();
        let schemes = Schemes::new(Node::root("swagger.yaml", &definition), Dialect::OpenApi3, false);
        for (operation, above, unsecured) in [
            (json!({}), true, true),
            (json!({"x-wso2-disable-security": false}), true, false),
            (json!({"x-auth-type": "Any"}), true, false),
        ] {
            let found = schemes.of(&Node::root("swagger.yaml", &operation), above, &mut problems);
            assert_eq!(found == Security::Unsecured, unsecured, "{operation}");
        }
    }
}
