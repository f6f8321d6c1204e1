//! What befalls the connections between the daemon and its servers.

use std::time::Duration;

use super::super::ground::Ground;
use super::{Fault, Strike, Truth, failed};
use crate::servers::proxy::{Fate, Proxy};
use rules::problem::Problem;

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "commit-answer-lost",
        number: "F09",
        what: "the server commits, its answer is dropped, the connection is cut",
        needs: &[],
        pause: Duration::from_millis(1500),
        alone: "",
        act: |ground, strike| Box::pin(commit(ground, strike, Fate::SwallowAnswer)),
    },
    Fault {
        name: "commit-lost",
        number: "F10",
        what: "the connection is cut before the server sees COMMIT",
        needs: &[],
        pause: Duration::from_millis(1500),
        alone: "",
        act: |ground, strike| Box::pin(commit(ground, strike, Fate::Lose)),
    },
    Fault {
        name: "postgres-silent",
        number: "F13",
        what: "PostgreSQL takes everything and answers nothing for up to 25 s; all comes through then",
        needs: &[],
        pause: Duration::from_secs(6),
        alone: "postgres-wire",
        act: |ground, strike| Box::pin(silent(ground, strike, &ground.postgres_proxy)),
    },
    Fault {
        name: "postgres-slow",
        number: "F14",
        what: "each round trip to PostgreSQL takes 500 ms more",
        needs: &[],
        pause: Duration::from_secs(2),
        alone: "postgres-wire",
        act: |ground, strike| Box::pin(slow(ground, strike, &ground.postgres_proxy)),
    },
    Fault {
        name: "postgres-cut",
        number: "F06",
        what: "all connections to PostgreSQL are cut, new ones refused for up to 15 s",
        needs: &[],
        pause: Duration::from_secs(3),
        alone: "",
        act: |ground, strike| Box::pin(cut(ground, strike, &ground.postgres_proxy)),
    },
    Fault {
        name: "postgres-login",
        number: "F36",
        what: "the daemon's password is changed, or its role may not log in, and it is cut off; taken back",
        needs: &[],
        pause: Duration::from_secs(5),
        alone: "server",
        act: |ground, strike| Box::pin(login(ground, strike)),
    },
    Fault {
        name: "kafka-silent",
        number: "F27",
        what: "Kafka takes everything and answers nothing for up to 25 s; all comes through then",
        needs: &[],
        pause: Duration::from_secs(6),
        alone: "kafka-wire",
        act: |ground, strike| Box::pin(silent(ground, strike, &ground.kafka_proxy)),
    },
    Fault {
        name: "kafka-slow",
        number: "extra",
        what: "each answer of Kafka takes 500 ms more",
        needs: &[],
        pause: Duration::from_secs(2),
        alone: "kafka-wire",
        act: |ground, strike| Box::pin(slow(ground, strike, &ground.kafka_proxy)),
    },
    Fault {
        name: "kafka-throttled",
        number: "extra",
        what: "20 kB a second each way on each connection to Kafka",
        needs: &[],
        pause: Duration::from_secs(2),
        alone: "kafka-wire",
        act: |ground, strike| Box::pin(throttle(ground, strike)),
    },
    Fault {
        name: "kafka-cut",
        number: "extra",
        what: "all connections to Kafka are cut, new ones refused for up to 15 s",
        needs: &[],
        pause: Duration::from_secs(3),
        alone: "kafka-wire",
        act: |ground, strike| Box::pin(cut(ground, strike, &ground.kafka_proxy)),
    },
];

async fn login(ground: &Ground, strike: &mut Strike<'_>) -> Result<(), Problem> {
    // Nobody puts another server there in the middle: its role would keep the change.
    let _postgres = ground.postgres.lock().await;
    let client = ground.patient_client().await?;
    let (change, undo) = match strike.rng.bool() {
        true => ("PASSWORD 'another'".to_owned(), format!("PASSWORD '{}'", ground.secret())),
        false => ("NOLOGIN".to_owned(), "LOGIN".to_owned()),
    };
    let alter = |what: &str| format!("ALTER ROLE makegood {what}");
    client.batch_execute(&alter(&change)).await.map_err(failed)?;
    ground.postgres_proxy.cut_all();
    strike.begin(ground, Truth::Unable)?;
    strike.hold(1000..20_000).await;
    strike.end(ground)?;
    client.batch_execute(&alter(&undo)).await.map_err(failed)
}

async fn commit(ground: &Ground, strike: &mut Strike<'_>, fate: Fate) -> Result<(), Problem> {
    let before = ground.postgres_proxy.met(fate);
    strike.begin(ground, Truth::Open)?;
    ground.postgres_proxy.next_commit(fate);
    for _ in 0..50 {
        if ground.postgres_proxy.met(fate) > before {
            return Ok(());
        }
        strike.hold(20..40).await;
    }
    Ok(())
}

async fn silent(ground: &Ground, strike: &mut Strike<'_>, proxy: &Proxy) -> Result<(), Problem> {
    proxy.silence(true);
    strike.begin(ground, Truth::Unable)?;
    strike.hold(1000..25_000).await;
    strike.end(ground)?;
    proxy.silence(false);
    Ok(())
}

async fn slow(ground: &Ground, strike: &mut Strike<'_>, proxy: &Proxy) -> Result<(), Problem> {
    strike.begin(ground, Truth::Open)?;
    proxy.delay(Duration::from_millis(500));
    strike.hold(5000..25_000).await;
    proxy.delay(Duration::ZERO);
    Ok(())
}

async fn throttle(ground: &Ground, strike: &mut Strike<'_>) -> Result<(), Problem> {
    strike.begin(ground, Truth::Open)?;
    ground.kafka_proxy.throttle(20_000);
    strike.hold(5000..25_000).await;
    ground.kafka_proxy.throttle(0);
    Ok(())
}

async fn cut(ground: &Ground, strike: &mut Strike<'_>, proxy: &Proxy) -> Result<(), Problem> {
    proxy.refuse(true);
    proxy.cut_all();
    strike.begin(ground, Truth::Unable)?;
    let most = if strike.rng.bool() { 15_000 } else { 500 };
    strike.hold(0..most).await;
    strike.end(ground)?;
    proxy.refuse(false);
    Ok(())
}
