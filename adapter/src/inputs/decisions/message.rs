//! Messages of the topic `throttleData` that say who is throttled. Others of the same topic are for somebody else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tollgate_enforce::check_pattern;
use tollgate_model::{Condition, ConditionKind, IpRange, TrafficManager};

/// Alternatives that conditions may be taken apart into.
const MAX_ALTERNATIVES: usize = 64;
/// Longest throttle key.
const MAX_KEY: usize = 4096;

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Throttle key without the name of a group.
    pub key: String,
    /// Which of its requests are meant.
    pub about: About,
    /// Until when they are refused, in milliseconds since the epoch; no longer when absent.
    pub until: Option<u64>,
}

/// Which requests of a throttle key are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// All of them.
    All,
    /// Those of a group of conditions.
    Group(u32, Vec<Vec<Condition>>),
    /// Those of no group; these are the conditions of all groups.
    Rest(Vec<Vec<Condition>>),
}

/// Why a message cannot be used. Never shows what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadMessage(pub String);

/// Reads a message; `None` when it is about something else. Conditions that cannot be read are taken for such as always hold:
/// whoever may be meant is refused. The second value says what was wrong with them.
///
/// # Errors
/// When it is no message of API Manager, or lacks what it needs.
pub fn read(body: &[u8], manager: TrafficManager) -> Result<Option<(Decision, Option<BadMessage>)>, BadMessage> {
    let message: Value = serde_json::from_slice(body).map_err(|error| BadMessage(error.to_string()))?;
    let data = message.pointer("/event/payloadData").ok_or_else(|| BadMessage("there is no payloadData".to_owned()))?;
    let Some(key) = data.get("throttleKey").and_then(Value::as_str) else { return Ok(None) };
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(BadMessage(format!("throttleKey has {} bytes", key.len())));
    }
    let throttled = match data.get("isThrottled") {
        Some(Value::Bool(throttled)) => *throttled,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => return Err(BadMessage("isThrottled is missing".to_owned())),
    };
    let until = match data.get("expiryTimeStamp").and_then(milliseconds) {
        Some(until) => Some(until).filter(|_| throttled),
        None if throttled => return Err(BadMessage("expiryTimeStamp is missing".to_owned())),
        None => None,
    };
    let (key, group) = split(key);
    let conditions = || match data.get("evaluatedConditions").and_then(Value::as_str).filter(|text| !text.is_empty()) {
        None => (vec![Vec::new()], None),
        Some(text) => match conditions(text, manager) {
            Ok(conditions) => (conditions, None),
            Err(error) => (vec![Vec::new()], Some(error)),
        },
    };
    let (about, problem) = match group {
        None => (About::All, None),
        Some(Group::Number(number)) => {
            let (conditions, problem) = conditions();
            (About::Group(number, conditions), problem)
        }
        Some(Group::Default) => match conditions() {
            // Conditions of which nobody knows what they are exclude nobody.
            (_, Some(problem)) => (About::Rest(Vec::new()), Some(problem)),
            (conditions, None) if conditions == [Vec::new()] => (About::Rest(Vec::new()), None),
            (conditions, None) => (About::Rest(conditions), None),
        },
    };
    Ok(Some((Decision { key: key.to_owned(), about, until }, problem)))
}

fn milliseconds(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        // Some senders write whole numbers as fractions.
        Value::Number(number) => number.as_u64().or_else(|| {
            let float = number.as_f64().filter(|float| *float >= 0.0 && *float < 9e15)?;
            format!("{float:.0}").parse().ok()
        }),
        _ => None,
    }
}

enum Group {
    Number(u32),
    Default,
}

/// Groups are named behind the keys of APIs and operations, which begin with a slash.
fn split(key: &str) -> (&str, Option<Group>) {
    if key.starts_with('/') {
        if let Some(key) = key.strip_suffix("_default") {
            return (key, Some(Group::Default));
        }
        let number = key.rsplit_once("_condition_").and_then(|(key, number)| Some((key, number.parse().ok()?)));
        if let Some((key, number)) = number {
            return (key, Some(Group::Number(number)));
        }
    }
    (key, None)
}

fn conditions(text: &str, manager: TrafficManager) -> Result<Vec<Vec<Condition>>, BadMessage> {
    let bytes = STANDARD.decode(text).map_err(|error| BadMessage(format!("evaluatedConditions: {error}")))?;
    let list: Vec<Value> =
        serde_json::from_slice(&bytes).map_err(|_| BadMessage("evaluatedConditions: no list".to_owned()))?;
    let mut all = Vec::new();
    for element in &list {
        all.extend(alternatives(element, manager)?);
        if all.len() > MAX_ALTERNATIVES {
            return Err(BadMessage("there are too many conditions".to_owned()));
        }
    }
    Ok(all)
}

/// The parts of one element must all hold. A part that is inverted holds when one of its own values does not, so it gives as
/// many alternatives as it has values.
fn alternatives(element: &Value, manager: TrafficManager) -> Result<Vec<Vec<Condition>>, BadMessage> {
    let mut found = vec![Vec::new()];
    if let Some(ip) = addresses(element)? {
        found.iter_mut().for_each(|all| all.push(ip.clone()));
    }
    type Kind = fn(String, String) -> ConditionKind;
    let parts: [(&str, bool, Kind); 3] = [
        ("header", manager.headers, |name, pattern| ConditionKind::Header { name: name.to_lowercase(), pattern }),
        ("queryparametertype", manager.query, |name, pattern| ConditionKind::Query { name, pattern }),
        ("jwtclaims", manager.claims, |name, pattern| ConditionKind::Claim { name, pattern }),
    ];
    for (part, looked_at, kind) in parts {
        let Some(part) = element.get(part).filter(|part| looked_at && !part.is_null()) else { continue };
        let invert = inverted(part);
        let values = part.get("values").and_then(Value::as_object);
        let values = values.ok_or_else(|| BadMessage("a condition has no values".to_owned()))?;
        let mut conditions = Vec::new();
        for (name, pattern) in values {
            let wrong = || BadMessage("a condition has a value that is no pattern".to_owned());
            let pattern = pattern.as_str().filter(|pattern| check_pattern(pattern).is_ok()).ok_or_else(wrong)?;
            conditions.push(Condition { of: kind(name.clone(), pattern.to_owned()), invert });
        }
        if !invert {
            found.iter_mut().for_each(|all| all.extend(conditions.iter().cloned()));
            continue;
        }
        let with = |condition: &Condition| {
            found.iter().map(|all| all.iter().chain([condition]).cloned().collect()).collect::<Vec<_>>()
        };
        found = conditions.iter().flat_map(with).collect();
        if found.len() > MAX_ALTERNATIVES {
            return Err(BadMessage("there are too many conditions".to_owned()));
        }
    }
    Ok(found)
}

fn addresses(element: &Value) -> Result<Option<Condition>, BadMessage> {
    let of = |part: &Value, first: &str, last: &str| -> Result<Option<Condition>, BadMessage> {
        let (first, last) = (address(part, first)?, address(part, last)?);
        let of = ConditionKind::Ip { range: IpRange { first, last } };
        Ok(Some(Condition { of, invert: inverted(part) }))
    };
    match (element.get("ipspecific"), element.get("iprange")) {
        (Some(part), _) if !part.is_null() => of(part, "specificIp", "specificIp"),
        (_, Some(part)) if !part.is_null() => of(part, "startingIp", "endingIp"),
        _ => Ok(None),
    }
}

fn inverted(part: &Value) -> bool {
    part.get("invert").is_some_and(|invert| invert == &Value::Bool(true) || invert == &Value::String("true".to_owned()))
}

/// An address as one number, or as a text.
fn address(part: &Value, member: &str) -> Result<IpAddr, BadMessage> {
    let text = match part.get(member) {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.clone(),
        _ => return Err(BadMessage(format!("{member} is missing"))),
    };
    let number = text.parse::<u128>().ok().map(|number| match u32::try_from(number) {
        Ok(number) => IpAddr::V4(Ipv4Addr::from(number)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(number)),
    });
    number.or_else(|| text.parse().ok()).ok_or_else(|| BadMessage(format!("{member} is no address")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ALL: TrafficManager = TrafficManager { headers: true, query: true, claims: true };

    fn message(data: &Value) -> Vec<u8> {
        json!({"event": {"payloadData": data}}).to_string().into_bytes()
    }

    fn encoded(conditions: &Value) -> String {
        STANDARD.encode(conditions.to_string())
    }

    fn decided(data: &Value) -> Decision {
        let (decision, problem) = read(&message(data), ALL).unwrap().unwrap();
        assert_eq!(problem, None);
        decision
    }

    #[test]
    fn keys_are_told_from_their_groups() {
        let key = |key: &str| {
            let data = json!({"throttleKey": key, "isThrottled": "true", "expiryTimeStamp": 1_800_000_000_000_u64});
            let Decision { key, about, until } = decided(&data);
            assert_eq!(until, Some(1_800_000_000_000));
            (key, about)
        };
        for (text, expected, about) in [
            ("7:alice@carbon.super", "7:alice@carbon.super", About::All),
            ("/p/1.0.0:1.0.0", "/p/1.0.0:1.0.0", About::All),
            ("/p/1.0.0:1.0.0_condition_3", "/p/1.0.0:1.0.0", About::Group(3, vec![Vec::new()])),
            ("/p/1/1/x_default:GET_condition_0", "/p/1/1/x_default:GET", About::Group(0, vec![Vec::new()])),
            ("/p/1/1/x:GET_default", "/p/1/1/x:GET", About::Rest(Vec::new())),
            // No key of an API, whatever the application is called.
            ("app_default", "app_default", About::All),
            ("/p/1:1_condition_x", "/p/1:1_condition_x", About::All),
        ] {
            assert_eq!(key(text), (expected.to_owned(), about));
        }
    }

    #[test]
    fn conditions_are_read_as_the_original_evaluates_them() {
        let conditions = |conditions: &Value, manager| {
            let data = json!({
                "throttleKey": "/p/1:1_condition_1", "isThrottled": true, "expiryTimeStamp": "5",
                "evaluatedConditions": encoded(conditions),
            });
            match read(&message(&data), manager).unwrap().unwrap() {
                (Decision { about: About::Group(1, conditions), .. }, problem) => (conditions, problem.is_some()),
                other => panic!("{other:?}"),
            }
        };
        let header = |name: &str, invert| Condition {
            of: ConditionKind::Header { name: name.to_owned(), pattern: "x".to_owned() },
            invert,
        };
        let ip = |first: &str, last: &str, invert| {
            let range = IpRange { first: first.parse().unwrap(), last: last.parse().unwrap() };
            Condition { of: ConditionKind::Ip { range }, invert }
        };
        let two = json!([
            {"ipspecific": {"specificIp": 167_772_161, "invert": false}, "header": {"values": {"A": "x"}, "invert": false}},
            {"iprange": {"startingIp": "167772161", "endingIp": 167_772_170, "invert": true}},
        ]);
        let expected =
            vec![vec![ip("10.0.0.1", "10.0.0.1", false), header("a", false)], vec![ip("10.0.0.1", "10.0.0.10", true)]];
        assert_eq!(conditions(&two, ALL), (expected.clone(), false));
        // What is not looked at does not count.
        let without = TrafficManager { headers: false, ..ALL };
        assert_eq!(conditions(&two, without).0[0], [ip("10.0.0.1", "10.0.0.1", false)]);
        // Not both at once is: the one not, or the other not.
        let inverted = json!([{"header": {"values": {"A": "x", "B": "x"}, "invert": true}}]);
        assert_eq!(conditions(&inverted, ALL).0, [[header("a", true)], [header("b", true)]]);
        // What cannot be read holds for everybody.
        for broken in [
            json!([{"header": {"values": {"A": "("}, "invert": false}}]),
            json!([{"header": {}}]),
            json!([{"ipspecific": {"specificIp": "here"}}]),
            json!({}),
        ] {
            assert_eq!(conditions(&broken, ALL), (vec![Vec::new()], true), "{broken}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_what_was_said() {
        for conditions in [
            json!([{"header": {"values": {"hush": "hush("}, "invert": false}}]),
            json!([{"header": {"values": {"hush": 5}}}]),
            json!([{"ipspecific": {"specificIp": "hush"}}]),
            json!("hush"),
        ] {
            let data = json!({
                "throttleKey": "/p/1:1_default", "isThrottled": true, "expiryTimeStamp": 5,
                "evaluatedConditions": encoded(&conditions),
            });
            let (_, problem) = read(&message(&data), ALL).unwrap().unwrap();
            let shown = problem.unwrap().to_string();
            assert!(!shown.contains("hush"), "{shown}");
        }
    }

    #[test]
    fn other_messages_are_for_others_and_broken_ones_are_said() {
        for data in
            [json!({"keyTemplateValue": "$userId", "keyTemplateState": "add"}), json!({"blockingCondition": "API"})]
        {
            assert_eq!(read(&message(&data), ALL), Ok(None));
        }
        for data in [
            json!({"throttleKey": ""}),
            json!({"throttleKey": "k"}),
            json!({"throttleKey": "k", "isThrottled": "true"}),
            json!({"throttleKey": "k", "isThrottled": true, "expiryTimeStamp": -1}),
        ] {
            assert!(read(&message(&data), ALL).is_err(), "{data}");
        }
        assert!(read(b"", ALL).is_err() && read(b"{}", ALL).is_err());
        let free = decided(&json!({"throttleKey": "k", "isThrottled": "false"}));
        assert_eq!((free.until, free.about), (None, About::All));
    }
}
