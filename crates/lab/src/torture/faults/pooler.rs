//! What befalls a PgBouncer between the daemon and PostgreSQL.

use std::time::Duration;

use tokio::task::block_in_place;

use super::super::environment::Environment;
use super::{Fault, Need, Strike, Truth};
use rules::problem::Problem;

pub const FAULTS: &[Fault] = &[Fault {
    name: "pooler",
    number: "F23",
    what: "PgBouncer in transaction mode is killed, or paused for up to 15 s; started again, resumed",
    needs: &[Need::Pooler],
    pause: Duration::from_secs(4),
    alone: "server",
    act: |environment, strike| Box::pin(disturb(environment, strike)),
}];

async fn disturb(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut pooler = environment.pooler.lock().await;
    let Some(pooler) = pooler.as_mut() else { return Ok(()) };
    strike.begin(environment, Truth::Open)?;
    if strike.rng.bool() {
        block_in_place(|| pooler.kill())?;
        strike.hold(0..5000).await;
        return block_in_place(|| pooler.start_again());
    }
    let Ok(console) = pooler.console().await else { return Ok(()) };
    // It waits for the transactions that are open, which another fault may keep so.
    let pause = tokio::time::timeout(Duration::from_secs(5), console.simple_query("PAUSE"));
    let _ = pause.await;
    strike.hold(500..15_000).await;
    if let Ok(console) = pooler.console().await {
        let _ = console.simple_query("RESUME").await;
    }
    Ok(())
}
