//! What one Envoy has asked for, been sent, taken and refused, on one stream (state of the world, all types on it).
//!
//! Pure: requests and versions in, decisions out. The rules that matter: a response is due when the names changed or the
//! version did, never because of a refusal, so that a bad version is not sent in a loop; a request with an old nonce says
//! nothing about the last response, but its names count; nothing waits for an answer of another type.

use std::collections::{BTreeMap, BTreeSet};

use super::kind::ResourceType;

/// Most names a subscription may have.
pub const MAX_NAMES: usize = 10_000;

/// The state of a stream.
#[derive(Debug, Default)]
pub struct Session {
    subscriptions: BTreeMap<ResourceType, Subscription>,
    nonces: u64,
}

#[derive(Debug, Default)]
struct Subscription {
    /// Empty means all.
    names: BTreeSet<String>,
    /// The names are not those the last response was made for.
    renewed: bool,
    sent: Option<Sent>,
}

#[derive(Debug)]
struct Sent {
    version: String,
    nonce: String,
    answered: bool,
}

/// The parts of a discovery request that matter here.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// Which type.
    pub kind: ResourceType,
    /// Names asked for; none, or `*`, means all.
    pub names: &'r [String],
    /// Version in use, empty when there is none.
    pub version: &'r str,
    /// Nonce of the response it answers, empty in the first request.
    pub nonce: &'r str,
    /// Why the response was refused, if it was.
    pub error: Option<&'r str>,
}

/// What a request meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// The first request for the type, from an Envoy that uses these versions already.
    Subscribed {
        /// Versions in use.
        in_use: Vec<String>,
    },
    /// The last response was taken.
    Acknowledged {
        /// Its version.
        version: String,
    },
    /// The last response was refused; the version before it stays in use.
    Rejected {
        /// Its version.
        version: String,
        /// Envoy's text.
        error: String,
    },
    /// It says nothing about the last response.
    Stale,
    /// It asks for more names than a gateway can have.
    TooManyNames,
}

impl Session {
    /// Takes a request.
    pub fn receive(&mut self, request: Request<'_>) -> Meaning {
        if request.names.len() > MAX_NAMES {
            return Meaning::TooManyNames;
        }
        let first = !self.subscriptions.contains_key(&request.kind);
        let subscription = self.subscriptions.entry(request.kind).or_default();
        let names: BTreeSet<String> = request.names.iter().filter(|name| *name != "*").cloned().collect();
        if first || subscription.names != names {
            subscription.names = names;
            subscription.renewed = true;
        }
        if first {
            let in_use = Some(request.version).filter(|version| !version.is_empty());
            return Meaning::Subscribed { in_use: in_use.map(str::to_owned).into_iter().collect() };
        }
        match subscription.sent.as_mut().filter(|sent| sent.nonce == request.nonce && !sent.answered) {
            None => Meaning::Stale,
            Some(sent) => {
                sent.answered = true;
                let version = sent.version.clone();
                match request.error {
                    None => Meaning::Acknowledged { version },
                    Some(error) => Meaning::Rejected { version, error: error.to_owned() },
                }
            }
        }
    }

    /// Whether a response with this version is to be sent.
    #[must_use]
    pub fn is_due(&self, kind: ResourceType, version: &str) -> bool {
        self.subscriptions.get(&kind).is_some_and(|subscription| {
            subscription.renewed || subscription.sent.as_ref().is_none_or(|sent| sent.version != version)
        })
    }

    /// Whether the last response of the type was answered, if there was one.
    #[must_use]
    pub fn is_answered(&self, kind: ResourceType) -> bool {
        let sent = self.subscriptions.get(&kind).and_then(|subscription| subscription.sent.as_ref());
        sent.is_none_or(|sent| sent.answered)
    }

    /// Whether the Envoy asked for this resource.
    #[must_use]
    pub fn wants(&self, kind: ResourceType, name: &str) -> bool {
        self.subscriptions
            .get(&kind)
            .is_some_and(|subscription| subscription.names.is_empty() || subscription.names.contains(name))
    }

    /// Notes that a response is sent, and gives its nonce.
    pub fn send(&mut self, kind: ResourceType, version: &str) -> String {
        self.nonces = self.nonces.wrapping_add(1);
        let nonce = self.nonces.to_string();
        if let Some(subscription) = self.subscriptions.get_mut(&kind) {
            subscription.renewed = false;
            subscription.sent = Some(Sent { version: version.to_owned(), nonce: nonce.clone(), answered: false });
        }
        nonce
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens on a stream, and what must come of it.
    enum Step<'s> {
        /// The Envoy asks: names, version in use, nonce, error; and what that means.
        Ask(&'s [&'s str], &'s str, &'s str, Option<&'s str>, Meaning),
        /// The adapter has this version; whether it is sent.
        Have(&'s str, bool),
    }
    use Step::{Ask, Have};

    fn subscribed(in_use: &str) -> Meaning {
        let in_use = Some(in_use.to_owned()).filter(|version| !version.is_empty());
        Meaning::Subscribed { in_use: in_use.into_iter().collect() }
    }

    fn taken(version: &str) -> Meaning {
        Meaning::Acknowledged { version: version.to_owned() }
    }

    fn refused(version: &str, error: &str) -> Meaning {
        Meaning::Rejected { version: version.to_owned(), error: error.to_owned() }
    }

    fn check(case: &str, steps: &[Step<'_>]) {
        let kind = ResourceType::Route;
        let mut session = Session::default();
        for (number, step) in steps.iter().enumerate() {
            match step {
                Ask(names, version, nonce, error, expected) => {
                    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
                    let request = Request { kind, names: &names, version, nonce, error: *error };
                    assert_eq!(session.receive(request), *expected, "{case}, step {number}");
                }
                Have(version, sent) => {
                    assert_eq!(session.is_due(kind, version), *sent, "{case}, step {number}");
                    if *sent {
                        session.send(kind, version);
                    }
                }
            }
        }
    }

    #[test]
    fn versions() {
        check("nothing is sent unasked", &[Have("v1", false)]);
        check(
            "each version once",
            &[
                Ask(&["default"], "", "", None, subscribed("")),
                Have("v1", true),
                Have("v1", false),
                Ask(&["default"], "v1", "1", None, taken("v1")),
                Have("v1", false),
                Have("v2", true),
                Ask(&["default"], "v2", "2", None, taken("v2")),
            ],
        );
        check(
            "a refused version is not sent again, the next one is",
            &[
                Ask(&["default"], "", "", None, subscribed("")),
                Have("v1", true),
                Ask(&["default"], "", "1", Some("bad"), refused("v1", "bad")),
                Have("v1", false),
                Have("v2", true),
                Ask(&["default"], "v2", "2", None, taken("v2")),
            ],
        );
        check(
            "an old nonce says nothing",
            &[
                Ask(&["default"], "", "", None, subscribed("")),
                Have("v1", true),
                Have("v2", true),
                Ask(&["default"], "v1", "1", None, Meaning::Stale),
                Ask(&["default"], "", "1", Some("bad"), Meaning::Stale),
                Ask(&["default"], "v2", "2", None, taken("v2")),
                Ask(&["default"], "v2", "2", None, Meaning::Stale),
            ],
        );
    }

    #[test]
    fn names() {
        check(
            "new names are answered, with whatever nonce they come",
            &[
                Ask(&["a"], "", "", None, subscribed("")),
                Have("v1", true),
                Ask(&["a"], "v1", "1", None, taken("v1")),
                Ask(&["a", "b"], "v1", "1", None, Meaning::Stale),
                Have("v1", true),
                Ask(&["a"], "v1", "1", None, Meaning::Stale),
                Have("v1", true),
                Have("v1", false),
            ],
        );
        check(
            "one that comes back is answered although it has the version",
            &[
                Ask(&["default"], "v1", "", None, subscribed("v1")),
                Have("v1", true),
                Ask(&["default"], "v1", "1", None, taken("v1")),
            ],
        );
        check(
            "no names and a star are the same",
            &[
                Ask(&[], "", "", None, subscribed("")),
                Have("v1", true),
                Ask(&["*"], "v1", "1", None, taken("v1")),
                Have("v1", false),
            ],
        );
    }

    #[test]
    fn types_do_not_wait_for_each_other() {
        let mut session = Session::default();
        for kind in ResourceType::ALL {
            let request = Request { kind, names: &[], version: "", nonce: "", error: None };
            session.receive(request);
            session.send(kind, "v1");
        }
        assert!(ResourceType::ALL.into_iter().all(|kind| session.is_due(kind, "v2") && !session.is_due(kind, "v1")));
    }

    #[test]
    fn only_what_was_asked_for_is_wanted() {
        let mut session = Session::default();
        let (route, cluster) = (ResourceType::Route, ResourceType::Cluster);
        session.receive(Request { kind: route, names: &["default".to_owned()], version: "", nonce: "", error: None });
        session.receive(Request { kind: cluster, names: &[], version: "", nonce: "", error: None });
        assert!(session.wants(route, "default") && !session.wants(route, "other"));
        assert!(session.wants(cluster, "any") && !session.wants(ResourceType::Listener, "any"));
    }

    #[test]
    fn names_are_bounded() {
        let mut session = Session::default();
        let names = vec!["a".to_owned(); MAX_NAMES + 1];
        let request = Request { kind: ResourceType::Route, names: &names, version: "", nonce: "", error: None };
        assert_eq!(session.receive(request), Meaning::TooManyNames);
        assert!(!session.is_due(ResourceType::Route, "v1"));
    }
}
