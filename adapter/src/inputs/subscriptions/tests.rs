use proptest::prelude::*;
use tollgate_model::{CutoffKind, KeyType, SubscriptionState, TierKind, keys};

use super::*;
use crate::model::{RevokedBy, Subscribers, World};

const WHOLE: &str = r#"
tiers:
  - {name: Gold, stopOnQuotaReach: false, spikeArrest: {requests: 5, seconds: 1}, graphQL: {maxDepth: 4}}
  - {name: Gold, kind: application}
applications:
  - name: Web
    subscriber: alice
    tier: Gold
    attributes: {region: eu}
    keys:
      - {consumerKey: web-key}
      - {consumerKey: web-key, keyManager: Other, type: SANDBOX}
    apiKeys:
      - {sha256: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae, created: 2026-01-31T12:00:00Z, expires: 2030-01-31T12:00:00Z}
    workloads:
      - {spiffeId: spiffe://cluster.local/ns/web/sa/front, type: SANDBOX, scopes: [read, write]}
      - {spiffeId: spiffe://cluster.local/ns/web/sa/back}
    subscriptions:
      - {api: Pizza, version: 1.0.0, tier: Gold}
      - {apiId: "111", state: BLOCKED}
  - {name: Batch, uuid: b}
cutoffs:
  - {user: bob, before: 1800000000}
revokedTokens:
  - {jti: j, expires: 1900000000}
"#;

fn subscribers(text: &str) -> Subscribers {
    let mut subscribers = Subscribers::default();
    read("s.yaml", text.as_bytes()).unwrap().apply(&mut subscribers);
    subscribers
}

#[test]
fn a_file_becomes_tables() {
    let subscribers = subscribers(WHOLE);
    let credential = subscribers.credentials.get(&keys::credential("Resident Key Manager", "web-key")).unwrap();
    let application = subscribers.applications.get(credential.application.as_bytes()).unwrap();
    assert_eq!((application.name.as_str(), application.subscriber.as_str(), application.id), ("Web", "alice", -1));
    assert_eq!((application.tier.as_str(), application.attributes["region"].as_str()), ("Gold", "eu"));
    let other = subscribers.credentials.get(&keys::credential("Other", "web-key")).unwrap();
    assert_eq!((other.key_type, &other.application), (KeyType::Sandbox, &credential.application));
    let mut digest = [0; 32];
    hex::decode_to_slice("2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae", &mut digest).unwrap();
    let key = subscribers.credentials.get(&keys::opaque_key(&digest)).unwrap();
    assert_eq!((key.expires_at, key.issued_at), (Some(1_896_091_200), Some(1_769_860_800)));
    assert_eq!(key.key_type, KeyType::Production);
    let workload = |id: &str| subscribers.credentials.get(&keys::workload(id)).unwrap();
    let front = workload("spiffe://cluster.local/ns/web/sa/front");
    assert_eq!((&front.application, front.key_type), (&credential.application, KeyType::Sandbox));
    assert_eq!(front.scopes, ["read", "write"]);
    assert_eq!(workload("spiffe://cluster.local/ns/web/sa/back").key_type, KeyType::Production);
    let by_name = keys::subscription_by_name(&application.uuid, "Pizza", "1.0.0");
    assert_eq!(subscribers.subscriptions.get(&by_name).unwrap().tier, "Gold");
    let by_id = subscribers.subscriptions.get(&keys::subscription(&application.uuid, "111")).unwrap();
    assert_eq!((by_id.state, by_id.tier.as_str()), (SubscriptionState::Blocked, "Unlimited"));
    let gold = subscribers.tiers.get(&keys::tier(TierKind::Subscription, "Gold")).unwrap();
    assert!(!gold.stop_on_quota_reach && gold.spike_arrest.is_some() && gold.graphql.max_depth == Some(4));
    assert!(subscribers.tiers.get(&keys::tier(TierKind::Application, "Gold")).unwrap().stop_on_quota_reach);
    assert_eq!(subscribers.cutoffs.get(&keys::cutoff(CutoffKind::User, "bob")).unwrap().before, 1_800_000_000);
    assert_eq!(subscribers.revoked.len(), 1);
    assert_eq!(subscribers.applications.get(b"b").unwrap().tier, "Unlimited");
}

#[test]
fn ids_are_derived_and_stay() {
    let (first, second) = (read("s.yaml", WHOLE.as_bytes()).unwrap(), read("s.yaml", WHOLE.as_bytes()).unwrap());
    assert_eq!(first, second);
    let uuid = &first.applications[0].1.uuid;
    assert_eq!((uuid.len(), &uuid[14..15]), (36, "5"));
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    for (text, expected) in [
        ("applications: [{name: A, teir: x}]", vec!["/applications/0/teir"]),
        ("applications: [{tier: Gold}]", vec!["/applications/0/tier", "/applications/0"]),
        ("applications: [{name: A}, {name: A}]", vec!["/applications/1"]),
        (
            "applications: [{name: A, keys: [{}, {consumerKey: k, type: production}]}]",
            vec!["/applications/0/keys/0", "/applications/0/keys/1/type"],
        ),
        (
            "applications: [{name: A, keys: [{consumerKey: k}]}, {name: B, keys: [{consumerKey: k}]}]",
            vec!["/applications/1/keys/0"],
        ),
        (
            "applications: [{name: A, subscriptions: [{api: x}, {apiId: y, api: x, version: '1'}, {apiId: 7}, {}]}]",
            vec![
                "/applications/0/subscriptions/0",
                "/applications/0/subscriptions/1",
                "/applications/0/subscriptions/2/apiId",
                "/applications/0/subscriptions/3",
            ],
        ),
        (
            "applications: [{name: A, subscriptions: [{apiId: x, state: Blocked}]}]",
            vec!["/applications/0/subscriptions/0/state"],
        ),
        (
            "applications: [{name: A, apiKeys: [{sha256: secret}, {sha256: 00}]}]",
            vec!["/applications/0/apiKeys/0", "/applications/0/apiKeys/1/sha256"],
        ),
        (
            "applications: [{name: A, workloads: [{spiffeId: spiffe://td}, {scopes: [a]}, {spiffeId: spiffe://td/a, scope: a}]}]",
            vec![
                "/applications/0/workloads/0/spiffeId",
                "/applications/0/workloads/1",
                "/applications/0/workloads/2/scope",
            ],
        ),
        (
            "applications: [{name: A, workloads: [{spiffeId: spiffe://td/a}, {spiffeId: spiffe://td/a}]}]",
            vec!["/applications/0/workloads/1"],
        ),
        ("tiers: [{name: Gold, spikeArrest: {requests: 0}}]", vec!["/tiers/0/spikeArrest/requests"]),
        (
            "cutoffs: [{user: a}, {user: a, issuer: b, before: 1}, {user: a, before: soon}]",
            vec!["/cutoffs/0", "/cutoffs/1", "/cutoffs/2/before"],
        ),
        (
            "revokedTokens: [{jti: a}, {jti: b, expires: 1900000000000}]",
            vec!["/revokedTokens/0", "/revokedTokens/1/expires"],
        ),
        ("apps: []", vec!["/apps"]),
        ("[]", vec![""]),
        ("a: 1\na: 2", vec![""]),
    ] {
        let problems = read("s.yaml", text.as_bytes()).unwrap_err();
        let found: Vec<&str> = problems.errors().map(|problem| problem.pointer.as_str()).collect();
        assert_eq!(found, expected, "{text}: {problems:?}");
        assert!(problems.iter().all(|problem| problem.file == "s.yaml" && !problem.what.contains("secret")));
    }
    assert_eq!(read("s.yaml", b"").unwrap(), Document::default());
}

/// Whatever a file that was taken says, an application with a plan that does not exist is not among it.
#[test]
fn an_edit_replaces_the_file_and_not_what_others_revoked() {
    let mut subscribers = subscribers(WHOLE);
    subscribers.revoke(RevokedBy::Etcd, "of another source", 7);
    read("s.yaml", b"applications: [{name: Batch, uuid: b}]").unwrap().apply(&mut subscribers);
    assert_eq!((subscribers.applications.len(), subscribers.credentials.len(), subscribers.tiers.len()), (1, 0, 17));
    assert_eq!((subscribers.subscriptions.len(), subscribers.cutoffs.len(), subscribers.revoked.len()), (0, 0, 1));
}

#[derive(Default)]
struct Reports(std::sync::Mutex<Vec<String>>);

impl Refusals for Reports {
    fn refuse(&self, _: &str, problems: &Problems) {
        self.0.lock().unwrap().push(format!("refused {}", problems.errors().count()));
    }

    fn accept(&self, _: &str) {
        self.0.lock().unwrap().push("accepted".to_owned());
    }
}

#[tokio::test]
async fn a_broken_edit_keeps_the_last_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("subscriptions.yaml");
    std::fs::write(&path, "applications: [{name: A}]").unwrap();
    let (world, reports) = (WorldWriter::new(World::default()), Arc::new(Reports::default()));
    let file = SubscriptionsFile::open(path.clone(), world.clone(), reports.clone()).await.unwrap();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(file.run(shutdown.clone()));
    let mut worlds = world.watch();
    let applications = |world: &World| world.subscribers.applications.len();
    assert_eq!(applications(&worlds.borrow_and_update()), 1);
    std::fs::write(&path, "applications: [{nam: A}]").unwrap();
    while reports.0.lock().unwrap().is_empty() {
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(applications(&world.current()), 1);
    std::fs::write(&path, "applications: [{name: A}, {name: B}]").unwrap();
    worlds.changed().await.unwrap();
    assert_eq!(applications(&world.current()), 2);
    shutdown.cancel();
    task.await.unwrap();
    assert_eq!(*reports.0.lock().unwrap(), ["refused 2", "accepted"]);

    std::fs::remove_file(&path).unwrap();
    assert!(SubscriptionsFile::open(path, world, reports).await.is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_a_document_or_problems(bytes: Vec<u8>) {
        for file in ["s.yaml", "s.json"] {
            if let Err(problems) = read(file, &bytes) {
                prop_assert!(problems.has_errors());
            }
        }
    }
}
