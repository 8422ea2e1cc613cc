//! The cases: who takes part, and what they are sent.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tollgate_bench::world::{self, API_KEY_HEADER, PATH};

use crate::arena::Tokens;
use crate::contender::Contender::{
    self, Authn, AuthnCalls, AuthnNewCalls, ExtAuthz, Full, FullApis, FullCalls, FullSubscriptions,
};
use crate::contender::Contender::{
    Frames, FramesUnlimited, FullUnlimited, JwtCached, JwtUncached, NativeChain, None as NoFilter,
};
use crate::load::Requests;

/// Tokens of the case in which they take turns.
const ROTATION: usize = 10_000;
/// Resources of the case in which they take turns.
const RESOURCES: usize = 10_000;
/// APIs of the case in which they take turns.
const SPREAD: usize = 1_000;
/// Bytes of a body.
const BODY: usize = 1024;

/// One comparison.
#[derive(Debug, Clone)]
pub struct Case {
    /// As reports and `summary.json` call it.
    pub name: &'static str,
    /// Worker threads of Envoy.
    pub workers: u8,
    /// Whether there is a backend behind, or the gateway answers by itself.
    pub proxied: bool,
    /// Who takes part.
    pub contenders: Vec<Contender>,
    /// What they are sent.
    pub requests: Requests,
    /// How many rounds there are, of a hundred of the usual number.
    pub rounds: usize,
}

/// The cases that all ratios come from.
///
/// # Errors
/// When files for them cannot be written.
pub fn quick(tokens: &Tokens) -> Result<Vec<Case>> {
    let (name, workers, proxied, rounds) = ("other_path_each_time", 1, false, 35);
    let contenders = vec![NoFilter, JwtCached, NativeChain, Authn, Full];
    let requests = Requests::Rotating(resources(tokens)?);
    Ok(vec![
        Case {
            name: "warm_token",
            workers: 1,
            proxied: false,
            contenders: vec![
                NoFilter,
                JwtCached,
                NativeChain,
                ExtAuthz,
                AuthnCalls,
                Authn,
                FullCalls,
                Full,
                FullUnlimited,
                FullApis,
                FullSubscriptions,
            ],
            requests: warm(tokens),
            rounds: 100,
        },
        Case { name, workers, proxied, contenders, requests, rounds },
        cold("new_tokens_rs256", tokens.folder.join("rs256.txt"), &[NoFilter, JwtUncached, AuthnNewCalls, Authn], 60),
    ])
}

/// The others.
pub fn further(tokens: &Tokens) -> Result<Vec<Case>> {
    let rivals = vec![NoFilter, NativeChain, ExtAuthz, Full];
    let usual = |name, contenders: &[Contender], requests| Case {
        name,
        workers: 1,
        proxied: false,
        contenders: contenders.to_vec(),
        requests,
        rounds: 35,
    };
    let key = std::fs::read_to_string(tokens.folder.join("api-key.txt")).context("reading the API key")?;
    let api_key = Requests::Same { headers: vec![format!("{API_KEY_HEADER}: {}", key.trim())], status: 200 };
    let everybody = [NoFilter, JwtCached, NativeChain, Authn, FullSubscriptions];
    let rotation = excerpt(tokens, "rotation.txt", ROTATION)?;
    let apis = spread(tokens)?;
    let refused = Requests::Same { headers: Vec::new(), status: 401 };
    Ok(vec![
        cold("new_tokens_es256", tokens.folder.join("es256.txt"), &[NoFilter, JwtUncached, Authn], 35),
        usual("rotating_10000_tokens", &everybody, Requests::Rotating(rotation)),
        usual("spread_over_1000_apis", &[NoFilter, FullApis], Requests::Rotating(apis)),
        usual("api_key", &[NoFilter, Full], api_key),
        usual("rejected", &[JwtCached, NativeChain, ExtAuthz, Authn, Full], refused),
        usual("body_1_kib", &rivals, Requests::Posted(bearer(tokens), BODY)),
        usual("http2", &rivals, Requests::Http2(bearer(tokens))),
        Case { proxied: true, ..usual("backend", &rivals, warm(tokens)) },
        Case {
            proxied: true,
            ..usual(
                "websocket_frames",
                &[NoFilter, FramesUnlimited, Frames],
                Requests::Frames(tokens.folder.join("rs256.txt")),
            )
        },
        Case { workers: 2, ..usual("two_workers", &rivals, warm(tokens)) },
    ])
}

fn cold(name: &'static str, file: PathBuf, contenders: &[Contender], rounds: usize) -> Case {
    let contenders = contenders.to_vec();
    Case { name, workers: 1, proxied: false, contenders, requests: Requests::Rotating(file), rounds }
}

fn bearer(tokens: &Tokens) -> String {
    format!("Authorization: Bearer {}", tokens.warm)
}

fn warm(tokens: &Tokens) -> Requests {
    Requests::Same { headers: vec![bearer(tokens)], status: 200 }
}

/// A file with the paths of many resources of the first API.
fn resources(tokens: &Tokens) -> Result<PathBuf> {
    turns(tokens, "resources.txt", (0..RESOURCES).map(|number| format!("{PATH}{number}")))
}

/// A file with the paths of many APIs, all of which the first application has subscribed to.
fn spread(tokens: &Tokens) -> Result<PathBuf> {
    turns(tokens, "apis.txt", (0..SPREAD).map(|number| format!("{}/orders/42", world::base_path(number))))
}

fn turns(tokens: &Tokens, name: &str, paths: impl Iterator<Item = String>) -> Result<PathBuf> {
    let file = tokens.folder.join(name);
    let lines: Vec<String> = paths.map(|path| format!("{path} {}", tokens.warm)).collect();
    std::fs::write(&file, lines.join("\n")).with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}

/// A file with the first tokens.
fn excerpt(tokens: &Tokens, name: &str, count: usize) -> Result<PathBuf> {
    let file = tokens.folder.join(name);
    let all = read(&tokens.folder.join("rs256.txt"))?;
    let lines: Vec<&str> = all.lines().take(count).collect();
    std::fs::write(&file, lines.join("\n")).with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}
