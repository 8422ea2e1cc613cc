//! `[globalAdapter]`: who shares the APIs of API Manager among several adapters.

use std::time::Duration;

use rustls::pki_types::ServerName;
use url::Url;

use super::control_plane;
use super::reader::Reader;
use crate::inputs::global_adapter::GlobalAdapterSettings;

const SECTION: &str = "globalAdapter";
const ENABLED: &str = "globalAdapter.enabled";
const URL: &str = "globalAdapter.serviceURL";
const NAME: &str = "globalAdapter.overrideHostName";
const LABEL: &str = "globalAdapter.localLabel";
/// The defaults of Choreo Connect.
const DEFAULT_ADDRESS: &str = "global-adapter:18000";
const DEFAULT_LABEL: &str = "default";

pub(super) fn read(reader: &mut Reader<'_>) -> Option<GlobalAdapterSettings> {
    if !reader.flag(ENABLED).unwrap_or(false) {
        reader.skip(SECTION);
        return None;
    }
    if !control_plane::enabled(reader) {
        let what = "a global adapter shares the APIs of API Manager, and controlPlane is off";
        reader.error(ENABLED, what, "switch controlPlane.enabled on, or this off");
    }
    let address = reader.text(URL).unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
    let url = parse(&address);
    if url.is_none() {
        let fix = "write host:port, for example global-adapter:18000; it is always spoken to over TLS";
        reader.error(URL, "this is no address of a global adapter", fix);
    }
    let certificate_name = reader.text(NAME);
    if certificate_name.clone().is_some_and(|name| ServerName::try_from(name).is_err()) {
        reader.error(NAME, "no certificate can have this name", "write a host name without scheme and port");
    }
    let label = reader.text(LABEL).unwrap_or_else(|| DEFAULT_LABEL.to_owned());
    let retry = Duration::from_secs(reader.number("globalAdapter.retryInterval", 1..=86_400).unwrap_or(5).into());
    Some(GlobalAdapterSettings { url: url?, certificate_name, label, retry })
}

fn parse(address: &str) -> Option<Url> {
    let text = if address.contains("://") { address.to_owned() } else { format!("https://{address}") };
    let url = Url::parse(&text).ok()?;
    let plain = url.scheme() == "https"
        && url.has_host()
        && url.path() == "/"
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    plain.then_some(url)
}

#[cfg(test)]
mod tests {
    use super::super::reader::Environment;
    use super::*;

    /// URL, name, label, and seconds until it is tried again.
    type Found<'a> = (&'a str, Option<&'a str>, &'a str, u64);

    /// What is found, or a part of the error.
    #[track_caller]
    fn check(text: &str, expected: Result<Option<Found<'_>>, &str>) {
        let none = Environment::new();
        let text = format!("[controlPlane]\nenabled = true\n[globalAdapter]\n{text}");
        let mut reader = Reader::new("config.toml", &text, &none);
        let settings = read(&mut reader);
        let errors: Vec<String> = reader.problems.errors().map(ToString::to_string).collect();
        match expected {
            Ok(expected) => {
                assert!(errors.is_empty(), "{text}: {errors:?}");
                let found = settings.as_ref().map(|found| {
                    let name = found.certificate_name.as_deref();
                    (found.url.as_str(), name, found.label.as_str(), found.retry.as_secs())
                });
                assert_eq!(found, expected, "{text}");
            }
            Err(part) => assert!(errors.iter().any(|error| error.contains(part)), "{text}: {errors:?} lacks {part}"),
        }
    }

    #[test]
    fn global_adapters() {
        check("", Ok(None));
        check("enabled = false\nserviceURL = 'nonsense nonsense'", Ok(None));
        check("enabled = true", Ok(Some(("https://global-adapter:18000/", None, "default", 5))));
        let full = "enabled = true\nserviceURL = 'ga.example:1'\noverrideHostName = 'ga'\nlocalLabel = 'west'\nretryInterval = 9";
        check(full, Ok(Some(("https://ga.example:1/", Some("ga"), "west", 9))));
        check(
            "enabled = true\nserviceURL = 'https://[::1]:2'\noverrideHostName = ''",
            Ok(Some(("https://[::1]:2/", None, "default", 5))),
        );
        check("enabled = true\nserviceURL = 'http://ga:1'", Err("no address"));
        check("enabled = true\nserviceURL = 'ga:1/path'", Err("no address"));
        check("enabled = true\nserviceURL = 'me:hush@ga:1'", Err("no address"));
        check("enabled = true\noverrideHostName = 'https://ga'", Err("no certificate"));
        check("enabled = true\nretryInterval = 0", Err("from 1 to 86400"));
    }

    #[test]
    fn there_is_nothing_to_share_without_api_manager() {
        let none = Environment::new();
        let mut reader = Reader::new("config.toml", "[globalAdapter]\nenabled = true", &none);
        let _ = read(&mut reader);
        let errors: Vec<String> = reader.problems.errors().map(ToString::to_string).collect();
        assert!(errors.len() == 1 && errors[0].contains("controlPlane is off"), "{errors:?}");
    }
}
