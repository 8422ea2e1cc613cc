//! The hub where a global adapter says which APIs are its own.

use super::super::super::testing::global_adapter;
use super::*;
use crate::inputs::global_adapter::{Listed, Told};

/// A global adapter, and an adapter that listens to it.
async fn start(manager: &Manager, folder: &Path) -> (watch::Sender<Told>, Adapter) {
    let (says, told) = watch::channel(Told::default());
    let settings = EventHubSettings { global_adapter: Some(global_adapter()), ..settings(&manager.url, folder) };
    (says, Adapter::open(settings, folder, Some(Share::told_by(told))).await)
}

fn list(says: &watch::Sender<Told>, entries: &[(&str, &str)]) {
    let entry = |(uuid, revision): &(&str, &str)| ((*uuid).to_owned(), BTreeSet::from([(*revision).to_owned()]));
    let listed: Listed = entries.iter().map(entry).collect();
    let list = Some(Arc::new(listed));
    says.send_replace(Told { list, received: Some(7), connected: true, ..Told::default() });
}

fn paths(world: &World) -> Vec<String> {
    let name = |path: &str| path.trim_end_matches("/1.0.5").to_owned();
    let mut paths: Vec<String> = served(world).iter().map(|(path, _)| name(path)).collect();
    paths.sort();
    paths
}

async fn serves(adapter: &Adapter, expected: &[&str]) {
    adapter.eventually(&format!("serves {expected:?}"), |world, _| paths(world) == expected).await;
}

fn body_of(manager: &Manager, path: &str) -> Vec<Value> {
    let asked = manager.asked.lock().unwrap();
    asked.iter().filter(|[found, ..]| found == path).map(|[.., body]| serde_json::from_str(body).unwrap()).collect()
}

#[tokio::test]
async fn only_what_is_listed_is_served_and_the_list_is_followed() {
    let (manager, folder) = (Manager::start().await, tempfile::tempdir().unwrap());
    manager.populate();
    manager.deploy(&UUID);
    let (says, adapter) = start(&manager, folder.path()).await;
    adapter.subscribed().await;
    let known = |plane: &ControlPlaneReport| {
        let read = |name: &str| plane.sources.get(name).is_some_and(|list| list.last_success.is_some());
        Resource::ALL.iter().all(|resource| read(resource.name()))
    };
    adapter.eventually("all but the list is known", |_, plane| known(plane)).await;
    assert!(!*adapter.ready.borrow() && adapter.world.current().deployments.is_empty());
    assert!(adapter.reports.plane.lock().unwrap().stale().contains(&"globalAdapter"));

    list(&says, &[(UUID[0], "1")]);
    adapter.ready.clone().wait_for(|ready| *ready).await.unwrap();
    assert_eq!(paths(&adapter.world.current()), ["/petsa"]);
    adapter.is(ControlPlaneState::Live).await;
    adapter.eventually("the list is shown", |_, plane| plane.sources["globalAdapter"].count == 1).await;
    let bodies = body_of(&manager, "retrieve-api-artifacts");
    assert!(!bodies.is_empty() && bodies.iter().all(|body| *body == json!({"uuids": [UUID[0]]})), "{bodies:?}");

    list(&says, &[(UUID[0], "1"), (UUID[1], "1")]);
    serves(&adapter, &["/petsa", "/petsb"]).await;
    // Another revision.
    let places = vec![("Default".to_owned(), "gw.example.com".to_owned())];
    let other = Api { uuid: UUID[0].to_owned(), revision: "2".repeat(36), places, project: petstore_zip("Other") };
    manager.set(UUID[0], Answer::Bytes(artifacts(&[other])));
    list(&says, &[(UUID[0], "2"), (UUID[1], "1")]);
    serves(&adapter, &["/other", "/petsb"]).await;
    list(&says, &[(UUID[1], "1")]);
    serves(&adapter, &["/petsb"]).await;
    let asked = manager.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|[_, query, _]| query.contains("organizationId=ALL")), "{asked:?}");
    let whole = |[path, query, _]: &&[String; 3]| path == "runtime-artifacts" && !query.contains("apiId=");
    assert_eq!(asked.iter().find(whole), None, "nobody asks for the APIs of others");
    adapter.stop().await;
}

#[tokio::test]
async fn messages_about_apis_only_say_where_they_are_in_their_lives() {
    let (manager, folder) = (Manager::start().await, tempfile::tempdir().unwrap());
    manager.populate();
    manager.deploy(&UUID);
    let (says, adapter) = start(&manager, folder.path()).await;
    adapter.subscribed().await;
    list(&says, &[(UUID[0], "1")]);
    serves(&adapter, &["/petsa"]).await;
    let api = |uuid: &str| json!({"uuid": uuid, "gatewayLabels": ["Default"], "apiStatus": "BLOCKED", "timeStamp": 9});
    adapter.tell(event("DEPLOY_API_IN_GATEWAY", &api(UUID[1]))).await;
    adapter.tell(event("REMOVE_API_FROM_GATEWAY", &api(UUID[0]))).await;
    adapter.tell(event("API_LIFECYCLE_CHANGE", &api(UUID[0]))).await;
    adapter.eventually("blocked", |world, _| served(world) == [("/petsa/1.0.5".to_owned(), LifeCycle::Blocked)]).await;
    let asked = manager.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|[_, query, _]| !query.contains("apiId=")), "{asked:?}");
    adapter.stop().await;
}

#[tokio::test]
async fn a_global_adapter_that_is_away_takes_nothing_away() {
    let (manager, folder) = (Manager::start().await, tempfile::tempdir().unwrap());
    manager.populate();
    manager.deploy(&UUID);
    let (says, first) = start(&manager, folder.path()).await;
    first.subscribed().await;
    list(&says, &[(UUID[0], "1"), (UUID[1], "1")]);
    first.is(ControlPlaneState::Live).await;
    says.send_modify(|told| {
        told.connected = false;
        told.error = Some("gone".to_owned());
    });
    first.is(ControlPlaneState::Stale).await;
    first.eventually("said", |_, plane| plane.sources["globalAdapter"].error.as_deref() == Some("gone")).await;
    assert_eq!(paths(&first.world.current()), ["/petsa", "/petsb"]);
    // Lists are written a moment after they are shown.
    tokio::time::sleep(Duration::from_millis(500)).await;
    first.stop().await;

    // Before anybody says otherwise, what was good last is.
    let (says, second) = start(&manager, folder.path()).await;
    assert!(*second.ready.borrow(), "at once");
    assert_eq!(paths(&second.world.current()), ["/petsa", "/petsb"]);
    second.subscribed().await;
    list(&says, &[(UUID[1], "1")]);
    serves(&second, &["/petsb"]).await;
    second.is(ControlPlaneState::Live).await;
    second.stop().await;

    // As another label, or without a global adapter, it has another share.
    let third = Adapter::start(&manager.url, folder.path(), LONG).await;
    assert!(!*third.ready.borrow() && third.world.current().deployments.is_empty());
    third.stop().await;
}
