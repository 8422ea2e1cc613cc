//! `soak [minutes]`: traffic under 1,000 changes in 30 minutes, revocations and all kinds of tokens; every answer is checked. Fails at the first wrong
//! answer, when a VM fails, and when memory grows.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use tollgate_tests::soak::{Churn, soak};

/// 1,000 changes in 30 minutes.
const CHANGES: Churn = Churn { bursts: 50, pushes: 20 };
const USUAL_MINUTES: u32 = 30;

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
    let minutes: u32 = match std::env::args().nth(1) {
        None => USUAL_MINUTES,
        Some(text) => {
            text.parse().with_context(|| format!("'{text}' is no number of minutes; usage: soak [minutes]"))?
        }
    };
    let duration = Duration::from_secs(60).saturating_mul(minutes.max(1));
    let bursts = (CHANGES.bursts.saturating_mul(minutes) / USUAL_MINUTES).max(2);
    eprintln!("soaking for {minutes} minutes");
    let account = soak(duration, Churn { bursts, ..CHANGES }).await?;
    println!("no wrong answer: {account:?}");
    Ok(())
}
