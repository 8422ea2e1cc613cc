use envoy_types::pb::google::protobuf::Any;

use super::*;

const KIND: ResourceType = ResourceType::Cluster;

/// What happens on a stream, and what must come of it.
enum Step<'s> {
    /// The Envoy asks: names to subscribe to, to unsubscribe from, and what it has; and what that means.
    Ask(&'s [&'s str], &'s [&'s str], &'s [(&'s str, &'s str)], Meaning),
    /// The Envoy answers a nonce, maybe with an error.
    Answer(&'s str, Option<&'s str>, Meaning),
    /// The adapter has these resources (name and content); what is sent, and what is removed.
    Have(&'s [(&'s str, &'s str)], Option<(&'s [&'s str], &'s [&'s str])>),
    /// The same with names that are withheld.
    Withhold(&'s [(&'s str, &'s str)], &'s [&'s str], Option<(&'s [&'s str], &'s [&'s str])>),
}
use Step::{Answer, Ask, Have, Withhold};

fn resource(name: &str, content: &str) -> Resource {
    Resource::made_of(name.to_owned(), Any::default(), [content.as_bytes()])
}

/// The version of a content.
fn version(content: &str) -> String {
    resource("", content).version().to_owned()
}

fn set(content: &[(&str, &str)], withheld: &[&str]) -> Resources {
    let items = content.iter().map(|(name, content)| Arc::new(resource(name, content))).collect();
    Resources::without(items, withheld.iter().map(|name| (*name).to_owned()).collect())
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn subscribed(in_use: &[&str]) -> Meaning {
    Meaning::Subscribed { in_use: in_use.iter().map(|content| version(content)).collect() }
}

fn taken(content: &[(&str, &str)]) -> Meaning {
    Meaning::Acknowledged { version: set(content, &[]).version().to_owned() }
}

fn refused(content: &[(&str, &str)]) -> Meaning {
    Meaning::Rejected { version: set(content, &[]).version().to_owned(), error: "bad".to_owned() }
}

fn check(case: &str, steps: &[Step<'_>]) {
    let mut session = DeltaSession::default();
    let nothing = DeltaRequest { kind: KIND, subscribe: &[], unsubscribe: &[], initial: &[], nonce: "", error: None };
    for (number, step) in steps.iter().enumerate() {
        let (content, withheld, expected) = match step {
            Ask(subscribe, unsubscribe, held, expected) => {
                let (subscribe, unsubscribe) = (strings(subscribe), strings(unsubscribe));
                let held: Vec<_> = held.iter().map(|(name, content)| (*name, version(content))).collect();
                let initial: Vec<_> = held.iter().map(|(name, version)| (*name, version.as_str())).collect();
                let request =
                    DeltaRequest { subscribe: &subscribe, unsubscribe: &unsubscribe, initial: &initial, ..nothing };
                assert_eq!(session.receive(request), *expected, "{case}, step {number}");
                continue;
            }
            Answer(nonce, error, expected) => {
                let answer = DeltaRequest { nonce, error: *error, ..nothing };
                assert_eq!(session.receive(answer), *expected, "{case}, step {number}");
                continue;
            }
            Have(content, expected) => (content, &[][..], expected),
            Withhold(content, withheld, expected) => (content, *withheld, expected),
        };
        let resources = set(content, withheld);
        let change = if session.is_due(KIND, &resources) { session.send(KIND, &resources) } else { None };
        let found = change.map(|change| {
            let names: Vec<String> = change.resources.iter().map(|resource| resource.name().to_owned()).collect();
            (names, change.removed)
        });
        let expected = expected.map(|(sent, removed)| (strings(sent), strings(removed)));
        assert_eq!(found, expected, "{case}, step {number}");
    }
}

const A: &[(&str, &str)] = &[("a", "1")];
const AB: &[(&str, &str)] = &[("a", "1"), ("b", "1")];
const AB2: &[(&str, &str)] = &[("a", "1"), ("b", "2")];
const B2: &[(&str, &str)] = &[("b", "2")];

#[test]
fn all_resources() {
    check("nothing is sent unasked", &[Have(A, None)]);
    check(
        "only what changed is sent, and what is gone is said",
        &[
            Ask(&[], &[], &[], subscribed(&[])),
            Have(AB, Some((&["a", "b"], &[]))),
            Have(AB, None),
            Answer("1", None, taken(AB)),
            Have(AB, None),
            Have(AB2, Some((&["b"], &[]))),
            Answer("2", None, taken(AB2)),
            Have(B2, Some((&[], &["a"]))),
            Answer("3", None, taken(B2)),
            Have(A, Some((&["a"], &["b"]))),
        ],
    );
    check(
        "none is an answer too",
        &[Ask(&["*"], &[], &[], subscribed(&[])), Have(&[], Some((&[], &[]))), Have(&[], None)],
    );
    check(
        "one that comes back gets what changed while it was away",
        &[
            Ask(&[], &[], &[("a", "1"), ("b", "1"), ("c", "1")], subscribed(&["1", "1", "1"])),
            Have(AB2, Some((&["b"], &["c"]))),
        ],
    );
    check(
        "one that comes back up to date gets an empty answer",
        &[Ask(&[], &[], &[("a", "1")], subscribed(&["1"])), Have(A, Some((&[], &[]))), Answer("1", None, taken(A))],
    );
}

#[test]
fn answers() {
    check(
        "the next change waits for the answer, and then holds the newest",
        &[
            Ask(&[], &[], &[], subscribed(&[])),
            Have(A, Some((&["a"], &[]))),
            Have(AB, None),
            Answer("0", None, Meaning::Stale),
            Have(AB2, None),
            Answer("1", None, taken(A)),
            Answer("1", None, Meaning::Stale),
            Have(AB2, Some((&["b"], &[]))),
        ],
    );
    check(
        "what was refused is not sent in a loop, but with the next change",
        &[
            Ask(&[], &[], &[], subscribed(&[])),
            Have(A, Some((&["a"], &[]))),
            Answer("1", None, taken(A)),
            Have(AB, Some((&["b"], &[]))),
            Answer("2", Some("bad"), refused(AB)),
            Have(AB, None),
            Have(&[("a", "2"), ("b", "1")], Some((&["a", "b"], &[]))),
        ],
    );
    check(
        "what is withheld stays as it is, until it is gone",
        &[
            Ask(&[], &[], &[("b", "1")], subscribed(&["1"])),
            Have(AB2, Some((&["a", "b"], &[]))),
            Answer("1", Some("bad"), refused(AB2)),
            Withhold(A, &["b"], Some((&["a"], &[]))),
            Answer("2", None, Meaning::Acknowledged { version: set(A, &["b"]).version().to_owned() }),
            Have(A, Some((&[], &["b"]))),
        ],
    );
}

#[test]
fn names() {
    check(
        "every name is answered, there or not, had or not",
        &[
            Ask(&["a", "x"], &[], &[("a", "1")], subscribed(&["1"])),
            Have(AB, Some((&["a"], &["x"]))),
            Answer("1", None, taken(AB)),
            Ask(&["a", "y"], &[], &[], Meaning::Stale),
            Have(AB, Some((&["a"], &["y"]))),
        ],
    );
    check(
        "a name that comes into being later is sent",
        &[
            Ask(&["b"], &[], &[], subscribed(&[])),
            Have(A, Some((&[], &["b"]))),
            Answer("1", None, taken(A)),
            Have(AB, Some((&["b"], &[]))),
        ],
    );
    check(
        "what is unsubscribed is not sent, and is sent when it is wanted again",
        &[
            Ask(&["a", "b"], &[], &[], subscribed(&[])),
            Have(AB, Some((&["a", "b"], &[]))),
            Answer("1", None, taken(AB)),
            Ask(&[], &["b"], &[], Meaning::Stale),
            Have(AB2, None),
            Ask(&["b"], &[], &[], Meaning::Stale),
            Have(AB2, Some((&["b"], &[]))),
        ],
    );
    check(
        "one of all cannot be unsubscribed from, but all can",
        &[
            Ask(&["*"], &[], &[], subscribed(&[])),
            Have(AB, Some((&["a", "b"], &[]))),
            Answer("1", None, taken(AB)),
            Ask(&[], &["b"], &[], Meaning::Stale),
            Have(AB, Some((&["b"], &[]))),
            Answer("2", None, taken(AB)),
            Ask(&["a"], &["*"], &[], Meaning::Stale),
            Have(AB2, Some((&["a"], &[]))),
        ],
    );
}

#[test]
fn types_do_not_wait_for_each_other_and_names_are_bounded() {
    let mut session = DeltaSession::default();
    let request = |kind| DeltaRequest { kind, subscribe: &[], unsubscribe: &[], initial: &[], nonce: "", error: None };
    for kind in ResourceType::ALL {
        session.receive(request(kind));
        assert!(session.send(kind, &set(A, &[])).is_some(), "{kind:?}");
    }
    let many = vec!["a".to_owned(); MAX_NAMES + 1];
    assert_eq!(session.receive(DeltaRequest { subscribe: &many, ..request(KIND) }), Meaning::TooManyNames);
}
