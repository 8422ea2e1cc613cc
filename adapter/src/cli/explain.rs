//! `adapter explain`: what a gateway decides of a request, and why. Must never print a credential.

use std::path::{Path, PathBuf};

use clap::Args;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use tollgate_model::Secret;

use super::{Output, admin_address, lines, print, read_config, runtime};
use crate::admin::client;
use crate::config::{Config, EXPLAIN_KEY, Environment, Reader};
use crate::explain::{Request, explain, now, pass, text};
use crate::run::at_rest;

/// A request, and who is asked about it: a running adapter, unless said otherwise.
#[derive(Debug, Args)]
pub(super) struct ExplainCommand {
    /// The API by `name` or `name:version`; its host and base path need not be given then.
    #[arg(long)]
    api: Option<String>,
    /// HTTP method.
    #[arg(long, default_value = "GET")]
    method: String,
    /// Path and query: below the API's base path if --api is given, whole if not.
    #[arg(long)]
    path: String,
    /// Host, as the client writes it.
    #[arg(long)]
    host: Option<String>,
    /// A header of the request; may be given several times.
    #[arg(long = "header", value_name = "name: value")]
    headers: Vec<String>,
    /// An access token, for the header from which the API takes it.
    #[arg(long)]
    token: Option<Secret>,
    /// The body of the request.
    #[arg(long, default_value = "")]
    body: String,
    /// The certificate that the client shows in the handshake.
    #[arg(long, value_name = "file.pem")]
    client_certificate: Option<PathBuf>,
    /// The SPIFFE ID of the calling workload.
    #[arg(long, value_name = "spiffe://...")]
    workload: Option<String>,
    /// Address of the client.
    #[arg(long, value_name = "ip")]
    peer: Option<String>,
    /// Environment (label) of the gateway.
    #[arg(long, default_value = "Default")]
    environment: String,
    /// Address of the running adapter's admin pages; that of the configuration when absent.
    #[arg(long, value_name = "host:port")]
    address: Option<String>,
    /// The configuration of the adapter.
    #[arg(long, value_name = "config.toml")]
    config: Option<PathBuf>,
    /// Asks no adapter, but reads what one has stored; it must not run meanwhile.
    #[arg(long, conflicts_with = "address")]
    offline: bool,
    /// Asks no adapter, but reads this project (folder or zip); may be given several times.
    #[arg(long = "project", value_name = "project", conflicts_with = "address")]
    projects: Vec<PathBuf>,
    /// Prints a pass for the header x-tollgate-explain, with which a live request to that host and path is explained in the log
    /// of its gateway. Needs tollgate.explain.keyPath, --host and the whole --path.
    #[arg(long, requires = "host", conflicts_with_all = ["api", "address", "offline", "projects"])]
    pass: bool,
    /// Form of the report.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(super) fn run(command: &ExplainCommand, environment: &Environment) -> Result<(), String> {
    let config = command.config.as_deref();
    if command.pass {
        return print_pass(command, environment);
    }
    let request = request(command)?;
    let explanation = if command.offline || !command.projects.is_empty() {
        let config = whole_config(config, environment)?;
        let world = runtime()?.block_on(at_rest::world(&config, &command.projects));
        let explanation = explain(&*world.map_err(|error| error.to_string())?, &request, now())?;
        serde_json::to_value(explanation).map_err(|error| error.to_string())?
    } else {
        let address = admin_address(command.address.as_deref(), config, environment)?;
        runtime()?.block_on(client::explain(&address, &request))?
    };
    match command.output {
        Output::Json => print(&format!("{explanation:#}\n")),
        Output::Text => print(&text::render(&explanation)),
    }
}

fn print_pass(command: &ExplainCommand, environment: &Environment) -> Result<(), String> {
    let (file, text) = read_config(command.config.as_deref())?;
    let key = Reader::new(&file, &text, environment).path(EXPLAIN_KEY);
    let key = key.ok_or_else(|| format!("{EXPLAIN_KEY} names no key; set it, also for the adapter"))?;
    let host = command.host.as_deref().unwrap_or_default();
    let pass = pass::issue(&key, host, &command.path, now()).map_err(|error| error.to_string())?;
    print(&format!("{pass}\n"))
}

/// Password of the default user of the REST API.
const ADMIN_PASSWORD: &str = "adapter_admin_pwd";

fn whole_config(path: Option<&Path>, environment: &Environment) -> Result<Config, String> {
    let (file, text) = read_config(path)?;
    // Nobody signs in here, so nobody's password need be known.
    let mut environment = environment.clone();
    environment.entry(ADMIN_PASSWORD.to_owned()).or_insert_with(|| "none".to_owned());
    Config::read(&file, &text, &environment).map(|(config, _)| config).map_err(|problems| lines(&problems))
}

fn request(command: &ExplainCommand) -> Result<Request, String> {
    let header = |text: &String| {
        let (name, value) =
            text.split_once(':').ok_or_else(|| format!("{text:?} is no header; write 'name: value'"))?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    Ok(Request {
        environment: command.environment.clone(),
        api: command.api.clone(),
        method: command.method.to_ascii_uppercase(),
        host: command.host.clone(),
        path: command.path.clone(),
        headers: command.headers.iter().map(header).collect::<Result<_, String>>()?,
        token: command.token.clone(),
        body: command.body.clone(),
        certificate: command.client_certificate.as_deref().map(digest).transpose()?,
        workload: command.workload.clone(),
        peer: command.peer.clone(),
    })
}

/// SHA-256 of a certificate, as gateways name it.
fn digest(path: &Path) -> Result<String, String> {
    let certificate = CertificateDer::from_pem_file(path)
        .map_err(|error| format!("{} holds no certificate in PEM ({error})", path.display()))?;
    Ok(hex::encode(Sha256::digest(&certificate)))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Command};
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<ExplainCommand, String> {
        match Cli::try_parse_from([&["adapter", "explain"], arguments].concat()) {
            Ok(Cli { command: Command::Explain(command), .. }) => Ok(*command),
            Ok(_) => Err("another command".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_project_is_explained_without_an_adapter() {
        let state = tempfile::tempdir().unwrap();
        let config = state.path().join("config.toml");
        std::fs::write(&config, format!("[tollgate]\nstateDirectory = {:?}\n", state.path())).unwrap();
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/projects/petstore");
        let config = config.to_str().unwrap();
        let common = ["--config", config, "--api", "SwaggerPetstore", "--path", "/pet/1", "--header", "a: b"];
        let command = parsed(&[&common[..], &["--project", sample]].concat()).unwrap();
        assert_eq!(run(&command, &Environment::new()), Ok(()));
        let command = parsed(&[&common[..], &["--offline"]].concat()).unwrap();
        assert!(run(&command, &Environment::new()).unwrap_err().contains("has no API"), "nothing is stored");
        let command = parsed(&["--config", config, "--path", "/", "--host", "localhost", "--pass"]).unwrap();
        assert!(run(&command, &Environment::new()).unwrap_err().contains("names no key"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for arguments in
            [&["--api", "a"][..], &["--path", "/", "--pass"], &["--path", "/", "--offline", "--address", "127.0.0.1:1"]]
        {
            assert!(parsed(arguments).is_err(), "{arguments:?}");
        }
        let command = parsed(&["--path", "/", "--header", "nothing"]).unwrap();
        assert!(request(&command).unwrap_err().contains("no header"));
        let missing = parsed(&["--path", "/", "--client-certificate", "/nowhere.pem"]).unwrap();
        assert!(request(&missing).unwrap_err().contains("/nowhere.pem"));
    }
}
