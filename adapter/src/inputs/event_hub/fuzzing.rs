//! Entry points of the fuzz targets: what API Manager and its broker may send, through every decoder of it. Each asserts what must
//! hold for any input; a panic is a finding.
#![allow(clippy::panic, reason = "a failed assertion is how a fuzzer reports")]

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::artifact::{self, Artifact};
use super::events::{Ears, TOPICS};
use super::fact::{Fact, Id, Resource};
use super::lists;
use super::mirror::{Applied, Change, Mirror, Stamp};
use super::{store, tables};
use crate::model::World;

/// Longest text about something that is wrong: what is shown must not be as long as what came.
const MAX_SHOWN: usize = 1000;
const ENVIRONMENT: &str = "Default";

/// A message on every topic: as it came, and as what is packed into the envelope of one. Then the first line is the kind of event
/// or the name of the key manager, and the rest what is said.
pub fn message(data: &[u8]) {
    for topic in TOPICS {
        hear(topic, data);
    }
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let kind = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let said = STANDARD.encode(lines.next().unwrap_or_default());
    let event = json!({"eventType": kind, "timeStamp": 1.5e12, "event": said});
    hear("notification", &enveloped(&event));
    let key_manager = json!({"name": kind, "action": "add", "enabled": true, "value": said});
    hear("keymanager", &enveloped(&key_manager));
}

fn enveloped(payload: &Value) -> Vec<u8> {
    json!({"event": {"payloadData": payload}}).to_string().into_bytes()
}

fn ears() -> Ears {
    Ears {
        tenant: Some("carbon.super".to_owned()),
        environments: vec![ENVIRONMENT.to_owned()],
        numbers: [(7, "seven".to_owned())].into(),
        shared: false,
    }
}

fn hear(topic: &str, body: &[u8]) {
    let heard = ears().read(topic, body);
    assert_eq!(heard, ears().read(topic, body), "the same again");
    let heard = match heard {
        Ok(heard) => heard,
        Err(error) => return is_fit_to_be_shown(&error.to_string()),
    };
    let (mut mirror, mut world) = (Mirror::default(), World::default());
    for change in heard.changes {
        if let Change::Put { id, fact, stamp, .. } = &change {
            is_kept(id, fact, *stamp);
        }
        let applied = mirror.hear(change.clone(), Duration::ZERO);
        is_served(&mut world, &applied);
        let again = mirror.hear(change, Duration::ZERO);
        assert!(again.changed.is_empty(), "the same again");
    }
}

/// The answer to a question for any of the lists.
pub fn list(data: &[u8]) {
    let Ok(answer) = serde_json::from_slice::<Value>(data) else { return };
    for resource in Resource::ALL {
        let list = match lists::read(resource, &answer, &ears().numbers, true) {
            Ok(list) => list,
            Err(error) => {
                is_fit_to_be_shown(&error.to_string());
                continue;
            }
        };
        assert!(list.refused.len() <= list.refusals);
        list.refused.iter().for_each(|refused| is_fit_to_be_shown(refused));
        for (key, (fact, stamp)) in &list.facts {
            is_kept(&Id::new(resource, key), fact, *stamp);
        }
        let (mut mirror, mut world) = (Mirror::default(), World::default());
        let count = list.facts.len();
        is_served(&mut world, &mirror.pull(resource, list.facts.clone(), Duration::ZERO));
        assert_eq!(mirror.count(resource), count);
        let again = mirror.pull(resource, list.facts, Duration::ZERO);
        assert!(again.changed.is_empty(), "the same again");
    }
}

/// The archive of what is deployed.
pub fn archive(data: &[u8]) {
    let environments = [ENVIRONMENT.to_owned()];
    let items = match artifact::read(data, &environments) {
        Ok(items) => items,
        Err(error) => return is_fit_to_be_shown(&error.to_string()),
    };
    for item in items {
        let artifact = item.artifact;
        assert!(!artifact.uuid.is_empty(), "an API has a name");
        assert!(artifact.environments.keys().all(|name| environments.contains(name)), "others are of no concern");
        assert!(artifact.endpoints.keys().all(|name| artifact.environments.contains_key(name)));
        let kept = serde_json::to_vec(&artifact).ok();
        let read = kept.and_then(|kept| serde_json::from_slice::<Artifact>(&kept).ok());
        assert_eq!(read.as_ref(), Some(&artifact), "what is kept is what was read");
        if let Err(error) = item.project {
            is_fit_to_be_shown(&error);
        }
    }
}

/// What is kept on the disk is what was read.
fn is_kept(id: &Id, fact: &Fact, stamp: Stamp) {
    assert_eq!(store::id(&store::text(id)).as_ref(), Some(id));
    let kept = serde_json::to_vec(&(stamp, fact)).ok();
    let read = kept.and_then(|kept| serde_json::from_slice::<(Stamp, Fact)>(&kept).ok());
    assert_eq!(read.as_ref().map(|(stamp, fact)| (*stamp, fact)), Some((stamp, fact)));
}

/// What comes into the tables goes out of them again.
fn is_served(world: &mut World, applied: &Applied) {
    let before = sizes(world);
    tables::show(world, &applied.changed);
    let own = |id: &&Id| !matches!(id.resource, Resource::Apis) && !id.resource.name().ends_with("Policies");
    let (came, expected) = (sizes(world), applied.changed.keys().filter(own).count());
    let came = came.iter().zip(before).enumerate().filter(|(at, _)| *at != TIERS);
    let came: usize = came.map(|(_, (now, before))| now.saturating_sub(before)).sum();
    assert_eq!(came, expected, "nothing takes the place of something else");
    let gone: BTreeMap<Id, Option<Fact>> = applied.changed.keys().map(|id| (id.clone(), None)).collect();
    tables::show(world, &gone);
    assert_eq!(sizes(world), before);
}

/// Where [`sizes`] counts plans. Those that API Manager ships are there from the start.
const TIERS: usize = 3;

fn sizes(world: &World) -> [usize; 8] {
    let all = &world.subscribers;
    [
        all.applications.len(),
        all.credentials.len(),
        all.subscriptions.len(),
        all.tiers.len(),
        all.revoked.len(),
        world.throttle.deny.len(),
        world.throttle.custom.len(),
        world.key_managers.len(),
    ]
}

fn is_fit_to_be_shown(text: &str) {
    assert!(text.len() <= MAX_SHOWN, "{} bytes are shown", text.len());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

/// What the fuzz targets begin with, and what is a little different from it, goes through them in every run of the unit tests too.
#[cfg(test)]
pub(in crate::inputs) mod seeds {
    use fastrand::Rng;

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds");

    /// Runs a target over its seeds, and so many variations of each.
    pub fn run(name: &str, variations: u32, target: impl Fn(&[u8])) {
        let mut random = Rng::with_seed(7);
        let files: Vec<_> = std::fs::read_dir(format!("{FOLDER}/{name}")).unwrap().map(Result::unwrap).collect();
        assert!(!files.is_empty());
        for file in files {
            let seed = std::fs::read(file.path()).unwrap();
            target(&seed);
            (0..variations).for_each(|_| target(&varied(&seed, &mut random)));
        }
    }

    fn varied(seed: &[u8], random: &mut Rng) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..random.u8(1..4) {
            let at = random.usize(0..=bytes.len());
            match random.u8(0..4) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, random.u8(..)),
                2 => {
                    let other = bytes.get(at).copied().unwrap_or(b'0');
                    let digits = random.choice([b'0', b'"', b'-', b'{', 0, other]).unwrap();
                    bytes.splice(
                        at.min(bytes.len().saturating_sub(1))..,
                        [digits].into_iter().chain(seed.iter().copied().skip(at + 1)),
                    );
                }
                _ => {
                    let end = random.usize(at..=bytes.len());
                    bytes.drain(at..end.min(at + 20));
                }
            }
        }
        bytes
    }

    #[test]
    fn what_api_manager_sends_goes_through_all_targets() {
        run("event_hub_message", 200, super::message);
        run("event_hub_list", 200, super::list);
        run("event_hub_archive", 2_000, super::archive);
    }
}
