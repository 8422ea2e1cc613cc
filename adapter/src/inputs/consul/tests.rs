//! What is made of Consul's answers.

use super::*;

fn service(datacenters: &[&str], tags: &[&str]) -> Service {
    let own = |text: &&str| (*text).to_owned();
    let datacenters = datacenters.iter().map(|name| (!name.is_empty()).then(|| own(name)));
    Service {
        datacenters: datacenters.collect(),
        namespace: None,
        name: "pets".to_owned(),
        tags: tags.iter().map(own).collect(),
    }
}

#[test]
fn instances_are_those_of_all_datacenters_with_one_of_the_tags() {
    let found = |host: &str, tags: &[&str]| Found {
        instance: Instance { host: host.to_owned(), port: 80 },
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
    };
    let in_datacenter =
        |name: Option<&str>| Question { datacenter: name.map(str::to_owned), namespace: None, name: "pets".to_owned() };
    let answers = BTreeMap::from([
        (in_datacenter(None), vec![found("own", &["a"])]),
        (in_datacenter(Some("east")), vec![found("e2", &["b"]), found("e1", &["a", "b"]), found("e1", &["a"])]),
        (in_datacenter(Some("west")), vec![found("w1", &[])]),
    ]);
    for (datacenters, tags, expected) in [
        (&[""][..], &[][..], &["own"][..]),
        (&["east"], &[], &["e1", "e2"]),
        (&["west", "east", ""], &[], &["e1", "e2", "own", "w1"]),
        (&["west", "east", ""], &["a"], &["e1", "own"]),
        (&["east"], &["a", "b"], &["e1", "e2"]),
        (&["east"], &["c"], &[]),
        (&["north"], &[], &[]),
        (&["north", "west"], &[], &["w1"]),
    ] {
        let found = super::instances(&service(datacenters, tags), &answers);
        let hosts: Vec<&str> = found.iter().map(|instance| instance.host.as_str()).collect();
        assert_eq!(hosts, expected, "{datacenters:?} {tags:?}");
    }
}

#[test]
fn pauses_grow_up_to_a_bound_and_never_below_the_interval() {
    let seconds = Duration::from_secs;
    for (pause, interval, expected) in [(1, 1, 2), (20, 1, 30), (30, 5, 30), (60, 60, 60)] {
        assert_eq!(longer(seconds(pause), seconds(interval)), seconds(expected), "{pause} {interval}");
    }
}
