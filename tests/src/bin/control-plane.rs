//! `control-plane [applications] [subscriptions] [apis]`: how an adapter and an Envoy bear an API Manager with thousands of each.
//!
//! Measured are the initial synchronisation (the adapter is started with an empty store until it is ready, and until the
//! gateway is), how soon a subscription made then counts at the gateway, also while everything is reconciled, how long a
//! restart from the state on the disk takes while API Manager is away, and memory. At the usual size the limits are checked.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tollgate_model::Algorithm;
use tollgate_tests::apim::{ApiManager, KeyManager, Operation, RESIDENT, certificate_of};
use tollgate_tests::http::Answer;
use tollgate_tests::token::{Claims, KeyPair};
use tollgate_tests::{ApiProject, Gateway, RabbitMq, Settings, within};

/// The size the limits are for.
const USUAL: [u32; 3] = [10_000, 50_000, 2_000];
const MAX_START: Duration = Duration::from_secs(60);
const MAX_CHANGE: Duration = Duration::from_secs(2);
/// For what has no limit of its own.
const PATIENCE: Duration = Duration::from_secs(300);
/// Changes that are measured.
const ROUNDS: u32 = 10;
const ISSUER: &str = "https://apim.test/oauth2/token";

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
    let mut size = USUAL;
    for (number, text) in size.iter_mut().zip(std::env::args().skip(1)) {
        let usage = || format!("'{text}' is no number; usage: control-plane [applications] [subscriptions] [apis]");
        *number = text.parse().with_context(usage)?;
    }
    let [applications, subscriptions, apis] = size;
    let broker = RabbitMq::start().await?;
    let mut apim = ApiManager::start(&broker.url()).await?;
    eprintln!("filling an API Manager: {applications} applications, {subscriptions} subscriptions, {apis} APIs");
    fill(&apim, size)?;

    let started = Instant::now();
    let mut gateway =
        Gateway::launch(Settings { extra: configuration(&apim, &broker), unready: true, ..Settings::default() })
            .await?;
    within(PATIENCE, "the adapter is ready", async || {
        let answer = gateway.adapter.ready().await?;
        ensure!(answer.status.is_success(), "{}", answer.body);
        Ok(())
    })
    .await?;
    let adapter = started.elapsed();
    within(PATIENCE, "the gateway serves all of it", async || {
        for number in [0, apis / 2, apis.saturating_sub(1)] {
            passes(&gateway, number, "app0-key").await?;
        }
        Ok(())
    })
    .await?;
    let start = started.elapsed();
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        times.push(change(&gateway, &apim, round, apis).await?);
    }
    times.sort();
    let memory = memory(&gateway).await?;
    apim.kill();
    gateway.adapter.kill()?;
    let again = Instant::now();
    gateway.adapter.launch_again().await?;
    gateway.adapter.wait_ready().await?;
    let again = again.elapsed();
    println!("{applications} applications, {subscriptions} subscriptions, {apis} APIs");
    println!("adapter ready after             {:.1} s", adapter.as_secs_f64());
    println!("gateway serves all after        {:.1} s", start.as_secs_f64());
    println!("subscription counts after       {}", shown(&times));
    println!("ready from the disk after       {:.1} s", again.as_secs_f64());
    println!("memory of the adapter           {} MiB", memory >> 20);
    ensure!(apim.complaints().is_empty(), "API Manager did not understand: {:?}", apim.complaints());
    if size == USUAL {
        ensure!(adapter < MAX_START, "the initial synchronisation took longer than {MAX_START:?}");
        ensure!(times.last().is_some_and(|slowest| *slowest < MAX_CHANGE), "a change took longer than {MAX_CHANGE:?}");
    }
    Ok(())
}

fn shown(times: &[Duration]) -> String {
    let at = |position: usize| times.get(position).copied().unwrap_or_default().as_secs_f64();
    let last = at(times.len().saturating_sub(1));
    format!("{:.2} s (median of {}), {last:.2} s at most", at(times.len() / 2), times.len())
}

/// Everything there is before the adapter comes.
fn fill(apim: &ApiManager, [applications, subscriptions, apis]: [u32; 3]) -> Result<()> {
    let pem = STANDARD.encode(certificate_of(KeyPair::shared()?)?);
    let keys = json!({"certificate_type": "PEM", "certificate_value": pem});
    apim.silently(Operation::key_manager(RESIDENT, KeyManager::of(ISSUER, &keys)))?;
    for number in 0..apis {
        apim.silently(Operation::publish(project(number)))?;
        apim.silently(Operation::deploy(&api(number), &["Default"]))?;
    }
    for number in 0..applications {
        apim.silently(Operation::application(&application(number)))?;
        apim.silently(Operation::keys(&application(number), &format!("app{number}-key"), RESIDENT))?;
    }
    for number in 0..subscriptions {
        let subscriber = number.checked_rem(applications).unwrap_or_default();
        // Every application has others, and the first has the first, the middle and the last.
        let turn = number.checked_div(applications).unwrap_or_default();
        let subscribed = number.wrapping_add(turn.wrapping_mul(391)).checked_rem(apis).unwrap_or_default();
        apim.silently(Operation::subscribe(&application(subscriber), &api(subscribed)))?;
    }
    for number in [0, apis / 2, apis.saturating_sub(1)] {
        apim.silently(Operation::subscribe(&application(0), &api(number)))?;
    }
    Ok(())
}

fn project(number: u32) -> ApiProject {
    // A backend that is not there: what is measured is the gateway.
    let project = ApiProject::new(&format!("Api{number}x"), "1.0.0", &format!("/api{number}"));
    project.production("http://127.0.0.1:9/base").secured("GET", "/r/{id}").secured("POST", "/r")
}

fn api(number: u32) -> String {
    format!("Api{number}x:1.0.0")
}

fn application(number: u32) -> String {
    format!("app{number}")
}

fn configuration(apim: &ApiManager, broker: &RabbitMq) -> String {
    format!(
        "\n[controlPlane]\nenabled = true\nserviceURL = '{}'\nusername = 'admin'\npassword = 'admin'\n\
         skipSSLVerification = true\n[controlPlane.brokerConnectionParameters]\n\
         eventListeningEndpoints = [\"{}?retries='3'&connectdelay='1'\"]\n\
         \n[tollgate.controlPlane]\nreconcileInterval = 20\n",
        apim.url(),
        broker.url()
    )
}

/// Whether that application may call that API: the request reaches the backend, which is not there.
async fn passes(gateway: &Gateway, api: u32, consumer_key: &str) -> Result<()> {
    let claims = Claims::of(ISSUER).with("azp", consumer_key).without("keytype");
    let token = KeyPair::shared()?.sign(Algorithm::RS256, &claims);
    let answer = gateway.get(&format!("/api{api}/1.0.0/r/1"), Some(&token)).await?;
    ensure!(answer.status.as_u16() == 503, "API {api} answers {} {}", answer.status, answer.body);
    Ok(())
}

/// A new subscriber, while lists are read again and again: how long until the gateway knows.
async fn change(gateway: &Gateway, apim: &ApiManager, round: u32, apis: u32) -> Result<Duration> {
    let name = format!("late{round}");
    let number = round.wrapping_mul(97).checked_rem(apis).unwrap_or_default();
    apim.perform(Operation::application(&name))?;
    apim.perform(Operation::keys(&name, &format!("{name}-key"), RESIDENT))?;
    let started = Instant::now();
    apim.perform(Operation::subscribe(&name, &api(number)))?;
    within(PATIENCE, "the subscription counts", async || passes(gateway, number, &format!("{name}-key")).await).await?;
    Ok(started.elapsed())
}

/// What the adapter takes.
async fn memory(gateway: &Gateway) -> Result<u64> {
    let url = format!("http://127.0.0.1:{}/metrics", gateway.ports.admin);
    let page = Answer::of(gateway.client().get(url)).await?.body;
    let line = page.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    line.context("the adapter does not tell its memory")?.parse().context("the memory of the adapter")
}
