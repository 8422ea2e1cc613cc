//! How deep and how complex a query may be. The limits are those of the caller's subscription.

use tollgate_model::GraphQlLimits;

use super::Analysis;
use crate::rejection::Rejection;

/// Whether a query keeps within the limits of its caller.
///
/// # Errors
/// Which limit it exceeds.
pub(crate) fn check_limits(limits: GraphQlLimits, analysis: &Analysis) -> Result<(), Rejection> {
    if let Some(limit) = limits.max_depth
        && analysis.depth > limit
    {
        return Err(Rejection::QueryTooDeep { depth: analysis.depth, limit });
    }
    if let Some(limit) = limits.max_complexity
        && analysis.complexity > u64::from(limit)
    {
        return Err(Rejection::QueryTooComplex { complexity: analysis.complexity, limit });
    }
    Ok(())
}
