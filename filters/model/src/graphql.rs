//! A GraphQL API as the filters see it: its operations, and of its schema what it takes to check and to weigh a query.
//!
//! The adapter reads the schema definition and writes this digest, so that no filter has to parse a schema. Scalars, enums
//! and input types are left out: a field is a leaf exactly when it has no `type` here.

use serde::{Deserialize, Serialize};

use crate::Operation;

/// What a GraphQL API exposes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphQl {
    /// Object type that queries start from.
    pub query: String,
    /// Object type that mutations start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutation: Option<String>,
    /// Object type that subscriptions start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// Object, interface and union types.
    pub types: Vec<GraphQlType>,
    /// What may be asked for at the top of a query. Anything else is not found.
    pub operations: Vec<GraphQlOperation>,
}

/// A field of a root type that is exposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphQlOperation {
    /// Name of the field: `target` of api.yaml.
    pub field: String,
    /// Which root type it belongs to: `verb` of api.yaml.
    pub kind: GraphQlKind,
    /// Who may ask for it, and how often. Its method is the kind's name.
    #[serde(flatten)]
    pub operation: Operation,
}

/// The kinds of operations (GraphQL specification of October 2021, §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GraphQlKind {
    /// Reads.
    Query,
    /// Changes something, then reads.
    Mutation,
    /// Waits for events.
    Subscription,
}

impl GraphQlKind {
    /// Its name in api.yaml.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Query => "QUERY",
            Self::Mutation => "MUTATION",
            Self::Subscription => "SUBSCRIPTION",
        }
    }
}

/// A type that is selected from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphQlType {
    /// Its name.
    pub name: String,
    /// Object types that a value of this interface or union may have; none for an object type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub possible: Option<Vec<String>>,
    /// Fields of an object or interface.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<GraphQlField>,
}

/// A field of a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphQlField {
    /// Its name.
    pub name: String,
    /// Name of its type without list and non-null, when that is one to select from.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub composite: Option<String>,
    /// Arguments it takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<GraphQlArgument>,
    /// Its own part of a query's complexity; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complexity: Option<u32>,
}

/// An argument of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphQlArgument {
    /// Its name.
    pub name: String,
    /// Whether it must be given: not null, and without a default.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
}

// Serde hands over a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !*value
}
