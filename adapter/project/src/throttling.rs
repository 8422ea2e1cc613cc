//! Names of plans that limit an API or its operations. What a plan allows is none of a project's business.

use std::num::NonZero;

use super::document::Node;
use crate::model::Problems;

/// The one that counts where both are given comes first.
const EXTENSIONS: [&str; 2] = ["x-wso2-throttling-tier", "x-throttling-tier"];
/// Longest name.
const MAX_NAME: usize = 256;

/// The extension that says how many requests a request of an operation counts as.
pub const COST: &str = "x-tollgate-cost";
/// The greatest one.
const MAX_COST: u32 = 1_000_000;

/// How many requests a request of this operation counts as, where that is not one.
pub fn cost(operation: &Node<'_>, problems: &mut Problems) -> Option<NonZero<u32>> {
    let member = operation.get(COST)?;
    if member.value().is_null() {
        return None;
    }
    let cost = u32::try_from(member.number(problems)?).ok().filter(|cost| *cost <= MAX_COST).and_then(NonZero::new);
    if cost.is_none() {
        let what = format!("a number from 1 to {MAX_COST} is expected here");
        member.error(problems, what, "limits could not be kept", "write how many requests it counts as");
    }
    cost
}

/// The plan that an extension of this node names.
pub fn of(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    EXTENSIONS.iter().find_map(|key| name(&node.get(key)?, problems))
}

/// The plan that this member names; an empty text names none.
pub fn name(member: &Node<'_>, problems: &mut Problems) -> Option<String> {
    if member.value().is_null() {
        return None;
    }
    let name = member.text(problems)?.trim();
    if name.len() > MAX_NAME || name.chars().any(char::is_control) {
        let what = format!("a name of at most {MAX_NAME} characters is expected here, without control characters");
        member.error(problems, what, "it could not be looked up", "write the name of a tier");
        return None;
    }
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cost_is_a_number_of_requests() {
        for (value, expected, refused) in [
            (json!(3), NonZero::new(3), false),
            (json!("3"), NonZero::new(3), false),
            (json!(null), None, false),
            (json!(0), None, true),
            (json!(-1), None, true),
            (json!(1.5), None, true),
            (json!(1_000_001), None, true),
            (json!("many"), None, true),
        ] {
            let (document, mut problems) = (json!({ COST: value }), Problems::new());
            let found = cost(&Node::root("swagger.yaml", &document), &mut problems);
            assert_eq!((found, problems.has_errors()), (expected, refused), "{document}");
        }
        assert_eq!(cost(&Node::root("swagger.yaml", &json!({})), &mut Problems::new()), None);
    }
}
