//! A global adapter, which shares the APIs of API Manager among adapters: one serves its share, whatever becomes of the other.

use anyhow::{Result, ensure};
use tollgate_tests::apim::{ApiManager, Operation};
use tollgate_tests::global_adapter::GlobalAdapter;
use tollgate_tests::{ApiProject, Gateway, Settings, Topics, eventually};

use super::{GONE, OK, PETS, answers, control_plane, pets};

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
