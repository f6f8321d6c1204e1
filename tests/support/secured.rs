//! A Kafka that lets nobody in without TLS, a client's certificate and a login.

use std::path::{Path, PathBuf};
use std::process::Command;

use makegood::demo::footing::free_port;
use makegood::demo::kafka::PrivateKafka;

/// What opens the key store, and logs in.
pub const SECRET: &str = "a \\ secret; of #makegood's";
/// Java's own files want a plain one.
const STORE_SECRET: &str = "storesecret";

/// The broker; its listener for tools and tests is open as usual.
pub struct SecuredKafka {
    pub kafka: PrivateKafka,
    port: u16,
}

impl SecuredKafka {
    /// Starts it. Blocks for some seconds.
    pub fn start() -> SecuredKafka {
        let port = free_port().unwrap();
        let user = format!("SCRAM-SHA-512=[name=makegood,password={SECRET}]");
        let kafka = PrivateKafka::start_with(
            |folder, usual| {
                make_stores(folder);
                properties(folder, &usual, port)
            },
            &["--add-scram", &user],
        );
        SecuredKafka { kafka: kafka.unwrap(), port }
    }

    /// What a client takes as `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `[kafka.properties]` for a login by this mechanism.
    pub fn login(&self, mechanism: &str) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.store(name).display().to_string();
        vec![
            ("security.protocol", "sasl_ssl".to_owned()),
            ("ssl.ca.location", path("broker.pem")),
            ("ssl.keystore.location", path("keys.p12")),
            ("ssl.keystore.password", STORE_SECRET.to_owned()),
            ("sasl.mechanism", mechanism.to_owned()),
            ("sasl.username", "makegood".to_owned()),
            ("sasl.password", SECRET.to_owned()),
        ]
    }

    fn store(&self, name: &str) -> PathBuf {
        self.kafka.folder().join(name)
    }
}

/// One key and certificate for both sides, as Java makes them.
fn make_stores(folder: &Path) {
    let keytool = |args: &[&str]| {
        let mut command = Command::new("keytool");
        let store = ["-keystore", "keys.p12", "-storetype", "PKCS12", "-storepass", STORE_SECRET];
        let done = command.current_dir(folder).args(args).args(store).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    };
    let name = ["-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1", "-validity", "2"];
    let key = ["-genkeypair", "-alias", "broker", "-keyalg", "EC"];
    keytool(&[key.as_slice(), name.as_slice()].concat());
    keytool(&["-exportcert", "-alias", "broker", "-rfc", "-file", "broker.pem"]);
}

fn properties(folder: &Path, usual: &str, port: u16) -> String {
    let with_listener = |name: &str| {
        let line = usual.lines().find(|line| line.starts_with(&format!("{name}="))).unwrap();
        format!("{line},SECURE://127.0.0.1:{port}\n")
    };
    // In a properties file a backslash escapes, within quotes of JAAS once more.
    let password = SECRET.replace('\\', "\\\\\\\\");
    // Of two lines for one property the last counts.
    format!(
        "{usual}{}{}\
         listener.security.protocol.map=CLIENT:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT\n\
         sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512\n\
         listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
         user_makegood=\"{password}\";\n\
         listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
         listener.name.secure.ssl.client.auth=required\n\
         listener.name.secure.ssl.keystore.type=PKCS12\n\
         listener.name.secure.ssl.keystore.location={store}\n\
         listener.name.secure.ssl.keystore.password={STORE_SECRET}\n\
         listener.name.secure.ssl.truststore.type=PEM\n\
         listener.name.secure.ssl.truststore.location={trust}\n",
        with_listener("listeners"),
        with_listener("advertised.listeners"),
        store = folder.join("keys.p12").display(),
        trust = folder.join("broker.pem").display(),
    )
}
