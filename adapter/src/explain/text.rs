//! An explanation for people. Must never need more than the JSON of it, so that it can come from another process.

use std::fmt::Write as _;

use serde_json::Value;

/// Stages with their facts, and the verdict.
#[must_use]
pub fn render(explanation: &Value) -> String {
    let mut text = String::new();
    line(&mut text, word(&explanation["request"]));
    for asked in items(&explanation["asked"]) {
        line(&mut text, &format!("asked for {}: {}", word(&asked["what"]), word(&asked["is"])));
    }
    for stage in items(&explanation["stages"]) {
        line(&mut text, &format!("{}: {}", word(&stage["stage"]), word(&stage["outcome"])));
        for fact in items(&stage["facts"]) {
            line(&mut text, &format!("  {}: {}", word(&fact["what"]), word(&fact["is"])));
        }
    }
    let verdict = &explanation["verdict"];
    let told = match word(&verdict["decision"]) {
        "forward" if verdict["cluster"].is_null() => "goes on".to_owned(),
        "forward" => format!("goes to the cluster {}", word(&verdict["cluster"])),
        "reply" => format!("is answered {} ({})", verdict["status"], word(&verdict["details"])),
        _ => format!("depends on {}", word(&verdict["question"])),
    };
    line(&mut text, &format!("verdict: the request {told}"));
    text
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail. What others wrote must not steer a terminal.
    writeln!(text, "{}", line.replace(char::is_control, " ")).ok();
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
