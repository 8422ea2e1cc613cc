//! What a subscriptions file says of quotas: limits, groups of conditions, deny conditions and custom policies.

use std::net::IpAddr;

use tollgate_enforce::CompiledPolicy;
use tollgate_model::{
    Condition, ConditionGroup, ConditionKind, CustomPolicy, DenyCondition, IpRange, Limit, Posture, QuotaUnit,
    TimeUnit, Window, keys,
};

use super::entries::{choice, list, name, only, optional, required};
use crate::model::{Key, Problems, ThrottleRules};
use tollgate_project::document::Node;

const POSTURES: [(&str, Posture); 3] = [("allow", Posture::Allow), ("deny", Posture::Deny), ("local", Posture::Local)];

const UNITS: [(&str, TimeUnit); 7] = [
    ("second", TimeUnit::Second),
    ("minute", TimeUnit::Minute),
    ("hour", TimeUnit::Hour),
    ("day", TimeUnit::Day),
    ("week", TimeUnit::Week),
    ("month", TimeUnit::Month),
    ("year", TimeUnit::Year),
];

/// What a plan says of quotas.
pub(super) struct Rules {
    pub(super) limits: Vec<Limit>,
    pub(super) groups: Vec<ConditionGroup>,
    pub(super) posture: Posture,
    pub(super) shadow: bool,
}

/// Reads the members of a plan.
pub(super) fn rules(node: &Node, problems: &mut Problems) -> Rules {
    let groups = list(node, "groups", problems);
    let groups = groups.iter().zip(1..).filter_map(|(node, number)| group(node, number, problems)).collect();
    Rules {
        limits: limits(node, problems),
        groups,
        posture: node.get("posture").and_then(|node| choice(&node, &POSTURES, problems)).unwrap_or_default(),
        shadow: node.get("shadow").and_then(|node| node.boolean(problems)) == Some(true),
    }
}

fn limits(node: &Node, problems: &mut Problems) -> Vec<Limit> {
    list(node, "limits", problems).iter().filter_map(|limit| read(limit, problems)).collect()
}

fn read(node: &Node, problems: &mut Problems) -> Option<Limit> {
    only(node, &["requests", "bytes", "per"], problems);
    let (requests, bytes) = (node.get("requests"), node.get("bytes"));
    let (unit, amount) = match (&requests, &bytes) {
        (Some(amount), None) => (QuotaUnit::Requests, amount.number(problems)),
        (None, Some(amount)) => (QuotaUnit::Bytes, amount.number(problems)),
        _ => {
            node.error(problems, "a limit is of requests or of bytes", "", "write one of the two, and not both");
            (QuotaUnit::Requests, None)
        }
    };
    let window = match node.get("per") {
        Some(per) => window(&per, problems),
        None => {
            node.error(problems, "per is missing", "a limit holds for some time", "write for example per: 1 minute");
            None
        }
    };
    Some(Limit { amount: amount?, unit, window: window? })
}

/// `minute`, `1 minute`, `5 minutes`.
fn window(node: &Node, problems: &mut Problems) -> Option<Window> {
    let text = node.text(problems)?;
    let (count, unit) = match text.split_ascii_whitespace().collect::<Vec<_>>().as_slice() {
        [unit] => (Some(1), *unit),
        [count, unit] => (count.parse().ok().filter(|count: &u32| *count > 0), *unit),
        _ => (None, ""),
    };
    let unit = UNITS.iter().find(|(name, _)| unit == *name || unit.strip_suffix('s') == Some(*name));
    if let (Some(count), Some((_, unit))) = (count, unit) {
        return Some(Window { count, unit: *unit });
    }
    let fix = "write for example 1 minute, 12 hours or 1 month";
    node.error(problems, format!("{text:?} is no length of time"), "", fix);
    None
}

fn group(node: &Node, number: u32, problems: &mut Problems) -> Option<ConditionGroup> {
    only(node, &["conditions", "limits"], problems);
    let nodes = list(node, "conditions", problems);
    let conditions: Vec<Condition> = nodes.iter().filter_map(|node| condition(node, problems)).collect();
    if nodes.is_empty() {
        node.error(problems, "a group has conditions", "without any it would be for everybody", "add conditions");
        return None;
    }
    Some(ConditionGroup { number, conditions, limits: limits(node, problems) })
}

fn condition(node: &Node, problems: &mut Problems) -> Option<Condition> {
    only(node, &["ip", "header", "query", "claim", "matches", "invert"], problems);
    let pattern = |problems: &mut Problems| required(node, "matches", problems).map(str::to_owned);
    let named = ["header", "query", "claim"].into_iter().find_map(|kind| Some((kind, node.get(kind)?)));
    let of = match (node.get("ip"), named) {
        (Some(ip), None) => ConditionKind::Ip { range: range(&ip, problems)? },
        (None, Some((kind, child))) => {
            let (name, pattern) = (name(&child, problems)?.to_owned(), pattern(problems)?);
            if let Err(error) = tollgate_enforce::check_pattern(&pattern) {
                node.error(problems, error, "no request could be compared with it", "correct the pattern");
                return None;
            }
            match kind {
                "header" => ConditionKind::Header { name: name.to_ascii_lowercase(), pattern },
                "query" => ConditionKind::Query { name, pattern },
                _ => ConditionKind::Claim { name, pattern },
            }
        }
        _ => {
            let fix = "write one of ip, header, query and claim";
            node.error(problems, "a condition looks at one thing", "", fix);
            return None;
        }
    };
    Some(Condition { of, invert: node.get("invert").and_then(|node| node.boolean(problems)) == Some(true) })
}

/// `10.0.0.1`, or `10.0.0.1-10.0.0.9`.
fn range(node: &Node, problems: &mut Problems) -> Option<IpRange> {
    let text = node.text(problems)?;
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let parsed: (Option<IpAddr>, Option<IpAddr>) = (first.trim().parse().ok(), last.trim().parse().ok());
    match parsed {
        (Some(first), Some(last)) if first <= last && first.is_ipv4() == last.is_ipv4() => {
            Some(IpRange { first, last })
        }
        _ => {
            let fix = "write for example 10.0.0.1 or 10.0.0.1-10.0.0.9";
            node.error(problems, format!("{text:?} is no range of addresses"), "", fix);
            None
        }
    }
}

/// Reads `denyConditions` and `customPolicies`.
pub(super) fn throttle(root: &Node, problems: &mut Problems) -> ThrottleRules {
    let mut rules = ThrottleRules::default();
    for (node, number) in list(root, "denyConditions", problems).iter().zip(1_u32..) {
        if let Some(condition) = deny(node, problems) {
            rules.deny.insert(Key::from(keys::deny(&number.to_string())), condition);
        }
    }
    for node in list(root, "customPolicies", problems) {
        let Some(policy) = custom(&node, problems) else { continue };
        if rules.custom.insert(Key::from(keys::custom(&policy.name)), policy).is_some() {
            node.error(problems, "there is another policy of this name", "only one could count", "rename one of them");
        }
    }
    rules
}

fn deny(node: &Node, problems: &mut Problems) -> Option<DenyCondition> {
    only(node, &["api", "application", "user", "subscription", "ip", "invert", "tenant"], problems);
    let mut text = |member| optional(node, member, problems).map(str::to_owned);
    let kinds = (text("api"), text("application"), text("user"), text("subscription"));
    let tenant = text("tenant");
    let invert = node.get("invert").and_then(|node| node.boolean(problems)) == Some(true);
    match (kinds, node.get("ip")) {
        ((Some(context), None, None, None), None) => Some(DenyCondition::Api { context }),
        ((None, Some(key), None, None), None) => Some(DenyCondition::Application { key }),
        ((None, None, Some(key), None), None) => Some(DenyCondition::User { key }),
        ((None, None, None, Some(key)), None) => Some(DenyCondition::Subscription { key }),
        ((None, None, None, None), Some(ip)) => {
            Some(DenyCondition::Ip { range: range(&ip, problems)?, invert, tenant })
        }
        _ => {
            let fix = "write one of api, application, user, subscription and ip";
            node.error(problems, "a deny condition keeps out one thing", "", fix);
            None
        }
    }
}

fn custom(node: &Node, problems: &mut Problems) -> Option<CustomPolicy> {
    only(node, &["name", "key", "limits", "shadow"], problems);
    let (name, template) = (required(node, "name", problems), required(node, "key", problems));
    let policy = CustomPolicy {
        name: name?.to_owned(),
        template: template?.to_owned(),
        limits: limits(node, problems),
        shadow: node.get("shadow").and_then(|node| node.boolean(problems)) == Some(true),
    };
    if let Err(error) = CompiledPolicy::try_from(policy.clone()) {
        node.error(problems, error, "no key could be made of it", "use the variables of docs/limits.md");
        return None;
    }
    // A policy that nobody could reach is a mistake.
    if policy.limits.is_empty() {
        node.error(problems, "the policy has no limits", "it would limit nothing", "add limits");
    }
    Some(policy)
}
