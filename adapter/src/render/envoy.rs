//! Plain Envoy: templates whose comments are as much worth as the rest, filled from the environment.

use serde_json::{Value, json};
use tollgate_model::contract::RESPONSE_HEADERS;

use super::{Delivery, Options, RenderError, plugin, yaml};
use crate::bootstrap::{self, Default, Variable};
use crate::outputs::xds::{FEED_CLUSTER, PUBLIC_CLUSTER};

const OWN_ROUTES: &str = include_str!("own-routes.yaml");

/// Placeholders of the template beside those of the bootstrap.
pub const VARIABLES: [Variable; 4] = [
    ("LISTENER_HOST", Default::Value("0.0.0.0"), "address of the example's listener"),
    ("LISTENER_PORT", Default::Value("8080"), "its port"),
    ("UPSTREAM_HOST", Default::Value("127.0.0.1"), "where the example's backend is"),
    ("UPSTREAM_PORT", Default::Value("8000"), "its port"),
];

/// The bootstrap with which Envoy takes everything from the adapter.
pub(super) fn ads(options: &Options) -> Result<String, RenderError> {
    Ok(bootstrap::render(&options.variables)?)
}

/// A bootstrap whose routes are the user's.
pub(super) fn own_routes(options: &Options) -> Result<String, RenderError> {
    let configuration = plugin::configuration(options, FEED_CLUSTER, None);
    let name = format!("tollgate.{}", options.source.name);
    let plugin = plugin::envoy(options, &name, &configuration, code(options)?)?;
    let mut text = block(OWN_ROUTES, "${TOLLGATE_PLUGIN}", &yaml::object(&plugin)?);
    text = block(&text, "${TOLLGATE_RESPONSE_HEADERS}", &yaml::object(&response_headers())?);
    let known: Vec<Variable> = bootstrap::VARIABLES.into_iter().chain(VARIABLES).collect();
    Ok(bootstrap::fill(&text, &known, &options.variables)?)
}

fn code(options: &Options) -> Result<Value, RenderError> {
    match options.source.delivery {
        Delivery::File => Ok(json!({ "local": { "filename": options.source.file } })),
        Delivery::Http => {
            let sha256 = plugin::location(options)?.sha256.unwrap_or_default();
            let own = options.source.module.as_ref().map_or_else(|| sha256.clone(), |module| module.sha256.clone());
            // Envoy puts the host of this address into its request; where that goes, the cluster says.
            let uri = format!("https://{PUBLIC_CLUSTER}/filters/{own}.wasm");
            Ok(json!({
                "remote": {
                    "http_uri": { "uri": uri, "cluster": PUBLIC_CLUSTER, "timeout": "30s" },
                    "sha256": sha256,
                    "retry_policy": { "num_retries": 20, "retry_back_off": { "base_interval": "0.5s", "max_interval": "5s" } },
                },
            }))
        }
        Delivery::Oci => Err(RenderError::options(
            "Envoy itself fetches nothing from registries",
            "use --delivery file or --delivery http",
        )),
    }
}

/// The headers that a decision may set, taken from filter state.
fn response_headers() -> Value {
    let header = |(header, state): (&str, &str)| {
        let action = if header == "vary" { "APPEND_IF_EXISTS_OR_ADD" } else { "OVERWRITE_IF_EXISTS_OR_ADD" };
        json!({
            "header": { "key": header, "value": format!("%FILTER_STATE(wasm.{state}:PLAIN)%") },
            "append_action": action,
        })
    };
    RESPONSE_HEADERS.into_iter().map(header).collect()
}

/// The text with lines in the place of the one that is this placeholder, as far to the right as that one.
fn block(template: &str, placeholder: &str, lines: &str) -> String {
    let mut text = String::with_capacity(template.len().saturating_add(lines.len()));
    for line in template.lines() {
        match line.strip_suffix(placeholder) {
            Some(indent) if indent.chars().all(|character| character == ' ') => {
                for line in lines.lines() {
                    text.push_str(indent);
                    text.push_str(line);
                    text.push('\n');
                }
            }
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_as_far_to_the_right_as_their_placeholder() {
        let template = "a:\n  ${X}\nb: ${X}\n";
        assert_eq!(block(template, "${X}", "c: 1\nd:\n  e: 2\n"), "a:\n  c: 1\n  d:\n    e: 2\nb: ${X}\n");
    }
}
