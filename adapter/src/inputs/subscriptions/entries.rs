//! The small parts of a subscriptions file: names, moments, and objects whose members are all known.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::Problems;
use tollgate_project::document::Node;
use tollgate_project::unsupported::did_you_mean;

/// Longest name, key or id.
const MAX_NAME: usize = 512;

/// Reports members that mean nothing, and suggests what may have been meant.
pub(super) fn only(node: &Node, known: &[&str], problems: &mut Problems) {
    let Some(members) = node.object(problems) else { return };
    // Nearly always nothing is unknown, and there may be a million entries.
    if members.keys().all(|member| known.contains(&member.as_str())) {
        return;
    }
    for (member, child) in node.members(problems) {
        if known.contains(&member) {
            continue;
        }
        let fix = match did_you_mean(member, known.iter().copied()) {
            Some(close) => format!("did you mean {close}?"),
            None => format!("remove it; known are {}", known.join(", ")),
        };
        child.error(problems, format!("{member} means nothing here"), "it would be ignored", &fix);
    }
}

/// A text that names something: neither empty nor endless, and without control characters.
pub(super) fn name<'v>(node: &Node<'v>, problems: &mut Problems) -> Option<&'v str> {
    let text = node.text(problems)?;
    let good = !text.trim().is_empty() && text.len() <= MAX_NAME && !text.chars().any(char::is_control);
    if !good {
        let what = format!("a name of 1 to {MAX_NAME} characters is expected here, without control characters");
        node.error(problems, what, "it could not be looked up", "write another text");
    }
    good.then_some(text)
}

/// The name that a member holds. A missing one is a problem.
pub(super) fn required<'v>(node: &Node<'v>, member: &str, problems: &mut Problems) -> Option<&'v str> {
    match node.get(member) {
        Some(child) => name(&child, problems),
        None => {
            node.error(problems, format!("{member} is missing"), "", &format!("add {member}"));
            None
        }
    }
}

/// The name that a member holds, if it is there.
pub(super) fn optional<'v>(node: &Node<'v>, member: &str, problems: &mut Problems) -> Option<&'v str> {
    node.get(member).and_then(|child| name(&child, problems))
}

/// A moment: seconds since 1970, or a text of RFC 3339.
pub(super) fn moment(node: &Node, problems: &mut Problems) -> Option<u32> {
    let seconds = match node.value().as_str() {
        None => node.value().as_u64(),
        Some(text) => {
            let parsed = OffsetDateTime::parse(text.trim(), &Rfc3339).ok();
            parsed.and_then(|moment| u64::try_from(moment.unix_timestamp()).ok())
        }
    };
    // Those of milliseconds do not fit, so they are not taken for seconds of a far future.
    let seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok());
    if seconds.is_none() {
        let fix = "write for example 2030-01-31T12:00:00Z, or seconds since 1970";
        node.error(problems, "a moment before the year 2106 is expected here", "", fix);
    }
    seconds
}

/// A number from 1 up that fits 32 bits.
pub(super) fn positive(node: &Node, problems: &mut Problems) -> Option<u32> {
    let number = node.number(problems)?;
    let fitting = u32::try_from(number).ok().filter(|number| *number > 0);
    if fitting.is_none() {
        node.error(problems, "a number from 1 to 4294967295 is expected here", "", "correct the number");
    }
    fitting
}

/// One of several names.
pub(super) fn choice<T: Copy>(node: &Node, choices: &[(&str, T)], problems: &mut Problems) -> Option<T> {
    let text = node.text(problems)?;
    let chosen = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    if chosen.is_none() {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        node.error(problems, format!("{text} is not known here"), "", &format!("write one of {}", names.join(", ")));
    }
    chosen
}

/// The entries of a list member; none when it is absent.
pub(super) fn list<'v>(node: &Node<'v>, member: &str, problems: &mut Problems) -> Vec<Node<'v>> {
    node.get(member).map(|child| child.items(problems)).unwrap_or_default()
}

/// A SPIFFE ID as its specification (§2) writes one: gateways compare it with that of a certificate letter by letter.
pub(super) fn spiffe_id<'v>(node: &Node<'v>, problems: &mut Problems) -> Option<&'v str> {
    let text = node.text(problems)?;
    if let Err(why) = check_spiffe_id(text) {
        let fix = "write for example spiffe://cluster.local/ns/shop/sa/checkout";
        node.error(problems, format!("{text} is no SPIFFE ID of a workload"), why, fix);
        return None;
    }
    Some(text)
}

fn check_spiffe_id(text: &str) -> Result<(), &'static str> {
    /// Longest SPIFFE ID, and longest trust domain.
    const MOST: (usize, usize) = (2_048, 255);
    let rest = text.strip_prefix("spiffe://").ok_or("it does not begin with spiffe://")?;
    let (domain, path) = rest.split_once('/').ok_or("it has no path, so it names a whole trust domain")?;
    if text.len() > MOST.0 || domain.len() > MOST.1 {
        return Err("it is longer than the specification allows");
    }
    let in_domain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    if domain.is_empty() || !domain.chars().all(in_domain) {
        return Err("a trust domain has small letters, digits, dots, dashes and underscores only");
    }
    let segment = |text: &str| {
        let letters = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        letters && !matches!(text, "" | "." | "..")
    };
    if !path.split('/').all(segment) {
        return Err("segments of its path have letters, digits, dots, dashes and underscores only, and none is empty");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_spiffe_id;

    #[test]
    fn spiffe_ids() {
        for (text, good) in [
            ("spiffe://cluster.local/ns/shop/sa/checkout", true),
            ("spiffe://td_1/a", true),
            ("spiffe://cluster.local/ns/Shop/sa/..a", true),
            ("spiffe://cluster.local", false),
            ("spiffe://cluster.local/", false),
            ("spiffe:///ns/a", false),
            ("SPIFFE://cluster.local/a", false),
            ("spiffe://Cluster.local/a", false),
            ("spiffe://cluster.local/a/../b", false),
            ("spiffe://cluster.local/a//b", false),
            ("spiffe://cluster.local/a/", false),
            ("spiffe://cluster.local/a?b", false),
            ("spiffe://cluster.local/a%41", false),
            ("spiffe://cluster.local:80/a", false),
            ("spiffe://cluster.local/*", false),
            ("spiffe://cluster.local/a,spiffe://cluster.local/b", false),
            ("https://cluster.local/a", false),
        ] {
            assert_eq!(check_spiffe_id(text).is_ok(), good, "{text}");
        }
        assert!(check_spiffe_id(&format!("spiffe://{}/a", "a".repeat(256))).is_err());
        assert!(check_spiffe_id(&format!("spiffe://td/{}", "a".repeat(2_048))).is_err());
    }
}
