//! Daemons that are missed soon after a crash, and what they say of themselves in the database.

use std::fs;

use uuid::Uuid;

use super::daemon::Daemon;
use super::eventually;
use super::rig::Rig;

/// What a daemon's row in `makegood.workers` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    pub state: String,
    pub reason: Option<String>,
    pub partitions: Vec<i32>,
}

impl Rig {
    /// Starts a daemon whose group misses it two seconds after its last heartbeat.
    pub fn quick_daemon(&self, route: &str) -> Daemon {
        let log = "[log]\nlevel = \"info,makegood=debug\"\n";
        let text = self.config(&self.url(), route, log);
        let quick = text
            .replace("\"session.timeout.ms\" = \"6000\"", "\"session.timeout.ms\" = \"2000\"")
            .replace("\"heartbeat.interval.ms\" = \"500\"", "\"heartbeat.interval.ms\" = \"300\"");
        assert!(quick.contains("\"2000\""), "the rig's session time-out is written otherwise");
        let path = self.path(&format!("quick-{}.toml", Uuid::new_v4().simple()));
        fs::write(&path, quick).unwrap();
        Daemon::start(&path, 0)
    }

    /// The row of a daemon, if it has one.
    pub async fn worker(&self, daemon: &Daemon) -> Option<Worker> {
        let sql = "SELECT state, reason, partitions FROM makegood.workers WHERE pid = $1";
        let pid = i32::try_from(daemon.pid()).unwrap();
        let row = self.client.query_opt(sql, &[&pid]).await.unwrap()?;
        Some(Worker { state: row.get(0), reason: row.get(1), partitions: row.get(2) })
    }

    /// Waits until a daemon reads all the partitions it was given.
    pub async fn reads(&self, daemon: &Daemon) {
        eventually("the daemon to read", || async {
            let worker = self.worker(daemon).await?;
            (worker.state == "running" && !worker.partitions.is_empty()).then_some(())
        })
        .await;
    }

    /// Fails if a batch ever moved a partition other than forward from the step before it. Only a
    /// claim may go back.
    pub async fn assert_batches_only_move_on(&self) {
        let sql = "SELECT count(*) FROM (
                       SELECT kind, step, next_offset, epoch,
                              lag(step) OVER w AS step_before, lag(next_offset) OVER w AS before,
                              lag(epoch) OVER w AS epoch_before
                       FROM makegood.positions
                       WINDOW w AS (PARTITION BY consumer_group, topic_id, partition ORDER BY step)
                   ) p
                   WHERE step <> step_before + 1
                      OR (kind = 'batch' AND (next_offset <= before OR epoch <> epoch_before))
                      OR (kind = 'claim' AND epoch <> epoch_before + 1)";
        assert_eq!(self.number(sql).await, 0, "a partition was moved by two owners");
    }

    /// Runs Kafka's own `kafka-consumer-groups` for this test's group and returns what it printed.
    pub fn group_tool(&self, args: &[&str]) -> String {
        let mut all = vec!["--group", self.group.as_str()];
        all.extend(args);
        self.world.kafka.consumer_groups(&all).unwrap()
    }

    /// The operator's way: sets the offsets of the stopped group, e.g. `--to-earliest`.
    pub fn reset_offsets(&self, to: &[&str]) {
        let mut args = vec!["--reset-offsets", "--topic", self.topic.as_str(), "--execute"];
        args.extend(to);
        let said = self.group_tool(&args);
        assert!(said.contains("NEW-OFFSET"), "kafka-consumer-groups did not reset: {said}");
    }
}
