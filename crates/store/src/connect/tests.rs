use super::*;
use rules::problem::Code;
use tokio_postgres::config::TargetSessionAttrs;

fn at(url: &str) -> Postgres {
    Postgres::from_url(url).unwrap()
}

fn tls_of(url: &str) -> &'static str {
    match settings(&at(url)).unwrap().1 {
        TlsMode::Plain => "plain",
        TlsMode::Opportunistic(_) => "opportunistic",
        TlsMode::Required(_) => "required",
    }
}

#[test]
fn plaintext_is_the_default_only_on_this_machine() {
    assert_eq!(tls_of("postgres://u@localhost/d"), "plain");
    assert_eq!(tls_of("postgres://u@127.0.0.1,[::1]/d"), "plain");
    assert_eq!(tls_of("postgres:///d?host=/tmp&sslmode=require"), "plain");
    assert_eq!(tls_of("postgres://u@db.example/d"), "required");
    assert_eq!(tls_of("postgres://u@localhost,db.example/d"), "required");
    assert_eq!(tls_of("postgres://u@db.example/d?sslmode=disable"), "plain");
    assert_eq!(tls_of("postgres://u@localhost/d?sslmode=require"), "required");
}

#[test]
fn a_dead_peer_is_noticed_and_a_standby_refused() {
    let (config, _) = settings(&at("postgres://u@localhost:1/d")).unwrap();
    assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_secs(10)));
    assert_eq!(config.get_keepalives_idle(), Duration::from_secs(10));
    assert_eq!(config.get_keepalives_interval(), Some(Duration::from_secs(5)));
    assert_eq!(config.get_keepalives_retries(), Some(3));
    assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(5)));
    assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
}

#[test]
fn a_root_certificate_that_cannot_be_read_is_a_configuration_error() {
    let p = at("postgres://u@h/d?sslmode=verify-full&sslrootcert=/nonexistent/root.crt");
    let error = settings(&p).err().unwrap();
    assert_eq!(error.code, Code::Config);
    assert!(error.reason.contains("/nonexistent/root.crt"), "{error}");
}

#[test]
fn messages_name_the_place() {
    assert_eq!(place(&at("postgres://u:x@a,b:6/d")), "a:5432,b:6/d");
    assert_eq!(place(&at("postgres:///d?host=/tmp&port=7")), "/tmp:7/d");
}

#[tokio::test]
async fn an_unreachable_server_is_named_and_no_password_shown() {
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://u:canary@127.0.0.1:{free}/d");
    let error = connect(&at(&url), "test").await.err().unwrap();
    assert_eq!(error.code, Code::PostgresUnreachable);
    assert!(error.reason.contains(&format!("127.0.0.1:{free}/d")), "{error}");
    assert!(error.advice.contains("nothing listens") && !error.to_string().contains("canary"));
    let error = connect(&at("postgres://u@/d?host=/nonexistent"), "test").await.err().unwrap();
    assert!(error.advice.contains("no socket"), "{error}");
}
