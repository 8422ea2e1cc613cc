//! Whatever order pulls and events come in, what is known becomes what API Manager has.

use proptest::prelude::*;
use tollgate_model::SubscriptionState;

use super::*;

const KEYS: usize = 3;

fn id(key: usize) -> Id {
    Id::subscription("app", &format!("api{key}"))
}

fn fact(value: u8) -> Fact {
    Fact::Subscription { uuid: "u".to_owned(), state: SubscriptionState::Unblocked, tier: value.to_string() }
}

/// API Manager: the past of every thing.
#[derive(Debug, Default)]
struct Manager {
    /// Time, key and value of every change.
    history: Vec<(Moment, usize, Option<u8>)>,
    clock: Stamp,
}

impl Manager {
    fn at(&self, moment: Moment) -> BTreeMap<usize, (u8, Stamp)> {
        let mut state = BTreeMap::new();
        for ((_, key, value), stamp) in self.history.iter().filter(|(at, ..)| *at <= moment).zip(1..) {
            match value {
                Some(value) => state.insert(*key, (*value, stamp)),
                None => state.remove(key),
            };
        }
        state
    }

    fn snapshot(&self, moment: Moment) -> Snapshot {
        self.at(moment).into_iter().map(|(key, (value, stamp))| (id(key).key, (fact(value), stamp))).collect()
    }

    fn change(&mut self, now: Moment, key: usize, value: Option<u8>) -> Change {
        self.history.push((now, key, value));
        self.clock += 1;
        let stamp = self.clock;
        match value {
            Some(value) => Change::Put { id: id(key), fact: fact(value), stamp, partial: false },
            None => Change::Remove { id: id(key), incarnation: None, stamp },
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// Something changes; the event arrives so many steps later, or never.
    Change { key: usize, value: Option<u8>, delay: Option<usize> },
    /// A pull begins, reads so much earlier, and is answered so many steps later.
    Pull { lag: u64, duration: usize },
    /// Time passes, in milliseconds.
    Wait(u64),
}

fn steps(losses: bool) -> impl Strategy<Value = Vec<Step>> {
    let delay =
        if losses { prop::option::weighted(0.8, 0..6_usize).boxed() } else { (0..6_usize).prop_map(Some).boxed() };
    let change = (0..KEYS, prop::option::weighted(0.7, any::<u8>()), delay);
    let change = change.prop_map(|(key, value, delay)| Step::Change { key, value, delay });
    let pull = (0..LAG.as_millis() as u64, 0..6_usize).prop_map(|(lag, duration)| Step::Pull { lag, duration });
    let wait = (1..2_500_u64).prop_map(Step::Wait);
    prop::collection::vec(prop_oneof![3 => change, 2 => pull, 2 => wait], 1..60)
}

struct Run {
    manager: Manager,
    mirror: Mirror,
    now: Moment,
    events: Vec<(usize, Change)>,
    pulls: Vec<(usize, Moment, Snapshot)>,
    doubtful: bool,
}

impl Run {
    fn new() -> Self {
        Self {
            manager: Manager::default(),
            mirror: Mirror::default(),
            now: Duration::from_secs(3600),
            events: Vec::new(),
            pulls: Vec::new(),
            doubtful: false,
        }
    }

    fn take(&mut self, applied: Applied) {
        self.doubtful |= !applied.pull_now.is_empty() || !applied.pull_later.is_empty();
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Change { key, value, delay } => {
                let change = self.manager.change(self.now, *key, *value);
                self.events.extend(delay.map(|delay| (delay, change)));
            }
            Step::Pull { lag, duration } => {
                let read = self.now.saturating_sub(Duration::from_millis(*lag));
                self.pulls.push((*duration, self.now, self.manager.snapshot(read)));
            }
            Step::Wait(time) => self.now += Duration::from_millis(*time),
        }
        self.arrive();
    }

    /// Whatever is due arrives, and everything else is one step nearer.
    fn arrive(&mut self) {
        for (delay, change) in std::mem::take(&mut self.events) {
            match delay.checked_sub(1) {
                Some(delay) => self.events.push((delay, change)),
                None => {
                    let applied = self.mirror.hear(change, self.now);
                    self.take(applied);
                }
            }
        }
        for (delay, began, snapshot) in std::mem::take(&mut self.pulls) {
            match delay.checked_sub(1) {
                Some(delay) => self.pulls.push((delay, began, snapshot)),
                None => {
                    let applied = self.mirror.pull(Resource::Subscriptions, snapshot, began);
                    self.take(applied);
                }
            }
        }
    }

    /// Everything arrives, and lists in doubt are pulled for as long as they are in doubt.
    fn settle(&mut self) {
        while !self.events.is_empty() || !self.pulls.is_empty() {
            self.arrive();
        }
        for _ in 0..3 {
            if std::mem::take(&mut self.doubtful) {
                self.now += LAG;
                let read = self.manager.snapshot(self.now.saturating_sub(LAG));
                let applied = self.mirror.pull(Resource::Subscriptions, read, self.now);
                self.take(applied);
            }
        }
        assert!(!self.doubtful, "doubts end");
    }

    fn known(&self) -> BTreeMap<String, Fact> {
        self.mirror.list(Resource::Subscriptions).map(|(key, fact)| (key.to_owned(), fact.clone())).collect()
    }

    fn truth(&self) -> BTreeMap<String, Fact> {
        self.manager.snapshot(self.now).into_iter().map(|(key, (fact, _))| (key, fact)).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// No event is lost: then doubts alone lead to the truth, without any pull that is only there to be sure.
    #[test]
    fn any_interleaving_of_events_and_pulls_converges(steps in steps(false)) {
        let mut run = Run::new();
        steps.iter().for_each(|step| run.step(step));
        run.settle();
        prop_assert_eq!(run.known(), run.truth());
    }

    /// Events are lost: the next pull makes it good.
    #[test]
    fn a_pull_makes_lost_events_good(steps in steps(true)) {
        let mut run = Run::new();
        steps.iter().for_each(|step| run.step(step));
        run.settle();
        run.now += LAG;
        let list = run.manager.snapshot(run.now);
        let applied = run.mirror.pull(Resource::Subscriptions, list, run.now);
        prop_assert!(applied.pull_now.is_empty() && applied.pull_later.is_empty());
        prop_assert_eq!(run.known(), run.truth());
    }
}

fn put(key: usize, value: u8, stamp: Stamp) -> Change {
    Change::Put { id: id(key), fact: fact(value), stamp, partial: false }
}

#[test]
fn an_old_event_brings_nothing_back() {
    let second = Duration::from_secs;
    let mut mirror = Mirror::default();
    mirror.hear(put(0, 1, 10), second(1));
    let gone = mirror.hear(Change::Remove { id: id(0), incarnation: None, stamp: 20 }, second(2));
    assert_eq!(gone.changed, BTreeMap::from([(id(0), None)]));
    mirror.pull(Resource::Subscriptions, Snapshot::new(), second(100));
    let late = mirror.hear(put(0, 1, 15), second(101));
    assert!(late.changed.is_empty() && late.pull_now.contains(&Resource::Subscriptions));
    // One that a pull took away is remembered as well.
    mirror.pull(Resource::Subscriptions, Snapshot::from([(id(1).key, (fact(1), 30))]), second(102));
    mirror.pull(Resource::Subscriptions, Snapshot::new(), second(103));
    assert!(mirror.hear(put(1, 1, 30), second(104)).changed.is_empty());
    assert_eq!(mirror.hear(put(1, 2, 31), second(104)).changed.len(), 1);
}

#[test]
fn another_incarnation_is_not_what_was_removed() {
    let mut mirror = Mirror::default();
    mirror.hear(put(0, 1, 0), Duration::ZERO);
    let remove = |uuid: &str| Change::Remove { id: id(0), incarnation: Some(uuid.to_owned()), stamp: 0 };
    let other = mirror.hear(remove("former"), Duration::ZERO);
    assert!(other.changed.is_empty() && other.pull_now.contains(&Resource::Subscriptions));
    assert_eq!(mirror.hear(remove("u"), Duration::ZERO).changed.len(), 1);
}

#[test]
fn what_an_application_had_goes_with_it() {
    let mut mirror = Mirror::default();
    let application = |uuid: &str| {
        let model = tollgate_model::Application { uuid: uuid.to_owned(), ..Default::default() };
        Change::Put {
            id: Id::new(Resource::Applications, uuid),
            fact: Fact::Application(model),
            stamp: 0,
            partial: false,
        }
    };
    let key = |application: &str| {
        let fact = Fact::Credential { application: application.to_owned(), key_type: tollgate_model::KeyType::Sandbox };
        Change::Put { id: Id::credential("KM", &format!("of {application}")), fact, stamp: 0, partial: false }
    };
    for change in [application("app"), application("apple"), key("app"), key("apple"), put(0, 1, 0)] {
        mirror.hear(change, Duration::ZERO);
    }
    let gone = Change::Remove { id: Id::new(Resource::Applications, "app"), incarnation: None, stamp: 0 };
    let applied = mirror.hear(gone, Duration::ZERO);
    let removed: Vec<Id> = applied.changed.into_keys().collect();
    let expected = [Id::new(Resource::Applications, "app"), Id::credential("KM", "of app"), id(0)];
    assert_eq!(removed, expected);
    assert_eq!(mirror.count(Resource::ApplicationKeys), 1);
}

#[test]
fn revoked_tokens_stay_until_they_expire() {
    let mut mirror = Mirror::default();
    let revoked = |jti: &str, expires| {
        let fact = Fact::Revoked(expires);
        Change::Put { id: Id::new(Resource::RevokedTokens, jti), fact, stamp: 0, partial: false }
    };
    mirror.hear(revoked("a", 10), Duration::ZERO);
    mirror.hear(revoked("b", 20), Duration::ZERO);
    assert!(mirror.pull(Resource::RevokedTokens, Snapshot::new(), Duration::from_secs(60)).changed.is_empty());
    assert_eq!(mirror.forget_expired(15), [Id::new(Resource::RevokedTokens, "a")]);
    assert_eq!(mirror.count(Resource::RevokedTokens), 1);
}

#[test]
fn what_an_event_leaves_out_stays() {
    let mut mirror = Mirror::default();
    let application = |name: &str, attributes: &[(&str, &str)], partial| {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (uuid, name) = ("app".to_owned(), name.to_owned());
        let model = tollgate_model::Application { uuid, name, attributes, ..Default::default() };
        Change::Put { id: Id::new(Resource::Applications, "app"), fact: Fact::Application(model), stamp: 0, partial }
    };
    mirror.hear(application("A", &[("region", "eu")], false), Duration::ZERO);
    mirror.hear(application("B", &[], true), Duration::ZERO);
    let Some(Fact::Application(found)) = mirror.get(&Id::new(Resource::Applications, "app")) else { panic!("gone") };
    assert_eq!((found.name.as_str(), found.attributes.len()), ("B", 1));
}
