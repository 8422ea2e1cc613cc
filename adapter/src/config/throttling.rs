//! `[enforcer.throttling]`: whether a Traffic Manager of API Manager counts, and how it is reached.

use std::path::Path;
use std::time::Duration;

use tollgate_model::{Secret, TrafficManager};
use url::Url;

use super::reader::Reader;
use crate::broker::{BrokerEndpoint, BrokerSettings};
use crate::outputs::traffic_manager::{Address, Choice, Credentials, Place, PublisherSettings, ReceiverGroup};
use crate::tls::Trust;

const SECTION: &str = "enforcer.throttling";
const ENABLED: &str = "enforcer.throttling.enableGlobalEventPublishing";
const BROKER: &str = "enforcer.throttling.jmsConnectionProviderURL";
const PASSWORD: &str = "enforcer.throttling.publisher.password";
const GROUPS: &str = "enforcer.throttling.publisher.URLGroup";
/// Holds the password of the Traffic Manager where nothing else says it.
const VARIABLE: &str = "tm_admin_pwd";
/// From the port for events to that for signing in.
const AUTH_OFFSET: u16 = 100;
const EVENTS_PORT: u16 = 9611;

/// A Traffic Manager that counts.
#[derive(Debug, Clone)]
pub struct ThrottlingConfig {
    /// What it is told, and what its conditions may look at.
    pub manager: TrafficManager,
    /// Where uses go.
    pub publisher: PublisherSettings,
    /// Where decisions come from.
    pub broker: BrokerSettings,
}

pub(super) fn read(reader: &mut Reader<'_>, truststore: Option<&Path>) -> Option<ThrottlingConfig> {
    if reader.flag(ENABLED) != Some(true) {
        reader.skip(SECTION);
        return None;
    }
    let mut flag = |name: &str| reader.flag(&format!("{SECTION}.{name}")).unwrap_or(false);
    let manager = TrafficManager {
        headers: flag("enableHeaderConditions"),
        query: flag("enableQueryParamConditions"),
        claims: flag("enableJwtClaimConditions"),
    };
    let password = reader.text(PASSWORD).or_else(|| reader.variable(VARIABLE));
    let broker = broker(reader);
    let publisher = publisher(reader, truststore);
    let Some(password) = password else {
        let fix = format!("set {PASSWORD}, or the environment variable {VARIABLE}");
        reader.error(PASSWORD, "the Traffic Manager asks for a password", &fix);
        return None;
    };
    let credentials = Credentials { password: Secret::from(password), ..publisher.credentials };
    let endpoints = broker?;
    let trust = truststore.map_or(Trust::System, |path| Trust::Also(path.to_owned()));
    Some(ThrottlingConfig {
        manager,
        publisher: PublisherSettings { credentials, ..publisher },
        broker: BrokerSettings { endpoints, trust },
    })
}

fn publisher(reader: &mut Reader<'_>, truststore: Option<&Path>) -> PublisherSettings {
    let user = reader.text("enforcer.throttling.publisher.username").unwrap_or_else(|| "admin".to_owned());
    let mut number = |name: &str, range, default: u32| {
        reader.number(&format!("enforcer.throttling.publisher.agent.{name}"), range).unwrap_or(default)
    };
    let queue = number("queueSize", 1..=1 << 20, 32_768);
    let batch = number("batchSize", 1..=10_000, 200);
    let reconnection = number("reconnectionInterval", 1..=3_600, 30);
    let timeout = number("socketTimeoutMS", 1..=600_000, 30_000);
    let size = |number: u32| usize::try_from(number).unwrap_or(1);
    PublisherSettings {
        credentials: Credentials { user, password: Secret::from(String::new()) },
        groups: groups(reader),
        queue: size(queue),
        batch: size(batch),
        reconnection: Duration::from_secs(reconnection.into()),
        socket_timeout: Duration::from_millis(timeout.into()),
        truststore: truststore.map(Path::to_owned),
    }
}

fn groups(reader: &mut Reader<'_>) -> Vec<ReceiverGroup> {
    let count = reader.count(GROUPS);
    if count == 0 {
        let address = |port| Address { host: "apim".to_owned(), port };
        let place = Place { receiver: address(EVENTS_PORT), auth: address(EVENTS_PORT.saturating_add(AUTH_OFFSET)) };
        return vec![ReceiverGroup { places: vec![place], choice: Choice::default() }];
    }
    (0..count).filter_map(|index| group(reader, &format!("{GROUPS}.{index}"))).collect()
}

fn group(reader: &mut Reader<'_>, prefix: &str) -> Option<ReceiverGroup> {
    let key = |name: &str| format!("{prefix}.{name}");
    let choice = match reader.text(&key("type")).unwrap_or_default().to_lowercase().as_str() {
        "" | "loadbalance" => Choice::LoadBalance,
        "failover" => Choice::Failover,
        _ => {
            reader.error(&key("type"), "a way to choose a receiver is expected here", "write loadbalance or failover");
            Choice::default()
        }
    };
    let receivers = addresses(reader, &key("receiverURLs"), "tcp");
    let auth = addresses(reader, &key("authURLs"), "ssl");
    if receivers.is_empty() {
        let fix = "write for example [\"tcp://apim:9611\"]";
        reader.error(&key("receiverURLs"), "a group has at least one receiver", fix);
        return None;
    }
    if !auth.is_empty() && auth.len() != receivers.len() {
        let what = "there are not as many addresses to sign in at as receivers";
        reader.error(&key("authURLs"), what, "write one for each receiver, or none");
        return None;
    }
    let beside =
        |receiver: &Address| Address { port: receiver.port.saturating_add(AUTH_OFFSET), host: receiver.host.clone() };
    let auth = if auth.is_empty() { receivers.iter().map(beside).collect() } else { auth };
    let places = receivers.into_iter().zip(auth).map(|(receiver, auth)| Place { receiver, auth }).collect();
    Some(ReceiverGroup { places, choice })
}

fn addresses(reader: &mut Reader<'_>, key: &str, scheme: &str) -> Vec<Address> {
    let texts = reader.texts(key).unwrap_or_default();
    let mut found = Vec::new();
    for text in &texts {
        let url = Url::parse(text.trim()).ok().filter(|url| url.scheme() == scheme);
        let host = url.as_ref().and_then(Url::host_str).map(|host| host.trim_matches(['[', ']']).to_owned());
        match (host.filter(|host| !host.is_empty()), url.as_ref().and_then(Url::port)) {
            (Some(host), Some(port)) => found.push(Address { host, port }),
            _ => {
                let what = format!("an address of the form {scheme}://host:port is expected here");
                reader.error(key, &what, "correct the address");
            }
        }
    }
    found
}

fn broker(reader: &mut Reader<'_>) -> Option<Vec<BrokerEndpoint>> {
    let text = reader.text(BROKER).or_else(|| {
        let password = reader.variable(VARIABLE)?;
        Some(format!("amqp://admin:{password}@carbon/carbon?brokerlist='tcp://apim:5672'"))
    });
    let Some(text) = text else {
        let fix = format!("set the environment variable {VARIABLE}, or write the URL");
        reader.error(BROKER, "there is no password for the broker of the Traffic Manager", &fix);
        return None;
    };
    let endpoints = endpoints(&text);
    if endpoints.is_none() {
        let fix = "write for example amqp://admin:password@carbon/carbon?brokerlist='tcp://apim:5672'";
        reader.error(BROKER, "a URL of the broker is expected here", fix);
    }
    endpoints
}

/// `amqp://user:password@client/virtualhost?brokerlist='tcp://a:5672?retries='3'&connectdelay='1';tcp://b:5672'`: the URL of the
/// original's client, which names no host outside of its list. A plain `amqp://user:password@host:port` is one broker.
fn endpoints(text: &str) -> Option<Vec<BrokerEndpoint>> {
    let Some((before, list)) = text.split_once("brokerlist=") else {
        return text.parse().ok().map(|endpoint| vec![endpoint]);
    };
    let rest = before.strip_prefix("amqp://")?;
    let (credentials, place) = rest.rsplit_once('@')?;
    let virtual_host = place.split('?').next()?.split_once('/').map_or("", |(_, name)| name);
    // What is quoted may hold quotes itself.
    let list = match list.strip_prefix('\'') {
        Some(quoted) => quoted.rsplit_once('\'')?.0,
        None => list.split('&').next()?,
    };
    let endpoint = |broker: &str| {
        let broker = broker.trim();
        let (scheme, rest) = match (broker.strip_prefix("tcp://"), broker.strip_prefix("ssl://")) {
            (Some(rest), _) => ("amqp", rest),
            (_, Some(rest)) => ("amqps", rest),
            _ => return None,
        };
        let (host, options) = rest.split_once('?').unwrap_or((rest, ""));
        format!("{scheme}://{credentials}@{}/{virtual_host}?{options}", host.trim_end_matches('/')).parse().ok()
    };
    let endpoints: Option<Vec<BrokerEndpoint>> = list.split(';').map(endpoint).collect();
    endpoints.filter(|endpoints| !endpoints.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    fn config(text: &str) -> (Option<ThrottlingConfig>, Vec<String>) {
        let environment = Environment::from([("tm_admin_pwd".to_owned(), "s3cret".to_owned())]);
        let text = format!("[enforcer.throttling]\nenableGlobalEventPublishing = true\n{text}");
        let mut reader = Reader::new("config.toml", &text, &environment);
        let config = read(&mut reader, None);
        (config, reader.finish().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_traffic_manager_is_where_the_original_looks_for_it() {
        let (config, problems) = config("");
        let config = config.unwrap();
        assert_eq!((problems, config.manager), (vec![], TrafficManager::default()));
        let PublisherSettings { credentials, groups, queue, batch, reconnection, .. } = config.publisher;
        assert_eq!((credentials.user.as_str(), credentials.password.expose()), ("admin", "s3cret"));
        assert_eq!((queue, batch, reconnection), (32_768, 200, Duration::from_secs(30)));
        let places: Vec<String> =
            groups[0].places.iter().map(|place| format!("{} {}", place.receiver, place.auth)).collect();
        assert_eq!(places, ["apim:9611 apim:9711"]);
        assert_eq!(config.broker.endpoints[0].to_string(), "amqp://apim:5672/carbon");
    }

    #[test]
    fn groups_say_who_stands_in_for_whom() {
        let group = |text: &str| config(&format!("[[enforcer.throttling.publisher.URLGroup]]\n{text}"));
        let (found, problems) = group(
            "type = 'failover'\nreceiverURLs = ['tcp://a:1', 'tcp://[::1]:2']\nauthURLs = ['ssl://c:3', 'ssl://d:4']",
        );
        let groups = found.unwrap().publisher.groups;
        let texts: Vec<String> =
            groups[0].places.iter().map(|place| format!("{} {}", place.receiver, place.auth)).collect();
        assert_eq!(
            (texts, groups[0].choice, problems),
            (vec!["a:1 c:3".to_owned(), "[::1]:2 d:4".to_owned()], Choice::Failover, vec![])
        );
        for (text, part) in [
            ("receiverURLs = ['http://a:1']", "tcp://host:port"),
            ("receiverURLs = ['tcp://a']", "tcp://host:port"),
            ("receiverURLs = ['tcp://a:1']\nauthURLs = ['ssl://a:1', 'ssl://b:1']", "not as many"),
            ("receiverURLs = ['tcp://a:1']\ntype = 'random'", "choose a receiver"),
            ("authURLs = ['ssl://a:1']", "at least one receiver"),
        ] {
            let (_, problems) = group(text);
            assert!(problems.iter().any(|problem| problem.contains(part)), "{text}: {problems:?}");
        }
    }

    #[test]
    fn urls_of_the_original_name_their_brokers() {
        for (text, expected) in [
            ("amqp://admin:a@carbon/carbon?brokerlist='tcp://apim:5672'", vec!["amqp://apim:5672/carbon"]),
            (
                "amqp://a:b@c/v?brokerlist='tcp://a:1?retries='3'&connectdelay='1';ssl://b:2'",
                vec!["amqp://a:1/v", "amqps://b:2/v"],
            ),
            ("amqp://a:b@c/?failover='roundrobin'&brokerlist='tcp://a:1'", vec!["amqp://a:1"]),
            ("amqp://a:b@10.0.0.1:5672", vec!["amqp://10.0.0.1:5672"]),
            ("amqp://a:b@c/v?brokerlist='http://a:1'", vec![]),
            ("amqp://c/v?brokerlist='tcp://a:1'", vec![]),
            ("amqp://a:b@c/v?brokerlist='tcp://a:1", vec![]),
            ("nonsense", vec![]),
        ] {
            let found: Vec<String> = endpoints(text).unwrap_or_default().iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
