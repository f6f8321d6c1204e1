//! temp
#![allow(missing_docs)]
use crate::config;
use crate::pure::problem::{Code, Problem};
pub fn pool(_p: &config::Postgres, _n: &str, max: usize) -> Result<deadpool_postgres::Pool, Problem> {
    let c: tokio_postgres::Config = std::env::var("DATABASE_URL").unwrap_or_default().parse().map_err(|e| Problem::new(Code::Config, format!("{e}")))?;
    let m = deadpool_postgres::Manager::from_config(c, tokio_postgres::NoTls, deadpool_postgres::ManagerConfig { recycling_method: deadpool_postgres::RecyclingMethod::Fast });
    deadpool_postgres::Pool::builder(m).max_size(max).build().map_err(|e| Problem::new(Code::Config, format!("{e}")))
}
pub async fn connect(_p: &config::Postgres, _n: &str) -> Result<tokio_postgres::Client, Problem> {
    let (c, conn) = tokio_postgres::connect(&std::env::var("DATABASE_URL").unwrap_or_default(), tokio_postgres::NoTls).await.map_err(|e| Problem::new(Code::PostgresUnreachable, format!("{e}")))?;
    tokio::spawn(conn);
    Ok(c)
}
