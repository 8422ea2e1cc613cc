//! The resources of an API in the order in which they are tried.
//!
//! The order is Choreo Connect's: templates with a dot first, those ending in `/*` last, and in between by comparing what is
//! left of the templates after deleting word characters and white space, which puts literals before parameters.
//! Literal templates are found by a look-up; they would come before every other template that matches the same path.

use std::rc::Rc;

use hashbrown::HashMap;
use tollgate_model::{Operation, Resource};

use super::{Captures, Template};
use crate::policy::Rewrite;
use crate::{Invalid, UriMapping};

/// Compiled resources.
#[derive(Debug)]
pub struct ResourceTable {
    /// In matching order.
    resources: Vec<Rc<CompiledResource>>,
    /// Path of a literal template, without a trailing slash -> positions in `resources`, in matching order.
    literals: HashMap<Vec<u8>, Vec<usize>>,
    /// Positions of the other templates, in matching order.
    patterns: Vec<usize>,
}

/// A resource with its template.
#[derive(Debug)]
pub struct CompiledResource {
    /// As the definition has it.
    pub resource: Resource,
    /// Its path.
    pub template: Template,
    /// Where the handshakes of a channel go.
    pub uri_mapping: Option<UriMapping>,
    operations: Vec<Rc<Operation>>,
    /// Of the operations whose policies rewrite the path: their methods, and how.
    rewrites: Vec<(String, Rewrite)>,
}

/// A resource that takes a request, and what it may be used for.
#[derive(Debug)]
pub struct Found<'p> {
    /// The resource.
    pub resource: Rc<CompiledResource>,
    /// The operation; `None` for `OPTIONS`, which every resource answers with its methods unless it defines it.
    pub operation: Option<Rc<Operation>>,
    /// What the template's parameters took.
    pub captures: Captures<'p>,
}

impl ResourceTable {
    /// Compiles all templates and puts them in order.
    ///
    /// # Errors
    /// When one of them is not a template: an API must not be served in part.
    pub fn compile(resources: &[Resource]) -> Result<Self, Invalid> {
        let mut compiled = resources.iter().map(CompiledResource::compile).collect::<Result<Vec<_>, Invalid>>()?;
        compiled.sort_by_cached_key(|resource| order(&resource.resource.template));
        let (mut literals, mut patterns) = (HashMap::<Vec<u8>, Vec<usize>>::new(), Vec::new());
        for (position, resource) in compiled.iter().enumerate() {
            if resource.template.is_literal() {
                let mut path = Vec::new();
                resource.template.expand(&Captures::default(), &mut path);
                literals.entry(without_trailing_slash(&path).to_vec()).or_default().push(position);
            } else {
                patterns.push(position);
            }
        }
        Ok(Self { resources: compiled, literals, patterns })
    }

    /// The first resource that takes the path and the method. `path` is what follows the base path, without the query.
    #[must_use]
    pub fn find<'p>(&self, method: &[u8], path: &'p [u8]) -> Option<Found<'p>> {
        let literals = self.literals.get(without_trailing_slash(path)).map(Vec::as_slice).unwrap_or_default();
        literals.iter().chain(&self.patterns).find_map(|position| {
            let resource = self.resources.get(*position)?;
            let operation = resource.operation(method);
            if operation.is_none() && method != b"OPTIONS" {
                return None;
            }
            let captures = resource.template.matches(path)?;
            Some(Found { resource: Rc::clone(resource), operation, captures })
        })
    }
}

impl CompiledResource {
    fn compile(resource: &Resource) -> Result<Rc<Self>, Invalid> {
        let template = Template::compile(&resource.template)?;
        let mapping = resource.uri_mapping.as_deref();
        let uri_mapping = mapping.map(|mapping| UriMapping::compile(mapping, &resource.template)).transpose()?;
        let operations = resource.operations.iter().cloned().map(Rc::new).collect();
        let mut rewrites = Vec::new();
        for operation in &resource.operations {
            let rewrite = Rewrite::compile(&template, operation)?;
            rewrites.extend(rewrite.map(|rewrite| (operation.method.clone(), rewrite)));
        }
        Ok(Rc::new(Self { resource: resource.clone(), template, uri_mapping, operations, rewrites }))
    }

    /// How the path of that method is rewritten, if it is.
    pub(crate) fn rewrite(&self, method: &str) -> Option<&Rewrite> {
        self.rewrites.iter().find(|(rewritten, _)| rewritten == method).map(|(_, rewrite)| rewrite)
    }

    fn operation(&self, method: &[u8]) -> Option<Rc<Operation>> {
        self.operations.iter().find(|operation| operation.method.as_bytes() == method).map(Rc::clone)
    }
}

fn without_trailing_slash(path: &[u8]) -> &[u8] {
    path.strip_suffix(b"/").unwrap_or(path)
}

/// Sorting key of a template.
fn order(template: &str) -> (bool, bool, String) {
    let symbols = template.chars().filter(|c| !(c.is_ascii_alphanumeric() || *c == '_' || c.is_whitespace())).collect();
    (template.ends_with("/*"), !template.contains('.'), symbols)
}

#[cfg(test)]
mod tests {
    use tollgate_model::{Interceptors, Security};

    use super::*;

    fn resource(template: &str, methods: &[&str]) -> Resource {
        let operation = |method: &&str| Operation {
            method: (*method).to_owned(),
            security: Security::Unsecured,
            tier: None,
            cost: None,
            mock: None,
            interceptors: Interceptors::default(),
            policies: None,
        };
        Resource {
            template: template.to_owned(),
            production: None,
            sandbox: None,
            uri_mapping: None,
            operations: methods.iter().map(operation).collect(),
        }
    }

    fn table() -> ResourceTable {
        ResourceTable::compile(&[
            resource("/pet/*", &["POST"]),
            resource("/pet/{id}/{price}", &["GET"]),
            resource("/pet/{id}", &["GET", "OPTIONS"]),
            resource("/pet", &["GET", "POST"]),
            resource("/pet/{id}/price", &["GET"]),
            resource("/pet/index.html", &["GET"]),
            resource("/pet/{id}.json", &["GET"]),
        ])
        .unwrap()
    }

    #[track_caller]
    fn check(method: &str, path: &str, expected: Option<&str>) {
        let table = table();
        let found = table.find(method.as_bytes(), path.as_bytes());
        assert_eq!(found.map(|found| found.resource.resource.template.clone()).as_deref(), expected, "{method} {path}");
    }

    #[test]
    fn resources_are_tried_in_order() {
        check("GET", "/pet/index.html", Some("/pet/index.html"));
        check("GET", "/pet", Some("/pet"));
        check("GET", "/pet/", Some("/pet"));
        check("GET", "/pet/5", Some("/pet/{id}"));
        check("GET", "/pet/5.json", Some("/pet/{id}.json"));
        check("GET", "/pet/5/price", Some("/pet/{id}/price"));
        check("GET", "/pet/5/7", Some("/pet/{id}/{price}"));
        check("GET", "/pet/5/7/9", None);
        check("GET", "/cat", None);
    }

    #[test]
    fn a_resource_without_the_method_is_passed_over() {
        check("POST", "/pet/5", Some("/pet/*"));
        check("POST", "/pet", Some("/pet"));
        check("DELETE", "/pet/5", None);
        check("get", "/pet/5", None);
    }

    #[test]
    fn every_resource_has_options() {
        let table = table();
        assert!(table.find(b"OPTIONS", b"/pet/5").unwrap().operation.is_some());
        assert!(table.find(b"OPTIONS", b"/pet/5/7").unwrap().operation.is_none());
        assert!(table.find(b"OPTIONS", b"/cat").is_none());
    }

    #[test]
    fn two_spellings_of_one_literal_keep_their_order() {
        let table = ResourceTable::compile(&[resource("/a/", &["GET"]), resource("/a", &["POST"])]).unwrap();
        assert_eq!(table.find(b"GET", b"/a").unwrap().resource.resource.template, "/a/");
        assert_eq!(table.find(b"POST", b"/a/").unwrap().resource.resource.template, "/a");
    }
}
