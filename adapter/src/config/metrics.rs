//! `[adapter.metrics]`: figures for Prometheus on a port that other machines reach.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::reader::Reader;

/// Where metrics are served beside the admin port, and how often the machine is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsConfig {
    /// The address; none when it is switched off.
    pub address: Option<SocketAddr>,
    /// Least time between two measurements.
    pub interval: Duration,
}

pub(super) fn read(reader: &mut Reader<'_>, host: IpAddr) -> MetricsConfig {
    let enabled = reader.flag("adapter.metrics.enabled").unwrap_or(false);
    let kind = reader.text("adapter.metrics.type");
    if enabled && kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("prometheus")) {
        reader.error("adapter.metrics.type", "only prometheus is supported", "write prometheus");
    }
    let port = super::own_port(reader, "adapter.metrics.port", 19085);
    let interval = reader.number("adapter.metrics.collectionInterval", 1..=3_600).unwrap_or(5);
    MetricsConfig {
        address: enabled.then_some(SocketAddr::new(host, port)),
        interval: Duration::from_secs(interval.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::reader::Environment;
    use super::*;

    #[test]
    fn metrics() {
        let none = Environment::new();
        for (text, expected) in [
            ("", Ok((None, 5))),
            ("enabled = true", Ok((Some(19085), 5))),
            ("enabled = true\nport = '1234'\ncollectionInterval = 7\ntype = 'Prometheus'", Ok((Some(1234), 7))),
            ("enabled = true\ntype = 'azure'", Err("only prometheus")),
            ("collectionInterval = 0", Err("from 1 to 3600")),
        ] {
            let mut reader = Reader::new("c", &format!("[adapter.metrics]\n{text}"), &none);
            let found = read(&mut reader, Ipv4Addr::LOCALHOST.into());
            let errors: Vec<String> = reader.finish().errors().map(ToString::to_string).collect();
            match expected {
                Ok(expected) => {
                    let found = (found.address.map(|address| address.port()), found.interval.as_secs());
                    assert_eq!((found, errors), (expected, vec![]), "{text}");
                }
                Err(part) => assert!(errors[0].contains(part), "{errors:?}"),
            }
        }
    }
}
