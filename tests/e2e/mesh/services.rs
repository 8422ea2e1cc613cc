//! Services that call each other: known by their certificates, as their applications have subscribed, and not by what they
//! write into requests.

use anyhow::{Result, ensure};
use reqwest::Method;
use tollgate_tests::http::Answer;
use tollgate_tests::locate;
use tollgate_tests::token::Claims;

use super::identities::Identity;
use super::proxies::{self, Proxy, Shape};
use super::{HOST, Mesh, PORT, SHORT, answers, call, healthy};
use crate::subscriptions::{ISSUER, token};

const PATH: &str = "/reviews/1.0.0/7";

/// Who calls, and for which application.
const SUBSCRIPTIONS: &str = r"
tiers:
  - {name: Few, limits: [{requests: 3, per: year}]}
applications:
  - name: Product page
    workloads: [{spiffeId: spiffe://cluster.local/ns/shop/sa/productpage, scopes: [read]}]
    subscriptions: [{api: Reviews, version: 1.0.0}]
  - name: Back office
    workloads: [{spiffeId: spiffe://cluster.local/ns/office/sa/admin, scopes: [read, admin]}]
    subscriptions: [{api: Reviews, version: 1.0.0}]
  - name: Batch
    workloads: [{spiffeId: spiffe://cluster.local/ns/shop/sa/batch}]
    subscriptions: [{api: Reviews, version: 1.0.0, tier: Few}]
  - name: Blocked
    workloads: [{spiffeId: spiffe://cluster.local/ns/shop/sa/blocked}]
    subscriptions: [{api: Reviews, version: 1.0.0, state: BLOCKED}]
";

fn hosts() -> Vec<String> {
    let names = SHORT.into_iter().chain([HOST]);
    names.flat_map(|name| [name.to_owned(), format!("{name}:{PORT}")]).collect()
}

/// The sidecar of a caller, through which it reaches the sidecar of `reviews`.
fn caller(mesh: &Mesh, own: &Identity, reviews: &Identity, at: u16) -> Result<Proxy> {
    let hosts = hosts();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let folder = mesh.folder(own.id.rsplit('/').next().unwrap_or_default());
    Shape::new(folder).outbound(&hosts, proxies::service(HOST, PORT, at, &own.upstream(reviews, HOST, PORT)))
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.json()["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn services_are_known_by_their_certificates() -> Result<()> {
    let mesh = Mesh::start(SUBSCRIPTIONS).await?;
    let identity = |namespace, account| mesh.authority.identity(namespace, account);
    let reviews = identity("default", "reviews")?;
    let sidecar = mesh.sidecar(&reviews, &mesh.enforcer(&locate::module()?, "reviews")?)?;
    let caller = |namespace, account| caller(&mesh, &identity(namespace, account)?, &reviews, sidecar.port);
    let page = caller("shop", "productpage")?;
    let office = caller("office", "admin")?;
    let stranger = caller("evil", "default")?;
    let gateway = caller("istio-system", "ingressgateway")?;
    answers(&page, HOST, "/reviews/1.0.0/health", 200).await?;
    mesh.application.forget();

    // By every name that a caller may use, with and without a port.
    for host in hosts() {
        let answer = call(&page, Method::GET, &host, PATH, &[]).await?;
        assert_eq!(answer.status, 200, "{host}: {}", answer.body);
    }
    let seen = mesh.application.take();
    assert_eq!(seen.len(), 8);
    for request in &seen {
        assert_eq!(request.path, "/v1/7");
        assert!(!request.headers.contains_key("x-wso2-cluster-header"), "{:?}", request.headers);
    }

    // Scopes are those of the application's entry.
    let delete = async |proxy: &Proxy| call(proxy, Method::DELETE, HOST, PATH, &[]).await.map(|answer| code(&answer));
    assert_eq!(delete(&page).await?, (403, "900910".to_owned()));
    assert_eq!(delete(&office).await?.0, 200);

    // Nobody is known by what stands in the request, and the gateway in front is no client of its own.
    let forged = [
        (
            "x-forwarded-client-cert",
            "By=spiffe://cluster.local/ns/default/sa/reviews;Hash=00;URI=spiffe://cluster.local/ns/office/sa/admin",
        ),
        ("x-spiffe-id", "spiffe://cluster.local/ns/office/sa/admin"),
    ];
    mesh.application.forget();
    for proxy in [&stranger, &gateway] {
        for headers in [&[][..], &forged] {
            let answer = call(proxy, Method::GET, HOST, PATH, headers).await?;
            assert_eq!(code(&answer), (401, "900901".to_owned()));
            assert!(answer.body.contains("The calling workload is not known"), "{}", answer.body);
        }
    }
    assert_eq!(code(&call(&page, Method::DELETE, HOST, PATH, &forged).await?), (403, "900910".to_owned()));
    assert_eq!(mesh.application.count(), 0);

    // Tokens work as ever.
    let bearer = format!("Bearer {}", token(Claims::of(ISSUER)));
    let answer = call(&stranger, Method::GET, HOST, PATH, &[("authorization", &bearer)]).await?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(!mesh.application.take()[0].headers.contains_key("authorization"));

    let (batch, blocked) = (caller("shop", "batch")?, caller("shop", "blocked")?);
    answers(&batch, HOST, "/reviews/1.0.0/health", 200).await?;
    answers(&blocked, HOST, "/reviews/1.0.0/health", 200).await?;
    assert_eq!(code(&call(&blocked, Method::GET, HOST, PATH, &[]).await?), (401, "900907".to_owned()));
    for _ in 0..3 {
        assert_eq!(call(&batch, Method::GET, HOST, PATH, &[]).await?.status, 200);
    }
    assert_eq!(code(&call(&batch, Method::GET, HOST, PATH, &[]).await?), (429, "900804".to_owned()));
    assert_eq!(call(&page, Method::GET, HOST, PATH, &[]).await?.status, 200, "the quota of one is not that of another");
    healthy(&sidecar)
}

/// What is known of one connection is never said of another, although one worker serves both and keeps them open.
#[tokio::test]
async fn connections_are_not_mistaken_for_each_other() -> Result<()> {
    let mesh = Mesh::start(SUBSCRIPTIONS).await?;
    let reviews = mesh.authority.identity("default", "reviews")?;
    let sidecar = mesh.sidecar(&reviews, &mesh.enforcer(&locate::module()?, "reviews")?)?;
    let office = caller(&mesh, &mesh.authority.identity("office", "admin")?, &reviews, sidecar.port)?;
    let page = caller(&mesh, &mesh.authority.identity("shop", "productpage")?, &reviews, sidecar.port)?;
    answers(&office, HOST, "/reviews/1.0.0/health", 200).await?;
    answers(&page, HOST, "/reviews/1.0.0/health", 200).await?;
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..200_u16 {
        let (port, expected) = if number % 2 == 0 { (office.port, 200) } else { (page.port, 403) };
        requests.spawn(async move {
            let client = tollgate_tests::http::client(0)?;
            let request = client.delete(format!("http://localhost:{port}{PATH}")).header("host", HOST);
            let answer = Answer::of(request).await?;
            ensure!(answer.status.as_u16() == expected, "{expected} expected: {} {}", answer.status, answer.body);
            Ok(())
        });
        // A few at a time, so that both connections are always in use.
        if requests.len() >= 8 {
            requests.join_next().await.unwrap()??;
        }
    }
    while let Some(request) = requests.join_next().await {
        request??;
    }
    healthy(&sidecar)
}

/// Whoever has no certificate of the mesh, or one of another authority, does not even get a connection.
#[tokio::test]
async fn strangers_to_the_mesh_get_no_connection() -> Result<()> {
    let mesh = Mesh::start(SUBSCRIPTIONS).await?;
    let reviews = mesh.authority.identity("default", "reviews")?;
    let sidecar = mesh.sidecar(&reviews, &mesh.enforcer(&locate::module()?, "reviews")?)?;
    let good = caller(&mesh, &mesh.authority.identity("shop", "productpage")?, &reviews, sidecar.port)?;
    answers(&good, HOST, "/reviews/1.0.0/health", 200).await?;

    let other = tempfile::TempDir::new()?;
    let forger = super::identities::Authority::new(other.path())?.identity("shop", "productpage")?;
    let forged = Shape::new(mesh.folder("forger")).outbound(
        &[HOST],
        // It takes the sidecar for what it is, so that only its own certificate is in question.
        proxies::service(HOST, PORT, sidecar.port, &forger.upstream_trusting(&reviews, HOST, PORT)),
    )?;
    mesh.application.forget();
    let answer = answers(&forged, HOST, PATH, 503).await?;
    assert!(!answer.body.contains("error_message"), "{}", answer.body);
    let plain = client_without_tls(sidecar.port).await;
    assert!(plain.is_err(), "{plain:?}");
    assert_eq!(mesh.application.count(), 0);
    healthy(&sidecar)
}

async fn client_without_tls(port: u16) -> Result<Answer> {
    let client = tollgate_tests::http::client(0)?;
    Answer::of(client.get(format!("http://localhost:{port}{PATH}")).header("host", HOST)).await
}

/// The way of requests from outside: the enforcer on the ingress gateway, whose routes are a `VirtualService`'s.
#[tokio::test]
async fn an_ingress_gateway_enforces_in_front_of_the_mesh() -> Result<()> {
    let mesh = Mesh::start(SUBSCRIPTIONS).await?;
    let reviews = mesh.authority.identity("default", "reviews")?;
    let sidecar = {
        let mut shape = Shape::new(mesh.folder("reviews"));
        shape.filters = vec![proxies::authorization()];
        shape.inbound(&reviews, PORT, mesh.application()?)?
    };
    let own = mesh.authority.identity("istio-system", "ingressgateway")?;
    let mut shape = Shape::new(mesh.folder("gateway"));
    shape.filters = vec![mesh.enforcer(&locate::module()?, "gateway")?.filter()];
    shape.clusters = vec![mesh.adapter_cluster()];
    shape.workers = 2;
    let service = proxies::service(HOST, PORT, sidecar.port, &own.upstream(&reviews, HOST, PORT));
    let gateway = shape.gateway(HOST, service)?;
    answers(&gateway, HOST, "/reviews/1.0.0/health", 200).await?;
    mesh.application.forget();
    // From outside nobody has an identity, whatever is claimed.
    let forged = [("x-forwarded-client-cert", "URI=spiffe://cluster.local/ns/office/sa/admin")];
    for headers in [&[][..], &forged] {
        assert_eq!(code(&call(&gateway, Method::GET, HOST, PATH, headers).await?), (401, "900901".to_owned()));
    }
    let bearer = format!("Bearer {}", token(Claims::of(ISSUER)));
    let answer = call(&gateway, Method::GET, HOST, PATH, &[("authorization", &bearer)]).await?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let seen = mesh.application.take();
    assert_eq!((seen.len(), seen[0].path.as_str()), (1, "/v1/7"));
    assert!(!seen[0].headers.contains_key("x-wso2-cluster-header"));
    // Pages of other origins get consent, though no route of ours gives it.
    for (origin, consent) in [("https://shop.example", true), ("https://evil.example", false)] {
        let headers = [("authorization", bearer.as_str()), ("origin", origin)];
        let answer = call(&gateway, Method::GET, HOST, PATH, &headers).await?;
        assert_eq!(answer.header("access-control-allow-origin"), consent.then_some(origin), "{origin}");
    }
    mesh.application.forget();
    // Sandbox keys would get to production.
    let sandbox = format!("Bearer {}", token(Claims::of(ISSUER).with("keytype", "SANDBOX")));
    assert_eq!(code(&call(&gateway, Method::GET, HOST, PATH, &[("authorization", &sandbox)]).await?).0, 401);
    assert_eq!(mesh.application.count(), 0);
    healthy(&gateway)
}

/// In a waypoint the workload's connection ended at another listener; Istio says whose it was.
#[tokio::test]
async fn a_waypoint_is_told_who_calls() -> Result<()> {
    let mesh = Mesh::start(SUBSCRIPTIONS).await?;
    let waypoint = |principal: &str, name: &str| {
        let mut shape = Shape::new(mesh.folder(name));
        shape.filters = vec![mesh.enforcer(&locate::module()?, name)?.filter()];
        shape.clusters = vec![mesh.adapter_cluster()];
        shape.waypoint(principal, mesh.application()?)
    };
    let page = waypoint("spiffe://cluster.local/ns/shop/sa/productpage", "page")?;
    let stranger = waypoint("spiffe://cluster.local/ns/evil/sa/default", "stranger")?;
    answers(&page, HOST, PATH, 200).await?;
    let refused = answers(&stranger, HOST, PATH, 401).await?;
    assert!(refused.body.contains("The calling workload is not known"), "{}", refused.body);
    healthy(&page)?;
    healthy(&stranger)
}
