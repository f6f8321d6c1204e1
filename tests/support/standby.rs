//! A second server behind a first one.

use std::process::Command;

use makegood::demo::footing::Account;
use makegood::demo::postgres::PrivatePostgres;
use makegood::demo::process::run_as;

/// A standby of `primary`, made by a base backup; it has the primary's roles and password.
pub fn standby(primary: &PrivatePostgres) -> PrivatePostgres {
    let mut standby = PrivatePostgres::start(false).unwrap();
    standby.stop_immediate().unwrap();
    let data = standby.folder().join("data");
    std::fs::remove_dir_all(&data).unwrap();
    let mut backup = Command::new("pg_basebackup");
    backup
        .args(["-R", "-X", "stream", "-c", "fast", "-d", &primary.url("postgres")])
        .arg("-D")
        .arg(&data);
    backup.current_dir(standby.folder());
    // The server runs as this account where we are root, and its data must be that account's.
    let root = Account::current().unwrap().user == 0;
    run_as(&mut backup, root.then(|| Account::named("postgres")).flatten());
    assert!(backup.status().unwrap().success());
    standby.start_again().unwrap();
    standby
}

/// The same database at another port.
pub fn at(url: &str, port: u16) -> String {
    let (before, rest) = url.rsplit_once(':').unwrap();
    let (_, database) = rest.split_once('/').unwrap();
    format!("{before}:{port}/{database}")
}

/// A connection string that names both.
pub fn both(url: &str, port: u16) -> String {
    let (before, database) = url.rsplit_once('/').unwrap();
    format!("{before},127.0.0.1:{port}/{database}")
}
