//! The bootstrap of a gateway: the template with its placeholders filled from the environment, under the names of the
//! original's router image. A placeholder without a value is an error, never an empty text.

use crate::config::Environment;

/// The template.
const TEMPLATE: &str = include_str!("../../envoy-config/bootstrap.yaml");

/// Placeholder, default, and what it is.
pub type Variable = (&'static str, Default, &'static str);

/// The placeholders of the template.
pub const VARIABLES: [Variable; 13] = [
    ("ROUTER_ADMIN_HOST", Default::Value("127.0.0.1"), "address of Envoy's admin interface"),
    ("ROUTER_ADMIN_PORT", Default::Value("9000"), "its port"),
    ("ROUTER_CLUSTER", Default::Value("default_cluster"), "service cluster of the gateway"),
    ("ROUTER_LABEL", Default::Value("Default"), "environment whose APIs the gateway serves"),
    ("ROUTER_PRIVATE_KEY_PATH", Default::Value(".tollgate/certificates/router.key"), "key of the gateway"),
    ("ROUTER_PUBLIC_CERT_PATH", Default::Value(".tollgate/certificates/router.pem"), "its certificate"),
    ("ADAPTER_HOST", Default::Value("127.0.0.1"), "where the adapter is"),
    ("ADAPTER_PORT", Default::Value("18000"), "its xDS port"),
    ("ADAPTER_CA_CERT_PATH", Default::Value(".tollgate/certificates/ca.pem"), "authority of the adapter's certificate"),
    ("ENFORCER_HOST", Default::Of("ADAPTER_HOST"), "where the feed of the filters is"),
    ("ENFORCER_PORT", Default::Value("8081"), "its port"),
    ("TOLLGATE_PUBLIC_PORT", Default::Value("9001"), "port of test keys on the same host"),
    ("HOSTNAME", Default::Value("gateway"), "name of this instance"),
];

/// What a placeholder is when the environment does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// This.
    Value(&'static str),
    /// What another one is.
    Of(&'static str),
}

/// Why there is no bootstrap.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// Neither the environment nor this program knows it.
    #[error("the placeholder {0} of the bootstrap has no value; set the environment variable {0}")]
    Unresolved(String),
    /// It would not be read back as it is.
    #[error("the environment variable {0} is {1}")]
    Unusable(String, &'static str),
    /// The template itself is broken.
    #[error("the template has a placeholder that is not closed")]
    Unclosed,
}

/// Fills the template.
///
/// # Errors
/// When a placeholder cannot be filled.
pub fn render(environment: &Environment) -> Result<String, BootstrapError> {
    fill(TEMPLATE, &VARIABLES, environment)
}

/// Fills any template that has such placeholders.
///
/// # Errors
/// When a placeholder cannot be filled.
pub fn fill(template: &str, known: &[Variable], environment: &Environment) -> Result<String, BootstrapError> {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or(BootstrapError::Unclosed)?;
        text.push_str(before);
        text.push_str(value(name, known, environment)?);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

fn value<'e>(name: &str, known: &[Variable], environment: &'e Environment) -> Result<&'e str, BootstrapError> {
    let set = |name: &str| environment.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let default = |name: &str| known.iter().find(|(variable, _, _)| *variable == name).map(|(_, default, _)| *default);
    let found = set(name).or_else(|| match default(name)? {
        Default::Value(value) => Some(value),
        Default::Of(other) => set(other).or_else(|| match default(other)? {
            Default::Value(value) => Some(value),
            Default::Of(_) => None,
        }),
    });
    let found = found.ok_or_else(|| BootstrapError::Unresolved(name.to_owned()))?;
    let unusable = |what| Err(BootstrapError::Unusable(name.to_owned(), what));
    if name.ends_with("_PORT") && found.parse::<u16>().is_ok_and(|port| port > 0) {
        return Ok(found);
    }
    if name.ends_with("_PORT") {
        return unusable("not a port");
    }
    if found.chars().any(|character| character.is_control() || matches!(character, '"' | '\\')) {
        return unusable("not plain text: it holds a quote, a backslash or a control character");
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled() {
        let environment = Environment::from([
            ("ADAPTER_HOST".to_owned(), "adapter".to_owned()),
            ("ADAPTER_PORT".to_owned(), "1".to_owned()),
        ]);
        for (template, expected) in [
            ("a ${ADAPTER_HOST}:${ADAPTER_PORT} b", Ok("a adapter:1 b")),
            ("${ENFORCER_HOST}:${ENFORCER_PORT}", Ok("adapter:8081")),
            ("${ROUTER_LABEL}", Ok("Default")),
            ("no placeholder $ {} }", Ok("no placeholder $ {} }")),
            ("${NOBODY_KNOWS}", Err(BootstrapError::Unresolved("NOBODY_KNOWS".to_owned()))),
            ("${ROUTER_LABEL", Err(BootstrapError::Unclosed)),
        ] {
            assert_eq!(fill(template, &VARIABLES, &environment), expected.map(str::to_owned), "{template}");
        }
    }

    #[test]
    fn values_that_would_break_the_document_are_refused() {
        for (name, value) in [
            ("ADAPTER_PORT", "0"),
            ("ADAPTER_PORT", "x"),
            ("ADAPTER_PORT", "65536"),
            ("ROUTER_LABEL", "a\"b"),
            ("ROUTER_LABEL", "a\nb"),
            ("ROUTER_LABEL", "a\\b"),
        ] {
            let environment = Environment::from([(name.to_owned(), value.to_owned())]);
            assert!(
                matches!(fill(&format!("${{{name}}}"), &VARIABLES, &environment), Err(BootstrapError::Unusable(..))),
                "{name}={value}"
            );
        }
    }

    #[test]
    fn the_template_is_complete_with_the_defaults_alone() {
        let text = render(&Environment::new()).unwrap();
        assert!(!text.contains("${"));
        let parsed: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(parsed["node"]["id"], "Default");
    }
}
