use envoy_types::pb::google::protobuf::Any;

use super::*;

fn set(content: &[(&str, &str)]) -> Arc<Resources> {
    let item = |(name, content): &(&str, &str)| {
        let item = Resource::made_of((*name).to_owned(), Any::default(), [content.as_bytes()]);
        Arc::new(item.owned_by(format!("owner of {name}")))
    };
    Arc::new(Resources::new(content.iter().map(item).collect()))
}

fn contents<'r>(resources: &'r Resources, of: &[&'r Resources]) -> Vec<(&'r str, usize)> {
    let generation = |item: &Resource| {
        of.iter().position(|set| set.get(item.name()).is_some_and(|other| other.version() == item.version())).unwrap()
    };
    resources.iter().map(|item| (item.name(), generation(item))).collect()
}

/// A gateway that refuses some versions, and may or may not name them.
fn settle(isolation: &mut Isolation, published: &Arc<Resources>, bad: &[&str], names_them: bool) -> usize {
    let mut last = String::new();
    for round in 0.. {
        let view = isolation.view(published);
        if view.version() == last {
            return round;
        }
        last = view.version().to_owned();
        let is_bad = |item: &&Arc<Resource>| {
            let now = published.get(item.name());
            bad.contains(&item.name()) && now.is_some_and(|now| now.version() == item.version())
        };
        let refused: Vec<&str> = view.iter().filter(is_bad).map(|item| item.name()).collect();
        if refused.is_empty() {
            isolation.accepted(&view);
        } else if names_them {
            let reasons: Vec<String> = refused.iter().map(|name| format!("{name}: it is bad")).collect();
            isolation.rejected(&view, &format!("Error adding/updating cluster(s) {}", reasons.join(", ")));
        } else {
            isolation.rejected(&view, "Proto constraint validation failed");
        }
        assert!(round < 100, "it ends");
    }
    0
}

#[test]
fn bad_ones_are_left_out_and_the_rest_goes_out() {
    let names: Vec<String> = (0..40).map(|number| format!("c{number}")).collect();
    let content: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let published = set(&content);
    for bad in [&[][..], &["c1"], &["c0", "c39"], &["c3", "c4", "c5", "c11"]] {
        for names_them in [true, false] {
            let mut isolation = Isolation::default();
            let rounds = settle(&mut isolation, &published, bad, names_them);
            let view = isolation.view(&published);
            let out: Vec<&str> =
                published.iter().map(|item| item.name()).filter(|name| view.get(name).is_none()).collect();
            assert_eq!((out.len(), bad.iter().all(|name| out.contains(name))), (bad.len(), true), "{bad:?} {out:?}");
            assert_eq!(isolation.refused().keys().map(String::as_str).collect::<Vec<_>>(), {
                let mut sorted = bad.to_vec();
                sorted.sort_unstable();
                sorted
            });
            assert!(bad.iter().all(|name| view.withholds(name)) && !isolation.is_searching());
            assert!(!names_them || rounds <= 3, "{bad:?}: {rounds}");
        }
    }
}

#[test]
fn the_last_good_version_stays() {
    for names_them in [true, false] {
        let (first, second) = (set(&[("a", "1"), ("b", "1")]), set(&[("a", "2"), ("b", "2"), ("c", "2")]));
        let mut isolation = Isolation::default();
        settle(&mut isolation, &first, &[], names_them);
        settle(&mut isolation, &second, &["b"], names_them);
        let view = isolation.view(&second);
        assert_eq!(contents(&view, &[&first, &second]), [("a", 1), ("b", 0), ("c", 1)]);
    }
}

#[test]
fn a_change_is_another_chance_and_what_is_gone_is_forgotten() {
    let mut isolation = Isolation::default();
    let (bad, better) = (set(&[("a", "1"), ("b", "1")]), set(&[("a", "1"), ("b", "2")]));
    settle(&mut isolation, &bad, &["b"], true);
    assert_eq!(isolation.refused().len(), 1);
    assert_eq!(isolation.view(&better).version(), better.version());
    settle(&mut isolation, &bad, &["b"], true);
    let gone = set(&[("a", "1")]);
    assert_eq!((isolation.view(&gone).version(), isolation.refused().len()), (gone.version(), 0));
}

#[test]
fn only_whole_names_count_and_the_owner_is_known() {
    let mut isolation = Isolation::default();
    let published = set(&[("c", "1"), ("c1", "1"), ("c10", "1")]);
    let named = isolation.rejected(&published, "Error adding/updating cluster(s) c1: no such file, 'c' too");
    assert_eq!(named, ["c", "c1"]);
    let refused: Vec<_> = isolation.refused().iter().map(|(name, refusal)| (name.as_str(), refusal)).collect();
    assert_eq!(refused.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["c", "c1"]);
    assert_eq!(refused[1].1.owner.as_deref(), Some("owner of c1"));
    assert_eq!(refused[1].1.reason, "c1: no such file, 'c' too");
}

#[test]
fn a_refusal_that_nothing_new_explains_changes_nothing() {
    let mut isolation = Isolation::default();
    let published = set(&[("a", "1")]);
    settle(&mut isolation, &published, &[], true);
    isolation.rejected(&published, "out of memory");
    assert_eq!(isolation.view(&published).version(), published.version());
    assert!(isolation.refused().is_empty() && !isolation.is_searching());
}
