//! Whatever is written, nothing panics, and no secret is told: neither in what is shown nor in what is said of a mistake.

use proptest::prelude::*;

use super::super::libpq::Libpq;
use super::super::{redact, url};
use super::{Folder, from};

/// Stands in every secret, and nowhere else.
const CANARY: &str = "c4nary";

/// A password with the canary in it, and what is hard to read around it.
fn secret() -> impl Strategy<Value = String> {
    let odd = "[@:/?#%&=;,'\"\\\\ \\[\\]a0\u{e9}]{0,3}";
    (odd, odd).prop_map(|(before, behind)| format!("{before}{CANARY}{behind}"))
}

/// A connection with a secret in it, well or badly written.
fn connection() -> impl Strategy<Value = String> {
    let frame = prop::sample::select(vec![
        "postgres://u:{}@h/db",
        "postgresql://u:{}@h1:1,h2:2/db?sslmode=require",
        "postgres://u:{}@/db?host=/tmp",
        "postgres://u:{}",
        "postgres://u:{}@",
        "postgres://h/db?user=u&password={}",
        "postgres://h/db?user=u;password={}",
        "postgres://h/db?%70assword={}",
        "postgres://h/db?PASSWORD={}&sslmode=require",
        "postgres://h/db?sslpassword={}",
        "postgres://h/db?pasword={}",
        "mysql://u:{}@h/db",
        "host=h user=u password={}",
        "host=h password = '{}' user=u",
        "host=h pwd={}",
        "{}",
    ]);
    (frame, secret()).prop_map(|(frame, secret)| match frame {
        // With these in it, it may as well be the host, the database or a parameter.
        "postgres://u:{}" => {
            frame.replace("{}", &secret.replace(['@', '/', '?', ',', '[', ']'], ""))
        }
        _ => frame.replace("{}", &secret),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_connection_never_shows_its_password(text in connection()) {
        let shown = redact::url(&text);
        prop_assert!(!shown.contains(CANARY), "{} was shown as {}", text, shown);
        let said = match url::merge(&text, &Libpq::default()) {
            Ok(postgres) => {
                // A place, a name or an option is no secret, wherever it was found.
                let mut postgres = postgres;
                for host in &mut postgres.hosts {
                    host.clear();
                }
                (postgres.user, postgres.dbname) = Default::default();
                format!("{postgres:?}")
            }
            Err(error) => error,
        };
        prop_assert!(!said.contains(CANARY), "{} gave {}", text, said);
    }

    #[test]
    fn any_text_is_a_connection_or_a_mistake(text in "\\PC{0,60}", rest in "[a-z0-9@:/?&=%,\\[\\]' ]{0,40}") {
        for text in [text, format!("postgres://{rest}"), format!("host={rest}")] {
            let _ = redact::url(&text);
            let _ = url::merge(&text, &Libpq::default());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_mistake_beside_a_secret_does_not_tell_it(
        lines in prop::collection::vec((0..SECRETS.len(), 0..VALUES.len()), 1..4),
        broken in "[\\[\\]=\"'{}#a\n]{0,6}",
    ) {
        let mut text = String::new();
        for (secret, value) in lines {
            text.push_str(&SECRETS[secret].replace("{}", &VALUES[value].replace("{}", CANARY)));
            text.push('\n');
        }
        text.push_str(&broken);
        let said = match from(&text) {
            Ok(loaded) => format!("{:?} {:?} {:?}", loaded.config, loaded.origins, loaded.notes),
            Err(problem) => problem.to_string(),
        };
        prop_assert!(!said.contains(CANARY), "{}\ngave {}", text, said);
    }

    #[test]
    fn any_file_is_a_configuration_or_a_problem(text in "(\\[{1,2}[a-z.]{0,12}\\]{1,2}\n|[a-z_.\"]{0,12} ?= ?[-a-z0-9\"'\\[\\]{}, ]{0,16}\n|\\PC{0,20}\n){0,8}") {
        let _ = from(&text);
    }

    #[test]
    fn any_environment_is_a_configuration_or_a_problem(name in 0..NAMES.len(), value in "\\PC{0,30}") {
        let _ = Folder::new().load(&[(NAMES[name], &value)]);
    }
}

/// Where secrets stand, or would stand if a name were not misspelt.
const SECRETS: [&str; 12] = [
    "[http]\ntoken = {}",
    "[http]\ntokn = {}",
    "[postgres]\nurl = {}",
    "[postgres]\nurl = \"postgres://u:c4nary@h:x/db\"",
    "[postgres]\nur = {}",
    "[databases.payments]\nurl = {}",
    "[kafka.properties]\n\"sasl.password\" = {}",
    "[kafka.properties]\n\"ssl.key.pem\" = {}",
    "[kafka.properties]\n\"sasl.pasword\" = {}",
    "[kafka]\ntoken_command = [\"/bin/token\", {}]",
    "[alert]\nwebhook = {}",
    "[alert]\ncommand = [\"/bin/page\", {}]",
];
/// A secret in values of any kind, some of which are no TOML.
const VALUES: [&str; 8] = [
    "\"{}\"",
    "'{}'",
    "{}",
    "\"{}",
    "[\"{}\"]",
    "{ a = \"{}\" }",
    "\"\"\"{}",
    "\"https://u:{}@h/{}\"",
];
const NAMES: [&str; 8] = [
    "DATABASE_URL",
    "KAFKA_BOOTSTRAP_SERVERS",
    "MAKEGOOD_CONFIG",
    "MAKEGOOD_HTTP_LISTEN",
    "MAKEGOOD_HTTP_TOKEN",
    "PGPORT",
    "PGHOST",
    "MAKEGOOD_NONSENSE",
];
