//! Revoked tokens: told in real time, and remembered by API Manager for gateways that come later.

use tollgate_tests::apim::{Delivery, Operation};

use super::{INVALID, OK, PET, PETS, Plant, token, usual};

#[tokio::test]
async fn a_revoked_token_is_refused_at_once_and_after_every_restart() {
    let mut plant = Plant::with("\n[tollgate.controlPlane]\nreconcileInterval = 2\n").await;
    plant.apim.all(usual(&plant.backend())).unwrap();
    let [good, leaked, lost, away] = ["good", "leaked", "lost", "away"].map(|jti| token("web-key", jti));
    plant.then(Operation::subscribe("web", PETS), PET, Some(&leaked), OK).await;
    plant.then(Operation::revoke("leaked"), PET, Some(&leaked), INVALID).await;
    plant.answers(PET, Some(&good), OK).await.unwrap();

    // Whose message is lost is found by looking again.
    plant.apim.deliver(Operation::revoke("lost"), Delivery::Lost).unwrap();
    plant.soon("the lost revocation is found", PET, Some(&lost), INVALID).await;

    // Revoked while the adapter is away; what was revoked before stays so meanwhile.
    plant.gateway.adapter.kill().unwrap();
    plant.perform(Operation::revoke("away"));
    plant.answers(PET, Some(&leaked), INVALID).await.unwrap();
    plant.gateway.adapter.start_again().await.unwrap();
    plant.soon("the adapter has caught up", PET, Some(&away), INVALID).await;
    plant.answers(PET, Some(&leaked), INVALID).await.unwrap();

    // A gateway that starts later.
    plant.gateway.envoy.restart().unwrap();
    plant.gateway.wait_ready().await.unwrap();
    for revoked in [&leaked, &lost, &away] {
        plant.answers(PET, Some(revoked), INVALID).await.unwrap();
    }
    plant.answers(PET, Some(&good), OK).await.unwrap();
    plant.judge();
}
