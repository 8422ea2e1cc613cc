//! Which API and which operation a request is for: virtual host, then the longest base path, then resource and method.
//!
//! Never relies on Envoy's routes, so it holds wherever the filter runs.

use std::borrow::Cow;
use std::rc::Rc;

use tollgate_model::keys::MAX_BASE_PATH_SEGMENTS;
use tollgate_model::{ApiKind, Callbacks, LifeCycle, Operation, Settings};

use super::ask::Asked;
use crate::cors::Consent;
use crate::decide::Halt;
use crate::rejection::{self, Rejection};
use crate::resource::{Captures, CompiledResource, Found, Reading, is_plain, lenient};
use crate::{CompiledApi, Cx, Header, Reply, Unreadable};

/// Longest host name (RFC 1035 §2.3.4); a longer one is nobody's virtual host.
const MAX_HOST: usize = 255;

/// Proof that the request is for an operation that exists.
pub(crate) struct Admitted<'c> {
    pub(crate) settings: Rc<Settings>,
    pub(crate) api: Rc<CompiledApi>,
    pub(crate) resource: Rc<CompiledResource>,
    pub(crate) operation: Rc<Operation>,
    /// What the resource's template took of the path.
    pub(super) captures: Captures<'c>,
    /// The query with its question mark, or nothing.
    pub(crate) query: &'c [u8],
    /// What a GraphQL request asks for, once its body has been looked at; nothing for any other API.
    pub(super) asked: Option<Asked>,
}

impl Admitted<'_> {
    /// What the response tells the browser of a page of another origin.
    pub(crate) fn consent(&self, cx: &Cx) -> Consent {
        self.api.cors.as_ref().map(|cors| cors.consent(cx)).unwrap_or_default()
    }

    /// Operations that the request wants carried out, all of which must be allowed, with their names for messages.
    pub(crate) fn operations(&self) -> impl Iterator<Item = (&str, &Operation)> {
        let asked = self.asked.as_ref();
        let only = asked.is_none().then(|| (self.resource.resource.template.as_str(), &*self.operation));
        let several = asked.into_iter().flat_map(|asked| asked.operations.iter());
        only.into_iter().chain(several.map(|(name, operation)| (name.as_str(), &**operation)))
    }

    /// The refusal, with all that the API could be convinced by.
    pub(crate) fn challenged(&self, mut reply: Reply) -> Reply {
        if self.api.api.mutual_ssl.is_some() {
            rejection::challenge_for_certificate(&mut reply);
        }
        reply
    }

    /// What Envoy must call the filter for.
    pub(crate) fn callbacks(&self) -> Callbacks {
        self.api.api.callbacks_of(&self.operation)
    }

    /// Whether this is a prototype, which anyone may call. A mocked one keeps its security, as in the original.
    pub(super) fn is_prototype(&self) -> bool {
        self.api.api.life_cycle == LifeCycle::Prototyped && self.operation.mock.is_none()
    }
}

/// Finds the operation.
pub(crate) fn admit<'c>(cx: &Cx<'c>) -> Result<Admitted<'c>, Halt> {
    let settings = cx.directory.settings().ok_or(Rejection::NotReady)?;
    let path = cx.request.pseudo(":path").ok_or(Rejection::NotFound)?;
    let method = cx.request.pseudo(":method").ok_or(Rejection::NotFound)?;
    let host = virtual_host(cx, &settings).ok_or(Rejection::NotFound)?;
    let (path, query) = split_query(path);

    let literal = locate(cx, &host, method, path)?;
    if !is_plain(path) {
        agree(cx, &host, method, path, &literal)?;
    }
    let Located { api, found: Found { resource, operation, captures } } = literal;
    if method == b"OPTIONS"
        && let Some(reply) = api.cors.as_ref().and_then(|cors| cors.preflight(cx))
    {
        return Err(Halt::Reply(reply));
    }
    let operation = operation.ok_or_else(|| allowed_methods(&resource))?;
    check_upgrade(cx, api.api.kind)?;
    Ok(Admitted { settings, api, resource, operation, captures, query, asked: None })
}

/// Only a WebSocket API is a tunnel, and it is nothing else. Envoy takes `upgrade` away from requests that do not ask for
/// one, and makes one of HTTP/2's extended CONNECT.
fn check_upgrade(cx: &Cx, kind: ApiKind) -> Result<(), Rejection> {
    match (kind, cx.request.get("upgrade")) {
        (ApiKind::WebSocket, Header::Absent) => Err(Rejection::NoUpgrade),
        (ApiKind::WebSocket, Header::One(protocol)) if protocol.eq_ignore_ascii_case(b"websocket") => Ok(()),
        (_, Header::Absent) => Ok(()),
        _ => Err(Rejection::Upgrade),
    }
}

/// One reading's answer.
struct Located<'p> {
    api: Rc<CompiledApi>,
    found: Found<'p>,
}

/// The resource that takes this path.
fn locate<'p>(cx: &Cx, host: &[u8], method: &[u8], path: &'p [u8]) -> Result<Located<'p>, Rejection> {
    let (id, base_length) = longest_base_path(cx, host, path)?.ok_or(Rejection::NotFound)?;
    let api = cx.directory.api(host, &id)?.ok_or(Rejection::NotFound)?;
    let rest = path.get(base_length..).unwrap_or_default();
    let found = api.resources.find(method, rest).ok_or(Rejection::NotFound)?;
    Ok(Located { api, found })
}

/// The lenient reading must reach the same resource; see [`crate::resource`] for why.
fn agree(cx: &Cx, host: &[u8], method: &[u8], path: &[u8], literal: &Located) -> Result<(), Rejection> {
    let Reading::Path(lenient) = lenient(path) else { return Err(Rejection::AmbiguousPath) };
    let other = locate(cx, host, method, &lenient).map_err(|_| Rejection::AmbiguousPath)?;
    let same = Rc::ptr_eq(&other.found.resource, &literal.found.resource);
    if same { Ok(()) } else { Err(Rejection::AmbiguousPath) }
}

/// The API whose base path is the longest prefix of the path that ends at a segment's end.
fn longest_base_path(cx: &Cx, host: &[u8], path: &[u8]) -> Result<Option<(Rc<str>, usize)>, Unreadable> {
    let Some(after_first_slash) = path.strip_prefix(b"/") else { return Ok(None) };
    let inner =
        after_first_slash.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at.saturating_add(1));
    let mut ends = [0; MAX_BASE_PATH_SEGMENTS];
    let mut count = 0_usize;
    for (slot, end) in ends.iter_mut().zip(inner.chain([path.len()])) {
        *slot = end;
        count = count.saturating_add(1);
    }
    let depths = cx.directory.base_path_depths();
    for (depth, end) in ends.iter().enumerate().take(count).rev() {
        if depths.unbounded_shr(u32::try_from(depth).unwrap_or(u32::MAX)) & 1 == 0 {
            continue;
        }
        if let Some(id) = cx.directory.route(host, path.get(..*end).unwrap_or_default())? {
            return Ok(Some((id, *end)));
        }
    }
    Ok(None)
}

/// The virtual host of the request by Envoy's rules: the exact domain, else the longest `*suffix`, else the longest
/// `prefix*`, else `*`. Further names of a virtual host are as good as its own.
fn virtual_host<'c>(cx: &Cx<'c>, settings: &Settings) -> Option<Cow<'c, [u8]>> {
    let authority = cx.request.pseudo(":authority")?;
    let host = without_port(authority);
    if host.is_empty() || host.len() > MAX_HOST {
        return None;
    }
    let host = if host.iter().any(u8::is_ascii_uppercase) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    };
    if cx.directory.has_virtual_host(&host) {
        return Some(host);
    }
    if let Some(meant) = alias(settings, &host) {
        return Some(Cow::Owned(meant));
    }
    let exists = |domain: Vec<u8>| cx.directory.has_virtual_host(&domain).then_some(domain);
    let dots = || host.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at);
    let suffixes = dots().filter_map(|at| Some([b"*", host.get(at..)?].concat()));
    // Up to and with the dot, the longest first.
    let prefixes =
        dots().collect::<Vec<_>>().into_iter().rev().filter_map(|at| Some([host.get(..=at)?, b"*"].concat()));
    suffixes.chain(prefixes).chain([b"*".to_vec()]).find_map(exists).map(Cow::Owned)
}

fn alias(settings: &Settings, host: &[u8]) -> Option<Vec<u8>> {
    if settings.aliases.is_empty() {
        return None;
    }
    let meant = settings.aliases.get(std::str::from_utf8(host).ok()?)?;
    Some(meant.clone().into_bytes())
}

/// Cuts `:port` off. What stands between the brackets of an IPv6 address has colons too.
pub(crate) fn without_port(authority: &[u8]) -> &[u8] {
    let digits = authority.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, _) = authority.split_at(authority.len().saturating_sub(digits));
    before.strip_suffix(b":").unwrap_or(authority)
}

fn split_query(path: &[u8]) -> (&[u8], &[u8]) {
    path.split_at(path.iter().position(|byte| *byte == b'?').unwrap_or(path.len()))
}

/// The answer to `OPTIONS` where the definition has none.
fn allowed_methods(resource: &CompiledResource) -> Halt {
    let mut methods: Vec<&str> =
        resource.resource.operations.iter().map(|operation| operation.method.as_str()).collect();
    methods.push("OPTIONS");
    Halt::Reply(Reply {
        status: 204,
        headers: vec![("allow".into(), methods.join(", "))],
        body: Vec::new(),
        details: "tollgate_options",
        record: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_cut_off() {
        for (authority, host) in [
            ("localhost", "localhost"),
            ("localhost:9090", "localhost"),
            ("10.0.0.1:80", "10.0.0.1"),
            ("10.0.0.1", "10.0.0.1"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("host:", "host"),
            ("host:8o", "host:8o"),
        ] {
            assert_eq!(without_port(authority.as_bytes()), host.as_bytes(), "{authority}");
        }
    }
}
