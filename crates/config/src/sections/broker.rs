//! `[kafka]`: the brokers, and how to speak to them.

use std::collections::BTreeMap;
use std::fmt;

use crate::declare::{Key, Section, join, section};
use crate::kinds::{Program, ValueKind, program, region, text};
use crate::layers::Raw;
use crate::reader::ConfigReader;
use crate::redact;

section! {
    /// The brokers and how to speak to them.
    pub struct Kafka(Clone, PartialEq, Eq) {
        /// The brokers, separated by commas. Also KAFKA_BOOTSTRAP_SERVERS.
        bootstrap_servers: String = "localhost:9092", text();
        /// A program that prints a token for SASL OAUTHBEARER: ["/usr/local/bin/token", "kafka"]. It is run again before the
        /// token ends. For the client credentials of an OIDC provider no program is needed: see
        /// sasl.oauthbearer.method below.
        token_command: Program = [], program();
        /// The region of an Amazon MSK cluster with IAM access control, such as "eu-west-1": a token is signed for it with the
        /// credentials that AWS's own programs would use (variables, profile, web identity, container, instance). Over
        /// sasl_ssl unless security.protocol says otherwise.
        msk_region: Option<String> = "", region();
        /// Any librdkafka property but those that would break the promise; what the client does not take is refused at
        /// once. As a variable, sasl.password is MAKEGOOD_KAFKA__SASL_PASSWORD.
        properties: Properties;
    }
}

/// librdkafka properties, passed on as they are; any of them may be a secret.
type Properties = BTreeMap<String, String>;

/// What the shipped file shows.
const SAMPLE: &str = r#""security.protocol" = "sasl_ssl"
"sasl.mechanism" = "SCRAM-SHA-512"
"sasl.username" = "makegood"
or, with sasl.mechanism = "OAUTHBEARER":
"sasl.oauthbearer.method" = "oidc"
"sasl.oauthbearer.token.endpoint.url" = "https://login.example.com/oauth2/token"
"sasl.oauthbearer.client.id" = "makegood"
"sasl.oauthbearer.client.secret" = "…"
"sasl.oauthbearer.scope" = "kafka"
How long the group waits for a daemon that was killed before others get its partitions. More than a broker's restart
takes is not needed: a daemon that is missed while its broker is away joins again.
"session.timeout.ms" = "10000""#;

impl Section for Properties {
    fn about() -> Vec<&'static str> {
        Vec::new()
    }

    fn keys(at: &str) -> Vec<Key> {
        vec![Key::new(at, "*", &[], "", scalar("").secret().example(SAMPLE))]
    }

    fn read(from: &mut ConfigReader, at: &str) -> Self {
        let names = from.found(&join(at, ""));
        let name = |key: &String| Some(key.strip_prefix(at)?.strip_prefix('.')?.to_owned());
        let taken = |name: String| (name.clone(), from.take(at, &name, "", &scalar(&name)));
        names.iter().filter_map(name).map(taken).collect()
    }
}

fn scalar(property: &str) -> ValueKind<String> {
    let property = property.to_owned();
    let read = |raw: &Raw| match raw {
        Raw::Text(text) => Ok(text.clone()),
        Raw::Number(number) => Ok(number.to_string()),
        Raw::Truth(truth) => Ok(truth.to_string()),
        _ => Err("write a text, a number, true or false".to_owned()),
    };
    ValueKind::new("what librdkafka takes", read, move |value| redact::property(&property, value))
}

impl fmt::Debug for Kafka {
    /// Property values are left out: any of them may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("properties", &self.properties.keys())
            .finish()
    }
}
