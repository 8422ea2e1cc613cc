//! The files of `envoy-config/` and `istio/`: they are what the adapter makes of the command that they name, what Istio and
//! Kubernetes declare, and consistent with each other.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use tollgate_tests::locate;
use tollgate_tests::program::adapter;

use super::schemas::{conforms, documents, title};

const MADE_BY: &str = "# Made by: adapter ";
/// Folders of samples for Istio.
const SAMPLES: [&str; 3] = ["mtls-mode", "sidecar-mode", "service-to-service"];

fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        // Templates are no YAML, and an API project has formats of its own.
        if path.is_dir() && !["helm", "apis"].iter().any(|name| path.ends_with(name)) {
            yaml_files(&path, found);
        } else if path.extension().is_some_and(|end| end == "yaml") {
            found.push(path);
        }
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_generated_file_is_what_its_command_makes() {
    let mut files = Vec::new();
    yaml_files(&locate::root().join("istio"), &mut files);
    yaml_files(&locate::root().join("envoy-config"), &mut files);
    let mut checked = 0;
    for path in files {
        let text = read(&path);
        let Some(command) = text.lines().next().and_then(|line| line.strip_prefix(MADE_BY)) else { continue };
        let arguments: Vec<&str> = command.split_whitespace().collect();
        let made = adapter(&locate::root(), &[], &arguments).unwrap();
        if std::env::var_os("TOLLGATE_WRITE_DOCS").is_some() {
            std::fs::write(&path, &made).unwrap();
            continue;
        }
        assert!(
            made == text,
            "{} is not what `adapter {command}` prints; run this test with TOLLGATE_WRITE_DOCS=1",
            path.display()
        );
        checked += 1;
    }
    assert!(checked >= 5, "only {checked} files name their command");
}

#[test]
fn every_manifest_is_what_kubernetes_and_istio_declare() {
    let mut files = Vec::new();
    yaml_files(&locate::root().join("istio"), &mut files);
    assert!(files.len() > SAMPLES.len() * 2, "{files:?}");
    for path in files {
        if path.ends_with("subscriptions.yaml") {
            let empty = TempDir::new().unwrap();
            adapter(empty.path(), &[], &["validate", &path.display().to_string()]).unwrap();
        } else {
            documents(&read(&path)).iter().for_each(conforms);
        }
    }
}

#[test]
fn every_sample_has_an_application_apis_and_a_filter_or_gateway_for_it() {
    for sample in SAMPLES {
        let folder = locate::root().join("istio").join(sample);
        let application = documents(&read(&folder.join("application.yaml")));
        let of = |kind: &str| application.iter().filter(move |object| object["kind"] == kind).collect::<Vec<_>>();
        let (services, workloads) = (of("Service"), of("Deployment"));
        assert!(services.len() >= 2 && workloads.len() >= 2, "{sample}");
        for service in services {
            let (name, selector) = (title(service), &service["spec"]["selector"]);
            assert!(workloads.iter().any(|workload| has_labels(workload, selector)), "{sample}: {name} finds no pod");
        }
        let projects = std::fs::read_dir(folder.join("apis")).unwrap().map(|entry| entry.unwrap().path());
        let mut count = 0;
        for project in projects {
            let empty = TempDir::new().unwrap();
            adapter(empty.path(), &[], &["validate", &project.display().to_string()]).unwrap();
            count += 1;
        }
        assert!(count > 0, "{sample} has no API");
        assert!(folder.join("tollgate.yaml").exists(), "{sample} has no adapter");
        let picture = read(&folder.join("picture.svg"));
        assert!(picture.starts_with("<svg ") && picture.trim_end().ends_with("</svg>"), "{sample} has no picture");
        let page = read(&locate::root().join("istio/README.md"));
        assert!(page.contains(&format!("]({sample}/picture.svg)")), "the page does not show the picture of {sample}");
        // Where the gateways are those of Tollgate, no proxy of Istio has the filter.
        let filter = folder.join("filter.yaml");
        assert_eq!(filter.exists(), sample != "mtls-mode");
        if filter.exists() {
            let labels = &documents(&read(&filter))[0]["spec"]["selector"]["matchLabels"];
            assert!(workloads.iter().any(|workload| has_labels(workload, labels)), "{sample}: the filter finds no pod");
        }
    }
}

fn has_labels(workload: &Value, selector: &Value) -> bool {
    let labels = &workload["spec"]["template"]["metadata"]["labels"];
    selector.as_object().unwrap().iter().all(|(name, value)| labels[name] == *value)
}

/// Command lines of the pages on installing: those of the adapter are run in their order, in a folder of their own, with what
/// came before; files that others name must be there.
#[test]
fn the_commands_of_the_pages_hold() {
    for page in ["docs/installing.md", "istio/README.md", "envoy-config/README.md"] {
        let folder = TempDir::new().unwrap();
        let module = locate::module().unwrap();
        std::fs::create_dir_all(folder.path().join("target/wasm")).unwrap();
        std::fs::copy(&module, folder.path().join("target/wasm/enforcer.wasm")).unwrap();
        std::os::unix::fs::symlink(locate::root().join("istio"), folder.path().join("istio")).unwrap();
        std::os::unix::fs::symlink(locate::root().join("envoy-config"), folder.path().join("envoy-config")).unwrap();
        let mut run = 0;
        let mut environment: Vec<(String, String)> = Vec::new();
        for command in commands(&read(&locate::root().join(page))) {
            let (words, file) = match command.split_once(" > ") {
                Some((words, file)) => (words, Some(file)),
                None => (command.as_str(), None),
            };
            let words: Vec<&str> = words.split_whitespace().collect();
            match words.as_slice() {
                ["export", variables @ ..] => {
                    let pairs = variables.iter().filter_map(|variable| variable.split_once('='));
                    environment.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
                }
                ["adapter", "push-filters" | "serve" | "status", ..] => {}
                ["adapter", arguments @ ..] => {
                    let environment: Vec<(&str, &str)> =
                        environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                    let printed = adapter(folder.path(), &environment, arguments);
                    let printed = printed.unwrap_or_else(|error| panic!("{page}: {command}: {error:#}"));
                    if file == Some("tollgate.yaml") {
                        has_what_it_names(&documents(&printed));
                    }
                    if let Some(file) = file {
                        std::fs::write(folder.path().join(file), printed).unwrap();
                    }
                    run += 1;
                }
                ["kubectl", arguments @ ..] => {
                    let files = arguments.iter().zip(arguments.iter().skip(1)).filter(|(flag, _)| **flag == "-f");
                    for (_, file) in files {
                        assert!(folder.path().join(file).exists(), "{page}: {command}: there is no {file}");
                    }
                }
                _ => {}
            }
        }
        assert!(run > 0, "{page} has no command");
    }
}

/// Without its secrets the adapter would not even start.
fn has_what_it_names(objects: &[Value]) {
    let titles: Vec<String> = objects.iter().map(title).collect();
    for needed in ["Deployment tollgate-adapter", "Secret tollgate-adapter", "Secret tollgate-adapter-tls"] {
        assert!(titles.iter().any(|title| title == needed), "there is no {needed} among {titles:?}");
    }
}

/// The lines of all blocks of shell commands, continued ones as one.
fn commands(page: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut inside = false;
    let mut open: Option<String> = None;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside && line.trim() == "```sh";
            continue;
        }
        if !inside {
            continue;
        }
        let line = line.split(" #").next().unwrap_or_default().trim();
        let whole = open.take().unwrap_or_default() + line.trim_end_matches('\\');
        if line.ends_with('\\') { open = Some(whole) } else { commands.push(whole) }
    }
    commands
}
