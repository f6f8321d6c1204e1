//! What the database says of itself, for doctor. Nothing here changes anything.

use jiff::Timestamp;

use super::{Fault, Store, host_tables};
use rules::checkup::server::{Oldest, ServerFacts, Transactions};
use rules::checkup::write_cost::WriteCost;

/// What was read of the server.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    /// For the rules.
    pub server: ServerFacts,
    /// How far its clock is ahead of this machine's, in seconds.
    pub ahead: f64,
    /// How long the answer took, in seconds: the error of `ahead`.
    pub took: f64,
    /// The database's size, in bytes.
    pub bytes: i64,
    /// Where its data are, if the role may know.
    pub data_directory: Option<String>,
}

/// A table of the host's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostTable {
    /// As the mapping names it.
    pub name: String,
    /// The role owns it, or is a member of its owner.
    pub owned: bool,
    /// What the role may do that makegood never does.
    pub excess: Vec<&'static str>,
    /// Columns of the type `timestamp`.
    pub without_zone: Vec<String>,
}

/// Reads the server's state. `is_local` is whether the connection stays on this machine.
pub async fn server(store: &Store, is_local: bool) -> Result<ServerInfo, Fault> {
    let sql = include_str!("../../../sql/core/doctor_server.sql");
    // Once for the connection and the plan, so that the second answer is quick.
    store.query(sql, &[]).await?;
    let before = Timestamp::now();
    let rows = store.query(sql, &[]).await?;
    let after = Timestamp::now();
    let Some(row) = rows.first() else {
        return Err(Fault::Lost { cause: "the role is not in pg_roles".to_owned() });
    };
    let seconds = |at: Timestamp| at.as_millisecond() as f64 / 1000.0;
    let took = seconds(after) - seconds(before);
    Ok(ServerInfo {
        server: ServerFacts {
            version_num: row.get("version_num"),
            version: row.get("version"),
            role: row.get("role"),
            database: row.get("database_name"),
            tls: row.get("tls"),
            is_local,
            takes_no_writes: row.get("takes_no_writes"),
            timezone: row.get("timezone"),
            max_connections: row.get("max_connections"),
            reserved_connections: row.get("reserved_connections"),
            used_connections: row.get("used_connections"),
            role_limit: row.get("role_limit"),
            database_limit: row.get("database_limit"),
            is_superuser: row.get("rolsuper"),
            may_create_roles: row.get("rolcreaterole"),
            bypasses_row_security: row.get("rolbypassrls"),
        },
        ahead: row.get::<_, f64>("clock") - seconds(before) - took / 2.0,
        took,
        bytes: row.get("database_bytes"),
        data_directory: row.get("data_directory"),
    })
}

/// Transactions that have been open for a while.
pub async fn transactions(store: &Store) -> Result<Transactions, Fault> {
    let rows = store.query(include_str!("../../../sql/core/doctor_transactions.sql"), &[]).await?;
    let Some(row) = rows.first() else { return Ok(Transactions::default()) };
    let oldest = row.get::<_, Option<i32>>("pid").map(|pid| Oldest {
        pid,
        who: row.get("who"),
        seconds: row.get("seconds"),
    });
    Ok(Transactions {
        oldest,
        prepared: row.get("prepared"),
        oldest_prepared_seconds: row.get("oldest_prepared_seconds"),
    })
}

/// What decides the cost of a write to the inbox and to the tables of these names.
pub async fn write_cost(store: &Store, names: &[String]) -> Result<WriteCost, Fault> {
    let tables = host_tables::find(store, names).await?;
    let sql = include_str!("../../../sql/core/doctor_write_cost.sql");
    let rows = store.query(sql, &[&tables]).await?;
    let Some(row) = rows.first() else { return Ok(WriteCost::default()) };
    Ok(WriteCost {
        wal_compression: row.get("wal_compression"),
        compressions: row.get("compressions"),
        max_wal_bytes: row.get("max_wal_bytes"),
        checkpoint_seconds: row.get("checkpoint_seconds"),
        shared_buffers_bytes: row.get("shared_buffers_bytes"),
        index_bytes: row.get("index_bytes"),
    })
}

/// Those of `names` that are tables.
pub async fn host_tables(store: &Store, names: &[String]) -> Result<Vec<HostTable>, Fault> {
    let tables = host_tables::find(store, names).await?;
    let sql = include_str!("../../../sql/core/doctor_host_tables.sql");
    let rows = store.query(sql, &[&names, &tables]).await?;
    let excess = |row: &tokio_postgres::Row| {
        let rights = [("may_update", "UPDATE"), ("may_delete", "DELETE")];
        rights.into_iter().filter(|(column, _)| row.get(*column)).map(|(_, right)| right).collect()
    };
    Ok((rows.iter())
        .map(|row| HostTable {
            name: row.get("written"),
            owned: row.get("owns"),
            excess: excess(row),
            without_zone: row.get("without_zone"),
        })
        .collect())
}

/// The schemas that are searched for the mapping and in which everybody may create.
pub async fn open_schemas(store: &Store) -> Result<Vec<String>, Fault> {
    let rows = store.query_host(include_str!("../../../sql/core/doctor_schemas.sql"), &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Whether two connections share one server process, as only a pooler in transaction mode has it.
pub async fn is_pooled(store: &Store) -> Result<bool, Fault> {
    let (one, other) = (store.client().await?, store.client().await?);
    let sql = "SELECT pg_catalog.pg_backend_pid()";
    let pid = |messages: Vec<tokio_postgres::SimpleQueryMessage>| {
        messages.into_iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
    };
    // Outside of a transaction the first one's process is free again at once, and then the second's.
    let first = pid(one.simple_query(sql).await?);
    let second = pid(other.simple_query(sql).await?);
    Ok(first.is_some() && first == second)
}
