//! `adapter render`: reads what manifests are made of. What they look like is [`crate::render`]'s.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use tollgate_model::Callbacks;

use super::{lines, read_config};
use crate::config::{Deployment, Environment, read_file};
use crate::delivery::{ImageFormat, MODULES, Module};
use crate::render::{
    Certificates, Delivery, Installation, Link, ModuleSource, Options, Proxies, Secrets, Target, default_config, render,
};

/// What can be said about the manifests.
#[derive(Debug, Args)]
pub(super) struct RenderCommand {
    /// What they are for.
    #[arg(long, value_enum)]
    target: Target,
    /// The adapter's configuration; a small one when none is given.
    #[arg(long, value_name = "config.toml")]
    config: Option<PathBuf>,
    /// Environment (gateway label) whose APIs the proxies serve.
    #[arg(long, default_value = "Default")]
    environment: String,
    /// Virtual host of that environment, where no configuration is given.
    #[arg(long, value_name = "host", default_value = "localhost")]
    virtual_host: String,
    #[command(flatten)]
    module: ModuleArguments,
    #[command(flatten)]
    proxies: ProxyArguments,
    #[command(flatten)]
    installation: InstallationArguments,
}

/// The module, and how proxies get it.
#[derive(Debug, Args)]
#[command(next_help_heading = "The filter module")]
struct ModuleArguments {
    /// Its name.
    #[arg(long, default_value = "enforcer", value_parser = clap::builder::PossibleValuesParser::new(MODULES))]
    module: String,
    /// The module itself, for its hash.
    #[arg(long, value_name = "file.wasm")]
    wasm: Option<PathBuf>,
    /// The hash to write when the module is not at hand: that of the image for oci, that of the module for http.
    #[arg(long, value_name = "64 digits", value_parser = sha256)]
    sha256: Option<String>,
    /// How proxies get it: file for --target envoy, oci for all others, when absent.
    #[arg(long, value_enum)]
    delivery: Option<Delivery>,
    /// What the names of images begin with.
    #[arg(long, value_name = "name", default_value = "registry.example/tollgate")]
    repository: String,
    /// Their tag.
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    tag: String,
    /// Their form, as it was pushed.
    #[arg(long, value_enum, default_value_t)]
    format: ImageFormat,
    /// Where it lies on a proxy's machine.
    #[arg(long, value_name = "path", default_value = "/usr/share/tollgate/enforcer.wasm")]
    file: String,
    /// Callbacks that APIs need beside those for the headers of requests.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "response-headers")]
    callbacks: Vec<Callback>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Callback {
    /// None at all.
    None,
    /// Bodies of requests: GraphQL, and interceptors that want bodies.
    RequestBody,
    /// Headers of responses: policies and interceptors of responses.
    ResponseHeaders,
    /// Responses that wait for an interceptor.
    ResponseWait,
    /// Bodies of responses, for interceptors that want them.
    ResponseBody,
    /// Frames of WebSockets, for limits.
    Frames,
    /// All of them.
    All,
}

/// The proxies, and how they reach the adapter.
#[derive(Debug, Args)]
#[command(next_help_heading = "Proxies of Istio")]
struct ProxyArguments {
    /// Their namespace.
    #[arg(long, value_name = "name", default_value = "istio-system")]
    proxy_namespace: String,
    /// Labels of their workloads.
    #[arg(long, value_name = "name=value", value_delimiter = ',', value_parser = label, default_value = "istio=ingressgateway")]
    selector: Vec<(String, String)>,
    /// Only requests that arrive at the workload: for sidecars, whose outgoing requests the receiver judges.
    #[arg(long)]
    inbound: bool,
    /// How they reach the adapter.
    #[arg(long, value_enum, default_value = "tls")]
    link: Link,
    /// Service accounts that may ask it, with --link mesh.
    #[arg(long = "caller", value_name = "namespace/account", value_delimiter = ',')]
    callers: Vec<String>,
    /// Secret with the pair that they show to it, with --link tls.
    #[arg(long, value_name = "name", default_value = "tollgate-router-tls")]
    secret: String,
    /// Host of an adapter that is not in the cluster.
    #[arg(long, value_name = "host")]
    adapter: Option<String>,
}

/// The adapter in Kubernetes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Kubernetes")]
struct InstallationArguments {
    /// Namespace of the adapter.
    #[arg(long, value_name = "name", default_value = "tollgate")]
    namespace: String,
    /// Its image.
    #[arg(long, default_value = concat!("registry.example/tollgate/adapter:", env!("CARGO_PKG_VERSION")))]
    image: String,
    /// Image of Envoy for gateways.
    #[arg(long, value_name = "image", default_value = "envoyproxy/envoy:distroless-v1.40.0")]
    router_image: String,
    /// How many adapters.
    #[arg(long, default_value_t = 1)]
    replicas: u32,
    /// How many gateways of plain Envoy; 0 means none, as where Istio's proxies are the gateways.
    #[arg(long, value_name = "number", default_value_t = 2)]
    router_replicas: u32,
    /// Size of the volume for the adapter's state; none means that it ends with the pod.
    #[arg(long, value_name = "size|none", default_value = "1Gi")]
    storage: String,
    /// Plans, applications and subscriptions; the adapter has them as /etc/tollgate/subscriptions.yaml.
    #[arg(long, value_name = "subscriptions.yaml")]
    subscriptions: Option<PathBuf>,
    /// Folder of `adapter certificates`, whose pairs are put into secrets.
    #[arg(long, value_name = "folder")]
    certificates: Option<PathBuf>,
    /// Puts these variables of the environment into the adapter's secret.
    #[arg(long, value_name = "variable", value_delimiter = ',')]
    secrets: Vec<String>,
}

impl RenderCommand {
    pub(super) fn run(&self, environment: &Environment) -> Result<String, String> {
        let options = self.options(environment)?;
        let text = render(&options).map_err(|error| error.to_string())?;
        Ok(format!("{}{text}", made_by(std::env::args().skip(1))))
    }

    fn options(&self, environment: &Environment) -> Result<Options, String> {
        let (file, config) = match &self.config {
            Some(_) => read_config(self.config.as_deref())?,
            None => {
                let text = default_config(&self.environment, &self.virtual_host, self.proxies.link);
                ("the default configuration".to_owned(), text)
            }
        };
        let deployment = Deployment::read(&file, &config).map_err(|problems| lines(&problems))?;
        let proxies = &self.proxies;
        Ok(Options {
            target: self.target,
            config,
            deployment,
            environment: self.environment.clone(),
            callbacks: self.module.callbacks(),
            source: self.module.source(self.target)?,
            namespace: self.installation.namespace.clone(),
            host: proxies.adapter.clone(),
            link: proxies.link,
            proxies: Proxies {
                namespace: proxies.proxy_namespace.clone(),
                labels: proxies.selector.iter().cloned().collect(),
                inbound: proxies.inbound,
                callers: proxies.callers.clone(),
                secret: proxies.secret.clone(),
            },
            installation: self.installation.read(environment)?,
            variables: environment.clone(),
        })
    }
}

impl ModuleArguments {
    fn callbacks(&self) -> Callbacks {
        let has = |wanted| self.callbacks.contains(&wanted) || self.callbacks.contains(&Callback::All);
        Callbacks {
            request_body: has(Callback::RequestBody),
            response_headers: has(Callback::ResponseHeaders),
            response_wait: has(Callback::ResponseWait),
            response_body: has(Callback::ResponseBody),
            frames: has(Callback::Frames),
        }
    }

    fn source(&self, target: Target) -> Result<ModuleSource, String> {
        let module = self.wasm.as_deref().map(|path| Module::load(&self.module, path)).transpose();
        let usual = if target == Target::Envoy { Delivery::File } else { Delivery::Oci };
        Ok(ModuleSource {
            name: self.module.clone(),
            module: module.map_err(|error| error.to_string())?,
            sha256: self.sha256.clone(),
            delivery: self.delivery.unwrap_or(usual),
            repository: self.repository.clone(),
            tag: self.tag.clone(),
            format: self.format,
            file: self.file.clone(),
        })
    }
}

impl InstallationArguments {
    fn read(&self, environment: &Environment) -> Result<Installation, String> {
        let secret = |name: &String| match environment.get(name) {
            Some(value) => Ok((name.clone(), value.clone())),
            None => Err(format!("the environment has no variable {name}; set it, or leave it out of --secrets")),
        };
        let secrets: BTreeMap<_, _> = self.secrets.iter().map(secret).collect::<Result<_, _>>()?;
        Ok(Installation {
            image: self.image.clone(),
            router_image: self.router_image.clone(),
            replicas: self.replicas,
            router_replicas: self.router_replicas,
            subscriptions: self.subscriptions.as_deref().map(read_file).transpose()?,
            storage: Some(self.storage.clone()).filter(|size| size != "none"),
            certificates: self.certificates.as_deref().map(certificates).transpose()?,
            secrets: Some(Secrets(secrets)).filter(|secrets| !secrets.0.is_empty()),
        })
    }
}

fn certificates(folder: &Path) -> Result<Certificates, String> {
    let read = |name: &str| {
        let path = folder.join(name);
        let hint = "name a folder that `adapter certificates` made";
        std::fs::read_to_string(&path).map_err(|error| format!("{} cannot be read ({error}); {hint}", path.display()))
    };
    let pair = |name: &str| Ok::<_, String>((read(&format!("{name}.pem"))?, read(&format!("{name}.key"))?));
    Ok(Certificates { ca: read("ca.pem")?, adapter: pair("adapter")?, router: pair("router")? })
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a label is written as name=value".to_owned()),
    }
}

fn sha256(text: &str) -> Result<String, String> {
    let good = text.len() == 64 && text.chars().all(|digit| matches!(digit, '0'..='9' | 'a'..='f'));
    if good { Ok(text.to_owned()) } else { Err("64 hexadecimal digits in lower case are expected".to_owned()) }
}

/// The command, so that whoever finds the manifest can make it again.
fn made_by(arguments: impl Iterator<Item = String>) -> String {
    let mut line = "# Made by: adapter".to_owned();
    for argument in arguments {
        let plain = |character: char| character.is_ascii_alphanumeric() || "-_./=:,@".contains(character);
        // Writing to a string cannot fail.
        let _ = if !argument.is_empty() && argument.chars().all(plain) {
            write!(line, " {argument}")
        } else {
            write!(line, " '{}'", argument.replace('\n', " ").replace('\'', "'\\''"))
        };
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_written_so_that_it_can_be_repeated() {
        let line = |arguments: &[&str]| made_by(arguments.iter().map(|argument| (*argument).to_owned()));
        assert_eq!(line(&["render", "--target", "istio"]), "# Made by: adapter render --target istio\n");
        assert_eq!(line(&["a b", "it's", "", "x\ny"]), "# Made by: adapter 'a b' 'it'\\''s' '' 'x y'\n");
    }

    #[test]
    fn arguments_are_checked() {
        assert!(label("app=reviews").is_ok() && label("app").is_err() && label("=x").is_err());
        assert!(sha256(&"0".repeat(64)).is_ok() && sha256("0").is_err() && sha256(&"G".repeat(64)).is_err());
    }
}
