//! Environment variables that replace backends of a project, and credentials for them: `api_<id>_prod_endpoint_<number>`,
//! `api_<id>_prod_basic_username`, `api_<id>_prod_basic_password`, and the same with `sand`. `<id>` is that of
//! [`names::api_id`]. Must never show a value: it may be a password.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;
use tollgate_model::Secret;

use super::credentials::Credentials;
use super::document::Node;
use super::names;
use super::upstream::{MAX_ADDRESSES, Upstream, combine};
use crate::model::Problems;

/// The variables of all APIs.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Overrides(BTreeMap<String, String>);

impl Overrides {
    /// Those among the variables of an environment that concern APIs. An empty one counts as not set.
    #[must_use]
    pub fn among<'v>(variables: impl IntoIterator<Item = (&'v String, &'v String)>) -> Self {
        let own = variables.into_iter().filter(|(name, value)| name.starts_with("api_") && !value.is_empty());
        Self(own.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// Replaces both sides of the API of that name and version.
    pub fn apply(
        &self,
        api: (&str, &str),
        production: &mut Option<Upstream>,
        sandbox: &mut Option<Upstream>,
        problems: &mut Problems,
    ) {
        let id = names::api_id(api.0, api.1);
        let mut used = BTreeSet::new();
        self.side(&format!("api_{id}_prod_"), production, &mut used, problems);
        self.side(&format!("api_{id}_sand_"), sandbox, &mut used, problems);
        let own = format!("api_{id}_");
        let unused = self.0.keys().filter(|name| name.starts_with(&own) && !used.contains(*name));
        for name in unused {
            problems.error(
                (name, ""),
                "this variable replaces nothing",
                "endpoints are numbered from 0 to 63 without a gap, and no other settings can be replaced",
                "rename it or unset it",
            );
        }
    }

    fn side(
        &self,
        prefix: &str,
        upstream: &mut Option<Upstream>,
        used: &mut BTreeSet<String>,
        problems: &mut Problems,
    ) {
        let urls: Vec<(String, Value)> = (0..MAX_ADDRESSES)
            .map(|number| format!("{prefix}endpoint_{number}"))
            .map_while(|name| self.0.get(&name).map(|url| (name, Value::String(url.clone()))))
            .collect();
        used.extend(urls.iter().map(|(name, _)| name.clone()));
        let nodes: Vec<(Node<'_>, &str)> =
            urls.iter().filter_map(|(name, url)| Some((Node::root(name, url), url.as_str()?))).collect();
        let failover = upstream.as_ref().is_some_and(Upstream::is_failover);
        if let Some(found) = combine(&nodes, failover, problems) {
            let before = upstream.take().unwrap_or_default();
            *upstream = Some(Upstream {
                endpoints: found.endpoints,
                base_path: found.base_path,
                discovered_at: found.discovered_at,
                web_socket: found.web_socket,
                ..before
            });
        }
        let mut secret = |what: &str| {
            let name = format!("{prefix}basic_{what}");
            let value = self.0.get(&name).cloned().map(Secret::from);
            used.insert(name);
            value
        };
        let (username, password) = (secret("username"), secret("password"));
        if username.is_none() && password.is_none() {
            return;
        }
        let variable = format!("{prefix}basic_username");
        if let Some(upstream) = upstream {
            let before = upstream.credentials.take().unwrap_or_else(|| Credentials::unknown(&variable, ""));
            upstream.credentials = Some(before.with(username, password));
        }
    }
}

impl fmt::Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies variables, named without their prefix, to a production backend `http://old/x` and no sandbox.
    #[track_caller]
    fn check(variables: &[(&str, &str)], expected: Result<(&str, &str, Option<&str>), &[&str]>) {
        let prefix = format!("api_{}_", names::api_id("Pets", "1.0.0"));
        let variables: BTreeMap<String, String> =
            variables.iter().map(|(name, value)| (format!("{prefix}{name}"), (*value).to_owned())).collect();
        let overrides = Overrides::among(&variables);
        let old = Value::String("http://old/x".to_owned());
        let mut problems = Problems::new();
        let mut production = combine(&[(Node::root("x", &old), "http://old/x")], false, &mut problems);
        let mut sandbox = None;
        overrides.apply(("Pets", "1.0.0"), &mut production, &mut sandbox, &mut problems);
        let credentials = production.as_ref().and_then(|upstream| upstream.credentials.clone());
        let header = credentials.as_ref().and_then(|credentials| credentials.authorization(&mut problems));
        let report: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(!format!("{overrides:?} {production:?} {report:?}").contains("hush"), "{report:?}");
        let hosts = |upstream: &Option<Upstream>| {
            let endpoints = upstream.iter().flat_map(|upstream| &upstream.endpoints);
            endpoints.map(|endpoint| endpoint.host.clone()).collect::<Vec<_>>().join(",")
        };
        match expected {
            Ok((first, second, authorization)) => {
                assert_eq!(report, [""; 0]);
                assert_eq!((hosts(&production), hosts(&sandbox)), (first.to_owned(), second.to_owned()));
                assert_eq!(header.as_ref().map(Secret::expose), authorization);
            }
            Err(parts) => {
                assert_eq!(report.len(), parts.len(), "{report:?}");
                assert!(report.iter().zip(parts).all(|(text, part)| text.contains(part)), "{report:?}");
            }
        }
    }

    #[test]
    fn variables_replace_backends_and_credentials() {
        check(&[], Ok(("old", "", None)));
        check(&[("prod_endpoint_0", "")], Ok(("old", "", None)));
        check(&[("prod_endpoint_0", "http://aa"), ("prod_endpoint_1", "http://bb")], Ok(("aa,bb", "", None)));
        check(&[("sand_endpoint_0", "http://aa")], Ok(("old", "aa", None)));
        let both = [("prod_basic_username", "me"), ("prod_basic_password", "hush")];
        check(&both, Ok(("old", "", Some("Basic bWU6aHVzaA=="))));
        check(&both[1..], Err(&["no username"]));
        check(&both[..1], Err(&["no password"]));
        check(&[("prod_endpoint_1", "http://aa")], Err(&["replaces nothing"]));
        check(&[("prod_endpoint", "http://aa")], Err(&["replaces nothing"]));
        check(&[("prod_endpoint_0", "http://me:hush@aa")], Err(&["holds credentials"]));
    }

    #[test]
    fn variables_of_other_apis_are_left_alone() {
        let variables = BTreeMap::from([("api_x_prod_endpoint_7".to_owned(), "y".to_owned())]);
        let mut problems = Problems::new();
        Overrides::among(&variables).apply(("Pets", "1.0.0"), &mut None, &mut None, &mut problems);
        assert!(problems.is_empty());
    }
}
