//! Policies on the request's way: what they change on top of what the gateway does anyway.

use tollgate_model::{HeaderPolicy, Operation, Policies, RequestPolicy, Secret, Security};

use super::*;
use crate::testing::{operation, resource};

fn set(name: &str, value: &str) -> RequestPolicy {
    RequestPolicy::Header(HeaderPolicy::Set { name: name.to_owned(), value: Secret::from(value.to_owned()) })
}

fn remove(name: &str) -> RequestPolicy {
    RequestPolicy::Header(HeaderPolicy::Remove { name: name.to_owned() })
}

fn rename(from: &str, to: &str) -> RequestPolicy {
    RequestPolicy::RenameHeader { from: from.to_owned(), to: to.to_owned() }
}

/// What becomes of the request when `GET /u/{id}`, which anyone may call, has these policies.
#[track_caller]
fn gives(policies: Vec<RequestPolicy>, headers: &[(&str, &str)], expected: &str) {
    let mut api = api();
    let policies = Policies { request: policies, response: Vec::new() };
    let with = Operation { policies: Some(policies), ..operation("GET", Security::Unsecured) };
    api.resources.push(resource("/u/{id}", vec![with, operation("PUT", Security::Unsecured)]));
    let directory = TestDirectory::new(api);
    assert_eq!(outcome(&directory, "GET /pets/1.0/u/7?a=1&b=2", headers), expected);
    let other = outcome(&directory, "PUT /pets/1.0/u/7?a=1&b=2", &[]);
    assert_eq!(other, "-> /v2/u/7?a=1&b=2 +cluster=prod", "another operation has none of it");
}

#[test]
fn headers_are_changed_in_order() {
    let sent = [("x-a", "1"), ("x-a", "2"), ("x-b", "3")];
    for (policies, expected) in [
        (vec![set("x-a", "9")], " -x-a +cluster=prod +x-a=9"),
        (vec![set("x-c", "9")], " +cluster=prod +x-c=9"),
        (vec![remove("x-a"), remove("x-c"), remove("x-a")], " -x-a +cluster=prod"),
        (vec![set("x-a", "9"), remove("x-a")], " -x-a +cluster=prod"),
        (vec![remove("x-a"), set("x-a", "9"), set("x-a", "10")], " -x-a +cluster=prod +x-a=10"),
        (vec![rename("x-b", "x-c")], " -x-b +cluster=prod +x-c=3"),
        (vec![rename("x-a", "x-b")], " -x-a -x-b +cluster=prod +x-b=1, 2"),
        (vec![rename("x-gone", "x-b")], " +cluster=prod"),
        (vec![remove("x-b"), rename("x-b", "x-c")], " -x-b +cluster=prod"),
        (vec![set("x-b", "9"), rename("x-b", "x-c")], " -x-b +cluster=prod +x-c=9"),
    ] {
        gives(policies, &sent, &format!("-> /v2/u/7?a=1&b=2{expected}"));
    }
}

#[test]
fn path_query_and_method_are_rewritten() {
    let path = |path: &str, keep_query| RequestPolicy::RewritePath { path: path.to_owned(), keep_query };
    let query = |name: &str| RequestPolicy::SetQuery { name: name.to_owned(), value: "x".to_owned() };
    for (policies, expected) in [
        (vec![path("/v/{uri.var.id}/w", true)], "-> /v2/v/7/w?a=1&b=2 +cluster=prod"),
        (vec![path("/v", false)], "-> /v2/v +cluster=prod"),
        (vec![query("c"), path("/v", false), query("a")], "-> /v2/v?c=x&a=x +cluster=prod"),
        (vec![path("/", false)], "-> /v2 +cluster=prod"),
        (vec![query("a")], "-> /v2/u/7?a=x&b=2 +cluster=prod"),
        (vec![RequestPolicy::RemoveQuery { name: "a".to_owned() }], "-> /v2/u/7?b=2 +cluster=prod"),
        (
            vec![RequestPolicy::RewriteMethod { method: "POST".to_owned() }],
            "-> /v2/u/7?a=1&b=2 +cluster=prod +:method=POST",
        ),
    ] {
        gives(policies, &[], expected);
    }
}
