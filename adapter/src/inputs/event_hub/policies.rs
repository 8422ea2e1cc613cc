//! Plans as API Manager lists them. Must never make a plan more generous than it is: one that cannot be understood is refused.

use std::net::IpAddr;

use serde_json::Value;
use tollgate_model::{
    Condition, ConditionGroup, ConditionKind, GraphQlLimits, IpRange, Limit, QuotaUnit, SpikeArrest, Tier, TierKind,
    TimeUnit, Window,
};

use super::object::{Object, ShapeError};
use crate::model::plans;

/// What API Manager writes for as much as one likes.
const NO_BOUND: i64 = 2_147_483_647;

/// Reads a plan.
///
/// # Errors
/// What is missing, or cannot be understood.
pub fn tier(kind: TierKind, object: Object<'_>) -> Result<Tier, ShapeError> {
    let name = object.needed("name")?;
    let limits = match object.object("defaultLimit") {
        Some(limit) => limit_of(limit)?,
        // Some lists leave it out, and then only the name says what is meant.
        None => shipped(kind, &name),
    };
    Ok(Tier {
        stop_on_quota_reach: object.flag("stopOnQuotaReach").unwrap_or(true),
        spike_arrest: spike_arrest(object)?,
        graphql: GraphQlLimits {
            max_depth: positive(object, "graphQLMaxDepth"),
            max_complexity: positive(object, "graphQLMaxComplexity"),
        },
        limits,
        groups: object.list("conditionGroups").map(group).collect::<Result<_, _>>()?,
        ..Tier::named(&name)
    })
}

fn shipped(kind: TierKind, name: &str) -> Vec<Limit> {
    let key = tollgate_model::keys::tier(kind, name);
    plans::shipped().find(|(shipped, _)| **shipped == *key).map(|(_, tier)| tier.limits).unwrap_or_default()
}

fn positive(object: Object<'_>, name: &str) -> Option<u32> {
    object.number(name).and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0)
}

fn spike_arrest(object: Object<'_>) -> Result<Option<SpikeArrest>, ShapeError> {
    let Some(requests) = positive(object, "rateLimitCount") else { return Ok(None) };
    // Some plans have a count without a unit, which means none.
    let Some(unit) = object.text("rateLimitTimeUnit").filter(|unit| unit != "NA") else { return Ok(None) };
    let seconds = match time_unit(&unit) {
        Some(TimeUnit::Second) => 1,
        Some(TimeUnit::Minute) => 60,
        Some(TimeUnit::Hour) => 3600,
        Some(TimeUnit::Day) => 86_400,
        _ => return Err(ShapeError::Unclear("rateLimitTimeUnit")),
    };
    Ok(Some(SpikeArrest { requests, seconds }))
}

/// What `defaultLimit` says, of a plan or of a group.
fn limit_of(limit: Object<'_>) -> Result<Vec<Limit>, ShapeError> {
    const KINDS: [(&str, &str, QuotaUnit); 3] = [
        ("requestCount", "requestCount", QuotaUnit::Requests),
        ("bandwidth", "dataAmount", QuotaUnit::Bytes),
        ("eventCount", "eventCount", QuotaUnit::Requests),
    ];
    let found = KINDS.into_iter().find_map(|(kind, amount, unit)| Some((limit.object(kind)?, amount, unit)));
    let Some((limit, amount, unit)) = found else { return Err(ShapeError::Missing("defaultLimit")) };
    let amount = limit.number(amount).ok_or(ShapeError::Missing("defaultLimit"))?;
    if !(0..NO_BOUND).contains(&amount) {
        return Ok(Vec::new());
    }
    let factor = match (unit, limit.text("dataUnit").as_deref().map(str::to_ascii_uppercase).as_deref()) {
        (QuotaUnit::Requests, _) => 1,
        (QuotaUnit::Bytes, Some("KB")) => 1024,
        (QuotaUnit::Bytes, Some("MB")) => 1024 * 1024,
        (QuotaUnit::Bytes, Some("GB")) => 1024 * 1024 * 1024,
        (QuotaUnit::Bytes, _) => return Err(ShapeError::Unclear("dataUnit")),
    };
    let window_unit = limit.text("timeUnit").as_deref().and_then(time_unit).ok_or(ShapeError::Unclear("timeUnit"))?;
    let count = positive(limit, "unitTime").ok_or(ShapeError::Unclear("unitTime"))?;
    let amount = u64::try_from(amount).unwrap_or(0).saturating_mul(factor);
    Ok(vec![Limit { amount, unit, window: Window { count, unit: window_unit } }])
}

fn time_unit(text: &str) -> Option<TimeUnit> {
    Some(match text.to_ascii_lowercase().as_str() {
        "s" | "sec" | "second" | "seconds" => TimeUnit::Second,
        "min" | "minute" | "minutes" => TimeUnit::Minute,
        "hour" | "hours" => TimeUnit::Hour,
        "day" | "days" => TimeUnit::Day,
        "week" | "weeks" => TimeUnit::Week,
        "month" | "months" => TimeUnit::Month,
        "year" | "years" => TimeUnit::Year,
        _ => return None,
    })
}

/// A group of conditions with the limits of the requests that meet them.
fn group(value: &Value) -> Result<ConditionGroup, ShapeError> {
    let object = Object::of(value)?;
    let number = object.number("conditionGroupId").and_then(|number| u32::try_from(number).ok());
    let conditions: Vec<Condition> = object.list("condition").map(condition).collect::<Result<_, _>>()?;
    if conditions.is_empty() {
        // It would be for everybody.
        return Err(ShapeError::Missing("condition"));
    }
    Ok(ConditionGroup {
        number: number.ok_or(ShapeError::Missing("conditionGroupId"))?,
        conditions,
        limits: limit_of(object.object("defaultLimit").ok_or(ShapeError::Missing("defaultLimit"))?)?,
    })
}

fn condition(value: &Value) -> Result<Condition, ShapeError> {
    let object = Object::of(value)?;
    let kind = object.needed("conditionType")?;
    let (name, value) = (object.text("name").unwrap_or_default(), object.needed("value")?);
    let of = match kind.to_ascii_lowercase().as_str() {
        "ipspecific" => ConditionKind::Ip { range: range(&value, &value).ok_or(ShapeError::Unclear("value"))? },
        "iprange" => ConditionKind::Ip { range: range(&name, &value).ok_or(ShapeError::Unclear("value"))? },
        "header" => ConditionKind::Header { name: name.to_ascii_lowercase(), pattern: pattern(value)? },
        "queryparametertype" => ConditionKind::Query { name, pattern: pattern(value)? },
        "jwtclaims" => ConditionKind::Claim { name, pattern: pattern(value)? },
        _ => return Err(ShapeError::Unclear("conditionType")),
    };
    Ok(Condition { of, invert: object.flag("isInverted").unwrap_or(false) })
}

fn pattern(text: String) -> Result<String, ShapeError> {
    tollgate_enforce::check_pattern(&text).map(|()| text).map_err(|_| ShapeError::Unclear("value"))
}

/// Addresses from one to another.
pub(super) fn range(first: &str, last: &str) -> Option<IpRange> {
    let (first, last): (IpAddr, IpAddr) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(IpRange { first, last })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(
        kind: TierKind,
        value: &Value,
        expected: Result<&[(u64, QuotaUnit, u32, TimeUnit)], ShapeError>,
    ) -> Option<Tier> {
        let tier = tier(kind, Object::of(value).unwrap());
        let limits = tier.as_ref().map(|tier| {
            let limit = |limit: &Limit| (limit.amount, limit.unit, limit.window.count, limit.window.unit);
            tier.limits.iter().map(limit).collect::<Vec<_>>()
        });
        assert_eq!(limits.map_err(Clone::clone), expected.map(<[_]>::to_vec), "{value}");
        tier.ok()
    }

    #[test]
    fn limits() {
        let requests = |count: i64, unit: &str, time: i64| {
            json!({"name": "P", "defaultLimit": {"quotaType": "requestCount",
            "requestCount": {"timeUnit": unit, "unitTime": time, "requestCount": count}}})
        };
        let kind = TierKind::Subscription;
        check(kind, &requests(5, "min", 2), Ok(&[(5, QuotaUnit::Requests, 2, TimeUnit::Minute)]));
        check(kind, &requests(5, "months", 1), Ok(&[(5, QuotaUnit::Requests, 1, TimeUnit::Month)]));
        check(kind, &requests(2_147_483_647, "min", 0), Ok(&[]));
        check(kind, &requests(5, "eons", 1), Err(ShapeError::Unclear("timeUnit")));
        check(kind, &requests(5, "min", 0), Err(ShapeError::Unclear("unitTime")));
        let bandwidth = json!({"name": "P", "defaultLimit": {"bandwidth":
            {"timeUnit": "hour", "unitTime": 1, "dataAmount": 3, "dataUnit": "MB"}}});
        check(kind, &bandwidth, Ok(&[(3 << 20, QuotaUnit::Bytes, 1, TimeUnit::Hour)]));
        check(kind, &json!({"name": "P", "defaultLimit": {}}), Err(ShapeError::Missing("defaultLimit")));
        check(kind, &json!({"name": "Gold"}), Ok(&[(5000, QuotaUnit::Requests, 1, TimeUnit::Minute)]));
        check(kind, &json!({"name": "Own"}), Ok(&[]));
        check(kind, &json!({}), Err(ShapeError::Missing("name")));
    }

    #[test]
    fn bursts_and_bounds_of_graphql() {
        let value = json!({"name": "P", "stopOnQuotaReach": false, "rateLimitCount": 7, "rateLimitTimeUnit": "min",
            "graphQLMaxDepth": 4, "graphQLMaxComplexity": 0});
        let tier = check(TierKind::Subscription, &value, Ok(&[])).unwrap();
        assert_eq!(tier.spike_arrest, Some(SpikeArrest { requests: 7, seconds: 60 }));
        assert_eq!((tier.graphql.max_depth, tier.graphql.max_complexity), (Some(4), None));
        assert!(!tier.stop_on_quota_reach);
        let none = json!({"name": "P", "rateLimitCount": 0, "rateLimitTimeUnit": null});
        assert_eq!(check(TierKind::Subscription, &none, Ok(&[])).unwrap().spike_arrest, None);
        let unclear = json!({"name": "P", "rateLimitCount": 1, "rateLimitTimeUnit": "fortnight"});
        check(TierKind::Subscription, &unclear, Err(ShapeError::Unclear("rateLimitTimeUnit")));
    }

    #[test]
    fn groups_of_conditions() {
        let limit = json!({"requestCount": {"timeUnit": "min", "unitTime": 1, "requestCount": 3}});
        let policy = |conditions: Value| {
            json!({"name": "P", "defaultLimit": limit, "conditionGroups": [
            {"policyId": 1, "conditionGroupId": 9, "condition": conditions, "defaultLimit": limit}]})
        };
        let all = json!([
            {"conditionType": "IPSpecific", "name": "IPSpecific", "value": "10.0.0.1", "isInverted": true},
            {"conditionType": "IPRange", "name": "10.0.0.1", "value": "10.0.0.9"},
            {"conditionType": "Header", "name": "User-Agent", "value": "^curl"},
            {"conditionType": "QueryParameterType", "name": "q", "value": "a"},
            {"conditionType": "JWTClaims", "name": "role", "value": "b"},
        ]);
        let one = &[(3, QuotaUnit::Requests, 1, TimeUnit::Minute)][..];
        let tier = check(TierKind::Api, &policy(all), Ok(one)).unwrap();
        let group = &tier.groups[0];
        assert_eq!((group.number, group.conditions.len(), group.limits.len()), (9, 5, 1));
        assert!(group.conditions[0].invert && !group.conditions[1].invert);
        let header = ConditionKind::Header { name: "user-agent".to_owned(), pattern: "^curl".to_owned() };
        assert_eq!(group.conditions[2].of, header);
        for (bad, error) in [
            (json!([]), ShapeError::Missing("condition")),
            (json!([{"conditionType": "Moon", "value": "full"}]), ShapeError::Unclear("conditionType")),
            (
                json!([{"conditionType": "IPRange", "name": "10.0.0.9", "value": "10.0.0.1"}]),
                ShapeError::Unclear("value"),
            ),
            (json!([{"conditionType": "Header", "name": "a", "value": "("}]), ShapeError::Unclear("value")),
        ] {
            check(TierKind::Api, &policy(bad), Err(error));
        }
    }
}
