//! A Kafka that lets nobody in without TLS and a login, and lets those who are in do what its ACLs say.

use std::path::Path;

use lab::servers::host::free_port;
use lab::servers::kafka::PrivateKafka;

use super::authority::Authority;
use super::rig::Rig;

/// What logs in, and opens the client's key.
pub const SECRET: &str = "a \\ secret; of #makegood's";
/// What [`Authority::encrypt`] gets; openssl takes no `#`.
pub const KEY_SECRET: &str = "keysecret";

/// The broker; its listener for tools and tests is open as usual, and may do everything.
pub struct SecuredKafka {
    pub kafka: PrivateKafka,
    pub authority: Authority,
    sasl: u16,
    mtls: u16,
    token: u16,
}

/// Who is let in by a token, and may do everything.
pub const BEARER: &str = "bearer";

/// Settings for librdkafka.
pub type Login = Vec<(&'static str, String)>;

impl SecuredKafka {
    /// Starts it. Blocks for some seconds.
    pub fn start() -> SecuredKafka {
        let (sasl, mtls, token) =
            (free_port().unwrap(), free_port().unwrap(), free_port().unwrap());
        let user = format!("SCRAM-SHA-512=[name=makegood,password={SECRET}]");
        let mut authority = None;
        let kafka = PrivateKafka::start_with(
            |folder, usual| {
                let made = authority.insert(authorities(folder));
                properties(made, &usual, (sasl, mtls, token))
            },
            &["--add-scram", &user],
        );
        SecuredKafka { kafka: kafka.unwrap(), authority: authority.unwrap(), sasl, mtls, token }
    }

    /// What a client takes as `bootstrap.servers` for a login by SASL, by a token, or by certificate.
    pub fn sasl(&self) -> String {
        format!("127.0.0.1:{}", self.sasl)
    }

    pub fn token(&self) -> String {
        format!("127.0.0.1:{}", self.token)
    }

    pub fn mtls(&self) -> String {
        format!("127.0.0.1:{}", self.mtls)
    }

    pub fn path(&self, file: &str) -> String {
        self.authority.path(file).display().to_string()
    }

    /// `[kafka.properties]` for a login by this mechanism.
    pub fn login(&self, mechanism: &str) -> Login {
        vec![
            ("security.protocol", "sasl_ssl".to_owned()),
            ("ssl.ca.location", self.path("ca.pem")),
            ("sasl.mechanism", mechanism.to_owned()),
            ("sasl.username", "makegood".to_owned()),
            ("sasl.password", SECRET.to_owned()),
        ]
    }

    /// The same for a login by a certificate with an encrypted key.
    pub fn certificate(&self) -> Login {
        vec![
            ("security.protocol", "ssl".to_owned()),
            ("ssl.ca.location", self.path("ca.pem")),
            ("ssl.certificate.location", self.path("client.pem")),
            ("ssl.key.location", self.path("client.encrypted")),
            ("ssl.key.password", KEY_SECRET.to_owned()),
        ]
    }

    /// The usual configuration of a rig, with this broker and a login.
    pub fn config(&self, rig: &Rig, bootstrap: &str, login: &Login, more: &str) -> String {
        let properties: String =
            login.iter().map(|(name, value)| format!("\"{name}\" = '''{value}'''\n")).collect();
        rig.config(&rig.url(), "", more)
            .replace(&rig.world.kafka.bootstrap(), bootstrap)
            .replace("[kafka.properties]\n", &format!("[kafka.properties]\n{properties}"))
    }

    /// Runs `kafka-acls`.
    pub fn acls(&self, args: &[&str]) {
        self.kafka.acls(args).unwrap();
    }
}

/// What a login was changed to.
pub fn with(login: &Login, name: &'static str, value: impl Into<String>) -> Login {
    let mut changed = login.clone();
    changed.retain(|(known, _)| *known != name);
    changed.push((name, value.into()));
    changed
}

/// What a login was without a setting.
pub fn without(login: &Login, names: &[&str]) -> Login {
    let mut changed = login.clone();
    changed.retain(|(known, _)| !names.contains(known));
    changed
}

/// One authority that the broker trusts, and one that it does not.
fn authorities(folder: &Path) -> Authority {
    let ours = Authority::new(&folder.join("tls"));
    ours.issue("broker", "broker");
    ours.issue("client", "makegood");
    ours.encrypt("client", "client.encrypted", KEY_SECRET);
    let other = Authority::new(&folder.join("tls/other"));
    other.issue("client", "makegood");
    ours
}

fn properties(authority: &Authority, usual: &str, ports: (u16, u16, u16)) -> String {
    let (sasl, mtls, token) = ports;
    let with_listeners = |name: &str| {
        let line = usual.lines().find(|line| line.starts_with(&format!("{name}="))).unwrap();
        format!(
            "{line},SASL://127.0.0.1:{sasl},MTLS://127.0.0.1:{mtls},TOKEN://127.0.0.1:{token}\n"
        )
    };
    // In a properties file a backslash escapes, within quotes of JAAS once more.
    let password = SECRET.replace('\\', "\\\\\\\\");
    let stores = |listener: &str| {
        format!(
            "listener.name.{listener}.ssl.keystore.type=PEM\n\
             listener.name.{listener}.ssl.keystore.location={}\n\
             listener.name.{listener}.ssl.truststore.type=PEM\n\
             listener.name.{listener}.ssl.truststore.location={}\n",
            authority.store("broker").display(),
            authority.path("ca.pem").display(),
        )
    };
    // Of two lines for one property the last counts.
    format!(
        "{usual}{}{}{}{}\
         listener.security.protocol.map=CLIENT:PLAINTEXT,SASL:SASL_SSL,MTLS:SSL,TOKEN:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         listener.name.mtls.ssl.client.auth=required\n\
         authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         super.users=User:ANONYMOUS;User:{BEARER}\n\
         listener.name.token.sasl.enabled.mechanisms=OAUTHBEARER\n\
         listener.name.token.oauthbearer.sasl.jaas.config=\
         org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";\n\
         sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512\n\
         listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
         user_makegood=\"{password}\";\n\
         listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n",
        with_listeners("listeners"),
        with_listeners("advertised.listeners"),
        stores("sasl"),
        stores("mtls"),
    )
}
