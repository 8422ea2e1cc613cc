//! What to do with settings that have no effect here. Where Choreo Connect serves an API without them, it is served just the
//! same, and loudly; where that would open what the author meant to protect, or send requests astray, the project is refused.

use super::document::Node;
use crate::model::Problems;

const WHY: &str = "it is not supported, and ignoring it would serve the API differently from what it says";

/// Refuses the setting at `node`: serving the API without it would not be safe.
pub fn refuse(node: &Node<'_>, what: &str, problems: &mut Problems) {
    node.error(
        problems,
        format!("{what} cannot be used"),
        WHY,
        "remove the setting, or keep this API on another gateway for now",
    );
}

/// Says that the setting at `node` has no effect, as in Choreo Connect.
pub fn ignore(node: &Node<'_>, what: &str, consequence: &str, problems: &mut Problems) {
    node.warn(problems, format!("{what} has no effect"), consequence, "remove the setting, or do not rely on it");
}

/// Closest of `known` to `word`, if it is close enough to be meant.
pub fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 4).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Warns of members that nothing reads.
pub fn warn_unknown(node: &Node<'_>, known: &[&str], problems: &mut Problems) {
    for (key, member) in node.members(problems) {
        if !known.contains(&key) {
            let fix = did_you_mean(key, known.iter().copied())
                .map_or_else(|| "remove it".to_owned(), |close| format!("did you mean {close}?"));
            member.warn(problems, format!("{key} is not known here"), "it has no effect", &fix);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_close_words_are_suggested() {
        let known = ["x-wso2-basePath", "x-wso2-cors"];
        assert_eq!(did_you_mean("x-wso2-basepath", known), Some("x-wso2-basePath"));
        assert_eq!(did_you_mean("x-wso2-core", known), Some("x-wso2-cors"));
        assert_eq!(did_you_mean("x-wso2-something-else", known), None);
    }
}
