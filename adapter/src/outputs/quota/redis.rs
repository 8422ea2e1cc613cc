//! The owner in Redis, where several adapters meet. One round trip a batch; the arithmetic is a script that Redis runs as one
//! step a counter.
//!
//! Time is Redis's own, read inside the script, so that adapters whose clocks differ agree on windows to the millisecond: what an
//! adapter reckons only decides which window it proposes, and a wrong proposal is sent back.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use jiff::tz::TimeZone;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, IntoConnectionInfo, Pipeline, RedisError, RedisFuture, Script,
    ServerErrorKind, Value,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tollgate_model::{QuotaAsk, QuotaGrant, Unused};

use super::clock::Clock;
use super::ledger::LedgerError;
use super::window;
use super::{Leasing, OwnerError, QuotaOwner};

const SCRIPT: &str = include_str!("lease.lua");
/// Before every counter's name.
const PREFIX: &str = "tollgate:quota:";
/// After a failure, everybody is told at once for so long, instead of waiting for the next one.
const PAUSE: Duration = Duration::from_millis(250);
/// How often Redis is asked for the time.
const CLOCK_EVERY: Duration = Duration::from_secs(30);
/// How often asks are made whose window was another one by Redis's clock.
const ROUNDS: usize = 3;
/// When something that was leased out may still come back, it is worth asking again after so long.
const RETRY_MS: u64 = 250;

/// How Redis is reached.
#[derive(Clone)]
pub struct RedisSettings {
    /// `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS. Several for a cluster or sentinels.
    pub urls: Vec<String>,
    /// What stands behind them.
    pub topology: Topology,
    /// Longest wait for an answer.
    pub deadline: Duration,
    /// Where days begin.
    pub zone: TimeZone,
}

/// What stands behind the addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    /// One server.
    Single,
    /// Nodes of a cluster.
    Cluster,
    /// Sentinels that know the master of this name.
    Sentinel(String),
}

/// Addresses may hold passwords.
impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("topology", &self.topology)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl RedisSettings {
    /// Whether this is an address of Redis.
    ///
    /// # Errors
    /// What is wrong with it, without the address itself.
    pub fn check_url(url: &str) -> Result<(), String> {
        url.into_connection_info().map(drop).map_err(|error| error.to_string())
    }
}

/// The owner in Redis.
pub struct Redis {
    settings: RedisSettings,
    script: Script,
    clock: Clock,
    /// What to add to the own clock to get Redis's.
    offset_ms: AtomicI64,
    link: Mutex<Link>,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The connection, and when it was last good or bad.
#[derive(Default)]
struct Link {
    connection: Option<Connection>,
    failed: Option<(Instant, String)>,
    clock_read: Option<Instant>,
}

#[derive(Clone)]
enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    /// Sends all of them at once: in one go to a server, and to every node of a cluster what is its own.
    async fn send(&self, commands: &[Cmd]) -> Result<Vec<Answer>, RedisError> {
        match self {
            Self::One(connection) => {
                let mut pipeline = Pipeline::with_capacity(commands.len());
                for command in commands {
                    pipeline.add_command(command.clone());
                }
                pipeline.query_async(&mut connection.clone()).await
            }
            Self::Cluster(connection) => {
                let answer = |command: &Cmd| {
                    let (command, mut connection) = (command.clone(), connection.clone());
                    async move { command.query_async(&mut connection).await }
                };
                try_join_all(commands.iter().map(answer)).await
            }
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(connection) => connection.req_packed_commands(commands, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

impl Redis {
    /// An owner that connects when it is first asked.
    #[must_use]
    pub fn new(settings: RedisSettings) -> Self {
        Self {
            settings,
            script: Script::new(SCRIPT),
            clock: Clock::start(),
            offset_ms: AtomicI64::new(0),
            link: Mutex::default(),
        }
    }

    async fn lease_batch(&self, asks: Vec<QuotaAsk>, holder: &str) -> Result<Vec<QuotaGrant>, OwnerError> {
        let deadline = self.settings.deadline;
        match timeout(deadline, self.lease_now(&asks, holder)).await {
            Ok(Ok(grants)) => Ok(grants),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                self.fail(format!("no answer within {deadline:?}")).await;
                Err(OwnerError::Late(deadline))
            }
        }
    }

    async fn lease_now(&self, asks: &[QuotaAsk], holder: &str) -> Result<Vec<QuotaGrant>, OwnerError> {
        let mut connection = self.connection().await?;
        let mut grants: Vec<Option<QuotaGrant>> = vec![None; asks.len()];
        for _ in 0..ROUNDS {
            let open: Vec<usize> =
                grants.iter().zip(0..).filter(|(grant, _)| grant.is_none()).map(|(_, at)| at).collect();
            if open.is_empty() {
                break;
            }
            let open_asks: Vec<&QuotaAsk> = open.iter().filter_map(|at| asks.get(*at)).collect();
            let commands = self.commands(&open_asks, holder, true)?;
            let once_more = self.commands(&open_asks, holder, false)?;
            let answers = match self.run([&commands, &once_more], &mut connection).await {
                Ok(answers) => answers,
                Err(error) => {
                    self.fail(error.to_string()).await;
                    return Err(OwnerError::Unreachable(error.to_string()));
                }
            };
            if answers.len() != open.len() {
                return Err(OwnerError::Unreachable("the script gave too few answers".to_owned()));
            }
            for (at, answer) in open.into_iter().zip(answers) {
                match grant(answer) {
                    Ok(grant) => grants.get_mut(at).into_iter().for_each(|place| *place = Some(grant)),
                    Err(theirs) => self.set_clock(theirs),
                }
            }
        }
        let grants: Option<Vec<QuotaGrant>> = grants.into_iter().collect();
        grants.ok_or_else(|| OwnerError::Unreachable("the clock of Redis runs too fast to be followed".to_owned()))
    }

    /// One command for each ask; only where `returns`, what is unused goes back.
    fn commands(&self, asks: &[&QuotaAsk], holder: &str, returns: bool) -> Result<Vec<Cmd>, LedgerError> {
        let now_ms = self.clock.now_ms().saturating_add(self.offset_ms.load(Ordering::Relaxed));
        let zone = &self.settings.zone;
        let mut commands = Vec::new();
        for ask in asks {
            let span = window::at(ask.limit.window, zone, now_ms).ok_or(LedgerError::Calendar)?;
            let next = window::at(ask.limit.window, zone, span.end_ms).ok_or(LedgerError::Calendar)?;
            // The braces make a cluster place the counter by its own name.
            let key = format!("{PREFIX}{{{}}}", ask.key);
            let unused = ask.unused.filter(|_| returns).unwrap_or(Unused { window: i64::MIN, amount: 0 });
            let mut command = redis::cmd("EVALSHA");
            command
                .arg(self.script.get_hash())
                .arg(1)
                .arg(key)
                .arg(&[span.number, span.start_ms, span.end_ms, next.end_ms])
                .arg(&[ask.limit.amount, ask.want])
                .arg(unused.window)
                .arg(unused.amount)
                .arg(holder)
                .arg(u8::from(ask.ahead));
            commands.push(command);
        }
        Ok(commands)
    }

    /// From now on it is `theirs`, in milliseconds since the epoch.
    fn set_clock(&self, theirs: i64) {
        self.offset_ms.store(theirs.saturating_sub(self.clock.now_ms()), Ordering::Relaxed);
    }

    /// Runs the batch. Where the script is missing it is loaded, and the second form of the batch runs, which gives nothing back:
    /// of the first, part may have run, on other nodes of a cluster. That is leased twice, which costs quota; given back twice
    /// it would add to it.
    async fn run(&self, [first, again]: [&[Cmd]; 2], connection: &mut Connection) -> Result<Vec<Answer>, RedisError> {
        match connection.send(first).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.script.load_async(connection).await?;
                connection.send(again).await
            }
            other => other,
        }
    }

    /// The connection, made now if there is none. Only one caller connects; after a failure all are told so for a while.
    async fn connection(&self) -> Result<Connection, OwnerError> {
        let mut link = self.link.lock().await;
        if let Some((at, why)) = &link.failed
            && at.elapsed() < PAUSE
        {
            return Err(OwnerError::Unreachable(why.clone()));
        }
        let known = link.connection.clone();
        let clock_is_fresh = link.clock_read.is_some_and(|read| read.elapsed() < CLOCK_EVERY);
        let result = match (known, clock_is_fresh) {
            (Some(connection), true) => Ok(connection),
            (Some(connection), false) => self.read_clock(connection).await,
            (None, _) => match self.connect().await {
                Ok(connection) => self.read_clock(connection).await,
                Err(error) => Err(error),
            },
        };
        match result {
            Ok(connection) => {
                if !clock_is_fresh || link.connection.is_none() {
                    link.clock_read = Some(Instant::now());
                }
                link.failed = None;
                link.connection = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                *link = Link { failed: Some((Instant::now(), error.to_string())), ..Link::default() };
                Err(OwnerError::Unreachable(error.to_string()))
            }
        }
    }

    async fn connect(&self) -> Result<Connection, RedisError> {
        let settings = &self.settings;
        let first = || settings.urls.first().cloned().unwrap_or_default();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(settings.deadline))
            .set_response_timeout(Some(settings.deadline));
        match &settings.topology {
            Topology::Single => {
                let client = Client::open(first())?;
                Ok(Connection::One(client.get_multiplexed_async_connection_with_config(&config).await?))
            }
            Topology::Cluster => {
                let client = ClusterClient::builder(settings.urls.clone())
                    .connection_timeout(settings.deadline)
                    .response_timeout(settings.deadline)
                    .retries(1)
                    .build()?;
                Ok(Connection::Cluster(client.get_async_connection().await?))
            }
            Topology::Sentinel(master) => {
                let node = first().into_connection_info()?;
                let server = redis::sentinel::SentinelNodeConnectionInfo::default()
                    .set_redis_connection_info(node.redis_settings().clone());
                let mut client = SentinelClient::build(
                    settings.urls.clone(),
                    master.clone(),
                    Some(server),
                    SentinelServerType::Master,
                )?;
                Ok(Connection::One(client.get_async_connection_with_config(&config).await?))
            }
        }
    }

    async fn read_clock(&self, mut connection: Connection) -> Result<Connection, RedisError> {
        let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(&mut connection).await?;
        self.set_clock(seconds.saturating_mul(1_000).saturating_add(micros / 1_000));
        Ok(connection)
    }

    async fn fail(&self, why: String) {
        let mut link = self.link.lock().await;
        if link.failed.is_none() {
            tracing::warn!(error = why, "Redis cannot be asked for quota");
        }
        *link = Link { failed: Some((Instant::now(), why)), ..Link::default() };
    }
}

impl QuotaOwner for Redis {
    fn lease<'a>(&'a self, asks: Vec<QuotaAsk>, holder: &'a str) -> Leasing<'a> {
        Box::pin(self.lease_batch(asks, holder))
    }
}

/// What the script says: window number, granted, holders, milliseconds until the start and until the end, left.
type Answer = (i64, u64, i64, i64, i64, u64);

/// The grant, or the clock of Redis when the window was not the current one.
fn grant((window, granted, holders, starts, ends, left): Answer) -> Result<QuotaGrant, i64> {
    if holders < 0 {
        return Err(starts);
    }
    let [starts_in_ms, ends_in_ms] = [starts, ends].map(|ms| u64::try_from(ms).unwrap_or(0));
    let retry_in_ms = if holders > 1 { ends_in_ms.min(RETRY_MS) } else { ends_in_ms };
    Ok(QuotaGrant { window, granted, left, starts_in_ms, ends_in_ms, retry_in_ms })
}
