use std::collections::BTreeSet;

use super::*;
use crate::outputs::nodes::{FeedPosition, RefusedCluster};
use crate::outputs::xds::ResourceType;

const NOW: Cursor = Cursor { epoch: 1, revision: 2 << 16 };

fn published(status: &Status, revision: u64) {
    let environment = PublishedEnvironment { clusters: format!("v{revision}"), feed: NOW };
    let environments = BTreeMap::from([("Default".to_owned(), environment)]);
    status.published().send_replace(Published { revision, environments });
}

fn change(revision: u64) -> Change {
    let set = |one: &str| BTreeSet::from([one.to_owned()]);
    Change { revision, environments: set("Default"), clusters: set("pets") }
}

fn fed(status: &Status, cursor: Cursor) {
    status.nodes().fed("Default/a", "Default", FeedPosition { cursor, whole: true, problems: None });
}

async fn ask(status: &Arc<Status>, patience_ms: u64) -> Vec<(Outcome, Vec<String>)> {
    let acknowledgements = Acknowledgements::new(Arc::clone(status));
    let answers = acknowledgements.answers(&change(5), Duration::from_millis(patience_ms)).await;
    answers.into_iter().map(|answer| (answer.state, answer.reasons)).collect()
}

#[tokio::test(start_paused = true)]
async fn nobody_is_waited_for_when_nobody_is_there() {
    let status = Status::new();
    let other = status.nodes().connect("Europe/a", "Europe", true);
    drop(status.nodes().connect("Default/gone", "Default", true));
    let before = Instant::now();
    assert_eq!(ask(&status, 5000).await, []);
    assert_eq!(before.elapsed(), Duration::ZERO);
    drop(other);
}

#[tokio::test(start_paused = true)]
async fn envoy_and_its_filters_both_count() {
    let status = Status::new();
    let node = status.nodes().connect("Default/a", "Default", true);
    published(&status, 5);
    assert_eq!(ask(&status, 50).await, [(Outcome::Pending, vec![])]);
    node.acknowledged(ResourceType::Cluster, "v5");
    assert_eq!(ask(&status, 50).await, [(Outcome::Pending, vec![])], "the filters are behind");
    for (cursor, state) in [
        (Cursor { epoch: 1, revision: 1 << 16 }, Outcome::Pending),
        (Cursor { epoch: 2, revision: 9 << 16 }, Outcome::Pending),
        (Cursor { epoch: 1, revision: (2 << 16) | 3 }, Outcome::Pending),
        (NOW, Outcome::Acknowledged),
        (Cursor { epoch: 1, revision: 3 << 16 }, Outcome::Acknowledged),
    ] {
        fed(&status, cursor);
        assert_eq!(ask(&status, 50).await, [(state, vec![])], "{cursor:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_change_must_have_been_published() {
    let status = Status::new();
    let node = status.nodes().connect("Default/a", "Default", true);
    published(&status, 4);
    node.acknowledged(ResourceType::Cluster, "v4");
    fed(&status, NOW);
    assert_eq!(ask(&status, 50).await, [(Outcome::Pending, vec![])]);
    let waiting = tokio::spawn({
        let status = Arc::clone(&status);
        async move { ask(&status, 5000).await }
    });
    tokio::task::yield_now().await;
    published(&status, 6);
    node.acknowledged(ResourceType::Cluster, "v6");
    assert_eq!(waiting.await.unwrap(), [(Outcome::Acknowledged, vec![])]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_concerns_the_api_it_is_about() {
    let status = Status::new();
    let node = status.nodes().connect("Default/a", "Default", true);
    published(&status, 5);
    fed(&status, NOW);
    let refused = |cluster: &str| {
        let refused = RefusedCluster { api: None, error: "bad".to_owned() };
        BTreeMap::from([(cluster.to_owned(), refused)])
    };
    node.refused_clusters(refused("another"));
    node.acknowledged(ResourceType::Cluster, "v5");
    assert_eq!(ask(&status, 50).await, [(Outcome::Acknowledged, vec![])]);
    node.refused_clusters(refused("pets"));
    assert_eq!(ask(&status, 50).await, [(Outcome::Refused, vec!["bad".to_owned()])]);
}

#[tokio::test(start_paused = true)]
async fn filters_of_a_gateway_that_gets_its_clusters_elsewhere_are_enough() {
    let status = Status::new();
    published(&status, 5);
    fed(&status, NOW);
    assert_eq!(ask(&status, 50).await, [(Outcome::Acknowledged, vec![])]);
}
