//! How the pages show the control plane. Must never show more than its report.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::model::{ControlPlaneReport, ControlPlaneState, ListReport};

/// What `/ready` says of it.
pub(super) fn ready(report: &ControlPlaneReport) -> Value {
    json!({"state": report.state, "stale": report.stale(), "broker": report.broker.connected})
}

/// Metrics in the text format of Prometheus.
pub(super) fn metrics(text: &mut String, report: &ControlPlaneReport) {
    let live = u64::from(report.state == ControlPlaneState::Live);
    let broker = u64::from(report.broker.connected);
    for (name, kind, help, value) in [
        ("live", "gauge", "Whether everything that API Manager has is known.", live),
        ("broker_connected", "gauge", "Whether messages of API Manager arrive.", broker),
        ("connections_total", "counter", "How often its broker was reached.", report.broker.connections),
        ("events_total", "counter", "Messages that were taken over.", report.events),
        ("poison_total", "counter", "Messages that could not be used.", report.poison),
        ("pulls_total", "counter", "Answers that were taken over.", report.pulls),
        ("pull_failures_total", "counter", "Questions that failed.", report.pull_failures),
        ("store_failing", "gauge", "Whether its state cannot be kept.", u64::from(report.store_error.is_some())),
    ] {
        super::pages::sample(text, &format!("control_plane_{name}"), kind, help, value);
    }
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let entries = |list: &ListReport| Some(count(list.count));
    let refused = |list: &ListReport| Some(count(list.refused));
    let failing = |list: &ListReport| Some(u64::from(list.error.is_some()));
    lists(text, report, "entries", "Entries of a list that are known.", entries);
    lists(text, report, "refused", "Entries of a list that cannot be understood.", refused);
    lists(text, report, "failing", "Whether a list could not be read last time.", failing);
    lists(text, report, "last_success_seconds", "When a list was last read.", |list| list.last_success);
    lists(text, report, "lag_milliseconds", "How long that took.", |list| list.lag_ms);
}

fn lists(
    text: &mut String,
    report: &ControlPlaneReport,
    name: &str,
    help: &str,
    of: impl Fn(&ListReport) -> Option<u64>,
) {
    let name = format!("tollgate_control_plane_source_{name}");
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
    for (source, value) in report.sources.iter().filter_map(|(source, list)| Some((source, of(list)?))) {
        let _ = writeln!(text, "{name}{{source=\"{source}\"}} {value}");
    }
}

/// Lines of `adapter status`.
pub(super) fn lines(plane: &Value) -> Vec<String> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let mut lines = vec![format!(
        "control plane: {}, {}, {} messages, {} unusable",
        word(&plane["state"]),
        word(&plane["location"]),
        number(&plane["events"]),
        number(&plane["poison"]),
    )];
    let broker = &plane["broker"];
    let connected = if broker["connected"] == true { "connected" } else { "not connected" };
    lines.push(format!("  broker: {connected} {}", word(&broker["endpoint"])));
    for (what, error) in [("broker", &broker["error"]), ("state on the disk", &plane["storeError"])] {
        if error.is_string() {
            lines.push(format!("    error of the {what}: {}", word(error)));
        }
    }
    for (name, list) in plane["sources"].as_object().into_iter().flatten() {
        let read = match list["lastSuccess"].as_u64() {
            Some(seconds) => format!("read at {seconds} in {} ms", number(&list["lagMs"])),
            None => "never read".to_owned(),
        };
        let refused = number(&list["refused"]);
        lines.push(format!("  {name}: {} entries, {refused} refused, {read}", number(&list["count"])));
        if list["error"].is_string() {
            lines.push(format!("    error ({} in a row): {}", number(&list["failures"]), word(&list["error"])));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BrokerReport;

    #[test]
    fn all_that_matters_is_shown_everywhere() {
        let list = ListReport { count: 3, last_success: Some(5), lag_ms: Some(7), ..ListReport::default() };
        let broken = ListReport { error: Some("answered 500".to_owned()), failures: 2, ..ListReport::default() };
        let report = ControlPlaneReport {
            state: ControlPlaneState::Stale,
            location: "https://apim/".to_owned(),
            broker: BrokerReport { error: Some("refused".to_owned()), ..BrokerReport::default() },
            sources: [("applications".to_owned(), list), ("apis".to_owned(), broken)].into(),
            events: 9,
            ..ControlPlaneReport::default()
        };
        assert_eq!(ready(&report), json!({"state": "stale", "stale": ["apis"], "broker": false}));
        let mut text = String::new();
        metrics(&mut text, &report);
        for line in [
            "tollgate_control_plane_live 0",
            "tollgate_control_plane_events_total 9",
            "tollgate_control_plane_source_entries{source=\"applications\"} 3",
            "tollgate_control_plane_source_failing{source=\"apis\"} 1",
            "tollgate_control_plane_source_last_success_seconds{source=\"applications\"} 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
        let expected = [
            "control plane: stale, https://apim/, 9 messages, 0 unusable",
            "  broker: not connected ",
            "    error of the broker: refused",
            "  apis: 0 entries, 0 refused, never read",
            "    error (2 in a row): answered 500",
            "  applications: 3 entries, 0 refused, read at 5 in 7 ms",
        ];
        assert_eq!(lines(&serde_json::to_value(&report).unwrap()), expected);
    }
}
