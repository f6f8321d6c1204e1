//! What an administrator does to a topic, and what another worker leaves behind.

use std::time::Duration;

use rdkafka::admin::{AdminOptions, NewPartitions};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::Producer;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::eventually;
use super::rig::Rig;

impl Rig {
    /// Deletes the topic and makes it anew under the same name.
    pub async fn recreate_topic(&self, partitions: i32) {
        self.delete_topic().await;
        self.make_topic(partitions).await;
    }

    /// Makes the topic, and waits until it can be written.
    pub async fn make_topic(&self, partitions: i32) {
        self.create_topic(partitions).await;
        self.wait_for_partitions(partitions).await;
    }

    /// Deletes the topic.
    pub async fn delete_topic(&self) {
        for outcome in
            self.admin().delete_topics(&[&self.topic], &AdminOptions::new()).await.unwrap()
        {
            outcome.unwrap();
        }
        eventually("the topic to be gone", || async {
            self.probe().partitions().is_ok_and(|found| found.is_empty()).then_some(())
        })
        .await;
    }

    /// Adds partitions up to this count.
    pub async fn grow_topic(&self, partitions: i32) {
        let count = usize::try_from(partitions).unwrap();
        let wanted = NewPartitions::new(&self.topic, count);
        for outcome in
            self.admin().create_partitions([&wanted], &AdminOptions::new()).await.unwrap()
        {
            outcome.unwrap();
        }
        self.wait_for_partitions(partitions).await;
    }

    /// Deletes a partition's records before an offset, as retention does.
    pub async fn delete_records(&self, partition: i32, before: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, Offset::Offset(before)).unwrap();
        self.admin().delete_records(&list, &AdminOptions::new()).await.unwrap();
        assert_eq!(self.probe().watermarks(partition).unwrap().low.0, before);
    }

    /// Commits an offset as another worker of the group would have.
    pub fn commit_as_another_worker(&self, partition: i32, offset: i64) {
        let worker: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.world.kafka.bootstrap())
            .set("group.id", &self.group)
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, Offset::Offset(offset)).unwrap();
        worker.commit(&list, CommitMode::Sync).unwrap();
    }

    /// A member of the group that takes its share of the partitions and reads nothing; it leaves when
    /// dropped. Returns once it has a share.
    pub async fn idle_member(&self) -> IdleMember {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.world.kafka.bootstrap())
            .set("group.id", &self.group)
            .set("partition.assignment.strategy", "range")
            .set("enable.auto.commit", "false")
            .set("session.timeout.ms", "6000")
            .create()
            .unwrap();
        consumer.subscribe(&[&self.topic]).unwrap();
        let member = IdleMember { consumer };
        eventually("a share of the partitions", || async {
            (!member.partitions().is_empty()).then_some(())
        })
        .await;
        member
    }

    async fn wait_for_partitions(&self, partitions: i32) {
        eventually("the topic's partitions to have leaders", || async {
            let probe = self.probe();
            (0..partitions).all(|p| probe.watermarks(p).is_ok()).then_some(())
        })
        .await;
        // The test's own producer hears of new partitions only when it asks.
        let (client, wanted) = (self.producer.client(), usize::try_from(partitions).unwrap());
        eventually("the producer to know the partitions", || async {
            let metadata = client.fetch_metadata(Some(&self.topic), Duration::from_secs(5)).ok()?;
            (metadata.topics()[0].partitions().len() == wanted).then_some(())
        })
        .await;
    }
}

/// See [`Rig::idle_member`].
pub struct IdleMember {
    consumer: BaseConsumer,
}

impl IdleMember {
    /// Its partitions. Polling is what keeps it a member.
    pub fn partitions(&self) -> Vec<i32> {
        // Whatever it is handed is thrown away; nothing is committed.
        let _ = self.consumer.poll(Duration::from_millis(10));
        let assigned = self.consumer.assignment().unwrap();
        assigned.elements().iter().map(|entry| entry.partition()).collect()
    }
}
