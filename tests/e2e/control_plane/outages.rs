//! Whatever is away, comes back, gets lost or makes no sense: the gateway has what API Manager has in the end.

use anyhow::ensure;
use serde_json::Value;
use tollgate_tests::apim::{ApiManager, Delivery, Fault, Operation, RESIDENT, SUBSCRIBER};
use tollgate_tests::{Gateway, RabbitMq, Settings, eventually};

use super::{GONE, INVALID, NOT_SUBSCRIBED, OK, PET, PETS, Plant, answers, control_plane, token, usual};

const QUICK: &str = "\n[tollgate.controlPlane]\nreconcileInterval = 2\n";

#[tokio::test]
async fn lost_doubled_late_and_poisoned_messages_leave_nothing_wrong() {
    let mut plant = Plant::with(QUICK).await;
    plant.apim.all(usual(&plant.backend())).unwrap();
    let web = token("web-key", "web");
    let web = Some(web.as_str());
    plant.apim.deliver(Operation::subscribe("web", PETS), Delivery::Twice).unwrap();
    plant.soon("a subscription told twice", PET, web, OK).await;

    plant.apim.poison();
    plant.then(Operation::subscription("web", PETS, "Unlimited", "BLOCKED"), PET, web, (401, "900907")).await;
    let counted = async || {
        let status = plant.gateway.adapter.status().await?;
        ensure!(status["controlPlane"]["poison"].as_u64() > Some(0), "{}", status["controlPlane"]);
        Ok(())
    };
    eventually("the status counts what nobody understands", counted).await.unwrap();

    // Told in the wrong order: what is newer counts.
    plant.apim.deliver(Operation::subscription("web", PETS, "Unlimited", "ON_HOLD"), Delivery::Held).unwrap();
    plant.apim.deliver(Operation::subscription("web", PETS, "Unlimited", "UNBLOCKED"), Delivery::Held).unwrap();
    plant.apim.release();
    plant.soon("the newer of two messages counts", PET, web, OK).await;

    // Never told.
    plant.apim.deliver(Operation::unsubscribe("web", PETS), Delivery::Lost).unwrap();
    plant.soon("what was never told is found", PET, web, NOT_SUBSCRIBED).await;
    plant.apim.deliver(Operation::undeploy(PETS, &["Default"]), Delivery::Lost).unwrap();
    plant.soon("an API that is gone without a word", PET, web, GONE).await;
    plant.apim.deliver(Operation::deploy(PETS, &["Default"]), Delivery::Lost).unwrap();
    plant.soon("an API that is there without a word", PET, web, NOT_SUBSCRIBED).await;
    plant.gateway.adapter.check_running().unwrap();
    assert_eq!(plant.apim.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn answers_that_are_none_wipe_nothing_and_are_asked_again() {
    let mut plant = Plant::with(QUICK).await;
    plant.apim.all(usual(&plant.backend())).unwrap();
    let web = token("web-key", "web");
    let web = Some(web.as_str());
    plant.then(Operation::subscribe("web", PETS), PET, web, OK).await;
    // Of every list something that keeps somebody out, which no fault may take away.
    let leaked = token("web-key", "leaked");
    plant.then(Operation::revoke("leaked"), PET, Some(&leaked), INVALID).await;
    plant.perform(Operation::application("banned"));
    plant.perform(Operation::keys("banned", "banned-key", RESIDENT));
    plant.perform(Operation::subscribe("banned", PETS));
    let banned = token("banned-key", "banned");
    let denied = (403, "900805");
    plant.then(Operation::deny(1, "APPLICATION", format!("{SUBSCRIBER}:banned")), PET, Some(&banned), denied).await;
    let faults = [
        Fault::Status(500),
        Fault::Status(403),
        Fault::Status(404),
        Fault::Half,
        Fault::Nonsense,
        Fault::OtherForm,
        Fault::FileMissing,
    ];
    for fault in faults {
        plant.apim.fail("", fault, usize::MAX);
        let reported = async || {
            let status = plant.gateway.adapter.status().await?;
            let sources = status["controlPlane"]["sources"].as_object().cloned().unwrap_or_default();
            let tells = |source: &Value| !source["error"].is_null() || source["refused"].as_u64() > Some(0);
            ensure!(sources.values().any(tells), "{}", status["controlPlane"]);
            Ok(())
        };
        eventually(&format!("the status tells of {fault:?}"), reported).await.unwrap();
        plant.answers(PET, web, OK).await.unwrap();
        plant.answers(PET, Some(&leaked), INVALID).await.unwrap();
        plant.answers(PET, Some(&banned), denied).await.unwrap();
        plant.apim.heal();
        let recovered = async || {
            let status = plant.gateway.adapter.status().await?;
            let sources = status["controlPlane"]["sources"].as_object().cloned().unwrap_or_default();
            let well = |source: &Value| source["error"].is_null() && source["refused"] == 0;
            ensure!(sources.values().all(well), "{}", status["controlPlane"]);
            Ok(())
        };
        eventually(&format!("the status forgets {fault:?}"), recovered).await.unwrap();
        plant.answers(PET, web, OK).await.unwrap();
    }
    // What happened meanwhile arrives, also when its own archive breaks twice.
    plant.apim.fail("runtime-artifacts", Fault::Half, 2);
    plant.perform(Operation::publish(super::pets(&plant.backend(), 2).unsecured("GET", "/news")));
    plant.then(Operation::deploy(PETS, &["Default"]), "/pets/1.0.0/news", None, OK).await;
    plant.apim.fail("runtime-artifacts", Fault::Hang, 1);
    plant.then(Operation::undeploy(PETS, &["Default"]), PET, web, GONE).await;
    plant.gateway.adapter.check_running().unwrap();
}

#[tokio::test]
async fn the_last_good_state_outlives_api_manager_and_the_broker() {
    let mut broker = RabbitMq::start().await.unwrap();
    let mut apim = ApiManager::start(&broker.url()).await.unwrap();
    let extra = control_plane(&apim, &[broker.url()], &["Default"], QUICK);
    let mut gateway = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
    apim.all(usual(&gateway.backend.url())).unwrap();
    apim.perform(Operation::subscribe("web", PETS)).unwrap();
    apim.perform(Operation::revoke("leaked")).unwrap();
    let (web, leaked) = (token("web-key", "web"), token("web-key", "leaked"));
    eventually("all is there", async || answers(&gateway, PET, Some(&web), OK).await).await.unwrap();
    eventually("and revoked", async || answers(&gateway, PET, Some(&leaked), INVALID).await).await.unwrap();

    broker.kill().unwrap();
    apim.kill();
    answers(&gateway, PET, Some(&web), OK).await.unwrap();
    // The adapter comes back alone, and a gateway that starts then works.
    gateway.adapter.kill().unwrap();
    gateway.adapter.start_again().await.unwrap();
    let ready = gateway.adapter.ready().await.unwrap();
    assert_eq!(ready.json()["controlPlane"]["state"], "stale", "{}", ready.body);
    gateway.envoy.restart().unwrap();
    gateway.wait_ready().await.unwrap();
    answers(&gateway, PET, Some(&web), OK).await.unwrap();
    answers(&gateway, PET, Some(&leaked), INVALID).await.unwrap();

    // Meanwhile things happen, silently; API Manager returns before its broker.
    apim.silently(Operation::application("late")).unwrap();
    apim.silently(Operation::keys("late", "late-key", RESIDENT)).unwrap();
    apim.silently(Operation::subscribe("late", PETS)).unwrap();
    apim.silently(Operation::unsubscribe("web", PETS)).unwrap();
    apim.listen().await.unwrap();
    broker.start_again().await.unwrap();
    let late = token("late-key", "late");
    eventually("it has caught up", async || answers(&gateway, PET, Some(&late), OK).await).await.unwrap();
    eventually("in everything", async || answers(&gateway, PET, Some(&web), NOT_SUBSCRIBED).await).await.unwrap();
    apim.perform(Operation::subscribe("web", PETS)).unwrap();
    eventually("messages flow again", async || answers(&gateway, PET, Some(&web), OK).await).await.unwrap();
    let live = async || {
        let ready = gateway.adapter.ready().await?;
        ensure!(ready.json()["controlPlane"]["state"] == "live", "{}", ready.body);
        Ok(())
    };
    eventually("it says so", live).await.unwrap();
    assert_eq!(apim.complaints(), Vec::<String>::new());
}
