//! A producer that uses Kafka's transactions, whose marks take up offsets and are given to nobody.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::events::Payment;
use super::rig::Rig;

/// How long the broker may take.
const SOON: Duration = Duration::from_secs(30);

/// A producer with transactions.
pub struct Transactions(BaseProducer);

impl Transactions {
    pub fn new(rig: &Rig) -> Transactions {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", rig.world.kafka.bootstrap())
            .set("transactional.id", &rig.topic)
            .create()
            .unwrap();
        producer.init_transactions(SOON).unwrap();
        Transactions(producer)
    }

    /// Begins a transaction and sends the events of these payments in it.
    pub fn begin(&self, rig: &Rig, partition: i32, paid: &[Payment]) {
        self.0.begin_transaction().unwrap();
        for payment in paid {
            let json = payment.json();
            let record = BaseRecord::<str, str>::to(&rig.topic).partition(partition).payload(&json);
            self.0.send(record).map_err(|(error, _)| error).unwrap();
        }
        self.0.flush(SOON).unwrap();
    }

    /// Ends the transaction: its records are to be read.
    pub fn commit(&self) {
        self.0.commit_transaction(SOON).unwrap();
    }

    /// Ends the transaction: nobody is given its records.
    pub fn abort(&self) {
        self.0.abort_transaction(SOON).unwrap();
    }
}
