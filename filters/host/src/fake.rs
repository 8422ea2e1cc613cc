//! A stateful host for tests: it holds shared data and headers, records what is asked of it, and counts the calls.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::time::Duration;

use hashbrown::HashMap;
use tollgate_enforce::{HeaderMap, Reply};

use crate::{Abi, CallId, Fields, Level, MetricId, MetricKind, Nanos, Side, Status};

/// A worker of the whole enforcer.
pub(crate) fn enforcer(abi: Rc<dyn Abi>, configuration: &[u8]) -> Result<crate::Worker, String> {
    crate::Worker::configure(abi, <crate::Enforcer as crate::Module>::ROLE, configuration)
}

/// Names and values of headers.
type Pairs = Vec<(String, Vec<u8>)>;

/// A call-out under way.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) id: CallId,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
pub(crate) struct FakeEnvoy {
    pub(crate) now: Cell<u64>,
    pub(crate) steady: Cell<u64>,
    pub(crate) request: RefCell<Pairs>,
    pub(crate) replies: RefCell<Vec<Reply>>,
    pub(crate) resumed: Cell<usize>,
    pub(crate) calls: RefCell<Vec<Call>>,
    /// Headers of the response at hand.
    pub(crate) response: RefCell<Pairs>,
    /// What is held of the bodies, by [`Side`].
    pub(crate) bodies: RefCell<[Option<Vec<u8>>; 2]>,
    /// Properties that are numbers, by path.
    pub(crate) numbers: RefCell<HashMap<String, u64>>,
    /// The stream was broken off.
    pub(crate) closed: Cell<bool>,
    /// No cluster: every call-out is refused.
    pub(crate) unreachable: Cell<bool>,
    /// Edits of headers fail, as they do outside the request phase.
    pub(crate) frozen: Cell<bool>,
    /// Status and body of the answer at hand.
    pub(crate) answer: RefCell<Option<(u16, Vec<u8>)>>,
    /// What Envoy's `verify_signature` says; `None` when it has no such function.
    pub(crate) signature: Cell<Option<bool>>,
    pub(crate) lines: RefCell<Vec<String>>,
    pub(crate) counters: RefCell<HashMap<String, u64>>,
    /// Filter state of the request at hand.
    pub(crate) state: RefCell<HashMap<String, String>>,
    /// The same as bytes.
    pub(crate) states: RefCell<HashMap<String, Vec<u8>>>,
    /// Bytes read from shared data.
    pub(crate) copied: Cell<usize>,
    shared: RefCell<HashMap<String, (Vec<u8>, u32)>>,
    metrics: RefCell<Vec<String>>,
    /// Root id of the plugin.
    pub(crate) root_id: RefCell<String>,
    versions: Cell<u32>,
    /// Host calls made, by name.
    pub(crate) host_calls: RefCell<Vec<&'static str>>,
}

impl FakeEnvoy {
    pub(crate) fn new() -> Self {
        let envoy = Self::default();
        envoy.now.set(1_000_000_000);
        envoy.steady.set(1_000_000);
        envoy
    }

    pub(crate) fn shared_rc() -> Rc<Self> {
        Rc::new(Self::new())
    }

    /// Puts a request at hand.
    pub(crate) fn begin_request(&self, headers: &[(&str, &str)]) {
        let owned = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        self.request.replace(owned);
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let request = self.request.borrow();
        let found = request.iter().find(|(candidate, _)| candidate == name);
        found.map(|(_, value)| String::from_utf8(value.clone()).unwrap())
    }

    fn fields(&self, of: Fields) -> Result<RefMut<'_, Pairs>, Status> {
        match of {
            Fields::Request if !self.frozen.get() => Ok(self.request.borrow_mut()),
            Fields::Response if !self.frozen.get() => Ok(self.response.borrow_mut()),
            _ => Err(Status::Failed(2)),
        }
    }

    /// Lets so many milliseconds pass, by both clocks.
    pub(crate) fn pass(&self, ms: u64) {
        self.now.set(self.now.get() + ms);
        self.steady.set(self.steady.get() + ms);
    }

    fn count(&self, call: &'static str) {
        self.host_calls.borrow_mut().push(call);
    }
}

impl Abi for FakeEnvoy {
    fn now_nanos(&self) -> Nanos {
        self.count("now");
        Nanos(self.now.get().saturating_mul(1_000_000))
    }

    fn steady_nanos(&self) -> Nanos {
        self.count("steady");
        Nanos(self.steady.get().saturating_mul(1_000_000))
    }

    fn log(&self, _: Level, text: &str) {
        self.count("log");
        self.lines.borrow_mut().push(text.to_owned());
    }

    fn headers(&self, of: Fields) -> Result<Vec<u8>, Status> {
        self.count("headers");
        match of {
            Fields::Request => Ok(HeaderMap::encode(&self.request.borrow())),
            Fields::Response => Ok(HeaderMap::encode(&self.response.borrow())),
            Fields::RequestTrailers | Fields::ResponseTrailers => Err(Status::Failed(2)),
        }
    }

    fn set_header(&self, of: Fields, name: &str, value: &[u8]) -> Result<(), Status> {
        self.count("set_header");
        let mut fields = self.fields(of)?;
        fields.retain(|(candidate, _)| candidate != name);
        fields.push((name.to_owned(), value.to_vec()));
        Ok(())
    }

    fn add_header(&self, of: Fields, name: &str, value: &[u8]) -> Result<(), Status> {
        self.count("add_header");
        self.fields(of)?.push((name.to_owned(), value.to_vec()));
        Ok(())
    }

    fn remove_header(&self, of: Fields, name: &str) -> Result<(), Status> {
        self.count("remove_header");
        self.fields(of)?.retain(|(candidate, _)| candidate != name);
        Ok(())
    }

    fn body(&self, of: Side, most: usize) -> Result<Vec<u8>, Status> {
        self.count("body");
        let bodies = self.bodies.borrow();
        let body = bodies[of as usize].as_ref().ok_or(Status::NotFound)?;
        Ok(body[..most.min(body.len())].to_vec())
    }

    fn body_from(&self, of: Side, start: usize, most: usize) -> Result<Vec<u8>, Status> {
        self.count("body_from");
        let bodies = self.bodies.borrow();
        let rest = bodies[of as usize].as_ref().and_then(|body| body.get(start..)).ok_or(Status::NotFound)?;
        Ok(rest[..most.min(rest.len())].to_vec())
    }

    fn set_body(&self, of: Side, body: &[u8]) -> Result<(), Status> {
        self.count("set_body");
        let mut bodies = self.bodies.borrow_mut();
        bodies[of as usize].as_mut().ok_or(Status::NotFound)?.splice(.., body.iter().copied());
        Ok(())
    }

    fn reply(&self, reply: &Reply) -> Result<(), Status> {
        self.count("reply");
        self.replies.borrow_mut().push(reply.clone());
        Ok(())
    }

    fn resume(&self, _: Side) -> Result<(), Status> {
        self.count("resume");
        self.resumed.set(self.resumed.get() + 1);
        Ok(())
    }

    fn close(&self) -> Result<(), Status> {
        self.count("close");
        self.closed.set(true);
        Ok(())
    }

    fn call(&self, _: &str, headers: &[(&str, &str)], body: &[u8], _: Duration) -> Result<CallId, Status> {
        self.count("call");
        if self.unreachable.get() {
            return Err(Status::Failed(2));
        }
        let id = CallId(u32::try_from(self.calls.borrow().len()).unwrap() + 1);
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.calls.borrow_mut().push(Call { id, headers, body: body.to_vec() });
        Ok(id)
    }

    fn answer_status(&self) -> Option<u16> {
        self.count("answer_status");
        self.answer.borrow().as_ref().map(|(status, _)| *status)
    }

    fn answer_body(&self, length: usize) -> Result<Vec<u8>, Status> {
        self.count("answer_body");
        let answer = self.answer.borrow();
        let (_, body) = answer.as_ref().ok_or(Status::NotFound)?;
        Ok(body[..length.min(body.len())].to_vec())
    }

    fn shared(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, Status> {
        self.count("shared");
        let found = self.shared.borrow().get(key).cloned();
        let length = found.as_ref().map_or(0, |(bytes, _)| bytes.len());
        self.copied.set(self.copied.get() + length);
        Ok(found)
    }

    fn set_shared(&self, key: &str, value: &[u8], version: u32) -> Result<(), Status> {
        self.count("set_shared");
        let mut shared = self.shared.borrow_mut();
        if version != 0 && shared.get(key).is_some_and(|(_, held)| *held != version) {
            return Err(Status::CasMismatch);
        }
        self.versions.set(self.versions.get() + 1);
        shared.insert(key.to_owned(), (value.to_vec(), self.versions.get()));
        Ok(())
    }

    fn foreign(&self, _: &str, _: &[u8]) -> Result<Vec<u8>, Status> {
        self.count("foreign");
        match self.signature.get() {
            Some(true) => Ok(vec![8, 1]),
            Some(false) => Ok(Vec::new()),
            None => Err(Status::NotFound),
        }
    }

    fn property(&self, path: &[&str]) -> Option<String> {
        self.count("property");
        match path {
            ["plugin_root_id"] => Some(self.root_id.borrow().clone()),
            path => Some(path.last()?.to_string()),
        }
    }

    fn number(&self, path: &[&str]) -> Option<u64> {
        self.count("number");
        self.numbers.borrow().get(&path.join(".")).copied()
    }

    fn set_state(&self, name: &str, value: &[u8]) -> Result<(), Status> {
        self.count("set_state");
        self.state.borrow_mut().insert(name.to_owned(), String::from_utf8_lossy(value).into_owned());
        self.states.borrow_mut().insert(name.to_owned(), value.to_vec());
        Ok(())
    }

    fn state(&self, name: &str) -> Option<Vec<u8>> {
        self.count("state");
        self.states.borrow().get(name).cloned()
    }

    fn set_tick(&self, _: Duration) -> Result<(), Status> {
        self.count("set_tick");
        Ok(())
    }

    fn define_metric(&self, _: MetricKind, name: &str) -> Option<MetricId> {
        self.count("define_metric");
        self.metrics.borrow_mut().push(name.to_owned());
        Some(MetricId(u32::try_from(self.metrics.borrow().len()).unwrap()))
    }

    fn add(&self, metric: MetricId, by: u32) {
        self.count("increment");
        let name = self.metrics.borrow()[metric.0 as usize - 1].clone();
        *self.counters.borrow_mut().entry(name).or_default() += u64::from(by);
    }

    fn record(&self, _: MetricId, _: u64) {
        self.count("record");
    }
}

/// A snapshot for tests, and the frames that bring it.
pub(crate) mod world {
    use serde_json::json;
    use tollgate_model::wire::{Cursor, Entry, FeedFrame, Shard};
    use tollgate_model::{Table, keys};

    /// `(table, key, needs, value)`.
    pub(crate) type Row = (Table, Vec<u8>, u16, serde_json::Value);

    /// Settings, an issuer with one key `k`, and an API at `/pets/1.0` of `localhost`.
    pub(crate) fn rows() -> Vec<Row> {
        let key = json!({"kty": "RSA", "kid": "k", "n": "g".repeat(342), "e": "AQAB"});
        vec![
            (Table::Settings, vec![], 1, json!({"authorizationHeader": "authorization", "clockSkewSeconds": 5})),
            (
                Table::Issuer,
                b"test".to_vec(),
                1,
                json!({"name": "test", "issuer": "i", "algorithms": ["RS256"], "keys": {"keys": [key]}, "refreshable": true}),
            ),
            (Table::Api, keys::api("localhost", "pets"), 1, api("prod")),
            (Table::VirtualHost, b"localhost".to_vec(), 1, json!({})),
            (Table::Route, keys::route("localhost", "/pets/1.0"), 1, json!("pets")),
        ]
    }

    pub(crate) fn api(cluster: &str) -> serde_json::Value {
        json!({
            "id": "pets", "name": "Pets", "version": "1.0", "organization": "o", "virtualHost": "localhost",
            "basePath": "/pets/1.0", "lifeCycle": "PUBLISHED", "cors": {"allowOrigins": ["https://a.example"]}, "production": {"cluster": cluster, "basePath": "/v2"},
            "resources": [
                {"template": "/pet/{id}", "operations": [{"method": "GET", "security": {"kind": "oauth2"}}]},
                {"template": "/open", "operations": [{"method": "GET", "security": {"kind": "unsecured"}}]},
            ],
        })
    }

    /// A frame with one shard a row; rows of one slot would need to share a shard, so there must be none.
    pub(crate) fn frame(reset: bool, more: bool, revision: u64, rows: &[Row]) -> Vec<u8> {
        let shards: Vec<Vec<u8>> = rows.iter().map(shard).collect();
        let shards = shards.iter().map(Vec::as_slice).collect();
        FeedFrame { reset, more, cursor: Cursor { epoch: 1, revision }, shards }.encode().unwrap()
    }

    fn shard((table, key, needs, value): &Row) -> Vec<u8> {
        let value = serde_json::to_vec(value).unwrap();
        let entries = vec![Entry { needs: *needs, key, value: &value }];
        Shard { slot: table.slot(key), entries }.encode().unwrap()
    }
}
