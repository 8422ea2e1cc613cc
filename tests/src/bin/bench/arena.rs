//! Everything that runs while we measure: one Envoy with a listener for each contender, and who it asks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tollgate_bench::world::{self, PATH, SOCKET_PATH};
use tollgate_tests::http::Answer;
use tollgate_tests::ports::Port;
use tollgate_tests::process::{Process, tail};
use tollgate_tests::{eventually, locate};

use crate::contender::Contender;
use crate::feed::Feed;
use crate::filters::Setup;

/// By which compression of WebSockets is offered and taken.
const EXTENSIONS: &str = "sec-websocket-extensions";

/// Keys, and files of tokens.
pub struct Tokens {
    /// Where they lie.
    pub folder: PathBuf,
    /// The keys that signed them.
    pub jwks: Value,
    /// The one that is sent over and over.
    pub warm: String,
}

/// A running Envoy. Fields are dropped in this order: who asks before who answers.
pub struct Arena {
    envoy: Process,
    /// Envoy's admin interface.
    pub admin: u16,
    direct: Vec<u16>,
    proxied: Vec<u16>,
    client: reqwest::Client,
    feed: Feed,
    _servers: [Process; 2],
    _ports: Vec<Port>,
    _folder: TempDir,
}

impl Arena {
    /// Starts one with so many workers, and waits until every contender does its work: a comparison of filters that do not
    /// would be worth nothing.
    pub async fn set(contenders: &[Contender], tokens: &Tokens, workers: u8) -> Result<Self> {
        let folder = TempDir::with_prefix("tollgate-bench-").context("making a temporary folder")?;
        let mut ports = Vec::new();
        let mut port = || -> Result<u16> {
            let port = Port::free()?;
            let number = port.number();
            ports.push(port);
            Ok(number)
        };
        let direct = Contender::ALL.iter().map(|_| port()).collect::<Result<Vec<_>>>()?;
        let proxied = Contender::ALL.iter().map(|_| port()).collect::<Result<Vec<_>>>()?;
        let (admin, feed, authorization, backend) = (port()?, port()?, port()?, port()?);
        let servers = [serve("ext-authz", authorization, folder.path())?, serve("backend", backend, folder.path())?];
        let module = locate::module()?;
        let setup = Setup {
            direct: &direct,
            proxied: &proxied,
            admin,
            feed,
            authorization,
            backend,
            module: &module,
            jwks: &tokens.jwks,
            token: &tokens.warm,
        };
        let bootstrap = setup.bootstrap(contenders)?.to_string();
        let feed = Feed::start(feed, snapshots(contenders, &tokens.jwks)?).await?;
        let envoy = launch(&bootstrap, folder.path(), workers)?;
        let client = tollgate_tests::http::client(0)?;
        let arena =
            Self { envoy, admin, direct, proxied, client, feed, _servers: servers, _ports: ports, _folder: folder };
        for contender in contenders {
            arena.check(*contender, &tokens.warm).await.with_context(|| tail(arena.envoy.log(), 20))?;
        }
        Ok(arena)
    }

    async fn check(&self, contender: Contender, token: &str) -> Result<()> {
        for (token, expected) in [(Some(token), 200), (None, contender.without_credentials())] {
            eventually("the measured Envoy answers as it should", async || {
                let status = self.ask(contender, token).await?.status.as_u16();
                ensure!(status == expected, "{}: {status} instead of {expected}", contender.name());
                Ok(())
            })
            .await?;
        }
        if contender.is_shown_frames() {
            self.check_frames(contender, token).await?;
        }
        Ok(())
    }

    /// Whose frames are limited, that one's handshake goes on without an offer to compress, which the backend would take.
    async fn check_frames(&self, contender: Contender, token: &str) -> Result<()> {
        let limits = contender.scale().is_some_and(|scale| scale.limits);
        for (token, expected) in [(Some(token), 101), (None, contender.without_credentials())] {
            let answer = self.open(contender, token).await?;
            let status = answer.status.as_u16();
            ensure!(status == expected, "{}: a handshake gets {status} instead of {expected}", contender.name());
            let compressed = answer.header(EXTENSIONS).is_some();
            ensure!(status != 101 || compressed != limits, "{}: compressed is {compressed}", contender.name());
        }
        Ok(())
    }

    /// Opens a WebSocket, and leaves it.
    async fn open(&self, contender: Contender, token: Option<&str>) -> Result<Answer> {
        let request = self.client.get(format!("http://localhost:{}{SOCKET_PATH}", self.port(contender, true)));
        let request = request.header("connection", "upgrade").header("upgrade", "websocket");
        let request = request.header("sec-websocket-version", "13").header(EXTENSIONS, "permessage-deflate");
        Answer::of(if let Some(token) = token { request.bearer_auth(token) } else { request }).await
    }

    /// One request, on a connection of its own.
    pub async fn ask(&self, contender: Contender, token: Option<&str>) -> Result<Answer> {
        let request = self.client.get(format!("http://localhost:{}{PATH}", self.port(contender, false)));
        Answer::of(if let Some(token) = token { request.bearer_auth(token) } else { request }).await
    }

    /// The port of a contender that answers by itself, or asks the backend.
    pub fn port(&self, contender: Contender, proxied: bool) -> u16 {
        let ports = if proxied { &self.proxied } else { &self.direct };
        ports.get(contender.position()).copied().unwrap_or_default()
    }

    /// Envoy's log.
    pub fn log(&self) -> &Path {
        self.envoy.log()
    }

    /// A client that opens a connection for every request.
    pub const fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Bytes of memory that the whole Envoy takes.
    pub fn resident(&self) -> Result<u64> {
        self.envoy.memory()
    }

    /// Processor time that Envoy has taken so far.
    pub fn processor_time(&self) -> Result<Duration> {
        // `USER_HZ`, which is 100 on every Linux that Envoy runs on.
        const TICK: Duration = Duration::from_millis(10);
        let file = format!("/proc/{}/stat", self.envoy.id());
        let stat = std::fs::read_to_string(&file).with_context(|| format!("reading {file}"))?;
        // Behind the name, which stands in parentheses, user and system time are the 12th and 13th field.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_ascii_whitespace();
        let ticks = fields.skip(11).take(2).map(|field| field.parse::<u32>().unwrap_or(0)).fold(0, u32::saturating_add);
        Ok(TICK.saturating_mul(ticks))
    }

    /// How long a change takes from leaving the adapter until it is enforced.
    pub async fn propagation(&self, token: &str, blocked: bool) -> Result<Duration> {
        let contender = Contender::Full;
        let scale = contender.scale().context("it has a snapshot")?;
        let frame = world::change(scale, self.feed.next_revision(contender.name()), blocked)?;
        let expected = if blocked { 503 } else { 200 };
        let start = Instant::now();
        self.feed.publish(contender.name(), frame);
        while self.ask(contender, Some(token)).await?.status.as_u16() != expected {
            ensure!(start.elapsed() < Duration::from_secs(10), "a change is not enforced after ten seconds");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(start.elapsed())
    }
}

fn snapshots(contenders: &[Contender], jwks: &Value) -> Result<BTreeMap<String, Vec<Vec<u8>>>> {
    let ours = contenders.iter().filter_map(|contender| Some((contender, contender.scale()?)));
    ours.map(|(contender, scale)| Ok((contender.name().to_owned(), world::frames(scale, jwks)?))).collect()
}

fn serve(name: &'static str, port: u16, folder: &Path) -> Result<Process> {
    let mut command = Command::new(program(name)?);
    Process::spawn(name, command.arg(port.to_string()), &folder.join(format!("{name}.log")))
}

/// A program of `tests/bench`, which `./just bench` builds.
pub fn program(name: &str) -> Result<PathBuf> {
    let folder = std::env::var_os("TOLLGATE_LOAD").map_or_else(|| locate::root().join("target/release"), PathBuf::from);
    let file = folder.join(name);
    ensure!(file.is_file(), "{} is not built; run `./just bench`, which builds it", file.display());
    Ok(file)
}

fn launch(bootstrap: &str, folder: &Path, workers: u8) -> Result<Process> {
    let file = folder.join("envoy.json");
    std::fs::write(&file, bootstrap).context("writing Envoy's configuration")?;
    let mut command = Command::new(locate::envoy()?);
    command.arg("--config-path").arg(&file).args(["--disable-hot-restart", "--log-level", "warning"]);
    command.args(["--concurrency", &workers.to_string()]);
    Process::spawn("the measured Envoy", &mut command, &folder.join("envoy.log"))
}

/// Makes keys and tokens, or takes those of an earlier run that are good for some days yet.
pub fn tokens(folder: &Path, count: usize) -> Result<Tokens> {
    let stamp = folder.join(format!("made-{count}"));
    let age = std::fs::metadata(&stamp).and_then(|data| data.modified()).ok().and_then(|at| at.elapsed().ok());
    if age.is_none_or(|age| age > Duration::from_secs(24 * 3600)) {
        eprintln!("signing {count} tokens with RSA and {count} with ECDSA");
        let mut command = Command::new(program("tokens")?);
        let status = command.arg(folder).arg(count.to_string()).status().context("starting tokens")?;
        ensure!(status.success(), "tokens failed");
        std::fs::write(&stamp, "").with_context(|| format!("writing {}", stamp.display()))?;
    }
    let read = |name: &str| {
        let file = folder.join(name);
        std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))
    };
    let warm = read("rs256.txt")?.lines().next().context("there is no token")?.to_owned();
    let jwks = serde_json::from_str(&read("jwks.json")?).context("reading the keys")?;
    Ok(Tokens { folder: folder.to_owned(), jwks, warm })
}
