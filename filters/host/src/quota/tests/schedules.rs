//! Any schedule of requests, ticks, crashes, lost and late messages, an owner that goes away and comes back, and clocks that
//! are set: no window sees more than its limit.

use std::collections::HashMap;

use super::*;

/// Processes of two workers each.
const PROCESSES: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Request {
        process: usize,
        worker: usize,
    },
    Tick {
        process: usize,
        worker: usize,
    },
    /// What a tick asks for, which arrives and is answered later, or never.
    Send {
        process: usize,
        worker: usize,
    },
    Arrive {
        message: usize,
    },
    Answer {
        message: usize,
    },
    Lose {
        message: usize,
    },
    Crash {
        process: usize,
    },
    Wait {
        ms: u64,
    },
    /// Close to the next edge of a window.
    WaitForEdge {
        before_ms: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let place = (0..PROCESSES, 0_usize..2);
    prop_oneof![
        20 => place.clone().prop_map(|(process, worker)| Step::Request { process, worker }),
        5 => place.clone().prop_map(|(process, worker)| Step::Tick { process, worker }),
        5 => place.prop_map(|(process, worker)| Step::Send { process, worker }),
        4 => (0_usize..8).prop_map(|message| Step::Arrive { message }),
        4 => (0_usize..8).prop_map(|message| Step::Answer { message }),
        1 => (0_usize..8).prop_map(|message| Step::Lose { message }),
        1 => (0..PROCESSES).prop_map(|process| Step::Crash { process }),
        3 => (1_u64..900).prop_map(|ms| Step::Wait { ms }),
        1 => (0_u64..400).prop_map(|before_ms| Step::WaitForEdge { before_ms }),
    ]
}

/// A question on its way, and its answer on the way back.
struct Message {
    process: usize,
    worker: usize,
    /// Which life of the process asked.
    life: u32,
    sent: u64,
    ask: QuotaAsk,
    grant: Option<QuotaGrant>,
}

struct World {
    processes: Vec<(Process, u32)>,
    owner: Owner,
    under_way: Vec<Message>,
    now: u64,
    passed: HashMap<u64, u64>,
}

impl World {
    fn new(limit: u64) -> Self {
        let processes = (0..PROCESSES).map(|_| (Process::new(2), 0)).collect();
        Self { processes, owner: Owner::new(limit, true), under_way: Vec::new(), now: START, passed: HashMap::new() }
    }

    fn step(&mut self, step: &Step, counter: &Counter) {
        let at = |message: usize, under_way: &[Message]| (!under_way.is_empty()).then(|| message % under_way.len());
        match *step {
            Step::Request { process, worker } => {
                if self.processes[process].0.request(worker, counter, &mut self.owner, self.now) {
                    *self.passed.entry(self.now / 60_000).or_insert(0) += 1;
                }
            }
            Step::Tick { process, worker } => self.processes[process].0.tick(worker, &mut self.owner, self.now),
            Step::Send { process, worker } => {
                let (running, life) = &self.processes[process];
                let asks = running.asks(worker, self.now);
                let (life, sent) = (*life, self.now);
                let message = |ask| Message { process, worker, life, sent, ask, grant: None };
                self.under_way.extend(asks.into_iter().map(message));
            }
            Step::Arrive { message } => {
                if let Some(message) = at(message, &self.under_way) {
                    let message = &mut self.under_way[message];
                    if message.grant.is_none() {
                        message.grant = Some(self.owner.lease(&message.ask, self.now));
                    }
                }
            }
            Step::Answer { message } => {
                let Some(message) = at(message, &self.under_way) else { return };
                let Message { process, worker, life, sent, ask, grant } = self.under_way.swap_remove(message);
                let (running, current) = &self.processes[process];
                if let Some(grant) = grant.filter(|_| life == *current) {
                    running.granted(worker, &ask, &grant, sent, self.now);
                }
            }
            Step::Lose { message } => {
                let Some(message) = at(message, &self.under_way) else { return };
                let Message { process, worker, .. } = self.under_way.swap_remove(message);
                self.processes[process].0.lost(worker, self.now);
            }
            Step::Crash { process } => self.processes[process] = (Process::new(2), self.processes[process].1 + 1),
            Step::Wait { ms } => self.now += ms,
            Step::WaitForEdge { before_ms } => {
                self.now = self.now.max((self.now / 60_000 + 1) * 60_000 - before_ms);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    /// Whatever the schedule, three processes of two workers let no more through in a window than its limit. Those that count
    /// for themselves while the owner is away are another matter: see the bound of the `local` posture.
    #[test]
    fn no_schedule_passes_the_limit(limit in 1_u64..60, steps in prop::collection::vec(step(), 1..600)) {
        let counter = standing(Posture::Deny, counter(limit));
        let mut world = World::new(limit);
        for step in &steps {
            world.step(step, &counter);
        }
        for (window, passed) in world.passed {
            prop_assert!(passed <= limit, "{passed} of {limit} in window {window}");
        }
    }

    /// One process that counts for itself whenever the owner is away passes no more than the limit either.
    #[test]
    fn a_lone_process_that_helps_itself_passes_no_more(
        limit in 1_u64..60,
        steps in prop::collection::vec(step(), 1..600),
    ) {
        let counter = counter(limit);
        let mut world = World::new(limit);
        for step in &steps {
            let alone = match step.clone() {
                Step::Request { worker, .. } => Step::Request { process: 0, worker },
                Step::Tick { worker, .. } => Step::Tick { process: 0, worker },
                Step::Send { worker, .. } => Step::Send { process: 0, worker },
                // What a process took by itself is forgotten with it.
                Step::Crash { .. } => Step::Wait { ms: 1 },
                other => other,
            };
            world.step(&alone, &counter);
        }
        for (window, passed) in world.passed {
            prop_assert!(passed <= limit, "{passed} of {limit} in window {window}");
        }
    }

    /// Processes that count for themselves whenever the owner is away pass no more than their parts on top of the limit, but
    /// for one: the bound of the `local` posture.
    #[test]
    fn processes_that_help_themselves_pass_the_limit_and_all_parts_but_one(
        limit in 1_u64..60,
        steps in prop::collection::vec(step(), 1..600),
    ) {
        let counter = counter(limit);
        let mut world = World::new(limit);
        let workers = world.processes.iter().flat_map(|(process, _)| &process.workers);
        workers.for_each(|worker| worker.set_replicas(PROCESSES as u32));
        for step in &steps {
            // What a process took by itself is forgotten with it.
            let step = if matches!(step, Step::Crash { .. }) { &Step::Wait { ms: 1 } } else { step };
            world.step(step, &counter);
        }
        let most = limit + (PROCESSES as u64 - 1) * (limit / PROCESSES as u64);
        for (window, passed) in world.passed {
            prop_assert!(passed <= most, "{passed} of {limit} in window {window}");
        }
    }
}
