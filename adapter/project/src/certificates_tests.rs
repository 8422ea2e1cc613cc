//! Which backend is recognised by which certificate.

use serde_json::{Value, json};

use super::*;

fn pem() -> String {
    rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem().replace('\r', "")
}

fn project(files: &[(&str, &str)], list: &Value) -> ProjectFiles {
    let mut project = ProjectFiles::default();
    for (name, content) in files {
        project.insert(&format!("{FOLDER}{name}"), content.as_bytes().to_vec()).unwrap();
    }
    if !list.is_null() {
        let document = json!({"type": "endpoint_certificates", "version": "v4.2.0", "data": list});
        project.insert(LISTS[1], document.to_string().into_bytes()).unwrap();
    }
    project
}

/// What each of these URLs is recognised by, and what is reported.
fn recognised(project: &ProjectFiles, urls: &[&str]) -> (Vec<Option<String>>, Vec<String>) {
    let mut problems = Problems::new();
    let found = read(project, &mut problems);
    let mut upstreams: Vec<Upstream> = urls
        .iter()
        .map(|url| Upstream { endpoints: vec![any_address(url).unwrap().0.endpoint], ..Upstream::default() })
        .collect();
    found.apply(upstreams.iter_mut(), &mut problems);
    let trusted = upstreams.iter().map(|upstream| upstream.endpoints[0].trusted_ca.as_deref().map(str::to_owned));
    (trusted.collect(), problems.iter().map(ToString::to_string).collect())
}

#[test]
fn a_backend_is_recognised_by_its_own_certificate_or_else_by_those_that_are_not_listed() {
    let (a, b, c) = (pem(), pem(), pem());
    let entry = |endpoint: &str, file: &str| json!({"alias": "x", "endpoint": endpoint, "certificate": file});
    let listed = json!([entry("https://aa.io/v1", "a.crt"), entry("https://bb.io:8443", "b.pem")]);
    let more = format!("Bag Attributes\n{c}\n{c}");
    let files = project(&[("a.crt", &a), ("b.pem", &b), ("c.pem", &more), ("readme.txt", "x")], &listed);
    let urls = ["https://aa.io/v2", "https://bb.io:8443", "https://bb.io", "http://aa.io", "https://cc.io"];
    let (found, report) = recognised(&files, &urls);
    assert_eq!(report, [""; 0]);
    assert_eq!(found, [Some(a.clone()), Some(b.clone()), Some(c.clone()), None, Some(c)]);
    let (found, _) = recognised(&project(&[("a.crt", &a), ("b.pem", &b)], &listed), &["https://cc.io"]);
    assert_eq!(found, [None], "a listed certificate is for its backend only");
    let twice = json!([entry("https://aa.io", "a.crt"), entry("https://aa.io", "b.pem")]);
    let (found, _) = recognised(&project(&[("a.crt", &a), ("b.pem", &b)], &twice), &["https://aa.io"]);
    assert_eq!(found, [Some(format!("{a}{b}"))]);
    assert_eq!(recognised(&ProjectFiles::default(), &["https://aa.io"]), (vec![None], vec![]));
}

#[test]
fn mistakes_are_reported() {
    let good = pem();
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let broken = good.replace("MII", "AAA");
    for (files, list, reported) in [
        (&[("a.crt", "no pem")][..], json!(null), &["a.crt: the file holds no certificate"][..]),
        (&[("a.crt", broken.as_str())], json!(null), &["X.509"]),
        (&[("a.pem", key.as_str())], json!(null), &["holds a private key"]),
        (
            &[],
            json!([{"endpoint": "https://aa.io", "certificate": "a.crt"}]),
            &["/data/0/certificate: there is no certificate a.crt"],
        ),
        (&[("a.crt", good.as_str())], json!([{"endpoint": "https://aa.io"}]), &["no certificate"]),
        (
            &[("a.crt", good.as_str())],
            json!([{"endpoint": "aa", "certificate": "a.crt"}]),
            &["/data/0/endpoint: the endpoint is no absolute URL"],
        ),
        (
            &[("a.crt", good.as_str())],
            json!([{"endpoint": "https://zz.io", "certificate": "a.crt"}]),
            &["no backend of the API has this address"],
        ),
        (
            &[("a.crt", good.as_str())],
            json!([{"endpoint": "http://aa.io", "certificate": "a.crt"}]),
            &["no backend of the API has this address"],
        ),
        (&[("a.crt", good.as_str())], json!("x"), &["a list"]),
    ] {
        let (_, report) = recognised(&project(files, &list), &["https://aa.io"]);
        assert_eq!(report.len(), reported.len(), "{report:?}");
        assert!(report.iter().zip(reported).all(|(text, part)| text.contains(part)), "{report:?}");
    }
}

#[test]
fn a_file_with_many_certificates_is_refused() {
    let many = pem().repeat(MAX_CERTIFICATES + 1);
    let (_, report) = recognised(&project(&[("a.crt", &many)], &json!(null)), &[]);
    assert!(report.len() == 1 && report[0].contains("at most 200"), "{report:?}");
}
