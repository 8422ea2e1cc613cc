//! The address of a broker, as Choreo Connect writes it: `amqp://user:password@host:port[/virtual host]?retries='10'&connectdelay='30'`.
//! Must never show the password.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use percent_encoding::percent_decode_str;
use tollgate_model::Secret;
use url::{Host, Url};

/// The defaults of Choreo Connect.
const DEFAULT_RETRIES: u16 = 5;
const DEFAULT_DELAY: Duration = Duration::from_secs(10);
const MAX_DELAY: u64 = 3600;
/// Seconds between two signs of life; a broker that gives none for twice as long is taken for dead.
const HEARTBEAT: u16 = 10;

/// A broker.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerEndpoint {
    tls: bool,
    host: String,
    port: u16,
    virtual_host: String,
    username: String,
    password: Secret,
    /// Within how many tries pauses grow to [`Self::delay`].
    pub(super) retries: u16,
    /// Longest pause between two tries.
    pub(super) delay: Duration,
}

/// Why an address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is of Azure.
    #[error("Azure Service Bus is not supported")]
    Azure,
    /// It is no URL.
    #[error("this is no URL of the form amqp://user:password@host:port")]
    Url,
    /// A number cannot be read.
    #[error("{0} is expected to be a whole number, at most {MAX_DELAY}")]
    Number(&'static str),
}

impl BrokerEndpoint {
    /// Whether it is spoken to over TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// Name or address without brackets, by which its certificate is checked.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// In the words of the library.
    pub(super) fn uri(&self) -> AMQPUri {
        AMQPUri {
            // TLS is added by who opens the connection.
            scheme: AMQPScheme::AMQP,
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo { username: self.username.clone(), password: self.password.expose().to_owned() },
                host: self.host.clone(),
                port: self.port,
            },
            vhost: self.virtual_host.clone(),
            query: AMQPQueryString { heartbeat: Some(HEARTBEAT), ..AMQPQueryString::default() },
        }
    }
}

impl FromStr for BrokerEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if text.trim_start().to_ascii_lowercase().starts_with("endpoint=sb:") {
            return Err(EndpointError::Azure);
        }
        let url = Url::parse(text.trim()).map_err(|_| EndpointError::Url)?;
        let (tls, standard_port) = match url.scheme() {
            "amqp" => (false, 5672),
            "amqps" => (true, 5671),
            _ => return Err(EndpointError::Url),
        };
        let host = match url.host().ok_or(EndpointError::Url)? {
            Host::Domain("") => return Err(EndpointError::Url),
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let decode = |text: &str| {
            let decoded = percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
            // More cannot be said in the protocol.
            decoded.ok().filter(|text| text.len() <= 255).ok_or(EndpointError::Url)
        };
        let number = |name: &'static str| -> Result<Option<u64>, EndpointError> {
            let value = url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
            let Some(value) = value else { return Ok(None) };
            let number = value.trim_matches('\'').parse().ok().filter(|number| *number <= MAX_DELAY);
            number.map(Some).ok_or(EndpointError::Number(name))
        };
        let retries = number("retries")?.map(|number| u16::try_from(number).unwrap_or(u16::MAX));
        let virtual_host = match url.path().strip_prefix('/').unwrap_or_default() {
            "" => "/".to_owned(),
            name => decode(name)?,
        };
        Ok(Self {
            tls,
            host,
            port: url.port().unwrap_or(standard_port),
            virtual_host,
            username: match url.username() {
                "" => "guest".to_owned(),
                name => decode(name)?,
            },
            password: Secret::from(url.password().map_or_else(|| Ok("guest".to_owned()), decode)?),
            retries: retries.unwrap_or(DEFAULT_RETRIES),
            delay: number("connectdelay")?.map_or(DEFAULT_DELAY, Duration::from_secs),
        })
    }
}

/// Where it is, without credentials.
impl fmt::Display for BrokerEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "amqps" } else { "amqp" };
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{open}{}{close}:{}", self.host, self.port)?;
        if self.virtual_host == "/" { Ok(()) } else { write!(f, "/{}", self.virtual_host) }
    }
}

impl fmt::Debug for BrokerEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, &str, &str, u16, u64), EndpointError>) {
        let found = text.parse::<BrokerEndpoint>();
        let shown = found.as_ref().map(ToString::to_string).map_err(Clone::clone);
        let parts = found.as_ref().map(|endpoint| {
            let (password, delay) = (endpoint.password.expose(), endpoint.delay.as_secs());
            (endpoint.username.as_str(), password, endpoint.retries, delay)
        });
        let expected_shown = expected.clone().map(|(shown, ..)| shown.to_owned());
        assert_eq!(shown, expected_shown, "{text}");
        let expected = expected.map(|(_, user, password, retries, delay)| (user, password, retries, delay));
        assert_eq!(parts.map_err(Clone::clone), expected, "{text}");
    }

    #[test]
    fn addresses() {
        check(
            "amqp://admin:$pwd@apim:5672?retries='10'&connectdelay='30'",
            Ok(("amqp://apim:5672", "admin", "$pwd", 10, 30)),
        );
        check("amqps://a:b%40c@[::1]/", Ok(("amqps://[::1]:5671", "a", "b@c", 5, 10)));
        check("amqp://10.0.0.1/v3?retries=2", Ok(("amqp://10.0.0.1:5672/v3", "guest", "guest", 2, 10)));
        check("amqp://10.0.0.1/a%2Fb", Ok(("amqp://10.0.0.1:5672/a/b", "guest", "guest", 5, 10)));
        check("amqp://a%40t.com:b@h?connectdelay=''", Err(EndpointError::Number("connectdelay")));
        check("amqp://a:b@h?retries='99999'", Err(EndpointError::Number("retries")));
        check("Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=a", Err(EndpointError::Azure));
        for text in ["", "apim:5672", "http://apim", "amqp://", "amqp:apim"] {
            check(text, Err(EndpointError::Url));
        }
    }

    #[test]
    fn the_library_gets_all_of_it_and_nobody_else_the_password() {
        let endpoint: BrokerEndpoint = "amqps://a%40t.com:hu%20sh@h:1/v".parse().unwrap();
        let uri = endpoint.uri();
        let user = &uri.authority.userinfo;
        assert_eq!((user.username.as_str(), user.password.as_str()), ("a@t.com", "hu sh"));
        assert_eq!((uri.authority.host.as_str(), uri.authority.port, uri.vhost.as_str()), ("h", 1, "v"));
        assert!(endpoint.is_tls() && !format!("{endpoint:?} {endpoint}").contains("hu"));
    }
}
