//! Every login of PostgreSQL's works, what is wrong with one is named, and a new password or certificate is taken
//! without a restart.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lab::servers::host::PrivateFolder;
use lab::servers::postgres::PrivatePostgres;
use makegood::config::Postgres;
use makegood::store::connect;
use tokio_postgres::Client;

use crate::support::authority::Authority;
use crate::support::daemon::{Daemon, command};
use crate::support::events::payments;
use crate::support::eventually;
use crate::support::rig::Rig;
use crate::support::world::{self, prepare};

const KEY_SECRET: &str = "key secret";

/// A server with TLS that takes passwords from everybody, and from `carol` a certificate as well.
struct Server {
    postgres: PrivatePostgres,
    authority: Authority,
    _folder: PrivateFolder,
}

impl Server {
    fn start() -> Server {
        let folder = PrivateFolder::new("tls", None).unwrap();
        let authority = Authority::new(&folder.path().join("tls"));
        authority.issue("server", "127.0.0.1");
        authority.issue("expired", "127.0.0.1");
        authority.let_expire("expired");
        authority.issue("carol", "carol");
        authority.encrypt("carol", "carol.encrypted", KEY_SECRET);
        authority.issue("mallory", "mallory");
        let postgres = PrivatePostgres::start(false).unwrap();
        let server = Server { postgres, authority, _folder: folder };
        server.give("ca.pem", "ca.pem");
        server.serve("server");
        let hba = "local all all trust\nhostssl all carol 127.0.0.1/32 cert\nhost all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(server.data("pg_hba.conf"), hba).unwrap();
        server
    }

    fn data(&self, file: &str) -> PathBuf {
        self.postgres.folder().join("data").join(file)
    }

    /// Copies a file to where the server reads it, and gives it to it.
    fn give(&self, file: &str, to: &str) {
        let owner = fs::metadata(self.data("")).unwrap();
        fs::copy(self.authority.path(file), self.data(to)).unwrap();
        fs::set_permissions(self.data(to), fs::Permissions::from_mode(0o600)).unwrap();
        chown(self.data(to), Some(owner.uid()), Some(owner.gid())).unwrap();
    }

    fn serve(&self, certificate: &str) {
        self.give(&format!("{certificate}.pem"), "server.crt");
        self.give(&format!("{certificate}.key"), "server.key");
    }

    async fn admin(&self, database: &str) -> Client {
        let at = Postgres::from_url(&self.postgres.url(database)).unwrap();
        connect::connect(&at, "test").await.unwrap()
    }

    async fn with_tls(self) -> Arc<Server> {
        let admin = self.admin("postgres").await;
        for set in ["ssl = on", "ssl_ca_file = 'ca.pem'"] {
            admin.batch_execute(&format!("ALTER SYSTEM SET {set}")).await.unwrap();
        }
        admin.batch_execute("SELECT pg_reload_conf(); CREATE ROLE carol LOGIN").await.unwrap();
        eventually("TLS", || async {
            self.says(&self.url("postgres", "x", "sslmode=require"))
                .await
                .err()
                .filter(|e| e.contains("password"))
        })
        .await;
        Arc::new(self)
    }

    fn url(&self, user: &str, password: &str, query: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/postgres?{query}", self.postgres.port())
    }

    /// Whether a login is let in, or why not.
    async fn says(&self, url: &str) -> Result<(), String> {
        let at = Postgres::from_url(url).map_err(|e| e.to_string())?;
        connect::connect(&at, "test").await.map(drop).map_err(|e| e.to_string())
    }

    fn path(&self, file: &str) -> String {
        self.authority.path(file).display().to_string()
    }
}

async fn server() -> Arc<Server> {
    tokio::task::spawn_blocking(Server::start).await.unwrap().with_tls().await
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_both_sides_are_checked_and_what_is_wrong_is_named() {
    let server = server().await;
    let p = |file: &str| server.path(file);
    let (ca, carol) = (p("ca.pem"), p("carol.pem"));
    let full = format!("sslmode=verify-full&sslrootcert={ca}");
    let with_key =
        |key: &str, more: &str| format!("{full}&sslcert={carol}&sslkey={}{more}", p(key));
    fs::copy(p("carol.key"), p("open.key")).unwrap();
    fs::set_permissions(p("open.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let secret = "&sslpassword=key%20secret";
    for (query, wrong) in [
        (with_key("carol.key", ""), ""),
        (with_key("carol.encrypted", secret), ""),
        (full.clone(), "certificate"),
        (with_key("carol.encrypted", ""), "sslpassword"),
        (with_key("carol.encrypted", "&sslpassword=wrong"), "sslpassword"),
        (with_key("open.key", ""), "chmod 600"),
        (with_key("nowhere.key", ""), "nowhere.key"),
        (with_key("mallory.key", ""), "do not go together"),
        (format!("{full}&sslcert={}&sslkey={}", p("mallory.pem"), p("mallory.key")), "certificate"),
    ] {
        let said = server.says(&server.url("carol", "", &query)).await.err().unwrap_or_default();
        let is_as_expected = if wrong.is_empty() { said.is_empty() } else { said.contains(wrong) };
        assert!(is_as_expected, "{query}: {said:?} instead of {wrong:?}");
    }
    // A server's certificate that stands in the file itself is good for as long as it says.
    let admin = server.admin("postgres").await;
    for (certificate, wrong) in [("server", ""), ("expired", "xpired")] {
        server.serve(certificate);
        admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        for mode in ["verify-ca", "verify-full"] {
            let pinned = p(&format!("{certificate}.pem"));
            let url = server.url("postgres", "x", &format!("sslmode={mode}&sslrootcert={pinned}"));
            eventually(&format!("{mode} with the {certificate} certificate"), || async {
                let said = server.says(&url).await.err()?;
                let expected = if wrong.is_empty() { "password" } else { wrong };
                said.contains(expected).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_or_certificate_is_taken_without_a_restart() {
    let server = server().await;
    let admin = server.admin("postgres").await;
    admin.batch_execute("CREATE DATABASE shop").await.unwrap();
    prepare(&server.postgres.url("shop")).await;
    admin
        .batch_execute(
            "ALTER ROLE carol SUPERUSER; CREATE ROLE dave SUPERUSER LOGIN PASSWORD 'first'",
        )
        .await
        .unwrap();
    let rig = Rig::new(1).await;
    let secret = rig.path("password");
    write_secret(&secret, "first\n");
    let program = rig.path("password.sh");
    fs::write(&program, format!("#!/bin/sh\ncat {}\n", secret.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let place = format!("127.0.0.1:{}/shop", server.postgres.port());
    let file: &[(&str, PathBuf)] = &[("PGPASSWORD_FILE", secret.clone())];
    let mut paid = 0;
    for (name, url, more, env) in [
        ("file", format!("postgres://dave@{place}"), String::new(), file),
        (
            "command",
            format!("postgres://dave@{place}"),
            format!("password_command = [\"{}\"]\n", program.display()),
            &[],
        ),
        (
            "certificate",
            format!(
                "postgres://carol@{place}?sslmode=verify-full&sslrootcert={}&sslcert={}&sslkey={}",
                server.path("ca.pem"),
                server.path("client.pem"),
                server.path("client.key")
            ),
            String::new(),
            &[],
        ),
    ] {
        issue(&server, "carol");
        write_secret(&secret, "first");
        admin.batch_execute("ALTER ROLE dave PASSWORD 'first'").await.unwrap();
        let config = rig.path(&format!("{name}.toml"));
        let text = rig.config(&url, "", "").replace("[kafka]\n", &format!("{more}[kafka]\n"));
        fs::write(&config, text).unwrap();
        let daemon = Daemon::start_with(&config, 0, env);
        let shop = world::connect(&server.postgres.url("shop")).await;
        for turn in ["first", "second"] {
            rig.pay(&payments(3)).await;
            paid += 3;
            eventually(&format!("purchases by {name}, {turn}"), || async {
                let row =
                    shop.query_one("SELECT count(*) FROM student_course_purchases", &[]).await;
                (row.unwrap().get::<_, i64>(0) == paid).then_some(())
            })
            .await;
            if turn == "second" {
                break;
            }
            // What logged in so far is no good any more, and its sessions are over.
            write_secret(&secret, "second");
            issue(&server, "carol");
            let rotate = "ALTER ROLE dave PASSWORD 'second'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ('carol', 'dave')";
            admin.batch_execute(rotate).await.unwrap();
        }
        daemon.stop();
    }
}

fn issue(server: &Server, name: &str) {
    server.authority.issue("client", name);
}

fn write_secret(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_secret_that_everybody_may_read_is_refused_wherever_it_stands() {
    let folder = PrivateFolder::new("open", None).unwrap();
    let open = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap()
    };
    open(folder.path(), 0o755);
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    };
    let secret = write("secret", "postgres://u:canary@localhost/d");
    let with_password =
        write("password.toml", "[postgres]\nurl = \"postgres://u:canary@localhost/d\"\n");
    let with_property =
        write("property.toml", "[kafka.properties]\n\"sasl.password\" = \"canary\"\n");
    let with_webhook = write("webhook.toml", "[alert]\nwebhook = \"https://h/canary\"\n");
    let without = write(
        "plain.toml",
        "[postgres]\nurl = \"postgres://u@localhost/d\"\n[kafka.properties]\n\"linger.ms\" = 5\n",
    );
    let asked = |config: &Path, env: &[(&str, &Path)]| {
        let mut check = command();
        check.args(["config", "show", "--config"]).arg(config).envs(env.iter().copied());
        let out = check.output().unwrap();
        (out.status.success(), String::from_utf8([out.stdout, out.stderr].concat()).unwrap())
    };
    let variables = [
        "DATABASE_URL_FILE",
        "MAKEGOOD_POSTGRES_URL_FILE",
        "PGPASSWORD_FILE",
        "MAKEGOOD_KAFKA__SASL_PASSWORD_FILE",
        "PGPASSFILE",
    ];
    for (mode, is_taken) in [(0o644, false), (0o604, false), (0o600, true)] {
        for variable in variables {
            open(&secret, mode);
            let (is_good, said) = asked(&without, &[(variable, &secret)]);
            assert_eq!(is_good, is_taken, "{variable} {mode:o}: {said}");
            assert!(is_good || said.contains("chmod 600"), "{said}");
        }
        for config in [&with_password, &with_property, &with_webhook] {
            open(config, mode);
            let (is_good, said) = asked(config, &[]);
            assert_eq!(is_good, is_taken, "{} {mode:o}: {said}", config.display());
            assert!(!said.contains("canary"), "{said}");
        }
    }
    assert!(asked(&without, &[]).0);
}
