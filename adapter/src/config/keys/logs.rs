//! log_config.toml.

use super::{Key, Schema, Section, read, unset};

/// The keys of log_config.toml.
pub const LOGS: Schema = Schema {
    sections: &[Section {
        name: "log_config.toml",
        about: "The file is the one that the variable `LOG_CONFIG_PATH` names, or lies beside config.toml. Levels, access logs \
                and wire logs are followed as it changes; a broken edit is reported in the log and in `/status`, and the last good one stays. \
                The rest counts at the next start. Environment variables do not override it.",
        keys: KEYS,
    }],
    aliases: &[],
    overriding: None,
    fixed: &[],
};

const KEYS: &[Key] = &[
    unset("logfile", "none", "a file that the adapter's log goes to, beside standard error"),
    read(
        "logLevel",
        "\"INFO\"",
        "`DEBG`, `INFO`, `WARN` or `ERRO`; `FATL` and `PANC` mean `ERRO`. `RUST_LOG` in the environment counts instead of all levels",
    ),
    read("LogFormat", "\"TEXT\"", "`TEXT` or `JSON`; `--log-format` counts instead"),
    read("rotation.MaxSize", "10", "megabytes from which a new `logfile` is begun"),
    read("rotation.MaxBackups", "3", "how many older files are kept; 0 means any number"),
    read("rotation.MaxAge", "2", "days that older files are kept; 0 means for ever"),
    read("rotation.Compress", "true", "whether older files are compressed"),
    unset(
        "pkg[].name",
        "required",
        "a module with a level of its own, for example `outputs::xds`; names of Go packages have no effect",
    ),
    unset("pkg[].logLevel", "required", "its level"),
    read(
        "accessLogs.enable",
        "false",
        "whether gateways write access logs. If the table is there, `[tollgate.accessLogs]` of config.toml does not count",
    ),
    read("accessLogs.logfile", "\"/tmp/envoy.access.log\"", "file on the gateway's machine; `/dev/stdout` is one"),
    read("accessLogs.logFormat", "\"TEXT\"", "`TEXT` or `JSON`").added(),
    unset("accessLogs.format", "a line, or an object, without queries", "what is logged, in Envoy's terms"),
    read(
        "wireLogs.enable",
        "false",
        "whether gateways write the messages between enforcer and backend into their own logs, at level info. Queries, and \
         headers whose names hint at secrets, are masked; bodies are written as they are, up to 16 KiB",
    ),
    read("wireLogs.include", "[]", "which parts: some of `\"Headers\"`, `\"Body\"` and `\"Trailers\"`"),
];
