//! What befalls the servers' disks.

use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::task::block_in_place;

use super::super::environment::Environment;
use super::{Fault, Need, Strike, Truth};
use crate::servers::host::Account;
use crate::servers::small_disk::SmallDisk;
use rules::problem::{Code, Problem};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "postgres-disk-full",
        number: "F18",
        what: "no block is left on PostgreSQL's disk for up to 15 s, its log included; freed, and started again if it had ended",
        needs: &[Need::SmallPostgres],
        pause: Duration::from_secs(6),
        alone: "postgres server",
        act: |environment, strike| Box::pin(full(environment, strike)),
    },
    Fault {
        name: "postgres-disk-fails",
        number: "F19",
        what: "fdatasync fails in every process of PostgreSQL until it panics; crash recovery",
        needs: &[Need::FailingDisk],
        pause: Duration::from_secs(8),
        alone: "postgres server",
        act: |environment, strike| Box::pin(fails(environment, strike)),
    },
    Fault {
        name: "kafka-disk-full",
        number: "F28",
        what: "no block is left on the broker's disk for up to 15 s; freed, and started again if it had ended",
        needs: &[Need::SmallKafka],
        pause: Duration::from_secs(6),
        alone: "kafka cluster",
        act: |environment, strike| Box::pin(kafka_full(environment, strike)),
    },
];

/// Whether a system call of another account's process can be made to fail.
pub fn can_trace() -> bool {
    let has = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    has.is_ok_and(|s| s.success()) && Account::current().is_ok_and(|account| account.user == 0)
}

async fn full(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut postgres = environment.postgres.lock().await;
    fill(environment, strike, environment.postgres_disk.as_ref(), || postgres.revive().map(drop))
        .await
}

async fn kafka_full(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut kafka = environment.kafka.lock().await;
    fill(environment, strike, environment.kafka_disk.as_ref(), || kafka.revive().map(drop)).await
}

/// Leaves no block on a server's disk for a while. The server ends where it can not even recover; an administrator starts it
/// again.
async fn fill(
    environment: &Environment,
    strike: &mut Strike<'_>,
    disk: Option<&SmallDisk>,
    revive: impl FnOnce() -> Result<(), Problem>,
) -> Result<(), Problem> {
    let Some(disk) = disk else { return Ok(()) };
    strike.begin(environment, Truth::Open)?;
    block_in_place(|| disk.fill())?;
    strike.hold(1000..15_000).await;
    strike.end(environment)?;
    disk.free()?;
    strike.hold(1000..2000).await;
    block_in_place(revive)
}

async fn fails(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut postgres = environment.postgres.lock().await;
    let Ok(client) = environment.client().await else { return Ok(()) };
    let asked = client.query("SELECT pid::text FROM pg_stat_activity", &[]).await;
    let Ok(rows) = asked else { return Ok(()) };
    let mut trace = Command::new("strace");
    trace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync"]);
    trace.args(["-e", "inject=fdatasync:error=EIO"]);
    for row in rows {
        let pid: String = row.get(0);
        trace.args(["-p", &pid]);
    }
    let spawned = trace.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut trace =
        spawned.map_err(|e| Problem::new(Code::System, format!("cannot run strace: {e}")))?;
    strike.begin(environment, Truth::Open)?;
    strike.hold(1000..4000).await;
    strike.end(environment)?;
    let _ = trace.kill();
    let _ = trace.wait();
    strike.hold(500..1500).await;
    block_in_place(|| postgres.revive()).map(drop)
}
