//! A group of receivers that stand in for each other: batches go to one of them, in turn or to the first that works, and one that
//! does not is left alone for a while.
//!
//! Events wait in a queue of fixed length; what does not find room there is counted and lost, as nothing else may wait for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::receiver::{Receiver, ReceiverError};
use super::wire::Event;
use crate::admin::{Counters, Status};

/// How a group chooses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Choice {
    /// One after the other.
    #[default]
    LoadBalance,
    /// The first one that works.
    Failover,
}

/// What a group is made of.
pub(super) struct Plan {
    pub(super) choice: Choice,
    pub(super) queue: usize,
    pub(super) batch: usize,
    /// For so long, a receiver that failed is left alone.
    pub(super) pause: Duration,
}

/// The way into a group's queue.
#[derive(Debug, Clone)]
pub(super) struct Group {
    queue: mpsc::Sender<Event>,
    status: Arc<Status>,
}

impl Group {
    /// Starts to publish to these receivers, until `shutdown`.
    pub(super) fn start(
        plan: Plan,
        receivers: Vec<Receiver>,
        status: Arc<Status>,
        shutdown: CancellationToken,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, events) = mpsc::channel(plan.queue);
        let members = receivers.into_iter().map(|receiver| Member { receiver, down_until: None }).collect();
        let sender = Sender { plan, members, turn: 0, status: Arc::clone(&status) };
        let task = tokio::spawn(sender.run(events, shutdown));
        (Self { queue, status }, task)
    }

    /// Queues an event. Never waits.
    pub(super) fn publish(&self, event: Event) {
        if self.queue.try_send(event).is_err()
            && self.status.counters.uses_dropped.fetch_add(1, Ordering::Relaxed).is_multiple_of(10_000)
        {
            tracing::warn!("the queue towards the Traffic Manager is full, and uses are lost");
        }
    }
}

struct Member {
    receiver: Receiver,
    down_until: Option<Instant>,
}

struct Sender {
    plan: Plan,
    members: Vec<Member>,
    turn: usize,
    status: Arc<Status>,
}

impl Sender {
    async fn run(mut self, mut events: mpsc::Receiver<Event>, shutdown: CancellationToken) {
        let mut batch = Vec::with_capacity(self.plan.batch);
        loop {
            let received = tokio::select! {
                received = events.recv_many(&mut batch, self.plan.batch) => received,
                () = shutdown.cancelled() => 0,
            };
            if received == 0 {
                break;
            }
            let taken = tokio::select! {
                taken = self.deliver(&batch) => taken,
                () = shutdown.cancelled() => break,
            };
            let Counters { uses_published, uses_dropped, .. } = &self.status.counters;
            let counter = if taken { uses_published } else { uses_dropped };
            Counters::add(counter, u64::try_from(batch.len()).unwrap_or(0));
            batch.clear();
        }
        for member in &mut self.members {
            member.receiver.end().await;
        }
    }

    /// Tries one receiver after the other, and waits while none works. Says whether one took it: what all of them reject would be
    /// rejected for ever. One that is away has not rejected anything.
    async fn deliver(&mut self, batch: &[Event]) -> bool {
        loop {
            let mut rejected = 0_usize;
            for at in self.order() {
                let Some(member) = self.members.get_mut(at) else { continue };
                match member.receiver.publish(batch).await {
                    Ok(()) => {
                        if member.down_until.take().is_some() {
                            tracing::info!(receiver = %member.receiver.place.receiver, "uses are published again");
                        }
                        return true;
                    }
                    Err(error @ ReceiverError::Rejected { .. }) => {
                        let receiver = &member.receiver.place.receiver;
                        tracing::error!(%receiver, %error, uses = batch.len(), "uses are rejected");
                        rejected = rejected.saturating_add(1);
                    }
                    Err(error) => member.fail(&error, self.plan.pause),
                }
            }
            if rejected >= self.members.len() {
                return false;
            }
            // Where none rejected, all are down; where some did, another may come back that takes it.
            let next = self.members.iter().filter_map(|member| member.down_until).min();
            sleep_until(next.unwrap_or_else(Instant::now)).await;
        }
    }

    /// Whom to try, in which order.
    fn order(&mut self) -> Vec<usize> {
        let count = self.members.len();
        let first = match self.plan.choice {
            Choice::Failover => 0,
            Choice::LoadBalance => self.turn,
        };
        self.turn = self.turn.wrapping_add(1);
        let now = Instant::now();
        let is_up =
            |at: &usize| self.members.get(*at).is_some_and(|one| one.down_until.is_none_or(|until| until <= now));
        (0..count).filter_map(|step| first.wrapping_add(step).checked_rem(count)).filter(is_up).collect()
    }
}

impl Member {
    fn fail(&mut self, error: &ReceiverError, pause: Duration) {
        let receiver = &self.receiver.place.receiver;
        tracing::warn!(%receiver, %error, ?pause, "uses cannot be published");
        self.down_until = Instant::now().checked_add(pause);
    }
}
