//! One VM's memory, shared by all its requests: configuration, snapshot, leadership.

use std::cell::{Cell, RefCell};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::rc::Rc;
use std::time::Duration;

use tollgate_enforce::{Call, Directory, Question, RefreshGate};
use tollgate_model::Callbacks;
use tollgate_model::contract::{
    BACKEND_JWT_PATH, BackendJwtRequest, ENVIRONMENT_HEADER, FEED_PATH, KEYS_PATH, KeysRequest, MANAGED_HEADER,
    MODULES, NODE_HEADER, PROBLEMS_HEADER, PluginConfig,
};

use crate::metrics::Metrics;
use crate::quota::{self, Pending};
use crate::reach::Reach;
use crate::request::UnderWay;
use crate::snapshot::{Feed, Leadership, POLL_TIMEOUT_MS, Poll, SnapshotDirectory};
use crate::usage::UsageLog;
use crate::{Abi, CallId, Level, Nanos, Role, Status};

/// How often a VM looks at shared data. With the leader's tick it bounds how long a change takes to reach every worker.
const TICK: Duration = Duration::from_millis(100);
/// How long a request waits for new keys.
const KEYS_TIMEOUT: Duration = Duration::from_secs(6);
/// How long a request waits for a token for its backend.
const BACKEND_JWT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shortest wait for a service: Envoy takes none at all for a wait without end.
const MIN_TIMEOUT: Duration = Duration::from_millis(1);
/// Longest one.
const MAX_TIMEOUT: Duration = Duration::from_secs(300);

/// A call-out's answer, as the host announces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response {
    /// Whether there is an answer at all. Without one, nothing of it may be read.
    pub arrived: bool,
    /// Length of its body.
    pub body: usize,
}

/// One plugin configuration in one VM.
pub struct Worker {
    pub(crate) abi: Rc<dyn Abi>,
    pub(crate) directory: SnapshotDirectory,
    pub(crate) metrics: Rc<Metrics>,
    /// Limits how many passes are looked at.
    pub(crate) passes: RefreshGate,
    config: PluginConfig,
    pub(crate) role: Role,
    node: Cell<Option<String>>,
    leadership: RefCell<Leadership>,
    feed: RefCell<Feed>,
    reach: RefCell<Reach>,
    pending: Pending,
    pub(crate) usage: UsageLog,
}

/// Refuses to be a plugin of another module. Envoy takes modules that it fetches by itself for each other unless their VMs are
/// configured differently, and then one would stand where another is to enforce.
fn own_plugin(abi: &dyn Abi, role: Role) -> Result<(), String> {
    let root = abi.property(&["plugin_root_id"]).unwrap_or_default();
    if root == role.name || !MODULES.contains(&root.as_str()) {
        return Ok(());
    }
    Err(format!(
        "this module is {}, and the plugin's root_id is {root}; where Envoy fetches several modules by itself, each needs a \
         vm_config.configuration of its own, such as its hash",
        role.name
    ))
}

/// Calls the adapter.
pub(crate) struct Caller<'w>(&'w Worker);

impl Caller<'_> {
    /// Posts JSON, and says which gateway it comes from. The answer comes to the context at work.
    pub(crate) fn post(&self, path: &str, body: &[u8], timeout: Duration) -> Result<CallId, Status> {
        let node = self.0.node();
        let mut headers = self.0.headers("POST", path);
        headers.extend([("content-type", "application/json"), (NODE_HEADER, &node)]);
        self.0.call_adapter(&headers, body, timeout)
    }
}

impl Worker {
    /// Takes the plugin configuration and starts ticking. Makes no call-out and counts nothing: Envoy configures a copy
    /// of the VM first, only to see whether it accepts.
    ///
    /// # Errors
    /// When the configuration is not a [`PluginConfig`], the plugin is another module's, or the host gives no ticks.
    pub fn configure(abi: Rc<dyn Abi>, role: Role, configuration: &[u8]) -> Result<Self, String> {
        let config: PluginConfig = serde_json::from_slice(configuration).map_err(|error| {
            format!("{error}; expected a JSON object like {{\"cluster\": \"tollgate_adapter\", \"environment\": \"Default\"}}")
        })?;
        own_plugin(abi.as_ref(), role)?;
        abi.set_tick(TICK).map_err(|status| format!("the host gives no ticks: {status:?}"))?;
        let metrics = Rc::new(Metrics::new(Rc::clone(&abi)));
        let verifier = (role.verifier)(&abi, &metrics);
        let worker = Self {
            directory: SnapshotDirectory::new(Rc::clone(&abi), Rc::clone(&metrics), verifier, &config),
            leadership: RefCell::new(Leadership::new(RandomState::new().build_hasher().finish())),
            feed: RefCell::new(Feed::new(Rc::clone(&abi), Rc::clone(&metrics))),
            reach: RefCell::default(),
            node: Cell::default(),
            pending: Pending::default(),
            passes: RefreshGate::default(),
            usage: UsageLog::new(Rc::clone(&metrics)),
            metrics,
            config,
            role,
            abi,
        };
        // A VM that comes to life in a running process has a snapshot before its first request.
        worker.directory.refresh();
        Ok(worker)
    }

    /// Looks for the first snapshot if there is none yet, so that a worker serves from the moment the process has one and
    /// not from its own next tick. Costs nothing once there is one.
    pub(crate) fn have_snapshot(&self) {
        if self.directory.settings().is_none() {
            self.directory.refresh();
        }
    }

    /// The time at which a request is decided from here on.
    pub(crate) fn clock(&self) -> Nanos {
        let clock = self.abi.now_nanos();
        self.directory.quotas.begin(clock);
        clock
    }

    /// Every [`TICK`]: looks for news, and if this VM leads, keeps a poll under way.
    pub fn on_tick(&self) {
        let now = self.abi.now();
        self.directory.refresh();
        if self.leadership.borrow_mut().tick(self.abi.as_ref(), now) {
            self.poll();
        }
        self.pending.on_tick(&self.directory.quotas, &self.caller());
        self.usage.on_tick(&self.caller(), now);
    }

    /// The answer to a poll, to a question about quota, or to a report of uses.
    pub fn on_response(&self, call: CallId, response: Response) {
        self.pending.answered(&self.directory.quotas, &self.abi, call, response);
        self.usage.answered(self.abi.as_ref(), call, response);
        let mut feed = self.feed.borrow_mut();
        // The answer is used even if the lead was lost meanwhile: what an adapter says is true whoever asked.
        if feed.awaits(call) && feed.answered(response, self.abi.now()) {
            self.directory.refresh();
        }
        drop(feed);
        if self.leadership.borrow().leads() {
            self.poll();
        }
    }

    fn poll(&self) {
        let now = self.abi.now();
        let mut feed = self.feed.borrow_mut();
        if let Some(poll) = feed.next(now) {
            match self.send(&poll) {
                Ok(call) => feed.sent(call, now),
                Err(status) => feed.not_sent(now, status),
            }
        }
    }

    fn send(&self, poll: &Poll) -> Result<CallId, Status> {
        let path = format!("{FEED_PATH}?since={}", poll.cursor);
        let node = self.node();
        let mut headers = self.headers("GET", &path);
        headers.push((NODE_HEADER, &node));
        if self.config.managed {
            headers.push((MANAGED_HEADER, "1"));
        }
        if !poll.problems.is_empty() {
            headers.push((PROBLEMS_HEADER, &poll.problems));
        }
        self.call_adapter(&headers, b"", Duration::from_millis(POLL_TIMEOUT_MS))
    }

    /// What Envoy calls the filter for.
    pub(crate) const fn callbacks(&self) -> Callbacks {
        self.config.callbacks
    }

    /// Makes the call-out that answers this question, whose answer comes to the context of the request. Gives the question back
    /// when no answer will ever come.
    pub(crate) fn ask(&self, question: Question) -> Result<UnderWay, Question> {
        let sent = match &question {
            Question::Keys { issuer, kid } => self.ask_for_keys(issuer, kid),
            Question::Call(call) => self.call(call),
            Question::BackendJwt(request) => self.ask_for_backend_jwt(request),
            Question::Quota { asks, .. } => {
                return match quota::send(&self.directory.quotas, &self.caller(), asks) {
                    Ok((call, asked)) => Ok(UnderWay { call, question, lease: Some(asked) }),
                    Err(_) => {
                        self.directory.quotas.lost();
                        Err(question)
                    }
                };
            }
            // It arrives by itself.
            Question::Body { .. } => Err(Status::NotFound),
        };
        match sent {
            Ok(call) => Ok(UnderWay { call, question, lease: None }),
            Err(_) => Err(question),
        }
    }

    fn ask_for_backend_jwt(&self, request: &BackendJwtRequest) -> Result<CallId, Status> {
        let body = serde_json::to_vec(request).map_err(|_| Status::Failed(0))?;
        self.ask_adapter(BACKEND_JWT_PATH, &body, BACKEND_JWT_TIMEOUT)
    }

    /// Calls a service. The answer comes to the context of the request.
    pub(crate) fn call(&self, call: &Call) -> Result<CallId, Status> {
        let mut headers = vec![(":method", call.method), (":path", &call.path), (":authority", &call.authority)];
        headers.extend(call.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        // Envoy writes them as they are, and a line break would begin another header or another request.
        if headers.iter().any(|(name, value)| [name, value].into_iter().any(|text| text.contains(['\r', '\n', '\0']))) {
            self.abi.log(Level::Error, &format!("{call:?} has a line break in a header and is not made"));
            return Err(Status::NotFound);
        }
        let timeout = Duration::from_millis(u64::from(call.timeout_ms)).clamp(MIN_TIMEOUT, MAX_TIMEOUT);
        self.abi.call(&call.cluster, &headers, &call.body, timeout)
    }

    const fn caller(&self) -> Caller<'_> {
        Caller(self)
    }

    /// Asks the adapter for the keys of an issuer.
    fn ask_for_keys(&self, issuer: &str, kid: &str) -> Result<CallId, Status> {
        let request = KeysRequest { issuer: issuer.to_owned(), kid: kid.to_owned() };
        let body = serde_json::to_vec(&request).map_err(|_| Status::Failed(0))?;
        self.ask_adapter(KEYS_PATH, &body, KEYS_TIMEOUT)
    }

    fn ask_adapter(&self, path: &str, body: &[u8], timeout: Duration) -> Result<CallId, Status> {
        let mut headers = self.headers("POST", path);
        headers.push(("content-type", "application/json"));
        self.call_adapter(&headers, body, timeout)
    }

    /// Envoy says at once that it does not know the cluster, or that nobody is behind it. It may any moment: another try is
    /// always worth it.
    fn call_adapter(&self, headers: &[(&str, &str)], body: &[u8], timeout: Duration) -> Result<CallId, Status> {
        let called = self.abi.call(&self.config.cluster, headers, body, timeout);
        self.reach.borrow_mut().tried(self.abi.as_ref(), &self.metrics, &self.config.cluster, called.is_ok());
        called
    }

    fn headers<'h>(&'h self, method: &'h str, path: &'h str) -> Vec<(&'h str, &'h str)> {
        let authority = self.config.authority.as_deref().unwrap_or(&self.config.cluster);
        vec![
            (":method", method),
            (":path", path),
            (":authority", authority),
            (ENVIRONMENT_HEADER, &self.config.environment),
        ]
    }

    /// Which gateway this is, as `node id/instance`; asked of the host once.
    fn node(&self) -> String {
        let node = self.node.take().unwrap_or_else(|| {
            let property = |path: &[&str]| self.abi.property(path).unwrap_or_default();
            let id = property(&["xds", "node", "id"]);
            let instance = property(&["xds", "node", "metadata", "instanceIdentifier"]);
            let printable = |c: char| if c.is_ascii_graphic() { c } else { '?' };
            format!("{id}/{instance}").chars().map(printable).collect()
        });
        self.node.set(Some(node.clone()));
        node
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeEnvoy;
    use crate::{Authenticate, Module as _};

    #[test]
    fn a_module_is_no_plugin_of_another() {
        for (root, good) in
            [("authenticate", true), ("", true), ("mine", true), ("authorize", false), ("enforcer", false)]
        {
            let envoy = FakeEnvoy::shared_rc();
            envoy.root_id.replace(root.to_owned());
            let outcome = Worker::configure(envoy, Authenticate::ROLE, br#"{"cluster": "adapter"}"#);
            assert_eq!(outcome.is_ok(), good, "{root}");
            if let Err(error) = outcome {
                assert!(error.contains("vm_config.configuration"), "{error}");
            }
        }
    }
}
