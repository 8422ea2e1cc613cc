//! Whatever order of operations, lost messages, faults and restarts: at the end the gateway equals API Manager.
//!
//! A schedule is drawn from a seed, which a failure shows with the schedule. `TOLLGATE_CONVERGENCE_SEEDS` (numbers with
//! commas between) and `TOLLGATE_CONVERGENCE_STEPS` choose others.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use serde_json::Value;
use tollgate_tests::apim::{ApiManager, Call, Delivery, Fault, Operation, RESIDENT, SUBSCRIBER};
use tollgate_tests::{ApiProject, Gateway, RabbitMq, Settings, within};

use super::{answers, control_plane, resident, token};

const APIS: [&str; 3] = ["Ant", "Bee", "Cat"];
const APPLICATIONS: [&str; 3] = ["one", "two", "three"];
const STATES: [&str; 6] = ["UNBLOCKED", "BLOCKED", "PROD_ONLY_BLOCKED", "ON_HOLD", "REJECTED", "TIER_UPDATE_PENDING"];
const RESOURCES: [&str; 8] = [
    "applications",
    "application-key-mappings",
    "subscriptions",
    "apis",
    "runtime-artifacts",
    "keymanagers",
    "revokedjwt",
    "block",
];
/// Everything that can go wrong with an answer.
const FAULTS: [Fault; 8] = [
    Fault::Status(500),
    Fault::Status(404),
    Fault::Status(401),
    Fault::Half,
    Fault::Nonsense,
    Fault::OtherForm,
    Fault::FileMissing,
    Fault::Hang,
];
const TOKENS: u32 = 2;
/// How long it may take until the gateway is right: several reconciliations and a broker that starts.
const PATIENCE: Duration = Duration::from_secs(90);

/// One step of a schedule.
#[derive(Debug, Clone)]
enum Step {
    Do(Operation, Delivery),
    Fail(&'static str, Fault, usize),
    Release,
    Poison,
    ApiManager,
    Broker,
    Adapter,
    Envoy,
    Wait(u64),
}

struct Plant {
    gateway: Gateway,
    apim: ApiManager,
    broker: RabbitMq,
    /// What is down at the moment.
    down: [bool; 3],
}

fn project(backend: &str, name: &str, revision: u32) -> ApiProject {
    ApiProject::new(name, "1.0.0", &format!("/{}", name.to_lowercase()))
        .production(&format!("{backend}/r{revision}"))
        .secured("GET", "/pet/{petId}")
        .unsecured("GET", "/health")
}

fn api(name: &str) -> String {
    format!("{name}:1.0.0")
}

fn key(application: &str) -> String {
    format!("{application}-key")
}

fn id_of(application: &str, number: u32) -> String {
    format!("{application}-token-{number}")
}

impl Plant {
    async fn start() -> Result<Self> {
        let broker = RabbitMq::start().await?;
        let apim = ApiManager::start(&broker.url()).await?;
        let more = "\n[tollgate.controlPlane]\nreconcileInterval = 3\n";
        let extra = control_plane(&apim, &[broker.url()], &["Default"], more);
        let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await?;
        apim.perform(resident())?;
        Ok(Self { gateway, apim, broker, down: [false; 3] })
    }

    /// An operation that is possible now.
    fn operation(&self, random: &mut Rng) -> Operation {
        let state = self.apim.state();
        let (name, application) = (random.choice(APIS).unwrap(), random.choice(APPLICATIONS).unwrap());
        let api = api(name);
        let Some(held) = state.apis.get(&api) else {
            return Operation::publish(project(&self.gateway.backend.url(), name, 1));
        };
        if !state.applications.contains_key(application) {
            return Operation::application(application);
        }
        match random.u8(0..22) {
            0..4 => Operation::deploy(&api, &["Default"]),
            4 => Operation::undeploy(&api, &["Default"]),
            5 => Operation::deploy(&api, &["Elsewhere"]),
            6 => Operation::life_cycle(&api, if held.status == "BLOCKED" { "PUBLISHED" } else { "BLOCKED" }),
            7 => Operation::publish(project(&self.gateway.backend.url(), name, held.revision + 1)),
            8 if random.u8(0..4) == 0 => Operation::DeleteApi { api },
            9 if random.u8(0..3) == 0 => Operation::DeleteApplication { name: application.to_owned() },
            10..13 => Operation::keys(application, &key(application), RESIDENT),
            13 if state.keys.contains_key(&key(application)) => {
                Operation::DeleteKeys { consumer_key: key(application) }
            }
            14 if state.subscriptions.contains_key(&(application.to_owned(), api.clone())) => {
                Operation::unsubscribe(application, &api)
            }
            15 => Operation::subscription(application, &api, "Unlimited", random.choice(STATES).unwrap()),
            16 if random.u8(0..3) == 0 => Operation::revoke(&id_of(application, random.u32(1..TOKENS))),
            17 if state.blocks.contains_key(&1) => Operation::Allow { id: 1 },
            17 => Operation::deny(1, "APPLICATION", format!("{SUBSCRIBER}:{application}")),
            18 if random.bool() => match state.key_managers.contains_key(RESIDENT) {
                true => Operation::DeleteKeyManager { name: RESIDENT.to_owned() },
                false => resident(),
            },
            _ => Operation::subscribe(application, &api),
        }
    }

    fn step(&self, random: &mut Rng, breaks: &mut u32) -> Step {
        match random.u8(0..40) {
            0..2 => Step::Release,
            2 => Step::Poison,
            3..6 => Step::Fail(random.choice(RESOURCES).unwrap(), random.choice(FAULTS).unwrap(), random.usize(1..4)),
            6..8 => Step::ApiManager,
            8 if *breaks > 0 => {
                *breaks -= 1;
                Step::Broker
            }
            9 => Step::Adapter,
            10 => Step::Envoy,
            11..16 => Step::Wait(random.u64(50..500)),
            _ => {
                let delivery = match random.u8(0..10) {
                    0 => Delivery::Lost,
                    1 => Delivery::Twice,
                    2 => Delivery::Held,
                    _ => Delivery::Once,
                };
                Step::Do(self.operation(random), delivery)
            }
        }
    }

    async fn take(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Do(operation, delivery) => self.apim.deliver(operation, delivery)?,
            Step::Fail(resource, fault, times) => self.apim.fail(resource, fault, times),
            Step::Release => self.apim.release(),
            Step::Poison => self.apim.poison(),
            // What runs is killed, and what was killed comes back.
            Step::ApiManager => match self.toggled(0) {
                true => self.apim.kill(),
                false => self.apim.listen().await?,
            },
            Step::Broker => match self.toggled(1) {
                true => self.broker.kill()?,
                false => self.broker.launch()?,
            },
            Step::Adapter => match self.toggled(2) {
                true => self.gateway.adapter.kill()?,
                false => self.gateway.adapter.launch_again().await?,
            },
            Step::Envoy => self.gateway.envoy.restart()?,
            // No outcome is waited for: schedules differ in their pace, too.
            Step::Wait(milliseconds) => tokio::time::sleep(Duration::from_millis(milliseconds)).await,
        }
        Ok(())
    }

    fn toggled(&mut self, what: usize) -> bool {
        self.down[what] = !self.down[what];
        self.down[what]
    }

    /// Everything is well again.
    async fn heal(&mut self) -> Result<()> {
        self.apim.heal();
        self.apim.release();
        let [apim, broker, adapter] = std::mem::take(&mut self.down);
        if adapter {
            self.gateway.adapter.launch_again().await?;
        }
        if apim {
            self.apim.listen().await?;
        }
        if broker {
            self.broker.launch()?;
        }
        self.broker.wait().await?;
        self.gateway.adapter.wait_ready().await?;
        self.gateway.wait_ready().await
    }

    /// Every question there is, asked of the gateway and of API Manager's state.
    async fn compare(&self) -> Result<()> {
        let state = self.apim.state();
        for name in APIS {
            let (api, base) = (api(name), format!("/{}/1.0.0", name.to_lowercase()));
            for application in APPLICATIONS {
                for number in 0..TOKENS {
                    let (consumer_key, jti) = (key(application), id_of(application, number));
                    let (environment, key_manager) = ("Default", RESIDENT);
                    let call = Call { api: &api, environment, key_manager, consumer_key: &consumer_key, jti: &jti };
                    let (path, bearer) = (format!("{base}/pet/5"), token(&consumer_key, &jti));
                    answers(&self.gateway, &path, Some(&bearer), state.verdict(call)).await.context(jti)?;
                }
            }
            let answer = self.gateway.get(&format!("{base}/health"), None).await?;
            let wanted = state.deployed(&api, "Default");
            let blocked = state.apis.get(&api).is_some_and(|api| api.status == "BLOCKED");
            let expected = if wanted.is_none() {
                404
            } else if blocked {
                503
            } else {
                200
            };
            ensure!(answer.status.as_u16() == expected, "{name} health answers {} {}", answer.status, answer.body);
            if expected == 200 {
                let path = Value::from(format!("{}/health", self.marker(&api)));
                ensure!(answer.json()["path"] == path, "{name} is at {}, not at {path}", answer.body);
            }
        }
        Ok(())
    }

    /// Which backend the revision that is deployed names.
    fn marker(&self, api: &str) -> String {
        let state = self.apim.state();
        let archive = state.apis[api].deployments["Default"].archive.clone();
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
        let index = (0..zip.len())
            .find(|index| zip.name_for_index(*index).unwrap().unwrap().ends_with("swagger.yaml"))
            .unwrap();
        let text = std::io::read_to_string(zip.by_index(index).unwrap()).unwrap();
        let definition: Value = serde_json::from_str(&text).unwrap();
        let url = definition["x-wso2-production-endpoints"]["urls"][0].as_str().unwrap();
        url.trim_start_matches(&self.gateway.backend.url()).to_owned()
    }
}

fn numbers(variable: &str, usual: &[u64]) -> Vec<u64> {
    match std::env::var(variable) {
        Err(_) => usual.to_vec(),
        Ok(text) => text.split(',').map(|number| number.trim().parse().expect("a number")).collect(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_equal_api_manager_after_any_schedule() {
    let steps = numbers("TOLLGATE_CONVERGENCE_STEPS", &[40])[0];
    let mut plant = Plant::start().await.unwrap();
    for seed in numbers("TOLLGATE_CONVERGENCE_SEEDS", &[1, 2]) {
        let mut random = Rng::with_seed(seed);
        // A broker takes long to start.
        let mut breaks = 2;
        println!("seed {seed}, {steps} steps");
        for number in 0..steps {
            let step = plant.step(&mut random, &mut breaks);
            let shown = format!("{step:?}");
            println!("{number}: {}", shown.chars().take(160).collect::<String>());
            plant.take(step).await.unwrap();
        }
        plant.heal().await.unwrap();
        let what = format!("after seed {seed} the gateway equals API Manager");
        within(PATIENCE, &what, async || plant.compare().await).await.unwrap();
        // And it stays so.
        plant.compare().await.unwrap();
    }
    assert_eq!(plant.apim.complaints(), Vec::<String>::new());
}
