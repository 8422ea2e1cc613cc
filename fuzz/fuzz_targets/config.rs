//! A config.toml and a log_config.toml, as whoever mounts files may write them.
#![no_main]

use tollgate_adapter::config::{Config, Environment, LogConfig};

libfuzzer_sys::fuzz_target!(|text: &str| {
    // One name that is there, and one override of a list's element.
    let environment = Environment::from([
        ("NAME".to_owned(), "value".to_owned()),
        ("CC_ENFORCER_SECURITY_TOKENSERVICE_0_NAME".to_owned(), "x".to_owned()),
    ]);
    match Config::read("config.toml", text, &environment) {
        Ok((_, warnings)) => assert!(!warnings.has_errors()),
        Err(problems) => assert!(problems.has_errors(), "a refusal says why"),
    }
    match LogConfig::read("log_config.toml", text, &environment) {
        Ok((_, warnings)) => assert!(!warnings.has_errors()),
        Err(problems) => assert!(problems.has_errors(), "a refusal says why"),
    }
});
