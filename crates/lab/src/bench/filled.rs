//! Large tables, filled quickly: without their indexes, which are made again afterwards, each by one sort.

use tokio_postgres::Client;

use super::postgres;
use rules::problem::Problem;

const ROWS: &str = include_str!("../../../../sql/demo/bench_scale.sql");
/// How keys and indexes are taken from the three tables and given back; those of a partition that belong to one of the
/// whole go and come with it.
const INDEXES: &str = "WITH tables AS (
    SELECT c.oid, c.oid::regclass AS name
    FROM pg_class c
    WHERE c.oid IN ('payments'::regclass, 'student_course_purchases'::regclass)
       OR c.relnamespace = 'makegood'::regnamespace AND c.relname ~ '^inbox(_[0-9]+)?$' AND c.relkind IN ('r', 'p')
)
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', t.name, k.conname),
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', t.name, k.conname, pg_get_constraintdef(k.oid))
FROM tables t
JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype IN ('p', 'u') AND k.conparentid = 0
UNION ALL
SELECT format('DROP INDEX %s', i.indexrelid::regclass), replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')
FROM tables t
JOIN pg_index i ON i.indrelid = t.oid
JOIN pg_class c ON c.oid = i.indexrelid AND NOT c.relispartition
WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)";

/// Adds rows number `from` to `to`, the last one included, to payments, purchases and inbox.
pub async fn add(client: &Client, from: usize, to: usize) -> Result<(), Problem> {
    let run = async |sql: &str| client.batch_execute(sql).await.map_err(|e| postgres(&e));
    let rows = client.query(INDEXES, &[]).await.map_err(|e| postgres(&e))?;
    let indexes: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    for (drop, _) in &indexes {
        run(drop).await?;
    }
    run(&ROWS.replace(":from", &from.to_string()).replace(":to", &to.to_string())).await?;
    run("SET maintenance_work_mem = '512MB'").await?;
    for (_, make) in &indexes {
        run(make).await?;
    }
    for table in ["payments", "student_course_purchases", "makegood.inbox"] {
        run(&format!("VACUUM ANALYZE {table}")).await?;
    }
    Ok(())
}
