//! Cross-origin requests: which pages of other origins get consent, and the headers that say so.
//!
//! The behaviour is that of Envoy's CORS filter, which Choreo Connect uses: an origin that is not allowed is not refused,
//! it just gets no consent, and the browser does the rest. Preflights with consent are answered here.

use tollgate_model::Cors;

use crate::{Cx, Edits, Header, HeaderEdit, Reply, wildcard};

/// Longest origin that is looked at. Browsers send a scheme, a host and a port.
const MAX_ORIGIN: usize = 512;

/// The rules of an API, ready to be matched.
#[derive(Debug)]
pub(crate) struct CorsPolicy {
    /// `*` in one stands for any text.
    origins: Vec<String>,
    allow_methods: String,
    allow_headers: String,
    expose_headers: String,
    allow_credentials: bool,
}

/// What a response tells the browser. Empty when it gets no consent.
pub(crate) type Consent = Vec<(&'static str, String)>;

/// Has the response say so. Routes of our own take it from filter state, so that responses need not pass the filter; where routes
/// belong to somebody else they must, and pages get no consent where they do not.
pub(crate) fn give(cx: &Cx, consent: Consent, edits: &mut Edits) {
    if cx.directory.owns_routes() {
        edits.response = consent;
    } else if cx.callbacks.response_headers {
        let told = consent.into_iter().map(|(name, value)| match name {
            // A backend may vary by more than the gateway does.
            "vary" => HeaderEdit::Add(name.into(), value.into_bytes()),
            _ => HeaderEdit::Set(name.into(), value.into_bytes()),
        });
        edits.response_headers.extend(told);
    }
}

impl CorsPolicy {
    pub(crate) fn compile(cors: &Cors) -> Self {
        Self {
            origins: cors.allow_origins.clone(),
            allow_methods: cors.allow_methods.join(", "),
            allow_headers: cors.allow_headers.join(", "),
            expose_headers: cors.expose_headers.join(", "),
            allow_credentials: cors.allow_credentials,
        }
    }

    /// The origin of the request, if it is allowed.
    fn allowed_origin(&self, cx: &Cx) -> Option<String> {
        let Header::One(origin) = cx.request.get("origin") else { return None };
        let origin = std::str::from_utf8(origin).ok().filter(|origin| origin.len() <= MAX_ORIGIN)?;
        self.origins.iter().any(|pattern| wildcard::matches(pattern, origin)).then(|| origin.to_owned())
    }

    /// The headers of a simple response.
    pub(crate) fn consent(&self, cx: &Cx) -> Consent {
        let Some(origin) = self.allowed_origin(cx) else { return Vec::new() };
        let mut headers = self.common(origin);
        if !self.expose_headers.is_empty() {
            headers.push(("access-control-expose-headers", self.expose_headers.clone()));
        }
        headers
    }

    /// The answer to a preflight with consent.
    pub(crate) fn preflight(&self, cx: &Cx) -> Option<Reply> {
        let asks_for = cx.request.get("access-control-request-method");
        if !matches!(asks_for, Header::One(method) if !method.is_empty()) {
            return None;
        }
        let mut headers = self.common(self.allowed_origin(cx)?);
        for (name, value) in [
            ("access-control-allow-methods", &self.allow_methods),
            ("access-control-allow-headers", &self.allow_headers),
        ] {
            if !value.is_empty() {
                headers.push((name, value.clone()));
            }
        }
        let headers = headers.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Some(Reply { status: 200, headers, body: Vec::new(), details: "tollgate_preflight", record: None })
    }

    /// Says which origin may see the answer; a cache must not hand it to another.
    fn common(&self, origin: String) -> Consent {
        let mut headers = vec![("access-control-allow-origin", origin), ("vary", "origin".to_owned())];
        if self.allow_credentials {
            headers.push(("access-control-allow-credentials", "true".to_owned()));
        }
        headers
    }
}
