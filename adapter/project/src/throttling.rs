//! Names of plans that limit an API or its operations. What a plan allows is none of a project's business.

use super::document::Node;
use crate::model::Problems;

/// The one that counts where both are given comes first.
const EXTENSIONS: [&str; 2] = ["x-wso2-throttling-tier", "x-throttling-tier"];
/// Longest name.
const MAX_NAME: usize = 256;

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
