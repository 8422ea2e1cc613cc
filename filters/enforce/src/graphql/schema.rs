//! The digest of a schema, made ready for look-ups.

use std::rc::Rc;

use hashbrown::{HashMap, HashSet};
use tollgate_model::{GraphQl, GraphQlArgument, GraphQlKind, GraphQlType, Operation};

use crate::Invalid;

/// A GraphQL API, compiled.
#[derive(Debug)]
pub struct CompiledGraphQl {
    types: HashMap<String, Type>,
    roots: HashMap<GraphQlKind, String>,
    operations: HashMap<GraphQlKind, HashMap<String, Rc<Operation>>>,
}

/// A type to select from.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) name: String,
    /// `None` for an object type.
    possible: Option<HashSet<String>>,
    fields: HashMap<String, Field>,
}

/// A field of a type.
#[derive(Debug)]
pub(super) struct Field {
    /// Name of its type, when that is one to select from.
    pub(super) composite: Option<String>,
    pub(super) arguments: Vec<GraphQlArgument>,
    /// Its own part of the complexity.
    pub(super) complexity: u64,
}

impl CompiledGraphQl {
    /// Compiles the digest.
    ///
    /// # Errors
    /// When it names a type that it does not have, a type or an operation twice, or an operation that is no field of its
    /// root type: an API must not be served in part.
    pub fn compile(api: &GraphQl) -> Result<Self, Invalid> {
        let mut types = HashMap::new();
        for one in &api.types {
            if types.insert(one.name.clone(), Type::compile(one)).is_some() {
                return Err(Invalid(format!("the type {} is there twice", one.name)));
            }
        }
        let roots = [
            (GraphQlKind::Query, Some(&api.query)),
            (GraphQlKind::Mutation, api.mutation.as_ref()),
            (GraphQlKind::Subscription, api.subscription.as_ref()),
        ];
        let roots = roots.into_iter().filter_map(|(kind, name)| Some((kind, name?.clone()))).collect();
        let mut compiled = Self { types, roots, operations: HashMap::new() };
        compiled.check_types()?;
        for one in &api.operations {
            let known = compiled.root(one.kind).is_some_and(|root| root.fields.contains_key(&one.field));
            if !known && one.field != TYPENAME {
                return Err(Invalid(format!("{} is no field of the {} type", one.field, one.kind.name())));
            }
            let operations = compiled.operations.entry(one.kind).or_default();
            if operations.insert(one.field.clone(), Rc::new(one.operation.clone())).is_some() {
                return Err(Invalid(format!("the operation {} is there twice", one.field)));
            }
        }
        Ok(compiled)
    }

    /// The operation of that field of a root type, when it is exposed.
    pub(crate) fn operation(&self, kind: GraphQlKind, field: &str) -> Option<&Rc<Operation>> {
        self.operations.get(&kind)?.get(field)
    }

    /// The type that operations of that kind start from.
    pub(super) fn root(&self, kind: GraphQlKind) -> Option<&Type> {
        self.get(self.roots.get(&kind)?)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Type> {
        self.types.get(name)
    }

    fn check_types(&self) -> Result<(), Invalid> {
        let fields = self.types.values().flat_map(|one| one.fields.values());
        let named = self.roots.values().chain(fields.filter_map(|field| field.composite.as_ref()));
        for name in named {
            if self.get(name).is_none() {
                return Err(Invalid(format!("the schema has no type {name}")));
            }
        }
        Ok(())
    }
}

/// The field that every type to select from has.
pub(super) const TYPENAME: &str = "__typename";

impl Type {
    fn compile(digest: &GraphQlType) -> Self {
        let field = |field: &tollgate_model::GraphQlField| Field {
            composite: field.composite.clone(),
            arguments: field.arguments.clone(),
            complexity: u64::from(field.complexity.unwrap_or(1)),
        };
        Self {
            name: digest.name.clone(),
            possible: digest.possible.as_ref().map(|possible| possible.iter().cloned().collect()),
            fields: digest.fields.iter().map(|one| (one.name.clone(), field(one))).collect(),
        }
    }

    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.get(name)
    }

    /// Whether a value of this type may be one of the other. Two abstract types count as overlapping: the backend knows
    /// better, and nothing depends on it here.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (&self.possible, &other.possible) {
            (None, None) => self.name == other.name,
            (None, Some(possible)) => possible.contains(&self.name),
            (Some(possible), None) => possible.contains(&other.name),
            (Some(_), Some(_)) => true,
        }
    }
}
