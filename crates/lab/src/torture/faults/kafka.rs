//! What befalls Kafka.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminOptions, NewPartitions};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::json;
use tokio::task::block_in_place;

use super::super::environment::{Environment, GROUP, TOPIC, create_topic};
use super::{Fault, Strike, Truth};
use rules::problem::{Code, Problem};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "poison",
        number: "F34",
        what: "bursts in which nearly every record is broken",
        needs: &[],
        pause: Duration::from_secs(4),
        alone: "",
        act: |environment, strike| Box::pin(poison(environment, strike)),
    },
    Fault {
        name: "kafka-crash",
        number: "F25",
        what: "kill -9 of the only broker; started again",
        needs: &[],
        pause: Duration::from_secs(10),
        alone: "kafka",
        act: |environment, strike| Box::pin(crash(environment, strike)),
    },
    Fault {
        name: "kafka-freeze",
        number: "F27",
        what: "SIGSTOP of the broker for up to 30 s; SIGCONT",
        needs: &[],
        pause: Duration::from_secs(6),
        alone: "kafka",
        act: |environment, strike| Box::pin(freeze(environment, strike)),
    },
    Fault {
        name: "topic-recreated",
        number: "F30",
        what: "the topic is deleted and made again, with as many partitions or others",
        needs: &[],
        pause: Duration::from_secs(20),
        alone: "topic cluster",
        act: |environment, strike| Box::pin(recreate(environment, strike)),
    },
    Fault {
        name: "topic-cut",
        number: "F31",
        what: "records are deleted past the position while no daemon runs",
        needs: &[],
        pause: Duration::from_secs(10),
        alone: "topic cluster",
        act: |environment, strike| Box::pin(delete_records(environment, strike)),
    },
    Fault {
        name: "topic-grows",
        number: "F32",
        what: "one partition more under load",
        needs: &[],
        pause: Duration::from_secs(15),
        alone: "topic cluster",
        act: |environment, strike| Box::pin(grow(environment, strike)),
    },
    Fault {
        name: "group-reset",
        number: "F33",
        what: "the group's offsets are set to the begin or the end, or deleted, while no daemon runs",
        needs: &[],
        pause: Duration::from_secs(5),
        alone: "daemon",
        act: |environment, strike| Box::pin(reset_group(environment, strike)),
    },
    Fault {
        name: "kafka-transactions",
        number: "extra",
        what: "aborted transactions, and one that stays open and holds readers back",
        needs: &[],
        pause: Duration::from_secs(3),
        alone: "",
        act: |environment, strike| Box::pin(transactions(environment, strike)),
    },
];

async fn poison(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    strike.begin(environment, Truth::Open)?;
    environment.load.poison(true);
    strike.hold(1000..6000).await;
    environment.load.poison(false);
    Ok(())
}

async fn crash(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut kafka = environment.kafka.lock().await;
    block_in_place(|| kafka.stop_hard())?;
    strike.begin(environment, Truth::Unable)?;
    strike.hold(0..15_000).await;
    strike.end(environment)?;
    block_in_place(|| kafka.start_again())
}

async fn freeze(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let kafka = environment.kafka.lock().await;
    block_in_place(|| kafka.pause())?;
    strike.begin(environment, Truth::Unable)?;
    strike.hold(2000..30_000).await;
    strike.end(environment)?;
    kafka.resume()
}

async fn recreate(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    strike.hold(5000..10_000).await;
    let _kafka = environment.kafka.lock().await;
    let admin = environment.admin()?;
    strike.begin(environment, Truth::Open)?;
    let deleted = admin.delete_topics(&[TOPIC], &AdminOptions::new()).await;
    deleted.map_err(|e| failed(&e))?;
    strike.hold(100..4000).await;
    let partitions = if strike.rng.bool() { 4 } else { strike.rng.i32(1..7) };
    let mut tries = 0;
    while let Err(problem) = create_topic(environment.bootstrap(), partitions, 1).await {
        tries += 1;
        if tries > 40 {
            return Err(problem);
        }
        strike.hold(200..400).await;
    }
    Ok(())
}

async fn delete_records(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut daemons = environment.daemons.lock().await;
    let _kafka = environment.kafka.lock().await;
    let Some(first) = daemons.first_mut() else { return Ok(()) };
    first.kill()?;
    strike.begin(environment, Truth::Open)?;
    strike.hold(500..3000).await;
    let Ok(ends) = ends(environment) else { return first.start() };
    let mut to = TopicPartitionList::new();
    for (partition, _, high) in ends {
        let back = strike.rng.i64(0..20);
        if strike.rng.bool() && high > back {
            // Setting an offset fails for negative ones alone.
            let _ = to.add_partition_offset(TOPIC, partition, Offset::Offset(high - back));
        }
    }
    if to.count() > 0 {
        let _ = environment.admin()?.delete_records(&to, &AdminOptions::new()).await;
    }
    first.start()
}

async fn grow(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    strike.hold(3000..10_000).await;
    let _kafka = environment.kafka.lock().await;
    let Ok(ends) = ends(environment) else { return Ok(()) };
    strike.begin(environment, Truth::Open)?;
    let more = NewPartitions::new(TOPIC, ends.len() + 1);
    let _ = environment.admin()?.create_partitions([&more], &AdminOptions::new()).await;
    Ok(())
}

async fn reset_group(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut daemons = environment.daemons.lock().await;
    let _kafka = environment.kafka.lock().await;
    let Some(first) = daemons.first_mut() else { return Ok(()) };
    first.stop()?;
    strike.begin(environment, Truth::Open)?;
    // What comes now is what a reset to the end would skip.
    strike.hold(500..3000).await;
    if let Ok(ends) = ends(environment) {
        let how = strike.rng.u32(0..3);
        let mut to = TopicPartitionList::new();
        for (partition, low, high) in ends {
            let at = if how == 0 { low } else { high };
            let _ = to.add_partition_offset(TOPIC, partition, Offset::Offset(at));
        }
        if how == 2 {
            let _ = environment.admin()?.delete_groups(&[GROUP], &AdminOptions::new()).await;
        } else {
            let member = consumer(environment)?;
            let set = || member.commit(&to, rdkafka::consumer::CommitMode::Sync);
            // Nobody is a member, so a refusal would be a fault that does not strike.
            let outcome = block_in_place(set).map_err(|e| failed(&e));
            let said = outcome.as_ref().err().map(|problem| &problem.reason);
            environment
                .ledger
                .note(json!({"act": "reset", "to": format!("{to:?}"), "why_not": said}))?;
        }
    }
    first.start()
}

async fn transactions(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", environment.bootstrap())
        .set("transactional.id", "torture")
        .set("transaction.timeout.ms", "30000")
        .set("message.timeout.ms", "8000")
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg)
        .create()
        .map_err(|e| failed(&e))?;
    let patience = Duration::from_secs(8);
    if block_in_place(|| producer.init_transactions(patience)).is_err() {
        return Ok(());
    }
    strike.begin(environment, Truth::Open)?;
    // An event of a payment that is none, so that a reader of what was aborted is found out.
    for _ in 0..strike.rng.u32(1..6) {
        if producer.begin_transaction().is_err() {
            return Ok(());
        }
        let value = r#"{"aborted":true}"#;
        let _ = producer.send(BaseRecord::<str, str>::to(TOPIC).payload(value));
        block_in_place(|| {
            let _ = producer.flush(patience);
        });
        if strike.rng.u32(0..4) == 0 {
            strike.hold(5000..15_000).await;
        }
        if block_in_place(|| producer.abort_transaction(patience)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn consumer(environment: &Environment) -> Result<BaseConsumer, Problem> {
    ClientConfig::new()
        .set("bootstrap.servers", environment.bootstrap())
        .set("group.id", GROUP)
        .set("enable.auto.commit", "false")
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg)
        .create()
        .map_err(|e| failed(&e))
}

/// Each partition's number, first offset and end.
fn ends(environment: &Environment) -> Result<Vec<(i32, i64, i64)>, Problem> {
    block_in_place(|| {
        let patience = Duration::from_secs(5);
        let looker = consumer(environment)?;
        let metadata = looker.fetch_metadata(Some(TOPIC), patience).map_err(|e| failed(&e))?;
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        partitions
            .map(|p| {
                let (low, high) =
                    looker.fetch_watermarks(TOPIC, p.id(), patience).map_err(|e| failed(&e))?;
                Ok((p.id(), low, high))
            })
            .collect()
    })
}

fn failed(error: &rdkafka::error::KafkaError) -> Problem {
    Problem::new(Code::Kafka, format!("Kafka: {error}"))
}
