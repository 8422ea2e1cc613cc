//! The connection a request came by, and where its client is.
//!
//! Must never believe what the client itself could have written, unless the configuration says that somebody else writes it.

use std::net::{IpAddr, SocketAddr};

use tollgate_model::Settings;

use crate::Cx;

/// What the host knows of a connection. Asking costs a host call, so only who needs the answer asks.
pub trait Connection {
    /// SHA-256 of the certificate that the peer has shown, in hexadecimal digits; `None` without one.
    fn certificate_digest(&self) -> Option<String>;
    /// The name (a URI) that the certificate of the calling workload gives it, as Envoy has verified it. Never something that
    /// stands in the request.
    fn principal(&self) -> Option<String>;
    /// Address and port of the peer, as Envoy writes them.
    fn peer(&self) -> Option<String>;
    /// Version of HTTP of the request, such as `HTTP/1.1`.
    fn protocol(&self) -> Option<String>;
}

/// The address of the client.
///
/// Where peers are clients (`router.useRemoteAddress`), it is the peer's. Elsewhere a proxy in front of the gateway writes
/// `x-forwarded-for`, and its first element counts, as in the original; the peer's without one.
pub(crate) fn client_address(cx: &Cx, settings: &Settings) -> Option<IpAddr> {
    let forwarded = || cx.request.all("x-forwarded-for").next();
    match forwarded().filter(|_| !settings.direct_clients) {
        Some(list) => {
            let first = list.split(|byte| *byte == b',').next().unwrap_or_default();
            address(std::str::from_utf8(first).ok()?.trim())
        }
        None => address(&cx.connection.peer()?),
    }
}

/// An address with or without a port. An IPv4 address in the guise of an IPv6 one is what it is.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestConnection, TestDirectory, api};
    use crate::{Answers, HeaderMap, Timestamp};

    #[track_caller]
    fn check(forwarded: &[&str], direct_clients: bool, expected: Option<&str>) {
        let headers: Vec<_> = forwarded.iter().map(|value| ("x-forwarded-for", *value)).collect();
        let request = HeaderMap::parse(HeaderMap::encode(&headers)).unwrap();
        let (directory, answers) = (TestDirectory::new(api()), Answers::default());
        let connection = TestConnection { peer: Some("[2001:db8::1]:4711".to_owned()), ..TestConnection::default() };
        let now = Timestamp(0);
        let cx = Cx {
            directory: &directory,
            request: &request,
            answers: &answers,
            connection: &connection,
            now,
            callbacks: tollgate_model::Callbacks::NONE,
        };
        let settings = Settings { direct_clients, ..Settings::default() };
        assert_eq!(client_address(&cx, &settings).map(|address| address.to_string()).as_deref(), expected);
    }

    #[test]
    fn who_may_say_where_a_client_is() {
        check(&[], false, Some("2001:db8::1"));
        check(&["10.0.0.1"], false, Some("10.0.0.1"));
        check(&["10.0.0.1, 10.0.0.2", "10.0.0.3"], false, Some("10.0.0.1"));
        check(&["10.0.0.1:80"], false, Some("10.0.0.1"));
        check(&["::ffff:10.0.0.1"], false, Some("10.0.0.1"));
        check(&["[::1]"], false, Some("::1"));
        // What cannot be read is nobody's address, and not a reason to look elsewhere.
        check(&["unknown, 10.0.0.2"], false, None);
        check(&[""], false, None);
        check(&["10.0.0.1"], true, Some("2001:db8::1"));
    }
}
