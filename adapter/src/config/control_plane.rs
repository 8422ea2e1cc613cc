//! `[controlPlane]`: the API Manager that everything is taken from.

use std::path::Path;
use std::time::Duration;

use tollgate_model::Secret;
use url::Url;

use super::global_adapter;
use super::reader::Reader;
use crate::broker::{BrokerEndpoint, BrokerSettings, EndpointError};
use crate::inputs::event_hub::EventHubSettings;
use crate::inputs::project::names;
use crate::tls::Trust;

const SECTION: &str = "controlPlane";
const OWN: &str = "tollgate.controlPlane";
const ENABLED: &str = "controlPlane.enabled";
const ENDPOINTS: &str = "controlPlane.brokerConnectionParameters.eventListeningEndpoints";
const LABELS: &str = "controlPlane.environmentLabels";
const URL: &str = "controlPlane.serviceURL";
const PASSWORD: &str = "controlPlane.password";
/// The defaults of Choreo Connect.
const DEFAULT_URL: &str = "https://apim:9443/";
const PASSWORD_VARIABLE: &str = "cp_admin_pwd";
const SUPER_TENANT: &str = "carbon.super";

/// Whether there is an API Manager.
pub(super) fn enabled(reader: &mut Reader<'_>) -> bool {
    reader.flag(ENABLED).unwrap_or(false)
}

/// The tenant whose APIs are served, where there is an API Manager.
pub(super) fn tenant(reader: &mut Reader<'_>) -> Option<String> {
    enabled(reader).then(|| tenant_of(&username(reader)))
}

/// Environments whose APIs are served, where there is an API Manager.
pub(super) fn environments(reader: &mut Reader<'_>) -> Vec<String> {
    if !enabled(reader) {
        return Vec::new();
    }
    let labels = reader.texts(LABELS).unwrap_or_else(|| vec!["Default".to_owned()]);
    if labels.is_empty() {
        reader.error(LABELS, "no API could be served without an environment", "write for example [\"Default\"]");
    }
    for label in &labels {
        if let Err(what) = names::token(label) {
            reader.error(LABELS, &format!("an environment {what}"), "correct it, as gateways have it as their label");
        }
    }
    labels
}

pub(super) fn read(reader: &mut Reader<'_>, state: &Path) -> Option<EventHubSettings> {
    let global_adapter = global_adapter::read(reader);
    if !enabled(reader) {
        reader.skip(SECTION);
        reader.skip(OWN);
        return None;
    }
    let key = |name: &str| format!("{SECTION}.{name}");
    let seconds = |reader: &mut Reader<'_>, key: &str, least: u32, default: u32| {
        Duration::from_secs(reader.number(key, least..=86_400).unwrap_or(default).into())
    };
    let whole = |reader: &mut Reader<'_>, key: &str, range, default: usize| {
        reader.number(key, range).and_then(|number| usize::try_from(number).ok()).unwrap_or(default)
    };
    let trust = trust(reader);
    let username = username(reader);
    let password = password(reader);
    let broker = BrokerSettings { endpoints: endpoints(reader), trust: trust.clone() };
    let workers = whole(reader, &key("requestWorkerPool.poolSize"), 1..=64, 4);
    let queue = whole(reader, &key("requestWorkerPool.queueSizePerPool"), 1..=100_000, 1000);
    let url = url(reader);
    let environments = environments(reader);
    let retry = seconds(reader, &key("retryInterval"), 1, 5);
    let timeout = seconds(reader, &key("httpClient.requestTimeOut"), 1, 30);
    let pause = seconds(reader, &key("requestWorkerPool.pauseTimeAfterFailure"), 0, 5);
    let reconcile = seconds(reader, "tollgate.controlPlane.reconcileInterval", 1, 300);
    let report_revisions = reader.flag(&key("sendRevisionUpdate")).unwrap_or(false);
    others(reader);
    Some(EventHubSettings {
        url: url?,
        tenant: tenant_of(&username),
        username,
        password: password?,
        environments,
        trust,
        retry,
        timeout,
        workers,
        queue: queue.saturating_mul(workers),
        pause,
        reconcile,
        report_revisions,
        broker,
        global_adapter,
        store: state.join("control-plane.redb"),
    })
}

/// Everything comes from API Manager, so nothing may come from elsewhere.
fn others(reader: &mut Reader<'_>) {
    const WHY: &str = "APIs come from API Manager, so this is not read";
    if reader.path("adapter.artifactsDirectory").is_some() {
        reader.warn("adapter.artifactsDirectory", WHY, "remove it, or switch controlPlane off");
    }
    if reader.flag("adapter.sourceControl.enabled") == Some(true) {
        reader.warn("adapter.sourceControl.enabled", WHY, "switch it off, or switch controlPlane off");
    }
    if reader.path("adapter.subscriptionsFile").is_some() {
        let what = "applications and subscriptions come from API Manager, and cannot come from a file as well";
        reader.error("adapter.subscriptionsFile", what, "remove it, or switch controlPlane off");
    }
}

fn username(reader: &mut Reader<'_>) -> String {
    reader.text("controlPlane.username").unwrap_or_else(|| "admin".to_owned())
}

fn password(reader: &mut Reader<'_>) -> Option<Secret> {
    let before = reader.problems.errors().count();
    let password = reader.text(PASSWORD).or_else(|| reader.variable(PASSWORD_VARIABLE));
    if password.is_none() && reader.problems.errors().count() == before {
        reader.error(
            PASSWORD,
            "there is no password for API Manager",
            "set the environment variable cp_admin_pwd, or write password = \"...\"",
        );
    }
    password.map(Secret::from)
}

/// What follows the last `@` of a user.
fn tenant_of(username: &str) -> String {
    let domain = username.rsplit_once('@').map(|(_, domain)| domain).filter(|domain| !domain.is_empty());
    domain.unwrap_or(SUPER_TENANT).to_ascii_lowercase()
}

fn url(reader: &mut Reader<'_>) -> Option<Url> {
    let text = reader.text(URL);
    let mut url = Url::parse(text.as_deref().unwrap_or(DEFAULT_URL)).ok();
    let good = url.as_ref().is_some_and(|url| {
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && plain
    });
    if !good {
        let fix = "write for example https://apim:9443/, with the user in controlPlane.username";
        reader.error(URL, "this is no plain http or https URL", fix);
        return None;
    }
    if let Some(url) = url.as_mut() {
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        if url.scheme() == "http" {
            reader.warn(URL, "the password for API Manager travels unencrypted", "use https");
        }
    }
    url
}

fn trust(reader: &mut Reader<'_>) -> Trust {
    const SKIP: &str = "controlPlane.skipSSLVerification";
    if reader.flag(SKIP) == Some(true) {
        reader.warn(
            SKIP,
            "whoever answers is taken for API Manager, and learns its password",
            "set it to false, with the certificate of API Manager in adapter.truststore.location",
        );
        return Trust::Anybody;
    }
    reader.path("adapter.truststore.location").map_or(Trust::System, Trust::Also)
}

fn endpoints(reader: &mut Reader<'_>) -> Vec<BrokerEndpoint> {
    let before = reader.problems.errors().count();
    let texts = match reader.texts(ENDPOINTS) {
        Some(texts) => texts,
        None if reader.problems.errors().count() > before => Vec::new(),
        None => {
            let password = reader.variable(PASSWORD_VARIABLE).unwrap_or_default();
            let password = percent_encoding::utf8_percent_encode(&password, percent_encoding::NON_ALPHANUMERIC);
            vec![format!("amqp://admin:{password}@apim:5672?retries='10'&connectdelay='30'")]
        }
    };
    let mut endpoints = Vec::new();
    for text in &texts {
        match text.parse() {
            Ok(endpoint) => endpoints.push(endpoint),
            Err(error) => {
                let fix = match error {
                    EndpointError::Azure => "name a broker that speaks AMQP 0-9-1, as that of API Manager does",
                    _ => {
                        "write amqp://user:password@host:port?retries='10'&connectdelay='30', with % before what is special"
                    }
                };
                reader.error(ENDPOINTS, &error.to_string(), fix);
            }
        }
    }
    if endpoints.is_empty() && reader.problems.errors().count() == before {
        let why = "no broker is named, so changes would be missed";
        reader.error(ENDPOINTS, why, "write for example [\"amqp://admin:$env{cp_admin_pwd}@apim:5672\"]");
    }
    endpoints
}

#[cfg(test)]
mod tests {
    use super::super::reader::Environment;
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[&str], &[&str]>) -> Option<EventHubSettings> {
        let environment = Environment::from([("cp_admin_pwd".to_owned(), "hu@sh".to_owned())]);
        let mut reader = Reader::new("config.toml", &format!("[controlPlane]\nenabled = true\n{text}"), &environment);
        let settings = read(&mut reader, Path::new("state"));
        let problems = reader.problems;
        let errors: Vec<String> = problems.errors().map(ToString::to_string).collect();
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let (found, parts) = match expected {
            Ok(parts) => {
                assert!(errors.is_empty(), "{errors:?}");
                (all, parts)
            }
            Err(parts) => (errors, parts),
        };
        assert_eq!(found.len(), parts.len(), "{text}: {found:?}");
        assert!(found.iter().zip(parts).all(|(text, part)| text.contains(part)), "{found:?}");
        assert!(!format!("{found:?} {settings:?}").contains("hu@sh"), "no secret is shown");
        settings
    }

    #[test]
    fn the_defaults_are_those_of_the_original() {
        let settings = check("", Ok(&[])).unwrap();
        assert_eq!((settings.url.as_str(), settings.tenant.as_str()), ("https://apim:9443/", "carbon.super"));
        assert_eq!(
            (settings.password.expose(), settings.environments.as_slice()),
            ("hu@sh", &["Default".to_owned()][..])
        );
        assert_eq!((settings.workers, settings.queue, settings.report_revisions), (4, 4000, false));
        let seconds = [settings.retry, settings.timeout, settings.pause, settings.reconcile].map(|time| time.as_secs());
        assert_eq!((seconds, settings.trust), ([5, 30, 5, 300], Trust::System));
        assert_eq!(format!("{:?}", settings.broker.endpoints), "[amqp://apim:5672]");
    }

    #[test]
    fn what_is_configured_counts() {
        let text = "serviceURL = 'https://a/b'\nusername = 'me@mail.com@T.com'\npassword = '$env{cp_admin_pwd}'\n\
             environmentLabels = ['A', 'B']\nskipSSLVerification = true\nsendRevisionUpdate = true\nretryInterval = 1\n\
             [controlPlane.brokerConnectionParameters]\neventListeningEndpoints = ['amqps://a:b@c', 'amqp://d:e@f/v']\n\
             [controlPlane.httpClient]\nrequestTimeOut = 7\n[adapter]\nartifactsDirectory = 'x'\n[adapter.sourceControl]\nenabled = true";
        let settings = check(text, Ok(&["taken for API Manager", "not read", "not read"])).unwrap();
        assert_eq!((settings.url.as_str(), settings.tenant.as_str()), ("https://a/b/", "t.com"));
        assert_eq!((settings.trust, settings.environments.len()), (Trust::Anybody, 2));
        assert_eq!(format!("{:?}", settings.broker.endpoints), "[amqps://c:5671, amqp://f:5672/v]");
    }

    #[test]
    fn mistakes_are_said() {
        check("serviceURL = 'apim:9443'", Err(&["no plain http"]));
        check("serviceURL = 'https://me:pw@apim/'", Err(&["no plain http"]));
        check("environmentLabels = []", Err(&["without an environment"]));
        check("environmentLabels = ['a b']", Err(&["an environment"]));
        check("[controlPlane.brokerConnectionParameters]\neventListeningEndpoints = []", Err(&["no broker is named"]));
        let azure = "Endpoint=sb://a/;SharedAccessKeyName=b;SharedAccessKey=c";
        let text = format!("[controlPlane.brokerConnectionParameters]\neventListeningEndpoints = ['{azure}']");
        check(&text, Err(&["Azure Service Bus is not supported"]));
        check("password = '$env{unset}'", Err(&["unset is not set"]));
        check("[adapter]\nsubscriptionsFile = 'x'", Err(&["cannot come from a file as well"]));
    }
}
