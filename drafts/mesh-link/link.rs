//! Proxies reach the adapter by the mesh's own mutual TLS, as `adapter render --link mesh` has it: its sidecar judges who asks, and
//! hands the feed to the adapter on loopback.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tollgate_tests::{eventually, locate};

use super::identities::Identity;
use super::proxies::{Extension, Proxy, Shape, local, plugin, service};
use super::{HOST, Mesh, PLUGIN, PORT, answers, call, healthy};

const ADAPTER: &str = "tollgate-adapter.tollgate.svc.cluster.local";
const FEED: u16 = 8_083;

/// What istiod makes of the rendered `AuthorizationPolicy`: everybody is denied but these.
fn only(identity: &Identity) -> Value {
    let known = json!({ "authenticated": { "principal_name": { "exact": identity.id } } });
    let policy = json!({ "permissions": [{ "any": true }], "principals": [{ "not_id": known }] });
    json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": { "action": "DENY", "policies": { "ns[tollgate]-policy[tollgate-adapter]-rule[0]": policy } },
        },
    })
}

/// The sidecar of an application, whose enforcer asks the adapter through the adapter's own sidecar.
fn sidecar(mesh: &Mesh, own: &Identity, adapter: &Identity, front: &Proxy) -> Result<Proxy> {
    let folder = mesh.folder(own.id.rsplit('/').next().unwrap_or_default());
    std::fs::create_dir_all(&folder)?;
    let extension = Extension::new(&folder, PLUGIN)?;
    let configuration = Mesh::configuration(&format!("outbound|{FEED}||{ADAPTER}"));
    extension.set(&plugin(PLUGIN, "enforcer", &local(&locate::module()?), &configuration))?;
    let mut shape = Shape::new(folder);
    shape.filters = vec![extension.filter()];
    shape.clusters = vec![service(ADAPTER, FEED, front.port, &own.upstream(adapter, ADAPTER, FEED))];
    shape.inbound(own, PORT, mesh.application()?)
}

#[tokio::test]
async fn the_mesh_decides_who_may_ask_the_adapter() -> Result<()> {
    let mesh = Mesh::start("applications: []").await?;
    let identity = |namespace, account| mesh.authority.identity(namespace, account);
    let (adapter, reviews, evil) =
        (identity("tollgate", "adapter")?, identity("default", "reviews")?, identity("default", "evil")?);
    let mut shape = Shape::new(mesh.folder("adapter"));
    shape.filters = vec![only(&reviews)];
    let front = shape.inbound(&adapter, FEED, mesh.feed.number())?;

    let page = identity("shop", "page")?;
    let calling = |of: &Identity, at: u16, name: &str| {
        Shape::new(mesh.folder(name)).outbound(&[HOST], service(HOST, PORT, at, &page.upstream(of, HOST, PORT)))
    };
    let known = sidecar(&mesh, &reviews, &adapter, &front)?;
    let page_to_known = calling(&reviews, known.port, "page-to-reviews")?;
    answers(&page_to_known, HOST, "/reviews/1.0.0/health", 200).await?;
    let refused = call(&page_to_known, Method::GET, HOST, "/reviews/1.0.0/7", &[]).await?;
    assert_eq!(refused.status, 401, "{}", refused.body);
    healthy(&known)?;

    // The other one gets no rules, lets nothing through, and says so.
    let unknown = sidecar(&mesh, &evil, &adapter, &front)?;
    let page_to_unknown = calling(&evil, unknown.port, "page-to-evil")?;
    eventually("the adapter's sidecar has refused", async || {
        let denied = front.envoy.stats("http.inbound_0.0.0.0_8083.rbac.denied")?;
        ensure!(denied.iter().any(|(_, count)| *count > 0), "{denied:?}");
        Ok(())
    })
    .await?;
    mesh.application.forget();
    let answer = call(&page_to_unknown, Method::GET, HOST, "/reviews/1.0.0/health", &[]).await?;
    assert!(answer.status.is_server_error(), "{} {}", answer.status, answer.body);
    assert_eq!(mesh.application.count(), 0);
    healthy(&unknown)
}
