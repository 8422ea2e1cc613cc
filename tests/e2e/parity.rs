//! docs/parity.md names tests; they must be there.

use std::collections::BTreeSet;

use tollgate_tests::locate;

/// What a row may name instead of a test.
const ELSEWHERE: &str = "not served yet";

#[test]
fn every_row_of_the_parity_list_names_tests_that_are_there() {
    let page = std::fs::read_to_string(locate::root().join("docs/parity.md")).unwrap();
    let mut rows = BTreeSet::new();
    let mut wrong = Vec::new();
    for line in page.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---")) {
        let Some((row, proof)) = line.trim_matches('|').split_once('|') else {
            wrong.push(format!("no two cells: {line}"));
            continue;
        };
        if proof.trim() == "proved by" {
            continue;
        }
        if !rows.insert(row.trim().to_owned()) {
            wrong.push(format!("{row}: appears twice"));
        }
        let named: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
        if named.is_empty() && !proof.contains(ELSEWHERE) {
            wrong.push(format!("{row}: names no test"));
        }
        wrong.extend(named.into_iter().filter_map(|name| missing(name).map(|why| format!("{row}: {name} {why}"))));
    }
    assert!(rows.len() > 60, "the list is read: {} rows", rows.len());
    assert_eq!(wrong, Vec::<String>::new());
}

/// Why `path/of/file.rs::name` is no test.
fn missing(name: &str) -> Option<&'static str> {
    let Some((file, test)) = name.split_once("::") else { return Some("is no file and test") };
    let Ok(text) = std::fs::read_to_string(locate::root().join(file)) else { return Some("is in no file") };
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let signature = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ").and_then(|line| line.strip_prefix(test)).is_some_and(|rest| rest.starts_with('('))
    };
    let Some(position) = lines.iter().position(|line| signature(line)) else { return Some("is no function") };
    let above = lines.iter().take(position).rev().take_while(|line| line.starts_with("#["));
    let marked = above.into_iter().any(|line| line.starts_with("#[test") || line.starts_with("#[tokio::test"));
    if marked { None } else { Some("is not marked as a test") }
}
