//! What befalls the connections between the daemon and its servers.

use std::time::Duration;

use super::super::environment::Environment;
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
        act: |environment, strike| Box::pin(commit(environment, strike, Fate::SwallowAnswer)),
    },
    Fault {
        name: "commit-lost",
        number: "F10",
        what: "the connection is cut before the server sees COMMIT",
        needs: &[],
        pause: Duration::from_millis(1500),
        alone: "",
        act: |environment, strike| Box::pin(commit(environment, strike, Fate::Lose)),
    },
    Fault {
        name: "postgres-silent",
        number: "F13",
        what: "PostgreSQL takes everything and answers nothing for up to 25 s; all comes through then",
        needs: &[],
        pause: Duration::from_secs(6),
        alone: "postgres-wire",
        act: |environment, strike| {
            Box::pin(silent(environment, strike, &environment.postgres_proxy))
        },
    },
    Fault {
        name: "postgres-slow",
        number: "F14",
        what: "each round trip to PostgreSQL takes 500 ms more",
        needs: &[],
        pause: Duration::from_secs(2),
        alone: "postgres-wire",
        act: |environment, strike| Box::pin(slow(environment, strike, &environment.postgres_proxy)),
    },
    Fault {
        name: "postgres-cut",
        number: "F06",
        what: "all connections to PostgreSQL are cut, new ones refused for up to 15 s",
        needs: &[],
        pause: Duration::from_secs(3),
        alone: "",
        act: |environment, strike| Box::pin(cut(environment, strike, &environment.postgres_proxy)),
    },
    Fault {
        name: "postgres-login",
        number: "F36",
        what: "the daemon's password is changed, or its role may not log in, and it is cut off; taken back",
        needs: &[],
        pause: Duration::from_secs(5),
        alone: "server",
        act: |environment, strike| Box::pin(login(environment, strike)),
    },
    Fault {
        name: "kafka-silent",
        number: "F27",
        what: "Kafka takes everything and answers nothing for up to 25 s; all comes through then",
        needs: &[],
        pause: Duration::from_secs(6),
        alone: "kafka-wire",
        act: |environment, strike| Box::pin(silent(environment, strike, &environment.kafka_proxy)),
    },
    Fault {
        name: "kafka-slow",
        number: "extra",
        what: "each answer of Kafka takes 500 ms more",
        needs: &[],
        pause: Duration::from_secs(2),
        alone: "kafka-wire",
        act: |environment, strike| Box::pin(slow(environment, strike, &environment.kafka_proxy)),
    },
    Fault {
        name: "kafka-throttled",
        number: "extra",
        what: "20 kB a second each way on each connection to Kafka",
        needs: &[],
        pause: Duration::from_secs(2),
        alone: "kafka-wire",
        act: |environment, strike| Box::pin(throttle(environment, strike)),
    },
    Fault {
        name: "kafka-cut",
        number: "extra",
        what: "all connections to Kafka are cut, new ones refused for up to 15 s",
        needs: &[],
        pause: Duration::from_secs(3),
        alone: "kafka-wire",
        act: |environment, strike| Box::pin(cut(environment, strike, &environment.kafka_proxy)),
    },
];

async fn login(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    // Nobody puts another server there in the middle: its role would keep the change.
    let _postgres = environment.postgres.lock().await;
    let client = environment.patient_client().await?;
    let (change, undo) = match strike.rng.bool() {
        true => ("PASSWORD 'another'".to_owned(), format!("PASSWORD '{}'", environment.secret())),
        false => ("NOLOGIN".to_owned(), "LOGIN".to_owned()),
    };
    let alter = |what: &str| format!("ALTER ROLE makegood {what}");
    client.batch_execute(&alter(&change)).await.map_err(failed)?;
    environment.postgres_proxy.cut_all();
    strike.begin(environment, Truth::Unable)?;
    strike.hold(1000..20_000).await;
    strike.end(environment)?;
    client.batch_execute(&alter(&undo)).await.map_err(failed)
}

async fn commit(
    environment: &Environment,
    strike: &mut Strike<'_>,
    fate: Fate,
) -> Result<(), Problem> {
    let before = environment.postgres_proxy.met(fate);
    strike.begin(environment, Truth::Open)?;
    environment.postgres_proxy.next_commit(fate);
    for _ in 0..50 {
        if environment.postgres_proxy.met(fate) > before {
            return Ok(());
        }
        strike.hold(20..40).await;
    }
    Ok(())
}

async fn silent(
    environment: &Environment,
    strike: &mut Strike<'_>,
    proxy: &Proxy,
) -> Result<(), Problem> {
    proxy.silence(true);
    strike.begin(environment, Truth::Unable)?;
    strike.hold(1000..25_000).await;
    strike.end(environment)?;
    proxy.silence(false);
    Ok(())
}

async fn slow(
    environment: &Environment,
    strike: &mut Strike<'_>,
    proxy: &Proxy,
) -> Result<(), Problem> {
    strike.begin(environment, Truth::Open)?;
    proxy.delay(Duration::from_millis(500));
    strike.hold(5000..25_000).await;
    proxy.delay(Duration::ZERO);
    Ok(())
}

async fn throttle(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    strike.begin(environment, Truth::Open)?;
    environment.kafka_proxy.throttle(20_000);
    strike.hold(5000..25_000).await;
    environment.kafka_proxy.throttle(0);
    Ok(())
}

async fn cut(
    environment: &Environment,
    strike: &mut Strike<'_>,
    proxy: &Proxy,
) -> Result<(), Problem> {
    proxy.refuse(true);
    proxy.cut_all();
    strike.begin(environment, Truth::Unable)?;
    let most = if strike.rng.bool() { 15_000 } else { 500 };
    strike.hold(0..most).await;
    strike.end(environment)?;
    proxy.refuse(false);
    Ok(())
}
