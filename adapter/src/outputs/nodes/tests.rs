use super::*;

const SOME: Cursor = Cursor { epoch: 7, revision: 1 };

fn at(cursor: Cursor, whole: bool) -> FeedPosition {
    FeedPosition { cursor, whole, problems: None }
}

fn ready(nodes: &Nodes) -> bool {
    nodes.report(&Published::default())[0].ready
}

#[test]
fn ready_needs_every_type_and_a_snapshot() {
    let nodes = Arc::new(Nodes::default());
    let connection = nodes.connect("Default/a", "Default", true);
    for kind in ResourceType::ALL {
        connection.acknowledged(kind, "v");
    }
    nodes.fed("Default/a", "Default", at(Cursor::default(), true));
    nodes.fed("Default/a", "Default", at(SOME, false));
    assert!(!ready(&nodes), "no whole snapshot yet");
    nodes.fed("Default/a", "Default", at(SOME, true));
    assert!(ready(&nodes));
    connection.rejected(ResourceType::Listener, "w", "port in use");
    assert!(ready(&nodes), "the last good resources stay in use");
    drop(nodes.connect("Default/a", "Default", true));
    assert!(!ready(&nodes), "a restarted gateway starts anew");
}

#[test]
fn a_reconnected_gateway_that_was_ready_stays_so() {
    let nodes = Arc::new(Nodes::default());
    let connection = nodes.connect("Default/a", "Default", false);
    for kind in ResourceType::ALL {
        assert!(!ready(&nodes));
        connection.held(kind);
    }
    connection.was_ready();
    assert!(ready(&nodes));
}

#[test]
fn an_old_stream_changes_nothing_after_a_new_one() {
    let nodes = Arc::new(Nodes::default());
    let old = nodes.connect("Default/a", "Default", true);
    let new = nodes.connect("Default/a", "Default", true);
    old.rejected(ResourceType::Cluster, "v", "late");
    drop(old);
    let report = nodes.report(&Published::default());
    assert!(report[0].connected);
    assert!(report[0].types.is_empty());
    drop(new);
    assert!(!nodes.report(&Published::default())[0].connected);
}

#[test]
fn settled_asks_connected_gateways_of_the_environment_only() {
    let nodes = Arc::new(Nodes::default());
    let settled = || nodes.settled("Default", ResourceType::Cluster, "v2");
    assert!(settled());
    let here = nodes.connect("Default/a", "Default", true);
    let elsewhere = nodes.connect("Other/a", "Other", true);
    assert!(settled(), "neither asked for clusters yet");
    here.sent(ResourceType::Cluster, "v2");
    elsewhere.sent(ResourceType::Cluster, "v2");
    assert!(!settled());
    here.acknowledged(ResourceType::Cluster, "v1");
    assert!(!settled());
    here.rejected(ResourceType::Cluster, "v2", "no");
    assert!(settled());
}

#[test]
fn gateways_are_not_remembered_without_bound() {
    let nodes = Arc::new(Nodes::default());
    let connected = nodes.connect("connected", "Default", true);
    for number in 0..MAX_NODES + 10 {
        nodes.fed(&format!("gone/{number}"), "Default", at(SOME, true));
    }
    assert_eq!(nodes.report(&Published::default()).len(), MAX_NODES);
    assert!(nodes.report(&Published::default()).iter().any(|node| node.name == "connected"));
    drop(connected);
}

#[test]
fn what_filters_deny_is_shown_until_they_take_it_back() {
    let nodes = Nodes::default();
    let problems = |text: Option<&str>| {
        nodes.fed("Default/a", "Default", FeedPosition { problems: text.map(str::to_owned), ..at(SOME, true) });
        nodes.report(&Published::default())[0].filter_problems.clone()
    };
    assert_eq!(problems(Some("1 denied")).as_deref(), Some("1 denied"));
    assert_eq!(problems(None), None);
}
