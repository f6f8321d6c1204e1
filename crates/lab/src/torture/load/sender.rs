//! Another producer on the same topic: events twice, under new ids, before their payments, of payments that are none, and
//! records that are no events.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};

use super::Load;
use super::payer::{Kind, Payer};
use super::payment::{CONFIRMED, FAILED, Payment, id};
use rules::problem::{Code, Problem};

/// What is longer stands in the ledger by its length alone; the log has it.
const KEPT: usize = 4096;

/// The producer and its chances.
pub struct Sender {
    load: Arc<Load>,
    rng: Rng,
    payer: Payer,
    producer: FutureProducer,
}

/// What is sent.
struct Sending {
    kind: &'static str,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    header: Option<(&'static str, Vec<u8>)>,
    about: Option<Payment>,
}

impl Sender {
    /// A producer that makes payments of its own through `payer`.
    pub fn new(load: Arc<Load>, rng: Rng, payer: Payer) -> Result<Sender, Problem> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &load.bootstrap)
            .set("partitioner", "murmur2_random")
            .set("acks", "all")
            .set("message.timeout.ms", "8000")
            .set("message.max.bytes", "4000000")
            .set("linger.ms", "2")
            .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg)
            .create()
            .map_err(|e| Problem::new(Code::Kafka, format!("cannot make a producer: {e}")))?;
        Ok(Sender { load, rng, payer, producer })
    }

    /// Sends until the load is to end.
    pub async fn run(mut self) -> Result<(), Problem> {
        let mut number = 0u64;
        while self.load.goes_on() {
            if let Some(sending) = self.choose().await? {
                number += 1;
                let early = sending.kind == "early";
                let load = Arc::clone(&self.load);
                let producer = self.producer.clone();
                load.ledger.note(line(number, &sending))?;
                let delivery = tokio::spawn(deliver(load, producer, number, sending));
                if early {
                    // Its payment comes only now.
                    tokio::time::sleep(Duration::from_millis(self.rng.u64(0..400))).await;
                    self.payer.keep_promise().await?;
                }
                // The answer of one is not waited for by the next.
                drop(delivery);
            }
            let usual = self.rng.u64(0..self.load.pause_ms * 2);
            let pause = if self.load.poisons() { 4 } else { usual };
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        Ok(())
    }

    async fn choose(&mut self) -> Result<Option<Sending>, Problem> {
        if self.load.poisons() {
            return Ok(Some(self.broken()));
        }
        let canary = self.load.canary.clone();
        let of = |payment: Payment, kind: &'static str, value: Value| Sending {
            kind,
            key: Some(payment.student.to_string().into_bytes()),
            value: Some(value.to_string().into_bytes()),
            header: None,
            about: Some(payment),
        };
        let most = if self.load.dirty { 100 } else { 60 };
        let sending = match self.rng.u32(0..most) {
            0..25 => self.load.recall(&mut self.rng).map(|payment| {
                let value = payment.event(payment.event, CONFIRMED, &payment.amount, &canary);
                of(payment, "duplicate", value)
            }),
            25..38 => self.load.recall(&mut self.rng).map(|payment| {
                let value = payment.event(id(&mut self.rng), CONFIRMED, &payment.amount, &canary);
                of(payment, "new_id", value)
            }),
            38..46 => self.payer.pay(Kind::Silent).await?.map(|payment| {
                let value = payment.event(payment.event, CONFIRMED, &payment.amount, &canary);
                of(payment, "direct", value)
            }),
            46..52 => {
                let payment = self.payer.promise();
                let value = payment.event(payment.event, CONFIRMED, &payment.amount, &canary);
                Some(of(payment, "early", value))
            }
            52..60 => self.load.recall(&mut self.rng).map(|payment| {
                let value = payment.event(id(&mut self.rng), FAILED, &payment.amount, &canary);
                of(payment, "other_type", value)
            }),
            60..66 => {
                let student = id(&mut self.rng);
                let payment = Payment::new(&mut self.rng, student, 1);
                let value = payment.event(payment.event, CONFIRMED, &payment.amount, &canary);
                Some(of(payment, "orphan", value))
            }
            66..72 => self.load.recall(&mut self.rng).map(|payment| {
                let value = payment.event(id(&mut self.rng), CONFIRMED, "0.01", &canary);
                of(payment, "lie", value)
            }),
            _ => Some(self.broken()),
        };
        Ok(sending)
    }

    /// A record that is at fault itself.
    fn broken(&mut self) -> Sending {
        let rng = &mut self.rng;
        let student = id(rng);
        let payment = Payment::new(rng, student, 1);
        let good = payment.event(payment.event, CONFIRMED, &payment.amount, "x").to_string();
        let with = |from: &str, to: &str| Some(good.replace(from, to).into_bytes());
        let amount = format!("\"{}\"", payment.amount);
        let value = match rng.u32(0..56) % 15 {
            0 => Some(Vec::new()),
            1 => None,
            2 => Some((0..rng.usize(1..400)).map(|_| rng.u8(..)).collect()),
            3 => Some(good.as_bytes()[..good.len() / 2].to_vec()),
            4 => with("paymentId", "paymentIdentity"),
            5 => with(&payment.id.to_string(), "no-uuid"),
            6 => with(&amount, "\"12,30\""),
            7 => with(&amount, "\"1e400\""),
            8 => with("INR", "IN\\u0000R"),
            9 => with("INR", "\\ud800"),
            10 => Some(format!("{good}{good}").into_bytes()),
            11 => Some(format!("{}{}", "[".repeat(4000), "]".repeat(4000)).into_bytes()),
            12 => with("\"data\":", "\"data\":null,\"more\":"),
            13 => with("\"data\":", "\"eventType\":\"\",\"eventType\":null,\"more\":"),
            _ => Some(format!("{{\"filler\":\"{}\"}}", "x".repeat(1_200_000)).into_bytes()),
        };
        // Two broken records of one content are one case, so each says which it is where it may.
        let header = Some(("note", rng.u64(..).to_string().into_bytes()));
        let key = Some(rng.u128(..).to_string().into_bytes());
        Sending { kind: "broken", key, value, header, about: None }
    }
}

fn line(number: u64, sending: &Sending) -> Value {
    let about = sending.about.as_ref();
    json!({
        "act": "send", "id": number, "phase": "intend", "kind": sending.kind,
        "payment": about.map(|p| p.id), "amount": about.map(|p| &p.amount),
        "key": sending.key.as_deref().map(hex),
        "value": sending.value.as_deref().filter(|v| v.len() <= KEPT).map(hex),
        "bytes": sending.value.as_ref().map(Vec::len),
        "header": sending.header.as_ref().map(|(name, value)| json!([name, hex(value)])),
    })
}

async fn deliver(load: Arc<Load>, producer: FutureProducer, number: u64, sending: Sending) {
    let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(&load.topic);
    record.key = sending.key.as_deref();
    record.payload = sending.value.as_deref();
    if let Some((key, value)) = &sending.header {
        record = record.headers(OwnedHeaders::new().insert(Header { key, value: Some(value) }));
    }
    let line = match producer.send(record, Duration::from_secs(2)).await {
        Ok(at) => json!({"act": "send", "id": number, "phase": "acknowledged",
            "partition": at.partition, "offset": at.offset}),
        // It may be in the log all the same.
        Err((e, _)) => {
            json!({"act": "send", "id": number, "phase": "unknown", "why": e.to_string()})
        }
    };
    // A ledger that cannot be written ends the payers as well.
    let _ = load.ledger.note(line);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
