//! The path rewriting policy: another path for the backend, made of parts of the request's.

use tollgate_model::{Operation, RequestPolicy};

use crate::Invalid;
use crate::rejection::Rejection;
use crate::resource::{Captures, Reading, Template, is_plain, lenient};

/// Marks a parameter of the resource's path.
const VARIABLE: &str = "uri.var.";

/// A compiled rewriting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rewrite {
    target: Template,
    /// Positions of the resource's parameters that the target's take their values from.
    sources: Vec<usize>,
    /// Whether the client's query stays.
    pub(crate) keep_query: bool,
}

impl Rewrite {
    /// That of the operation, if it has one. The first policy of the kind counts.
    ///
    /// # Errors
    /// When the target is no path, or names a parameter that the resource does not have exactly once.
    pub(crate) fn compile(resource: &Template, operation: &Operation) -> Result<Option<Self>, Invalid> {
        let policies = operation.policies.iter().flat_map(|policies| &policies.request);
        let mut rewrites = policies.filter_map(|policy| match policy {
            RequestPolicy::RewritePath { path, keep_query } => Some((path, *keep_query)),
            _ => None,
        });
        let Some((path, keep_query)) = rewrites.next() else { return Ok(None) };
        let trimmed = path.trim_end_matches('/');
        if trimmed.contains(['*', '?']) {
            return Err(Invalid(format!("the rewritten path {path:?} holds * or ?")));
        }
        let target = Template::compile(if trimmed.is_empty() { "/" } else { trimmed })?.without_trailing_slash();
        let sources = target.names().iter().map(|name| {
            let own = name.strip_prefix(VARIABLE).ok_or_else(|| {
                Invalid(format!(
                    "the rewritten path {path:?} holds {{{name}}}, which is not of the form {{uri.var.name}}"
                ))
            })?;
            let mut found = resource.names().iter().enumerate().filter(|(_, parameter)| *parameter == own);
            match (found.next(), found.next()) {
                (Some((position, _)), None) => Ok(position),
                (Some(_), Some(_)) => Err(Invalid(format!("the path of the resource has the parameter {own} twice"))),
                (None, _) => Err(Invalid(format!("the path of the resource has no parameter {own}"))),
            }
        });
        let sources = sources.collect::<Result<_, Invalid>>()?;
        Ok(Some(Self { target, sources, keep_query }))
    }

    /// Appends the path.
    ///
    /// # Errors
    /// When a value would be more than its part of the path to a lenient backend: the gateway's rules and the author's
    /// intention are about the whole path, so a value must not step out of its segment.
    pub(crate) fn expand(&self, captures: &Captures, out: &mut Vec<u8>) -> Result<(), Rejection> {
        let captures = captures.rearranged(&self.sources);
        let mut path = Vec::new();
        self.target.expand(&captures, &mut path);
        let mut segments = path.split(|byte| *byte == b'/').skip(1);
        if !is_plain(&path) && !segments.all(is_one_segment) {
            return Err(Rejection::AmbiguousPath);
        }
        out.append(&mut path);
        Ok(())
    }
}

/// Whether everybody sees one segment.
fn is_one_segment(segment: &[u8]) -> bool {
    match lenient(&[b"/", segment].concat()) {
        Reading::Path(path) => path.len() > 1 && path.iter().filter(|byte| **byte == b'/').count() == 1,
        Reading::Refused => false,
    }
}

#[cfg(test)]
mod tests {
    use tollgate_model::{Policies, Security};

    use super::*;
    use crate::testing::operation;

    fn compile(resource: &str, path: &str) -> Result<(Template, Rewrite), Invalid> {
        let resource = Template::compile(resource)?;
        let rewrite = RequestPolicy::RewritePath { path: path.to_owned(), keep_query: true };
        let policies = Policies { request: vec![rewrite], response: Vec::new() };
        let operation = Operation { policies: Some(policies), ..operation("GET", Security::Unsecured) };
        Ok((resource.clone(), Rewrite::compile(&resource, &operation)?.unwrap()))
    }

    #[track_caller]
    fn check(resource: &str, target: &str, request: &str, expected: Option<&str>) {
        let (resource, rewrite) = compile(resource, target).unwrap();
        let captures = resource.matches(request.as_bytes()).unwrap();
        let mut out = b"/base".to_vec();
        let result = rewrite.expand(&captures, &mut out).map(|()| String::from_utf8(out).unwrap());
        assert_eq!(result.ok().as_deref(), expected, "{target} {request}");
    }

    #[test]
    fn paths_are_rewritten() {
        let shop = "/abc/shop/{shopId}/pets/{petId}";
        check(
            shop,
            "/abc-shops/pets/{uri.var.petId}/shops/{uri.var.shopId}/{uri.var.petId}",
            "/abc/shop/s/pets/p",
            Some("/base/abc-shops/pets/p/shops/s/p"),
        );
        check(
            "/shops/{shopId}.xyz/pets/{petId}/orders",
            "/pets/{uri.var.petId}.pets/hello-shops/abcd-shops/{uri.var.shopId}/",
            "/shops/shop1234.xyz/pets/pet890/orders",
            Some("/base/pets/pet890.pets/hello-shops/abcd-shops/shop1234"),
        );
        check("/a", "/", "/a", Some("/base"));
        check("/a", "/b/", "/a/", Some("/base/b"));
        check("/a/*", "/b", "/a/c/d", Some("/base/b"));
    }

    #[test]
    fn a_value_does_not_step_out_of_its_segment() {
        for (value, kept) in [
            ("a%20b", true),
            ("caf%C3%A9", true),
            ("a;v=1", true),
            ("a%2Fb", false),
            ("..%2Fx%2Fy", false),
            ("%2e%2e", false),
            ("..", false),
            (".", false),
            ("a%00", false),
            ("%3Fa", false),
            ("a\\b", false),
        ] {
            let expected = kept.then(|| format!("/base/admin/{value}"));
            check("/u/{id}", "/admin/{uri.var.id}", &format!("/u/{value}"), expected.as_deref());
        }
        check("/u/{id}", "/admin/x{uri.var.id}", "/u/..", Some("/base/admin/x.."));
    }

    #[test]
    fn parameters_must_be_those_of_the_resource() {
        for (resource, target, part) in [
            ("/a/{b}", "/{uri.var.c}", "no parameter c"),
            ("/a/{b}", "/{b}", "not of the form"),
            ("/{b}/{b}", "/{uri.var.b}", "twice"),
            ("/a/{b}", "/{uri.var.b", "braces"),
            ("/a", "b", "begin with /"),
            ("/a", "/b*", "* or ?"),
        ] {
            let Invalid(what) = compile(resource, target).unwrap_err();
            assert!(what.contains(part), "{target}: {what}");
        }
    }
}
