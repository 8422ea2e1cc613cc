//! Frames of WebSockets where a Traffic Manager counts: each is published, and what it decides holds for connections that are open.

use std::collections::BTreeMap;

use anyhow::ensure;
use serde_json::{Value, json};
use tollgate_tests::data_bridge::BridgeEvent;
use tollgate_tests::eventually;

use super::frames::Client;
use super::peers::SocketBackend;
use super::{deploy, served};
use crate::traffic_manager::{FOR_EVER, World, alice, of_applications};

const KEY_OF_API: &str = "/chat/1.0.0:1.0.0";
const KEY_OF_SUBSCRIPTION: &str = "7:/chat/1.0.0:1.0.0";
const KEY_OF_APPLICATION: &str = "7:alice@carbon.super";

async fn chat(backend: &SocketBackend) -> (World, Client) {
    let world = World::start(&[("", 1)]).await;
    deploy(&world.gateway, backend, |text| text).await;
    served(&world.gateway).await;
    let client = Client::with(&world.gateway, &alice("web")).await;
    (world, client)
}

fn size(event: &BridgeEvent) -> Option<u64> {
    serde_json::from_str::<Value>(&event.attributes[16]).unwrap()["messageSize"].as_u64()
}

/// How often a size of a message was published, and uses without any.
fn published(world: &World) -> BTreeMap<Option<u64>, usize> {
    let mut sizes = BTreeMap::new();
    for event in of_applications(&world.bridges[0]) {
        *sizes.entry(size(&event)).or_default() += 1;
    }
    sizes
}

async fn are_published(world: &World, expected: &BTreeMap<Option<u64>, usize>) {
    eventually("all are published", async || {
        let found = published(world);
        ensure!(found == *expected, "{found:?}, not {expected:?}; {:?}", world.bridges[0].problems());
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_frame_is_published_with_its_size() {
    let backend = SocketBackend::start(None).await.unwrap();
    let (world, mut client) = chat(&backend).await;
    client.send(5, 10).await.unwrap();
    client.send(1, 70_000).await.unwrap();
    client.is_through().await;
    assert_eq!((backend.received(), client.received()), (6, 7));
    eventually("something is published of the first frame", async || {
        ensure!(published(&world).len() == 6, "{:?}", published(&world));
        Ok(())
    })
    .await
    .unwrap();
    // Of these lengths are headers, masked and not. The one that is left is what the backend said first.
    let sizes = [(None, 1), (Some(16), 5), (Some(12), 5), (Some(70_014), 1), (Some(70_010), 1)];
    let mut expected = BTreeMap::from(sizes);
    let first = published(&world).into_keys().find(|size| !expected.contains_key(size)).unwrap();
    expected.insert(first, 1);
    are_published(&world, &expected).await;
    let events = of_applications(&world.bridges[0]);
    let frame = events.iter().find(|event| size(event).is_some()).unwrap();
    let handshake = events.iter().find(|event| size(event).is_none()).unwrap();
    let keys = |event: &BridgeEvent| [1, 3, 5, 7].map(|place| event.attributes[place].clone());
    assert_eq!(keys(frame), [KEY_OF_APPLICATION, KEY_OF_API, KEY_OF_SUBSCRIPTION, KEY_OF_API]);
    assert_eq!(keys(handshake)[..3], keys(frame)[..3]);
    let properties: Value = serde_json::from_str(&frame.attributes[16]).unwrap();
    assert_eq!(properties["ip"], json!(2_130_706_433));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_decided_holds_for_open_connections_until_it_is_taken_back() {
    let backend = SocketBackend::start(None).await.unwrap();
    let (world, mut client) = chat(&backend).await;
    for key in [KEY_OF_SUBSCRIPTION, KEY_OF_APPLICATION] {
        for throttled in [true, false] {
            eventually("frames heed it", async || {
                world.say(json!({"throttleKey": key, "isThrottled": throttled, "expiryTimeStamp": FOR_EVER})).await;
                let before = backend.received();
                client.send(1, 10).await?;
                client.is_through().await;
                ensure!((backend.received() == before) == throttled, "{key}: {throttled}");
                Ok(())
            })
            .await
            .unwrap();
        }
        let before = (backend.received(), client.received());
        client.send(5, 10).await.unwrap();
        client.is_through().await;
        assert_eq!((backend.received(), client.received()), (before.0 + 5, before.1 + 5), "{key}");
    }
    // What was dropped is no use, and would have been published before this one.
    client.send(1, 11).await.unwrap();
    client.is_through().await;
    let passed = backend.received() + client.received();
    eventually("what has passed is published", async || {
        let published = published(&world);
        ensure!(published.contains_key(&Some(17)) && published.contains_key(&Some(13)), "{published:?}");
        let frames: usize = published.iter().filter(|(size, _)| size.is_some()).map(|(_, times)| times).sum();
        ensure!(frames == passed, "{frames}, not {passed}");
        Ok(())
    })
    .await
    .unwrap();
}
