//! A host without Envoy, that does next to nothing itself: what is measured on it is the filter's own cost.
//!
//! It counts calls by kind. Signatures are good, quota is endless, and time stands still.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};
use tollgate_enforce::{HeaderMap, Reply};
use tollgate_host::{
    Abi, CallId, Enforcer, Fields, Flow, Level, MetricId, MetricKind, Module as _, Nanos, RequestFlow, Response, Side,
    Status, Worker,
};
use tollgate_model::contract::FEED_PATH;
use tollgate_model::{QuotaAnswer, QuotaAsk, QuotaGrant, QuotaRequest};

/// Length of every window of quota.
const WINDOW_MS: u64 = 3_600_000;

/// A call-out that waits for its answer.
struct Call {
    id: CallId,
    path: String,
    body: Vec<u8>,
}

/// The host.
pub struct Bare {
    now: u64,
    /// Headers of the requests that take turns, encoded.
    requests: RefCell<Vec<Vec<u8>>>,
    turn: Cell<usize>,
    shared: RefCell<HashMap<String, (Vec<u8>, u32)>>,
    calls: RefCell<Vec<Call>>,
    answer: RefCell<Option<Vec<u8>>>,
    replies: Cell<Option<u16>>,
    resumed: Cell<bool>,
    versions: Cell<u32>,
    counts: RefCell<BTreeMap<&'static str, u64>>,
    lines: RefCell<Vec<String>>,
}

/// A filter on it that holds a snapshot.
pub struct Bench {
    host: Rc<Bare>,
    worker: Rc<Worker>,
}

impl Bench {
    /// Gives a filter these frames. Without routes of its own it names no cluster.
    ///
    /// # Errors
    /// When the filter does not take them.
    pub fn new(frames: &[Vec<u8>], own_routes: bool) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("asking for the time")?.as_millis();
        let host = Rc::new(Bare {
            now: u64::try_from(now).context("the time is too large")?,
            requests: RefCell::default(),
            turn: Cell::default(),
            shared: RefCell::default(),
            calls: RefCell::default(),
            answer: RefCell::default(),
            replies: Cell::default(),
            resumed: Cell::default(),
            versions: Cell::default(),
            counts: RefCell::default(),
            lines: RefCell::default(),
        });
        let plugin = format!(r#"{{"cluster": "feed", "ownRoutes": {own_routes}}}"#);
        let worker = Worker::configure(Rc::<Bare>::clone(&host), Enforcer::ROLE, plugin.as_bytes())
            .map_err(|why| anyhow!(why))?;
        let bench = Self { host, worker: Rc::new(worker) };
        // The first tick claims the lead, the second one polls.
        bench.worker.on_tick();
        bench.worker.on_tick();
        for frame in frames {
            let poll = bench.host.calls.borrow_mut().pop().context("the filter does not poll")?;
            ensure!(poll.path.starts_with(FEED_PATH), "the filter asks for {}", poll.path);
            bench.answer(frame.clone(), |response| bench.worker.on_response(poll.id, response));
        }
        bench.host.calls.borrow_mut().clear();
        Ok(bench)
    }

    /// Puts one more request at hand. Those at hand take turns.
    pub fn put(&self, headers: &[(&str, &str)]) {
        self.host.requests.borrow_mut().push(HeaderMap::encode(headers));
    }

    /// The filter's part in the next request at hand, with all that it waits for. Gives the status of a reply, or 200.
    ///
    /// # Errors
    /// When it asks for what nobody here can tell.
    pub fn run(&self) -> Result<u16> {
        self.host.replies.set(None);
        let mut flow = RequestFlow::new(Rc::clone(&self.worker));
        let mut passed = flow.on_request_headers(true) == Flow::Continue;
        while !passed && self.host.replies.get().is_none() {
            let call = self.host.calls.borrow_mut().pop().context("the request waits for nothing")?;
            let answer = grant(&call.body).with_context(|| format!("the request asks for {}", call.path))?;
            self.answer(answer, |response| flow.on_response(call.id, response));
            passed = self.host.resumed.take();
        }
        Ok(self.host.replies.get().unwrap_or(200))
    }

    /// Lets the filter look after itself, as it does ten times a second.
    ///
    /// # Errors
    /// When it asks for what nobody here can tell.
    pub fn tick(&self) -> Result<()> {
        self.worker.on_tick();
        while let Some(call) = self.host.calls.borrow_mut().pop() {
            if !call.path.starts_with(FEED_PATH) {
                self.answer(grant(&call.body)?, |response| self.worker.on_response(call.id, response));
            }
        }
        Ok(())
    }

    fn answer(&self, body: Vec<u8>, deliver: impl FnOnce(Response)) {
        let response = Response { arrived: true, body: body.len() };
        self.host.answer.replace(Some(body));
        deliver(response);
        self.host.answer.replace(None);
    }

    /// Calls so far, by kind.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.host.counts.borrow().clone()
    }

    /// What the filter wrote into the log.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.host.lines.borrow().clone()
    }
}

fn grant(body: &[u8]) -> Result<Vec<u8>> {
    let request: QuotaRequest = serde_json::from_slice(body).context("reading asks")?;
    let lease = |ask: &QuotaAsk| QuotaGrant {
        window: 1,
        granted: ask.want,
        left: ask.limit.amount,
        starts_in_ms: 0,
        ends_in_ms: WINDOW_MS,
        retry_in_ms: 0,
    };
    serde_json::to_vec(&QuotaAnswer { grants: request.asks.iter().map(lease).collect() }).context("encoding grants")
}

impl Bare {
    fn count(&self, call: &'static str) {
        let mut counts = self.counts.borrow_mut();
        let count = counts.entry(call).or_default();
        *count = count.saturating_add(1);
    }

    fn written(&self, call: &'static str) -> Result<(), Status> {
        self.count(call);
        Ok(())
    }
}

impl Abi for Bare {
    fn now_nanos(&self) -> Nanos {
        self.count("now");
        Nanos(self.now.saturating_mul(1_000_000))
    }

    fn steady_nanos(&self) -> Nanos {
        self.count("steady");
        Nanos(self.now.saturating_mul(1_000_000))
    }

    fn log(&self, _: Level, text: &str) {
        self.count("log");
        self.lines.borrow_mut().push(text.to_owned());
    }

    fn headers(&self, _: Fields) -> Result<Vec<u8>, Status> {
        self.count("headers");
        let (requests, turn) = (self.requests.borrow(), self.turn.get());
        let next = turn.saturating_add(1);
        self.turn.set(if next < requests.len() { next } else { 0 });
        requests.get(turn).cloned().ok_or(Status::NotFound)
    }

    fn set_header(&self, _: Fields, _: &str, _: &[u8]) -> Result<(), Status> {
        self.written("set_header")
    }

    fn add_header(&self, _: Fields, _: &str, _: &[u8]) -> Result<(), Status> {
        self.written("add_header")
    }

    fn remove_header(&self, _: Fields, _: &str) -> Result<(), Status> {
        self.written("remove_header")
    }

    fn body(&self, _: Side, _: usize) -> Result<Vec<u8>, Status> {
        Err(Status::NotFound)
    }

    fn body_from(&self, _: Side, _: usize, _: usize) -> Result<Vec<u8>, Status> {
        Err(Status::NotFound)
    }

    fn set_body(&self, _: Side, _: &[u8]) -> Result<(), Status> {
        Err(Status::NotFound)
    }

    fn reply(&self, reply: &Reply) -> Result<(), Status> {
        self.replies.set(Some(reply.status));
        self.written("reply")
    }

    fn resume(&self, _: Side) -> Result<(), Status> {
        self.resumed.set(true);
        self.written("resume")
    }

    fn close(&self) -> Result<(), Status> {
        Err(Status::NotFound)
    }

    fn call(&self, _: &str, headers: &[(&str, &str)], body: &[u8], _: Duration) -> Result<CallId, Status> {
        self.count("call");
        let id = CallId(self.versions.get());
        self.versions.set(id.0.saturating_add(1));
        let path = headers.iter().find(|(name, _)| *name == ":path").map(|(_, path)| (*path).to_owned());
        self.calls.borrow_mut().push(Call { id, path: path.unwrap_or_default(), body: body.to_vec() });
        Ok(id)
    }

    fn answer_status(&self) -> Option<u16> {
        self.answer.borrow().as_ref().map(|_| 200)
    }

    fn answer_body(&self, _: usize) -> Result<Vec<u8>, Status> {
        self.answer.borrow().clone().ok_or(Status::NotFound)
    }

    fn shared(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, Status> {
        self.count("shared");
        Ok(self.shared.borrow().get(key).cloned())
    }

    fn set_shared(&self, key: &str, value: &[u8], version: u32) -> Result<(), Status> {
        self.count("set_shared");
        let mut shared = self.shared.borrow_mut();
        if version != 0 && shared.get(key).is_some_and(|(_, held)| *held != version) {
            return Err(Status::CasMismatch);
        }
        self.versions.set(self.versions.get().saturating_add(1));
        shared.insert(key.to_owned(), (value.to_vec(), self.versions.get()));
        Ok(())
    }

    fn foreign(&self, _: &str, _: &[u8]) -> Result<Vec<u8>, Status> {
        self.count("foreign");
        Ok(vec![8, 1])
    }

    fn property(&self, _: &[&str]) -> Option<String> {
        self.count("property");
        Some("127.0.0.1:1".to_owned())
    }

    fn number(&self, _: &[&str]) -> Option<u64> {
        self.count("number");
        Some(0)
    }

    fn set_state(&self, _: &str, _: &[u8]) -> Result<(), Status> {
        self.written("set_state")
    }

    fn state(&self, _: &str) -> Option<Vec<u8>> {
        self.count("state");
        None
    }

    fn set_tick(&self, _: Duration) -> Result<(), Status> {
        Ok(())
    }

    fn define_metric(&self, _: MetricKind, _: &str) -> Option<MetricId> {
        Some(MetricId(0))
    }

    fn add(&self, _: MetricId, _: u32) {
        self.count("increment");
    }

    fn record(&self, _: MetricId, _: u64) {
        self.count("record");
    }
}
