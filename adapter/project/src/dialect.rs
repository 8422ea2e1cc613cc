//! Which specification a definition follows, and where the two differ in what is read of them. Everything else is the
//! same in both, and is read by the same code.

use super::document::Node;
use crate::model::Problems;

/// A specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAPI 3.0 and 3.1.
    OpenApi3,
    /// Swagger 2.0.
    Swagger2,
}

impl Dialect {
    /// That of the definition; `None` after a problem was reported.
    pub fn of(root: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let (node, known, dialect) = match (root.get("openapi"), root.get("swagger")) {
            (Some(node), None) => (node, &["3.0", "3.1"][..], Self::OpenApi3),
            (None, Some(node)) => (node, &["2.0"][..], Self::Swagger2),
            (Some(_), Some(node)) => {
                node.error(
                    problems,
                    "the definition is both Swagger and OpenAPI",
                    "only one can be meant",
                    "remove one",
                );
                return None;
            }
            (None, None) => {
                let why = "the member openapi is missing";
                root.error(problems, "this is no OpenAPI definition", why, "add openapi: 3.0.3");
                return None;
            }
        };
        let version = node.text(problems)?;
        if known.iter().any(|known| version == *known || version.starts_with(&format!("{known}."))) {
            return Some(dialect);
        }
        let (name, why) = match dialect {
            Self::OpenApi3 => ("OpenAPI", "3.0 and 3.1 can"),
            Self::Swagger2 => ("Swagger", "2.0 can"),
        };
        node.error(problems, format!("{name} {version} cannot be read"), why, "convert the definition");
        None
    }

    /// The definitions of security schemes.
    #[must_use]
    pub fn security_schemes<'v>(self, root: &Node<'v>) -> Option<Node<'v>> {
        match self {
            Self::OpenApi3 => root.get("components")?.get("securitySchemes"),
            Self::Swagger2 => root.get("securityDefinitions"),
        }
    }

    /// Where those are, for people.
    #[must_use]
    pub const fn security_schemes_place(self) -> &'static str {
        match self {
            Self::OpenApi3 => "components.securitySchemes",
            Self::Swagger2 => "securityDefinitions",
        }
    }

    /// Type of the security schemes that mean HTTP authentication.
    #[must_use]
    pub const fn http_scheme(self) -> &'static str {
        match self {
            Self::OpenApi3 => "http",
            Self::Swagger2 => "basic",
        }
    }
}
