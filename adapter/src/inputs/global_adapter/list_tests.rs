//! Lists that are taken over, lists that are not, and what is said to either.

use proptest::prelude::*;

use super::*;

fn api(uuid: &str, revision: &str) -> Any {
    let api = Api { api_uuid: uuid.to_owned(), revision_uuid: revision.to_owned(), organization_uuid: "o".to_owned() };
    Any { type_url: TYPE_URL.to_owned(), value: api.encode_to_vec() }
}

fn answer(version: &str, nonce: &str, resources: Vec<Any>) -> DiscoveryResponse {
    DiscoveryResponse {
        version_info: version.to_owned(),
        nonce: nonce.to_owned(),
        type_url: TYPE_URL.to_owned(),
        resources,
        ..DiscoveryResponse::default()
    }
}

fn listed(entries: &[(&str, &str)]) -> Listed {
    let mut listed = Listed::new();
    for (uuid, revision) in entries {
        listed.entry((*uuid).to_owned()).or_default().insert((*revision).to_owned());
    }
    listed
}

#[test]
fn entries_are_read_by_the_numbers_of_their_members() {
    let bytes = b"\x0a\x01a\x12\x01r\x1a\x01o\x22\x04more".to_vec();
    let resource = Any { type_url: TYPE_URL.to_owned(), value: bytes };
    assert_eq!(read(&answer("1", "n", vec![resource])).unwrap(), listed(&[("a", "r")]));
}

#[test]
fn lists_are_refused_as_a_whole() {
    let of_type = |type_url: &str| Any { type_url: type_url.to_owned(), ..api("a", "r") };
    let broken = Any { type_url: TYPE_URL.to_owned(), value: b"\x0a\x7fa".to_vec() };
    let long = "u".repeat(MAX_UUID + 1);
    for (resources, expected) in [
        (vec![], Ok(listed(&[]))),
        (vec![api("a", "1"), api("b", "2"), api("a", "3")], Ok(listed(&[("a", "1"), ("b", "2"), ("a", "3")]))),
        (vec![api("a", "")], Ok(listed(&[("a", "")]))),
        (vec![api("a", "1"), broken], Err(ListError::Entry(1))),
        (vec![of_type("type.googleapis.com/wso2.discovery.api.Api")], Err(ListError::Entry(0))),
        (vec![api("a", "1"), api("", "2")], Err(ListError::Nameless(1))),
        (vec![api(&long, "1")], Err(ListError::Nameless(0))),
        (vec![api("a\n", "1")], Err(ListError::Nameless(0))),
        (vec![api("a", "1"); MAX_ENTRIES + 1], Err(ListError::TooMany(MAX_ENTRIES + 1))),
    ] {
        assert_eq!(read(&answer("1", "n", resources)), expected);
    }
    let other = DiscoveryResponse { type_url: "other".to_owned(), ..answer("1", "n", vec![]) };
    assert_eq!(read(&other), Err(ListError::Type("other".to_owned())));
}

#[test]
fn what_is_taken_over_is_acknowledged_and_remembered() {
    let mut conversation = Conversation::new("west".to_owned());
    let shown = |request: &DiscoveryRequest| {
        assert_eq!(request.node.as_ref().unwrap().id, "west");
        assert_eq!(request.type_url, TYPE_URL);
        let error = request.error_detail.as_ref().map(|status| (status.code, status.message.clone()));
        (request.version_info.clone(), request.response_nonce.clone(), error)
    };
    let said = |version: &str, nonce: &str, error: Option<&str>| {
        (version.to_owned(), nonce.to_owned(), error.map(|error| (INVALID, error.to_owned())))
    };
    assert_eq!(shown(&conversation.opening()), said("", "", None));
    let (heard, reply) = conversation.hear(&answer("7", "n1", vec![api("", "1")]));
    assert!(heard.is_err());
    assert_eq!(shown(&reply), said("", "n1", Some("entry 0 has no usable apiUUID")));
    let (heard, reply) = conversation.hear(&answer("8", "n2", vec![api("a", "1")]));
    assert_eq!((heard, shown(&reply)), (Ok(listed(&[("a", "1")])), said("8", "n2", None)));
    let (heard, reply) = conversation.hear(&answer("9", "n3", vec![Any::default()]));
    assert_eq!(heard, Err(ListError::Entry(0)));
    assert_eq!(shown(&reply), said("8", "n3", Some("entry 0 cannot be read as wso2.discovery.ga.Api")));
    // The next stream goes on from there.
    assert_eq!(shown(&conversation.opening()), said("8", "", None));
}

#[test]
fn new_apis_and_other_revisions_are_different() {
    let before = listed(&[("a", "1"), ("b", "1"), ("c", "1"), ("c", "2"), ("d", "1")]);
    let now = listed(&[("a", "1"), ("b", "2"), ("c", "2"), ("e", "1")]);
    assert_eq!(different(&before, &now), ["b", "c", "e"]);
    assert_eq!(different(&now, &now), [""; 0]);
}

proptest! {
    #[test]
    fn no_bytes_are_taken_for_more_than_they_say(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let resource = Any { type_url: TYPE_URL.to_owned(), value: bytes.clone() };
        if let Ok(found) = read(&answer("1", "n", vec![resource])) {
            prop_assert_eq!(found.len(), 1);
            let uuid = found.keys().next().unwrap();
            prop_assert!(!uuid.is_empty() && bytes.windows(uuid.len()).any(|part| part == uuid.as_bytes()));
        }
    }

    #[test]
    fn following_differences_and_removals_leads_to_the_new_list(
        before in proptest::collection::btree_map("[a-e]", proptest::collection::btree_set("[1-3]", 1..3), 0..5),
        now in proptest::collection::btree_map("[a-e]", proptest::collection::btree_set("[1-3]", 1..3), 0..5),
    ) {
        let mut followed = before.clone();
        followed.retain(|uuid, _| now.contains_key(uuid));
        for uuid in different(&before, &now) {
            followed.insert(uuid.clone(), now[&uuid].clone());
        }
        prop_assert_eq!(followed, now);
    }
}
