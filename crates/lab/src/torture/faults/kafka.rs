//! What befalls Kafka.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminOptions, NewPartitions};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::json;
use tokio::task::block_in_place;

use super::super::ground::{GROUP, Ground, TOPIC, create_topic};
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
        act: |ground, strike| Box::pin(poison(ground, strike)),
    },
    Fault {
        name: "kafka-crash",
        number: "F25",
        what: "kill -9 of the only broker; started again",
        needs: &[],
        pause: Duration::from_secs(10),
        alone: "kafka",
        act: |ground, strike| Box::pin(crash(ground, strike)),
    },
    Fault {
        name: "kafka-freeze",
        number: "F27",
        what: "SIGSTOP of the broker for up to 30 s; SIGCONT",
        needs: &[],
        pause: Duration::from_secs(6),
        alone: "kafka",
        act: |ground, strike| Box::pin(freeze(ground, strike)),
    },
    Fault {
        name: "topic-recreated",
        number: "F30",
        what: "the topic is deleted and made again, with as many partitions or others",
        needs: &[],
        pause: Duration::from_secs(20),
        alone: "topic cluster",
        act: |ground, strike| Box::pin(recreate(ground, strike)),
    },
    Fault {
        name: "topic-cut",
        number: "F31",
        what: "records are deleted past the position while no daemon runs",
        needs: &[],
        pause: Duration::from_secs(10),
        alone: "topic cluster",
        act: |ground, strike| Box::pin(delete_records(ground, strike)),
    },
    Fault {
        name: "topic-grows",
        number: "F32",
        what: "one partition more under load",
        needs: &[],
        pause: Duration::from_secs(15),
        alone: "topic cluster",
        act: |ground, strike| Box::pin(grow(ground, strike)),
    },
    Fault {
        name: "group-reset",
        number: "F33",
        what: "the group's offsets are set to the begin or the end, or deleted, while no daemon runs",
        needs: &[],
        pause: Duration::from_secs(5),
        alone: "daemon",
        act: |ground, strike| Box::pin(reset_group(ground, strike)),
    },
    Fault {
        name: "kafka-transactions",
        number: "extra",
        what: "aborted transactions, and one that stays open and holds readers back",
        needs: &[],
        pause: Duration::from_secs(3),
        alone: "",
        act: |ground, strike| Box::pin(transactions(ground, strike)),
    },
];

async fn poison(ground: &Ground, strike: &mut Strike<'_>) -> Result<(), Problem> {
    strike.begin(ground, Truth::Open)?;
    ground.load.poison(true);
    strike.hold(1000..6000).await;
    ground.load.poison(false);
    Ok(())
}

async fn crash(ground: &Ground, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut kafka = ground.kafka.lock().await;
    block_in_place(|| kafka.stop_hard())?;
    strike.begin(ground, Truth::Unable)?;
    strike.hold(0..15_000).await;
    strike.end(ground)?;
    block_in_place(|| kafka.start_again())
}

async fn freeze(ground: &Ground, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let kafka = ground.kafka.lock().await;
    block_in_place(|| kafka.pause())?;
    strike.begin(ground, Truth::Unable)?;
    strike.hold(2000..30_000).await;
    strike.end(ground)?;
    kafka.resume()
}

async fn recreate(ground: &Ground, strike: &mut Strike<'_>) -> Result<(), Problem> {
    strike.hold(5000..10_000).await;
    let _kafka = ground.kafka.lock().await;
    let admin = ground.admin()?;
    strike.begin(ground, Truth::Open)?;
    let deleted = admin.delete_topics(&[TOPIC], &AdminOptions::new()).await;
    deleted.map_err(|e| failed(&e))?;
    strike.hold(100..4000).await;
    let partitions = if strike.rng.bool() { 4 } else { strike.rng.i32(1..7) };
    let mut tries = 0;
    while let Err(problem) = create_topic(ground.bootstrap(), partitions, 1).await {
        tries += 1;
        if tries > 40 {
            return Err(problem);
        }
        strike.hold(200..400).await;
    }
    Ok(())
}

async fn delete_records(ground: &Ground, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut daemons = ground.daemons.lock().await;
    let _kafka = ground.kafka.lock().await;
    let Some(first) = daemons.first_mut() else { return Ok(()) };
    first.kill()?;
    strike.begin(ground, Truth::Open)?;
    strike.hold(500..3000).await;
    let Ok(ends) = ends(ground) else { return first.start() };
    let mut to = TopicPartitionList::new();
    for (partition, _, high) in ends {
        let back = strike.rng.i64(0..20);
        if strike.rng.bool() && high > back {
            // Setting an offset fails for negative ones alone.
            let _ = to.add_partition_offset(TOPIC, partition, Offset::Offset(high - back));
        }
    }
    if to.count() > 0 {
        let _ = ground.admin()?.delete_records(&to, &AdminOptions::new()).await;
    }
    first.start()
}

async fn grow(ground: &Ground, strike: &mut Strike<'_>) -> Result<(), Problem> {
    strike.hold(3000..10_000).await;
    let _kafka = ground.kafka.lock().await;
    let Ok(ends) = ends(ground) else { return Ok(()) };
    strike.begin(ground, Truth::Open)?;
    let more = NewPartitions::new(TOPIC, ends.len() + 1);
    let _ = ground.admin()?.create_partitions([&more], &AdminOptions::new()).await;
    Ok(())
}

async fn reset_group(ground: &Ground, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut daemons = ground.daemons.lock().await;
    let _kafka = ground.kafka.lock().await;
    let Some(first) = daemons.first_mut() else { return Ok(()) };
    first.stop()?;
    strike.begin(ground, Truth::Open)?;
    // What comes now is what a reset to the end would skip.
    strike.hold(500..3000).await;
    if let Ok(ends) = ends(ground) {
        let how = strike.rng.u32(0..3);
        let mut to = TopicPartitionList::new();
        for (partition, low, high) in ends {
            let at = if how == 0 { low } else { high };
            let _ = to.add_partition_offset(TOPIC, partition, Offset::Offset(at));
        }
        if how == 2 {
            let _ = ground.admin()?.delete_groups(&[GROUP], &AdminOptions::new()).await;
        } else {
            let member = consumer(ground)?;
            let set = || member.commit(&to, rdkafka::consumer::CommitMode::Sync);
            // Nobody is a member, so a refusal would be a fault that does not strike.
            let outcome = block_in_place(set).map_err(|e| failed(&e));
            let said = outcome.as_ref().err().map(|problem| &problem.reason);
            ground
                .ledger
                .note(json!({"act": "reset", "to": format!("{to:?}"), "why_not": said}))?;
        }
    }
    first.start()
}

async fn transactions(ground: &Ground, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", ground.bootstrap())
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
    strike.begin(ground, Truth::Open)?;
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

fn consumer(ground: &Ground) -> Result<BaseConsumer, Problem> {
    ClientConfig::new()
        .set("bootstrap.servers", ground.bootstrap())
        .set("group.id", GROUP)
        .set("enable.auto.commit", "false")
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg)
        .create()
        .map_err(|e| failed(&e))
}

/// Each partition's number, first offset and end.
fn ends(ground: &Ground) -> Result<Vec<(i32, i64, i64)>, Problem> {
    block_in_place(|| {
        let patience = Duration::from_secs(5);
        let looker = consumer(ground)?;
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
