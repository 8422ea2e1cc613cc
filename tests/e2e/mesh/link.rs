//! Proxies reach the adapter by the mesh's own mutual TLS: what `adapter render --link mesh` writes, as istiod translates it. The
//! adapter's sidecar judges who asks, and hands the feed to the adapter on loopback.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tollgate_tests::program::adapter as run;
use tollgate_tests::{locate, within};

use super::identities::{Identity, TRUST_DOMAIN};
use super::proxies::{Extension, Proxy, Shape, http2, local, plain, plugin, service};
use super::{HOST, Mesh, PATIENCE, PLUGIN, PORT, answers, call, healthy, log};
use crate::install::schemas::{documents, title};

const HEALTH: &str = "/reviews/1.0.0/health";

/// What is rendered for the proxies of `reviews`.
struct Link(Vec<Value>);

impl Link {
    /// For an adapter whose configuration has that feed.
    fn rendered(mesh: &Mesh) -> Result<Self> {
        let config = mesh.folder("rendered.toml");
        let feed = mesh.mesh_feed.number();
        std::fs::write(&config, format!("{}[tollgate.listen]\nmeshFeed = {feed}\n", mesh.events.config()))
            .context("writing the configuration")?;
        let config = config.display().to_string();
        let arguments = "render --target istio-ext --delivery file --inbound --link mesh --caller default/reviews \
                         --proxy-namespace default --selector app=reviews --config";
        let arguments: Vec<&str> = arguments.split_whitespace().chain([&*config]).collect();
        Ok(Self(documents(&run(mesh.folder.path(), &[], &arguments)?)))
    }

    fn spec(&self, wanted: &str) -> &Value {
        let found = self.0.iter().find(|document| title(document) == wanted);
        &found.unwrap_or_else(|| panic!("no {wanted}"))["spec"]
    }

    fn host(&self) -> &str {
        self.spec("DestinationRule tollgate-adapter")["host"].as_str().unwrap_or_default()
    }

    /// The port of the service, to which the mesh's own certificates are shown.
    fn port(&self) -> u16 {
        let setting = &self.spec("DestinationRule tollgate-adapter")["trafficPolicy"]["portLevelSettings"][0];
        assert_eq!(setting["tls"]["mode"], "ISTIO_MUTUAL");
        number(&setting["port"]["number"])
    }

    /// The filter of the `AuthorizationPolicy` in the adapter's sidecar.
    fn authorization(&self) -> Value {
        let rule = &self.spec("AuthorizationPolicy tollgate-adapter")["rules"][0];
        assert_eq!(self.spec("AuthorizationPolicy tollgate-adapter")["action"], "DENY");
        let permissions: Vec<Value> = list(&rule["to"][0]["operation"]["ports"])
            .map(|port| json!({ "destination_port": port.as_str().and_then(|port| port.parse::<u16>().ok()) }))
            .collect();
        assert_eq!(permissions, [json!({ "destination_port": self.port() })]);
        let known: Vec<Value> = list(&rule["from"][0]["source"]["notPrincipals"])
            .map(|name| {
                let id = format!("spiffe://{}", name.as_str().unwrap_or_default());
                json!({ "authenticated": { "principal_name": { "exact": id } } })
            })
            .collect();
        // Ports of the Service are those of the workload; the port that the test listens on is another.
        let policy =
            json!({ "permissions": [{ "any": true }], "principals": [{ "not_id": { "or_ids": { "ids": known } } }] });
        json!({
            "name": "envoy.filters.http.rbac",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
                "rules": { "action": "DENY", "policies": { "ns[tollgate]-policy[tollgate-adapter]-rule[0]": policy } },
            },
        })
    }

    /// The adapter's sidecar, with the ingress of the `Sidecar`.
    fn front(&self, mesh: &Mesh, adapter: &Identity) -> Result<Proxy> {
        let ingress = &self.spec("Sidecar tollgate-adapter")["ingress"][0];
        let behind = ingress["defaultEndpoint"].as_str().and_then(|endpoint| endpoint.strip_prefix("127.0.0.1:"));
        let port = number(&ingress["port"]["number"]);
        assert_eq!(
            self.spec("PeerAuthentication tollgate-adapter")["portLevelMtls"][port.to_string()]["mode"],
            "STRICT"
        );
        let mut shape = Shape::new(mesh.folder("adapter-sidecar"));
        shape.filters = vec![self.authorization()];
        assert_eq!(ingress["port"]["protocol"], "HTTP2");
        let behind = behind.context("the endpoint is not on loopback")?.parse()?;
        shape.inbound_to(adapter, port, |cluster| http2(plain(cluster, behind)))
    }

    /// The sidecar of an application, whose enforcer asks the adapter through the adapter's own sidecar.
    fn sidecar(&self, mesh: &Mesh, own: &Identity, adapter: &Identity, front: &Proxy) -> Result<Proxy> {
        let folder = mesh.folder(own.id.rsplit('/').next().unwrap_or_default());
        std::fs::create_dir_all(&folder)?;
        let extension = Extension::new(&folder, PLUGIN)?;
        let configuration = &self.spec("TrafficExtension tollgate-enforcer")["wasm"]["pluginConfig"];
        extension.set(&plugin(PLUGIN, "enforcer", &local(&locate::module()?), configuration))?;
        let mut shape = Shape::new(folder);
        shape.filters = vec![extension.filter()];
        let transport = own.upstream(adapter, self.host(), self.port());
        shape.clusters = vec![http2(service(self.host(), self.port(), front.port, &transport))];
        let merged = &self.spec("EnvoyFilter tollgate-analytics")["configPatches"][0]["patch"]["value"];
        shape.access_logs.extend(list(&merged["typed_config"]["access_log"]).cloned());
        shape.inbound(own, PORT, mesh.application()?)
    }
}

fn number(value: &Value) -> u16 {
    value.as_u64().and_then(|number| u16::try_from(number).ok()).unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[tokio::test]
async fn the_mesh_decides_who_may_ask_the_adapter() -> Result<()> {
    let mesh = Mesh::start("applications: []").await?;
    let link = Link::rendered(&mesh)?;
    let identity = |namespace, account| mesh.authority.identity(namespace, account);
    let (adapter, reviews, evil) =
        (identity("tollgate", "adapter")?, identity("default", "reviews")?, identity("default", "evil")?);
    assert!(reviews.id.starts_with(&format!("spiffe://{TRUST_DOMAIN}/")));
    let front = link.front(&mesh, &adapter)?;
    let page = identity("shop", "page")?;
    let calling = |of: &Identity, at: u16, name: &str| {
        Shape::new(mesh.folder(name)).outbound(&[HOST], service(HOST, PORT, at, &page.upstream(of, HOST, PORT)))
    };
    let known = link.sidecar(&mesh, &reviews, &adapter, &front)?;
    let page_to_known = calling(&reviews, known.port, "page-to-reviews")?;
    answers(&page_to_known, HOST, HEALTH, 200).await?;
    let refused = call(&page_to_known, Method::GET, HOST, "/reviews/1.0.0/7", &[("x-case", "refused")]).await?;
    assert_eq!(refused.status, 401, "{}", refused.body);
    // What became of it gets to the adapter by the same way.
    let (name, event) = mesh.events.of("refused").await?;
    assert_eq!((name.as_str(), &event["apiName"]), ("apim:faulty", &json!("Reviews")), "{event}");
    healthy(&known)?;

    // The other one gets no rules, lets nothing through, and says so.
    let unknown = link.sidecar(&mesh, &evil, &adapter, &front)?;
    let page_to_unknown = calling(&evil, unknown.port, "page-to-evil")?;
    within(PATIENCE, "the adapter's sidecar has refused", async || {
        let denied = front.envoy.stats("rbac.denied")?;
        ensure!(denied.iter().any(|(_, count)| *count > 0), "{denied:?}");
        Ok(())
    })
    .await?;
    mesh.application.forget();
    let answer = answers(&page_to_unknown, HOST, HEALTH, 503).await?;
    assert_eq!(answer.json()["code"], "102500", "{}", answer.body);
    assert!(log(&unknown).contains("feed answers 403"), "{}", log(&unknown));
    assert_eq!(mesh.application.count(), 0);
    healthy(&unknown)
}
