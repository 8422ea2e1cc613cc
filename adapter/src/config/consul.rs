//! `[adapter.consul]`: the registry in which services that APIs name as backends are looked up.

use std::time::Duration;

use tollgate_model::Secret;
use url::Url;

use super::reader::Reader;
use crate::inputs::consul::ConsulSettings;

const SECTION: &str = "adapter.consul";
const ENABLED: &str = "adapter.consul.enabled";
/// By what name the gateway is a member of the mesh. The defaults of Choreo Connect.
const SERVICE: &str = "wso2";
const URL: &str = "https://169.254.1.1:8501";

/// Whether services are looked up.
pub(super) fn enabled(reader: &mut Reader<'_>) -> bool {
    reader.flag(ENABLED).unwrap_or(false)
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<ConsulSettings> {
    if !enabled(reader) {
        reader.skip(SECTION);
        return None;
    }
    let key = |name: &str| format!("{SECTION}.{name}");
    let url = reader.text(&key("url"));
    let seconds = reader.number(&key("pollInterval"), 1..=86_400).unwrap_or(5);
    let token = reader.text(&key("ACLToken")).map(Secret::from);
    let trusted = reader.path(&key("caCertFile"));
    let identity = match (reader.path(&key("certFile")), reader.path(&key("keyFile"))) {
        (Some(certificate), Some(private)) => Some((certificate, private)),
        (None, None) => None,
        (Some(_), None) => {
            reader.error(&key("keyFile"), "there is a certificate for Consul and no key", "set both or neither");
            None
        }
        (None, Some(_)) => {
            reader.error(&key("certFile"), "there is a key for Consul and no certificate", "set both or neither");
            None
        }
    };
    let name = reader.text(&key("mgwServiceName")).unwrap_or_else(|| SERVICE.to_owned());
    let mesh = reader.flag(&key("serviceMeshEnabled")).unwrap_or(false).then_some(name);
    let parsed = Url::parse(url.as_deref().unwrap_or(URL)).ok().filter(is_base);
    let Some(url) = parsed else {
        let fix = "write for example https://consul.example:8501, with the token in adapter.consul.ACLToken";
        reader.error(&key("url"), "this is no plain http or https URL", fix);
        return None;
    };
    if url.scheme() == "http" && token.is_some() {
        reader.warn(&key("url"), "the token for Consul travels unencrypted", "use https");
    }
    if url.scheme() == "http" && (trusted.is_some() || identity.is_some()) {
        reader.warn(&key("url"), "certificates are not used without TLS", "use https");
    }
    Some(ConsulSettings { url, interval: Duration::from_secs(seconds.into()), token, trusted, identity, mesh })
}

fn is_base(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

#[cfg(test)]
mod tests {
    use super::super::reader::Environment;
    use super::*;

    /// The URL, and how many warnings there are; or part of an error.
    #[track_caller]
    fn check(text: &str, expected: Result<(Option<&str>, usize), &str>) {
        let none = Environment::new();
        let text = format!("[adapter.consul]\n{text}");
        let mut reader = Reader::new("config.toml", &text, &none);
        let settings = read(&mut reader);
        let problems = reader.finish();
        let errors: Vec<String> = problems.errors().map(ToString::to_string).collect();
        assert!(!format!("{settings:?} {problems:?}").contains("hush"), "{settings:?} {problems:?}");
        match expected {
            Ok(expected) => {
                assert!(errors.is_empty(), "{text}: {errors:?}");
                let url = settings.as_ref().map(|settings| settings.url.as_str());
                assert_eq!((url, problems.iter().count()), expected, "{text}: {problems:?}");
            }
            Err(part) => assert!(errors.iter().any(|error| error.contains(part)), "{text}: {errors:?} lacks {part}"),
        }
    }

    #[test]
    fn registries() {
        check("", Ok((None, 0)));
        check("enabled = false\nurl = 'nonsense'\nACLToken = '$env{unset}'", Ok((None, 0)));
        check("enabled = true", Ok((Some("https://169.254.1.1:8501/"), 0)));
        check("enable = true", Ok((Some("https://169.254.1.1:8501/"), 1)));
        check("enabled = true\nmgwServiceName = 'own'", Ok((Some("https://169.254.1.1:8501/"), 0)));
        let full = "enabled = true\nurl = 'https://consul:8501'\npollInterval = 7\nACLToken = 'hush'\nmgwServiceName = 'wso2'\n\
                    serviceMeshEnabled = false\ncaCertFile = 'a'\ncertFile = 'b'\nkeyFile = 'c'";
        check(full, Ok((Some("https://consul:8501/"), 0)));
        check("enabled = true\nurl = 'http://consul:8500'\nACLToken = 'hush'", Ok((Some("http://consul:8500/"), 1)));
        check("enabled = true\nurl = 'http://consul:8500'\ncaCertFile = 'a'", Ok((Some("http://consul:8500/"), 1)));
        check("enabled = true\nurl = 'consul:8500'", Err("no plain http or https URL"));
        check("enabled = true\nurl = 'http://me:hush@consul'", Err("no plain http or https URL"));
        check("enabled = true\npollInterval = 0", Err("from 1 to 86400"));
        check("enabled = true\ncertFile = 'b'", Err("no key"));
        check("enabled = true\nkeyFile = 'c'", Err("no certificate"));
        check("enabled = true\nserviceMeshEnabled = true", Ok((Some("https://169.254.1.1:8501/"), 0)));
    }
}
