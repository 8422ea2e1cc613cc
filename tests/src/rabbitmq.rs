//! A real RabbitMQ, with its own folder, node, cookie and port mapper, so that any number of them run side by side.
//!
//! It starts with a number of virtual hosts, each of which has its own `amq.topic`: tests that never kill their broker share
//! one ([`Topics::shared`]), since starting one takes some seconds of the machine.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::ports::{Port, local};
use crate::process::Process;
use crate::{locate, within};

/// User of the broker.
pub const BROKER_USER: &str = "admin";
/// Their password.
pub const BROKER_PASSWORD: &str = "admin";

/// A start takes some six seconds of processor time, of which several may happen at once.
const PATIENCE: Duration = Duration::from_secs(120);
const VIRTUAL_HOSTS: usize = 32;

/// A running RabbitMQ; it stops when dropped.
#[derive(Debug)]
pub struct RabbitMq {
    server: Process,
    _mapper: Process,
    ports: Ports,
    taken: AtomicUsize,
    folder: TempDir,
}

#[derive(Debug)]
struct Ports {
    amqp: Port,
    tls: Option<Port>,
    mapper: Port,
    distribution: Port,
}

/// What its TLS listener shows, in PEM.
#[derive(Debug, Clone)]
pub struct BrokerCertificate {
    /// The chain.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl RabbitMq {
    /// Starts one, and waits until it takes connections.
    ///
    /// # Errors
    /// When RabbitMQ is not installed, or does not come up.
    pub async fn start() -> Result<Self> {
        Self::listening(None).await
    }

    /// Starts one that also listens with TLS.
    ///
    /// # Errors
    /// When RabbitMQ is not installed, or does not come up.
    pub async fn with_tls(certificate: &BrokerCertificate) -> Result<Self> {
        Self::listening(Some(certificate)).await
    }

    async fn listening(certificate: Option<&BrokerCertificate>) -> Result<Self> {
        let folder = TempDir::with_prefix("tollgate-rabbitmq-").context("making a temporary folder")?;
        let tls = certificate.map(|_| Port::free()).transpose()?;
        let ports = Ports { amqp: Port::free()?, tls, mapper: Port::free()?, distribution: Port::free()? };
        configure(folder.path(), &ports, certificate)?;
        let mapper = mapper(folder.path(), &ports)?;
        let server = server(folder.path(), &ports)?;
        let mut broker = Self { server, _mapper: mapper, ports, taken: AtomicUsize::new(0), folder };
        broker.wait().await?;
        Ok(broker)
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.ports.amqp.number()
    }

    /// Its address without anything behind the port.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.port())
    }

    /// The same of its TLS listener; `None` without one.
    #[must_use]
    pub fn tls_url(&self) -> Option<String> {
        let port = self.ports.tls.as_ref()?.number();
        Some(format!("amqps://{BROKER_USER}:{BROKER_PASSWORD}@localhost:{port}"))
    }

    /// `kill -9`: queues and what is in them are gone.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        self.server.kill()
    }

    /// Starts it anew on the same ports, and waits until it takes connections.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_again(&mut self) -> Result<()> {
        self.launch()?;
        self.wait().await
    }

    /// Starts it anew on the same ports, without waiting.
    ///
    /// # Errors
    /// When the program does not start.
    pub fn launch(&mut self) -> Result<()> {
        self.server = server(self.folder.path(), &self.ports)?;
        Ok(())
    }

    /// Waits until it takes connections.
    ///
    /// # Errors
    /// When it does not.
    pub async fn wait(&mut self) -> Result<()> {
        let (port, process) = (self.port(), &mut self.server);
        let mut ended = None;
        let answers = within(PATIENCE, "RabbitMQ takes connections", async || {
            if let Err(error) = process.check_running() {
                ended = Some(error);
                return Ok(());
            }
            let mut stream = TcpStream::connect(local(port)).await?;
            stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
            // A method frame: Connection.Start.
            ensure!(stream.read_u8().await? == 1, "no RabbitMQ answers on port {port}");
            Ok(())
        })
        .await;
        ended.map_or(answers, Err)
    }
}

/// A virtual host of a broker: what is published in it reaches nobody else.
#[derive(Debug, Clone)]
pub struct Topics {
    broker: Arc<RabbitMq>,
    name: String,
}

impl Topics {
    /// One of the broker that the tests of this process share, which runs as long as somebody holds one.
    ///
    /// # Errors
    /// When RabbitMQ is not installed, or does not come up.
    pub async fn shared() -> Result<Self> {
        static SHARED: Mutex<Weak<RabbitMq>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        let broker = match shared.upgrade() {
            Some(broker) => broker,
            None => Arc::new(RabbitMq::start().await?),
        };
        *shared = Arc::downgrade(&broker);
        // Whoever had it before the count came round again is done: tests take one or two each.
        let number = broker.taken.fetch_add(1, Ordering::Relaxed) % VIRTUAL_HOSTS;
        Ok(Self { broker, name: virtual_host(number) })
    }

    /// `amqp://user:password@host:port/name`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_over(self.port())
    }

    /// The same over another port of this machine, behind which is the broker.
    #[must_use]
    pub fn url_over(&self, port: u16) -> String {
        format!("{}/{}", url(port), self.name)
    }

    /// The broker's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.broker.port()
    }
}

fn url(port: u16) -> String {
    format!("amqp://{BROKER_USER}:{BROKER_PASSWORD}@127.0.0.1:{port}")
}

fn virtual_host(number: usize) -> String {
    format!("v{number}")
}

fn configure(folder: &Path, ports: &Ports, certificate: Option<&BrokerCertificate>) -> Result<()> {
    let write = |name: &str, text: &str| {
        let file = folder.join(name);
        std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
    };
    let hosts: Vec<String> = std::iter::once("/".to_owned()).chain((0..VIRTUAL_HOSTS).map(virtual_host)).collect();
    let may =
        |host: &String| json!({"user": BROKER_USER, "vhost": host, "configure": ".*", "write": ".*", "read": ".*"});
    let definitions = json!({
        "vhosts": hosts.iter().map(|host| json!({"name": host})).collect::<Vec<_>>(),
        "users": [{"name": BROKER_USER, "password": BROKER_PASSWORD, "tags": "administrator"}],
        "permissions": hosts.iter().map(may).collect::<Vec<_>>(),
    });
    write("definitions.json", &definitions.to_string())?;
    write("enabled_plugins", "[].")?;
    let mut text = format!(
        "listeners.tcp.1 = 127.0.0.1:{}\nload_definitions = {}\nloopback_users = none\n\
         disk_free_limit.absolute = 1MB\nlog.console.level = warning\n",
        ports.amqp.number(),
        folder.join("definitions.json").display()
    );
    if let (Some(port), Some(BrokerCertificate { certificate, key })) = (&ports.tls, certificate) {
        write("server.pem", certificate)?;
        write("server.key", key)?;
        let (pem, key) = (folder.join("server.pem"), folder.join("server.key"));
        let (pem, key) = (pem.display(), key.display());
        text.push_str(&format!(
            "listeners.ssl.1 = 127.0.0.1:{}\nssl_options.certfile = {pem}\nssl_options.cacertfile = {pem}\n\
             ssl_options.keyfile = {key}\nssl_options.verify = verify_none\n",
            port.number()
        ));
    }
    write("rabbitmq.conf", &text)
}

/// The port mapper that every Erlang node wants; the usual one would be shared by all of the machine, and outlive us.
fn mapper(folder: &Path, ports: &Ports) -> Result<Process> {
    let mut command = Command::new(locate::epmd()?);
    command.args(["-port", &ports.mapper.number().to_string(), "-address", "127.0.0.1"]).current_dir(folder);
    Process::spawn("the port mapper of Erlang", &mut command, &folder.join("epmd.log"))
}

fn server(folder: &Path, ports: &Ports) -> Result<Process> {
    let mut command = Command::new(locate::rabbitmq()?);
    command.current_dir(folder).env("HOME", folder);
    // The script becomes the server instead of starting it beside itself, so that killing it kills the server.
    command.env("detached", "true");
    command.env("ERL_EPMD_PORT", ports.mapper.number().to_string()).env("ERL_EPMD_ADDRESS", "127.0.0.1");
    command.env("RABBITMQ_NODENAME", "test@localhost");
    command.env("RABBITMQ_DIST_PORT", ports.distribution.number().to_string());
    command.env("RABBITMQ_MNESIA_BASE", folder.join("data")).env("RABBITMQ_LOG_BASE", folder);
    command.env("RABBITMQ_LOGS", "-").env("RABBITMQ_PID_FILE", folder.join("pid"));
    command.env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"));
    command.env("RABBITMQ_CONF_ENV_FILE", folder.join("no-such-file"));
    command.env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("enabled_plugins"));
    // On loopback only, and without schedulers that spin while they wait.
    let erlang = "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none";
    command.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", erlang);
    Process::spawn("RabbitMQ", &mut command, &folder.join("rabbitmq.log"))
}

#[cfg(test)]
mod tests {
    use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions};
    use lapin::types::FieldTable;
    use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    /// Listens to a topic, and returns what arrives and the way to publish.
    async fn listen(url: &str) -> (Connection, Channel, UnboundedReceiver<String>) {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let queue = channel.queue_declare("".into(), QueueDeclareOptions::default(), FieldTable::default());
        let queue = queue.await.unwrap().name().clone();
        let (options, table) = (QueueBindOptions::default(), FieldTable::default());
        channel.queue_bind(queue.clone(), "amq.topic".into(), "topic".into(), options, table).await.unwrap();
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consumer = channel.basic_consume(queue, "me".into(), options, FieldTable::default()).await.unwrap();
        let (arrived, arriving) = unbounded_channel();
        consumer.set_delegate(move |delivery: lapin::message::DeliveryResult| {
            let arrived = arrived.clone();
            async move {
                if let Ok(Some(delivery)) = delivery {
                    let _ = arrived.send(String::from_utf8(delivery.data).unwrap());
                }
            }
        });
        (connection, channel, arriving)
    }

    async fn publish(channel: &Channel, body: &str) {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let sent = channel.basic_publish("amq.topic".into(), "topic".into(), options, body.as_bytes(), properties);
        sent.await.unwrap().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn virtual_hosts_keep_apart_and_a_killed_broker_comes_back_on_its_port() {
        let (one, other) = (Topics::shared().await.unwrap(), Topics::shared().await.unwrap());
        assert!(Arc::ptr_eq(&one.broker, &other.broker));
        let (_first, channel, mut arriving) = listen(&one.url()).await;
        let (_second, others, mut at_other) = listen(&other.url()).await;
        publish(&channel, "to one").await;
        publish(&others, "to other").await;
        assert_eq!(arriving.recv().await.unwrap(), "to one");
        assert_eq!(at_other.recv().await.unwrap(), "to other");

        let mut own = RabbitMq::start().await.unwrap();
        assert_ne!(own.port(), one.broker.port());
        own.kill().unwrap();
        TcpStream::connect(local(own.port())).await.unwrap_err();
        own.start_again().await.unwrap();
        let (_third, channel, mut arriving) = listen(&own.url()).await;
        publish(&channel, "after the restart").await;
        assert_eq!(arriving.recv().await.unwrap(), "after the restart");
    }
}
