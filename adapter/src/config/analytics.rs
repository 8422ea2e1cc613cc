//! `[analytics]`: events about requests.

use std::time::Duration;

use super::duration;
use super::reader::Reader;
use crate::outputs::settings::Analytics;
use tollgate_project::names;

pub(super) const ENABLED: &str = "analytics.enabled";
const KIND: &str = "analytics.type";
const FLUSH: &str = "analytics.adapter.bufferFlushInterval";
const LONGEST_FLUSH: Duration = Duration::from_secs(60);

/// Whether there are events at all.
pub(super) fn enabled(reader: &mut Reader<'_>) -> bool {
    reader.flag(ENABLED).unwrap_or(false)
}

/// What becomes of events, if there are any.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Analytics> {
    let enabled = enabled(reader);
    let kind = reader.text(KIND);
    if enabled && !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("ELK")) {
        let what = "Choreo's analytics in the cloud cannot be reached from here";
        reader.error(KIND, what, "write type = \"ELK\", and have the lines shipped to where they are wanted");
    }
    let flush = reader.text(FLUSH).map(|text| duration::parse(&text).filter(|found| *found <= LONGEST_FLUSH));
    if flush == Some(None) {
        reader.error(FLUSH, "a duration of at most a minute is expected here", "write for example \"1s\"");
    }
    let own = reader.flag("analytics.adapter.customProperties.enabled").unwrap_or(false);
    let mut names = |key: &str| {
        let names = headers(reader, key);
        if own { names } else { Vec::new() }
    };
    let analytics = Analytics {
        request_headers: names("analytics.adapter.customProperties.requestHeaders"),
        response_headers: names("analytics.adapter.customProperties.responseHeaders"),
        response_trailers: names("analytics.adapter.customProperties.responseTrailers"),
        flush: flush.flatten().unwrap_or(Duration::from_secs(1)),
        buffer_bytes: reader.number("analytics.adapter.bufferSizeBytes", 1..=1 << 20).unwrap_or(16_384),
        file: reader.path("tollgate.analytics.logfile"),
    };
    enabled.then_some(analytics)
}

fn headers(reader: &mut Reader<'_>, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    for name in reader.texts(key).unwrap_or_default() {
        match names::header(&name) {
            Ok(name) => found.push(name),
            Err(what) => {
                reader.error(key, &format!("the header name {name:?} {what}"), "write names of headers");
            }
        }
    }
    found
}
