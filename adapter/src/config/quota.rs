//! `[tollgate.quota]`: who owns the counters of rate limits.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::duration;
use super::reader::Reader;
use crate::outputs::quota::{RedisSettings, Topology};
use crate::outputs::settings::{QuotaOwnerKind, QuotaSettings};

const OWNER: &str = "tollgate.quota.owner";
const URLS: &str = "tollgate.quota.redis.urls";
const MASTER: &str = "tollgate.quota.redis.masterName";
const TOPOLOGY: &str = "tollgate.quota.redis.topology";
const DEADLINE: &str = "tollgate.quota.redis.deadline";
const ZONE: &str = "tollgate.quota.timeZone";

/// Longest wait for Redis. A gateway gives up on the adapter a little later.
const MAX_DEADLINE: Duration = Duration::from_millis(400);
const DEFAULT_DEADLINE: Duration = Duration::from_millis(250);

/// Who owns the counters.
pub(super) fn read(reader: &mut Reader<'_>) -> QuotaSettings {
    let zone = zone(reader);
    let owner = reader.text(OWNER).unwrap_or_else(|| "embedded".to_owned());
    let redis = redis(reader, &zone);
    let owner = match (owner.to_lowercase().as_str(), redis) {
        ("embedded", _) => QuotaOwnerKind::Embedded,
        ("redis", Some(redis)) => QuotaOwnerKind::Redis(redis),
        ("redis", None) => {
            reader.error(
                URLS,
                "the owner of the quotas is Redis, and there is no address of it",
                "write for example [\"redis://127.0.0.1:6379\"]",
            );
            QuotaOwnerKind::Embedded
        }
        _ => {
            reader.error(OWNER, "an owner of the quotas is expected here", "write embedded or redis");
            QuotaOwnerKind::Embedded
        }
    };
    QuotaSettings { owner, zone }
}

fn zone(reader: &mut Reader<'_>) -> TimeZone {
    let Some(name) = reader.text(ZONE) else { return TimeZone::UTC };
    TimeZone::get(&name).unwrap_or_else(|_| {
        reader.error(
            ZONE,
            "a time zone is expected here",
            "write a name of the IANA database, for example Asia/Colombo",
        );
        TimeZone::UTC
    })
}

fn redis(reader: &mut Reader<'_>, zone: &TimeZone) -> Option<RedisSettings> {
    let urls = reader.texts(URLS).unwrap_or_default();
    let master = reader.text(MASTER);
    let topology = match (reader.text(TOPOLOGY).map(|text| text.to_lowercase()).as_deref(), master) {
        (None | Some("single"), None) => Topology::Single,
        (Some("cluster"), None) => Topology::Cluster,
        (None | Some("sentinel"), Some(master)) => Topology::Sentinel(master),
        (Some("sentinel"), None) => {
            reader.error(
                MASTER,
                "sentinels are asked for a master by its name",
                "write the name that the sentinels know",
            );
            Topology::Single
        }
        (Some("single" | "cluster"), Some(_)) => {
            reader.error(MASTER, "only sentinels know masters by name", "remove it, or write topology = \"sentinel\"");
            Topology::Single
        }
        (Some(_), _) => {
            reader.error(TOPOLOGY, "a kind of Redis is expected here", "write single, cluster or sentinel");
            Topology::Single
        }
    };
    if topology == Topology::Single && urls.len() > 1 {
        reader.error(
            URLS,
            "a single Redis has one address",
            "leave one, or write topology = \"cluster\" or a masterName",
        );
    }
    for url in &urls {
        if let Err(problem) = RedisSettings::check_url(url) {
            reader.error(
                URLS,
                &format!("an address cannot be used: {problem}"),
                "write redis://[user:password@]host[:port][/database], or rediss:// for TLS",
            );
        }
    }
    let deadline = deadline(reader);
    (!urls.is_empty()).then(|| RedisSettings { urls, topology, deadline, zone: zone.clone() })
}

fn deadline(reader: &mut Reader<'_>) -> Duration {
    let Some(text) = reader.text(DEADLINE) else { return DEFAULT_DEADLINE };
    match duration::parse(&text) {
        Some(deadline) if !deadline.is_zero() && deadline <= MAX_DEADLINE => deadline,
        _ => {
            reader.error(DEADLINE, "a duration of at most 400ms is expected here", "write for example 250ms");
            DEFAULT_DEADLINE
        }
    }
}
