//! `subscribers [applications] [revoked]`: what a gateway bears of applications with subscriptions and of revoked tokens.
//!
//! A small and a large population are written into the subscriptions file of gateways with 1, 2 and 4 workers. Measured are
//! Envoy's memory (what the large one adds must not grow with the workers), what a look-up costs beside that in the small one,
//! and how soon every worker refuses a token that was just revoked. At the usual size the limits are checked.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tollgate_model::Algorithm;
use tollgate_tests::http::{Answer, client};
use tollgate_tests::token::{Claims, KeyPair};
use tollgate_tests::{ApiProject, Etcd, Gateway, Settings, within};

const ISSUER: &str = "https://portal.test/token";
const PATH: &str = "/pets/1.0.0/pet";

/// The size the limits are for.
const USUAL: Population = Population { applications: 100_000, revoked: 1_000_000 };
const SMALL: Population = Population { applications: 1_000, revoked: 1_000 };
const WORKERS: [u8; 3] = [1, 2, 4];
/// Callers whose first and second requests are timed.
const CALLERS: u32 = 500;
/// Tokens that are revoked one after the other.
const ROUNDS: u32 = 20;
/// Connections that together reach every worker.
const CONNECTIONS: u32 = 16;
/// How long a large population may take to arrive.
const PATIENCE: Duration = Duration::from_secs(180);
const MAX_REVOCATION: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Population {
    applications: u32,
    revoked: u32,
}

/// What was found with one number of workers.
#[derive(Debug)]
struct Found {
    /// From the edit of the file until it counts on every worker.
    taken: Duration,
    /// Resident bytes of Envoy after it has served callers on every worker.
    envoy: u64,
    adapter: u64,
    /// Medians of first and of second requests of a caller.
    first: Duration,
    second: Duration,
    /// How long each revocation took to reach all workers.
    revocations: Vec<Duration>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |name, usual: u32| match arguments.next() {
        None => Ok(usual),
        Some(text) => text
            .parse()
            .with_context(|| format!("{name} is '{text}', not a number; usage: subscribers [applications] [revoked]")),
    };
    let applications = number("applications", USUAL.applications)?;
    let large = Population { applications, revoked: number("revoked", USUAL.revoked)? };
    ensure!(applications >= CALLERS, "there must be {CALLERS} applications at least");
    let folder = TempDir::with_prefix("tollgate-subscribers-").context("making a temporary folder")?;
    let pem = folder.path().join("portal.pem");
    std::fs::write(&pem, KeyPair::shared()?.public_pem()?).context("writing the key of the portal")?;
    println!("{} applications, {} revoked tokens", large.applications, large.revoked);
    let mut added = Vec::new();
    for workers in WORKERS {
        let small = measure(folder.path(), SMALL, workers).await?;
        let found = measure(folder.path(), large, workers).await?;
        added.push(found.envoy.saturating_sub(small.envoy));
        report(workers, &small, &found);
        if large == USUAL {
            let slowest = found.revocations.iter().max().copied().unwrap_or_default();
            ensure!(slowest < MAX_REVOCATION, "a revocation took {slowest:?}");
        }
    }
    let [one, .., many] = added.as_slice() else { return Ok(()) };
    println!("memory for the data: {} MiB with one worker, {} MiB with four", one >> 20, many >> 20);
    if large == USUAL {
        ensure!(*many < one.saturating_mul(3) / 2, "Envoy's memory for the data grows with its workers");
    }
    Ok(())
}

async fn measure(folder: &Path, population: Population, workers: u8) -> Result<Found> {
    let file = folder.join("subscriptions.json");
    std::fs::write(&file, "{}").context("writing the subscriptions file")?;
    let etcd = Etcd::start().await?;
    let pem = folder.join("portal.pem");
    let extra = format!(
        "\n[tollgate.revocation.etcd]\nendpoints = ['{}']\n\n[[enforcer.security.tokenService]]\nname = 'Portal'\nissuer = '{ISSUER}'\n\
         certificateFilePath = '{}'\nvalidateSubscription = true\n",
        etcd.url(),
        pem.display()
    );
    let adapter = format!("subscriptionsFile = '{}'", file.display());
    let gateway = Gateway::with(Settings { adapter, extra, workers, ..Settings::default() }).await?;
    let project = ApiProject::new("Pets", "1.0.0", "/pets").production(&gateway.backend.url());
    gateway.deploy(&project.secured("GET", "/pet/{id}"), &format!("{PATH}/1")).await?;
    // The file is followed, so that all of it comes to a gateway that serves.
    let started = Instant::now();
    std::fs::write(&file, text(population)?).context("writing the subscriptions file")?;
    let last = population.applications.saturating_sub(1);
    within(PATIENCE, "the last application is known", async || everywhere(&gateway, &of(last)?, 200).await).await?;
    let taken = started.elapsed();
    let revoked = token(0, &format!("revoked-{}", population.revoked.saturating_sub(1)))?;
    within(PATIENCE, "the last token is revoked", async || everywhere(&gateway, &revoked, 401).await).await?;
    let (first, second) = look_ups(&gateway, population).await?;
    let envoy = gateway.envoy.memory()?;
    let adapter = gateway.adapter.memory()?;
    let revocations = revocations(&gateway, &etcd).await?;
    Ok(Found { taken, envoy, adapter, first, second, revocations })
}

/// Medians of the first and of the second request of callers from all over the population, and as many on other connections, so
/// that every worker has looked up what it will.
async fn look_ups(gateway: &Gateway, population: Population) -> Result<(Duration, Duration)> {
    let step = population.applications / CALLERS;
    let tokens: Vec<String> = (0..CALLERS).map(|number| of(number.saturating_mul(step))).collect::<Result<_>>()?;
    let kept = client(1)?;
    let mut times = Vec::new();
    for _ in 0..2 {
        let mut round = Vec::new();
        for token in &tokens {
            round.push(timed(gateway, &kept, token).await?);
        }
        round.sort_unstable();
        times.push(round.get(round.len() / 2).copied().unwrap_or_default());
    }
    for token in tokens.iter().step_by(5) {
        everywhere(gateway, token, 200).await?;
    }
    Ok((times.first().copied().unwrap_or_default(), times.last().copied().unwrap_or_default()))
}

async fn timed(gateway: &Gateway, client: &Client, token: &str) -> Result<Duration> {
    let request = client.get(gateway.url(&format!("{PATH}/1"))).bearer_auth(token);
    let started = Instant::now();
    let answer = Answer::of(request).await?;
    let taken = started.elapsed();
    ensure!(answer.status == 200, "a caller is answered {} {}", answer.status, answer.body);
    Ok(taken)
}

/// Each token is known to every worker before it is revoked, so that a memory could answer.
async fn revocations(gateway: &Gateway, etcd: &Etcd) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for number in 0..ROUNDS {
        let jti = format!("just-now-{number}");
        let token = token(number, &jti)?;
        everywhere(gateway, &token, 200).await?;
        let started = Instant::now();
        etcd.put(&format!("/revoked/{jti}"), "4000000000").await?;
        within(PATIENCE, "the token is refused", async || everywhere(gateway, &token, 401).await).await?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}

/// Sends the token over many connections, so that every worker gets it, and demands one answer of all.
async fn everywhere(gateway: &Gateway, token: &str, status: u16) -> Result<()> {
    let mut requests = JoinSet::new();
    for _ in 0..CONNECTIONS {
        requests.spawn(Answer::of(gateway.request(Method::GET, &format!("{PATH}/1")).bearer_auth(token)));
    }
    while let Some(answer) = requests.join_next().await {
        let answer = answer.context("a request panicked")??;
        ensure!(answer.status.as_u16() == status, "answered {} {}", answer.status, answer.body);
    }
    Ok(())
}

fn of(application: u32) -> Result<String> {
    token(application, &format!("of-{application}"))
}

fn token(application: u32, jti: &str) -> Result<String> {
    let claims = Claims::of(ISSUER).with("azp", format!("client-{application}")).with("jti", jti).without("keytype");
    Ok(KeyPair::shared()?.sign(Algorithm::RS256, &claims))
}

/// Applications with one key and one subscription each, and revoked tokens.
fn text(population: Population) -> Result<String> {
    let mut text = String::from("{\"applications\":[");
    for number in 0..population.applications {
        let comma = if number == 0 { "" } else { "," };
        write!(
            text,
            "{comma}\n{{\"name\":\"app-{number}\",\"keys\":[{{\"keyManager\":\"Portal\",\"consumerKey\":\"client-{number}\"}}],\
             \"subscriptions\":[{{\"api\":\"Pets\",\"version\":\"1.0.0\"}}]}}"
        )?;
    }
    text.push_str("],\"revokedTokens\":[");
    for number in 0..population.revoked {
        let comma = if number == 0 { "" } else { "," };
        write!(text, "{comma}\n{{\"jti\":\"revoked-{number}\",\"expires\":4000000000}}")?;
    }
    text.push_str("]}");
    Ok(text)
}

fn report(workers: u8, small: &Found, large: &Found) {
    let mib = |bytes: u64| bytes >> 20;
    let micros = |time: Duration| time.as_micros();
    let slowest = large.revocations.last().copied().unwrap_or_default();
    let median = large.revocations.get(large.revocations.len() / 2).copied().unwrap_or_default();
    println!("{workers} workers");
    println!("  taken over in {:.1} s, small population {:.1} s", large.taken.as_secs_f64(), small.taken.as_secs_f64());
    println!("  Envoy {} MiB, small population {} MiB", mib(large.envoy), mib(small.envoy));
    println!("  adapter {} MiB, small population {} MiB", mib(large.adapter), mib(small.adapter));
    println!("  first request of a caller {} µs, small population {} µs", micros(large.first), micros(small.first));
    println!("  second request {} µs, small population {} µs", micros(large.second), micros(small.second));
    println!("  revocation on every worker {} ms (median), {} ms at most", median.as_millis(), slowest.as_millis());
}
