//! Counts how often the module and Envoy call each other for one request, from Envoy's own trace of both directions.
//!
//! The trace of a callback is nested: `[host->vm] name(..)`, any number of `[vm->host] name(..)`, `[host<-vm] name return`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde::Serialize;
use tollgate_tests::http::Answer;

/// Calls of one request, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// What Envoy called in the module.
    pub callbacks: BTreeMap<String, usize>,
    /// What the module called in Envoy meanwhile.
    pub host_calls: BTreeMap<String, usize>,
}

/// Traces one request of `ask`, which must have been made before: what is counted is the usual case, not the first.
///
/// # Errors
/// When Envoy's admin interface or the request does not answer.
pub async fn count(
    client: &reqwest::Client,
    admin: u16,
    log: &Path,
    ask: impl AsyncFn() -> Result<Answer>,
) -> Result<Calls> {
    let level = async |level: &str| {
        let url = format!("http://127.0.0.1:{admin}/logging?wasm={level}");
        let answer = Answer::of(client.post(url)).await?;
        ensure!(answer.status == StatusCode::OK, "Envoy's log level: {} {}", answer.status, answer.body);
        Ok(())
    };
    ask().await?;
    let before = std::fs::read(log).context("reading Envoy's log")?.len();
    level("trace").await?;
    ask().await?;
    level("info").await?;
    let log = std::fs::read(log).context("reading Envoy's log")?;
    let calls = read(&String::from_utf8_lossy(log.get(before..).unwrap_or_default()));
    ensure!(calls.callbacks.contains_key("proxy_on_request_headers"), "Envoy's trace shows no request: {calls:?}");
    Ok(calls)
}

fn read(trace: &str) -> Calls {
    let mut calls = Calls::default();
    // The callbacks under way, outermost first, on each thread.
    let mut threads: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in trace.lines() {
        let (Some(thread), Some((_, event))) = (line.split(['[', ']']).nth(3), line.rsplit_once(" [")) else {
            continue;
        };
        let Some((direction, name)) = event.split_once("] ") else { continue };
        let name = name.split(['(', ' ']).next().unwrap_or_default();
        let under_way = threads.entry(thread).or_default();
        match direction {
            "host->vm" => {
                if under_way.is_empty() && belongs_to_a_request(name) {
                    increment(&mut calls.callbacks, name);
                }
                under_way.push(name);
            }
            "host<-vm" => {
                under_way.pop();
            }
            "vm->host" if under_way.first().is_some_and(|outermost| belongs_to_a_request(outermost)) => {
                increment(&mut calls.host_calls, name.rsplit('.').next().unwrap_or(name));
            }
            _ => {}
        }
    }
    calls
}

/// The feed goes on while the request is traced.
fn belongs_to_a_request(callback: &str) -> bool {
    !matches!(callback, "proxy_on_tick" | "proxy_on_http_call_response")
}

fn increment(counts: &mut BTreeMap<String, usize>, name: &str) {
    let count = counts.entry(name.to_owned()).or_default();
    *count = count.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "\
[2026-01-01 10:00:00.000][7][trace][wasm] [source/extensions/common/wasm/wasm_vm.cc:39] [host->vm] proxy_on_request_headers(2, 8, 1)
[2026-01-01 10:00:00.000][9][trace][wasm] [source/extensions/common/wasm/wasm_vm.cc:39] [host->vm] proxy_on_tick(1)
[2026-01-01 10:00:00.000][9][trace][wasm] [source/extensions/common/wasm/wasm_vm.cc:39] [vm->host] env.proxy_get_shared_data(1, 2)
[2026-01-01 10:00:00.000][7][trace][wasm] [source/extensions/common/wasm/wasm_vm.cc:39] [vm->host] env.proxy_get_header_map_pairs(0, 1, 2)
[2026-01-01 10:00:00.000][7][trace][wasm] [source/extensions/common/wasm/wasm_vm.cc:39] [host->vm] proxy_on_memory_allocate(235)
[2026-01-01 10:00:00.000][7][trace][wasm] [source/extensions/common/wasm/wasm_vm.cc:39] [host<-vm] proxy_on_memory_allocate return: 10
[2026-01-01 10:00:00.000][7][trace][wasm] [source/extensions/common/wasm/wasm_vm.cc:39] [vm<-host] env.proxy_get_header_map_pairs return: 0
[2026-01-01 10:00:00.000][7][trace][wasm] [source/extensions/common/wasm/wasm_vm.cc:39] [vm->host] env.proxy_replace_header_map_value(0)
[2026-01-01 10:00:00.000][7][trace][wasm] [source/extensions/common/wasm/wasm_vm.cc:39] [vm->host] env.proxy_replace_header_map_value(0)
[2026-01-01 10:00:00.000][7][trace][wasm] [source/extensions/common/wasm/wasm_vm.cc:39] [host<-vm] proxy_on_request_headers return: 0
[2026-01-01 10:00:00.000][9][trace][wasm] [source/extensions/common/wasm/wasm_vm.cc:39] [host<-vm] proxy_on_tick return: void
";

    #[test]
    fn counts_what_belongs_to_the_request_and_nothing_else() {
        let counts = |pairs: &[(&str, usize)]| pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        assert_eq!(
            read(TRACE),
            Calls {
                callbacks: counts(&[("proxy_on_request_headers", 1)]),
                host_calls: counts(&[("proxy_get_header_map_pairs", 1), ("proxy_replace_header_map_value", 2)]),
            }
        );
    }
}
