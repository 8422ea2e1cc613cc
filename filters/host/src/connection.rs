//! The connection of a request, asked of the host when somebody needs to know.
//!
//! Envoy has no memory that lives as long as a connection and is cheaper than asking, so each request asks for itself, and
//! only where its API looks at certificates or addresses. Must never be asked after the request's own phase has ended.

use std::rc::Rc;

use tollgate_enforce::Connection;

use crate::Abi;

/// The connection of the request at hand.
pub(crate) struct RequestConnection(pub(crate) Rc<dyn Abi>);

impl Connection for RequestConnection {
    fn certificate_digest(&self) -> Option<String> {
        self.0.property(&["connection", "sha256_peer_certificate_digest"]).filter(|digest| !digest.is_empty())
    }

    /// In a waypoint of Istio's the workload's connection ends at a listener in front, which hands on whose it was in filter
    /// state. No client can write there.
    fn principal(&self) -> Option<String> {
        let shown = |path: &[&str]| self.0.property(path).filter(|uri| !uri.is_empty());
        shown(&["connection", "uri_san_peer_certificate"])
            .or_else(|| shown(&["filter_state", "io.istio.peer_principal"]))
    }

    fn peer(&self) -> Option<String> {
        self.0.property(&["source", "address"])
    }

    fn protocol(&self) -> Option<String> {
        self.0.property(&["request", "protocol"])
    }
}
