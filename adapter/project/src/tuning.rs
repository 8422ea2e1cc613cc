//! How requests to a backend are timed, retried and limited, within what the gateway grants.

use tollgate_model::Retry;

use super::document::Node;
use super::options::CompileOptions;
use super::unsupported::warn_unknown;
use crate::model::{CircuitBreakers, Problems};

/// How requests to a backend are timed, retried and limited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tuning {
    /// Route timeout.
    pub timeout_ms: Option<u32>,
    /// Retries.
    pub retry: Option<Retry>,
    /// Most that is open at a time.
    pub circuit_breakers: Option<CircuitBreakers>,
}

impl Tuning {
    /// This one, with what it leaves open taken from `other`.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        Self {
            timeout_ms: self.timeout_ms.or(other.timeout_ms),
            retry: self.retry.or_else(|| other.retry.clone()),
            circuit_breakers: self.circuit_breakers.or(other.circuit_breakers),
        }
    }
}

/// A timeout within the gateway's cap. Zero means that none is set.
pub fn timeout(node: &Node<'_>, options: &CompileOptions, problems: &mut Problems) -> Option<u32> {
    let asked = node.number(problems).filter(|asked| *asked > 0)?;
    let granted = u32::try_from(asked).unwrap_or(u32::MAX).min(options.max_timeout_ms);
    if u64::from(granted) != asked {
        node.warn(
            problems,
            format!("the timeout of {asked} ms is cut to {granted} ms"),
            "router.upstream.timeouts.maxRouteTimeoutInSeconds caps it",
            "ask for less, or raise the cap",
        );
    }
    Some(granted)
}

/// Retries within the gateway's cap. Status codes outside 401 to 598 are replaced by the gateway's own.
pub fn retry(
    count: &Node<'_>,
    codes: Option<Node<'_>>,
    options: &CompileOptions,
    problems: &mut Problems,
) -> Option<Retry> {
    let asked = count.number(problems).filter(|asked| *asked > 0)?;
    let granted = u8::try_from(asked).unwrap_or(u8::MAX).min(options.max_retries);
    if u64::from(granted) != asked {
        count.warn(
            problems,
            format!("{asked} retries are cut to {granted}"),
            "router.upstream.retry.maxRetryCount caps them",
            "ask for less, or raise the cap",
        );
    }
    let mut status_codes = Vec::new();
    if let Some(codes) = codes {
        for item in codes.items(problems) {
            match item
                .number(problems)
                .and_then(|code| u16::try_from(code).ok())
                .filter(|code| (401..=598).contains(code))
            {
                Some(code) => status_codes.push(code),
                None => {
                    item.warn(problems, "this status code is left out", "only 401 to 598 cause a retry", "remove it");
                }
            }
        }
    }
    if status_codes.is_empty() {
        status_codes.clone_from(&options.retry_status_codes);
    }
    Some(Retry { count: granted, status_codes }).filter(|retry| retry.count > 0)
}

/// Limits of a cluster. Zero means that none is set, as in the original.
pub fn circuit_breakers(node: &Node<'_>, problems: &mut Problems) -> Option<CircuitBreakers> {
    const KNOWN: [&str; 5] =
        ["maxConnections", "maxRequests", "maxPendingRequests", "maxRetries", "maxConnectionPools"];
    node.object(problems)?;
    warn_unknown(node, &KNOWN, problems);
    let mut limit = |key: &str| {
        let member = node.get(key)?;
        let asked = member.number(problems).filter(|asked| *asked > 0)?;
        let limit = u32::try_from(asked).ok();
        if limit.is_none() {
            member.error(problems, format!("{asked} is too large"), "a limit has 32 bits", "write a smaller one");
        }
        limit
    };
    let breakers = CircuitBreakers {
        max_connections: limit("maxConnections"),
        max_requests: limit("maxRequests"),
        max_pending_requests: limit("maxPendingRequests"),
        max_retries: limit("maxRetries"),
        max_connection_pools: limit("maxConnectionPools"),
    };
    (breakers != CircuitBreakers::default()).then_some(breakers)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_are_read() {
        let some = |max_connections, max_retries| {
            Some(CircuitBreakers { max_connections, max_retries, ..CircuitBreakers::default() })
        };
        for (value, expected, reported) in [
            (json!({"maxConnections": 25, "maxRetries": "3"}), some(Some(25), Some(3)), 0),
            (json!({"maxConnections": 0}), None, 0),
            (json!({}), None, 0),
            (json!({"maxConnection": 25}), None, 1),
            (json!({"maxConnections": -1}), None, 1),
            (json!({"maxConnections": 4_294_967_296_u64}), None, 1),
            (json!(5), None, 1),
        ] {
            let mut problems = Problems::new();
            assert_eq!(circuit_breakers(&Node::root("a", &value), &mut problems), expected, "{value}");
            assert_eq!(problems.iter().count(), reported, "{value}");
        }
    }

    #[test]
    fn timeouts_and_retries_are_capped() {
        let options = CompileOptions::default();
        for (asked, granted, warned) in
            [(json!(30_000), Some(30_000), false), (json!("90000"), Some(60_000), true), (json!(0), None, false)]
        {
            let mut problems = Problems::new();
            assert_eq!(timeout(&Node::root("a", &asked), &options, &mut problems), granted);
            assert_eq!(!problems.is_empty(), warned);
        }
        for (asked, codes, expected) in [
            (json!(3), json!([503, 504]), Some((3, vec![503, 504]))),
            (json!(9), json!([400, 599, 200]), Some((5, vec![504]))),
            (json!(0), json!([503]), None),
        ] {
            let mut problems = Problems::new();
            let found = retry(&Node::root("a", &asked), Some(Node::root("a", &codes)), &options, &mut problems);
            assert_eq!(found.map(|retry| (retry.count, retry.status_codes)), expected);
            assert!(!problems.has_errors());
        }
    }
}
