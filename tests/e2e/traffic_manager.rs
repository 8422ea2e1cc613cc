//! A Traffic Manager that counts: uses go out over the data bridge, decisions come in over AMQP, and hold at every level.

use anyhow::ensure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate_tests::data_bridge::{BridgeEvent, DataBridge};
use tollgate_tests::http::Answer;
use tollgate_tests::token::Claims;
use tollgate_tests::{Gateway, Settings, Topics, eventually};

use crate::apis::pets;
use crate::subscriptions::{ISSUER, PATH, token, token_service};

const STREAM: &str = "org.wso2.throttle.request.stream:1.0.0";
/// 2100.
pub const FOR_EVER: u64 = 4_102_444_800_000;

const PLANS: &str = "
tiers:
  - {name: Ten, kind: subscription, limits: [{requests: 1, per: year}]}
  - {name: Lenient, kind: subscription, stopOnQuotaReach: false}
applications:
  - {name: web, id: 7, tier: 10PerMin, keys: [{keyManager: Portal, consumerKey: web}], subscriptions: [{api: Pets, version: 1.0.0, tier: Ten}, {api: ChatRooms, version: 1.0.0, tier: Ten}]}
  - {name: lenient, id: 8, keys: [{keyManager: Portal, consumerKey: lenient}], subscriptions: [{api: Pets, version: 1.0.0, tier: Lenient}]}
customPolicies:
  - {name: per user, key: \"$userId:$apiContext\", limits: [{requests: 1, per: year}]}
";

/// A gateway whose uses are counted elsewhere.
pub struct World {
    pub gateway: Gateway,
    pub bridges: Vec<DataBridge>,
    channel: Channel,
    _connection: Connection,
    _topics: Topics,
    _folder: TempDir,
}

impl World {
    /// Every group has as many receivers as it says.
    pub async fn start(groups: &[(&str, usize)]) -> Self {
        let topics = Topics::shared().await.unwrap();
        let folder = TempDir::new().unwrap();
        let trusted = folder.path().join("trusted");
        std::fs::create_dir(&trusted).unwrap();
        let (mut bridges, mut text) = (Vec::new(), String::new());
        for (number, (kind, count)) in groups.iter().enumerate() {
            let mut urls = (Vec::new(), Vec::new());
            for member in 0..*count {
                let bridge = DataBridge::start("admin", "s3cret").await.unwrap();
                std::fs::write(trusted.join(format!("{number}-{member}.pem")), bridge.authority()).unwrap();
                urls.0.push(bridge.receiver_url());
                urls.1.push(bridge.auth_url());
                bridges.push(bridge);
            }
            text.push_str(&format!(
                "[[enforcer.throttling.publisher.URLGroup]]\nreceiverURLs = {:?}\nauthURLs = {:?}\ntype = '{kind}'\n",
                urls.0, urls.1
            ));
        }
        let file = folder.path().join("subscriptions.yaml");
        std::fs::write(&file, PLANS).unwrap();
        let adapter = format!("subscriptionsFile = '{}'", file.display());
        let extra = token_service(&folder, true);
        // One worker, so that what one answer shows is so for the next.
        let mut gateway = Gateway::with(Settings { adapter, extra, workers: 1, ..Settings::default() }).await.unwrap();
        // Gateways show certificates of the adapter's own authority.
        std::fs::copy(gateway.adapter.state().join("certificates/ca.pem"), trusted.join("gateways.pem")).unwrap();
        let (place, virtual_host) = topics.url().rsplit_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        let (credentials, broker) = place.trim_start_matches("amqp://").split_once('@').unwrap();
        let throttling = format!(
            "\n[adapter.truststore]\nlocation = '{}'\n[enforcer.throttling]\nenableGlobalEventPublishing = true\n\
             enableHeaderConditions = true\n\
             jmsConnectionProviderURL = \"amqp://{credentials}@carbon/{virtual_host}?brokerlist='tcp://{broker}'\"\n\
             [enforcer.throttling.publisher]\nusername = 'admin'\npassword = 's3cret'\n{text}\
             [enforcer.throttling.publisher.agent]\nreconnectionInterval = 1\nsocketTimeoutMS = 2000\n",
            trusted.display()
        );
        gateway.reconfigure_adapter(|config| config.extra.push_str(&throttling)).await.unwrap();
        gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
        let connection = Connection::connect(&topics.url(), ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self { gateway, bridges, channel, _connection: connection, _topics: topics, _folder: folder }
    }

    pub async fn say(&self, data: Value) {
        let body = json!({"event": {"payloadData": data}}).to_string();
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let sent =
            self.channel.basic_publish("amq.topic".into(), "throttleData".into(), options, body.as_bytes(), properties);
        sent.await.unwrap().await.unwrap();
    }

    /// Says it until it counts, for the adapter may only just have begun to listen.
    async fn decide(&self, key: &str, conditions: Option<Value>, caller: &str, headers: &[(&str, &str)], code: &str) {
        let mut data = json!({"throttleKey": key, "isThrottled": "true", "expiryTimeStamp": FOR_EVER});
        if let Some(conditions) = conditions {
            data["evaluatedConditions"] = STANDARD.encode(conditions.to_string()).into();
        }
        eventually("the decision counts", async || {
            self.say(data.clone()).await;
            let answer = self.call(caller, headers).await?;
            ensure!(answer.body.contains(&format!(r#""code":"{code}""#)), "{key}: {} {}", answer.status, answer.body);
            ensure!(answer.status == 429 && answer.header("retry-after") == Some("Fri, 01 Jan 2100 00:00:00 GMT"));
            Ok(())
        })
        .await
        .unwrap();
    }

    async fn take_back(&self, key: &str, caller: &str) {
        eventually("the decision is taken back", async || {
            self.say(json!({"throttleKey": key, "isThrottled": "false", "expiryTimeStamp": FOR_EVER})).await;
            let answer = self.call(caller, &[]).await?;
            ensure!(answer.status == 200, "{key}: {} {}", answer.status, answer.body);
            Ok(())
        })
        .await
        .unwrap();
    }

    async fn call(&self, caller: &str, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let request = self.gateway.request(Method::GET, PATH).bearer_auth(alice(caller));
        Answer::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }

    async fn pass(&self, caller: &str, headers: &[(&str, &str)], times: usize) {
        for _ in 0..times {
            let answer = self.call(caller, headers).await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
    }
}

/// A token of Alice's by which an application calls.
pub fn alice(application: &str) -> String {
    token(Claims::of(ISSUER).with("azp", application).with("sub", "alice").without("keytype"))
}

/// What was published for applications: looks at whether the API is served yet are uses too, of nobody's.
pub fn of_applications(bridge: &DataBridge) -> Vec<BridgeEvent> {
    bridge.events().into_iter().filter(|event| event.attributes[5].starts_with(['7', '8'])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn uses_are_published_in_the_terms_of_the_stream() {
    let world = World::start(&[("", 1)]).await;
    let bridge = &world.bridges[0];
    // Far above what the plans allow: nobody counts here.
    world.pass("web", &[("x-plan", "gold"), ("apikey", "secret")], 12).await;
    eventually("all are published", async || {
        ensure!(of_applications(bridge).len() >= 12, "{:?}", bridge.problems());
        Ok(())
    })
    .await
    .unwrap();
    let events = of_applications(bridge);
    assert_eq!((events.len(), bridge.problems()), (12, vec![]));
    let ids: std::collections::BTreeSet<&String> = events.iter().map(|event| &event.attributes[0]).collect();
    assert_eq!(ids.len(), 12, "every message has an id of its own");
    let event = &events[0];
    assert!(event.stream == STREAM && event.timestamp > 1_700_000_000_000);
    let expected = [
        "7:alice@carbon.super",
        "10PerMin",
        "/pets/1.0.0:1.0.0",
        "Unlimited",
        "7:/pets/1.0.0:1.0.0",
        "Ten",
        "/pets/1.0.0/1.0.0/pet/{petId}:GET",
        "Unlimited",
        "alice@carbon.super",
        "/pets/1.0.0",
        "1.0.0",
        "carbon.super",
        "carbon.super",
        "7",
        "Pets",
    ];
    assert_eq!(event.attributes[1..16], expected);
    let properties: Value = serde_json::from_str(&event.attributes[16]).unwrap();
    assert_eq!((&properties["ip"], &properties["ipv6"]), (&json!(2_130_706_433), &json!(0)));
    assert_eq!(properties["x-plan"], "gold");
    assert!(properties.get("authorization").is_none() && properties.get("apikey").is_none(), "{properties}");
    // The session has ended, which nobody notices.
    bridge.end_sessions();
    world.pass("web", &[], 3).await;
    eventually("somebody signs in again", async || {
        ensure!(of_applications(bridge).len() == 15 && bridge.signed_in() == 2, "{}", bridge.signed_in());
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_hold_at_every_level_until_they_are_taken_back() {
    let world = World::start(&[("", 1)]).await;
    world.pass("web", &[], 1).await;
    for (key, code) in [
        ("7:/pets/1.0.0:1.0.0", "900804"),
        ("7:alice@carbon.super", "900803"),
        ("alice@carbon.super:/pets/1.0.0", "900806"),
    ] {
        world.decide(key, None, "web", &[], code).await;
        world.take_back(key, "web").await;
    }
    // Its plan only counts.
    world.decide("8:alice@carbon.super", None, "lenient", &[], "900803").await;
    world.take_back("8:alice@carbon.super", "lenient").await;
    world.say(json!({"throttleKey": "8:/pets/1.0.0:1.0.0", "isThrottled": true, "expiryTimeStamp": FOR_EVER})).await;
    world.decide("7:/pets/1.0.0:1.0.0", None, "web", &[], "900804").await;
    world.pass("lenient", &[], 2).await;
    // Who is throttled is no use.
    let before = of_applications(&world.bridges[0]).len();
    assert_eq!(world.call("web", &[]).await.unwrap().status, 429);
    world.pass("lenient", &[], 1).await;
    eventually("the use is published", async || {
        ensure!(of_applications(&world.bridges[0]).len() > before);
        Ok(())
    })
    .await
    .unwrap();
    assert!(of_applications(&world.bridges[0])[before..].iter().all(|event| event.attributes[1].starts_with("8:")));
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_stand_in_for_each_other_and_groups_get_everything() {
    let world = World::start(&[("failover", 2), ("loadbalance", 2)]).await;
    let [first, second, third, fourth] = world.bridges.as_slice() else { panic!("four receivers") };
    let total = |bridges: &[&DataBridge]| bridges.iter().map(|bridge| of_applications(bridge).len()).sum::<usize>();
    let reach = async |count: usize| {
        eventually("every group has it", async || {
            let found = (total(&[first, second]), total(&[third, fourth]));
            ensure!(found == (count, count), "{found:?} of {count}");
            Ok(())
        })
        .await
        .unwrap();
    };
    world.pass("web", &[], 1).await;
    reach(1).await;
    assert_eq!(of_applications(second).len(), 0, "the second one only stands in");
    first.set_broken(true);
    for sent in 2..=8 {
        world.pass("web", &[], 1).await;
        reach(sent).await;
    }
    assert!(
        of_applications(second).len() == 7 && !of_applications(third).is_empty() && !of_applications(fourth).is_empty()
    );
    first.set_broken(false);
    let mut passed = 8;
    eventually("the first one is used again", async || {
        world.pass("web", &[], 1).await;
        passed += 1;
        ensure!(of_applications(first).len() > 1);
        Ok(())
    })
    .await
    .unwrap();
    reach(passed).await;
    // Nobody answers: uses wait, and requests do not.
    for bridge in &world.bridges {
        bridge.set_broken(true);
    }
    world.pass("web", &[], 20).await;
    for bridge in &world.bridges {
        bridge.set_broken(false);
    }
    reach(passed + 20).await;
}

/// Uses that no receiver takes are counted and given up; those that one may take when it is back are not.
#[tokio::test(flavor = "multi_thread")]
async fn what_every_receiver_rejects_is_given_up_and_nothing_else() {
    let world = World::start(&[("failover", 2)]).await;
    let [first, second] = world.bridges.as_slice() else { panic!("two receivers") };
    first.set_rejecting(true);
    second.set_broken(true);
    world.pass("web", &[], 3).await;
    // Longer than the pause after a failure, so that the one that rejects has been asked more than once.
    eventually("it has been asked again", async || {
        ensure!(first.signed_in() > 2, "{}", first.signed_in());
        Ok(())
    })
    .await
    .unwrap();
    second.set_broken(false);
    eventually("the second one gets them", async || {
        ensure!(of_applications(second).len() == 3);
        Ok(())
    })
    .await
    .unwrap();

    second.set_rejecting(true);
    let dropped = async || -> anyhow::Result<u64> {
        let metrics = world.gateway.adapter.metrics().await?;
        let line = metrics.lines().find(|line| line.contains("uses_dropped_total") && !line.starts_with('#'));
        Ok(line.and_then(|line| line.rsplit(' ').next()).and_then(|count| count.parse().ok()).unwrap_or(0))
    };
    let before = dropped().await.unwrap();
    world.pass("web", &[], 2).await;
    eventually("what nobody takes is counted", async || {
        let dropped = dropped().await?;
        ensure!(dropped >= before + 2, "{dropped}");
        Ok(())
    })
    .await
    .unwrap();
    second.set_rejecting(false);
    world.pass("web", &[], 1).await;
    eventually("the next one is taken", async || {
        ensure!(of_applications(second).len() == 4);
        Ok(())
    })
    .await
    .unwrap();
}
