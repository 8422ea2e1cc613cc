//! Certificates of a project by which its callers are recognised (`Client-certificates/`), and whether they must have
//! one. The list says who a caller is, so a file that it does not name lets nobody in.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use tollgate_model::{ClientCertificate, MutualSsl};
use x509_parser::pem::Pem;

use super::document::{Node, parse};
use super::files::ProjectFiles;
use super::security::NamedSchemes;
use crate::model::Problems;

const FOLDER: &str = "Client-certificates/";
const LISTS: [&str; 2] =
    ["Client-certificates/client_certificates.yaml", "Client-certificates/client_certificates.json"];
/// Most certificates of an API: filters hold all of them.
const MAX_CERTIFICATES: usize = 1_000;
/// Most bytes in a name that travels to the filters.
const MAX_NAME: usize = 1_024;

/// What the API makes of certificates; `None` when they do not matter.
pub fn read(files: &ProjectFiles, named: NamedSchemes, problems: &mut Problems) -> Option<MutualSsl> {
    let certificates = certificates(files, problems);
    if !named.mutual_ssl && !named.mutual_ssl_mandatory {
        if !certificates.is_empty() {
            problems.warn(
                (FOLDER, ""),
                "the certificates of callers are not used",
                "securityScheme of api.yaml does not list mutualssl",
                "add it, or remove the folder",
            );
        }
        return None;
    }
    if certificates.is_empty() && named.mutual_ssl_mandatory {
        problems.warn(
            (FOLDER, ""),
            "the project has no certificate of a caller",
            "mutualssl_mandatory asks for one, so nobody can call the API",
            "add certificates and Client-certificates/client_certificates.yaml, which lists them",
        );
    }
    Some(MutualSsl {
        mandatory: named.mutual_ssl_mandatory,
        application_security: named.application_security,
        certificates,
    })
}

fn certificates(files: &ProjectFiles, problems: &mut Problems) -> Vec<ClientCertificate> {
    let mut unlisted: BTreeMap<&str, &[u8]> = BTreeMap::new();
    for path in files.paths() {
        let name = path.strip_prefix(FOLDER).filter(|name| name.ends_with(".crt") || name.ends_with(".pem"));
        unlisted.extend(name.map(|name| (name, files.get(path).unwrap_or_default())));
    }
    let mut found: Vec<ClientCertificate> = Vec::new();
    if let Some((file, bytes)) = files.one_of(&LISTS, problems)
        && let Some(document) = parse(file, bytes, problems)
    {
        let list = Node::root(file, &document).get("data").map(|data| data.items(problems)).unwrap_or_default();
        if list.len() > MAX_CERTIFICATES {
            let what = format!("there are {} certificates", list.len());
            problems.error((file, "/data"), what, "at most 1000 are taken", "remove some");
            return Vec::new();
        }
        for entry in &list {
            let Some((name, certificate)) = listed(entry, files, problems) else { continue };
            unlisted.remove(name);
            if found.iter().any(|other| other.sha256 == certificate.sha256) {
                let why = "the two entries may differ in tier and name";
                entry.error(problems, "another entry has the same certificate", why, "remove one of them");
            }
            found.push(certificate);
        }
    }
    for name in unlisted.keys() {
        problems.warn(
            (&format!("{FOLDER}{name}"), ""),
            "the certificate is not listed",
            "the list says who its owner is, so its owner is locked out",
            "add an entry to Client-certificates/client_certificates.yaml",
        );
    }
    found
}

/// File name and content of an entry of the list.
fn listed<'v>(entry: &Node<'v>, files: &ProjectFiles, problems: &mut Problems) -> Option<(&'v str, ClientCertificate)> {
    let text = |key: &str, problems: &mut Problems| entry.get(key).and_then(|node| node.text(problems));
    let (alias, tier) = (text("alias", problems), text("tierName", problems));
    let Some(node) = entry.get("certificate") else {
        entry.error(problems, "the entry has no certificate", "nobody could be recognised by it", "add it");
        return None;
    };
    let name = node.text(problems)?;
    let Some(bytes) = files.get(&format!("{FOLDER}{name}")) else {
        let fix = "put a .crt or .pem file of that name next to the list";
        node.error(problems, format!("there is no certificate {name}"), "its owner would be locked out", fix);
        return None;
    };
    let alias = alias.unwrap_or(name);
    let limited = [Some(alias), tier].into_iter().flatten().all(|text| text.len() <= MAX_NAME);
    match read_one(bytes) {
        Ok((subject, sha256)) if limited && subject.len() <= MAX_NAME => {
            let tier = tier.filter(|tier| !tier.is_empty()).map(str::to_owned);
            Some((name, ClientCertificate { alias: alias.to_owned(), subject, tier, sha256 }))
        }
        Ok(_) => {
            let why = "alias, tier and subject may have 1024 bytes each";
            entry.error(problems, "the entry has a name that is too long", why, "shorten it");
            None
        }
        Err(what) => {
            let fix = "store one X.509 certificate in PEM, beginning with -----BEGIN CERTIFICATE-----";
            node.error(problems, format!("the file {name} {what}"), "nobody could be recognised by it", fix);
            None
        }
    }
}

/// Subject and digest of the first certificate. Others in the file are the authorities that issued it.
fn read_one(bytes: &[u8]) -> Result<(String, String), String> {
    let mut first = None;
    for pem in Pem::iter_from_buffer(bytes) {
        let pem = pem.map_err(|error| format!("is no PEM ({error})"))?;
        if pem.label != "CERTIFICATE" {
            return Err(format!("holds a {}, which does not belong into a project", pem.label.to_lowercase()));
        }
        let certificate = pem.parse_x509().map_err(|error| format!("holds no X.509 certificate ({error})"))?;
        let subject = certificate.subject().to_string();
        first = first.or_else(|| Some((subject, hex::encode(Sha256::digest(&pem.contents)))));
    }
    first.ok_or_else(|| "holds no certificate".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const OPTIONAL: NamedSchemes = NamedSchemes { mutual_ssl: true, ..NamedSchemes::NONE };
    const MANDATORY: NamedSchemes = NamedSchemes { mutual_ssl_mandatory: true, application_security: true, ..OPTIONAL };

    fn pem() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert;
        (made.pem(), hex::encode(Sha256::digest(made.der())))
    }

    #[track_caller]
    fn check(files: &[(&str, &str)], list: &Value, named: NamedSchemes, expected: &[&str]) -> Option<MutualSsl> {
        let mut project = ProjectFiles::default();
        for (name, content) in files {
            project.insert(&format!("{FOLDER}{name}"), content.as_bytes().to_vec()).unwrap();
        }
        if !list.is_null() {
            let document = json!({"type": "client_certificates", "version": "v4.2.0", "data": list});
            project.insert(LISTS[0], document.to_string().into_bytes()).unwrap();
        }
        let mut problems = Problems::new();
        let found = read(&project, named, &mut problems);
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(text.len(), expected.len(), "{text:?}");
        for (text, part) in text.iter().zip(expected) {
            assert!(text.contains(part), "{text:?} lacks {part:?}");
        }
        found
    }

    #[test]
    fn callers_are_listed() {
        let ((a, a_digest), (b, b_digest)) = (pem(), pem());
        let list = json!([{"alias": "first", "certificate": "a.crt", "tierName": "Gold", "apiIdentifier": {"apiName": "x"}},
                          {"alias": "second", "certificate": "b.pem", "tierName": ""}]);
        // The authority after a certificate is no caller.
        let chain = format!("{b}{a}");
        let found = check(&[("a.crt", &a), ("b.pem", &chain)], &list, MANDATORY, &[]).unwrap();
        assert!(found.mandatory && found.application_security);
        let entries: Vec<_> = found
            .certificates
            .iter()
            .map(|one| (one.alias.as_str(), one.tier.as_deref(), one.sha256.as_str(), one.subject.as_str()))
            .collect();
        let subject = "CN=rcgen self signed cert";
        let expected = [("first", Some("Gold"), a_digest.as_str(), subject), ("second", None, &b_digest, subject)];
        assert_eq!(entries, expected);
        assert_eq!(
            check(&[("a.crt", &a)], &json!([{"certificate": "a.crt"}]), NamedSchemes::NONE, &["not used"]),
            None
        );
        let none = check(&[], &json!(null), OPTIONAL, &[]).unwrap();
        assert!(!none.mandatory && !none.application_security && none.certificates.is_empty());
    }

    #[test]
    fn mistakes_are_reported() {
        let (a, _) = pem();
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let one = json!([{"alias": "x", "certificate": "a.crt"}]);
        check(&[], &json!(null), MANDATORY, &["no certificate of a caller"]);
        check(&[("a.crt", &a)], &json!(null), OPTIONAL, &["is not listed"]);
        check(&[], &one, OPTIONAL, &["there is no certificate a.crt"]);
        check(&[("a.crt", &a)], &json!([{"alias": "x"}]), OPTIONAL, &["has no certificate", "is not listed"]);
        check(&[("a.crt", "junk")], &one, OPTIONAL, &["holds no certificate", "is not listed"]);
        check(&[("a.crt", &key)], &one, OPTIONAL, &["private key", "is not listed"]);
        check(
            &[("a.crt", &a)],
            &json!([{"certificate": "a.crt"}, {"certificate": "a.crt"}]),
            OPTIONAL,
            &["same certificate"],
        );
        check(&[("a.crt", &a)], &json!({"certificate": "a.crt"}), OPTIONAL, &["a list is expected", "is not listed"]);
    }
}
