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

/// Every code is decided in a unit test and shown on Envoy in a file that names it.
#[test]
fn every_code_is_shown_on_decide_and_on_envoy() {
    let read = |name: &str| std::fs::read_to_string(locate::root().join(name)).unwrap();
    let page = read("docs/parity.md");
    let (_, codes) = page.split_once("\n## Codes\n").unwrap();
    let rows = codes.split("\n## ").next().unwrap_or_default().lines().filter_map(|line| {
        let (details, proof) = line.strip_prefix("| `")?.split_once("` | ")?;
        Some((details.to_owned(), proof.to_owned()))
    });
    let mut wrong = Vec::new();
    let mut shown = BTreeSet::new();
    for (details, proof) in rows {
        let named: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
        let within = |folder: &str| named.iter().filter(|name| name.starts_with(folder)).count();
        if within("filters/") == 0 || within("tests/e2e/") == 0 {
            wrong.push(format!("{details}: {proof} is not both"));
        }
        let code = details.split('_').nth(1).unwrap_or_default();
        let files =
            named.iter().filter_map(|name| name.split_once("::")).filter(|(file, _)| file.starts_with("tests/e2e/"));
        wrong.extend(
            files.filter(|(file, _)| !read(file).contains(code)).map(|(file, _)| format!("{file} lacks {code}")),
        );
        shown.insert(details);
    }
    let catalogue = read("docs/error-codes.md");
    let lines = catalogue.lines().filter(|line| line.starts_with("| ")).filter_map(|line| line.split('`').nth(1));
    let listed: BTreeSet<String> = lines.filter(|one| one.starts_with("tollgate_")).map(str::to_owned).collect();
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(shown, listed, "docs/parity.md lists the codes of docs/error-codes.md");
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
