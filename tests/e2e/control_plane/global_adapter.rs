//! A global adapter, which shares the APIs of API Manager among adapters: one serves its share, whatever becomes of the other.

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tollgate_model::Algorithm;
use tollgate_tests::apim::{ApiManager, KeyManager, Operation, RESIDENT, certificate_of};
use tollgate_tests::global_adapter::GlobalAdapter;
use tollgate_tests::token::{Claims, KeyPair};
use tollgate_tests::{ApiProject, Gateway, Settings, Topics, eventually};

use super::throttling::daily;
use super::{GONE, INVALID, NOT_SUBSCRIBED, OK, PET, PETS, answers, control_plane, pets, resident, token};

const DOGS: &str = "Dogs:1.0.0";
const CATS: &str = "Cats:1.0.0";
const PETS_PATH: &str = "/pets/1.0.0/health";
const DOGS_PATH: &str = "/dogs/1.0.0/health";
const CATS_PATH: &str = "/cats/1.0.0/health";

struct Shared {
    gateway: Gateway,
    apim: ApiManager,
    global: GlobalAdapter,
    _topics: Topics,
}

impl Shared {
    /// An adapter whose global adapter is not there yet, while API Manager has two APIs deployed.
    async fn launch() -> Self {
        let topics = Topics::shared().await.unwrap();
        let apim = ApiManager::start(&topics.url()).await.unwrap();
        let global = GlobalAdapter::stopped().unwrap();
        let extra = control_plane(&apim, &[topics.url()], &["Default"], &global.config("west"));
        let gateway = Gateway::launch(Settings { extra, unready: true, ..Settings::default() }).await.unwrap();
        let backend = gateway.backend.url();
        let deployed = [
            Operation::publish(pets(&backend, 1)),
            Operation::deploy(PETS, &["Default"]),
            Operation::publish(animals("Dogs", &backend)),
            Operation::deploy(DOGS, &["Default"]),
        ];
        apim.all_silently(deployed).unwrap();
        Self { gateway, apim, global, _topics: topics }
    }

    /// What a global adapter says of an API.
    fn entry(&self, api: &str) -> (String, String) {
        let api = self.apim.state().apis[api].clone();
        (api.uuid, api.deployments["Default"].revision_uuid.clone())
    }

    async fn listen(&mut self) {
        self.global.listen(self.gateway.adapter.state()).await.unwrap();
    }

    async fn answers(&self, path: &str, expected: (u16, &str)) {
        let answered = async || answers(&self.gateway, path, None, expected).await;
        eventually(&format!("{path} answers {expected:?}"), answered).await.unwrap();
    }

    async fn reaches(&self, backend: &str) {
        let reached = async || {
            let answer = self.gateway.get(PETS_PATH, None).await?;
            ensure!(answer.json()["path"] == backend, "{} {}", answer.status, answer.body);
            Ok(())
        };
        eventually(&format!("the gateway reaches {backend}"), reached).await.unwrap();
    }

    /// Waits for what the status says of the global adapter.
    async fn is_said(&self, part: &str) {
        let said = async || -> Result<()> {
            let plane = self.gateway.adapter.status().await?["controlPlane"].clone();
            let text = format!("{} {}", plane["state"], plane["sources"]["globalAdapter"]);
            ensure!(text.to_lowercase().contains(part), "{text}");
            Ok(())
        };
        eventually(&format!("the status says {part}"), said).await.unwrap();
    }

    /// Whether an API was asked for by itself.
    fn asked_for(&self, api: &str) -> bool {
        let question = ("apiId".to_owned(), self.apim.state().apis[api].uuid.clone());
        self.apim.asked().iter().any(|asking| asking.query.contains(&question))
    }

    fn judge(&self) {
        assert_eq!(self.apim.complaints(), Vec::<String>::new());
        let everybodys = ("organizationId".to_owned(), "ALL".to_owned());
        let asked = self.apim.asked();
        assert_eq!(asked.iter().find(|asking| !asking.query.contains(&everybodys)), None);
        let whole = asked.iter().find(|asking| {
            asking.path.ends_with("/runtime-artifacts") && asking.query.iter().all(|(name, _)| name != "apiId")
        });
        assert_eq!(whole, None, "nobody asks for the APIs of others");
        assert!(self.global.heard().iter().all(|heard| heard.label == "west"));
    }
}

fn animals(name: &str, backend: &str) -> ApiProject {
    ApiProject::new(name, "1.0.0", &format!("/{}", name.to_lowercase())).production(backend).unsecured("GET", "/health")
}

#[tokio::test]
async fn an_adapter_serves_what_its_list_says() {
    let mut plant = Shared::launch().await;
    plant.apim.is_asked_for("/block").await.unwrap();
    let ready = plant.gateway.adapter.ready().await.unwrap();
    assert_eq!((ready.status.as_u16(), ready.json()["controlPlane"]["state"].as_str()), (503, Some("connecting")));

    let (pets_entry, dogs) = (plant.entry(PETS), plant.entry(DOGS));
    let first = plant.global.tell(std::slice::from_ref(&pets_entry));
    plant.listen().await;
    plant.answers(PETS_PATH, OK).await;
    plant.answers(DOGS_PATH, GONE).await;
    let acknowledged = |version: &str| {
        let version = version.to_owned();
        move |heard: &tollgate_tests::global_adapter::Heard| {
            heard.version == version && heard.nonce == format!("nonce {version}") && heard.error.is_none()
        }
    };
    plant.global.hears("the list is acknowledged", acknowledged(&first)).await.unwrap();
    plant.is_said("live").await;
    plant.apim.is_asked_for("/retrieve-api-artifacts").await.unwrap();

    plant.global.tell(&[pets_entry.clone(), dogs.clone()]);
    plant.answers(DOGS_PATH, OK).await;

    // Messages about APIs say nothing but where they are in their lives.
    let backend = plant.gateway.backend.url();
    plant.apim.perform(Operation::publish(animals("Cats", &backend))).unwrap();
    plant.apim.perform(Operation::deploy(CATS, &["Default"])).unwrap();
    plant.apim.perform(Operation::publish(pets(&backend, 2))).unwrap();
    plant.apim.perform(Operation::deploy(PETS, &["Default"])).unwrap();
    plant.apim.perform(Operation::life_cycle(DOGS, "BLOCKED")).unwrap();
    plant.answers(DOGS_PATH, (503, "700700")).await;
    plant.answers(CATS_PATH, GONE).await;
    assert!(!plant.asked_for(CATS) && !plant.asked_for(PETS));
    plant.apim.perform(Operation::life_cycle(DOGS, "PUBLISHED")).unwrap();

    let pets_entry = plant.entry(PETS);
    plant.global.tell(&[pets_entry.clone(), dogs]);
    plant.reaches("/r2/health").await;
    assert!(plant.asked_for(PETS));
    let last = plant.global.tell(&[pets_entry]);
    plant.answers(DOGS_PATH, GONE).await;
    plant.answers(PETS_PATH, OK).await;
    plant.global.hears("the list is acknowledged", acknowledged(&last)).await.unwrap();

    // A list that cannot be read changes nothing, and is refused with a reason.
    let nonsense = plant.global.tell_nonsense();
    let refused = |heard: &tollgate_tests::global_adapter::Heard| {
        let reason = heard.error.as_deref().unwrap_or_default();
        heard.version == last && heard.nonce == format!("nonce {nonsense}") && reason.contains("entry 0")
    };
    plant.global.hears("the list is refused", refused).await.unwrap();
    plant.is_said("a list is refused: entry 0").await;
    plant.answers(PETS_PATH, OK).await;
    plant.judge();
}

#[tokio::test]
async fn nothing_is_lost_while_a_global_adapter_is_away() {
    let mut plant = Shared::launch().await;
    let (pets, dogs) = (plant.entry(PETS), plant.entry(DOGS));
    let first = plant.global.tell(std::slice::from_ref(&pets));
    plant.listen().await;
    plant.answers(PETS_PATH, OK).await;
    plant.is_said("live").await;

    // What changes meanwhile is made good; nobody asks for what is known already.
    plant.global.kill();
    plant.is_said("stale").await;
    plant.answers(PETS_PATH, OK).await;
    let before = plant.global.heard().len();
    plant.global.tell(&[pets, dogs.clone()]);
    plant.listen().await;
    plant.answers(DOGS_PATH, OK).await;
    plant.answers(PETS_PATH, OK).await;
    let opening = plant.global.heard().into_iter().nth(before).unwrap();
    assert_eq!((opening.version, opening.nonce), (first, String::new()));
    plant.is_said("live").await;

    // An adapter that starts without it serves what it had, until it is told otherwise.
    plant.global.kill();
    plant.gateway.adapter.kill().unwrap();
    plant.global.tell(&[dogs]);
    plant.gateway.adapter.start_again().await.unwrap();
    plant.is_said("no connection").await;
    plant.answers(PETS_PATH, OK).await;
    plant.listen().await;
    plant.answers(PETS_PATH, GONE).await;
    plant.answers(DOGS_PATH, OK).await;

    // Who has another name is not believed.
    let rename = |extra: &str| extra.replace("overrideHostName = 'router'", "overrideHostName = 'elsewhere'");
    plant.gateway.reconfigure_adapter(|config| config.extra = rename(&config.extra)).await.unwrap();
    plant.is_said("certificate").await;
    plant.answers(DOGS_PATH, OK).await;
    plant.judge();
}

const FOO: &str = "foo.com";
const FOO_PET: &str = "/t/foo.com/pets/1.0.0/pet/5";
const FOO_ISSUER: &str = "https://apim.test/t/foo.com/oauth2/token";

/// What a tenant has: all of it has the same names as what another one has.
fn tenant(api: ApiProject, key_manager: Operation, consumer_key: &str, requests_a_day: u64) -> Vec<Operation> {
    vec![
        key_manager,
        Operation::SubscriptionPolicy { name: "Few".to_owned(), policy: daily(requests_a_day) },
        Operation::publish(api),
        Operation::deploy(PETS, &["Default"]),
        Operation::application("web"),
        Operation::keys("web", consumer_key, RESIDENT),
        Operation::subscription("web", PETS, "Few", "UNBLOCKED"),
    ]
}

#[tokio::test]
async fn tenants_share_an_adapter_and_none_gets_what_is_of_another() {
    let mut plant = Shared::launch().await;
    let backend = plant.gateway.backend.url();
    plant.apim.all_silently(tenant(pets(&backend, 1), resident(), "web-key", 4000)).unwrap();
    let ours = plant.entry(PETS);
    plant.apim.switch_tenant(FOO);
    let keys = KeyPair::generate("foo").unwrap();
    let pem = STANDARD.encode(certificate_of(&keys).unwrap());
    let key_manager = KeyManager::of(FOO_ISSUER, &json!({"certificate_type": "PEM", "certificate_value": pem}));
    let key_manager = || Operation::key_manager(RESIDENT, key_manager.clone());
    let api = ApiProject::new("Pets", "1.0.0", "/t/foo.com/pets").production(&backend).secured("GET", "/pet/{petId}");
    plant.apim.all_silently(tenant(api, key_manager(), "foo-key", 3)).unwrap();
    let theirs = plant.entry(PETS);
    plant.global.tell(&[ours, theirs]);
    plant.listen().await;

    let web = token("web-key", "web");
    let of_foo = |jti: &str| {
        let claims = Claims::of(FOO_ISSUER).with("azp", "foo-key").with("jti", jti).without("keytype");
        keys.sign(Algorithm::RS256, &claims)
    };
    let foo = of_foo("foo");
    let gateway = &plant.gateway;
    let soon = async |path: &str, token: &str, expected: (u16, &str)| {
        let answered = async || answers(gateway, path, Some(token), expected).await;
        eventually(&format!("{path} answers {expected:?}"), answered).await.unwrap();
    };
    soon(PET, &web, OK).await;
    soon(FOO_PET, &foo, (429, "900804")).await;
    // The plan of the same name is another one here, and so is everything else.
    for _ in 0..3 {
        answers(gateway, PET, Some(&web), OK).await.unwrap();
    }
    answers(gateway, PET, Some(&foo), NOT_SUBSCRIBED).await.unwrap();
    answers(gateway, FOO_PET, Some(&web), NOT_SUBSCRIBED).await.unwrap();

    // Messages of both are heard, and each is about its own tenant.
    plant.apim.perform(Operation::SubscriptionPolicy { name: "Few".to_owned(), policy: daily(4000) }).unwrap();
    soon(FOO_PET, &foo, OK).await;
    plant.apim.perform(Operation::revoke("leaked")).unwrap();
    soon(FOO_PET, &of_foo("leaked"), INVALID).await;
    let here = json!({"fixedIp": "127.0.0.1", "invert": false});
    plant.apim.perform(Operation::deny(1_000_001, "IP", here)).unwrap();
    soon(FOO_PET, &foo, (403, "900805")).await;
    answers(gateway, PET, Some(&web), OK).await.unwrap();
    plant.apim.perform(Operation::Allow { id: 1_000_001 }).unwrap();
    soon(FOO_PET, &foo, OK).await;
    plant.apim.perform(Operation::DeleteKeyManager { name: RESIDENT.to_owned() }).unwrap();
    soon(FOO_PET, &foo, (401, "")).await;
    answers(gateway, PET, Some(&web), OK).await.unwrap();
    plant.apim.perform(key_manager()).unwrap();
    soon(FOO_PET, &foo, OK).await;

    // And so it is kept.
    plant.apim.kill();
    plant.gateway.adapter.kill().unwrap();
    plant.gateway.adapter.start_again().await.unwrap();
    plant.gateway.envoy.restart().unwrap();
    plant.gateway.wait_ready().await.unwrap();
    answers(&plant.gateway, FOO_PET, Some(&foo), OK).await.unwrap();
    answers(&plant.gateway, PET, Some(&web), OK).await.unwrap();
    answers(&plant.gateway, FOO_PET, Some(&web), NOT_SUBSCRIBED).await.unwrap();
    plant.apim.listen().await.unwrap();
    plant.judge();
}
