//! What befalls PostgreSQL.

use std::time::Duration;

use tokio::task::block_in_place;

use super::super::environment::Environment;
use super::{Fault, Strike, Truth, failed};
use rules::problem::Problem;

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "postgres-terminate",
        number: "F06",
        what: "pg_terminate_backend on sessions of the daemon, at random",
        needs: &[],
        pause: Duration::from_millis(600),
        alone: "",
        act: |environment, strike| Box::pin(terminate(environment, strike)),
    },
    Fault {
        name: "postgres-crash",
        number: "F07",
        what: "kill -9 of the postmaster; started again, with crash recovery",
        needs: &[],
        pause: Duration::from_secs(10),
        alone: "postgres",
        act: |environment, strike| Box::pin(crash(environment, strike)),
    },
    Fault {
        name: "postgres-stop",
        number: "F08",
        what: "a stop, fast or immediate; started again after up to 20 s",
        needs: &[],
        pause: Duration::from_secs(10),
        alone: "postgres",
        act: |environment, strike| Box::pin(stop(environment, strike)),
    },
    Fault {
        name: "commit-late",
        number: "F11",
        what: "COMMIT waits for a synchronous standby that is not there, lands later; the setting taken back",
        needs: &[],
        pause: Duration::from_secs(5),
        alone: "",
        act: |environment, strike| Box::pin(commit_late(environment, strike)),
    },
    Fault {
        name: "postgres-lock",
        number: "F15",
        what: "ACCESS EXCLUSIVE on the purchases for up to 25 s; rolled back",
        needs: &[],
        pause: Duration::from_secs(6),
        alone: "",
        act: |environment, strike| Box::pin(lock(environment, strike)),
    },
    Fault {
        name: "postgres-deadlock",
        number: "F16",
        what: "others insert purchases of the same payments in any order, and roll back",
        needs: &[],
        pause: Duration::from_millis(100),
        alone: "",
        act: |environment, strike| Box::pin(deadlock(environment, strike)),
    },
    Fault {
        name: "postgres-long-transaction",
        number: "F17",
        what: "a long writing transaction and a prepared one hold xmin; rolled back",
        needs: &[],
        pause: Duration::from_secs(5),
        alone: "",
        act: |environment, strike| Box::pin(long_transaction(environment, strike)),
    },
    Fault {
        name: "postgres-connections",
        number: "F22",
        what: "no connection is left; the hoarded ones are closed after up to 15 s",
        needs: &[],
        pause: Duration::from_secs(8),
        alone: "",
        act: |environment, strike| Box::pin(connections(environment, strike)),
    },
    Fault {
        name: "postgres-notify",
        number: "extra",
        what: "thousands of notifications on the daemon's channels",
        needs: &[],
        pause: Duration::from_secs(2),
        alone: "",
        act: |environment, strike| Box::pin(notify(environment, strike)),
    },
    Fault {
        name: "reconcile-race",
        number: "extra",
        what: "sweeps are asked for while the consumer applies the same payments",
        needs: &[],
        pause: Duration::from_secs(1),
        alone: "",
        act: |environment, strike| Box::pin(reconcile(environment, strike)),
    },
];

async fn terminate(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let Ok(client) = environment.client().await else { return Ok(()) };
    strike.begin(environment, Truth::Open)?;
    let share = f64::from(strike.rng.u32(10..100)) / 100.0;
    let sql = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name LIKE 'makegood%' AND random() < {share}"
    );
    // The server may be away by another fault.
    let _ = client.batch_execute(&sql).await;
    Ok(())
}

async fn crash(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut postgres = environment.postgres.lock().await;
    block_in_place(|| postgres.stop_hard())?;
    strike.begin(environment, Truth::Unable)?;
    strike.hold(0..3000).await;
    strike.end(environment)?;
    block_in_place(|| postgres.start_again())
}

async fn stop(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut postgres = environment.postgres.lock().await;
    let fast = strike.rng.bool();
    block_in_place(|| if fast { postgres.stop_fast() } else { postgres.stop_immediate() })?;
    strike.begin(environment, Truth::Unable)?;
    let most = if strike.rng.bool() { 20_000 } else { 2000 };
    strike.hold(0..most).await;
    strike.end(environment)?;
    block_in_place(|| postgres.start_again())
}

async fn commit_late(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    // Whoever restarts the server meanwhile keeps what stands in its files.
    let postgres = environment.postgres.lock().await;
    let client = environment.patient_client().await?;
    set(&client, "synchronous_standby_names = 'nobody'").await?;
    strike.begin(environment, Truth::Stuck)?;
    strike.hold(2000..22_000).await;
    strike.end(environment)?;
    let undone = set(&client, "synchronous_standby_names = ''").await;
    drop(postgres);
    undone
}

async fn set(client: &tokio_postgres::Client, setting: &str) -> Result<(), Problem> {
    client.batch_execute("SET synchronous_commit = local").await.map_err(failed)?;
    client.batch_execute(&format!("ALTER SYSTEM SET {setting}")).await.map_err(failed)?;
    client.batch_execute("SELECT pg_reload_conf()").await.map_err(failed)
}

async fn lock(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let Ok(client) = environment.client().await else { return Ok(()) };
    let locked =
        client.batch_execute("BEGIN; LOCK TABLE student_course_purchases IN ACCESS EXCLUSIVE MODE");
    if locked.await.is_err() {
        return Ok(());
    }
    strike.begin(environment, Truth::Stuck)?;
    strike.hold(1000..25_000).await;
    strike.end(environment)?;
    let _ = client.batch_execute("ROLLBACK").await;
    Ok(())
}

async fn deadlock(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let Ok(client) = environment.client().await else { return Ok(()) };
    let order = if strike.rng.bool() { "p.id" } else { "p.id DESC" };
    let many = strike.rng.u32(2..9);
    let pick = format!(
        "SELECT p.id::text FROM payments p WHERE p.status = 'succeeded' AND NOT EXISTS \
         (SELECT FROM student_course_purchases s WHERE s.payment_id = p.id) ORDER BY {order} LIMIT {many}"
    );
    let Ok(rows) = client.query(&pick, &[]).await else { return Ok(()) };
    strike.begin(environment, Truth::Open)?;
    let _ = client.batch_execute("BEGIN").await;
    for row in rows {
        let id: String = row.get(0);
        let insert = format!(
            "INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency) \
             SELECT id, student_id, course_id, amount, currency FROM payments WHERE id = '{id}'"
        );
        if client.batch_execute(&insert).await.is_err() {
            break;
        }
        strike.hold(5..150).await;
    }
    let _ = client.batch_execute("ROLLBACK").await;
    Ok(())
}

async fn long_transaction(
    environment: &Environment,
    strike: &mut Strike<'_>,
) -> Result<(), Problem> {
    let (Ok(client), Ok(second)) = (environment.client().await, environment.client().await) else {
        return Ok(());
    };
    let write = "BEGIN; CREATE TABLE IF NOT EXISTS beside (n int); INSERT INTO beside VALUES (1)";
    if client.batch_execute(write).await.is_err() {
        return Ok(());
    }
    let _ = second
        .batch_execute("BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION 'long'")
        .await;
    strike.begin(environment, Truth::Open)?;
    strike.hold(3000..25_000).await;
    strike.end(environment)?;
    let _ = client.batch_execute("ROLLBACK").await;
    // It survives a restart, which ends the session that made it.
    for _ in 0..100 {
        if let Ok(third) = environment.client().await {
            let _ = third.batch_execute("ROLLBACK PREPARED 'long'").await;
            return Ok(());
        }
        strike.hold(200..300).await;
    }
    Ok(())
}

async fn connections(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut hoard = Vec::new();
    while let Ok(client) = environment.client().await {
        hoard.push(client);
        if hoard.len() > 250 {
            break;
        }
    }
    strike.begin(environment, Truth::Open)?;
    strike.hold(1000..15_000).await;
    strike.end(environment)?;
    drop(hoard);
    Ok(())
}

async fn notify(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let Ok(client) = environment.client().await else { return Ok(()) };
    strike.begin(environment, Truth::Open)?;
    let sql = "DO $$ BEGIN FOR n IN 1..4000 LOOP \
        PERFORM pg_notify('makegood_outbox', n::text); PERFORM pg_notify('makegood_reconcile', n::text); \
        END LOOP; END $$";
    let _ = client.batch_execute(sql).await;
    Ok(())
}

async fn reconcile(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let Ok(client) = environment.client().await else { return Ok(()) };
    strike.begin(environment, Truth::Open)?;
    let dry = strike.rng.bool();
    let _ = client.batch_execute(&format!("SELECT makegood.reconcile(dry_run => {dry})")).await;
    Ok(())
}
