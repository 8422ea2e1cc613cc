//! `[router.awsLambda]`: how functions of AWS Lambda are called.

use url::{Host, Url};

use super::reader::Reader;
use crate::model::Endpoint;
use tollgate_project::LambdaOptions;

const MODE: &str = "router.awsLambda.invocationMode";
const ENDPOINT: &str = "router.awsLambda.endpoint";

/// How functions are called, if they are.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<LambdaOptions> {
    let enabled = reader.flag("router.awsLambda.enabled").unwrap_or(false);
    let payload_passthrough = reader.flag("router.awsLambda.payloadPassthrough").unwrap_or(true);
    let synchronous = match reader.text(MODE).map(|text| text.to_uppercase()).as_deref() {
        None | Some("SYNCHRONOUS") => true,
        Some("ASYNCHRONOUS") => false,
        Some(_) => {
            reader.error(MODE, "a way to call functions is expected here", "write SYNCHRONOUS or ASYNCHRONOUS");
            true
        }
    };
    let endpoint = reader.text(ENDPOINT).and_then(|text| {
        let found = endpoint(&text);
        if found.is_none() {
            reader.error(ENDPOINT, "this is no URL of a service", "write https://host or https://host:port");
        }
        found
    });
    enabled.then_some(LambdaOptions { payload_passthrough, synchronous, endpoint })
}

/// Scheme, host and port of a URL that has nothing else.
fn endpoint(text: &str) -> Option<Endpoint> {
    let url = Url::parse(text).ok()?;
    let tls = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let nothing_else = url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    let host = match url.host().filter(|_| nothing_else)? {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(ip) => ip.to_string(),
        Host::Ipv6(ip) => ip.to_string(),
    };
    Some(Endpoint { host, port: url.port_or_known_default()?, tls, trusted_ca: None, priority: 0, discovery: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    #[test]
    fn functions_are_called_only_when_told_so() {
        let none = Environment::new();
        let read = |text: &str| {
            let mut reader = Reader::new("c", &format!("[router.awsLambda]\n{text}"), &none);
            let found = super::read(&mut reader);
            (found, reader.finish().iter().count())
        };
        assert_eq!(read("enabled = false\nawsRegion = 'us-east-1'\ninvocationMode = 'synchronous'"), (None, 0));
        let usual = LambdaOptions { payload_passthrough: true, synchronous: true, endpoint: None };
        assert_eq!(read("enabled = true"), (Some(usual.clone()), 0));
        let at = Endpoint {
            host: "10.0.0.1".to_owned(),
            port: 9,
            tls: false,
            trusted_ca: None,
            priority: 0,
            discovery: None,
        };
        let own = "enabled = true\npayloadPassthrough = false\ninvocationMode = 'ASYNCHRONOUS'\nendpoint = 'http://10.0.0.1:9'";
        let expected = LambdaOptions { payload_passthrough: false, synchronous: false, endpoint: Some(at) };
        assert_eq!(read(own), (Some(expected), 0));
        assert_eq!(read("enabled = true\ninvocationMode = 'synchrounus'"), (Some(usual.clone()), 1));
        assert_eq!(read("enabled = true\nendpoint = 'https://me:pw@host/x'"), (Some(usual), 1));
    }
}
