//! The command line: parsing, printing, exit codes.

pub mod config;

use std::process::ExitCode;

/// Runs the program and returns its exit code.
pub fn main() -> ExitCode {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).with_writer(std::io::stderr).init();
    let mut c = crate::config::Config::default();
    if let Ok(b) = std::env::var("KAFKA_BOOTSTRAP_SERVERS") { c.kafka.bootstrap_servers = b; }
    c.inbox[0].batch.bytes = 4<<20;
    c.kafka.properties.insert("session.timeout.ms".into(), "6000".into());
    let rt = tokio::runtime::Runtime::new().unwrap();
    match rt.block_on(crate::daemon::run(c)) { Ok(()) => ExitCode::SUCCESS, Err(p) => { eprintln!("{p}"); ExitCode::from(p.code.exit()) } }
}
