//! An Apache Kafka of our own: one KRaft process, broker and controller in one, from a folder of jars.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use uuid::Uuid;

use super::host::{PrivateFolder, free_port};
use super::process::{Launch, Server, run};
use rules::problem::{Code, Problem};

/// The environment variable that names the folder of jars.
pub const LIBS_ENV: &str = "MAKEGOOD_KAFKA_LIBS";
/// How long a start may take; a busy machine needs much more than the usual four seconds.
const START: Duration = Duration::from_secs(120);
/// How long the process may take to be gone after SIGKILL.
const STOP: Duration = Duration::from_secs(20);

/// A running private broker, listening on 127.0.0.1 only. Dropping it stops the broker and removes the data.
#[derive(Debug)]
pub struct PrivateKafka {
    // Declared, and so dropped, before the folder it works in.
    server: Option<Server>,
    launch: Launch,
    libs: PathBuf,
    port: u16,
    cluster: String,
    controller: u16,
    folder: PrivateFolder,
}

impl PrivateKafka {
    /// Formats a new log folder and starts a broker on it; returns when it answers for metadata. Blocks for about five seconds.
    pub fn start() -> Result<PrivateKafka, Problem> {
        PrivateKafka::start_with(|_, properties| properties, &[])
    }

    /// The same with other properties, made of the folder and the usual ones, and with arguments more for the
    /// formatting, such as `--add-scram`.
    pub fn start_with(
        change: impl FnOnce(&Path, String) -> String,
        formatting: &[&str],
    ) -> Result<PrivateKafka, Problem> {
        PrivateKafka::start_by_way_of(&[], change, formatting)
    }

    /// The same by way of a command: `env` and its arguments, say.
    pub fn start_by_way_of(
        by_way_of: &[OsString],
        change: impl FnOnce(&Path, String) -> String,
        formatting: &[&str],
    ) -> Result<PrivateKafka, Problem> {
        let (cluster, controller) = (cluster_id(), free_port()?);
        PrivateKafka::node(cluster, controller, by_way_of, change, formatting)
    }

    /// Starts one more broker for this one's cluster; its node id is 2.
    pub fn join(&self) -> Result<PrivateKafka, Problem> {
        self.join_as(2, |usual| usual)
    }

    /// The same with a node id of the caller's, and with other properties made of the usual ones.
    pub fn join_as(
        &self,
        id: u32,
        change: impl FnOnce(String) -> String,
    ) -> Result<PrivateKafka, Problem> {
        let another = |_: &Path, usual: String| {
            let mut lines: Vec<&str> = usual.lines().collect();
            lines.retain(|line| {
                !line.starts_with("process.roles=") && !line.starts_with("node.id=")
            });
            let controller = format!(",CONTROLLER://127.0.0.1:{}", self.controller);
            let only = lines.join("\n").replace(&controller, "");
            change(format!("{only}\nprocess.roles=broker\nnode.id={id}\n"))
        };
        PrivateKafka::node(self.cluster.clone(), self.controller, &[], another, &[])
    }

    fn node(
        cluster: String,
        controller: u16,
        by_way_of: &[OsString],
        change: impl FnOnce(&Path, String) -> String,
        formatting: &[&str],
    ) -> Result<PrivateKafka, Problem> {
        let libs = find_libs()?;
        let folder = PrivateFolder::new("kafka", None)?;
        let port = free_port()?;
        let settings = folder.path().join("server.properties");
        let text = change(folder.path(), properties(folder.path(), port, controller));
        fs::write(&settings, text).map_err(|e| {
            Problem::new(Code::System, format!("cannot write {}: {e}", settings.display()))
        })?;
        let mut format = java_tool(&libs, folder.path(), "kafka.tools.StorageTool");
        format.args(["format", "--cluster-id", &cluster, "--config"]).arg(&settings);
        format.args(formatting);
        run(&mut format, "formatting a private Kafka log folder").map_err(explain_java)?;
        let launch = Launch {
            name: "Apache Kafka",
            command: [by_way_of, &broker_command(&libs, folder.path(), &settings)].concat(),
            folder: folder.path().to_owned(),
            account: None,
            stop_signal: "TERM",
        };
        let mut kafka =
            PrivateKafka { server: None, launch, libs, port, cluster, controller, folder };
        kafka.start_again()?;
        Ok(kafka)
    }

    /// What a client takes as `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The private folder: `data`, `server.properties` and `log`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process id of the broker's JVM; nothing while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Server::pid)
    }

    /// Runs Kafka's own `kafka-consumer-groups` against this broker and returns what it printed, e.g. for
    /// `["--describe", "--group", "g"]`.
    pub fn consumer_groups(&self, args: &[&str]) -> Result<String, Problem> {
        self.tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", args)
    }

    /// Runs Kafka's own `kafka-topics` against this broker and returns what it printed, e.g. for
    /// `["--create", "--topic", "t", "--partitions", "3"]`.
    pub fn topics(&self, args: &[&str]) -> Result<String, Problem> {
        self.tool("org.apache.kafka.tools.TopicCommand", args)
    }

    /// Runs Kafka's own `kafka-acls` against this broker and returns what it printed.
    pub fn acls(&self, args: &[&str]) -> Result<String, Problem> {
        self.tool("org.apache.kafka.tools.AclCommand", args)
    }

    /// Gives a user another password for SCRAM, by Kafka's own `kafka-configs`.
    pub fn set_scram(&self, user: &str, password: &str) -> Result<(), Problem> {
        let config = format!("SCRAM-SHA-512=[password={password}]");
        let who = ["--alter", "--entity-type", "users", "--entity-name", user];
        let args = [who.as_slice(), &["--add-config", &config]].concat();
        self.tool("kafka.admin.ConfigCommand", &args).map(drop)
    }

    /// Kills the broker as a crash would.
    pub fn stop_hard(&mut self) -> Result<(), Problem> {
        match self.server.take() {
            Some(mut server) => server.stop_with("KILL", STOP),
            None => Ok(()),
        }
    }

    /// Starts it again if it ended by itself; whether it had.
    pub fn revive(&mut self) -> Result<bool, Problem> {
        if self.server.as_mut().is_some_and(|server| server.ended().is_none()) {
            return Ok(false);
        }
        self.server = None;
        self.start_again().map(|()| true)
    }

    /// Starts the stopped broker on the same ports with the same data; returns when it answers for metadata.
    pub fn start_again(&mut self) -> Result<(), Problem> {
        if self.server.is_some() {
            return Ok(());
        }
        let mut server = Server::start(self.launch.clone())?;
        let client = metadata_client(&self.bootstrap())?;
        server.wait_until(START, || {
            let answer = client.fetch_metadata(None, Duration::from_millis(500));
            answer.is_ok_and(|metadata| !metadata.brokers().is_empty())
        })?;
        self.server = Some(server);
        Ok(())
    }

    /// Freezes the broker: connections stay open and nobody answers.
    pub fn pause(&self) -> Result<(), Problem> {
        self.running()?.signal("STOP")?;
        self.running()?.wait_until_stopped(STOP)
    }

    /// Lets a frozen broker go on.
    pub fn resume(&self) -> Result<(), Problem> {
        self.running()?.signal("CONT")
    }

    fn running(&self) -> Result<&Server, Problem> {
        let none = || Problem::new(Code::NotFound, "the private Kafka broker is not running");
        self.server.as_ref().ok_or_else(none)
    }

    fn tool(&self, class: &str, args: &[&str]) -> Result<String, Problem> {
        let mut command = java_tool(&self.libs, self.folder.path(), class);
        command.args(["--bootstrap-server", &self.bootstrap()]).args(args);
        run(&mut command, &format!("{class} {}", args.join(" "))).map_err(explain_java)
    }
}

/// The folder of jars: `MAKEGOOD_KAFKA_LIBS`, or `target/kafka/libs` below the current folder or one above it.
fn find_libs() -> Result<PathBuf, Problem> {
    let missing = |place: &Path| {
        Problem::new(Code::System, format!("there are no Kafka jars in {}", place.display()))
            .advice(format!(
                "bin/demo --kafka and bin/test fetch them; {LIBS_ENV} names another folder"
            ))
    };
    let jars = |folder: &Path| {
        let holds = |name: &str| name.starts_with("kafka_") && name.ends_with(".jar");
        let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.any(|entry| entry.file_name().to_str().is_some_and(holds))
    };
    if let Some(named) = std::env::var_os(LIBS_ENV).filter(|value| !value.is_empty()) {
        // Tools run in a folder of their own, so a relative name has to be made whole here.
        let named = std::path::absolute(&named).unwrap_or(named.into());
        return if jars(&named) { Ok(named) } else { Err(missing(&named)) };
    }
    let here = std::env::current_dir().unwrap_or_default();
    let mut places = here.ancestors().map(|base| base.join("target/kafka/libs"));
    places.find(|place| jars(place)).ok_or_else(|| missing(&here.join("target/kafka/libs")))
}

/// One node that is broker and controller, with everything of one replica, no automatic topics and no retention.
fn properties(folder: &Path, port: u16, controller: u16) -> String {
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         inter.broker.listener.name=CLIENT\n\
         listeners=CLIENT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=CLIENT://127.0.0.1:{port}\n\
         listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         log.dirs={data}\n\
         auto.create.topics.enable=false\n\
         log.retention.ms=-1\n\
         group.initial.rebalance.delay.ms=0\n\
         broker.heartbeat.interval.ms=500\n\
         broker.session.timeout.ms=4000\n\
         group.min.session.timeout.ms=1000\n\
         default.replication.factor=1\n\
         min.insync.replicas=1\n\
         offsets.topic.num.partitions=3\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.num.partitions=3\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.num.partitions=3\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n",
        data = folder.join("data").display(),
    )
}

/// A random cluster id in Kafka's form: sixteen bytes in 22 characters of base64, of which hexadecimal digits are a part.
fn cluster_id() -> String {
    let digits = Uuid::new_v4().simple().to_string();
    format!("{}A", &digits[..21])
}

fn broker_command(libs: &Path, folder: &Path, settings: &Path) -> Vec<OsString> {
    let mut command = vec![java(), "-Xms256m".into(), "-Xmx512m".into()];
    command.extend(java_options(libs, folder));
    command.extend(["kafka.Kafka".into(), settings.into()]);
    command
}

fn java_tool(libs: &Path, folder: &Path, class: &str) -> Command {
    let mut command = Command::new(java());
    // A tool lives for a second: the optimising compiler would not pay.
    command.args(["-Xmx256m", "-XX:TieredStopAtLevel=1"]);
    command.args(java_options(libs, folder)).arg(class).current_dir(folder);
    command
}

fn java_options(libs: &Path, folder: &Path) -> Vec<OsString> {
    let mut scratch = OsString::from("-Djava.io.tmpdir=");
    scratch.push(folder);
    vec![
        "-XX:+UseSerialGC".into(),
        // Both keep the JVM from leaving files outside our folder.
        "-XX:-UsePerfData".into(),
        scratch,
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn".into(),
        "-Dorg.slf4j.simpleLogger.showDateTime=true".into(),
        "-cp".into(),
        libs.join("*").into(),
    ]
}

/// `$JAVA_HOME/bin/java` if there is one, else `java` from `PATH`.
fn java() -> OsString {
    let home = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    home.filter(|java| java.is_file()).map_or_else(|| "java".into(), PathBuf::into_os_string)
}

fn explain_java(problem: Problem) -> Problem {
    if !problem.advice.is_empty() {
        return problem;
    }
    problem.advice("Kafka needs a Java runtime, 17 or newer, on Debian and Ubuntu: apt-get install default-jre-headless")
}

fn metadata_client(bootstrap: &str) -> Result<BaseConsumer, Problem> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("reconnect.backoff.max.ms", "200")
        // Refused connections are what waiting for a start looks like; they are no news.
        .set_log_level(RDKafkaLogLevel::Emerg)
        .create()
        .map_err(|e| Problem::new(Code::Kafka, format!("cannot make a Kafka client: {e}")))
}
