//! Steady traffic in the background, and an account of what did not pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result};
use reqwest::StatusCode;
use tokio::task::JoinSet;

use crate::http::Answer;

/// Requests in a loop, on several connections at once.
#[derive(Debug)]
pub struct Traffic {
    stopping: Arc<AtomicBool>,
    passed: Arc<AtomicUsize>,
    lanes: JoinSet<Vec<String>>,
}

/// What became of the traffic.
#[derive(Debug)]
pub struct Account {
    /// Requests answered 200.
    pub passed: usize,
    /// Everything else, in words.
    pub failures: Vec<String>,
}

impl Traffic {
    /// Starts `lanes` loops, each on one connection that it keeps, and each sending `request` over and over.
    ///
    /// # Errors
    /// When a client cannot be made.
    pub fn start<R>(lanes: usize, request: R) -> Result<Self>
    where
        R: Fn(&reqwest::Client) -> reqwest::RequestBuilder + Clone + Send + Sync + 'static,
    {
        let (stopping, passed) = (Arc::default(), Arc::default());
        let mut running = JoinSet::new();
        for _ in 0..lanes {
            let client = crate::http::client(1)?;
            running.spawn(lane(client, request.clone(), Arc::clone(&stopping), Arc::clone(&passed)));
        }
        Ok(Self { stopping, passed, lanes: running })
    }

    /// How many requests have passed so far.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.passed.load(Ordering::Relaxed)
    }

    /// Waits until another `count` requests have passed.
    ///
    /// # Errors
    /// When they do not.
    pub async fn flows(&self, count: usize) -> Result<()> {
        let goal = self.passed().saturating_add(count);
        crate::eventually("traffic flows", async || {
            anyhow::ensure!(self.passed() >= goal, "{} of {goal} requests passed", self.passed());
            Ok(())
        })
        .await
    }

    /// Stops after the requests under way.
    ///
    /// # Errors
    /// When a loop died.
    pub async fn stop(mut self) -> Result<Account> {
        self.stopping.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        while let Some(lane) = self.lanes.join_next().await {
            failures.extend(lane.context("a lane of traffic")?);
        }
        Ok(Account { passed: self.passed(), failures })
    }
}

async fn lane<R>(
    client: reqwest::Client,
    request: R,
    stopping: Arc<AtomicBool>,
    passed: Arc<AtomicUsize>,
) -> Vec<String>
where
    R: Fn(&reqwest::Client) -> reqwest::RequestBuilder,
{
    let mut failures = Vec::new();
    while !stopping.load(Ordering::Relaxed) {
        match Answer::of(request(&client)).await {
            Ok(answer) if answer.status == StatusCode::OK => {
                passed.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) => failures.push(format!("{} {}", answer.status, answer.body)),
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    failures
}
