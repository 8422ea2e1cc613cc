//! What those need to know of a configuration who install the adapter: its ports and names. Must never need a secret, which
//! is at hand only where the adapter runs.

use super::reader::{Environment, Reader};
use super::{adapter, listen, own_port};
use crate::model::Problems;
use crate::outputs::settings::{Analytics, Listen};

/// What an installation is made of.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Ports for gateways.
    pub listen: Listen,
    /// Port of the REST API; none when it is switched off.
    pub rest: Option<u16>,
    /// Port of the metrics for other machines; none when it is switched off.
    pub metrics: Option<u16>,
    /// Port of the gateways' HTTP listener; none when it is switched off.
    pub http: Option<u16>,
    /// Port of the gateways' HTTPS listener; none when it is switched off.
    pub https: Option<u16>,
    /// Host of the gateways' own pages.
    pub system_host: String,
    /// Environments of gateways, by name.
    pub environments: Vec<String>,
    /// Whether several adapters may count together.
    pub shared_quota: bool,
    /// How proxies log to the adapter for analytics; none when switched off.
    pub analytics: Option<Analytics>,
}

impl Deployment {
    /// Reads it. Variables of this machine's environment do not count: the adapter will not see them.
    ///
    /// # Errors
    /// What is wrong with what was read.
    pub fn read(file: &str, text: &str) -> Result<Self, Problems> {
        let environment = Environment::new();
        let mut reader = Reader::new(file, text, &environment);
        let found = Self::from_reader(&mut reader);
        if reader.problems.has_errors() { Err(reader.problems) } else { Ok(found) }
    }

    fn from_reader(reader: &mut Reader<'_>) -> Self {
        let on = |reader: &mut Reader<'_>, key, default| reader.port(key).unwrap_or(Some(default));
        let rest = reader.flag("adapter.server.enabled").unwrap_or(true);
        let metrics = reader.flag("adapter.metrics.enabled").unwrap_or(false);
        Self {
            listen: listen(reader),
            rest: rest.then(|| own_port(reader, "adapter.server.port", 9843)),
            metrics: metrics.then(|| own_port(reader, "adapter.metrics.port", 19085)),
            http: on(reader, "router.listenerPort", 9090),
            https: on(reader, "router.securedListenerPort", 9095),
            system_host: reader.text("router.systemHost").unwrap_or_else(|| "localhost".to_owned()),
            environments: match adapter::virtual_hosts(reader) {
                Some(hosts) => hosts.into_keys().collect(),
                None => vec!["Default".to_owned()],
            },
            analytics: super::analytics::read(reader),
            shared_quota: reader.text("tollgate.quota.owner").is_some_and(|owner| owner.eq_ignore_ascii_case("redis")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_needed_and_mistakes_are_named() {
        let text = "[[adapter.server.users]]\nusername = 'a'\npassword = '$env{nobody}'\n[adapter.server]\nport = 1234\n\
                    [[adapter.vhostMapping]]\nenvironment = 'Blue'\nvhost = 'blue.example'\n[tollgate.listen]\nfilters = 9002";
        let found = Deployment::read("c.toml", text).unwrap();
        assert_eq!((found.rest, found.http, found.metrics), (Some(1234), Some(9090), None));
        assert_eq!(found.environments, ["Blue"]);
        assert_eq!(found.listen.filters.map(|address| address.port()), Some(9002));
        assert!(found.listen.mesh_feed.is_none() && !found.shared_quota);
        let errors = Deployment::read("c.toml", "[adapter.server]\nport = 'x'").unwrap_err();
        assert!(errors.errors().any(|error| error.to_string().contains("adapter.server.port")));
    }
}
