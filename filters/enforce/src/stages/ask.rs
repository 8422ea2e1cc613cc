//! What a GraphQL request asks for: the operations in its body. Requests to any other API pass at once.
//!
//! Comes before authentication, since who may call depends on the operations.

use std::rc::Rc;

use tollgate_model::{Operation, Security};

use super::admit::Admitted;
use crate::decide::Halt;
use crate::evidence::Query;
use crate::graphql::{self, Analysis, CompiledGraphQl, InvalidQuery};
use crate::rejection::Rejection;
use crate::{Cx, Unreadable};

/// Operations of a GraphQL request.
pub(crate) struct Asked {
    /// At least one, with the names of their fields.
    pub(super) operations: Vec<(String, Rc<Operation>)>,
    /// What they weigh.
    pub(super) analysis: Analysis,
}

/// Looks into the body where that is needed.
pub(crate) fn ask(cx: &Cx, admitted: &mut Admitted) -> Result<(), Halt> {
    let Some(schema) = &admitted.api.graphql else { return Ok(()) };
    let form = graphql::check_headers(cx.request)?;
    graphql::check_url(admitted.query)?;
    let posted = graphql::read(form, &cx.body(graphql::MAX_BODY)?.bytes)?;
    let analysis = graphql::analyse(schema, &posted)?;
    settle(admitted, analysis)
}

/// Takes over what another module has read in the body.
pub(crate) fn restore(admitted: &mut Admitted, query: Option<&Query>) -> Result<(), Halt> {
    if admitted.api.graphql.is_none() {
        return Ok(());
    }
    let Query { kind, fields, depth, complexity } = query.ok_or(Rejection::NoEvidence)?.clone();
    settle(admitted, Analysis { kind, fields, depth, complexity })
}

fn settle(admitted: &mut Admitted, analysis: Analysis) -> Result<(), Halt> {
    let Some(schema) = &admitted.api.graphql else { return Err(Rejection::Unreadable.into()) };
    let operations = exposed(schema, &analysis)?;
    // Whoever calls an operation that is not open to all must say who it is.
    let secured = operations.iter().find(|(_, operation)| operation.security != Security::Unsecured);
    let (_, operation) = secured.or(operations.first()).ok_or(Rejection::from(Unreadable))?;
    admitted.operation = Rc::clone(operation);
    admitted.asked = Some(Asked { operations, analysis });
    Ok(())
}

impl Admitted<'_> {
    /// What was read in the body, for another module.
    pub(crate) fn query(&self) -> Option<Query> {
        let Analysis { kind, fields, depth, complexity } = self.asked.as_ref()?.analysis.clone();
        Some(Query { kind, fields, depth, complexity })
    }
}

/// The operations of the fields. One that is not exposed refuses the whole request.
fn exposed(schema: &CompiledGraphQl, analysis: &Analysis) -> Result<Vec<(String, Rc<Operation>)>, Rejection> {
    let operation = |field: &String| {
        let operation = schema.operation(analysis.kind, field).ok_or(Rejection::NotFound)?;
        Ok((field.clone(), Rc::clone(operation)))
    };
    analysis.fields.iter().map(operation).collect()
}

impl From<InvalidQuery> for Halt {
    fn from(why: InvalidQuery) -> Self {
        Rejection::InvalidQuery(why.to_string()).into()
    }
}
