//! The contexts through which Envoy calls in. They translate and hand on; they decide nothing.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

use super::{Envoy, raw};
use crate::{Abi, CallId, Flow, Level, Module, RequestFlow, Response, Role, Worker};

/// Registers a module; to be called once from its `main!`.
pub fn start<M: Module>() {
    // Installs the panic hook, so that a trap, should there ever be one, says where.
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Root { role: M::ROLE, worker: None }));
}

/// One plugin configuration in one VM.
struct Root {
    role: Role,
    worker: Option<Rc<Worker>>,
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _trailers: usize) {
        if let Some(worker) = &self.worker {
            worker.on_response(CallId(token), Response { arrived: headers > 0, body });
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        // No configuration at all is an error of the host's here; an empty one is refused below, with the reason.
        let configuration = raw::buffer(raw::PLUGIN_CONFIGURATION, 0, size).unwrap_or_default();
        match Worker::configure(Rc::new(Envoy), self.role, &configuration) {
            Ok(worker) => {
                self.worker = Some(Rc::new(worker));
                true
            }
            Err(error) => {
                Envoy.log(Level::Error, &format!("plugin configuration refused: {error}"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        if let Some(worker) = &self.worker {
            worker.on_tick();
        }
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http { flow: self.worker.clone().map(RequestFlow::new) }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// One request. Without a flow, which a configured root always gives it, it lets nothing pass.
struct Http {
    flow: Option<RequestFlow>,
}

impl Context for Http {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _trailers: usize) {
        if let Some(flow) = &mut self.flow {
            flow.on_response(CallId(token), Response { arrived: headers > 0, body });
        }
    }
}

impl Http {
    fn on(&mut self, callback: impl FnOnce(&mut RequestFlow) -> Flow) -> Action {
        match self.flow.as_mut().map(callback) {
            Some(Flow::Continue) => Action::Continue,
            Some(Flow::Stop) | None => Action::Pause,
        }
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> Action {
        self.on(|flow| flow.on_request_headers(end))
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        self.on(|flow| flow.on_request_body(size, end))
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.on(RequestFlow::on_request_trailers)
    }

    fn on_http_response_headers(&mut self, _: usize, end: bool) -> Action {
        self.on(|flow| flow.on_response_headers(end))
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        self.on(|flow| flow.on_response_body(size, end))
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        self.on(RequestFlow::on_response_trailers)
    }
}
