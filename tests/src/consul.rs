//! A double of Consul's HTTP interface: it knows services, asks for a token, and can be stopped and started.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::Backend;
use crate::backend::json_response;
use crate::ports::Port;
use crate::server::Server;

/// An instance of a service.
#[derive(Debug, Clone)]
pub struct Instance {
    url: String,
    tags: Vec<String>,
    healthy: bool,
}

impl Instance {
    /// A healthy one: that backend.
    #[must_use]
    pub fn of(backend: &Backend, tags: &[&str]) -> Self {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        Self { url: backend.url(), tags, healthy: true }
    }

    /// The same, not healthy.
    #[must_use]
    pub fn sick(self) -> Self {
        Self { healthy: false, ..self }
    }

    fn entry(&self) -> Value {
        let address = self.url.trim_start_matches("http://").trim_start_matches("https://");
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "0"));
        let port: u16 = port.parse().unwrap_or(0);
        // The address of the service is empty where it is that of its node.
        json!({
            "Node": { "Node": "node", "Address": host, "Datacenter": "dc1" },
            "Service": { "ID": address, "Service": "pets", "Address": "", "Port": port, "Tags": self.tags },
            "Checks": [],
        })
    }
}

/// What Consul's agent tells members of its mesh.
#[derive(Debug, Clone)]
pub struct Mesh {
    /// PEM of each authority.
    pub authorities: Vec<String>,
    /// The domain of all identities.
    pub trust_domain: String,
    /// The service that is told its certificate and key.
    pub service: String,
    /// PEM of its certificate.
    pub certificate: String,
    /// PEM of its key.
    pub key: String,
}

#[derive(Debug, Default)]
struct State {
    token: String,
    /// By datacenter (empty for its own) and name.
    services: BTreeMap<(String, String), Vec<Instance>>,
    /// What stands in front of instances in the mesh, by name of the service.
    members: BTreeMap<String, Vec<Instance>>,
    mesh: Option<Mesh>,
    asked: usize,
    broken: bool,
}

/// A Consul; it stops when dropped.
#[derive(Debug)]
pub struct Consul {
    state: Arc<Mutex<State>>,
    port: Port,
    server: Option<Server>,
}

impl Consul {
    /// Starts one that wants that token.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(token: &str) -> Result<Self> {
        let state = State { token: token.to_owned(), ..State::default() };
        let mut consul = Self { state: Arc::new(Mutex::new(state)), port: Port::free()?, server: None };
        consul.start_again().await?;
        Ok(consul)
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }

    /// Says what a service of a datacenter (its own when empty) consists of.
    pub fn set(&self, datacenter: &str, service: &str, instances: &[Instance]) {
        let key = (datacenter.to_owned(), service.to_owned());
        self.with(|state| state.services.insert(key, instances.to_vec()));
    }

    /// Says what stands in front of a service in the mesh.
    pub fn set_members(&self, service: &str, members: &[Instance]) {
        self.with(|state| state.members.insert(service.to_owned(), members.to_vec()));
    }

    /// Says who the authorities of the mesh are, and whom a service is.
    pub fn set_mesh(&self, mesh: Mesh) {
        self.with(|state| state.mesh = Some(mesh));
    }

    /// Whether it fails at everything.
    pub fn break_down(&self, broken: bool) {
        self.with(|state| state.broken = broken);
    }

    /// How often it was asked.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.with(|state| state.asked)
    }

    /// Stops to listen.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Listens again.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start_again(&mut self) -> Result<()> {
        let state = Arc::clone(&self.state);
        let answer =
            move |request: Request<Bytes>| answer(&mut state.lock().unwrap_or_else(PoisonError::into_inner), &request);
        self.server = Some(Server::listen_on(self.port.number(), None, answer).await?);
        Ok(())
    }

    fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn answer(state: &mut State, request: &Request<Bytes>) -> Response<Bytes> {
    state.asked = state.asked.saturating_add(1);
    let refuse = |status: StatusCode| {
        let mut response = Response::new(Bytes::from_static(b"no"));
        *response.status_mut() = status;
        response
    };
    if state.broken {
        return refuse(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let token = request.headers().get("x-consul-token").map(|value| value.as_bytes());
    if token != Some(state.token.as_bytes()) {
        return refuse(StatusCode::FORBIDDEN);
    }
    let path = request.uri().path();
    if let (Some(mesh), Some(asked)) = (&state.mesh, path.strip_prefix("/v1/agent/connect/ca/")) {
        return match asked.strip_prefix("leaf/") {
            None if asked == "roots" => {
                let root = |pem: &String| json!({ "ID": "root", "RootCert": pem, "Active": true });
                let roots: Vec<Value> = mesh.authorities.iter().map(root).collect();
                json_response(&json!({ "ActiveRootID": "root", "TrustDomain": mesh.trust_domain, "Roots": roots }))
            }
            Some(service) if service == mesh.service => json_response(
                &json!({ "CertPEM": mesh.certificate, "PrivateKeyPEM": mesh.key, "Service": service, "SerialNumber": "1" }),
            ),
            _ => refuse(StatusCode::FORBIDDEN),
        };
    }
    if let Some(name) = path.strip_prefix("/v1/health/connect/") {
        let members = state.members.get(name).into_iter().flatten().filter(|one| one.healthy);
        return json_response(&Value::Array(members.map(Instance::entry).collect()));
    }
    let Some(name) = path.strip_prefix("/v1/health/service/") else {
        return refuse(StatusCode::NOT_FOUND);
    };
    let query: BTreeMap<&str, &str> =
        request.uri().query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('=')).collect();
    let datacenter = query.get("dc").copied().unwrap_or_default();
    let all = query.get("passing") != Some(&"1");
    let instances = state.services.get(&(datacenter.to_owned(), name.to_owned())).into_iter().flatten();
    let entries: Vec<Value> = instances.filter(|one| all || one.healthy).map(Instance::entry).collect();
    json_response(&Value::Array(entries))
}
