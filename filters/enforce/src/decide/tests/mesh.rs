//! Where routes and names belong to somebody else: further names of virtual hosts, and no cluster to choose.

use tollgate_model::Api;

use super::*;

const HOST: &str = "reviews.default.svc.cluster.local";

/// The sample API at the full name of a service, which has short names as well.
fn directory() -> TestDirectory {
    let mut directory = TestDirectory::new(Api { virtual_host: HOST.to_owned(), ..api() });
    directory.virtual_hosts = vec![HOST, "other"];
    let settings = directory.settings.as_mut().unwrap();
    for alias in ["reviews", "reviews.default", "reviews.default.svc", "other"] {
        settings.aliases.insert(alias.to_owned(), HOST.to_owned());
    }
    directory
}

#[test]
fn a_virtual_host_is_found_by_all_its_names() {
    let directory = directory();
    for (authority, found) in [
        ("reviews.default.svc.cluster.local:9080", true),
        ("reviews.default.svc.cluster.local", true),
        ("Reviews.Default:9080", true),
        ("reviews.default.svc", true),
        ("reviews:9080", true),
        ("reviews:9080:9080", false),
        ("reviews.", false),
        ("ratings", false),
        ("\u{e9}", false),
        // A virtual host of that name is another one.
        ("other", false),
    ] {
        let outcome = outcome(&directory, "GET /pets/1.0/public/x", &[(":authority", authority)]);
        assert_eq!(outcome.starts_with("->"), found, "{authority}: {outcome}");
        assert!(found || outcome == NOT_FOUND, "{authority}: {outcome}");
    }
}

/// An alias of a virtual host that is not there is not served as the wildcard one.
#[test]
fn an_alias_of_nothing_is_nothing() {
    let mut directory = TestDirectory::new(Api { virtual_host: "*".to_owned(), ..api() });
    directory.virtual_hosts = vec!["*"];
    assert!(outcome(&directory, "GET /pets/1.0/public/x", &[(":authority", "a")]).starts_with("->"));
    directory.settings.as_mut().unwrap().aliases.insert("a".to_owned(), "gone".to_owned());
    assert_eq!(outcome(&directory, "GET /pets/1.0/public/x", &[(":authority", "a")]), NOT_FOUND);
}

#[test]
fn no_cluster_is_named_where_routes_belong_to_somebody_else() {
    let bearer = |kind: &str| format!("Bearer {}", token(json!({ "keytype": kind })));
    let call = |directory: &TestDirectory, kind: &str| {
        outcome(directory, "GET /pets/1.0/pet/5", &[("authorization", &bearer(kind)), ("x-wso2-cluster-header", "x")])
    };
    let both = || Api { sandbox: Some(backend("sand", "/s")), ..api() };
    let on = |api: Api| {
        let mut directory = TestDirectory::new(api);
        directory.foreign_routes = true;
        directory
    };
    // What a client writes there is taken away in any case.
    assert_eq!(call(&on(both()), "PRODUCTION"), "-> /v2/pet/5 -x-wso2-cluster-header -authorization");
    // The routes lead to production, so a sandbox key would get there.
    assert!(call(&on(both()), "SANDBOX").starts_with("401 900901: Sandbox key offered"));
    let sandbox_only = Api { production: None, ..both() };
    assert_eq!(call(&on(sandbox_only.clone()), "SANDBOX"), "-> /s/pet/5 -x-wso2-cluster-header -authorization");
    assert!(call(&on(sandbox_only), "PRODUCTION").starts_with("401 900901: Production key offered"));
    // On gateways of our own nothing of that holds.
    assert!(call(&TestDirectory::new(both()), "SANDBOX").ends_with("+cluster=sand"));
}

/// Routes of others do not know where the enforcer leaves its consent for pages, so it tells the response itself, if it can.
#[test]
fn pages_get_consent_without_routes_of_our_own() {
    let cors = Cors {
        allow_origins: vec!["https://shop.example".to_owned()],
        allow_methods: Vec::new(),
        allow_headers: Vec::new(),
        expose_headers: Vec::new(),
        allow_credentials: false,
    };
    let mut directory = TestDirectory::new(Api { cors: Some(cors), ..api() });
    let told = |directory: &TestDirectory, origin: &str, response_headers: bool| {
        let request = request("GET /pets/1.0/public/x", &[("origin", origin)]);
        let (answers, connection) = (Answers::default(), TestConnection::default());
        let callbacks = Callbacks { response_headers, ..Callbacks::NONE };
        let now = Timestamp(NOW * 1000);
        match decide_both(&Cx {
            directory,
            request: &request,
            answers: &answers,
            connection: &connection,
            now,
            callbacks,
        }) {
            Decision::Forward(edits) => (edits.response.len(), edits.response_headers),
            other => panic!("{other:?}"),
        }
    };
    let ours = "https://shop.example";
    assert_eq!(told(&directory, ours, true), (2, vec![]));
    directory.foreign_routes = true;
    let consent = vec![
        crate::HeaderEdit::Set("access-control-allow-origin".into(), ours.as_bytes().to_vec()),
        crate::HeaderEdit::Add("vary".into(), b"origin".to_vec()),
    ];
    assert_eq!(told(&directory, ours, true), (0, consent));
    assert_eq!(told(&directory, ours, false), (0, vec![]));
    assert_eq!(told(&directory, "https://evil.example", true), (0, vec![]));
}
