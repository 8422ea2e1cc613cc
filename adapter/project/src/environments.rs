//! `deployment_environments.yaml`: on which virtual host of which environment the API is served.

use std::collections::{BTreeMap, BTreeSet};

use super::document::Node;
use super::names;
use super::options::{CompileOptions, DEFAULT_ENVIRONMENT};
use crate::model::Problems;

/// Virtual hosts, each with the environments that serve the API on it.
pub type Targets = BTreeMap<String, BTreeSet<String>>;

/// Where a project without such a file goes: to the default environment.
pub fn default(options: &CompileOptions, problems: &mut Problems) -> Targets {
    if let Some(host) = options.virtual_hosts.get(DEFAULT_ENVIRONMENT) {
        return Targets::from([(host.clone(), BTreeSet::from([DEFAULT_ENVIRONMENT.to_owned()]))]);
    }
    problems.error(
        ("", ""),
        "the project names no environment, and there is no environment called Default",
        "adapter.vhostMapping does not list it",
        "add deployment_environments.yaml to the project",
    );
    Targets::new()
}

/// Reads the file.
pub fn read(root: &Node<'_>, options: &CompileOptions, problems: &mut Problems) -> Targets {
    if let Some(kind) = root.get("type")
        && kind.text(problems).is_some_and(|text| text != "deployment_environments")
    {
        kind.error(problems, "the document does not list environments", "", "write type: deployment_environments");
    }
    let Some(data) = root.get("data") else { return default(options, problems) };
    let mut hosts: BTreeMap<String, String> = BTreeMap::new();
    for entry in data.items(problems) {
        let Some((environment, host)) = target(&entry, options, problems) else { continue };
        if hosts.insert(environment.to_owned(), host).is_some() {
            entry.warn(
                problems,
                format!("the environment {environment} is listed twice"),
                "the later entry counts",
                "remove one",
            );
        }
    }
    let mut targets = Targets::new();
    for (environment, host) in hosts {
        targets.entry(host).or_default().insert(environment);
    }
    if targets.is_empty() && !problems.has_errors() {
        data.error(
            problems,
            "the project is deployed nowhere",
            "none of its environments is known here",
            "name an environment of adapter.vhostMapping",
        );
    }
    targets
}

fn target<'v>(entry: &Node<'v>, options: &CompileOptions, problems: &mut Problems) -> Option<(&'v str, String)> {
    let Some(node) = entry.get("deploymentEnvironment") else {
        entry.error(
            problems,
            "the entry names no environment",
            "nobody would serve the API",
            "add deploymentEnvironment",
        );
        return None;
    };
    let environment = node.text(problems)?;
    if let Err(what) = names::token(environment) {
        node.error(problems, format!("the environment {what}"), "no gateway can have that label", "correct it");
        return None;
    }
    let asked = entry.get("deploymentVhost").filter(|node| node.value() != "");
    let Some(asked) = asked else {
        let host = options.virtual_hosts.get(environment).cloned();
        if host.is_none() {
            node.warn(
                problems,
                format!("the environment {environment} is skipped"),
                "it has no default virtual host here",
                "add it to adapter.vhostMapping, or name a deploymentVhost",
            );
        }
        return Some((environment, host?));
    };
    match names::virtual_host(asked.text(problems)?) {
        Ok(host) => Some((environment, host)),
        Err(what) => {
            asked.error(
                problems,
                format!("the virtual host {what}"),
                "no request could be matched with it",
                "write a host name",
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(data: &Value, expected: &[(&str, &[&str])], reported: &[&str]) {
        let document = json!({"type": "deployment_environments", "version": "v4.2.0", "data": data});
        let mut options = CompileOptions::default();
        options.virtual_hosts.insert("Europe".to_owned(), "eu.example.com".to_owned());
        let mut problems = Problems::new();
        let found = read(&Node::root("deployment_environments.yaml", &document), &options, &mut problems);
        let expected: Targets = expected
            .iter()
            .map(|(host, all)| ((*host).to_owned(), all.iter().map(|name| (*name).to_owned()).collect()))
            .collect();
        assert_eq!(found, expected, "{data}");
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(text.len(), reported.len(), "{text:?}");
        for (text, part) in text.iter().zip(reported) {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn environments() {
        let entry =
            |environment: &str, host: &str| json!({"deploymentEnvironment": environment, "deploymentVhost": host});
        for (data, expected, reported) in [
            (json!([entry("Default", "")]), &[("localhost", &["Default"][..])][..], &[][..]),
            (
                json!([entry("Default", "US.example.com"), entry("Europe", "us.example.com")]),
                &[("us.example.com", &["Default", "Europe"])],
                &[],
            ),
            (
                json!([entry("Default", ""), entry("Europe", "")]),
                &[("eu.example.com", &["Europe"]), ("localhost", &["Default"])],
                &[],
            ),
            (json!([entry("Default", "a"), entry("Default", "b")]), &[("b", &["Default"])], &["listed twice"]),
            (json!([entry("Mars", ""), entry("Default", "")]), &[("localhost", &["Default"])], &["skipped"]),
            (json!([entry("Mars", "mars.example.com")]), &[("mars.example.com", &["Mars"])], &[]),
            (json!([entry("Mars", "")]), &[], &["skipped", "deployed nowhere"]),
            (json!([entry("Default", "a:80")]), &[], &["virtual host"]),
            (json!([{}]), &[], &["names no environment"]),
            (json!([]), &[], &["deployed nowhere"]),
        ] {
            check(&data, expected, reported);
        }
    }
}
