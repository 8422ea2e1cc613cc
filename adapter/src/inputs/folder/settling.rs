//! Which projects have come to rest. A project that somebody is still copying is left as it was until nothing has changed
//! in it for [`SETTLE`]; the same goes for one that is being removed or replaced. Pure: it is told what there is and when.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::scan::{Found, Stamp};

/// How long nothing may change in a project before it is taken.
pub const SETTLE: Duration = Duration::from_millis(500);

/// What came to rest so far, and what has not.
#[derive(Debug, Default)]
pub struct Settling {
    settled: BTreeMap<String, Found>,
    /// Changed projects (none: gone), and since when they have been like this.
    moving: BTreeMap<String, (Option<Stamp>, Instant)>,
}

impl Settling {
    /// Takes a look. `wall` is the time of day in nanoseconds since 1970. Says whether something is still moving.
    pub fn look(&mut self, now: Instant, wall: i128, found: BTreeMap<String, Found>) -> bool {
        let gone = self.settled.keys().filter(|name| !found.contains_key(*name));
        for name in gone.cloned().collect::<Vec<_>>() {
            if self.rested(&name, None, now) {
                self.settled.remove(&name);
                self.moving.remove(&name);
            }
        }
        self.moving.retain(|name, _| found.contains_key(name) || self.settled.contains_key(name));
        for (name, project) in found {
            if self.settled.get(&name) == Some(&project) {
                self.moving.remove(&name);
            } else if is_old(project.stamp, wall) || self.rested(&name, Some(project.stamp), now) {
                self.moving.remove(&name);
                self.settled.insert(name, project);
            }
        }
        !self.moving.is_empty()
    }

    /// All projects as they were when they last rested.
    #[must_use]
    pub const fn settled(&self) -> &BTreeMap<String, Found> {
        &self.settled
    }

    fn rested(&mut self, name: &str, stamp: Option<Stamp>, now: Instant) -> bool {
        match self.moving.get(name) {
            Some((last, since)) if *last == stamp => now.saturating_duration_since(*since) >= SETTLE,
            _ => {
                self.moving.insert(name.to_owned(), (stamp, now));
                false
            }
        }
    }
}

/// Nothing has changed for a while already. A time that is still to come says nothing.
fn is_old(stamp: Stamp, wall: i128) -> bool {
    let settle = i128::try_from(SETTLE.as_nanos()).unwrap_or(i128::MAX);
    wall.saturating_sub(stamp.newest) >= settle
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::scan::{Rule, scan};
    use super::*;

    /// Looks at a real folder at made-up times.
    struct Bench {
        folder: tempfile::TempDir,
        settling: Settling,
        start: Instant,
        wall: i128,
    }

    impl Bench {
        fn new() -> Self {
            let wall = 0;
            Self { folder: tempfile::tempdir().unwrap(), settling: Settling::default(), start: Instant::now(), wall }
        }

        fn look(&mut self, after_ms: u64) -> (bool, Vec<String>) {
            let found = scan(self.folder.path(), Rule::Everything).unwrap();
            let moving = self.settling.look(self.start + Duration::from_millis(after_ms), self.wall, found);
            (moving, self.settling.settled().keys().cloned().collect())
        }

        fn write(&self, file: &str, text: &str) {
            let path = self.folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn a_project_is_taken_when_nothing_has_changed_for_a_while() {
        let mut bench = Bench::new();
        bench.write("a/api.yaml", "1");
        assert_eq!(bench.look(0), (true, vec![]));
        bench.write("a/Definitions/swagger.yaml", "1");
        assert_eq!(bench.look(400), (true, vec![]));
        assert_eq!(bench.look(800), (true, vec![]), "the wait began anew");
        assert_eq!(bench.look(900), (false, vec!["a".to_owned()]));
    }

    #[test]
    fn one_that_keeps_changing_holds_nobody_up_and_stays_as_it_was() {
        let mut bench = Bench::new();
        bench.write("a/api.yaml", "1");
        bench.look(0);
        bench.look(500);
        let first = bench.settling.settled()["a"].clone();
        bench.write("b/api.yaml", "1");
        for step in 0..4 {
            bench.write("a/api.yaml", &"x".repeat(step + 2));
            bench.look(1000 + 250 * u64::try_from(step).unwrap());
        }
        assert_eq!(bench.settling.settled().keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(bench.settling.settled()["a"], first);
    }

    #[test]
    fn one_that_is_replaced_is_never_seen_missing() {
        let mut bench = Bench::new();
        bench.write("a/api.yaml", "1");
        bench.look(0);
        bench.look(500);
        fs::remove_dir_all(bench.folder.path().join("a")).unwrap();
        assert_eq!(bench.look(1000), (true, vec!["a".to_owned()]));
        bench.write("a/api.yaml", "2");
        assert_eq!(bench.look(1300), (true, vec!["a".to_owned()]));
        assert_eq!(bench.look(1800), (false, vec!["a".to_owned()]));
        fs::remove_dir_all(bench.folder.path().join("a")).unwrap();
        assert_eq!(bench.look(2000), (true, vec!["a".to_owned()]));
        assert_eq!(bench.look(2500), (false, vec![]));
    }

    #[test]
    fn what_was_there_long_before_is_taken_at_once() {
        let mut bench = Bench::new();
        bench.write("a/api.yaml", "1");
        bench.wall = i128::MAX / 2;
        assert_eq!(bench.look(0), (false, vec!["a".to_owned()]));
    }
}
