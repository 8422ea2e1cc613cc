//! `[accessLogs]` of log_config.toml, and `[tollgate.accessLogs]` of config.toml: the log of requests that a gateway writes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::reader::Reader;
use crate::outputs::settings::{AccessLog, LogFormat};

const FILE: &str = "/tmp/envoy.access.log";

/// Queries may carry credentials, so they are left out.
const TEXT: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ_WITHOUT_QUERY(:PATH)% %PROTOCOL%\" %RESPONSE_CODE% \
     %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \
     %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \
     \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n";

const JSON: [(&str, &str); 16] = [
    ("time", "%START_TIME%"),
    ("method", "%REQ(:METHOD)%"),
    ("path", "%REQ_WITHOUT_QUERY(:PATH)%"),
    ("protocol", "%PROTOCOL%"),
    ("status", "%RESPONSE_CODE%"),
    ("flags", "%RESPONSE_FLAGS%"),
    ("details", "%RESPONSE_CODE_DETAILS%"),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("duration_ms", "%DURATION%"),
    ("upstream_service_time_ms", "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"),
    ("forwarded_for", "%REQ(X-FORWARDED-FOR)%"),
    ("user_agent", "%REQ(USER-AGENT)%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("authority", "%REQ(:AUTHORITY)%"),
    ("upstream_host", "%UPSTREAM_HOST%"),
];

/// The access log of that table, if it is on.
pub(in crate::config) fn read(reader: &mut Reader<'_>, table: &str) -> Option<AccessLog> {
    let enabled = reader.flag(&format!("{table}.enable")).unwrap_or(false);
    let log = AccessLog {
        file: reader.path(&format!("{table}.logfile")).unwrap_or_else(|| PathBuf::from(FILE)),
        format: format(reader, table),
    };
    enabled.then_some(log)
}

fn format(reader: &mut Reader<'_>, table: &str) -> LogFormat {
    let (key, kind) = (format!("{table}.format"), format!("{table}.logFormat"));
    let own = reader.text(&key);
    let format = match reader.text(&kind).map(|text| text.to_uppercase()).as_deref() {
        None | Some("TEXT") => text(own),
        Some("JSON") => match own {
            None => LogFormat::Json(JSON.map(|(name, command)| (name.to_owned(), command.to_owned())).into()),
            Some(own) => json(reader, &key, &own),
        },
        Some(_) => {
            reader.error(&kind, "a kind of format is expected here", "write TEXT or JSON");
            text(own)
        }
    };
    let commands = match &format {
        LogFormat::Text(text) => check(text),
        LogFormat::Json(members) => members.values().try_for_each(|member| check(member)),
    };
    if let Err(at) = commands {
        let what = format!("Envoy cannot read the format at {at:?}");
        let fix = "write commands as %NAME%, %NAME(...)% or %NAME(...):9%, and %% for a percent sign";
        reader.error(&key, &what, fix);
    }
    format
}

/// A line ends, even if the format forgot.
fn text(own: Option<String>) -> LogFormat {
    let mut text = own.unwrap_or_else(|| TEXT.to_owned());
    if !text.ends_with('\n') {
        text.push('\n');
    }
    LogFormat::Text(text)
}

fn json(reader: &mut Reader<'_>, key: &str, own: &str) -> LogFormat {
    match serde_json::from_str::<BTreeMap<String, String>>(own) {
        Ok(members) => LogFormat::Json(members),
        Err(error) => {
            let what = format!("the format is no JSON object of texts: {error}");
            reader.error(key, &what, r#"write for example '{"path": "%REQ(:PATH)%"}'"#);
            LogFormat::Json(BTreeMap::new())
        }
    }
}

/// Whether Envoy can take the text apart. Whether it knows the commands, only it can say.
fn check(format: &str) -> Result<(), String> {
    let mut rest = format;
    while let Some((_, from)) = rest.split_once('%') {
        let Some(after) = command(from) else { return Err(format!("%{}", from.chars().take(24).collect::<String>())) };
        rest = after;
    }
    Ok(())
}

/// What follows a command whose percent sign was read, or a second percent sign.
fn command(text: &str) -> Option<&str> {
    if let Some(after) = text.strip_prefix('%') {
        return Some(after);
    }
    let name = |character: char| character.is_ascii_uppercase() || character.is_ascii_digit() || character == '_';
    let rest = text.trim_start_matches(name);
    if rest.len() == text.len() {
        return None;
    }
    let Some(arguments) = rest.strip_prefix('(') else { return end(rest) };
    // Arguments may hold parentheses: they end where the command can end.
    arguments.match_indices(')').find_map(|(position, _)| end(arguments.get(position.checked_add(1)?..)?))
}

fn end(text: &str) -> Option<&str> {
    let text = match text.strip_prefix(':') {
        Some(length) => {
            let rest = length.trim_start_matches(|character: char| character.is_ascii_digit());
            if rest.len() == length.len() {
                return None;
            }
            rest
        }
        None => text,
    };
    text.strip_prefix('%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_that_envoy_can_take_apart() {
        for (format, expected) in [
            ("plain", Ok(())),
            ("%START_TIME%", Ok(())),
            ("100%%", Ok(())),
            ("%START_TIME(%Y/%m/%dT%H:%M:%S%z %s)% x", Ok(())),
            ("%REQ(X-A?:PATH):12%", Ok(())),
            ("%CEL(f(x))%", Ok(())),
            (TEXT, Ok(())),
            ("100%", Err("%")),
            ("%req(a)%", Err("%req(a)%")),
            ("%REQ(a", Err("%REQ(a")),
            ("%REQ(a):b%", Err("%REQ(a):b%")),
            ("%REQ(a)", Err("%REQ(a)")),
            ("%DURATION", Err("%DURATION")),
        ] {
            assert_eq!(check(format), expected.map_err(str::to_owned), "{format}");
        }
    }
}
