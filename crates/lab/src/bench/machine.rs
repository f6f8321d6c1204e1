//! What the figures were measured on.

use tokio_postgres::Client;

use super::postgres;
use rules::problem::Problem;

/// Settings that decide how fast a commit is.
const SETTINGS: [&str; 6] = [
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_level",
    "shared_buffers",
    "max_wal_size",
];

/// Lines about the machine, PostgreSQL and the Kafka client.
pub async fn describe(client: &Client) -> Result<String, Problem> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut text =
        format!("machine     {cores} cores, {} {}\n", std::env::consts::OS, std::env::consts::ARCH);
    let ask = async |sql: String| {
        let row = client.query_one(&sql, &[]).await.map_err(|e| postgres(&e))?;
        Ok::<String, Problem>(row.get(0))
    };
    text += &format!("PostgreSQL  {}", ask("SHOW server_version".to_owned()).await?);
    for (index, setting) in SETTINGS.iter().enumerate() {
        let before = if index == 0 { ": " } else { ", " };
        text += &format!("{before}{setting} {}", ask(format!("SHOW {setting}")).await?);
    }
    let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
    text += &format!("\nKafka       librdkafka {librdkafka}\n");
    Ok(text)
}
