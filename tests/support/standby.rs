//! A second PostgreSQL that has what the first had some time ago: a late standby, a restored dump.

use std::process::{Command, Stdio};

use lab::servers::postgres::PrivatePostgres;
use tokio_postgres::Client;

use super::eventually;
use super::world::connect;

/// A standby of `primary`, made by a base backup; it has the primary's roles and password.
pub fn standby(primary: &PrivatePostgres) -> PrivatePostgres {
    primary.standby(&[]).unwrap()
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

/// Waits until a standby has everything that its primary has written so far.
pub async fn replayed(primary: &Client, standby: &str) {
    let row = primary.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]).await.unwrap();
    let end: String = row.get(0);
    let client = connect(standby).await;
    let sql = format!("SELECT pg_last_wal_replay_lsn() >= '{end}'::pg_lsn");
    eventually("the standby to be up to date", || async {
        client.query_one(&sql, &[]).await.unwrap().get::<_, bool>(0).then_some(())
    })
    .await;
}

/// Copies a database into a new one elsewhere.
pub fn dump_and_restore(from: &str, to: &str) {
    let mut dump =
        Command::new("pg_dump").args(["-d", from]).stdout(Stdio::piped()).spawn().unwrap();
    let restored = Command::new("psql")
        .args(["-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-d", to])
        .stdin(dump.stdout.take().unwrap())
        .status()
        .unwrap();
    assert!(dump.wait().unwrap().success() && restored.success());
}
