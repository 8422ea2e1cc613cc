//! Certificates of a project by which its backends are recognised. A backend that the list names is recognised by its own
//! ones only; files that the list does not name are for all other backends of the API.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use x509_parser::pem::Pem;

use super::document::{Node, parse};
use super::files::ProjectFiles;
use super::upstream::{Upstream, any_address};
use crate::model::{Endpoint, Problems};
use crate::pem;

const FOLDER: &str = "Endpoint-certificates/";
const LISTS: [&str; 2] =
    ["Endpoint-certificates/endpoint_certificates.yaml", "Endpoint-certificates/endpoint_certificates.json"];
/// Most certificates of a project: each cluster carries its own.
const MAX_CERTIFICATES: usize = 200;

/// Host and port: a connection knows no path, so certificates cannot depend on one.
type Authority = (String, u16);

/// The certificates of a project, as PEM.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct EndpointCertificates {
    own: BTreeMap<Authority, Arc<str>>,
    /// Where the list names an authority: file, pointer and authority.
    listed: Vec<(String, String, Authority)>,
    others: Option<Arc<str>>,
    interceptors: Option<Arc<str>>,
}

impl EndpointCertificates {
    /// By which the interceptors of the API are recognised; by the gateway's own bundle when there is none.
    #[must_use]
    pub const fn of_interceptors(&self) -> Option<&Arc<str>> {
        self.interceptors.as_ref()
    }

    /// Tells the backends by what they are recognised.
    pub fn apply<'u>(&self, upstreams: impl Iterator<Item = &'u mut Upstream>, problems: &mut Problems) {
        let mut used = BTreeSet::new();
        for endpoint in upstreams.flat_map(|upstream| &mut upstream.endpoints).filter(|endpoint| endpoint.tls) {
            let authority = authority(endpoint);
            endpoint.trusted_ca = self.own.get(&authority).or(self.others.as_ref()).cloned();
            used.insert(authority);
        }
        for (file, pointer, _) in self.listed.iter().filter(|(_, _, authority)| !used.contains(authority)) {
            problems.warn(
                (file, pointer),
                "no backend of the API has this address and speaks TLS",
                "the certificate is not used",
                "correct the endpoint, or remove the entry",
            );
        }
    }
}

/// Reads the certificates of a project.
pub fn read(files: &ProjectFiles, problems: &mut Problems) -> EndpointCertificates {
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for path in files.paths() {
        let Some(name) = path.strip_prefix(FOLDER).filter(|name| is_pem(name)) else { continue };
        match certificates(files.get(path).unwrap_or_default()) {
            Ok(pems) => {
                found.insert(name, pems);
            }
            Err(what) => problems.error(
                (path, ""),
                format!("the file {what}"),
                "neither backends nor interceptors can be recognised by it",
                "store X.509 certificates in PEM, beginning with -----BEGIN CERTIFICATE-----",
            ),
        }
    }
    let count: usize = found.values().map(Vec::len).sum();
    if count > MAX_CERTIFICATES {
        problems.error((FOLDER, ""), format!("there are {count} certificates"), "at most 200 are taken", "remove some");
        return EndpointCertificates::default();
    }
    let mut own: BTreeMap<Authority, Vec<&str>> = BTreeMap::new();
    let mut listed = Vec::new();
    let mut named = BTreeSet::new();
    if let Some((file, bytes)) = files.one_of(&LISTS, problems)
        && let Some(document) = parse(file, bytes, problems)
    {
        let list = Node::root(file, &document).get("data").map(|data| data.items(problems)).unwrap_or_default();
        for entry in list {
            let Some((name, authority)) = listing(&entry, files, problems) else { continue };
            listed.push((file.to_owned(), entry.at().1.to_owned(), authority.clone()));
            own.entry(authority)
                .or_default()
                .extend(found.get(name.as_str()).into_iter().flatten().map(String::as_str));
            named.insert(name);
        }
    }
    let (of_backends, of_interceptors): (Vec<_>, Vec<_>) = found.iter().partition(|(name, _)| is_certificate(name));
    let interceptors = bundle(of_interceptors.into_iter().flat_map(|(_, pems)| pems).map(String::as_str));
    let others = of_backends.into_iter().filter(|(name, _)| !named.contains(**name)).flat_map(|(_, pems)| pems);
    let others = bundle(others.map(String::as_str));
    EndpointCertificates {
        own: own.into_iter().filter_map(|(authority, pems)| Some((authority, bundle(pems.into_iter())?))).collect(),
        listed,
        others,
        interceptors,
    }
}

/// Whether a file of the folder holds certificates of backends.
fn is_certificate(name: &str) -> bool {
    is_pem(name) && !name.split('/').any(|part| part == "interceptors")
}

/// Whether it holds certificates, of whomever.
fn is_pem(name: &str) -> bool {
    name.ends_with(".crt") || name.ends_with(".pem")
}

/// File and authority of an entry of the list.
fn listing(entry: &Node<'_>, files: &ProjectFiles, problems: &mut Problems) -> Option<(String, Authority)> {
    let text = |key: &str, problems: &mut Problems| {
        let Some(node) = entry.get(key) else {
            entry.error(problems, format!("the entry has no {key}"), "its certificate could not be used", "add it");
            return None;
        };
        let text = node.text(problems)?.to_owned();
        Some((text, node))
    };
    let (endpoint, certificate) = (text("endpoint", problems), text("certificate", problems));
    let ((url, at), (name, file)) = (endpoint?, certificate?);
    let found = files.get(&format!("{FOLDER}{name}")).filter(|_| is_certificate(&name));
    if found.is_none() {
        file.error(
            problems,
            format!("there is no certificate {name}"),
            "the backend could not be recognised",
            "put a .crt or .pem file of that name next to the list",
        );
    }
    match any_address(&url) {
        Ok((address, _)) => found.map(|_| (name, authority(&address.endpoint))),
        Err(what) => {
            at.error(problems, format!("the endpoint {what}"), "its certificate could not be used", "correct it");
            None
        }
    }
}

fn authority(endpoint: &Endpoint) -> Authority {
    (endpoint.host.clone(), endpoint.port)
}

/// The certificates of a file, written anew, so that a gateway gets nothing but them.
fn certificates(bytes: &[u8]) -> Result<Vec<String>, String> {
    let mut pems = Vec::new();
    for pem in Pem::iter_from_buffer(bytes) {
        let pem = pem.map_err(|error| format!("is no PEM ({error})"))?;
        if pem.label != "CERTIFICATE" {
            return Err(format!("holds a {}, which does not belong into a project", pem.label.to_lowercase()));
        }
        pem.parse_x509().map_err(|error| format!("holds no X.509 certificate ({error})"))?;
        pems.push(pem::encode(&pem.contents));
    }
    if pems.is_empty() { Err("holds no certificate".to_owned()) } else { Ok(pems) }
}

/// All of them, each once; `None` when there is none.
fn bundle<'p>(pems: impl Iterator<Item = &'p str>) -> Option<Arc<str>> {
    let mut seen = BTreeSet::new();
    let text: String = pems.filter(|pem| seen.insert(*pem)).collect();
    (!text.is_empty()).then(|| text.into())
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;
