//! The demo's broker: librdkafka's, on a thread of this process, or a real Apache Kafka.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use rdkafka::mocking::MockCluster;

use crate::servers::kafka::PrivateKafka;
use rules::problem::{Code, Problem};

/// A running broker with one topic; gone when dropped.
#[derive(Debug)]
pub enum Broker {
    /// librdkafka's, in this process.
    InProcess(MockBroker),
    /// Apache Kafka, in a JVM.
    Apache(Box<PrivateKafka>),
}

impl Broker {
    /// Starts librdkafka's broker with a topic.
    pub fn in_process(topic: &str, partitions: i32) -> Result<Broker, Problem> {
        MockBroker::start(topic, partitions).map(Broker::InProcess)
    }

    /// Starts an Apache Kafka and creates the topic. Blocks for several seconds.
    pub fn apache(topic: &str, partitions: i32) -> Result<Broker, Problem> {
        let kafka = PrivateKafka::start()?;
        kafka.topics(&["--create", "--topic", topic, "--partitions", &partitions.to_string()])?;
        Ok(Broker::Apache(Box::new(kafka)))
    }

    /// What a client takes as `bootstrap.servers`; works for other processes too.
    pub fn bootstrap(&self) -> String {
        match self {
            Broker::InProcess(mock) => mock.bootstrap.clone(),
            Broker::Apache(kafka) => kafka.bootstrap(),
        }
    }
}

/// librdkafka's broker. It must be used on the thread that made it, so it has one of its own. It speaks the protocol of
/// producers and consumer groups and nothing of the admin API; a partition keeps 5 MiB.
#[derive(Debug)]
pub struct MockBroker {
    bootstrap: String,
    // Dropped to end the thread.
    hold: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl MockBroker {
    fn start(topic: &str, partitions: i32) -> Result<MockBroker, Problem> {
        let failed = |e: &dyn std::fmt::Display| {
            Problem::new(Code::System, format!("cannot start the broker in this process: {e}"))
        };
        let (hold, released) = mpsc::channel::<()>();
        let (say, said) = mpsc::channel();
        let topic = topic.to_owned();
        let live = move || {
            let made = MockCluster::new(1)
                .and_then(|broker| broker.create_topic(&topic, partitions, 1).map(|()| broker));
            match made {
                Ok(broker) => {
                    let _ = say.send(Ok(broker.bootstrap_servers()));
                    // Nothing is ever sent: this ends when the other end is dropped.
                    let _ = released.recv();
                }
                Err(error) => {
                    let _ = say.send(Err(error));
                }
            }
        };
        let thread =
            thread::Builder::new().name("broker".to_owned()).spawn(live).map_err(|e| failed(&e))?;
        let bootstrap = said.recv().map_err(|e| failed(&e))?.map_err(|e| failed(&e))?;
        Ok(MockBroker { bootstrap, hold: Some(hold), thread: Some(thread) })
    }
}

impl Drop for MockBroker {
    fn drop(&mut self) {
        self.hold = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
