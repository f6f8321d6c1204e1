//! The scenario: the load with the kill in its middle, the wait until all is taken in, and life afterwards.

use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::observer::{DemoObserver, DemoState};
use super::screen::Screen;
use super::servers::DemoServers;
use super::shop::Shop;
use rules::problem::{Code, Problem};

/// How often the shop is served.
const SERVE: Duration = Duration::from_millis(50);
/// How often the database is asked how far things are.
const LOOK: Duration = Duration::from_millis(250);
/// So many records come at once right before the kill, so that it hits the worker at work.
const RUSH: usize = 100;
/// How long the worker may take for its first records, and for the rest once all is told.
const PATIENCE: Duration = Duration::from_secs(90);

/// Who takes part.
pub struct Scenario<'a> {
    /// The servers and the worker.
    pub servers: &'a mut DemoServers,
    /// The shop.
    pub shop: Shop,
    /// Whoever looks how far things are.
    pub observer: DemoObserver,
    /// Where it is told.
    pub screen: &'a mut Screen,
}

impl Scenario<'_> {
    /// Brings the whole load in about `length`. In the middle, and not before it has begun, the worker is killed and
    /// started again.
    pub async fn load(&mut self, length: Duration) -> Result<(), Problem> {
        let total = self.shop.left();
        let half = total / 2;
        let (mut begun, mut looked) = (Instant::now(), Instant::now());
        let mut killed = false;
        let mut tick = tokio::time::interval(SERVE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.shop.left() > 0 {
            tick.tick().await;
            let share = begun.elapsed().as_secs_f64() / length.as_secs_f64();
            let due = ((share * total as f64) as usize).min(if killed { total } else { half });
            self.shop.go_on(due.saturating_sub(total - self.shop.left())).await?;
            if looked.elapsed() < LOOK {
                continue;
            }
            looked = Instant::now();
            let look = self.look().await?;
            if !killed && due == half && look.has_begun() {
                self.kill().await?;
                killed = true;
                // Time spent waiting for the worker's begin is not made up for in a rush.
                let late = begun.elapsed().saturating_sub(length / 2);
                begun += late;
            } else if begun.elapsed() > length + PATIENCE {
                return Err(self.late("the worker has taken nothing in", &look));
            }
        }
        let [payments, records] = self.shop.ledger().in_words();
        self.screen.step(&format!("the shop has made {payments}"));
        self.screen.step(&format!("the other producer has sent {records}"));
        Ok(())
    }

    /// Waits until the outbox is empty and every record is behind the worker's position.
    pub async fn catch_up(&mut self) -> Result<DemoState, Problem> {
        let deadline = Instant::now() + PATIENCE;
        let mut tick = tokio::time::interval(LOOK);
        loop {
            tick.tick().await;
            let look = self.look().await?;
            let (pending, behind) = (look.pending, look.behind());
            if pending == 0 && behind == 0 {
                let sent = self.shop.ledger().records() as i64;
                let twice = look.ends.values().sum::<i64>() - sent;
                self.screen.step(&format!(
                    "everything published and sent has been taken in, with {twice} events that the outbox sent twice around the kill"
                ));
                return Ok(look);
            }
            if Instant::now() > deadline {
                let what = format!(
                    "after {PATIENCE:?}, {pending} events are in the outbox and {behind} records not taken in"
                );
                return Err(self.late(&what, &look));
            }
        }
    }

    /// The shop goes on with a payment a second, until `stop`. A worker that ends is started again, as a supervisor would.
    pub async fn live(&mut self, stop: &CancellationToken) -> Result<(), Problem> {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                _ = tick.tick() => {}
            }
            if let Some(status) = self.servers.worker.ended() {
                self.servers.worker.start_again()?;
                let pid = self.servers.worker.pid();
                self.screen
                    .step(&format!("the worker ended ({status}); started again as process {pid}"));
            }
            self.shop.one_more().await?;
            let look = self.observer.look().await?;
            self.show(&look, "one payment a second; Ctrl-C ends");
        }
    }

    async fn kill(&mut self) -> Result<(), Problem> {
        self.shop.go_on(RUSH).await?;
        // Both calls block, for some hundredths of a second; nothing else waits for this thread.
        let before = self.servers.worker.pid();
        self.servers.worker.kill()?;
        self.servers.worker.start_again()?;
        let look = self.observer.look().await?;
        self.screen.step(&format!(
            "killed the worker with {} events in the outbox and {} records on their way (SIGKILL, process {before}), started another (process {})",
            look.pending,
            look.behind(),
            self.servers.worker.pid()
        ));
        self.screen.step(
            "it gets the outbox and the partitions when the dead one's lease and session are over, in about 6 s",
        );
        Ok(())
    }

    /// Looks and shows; a worker that ended by itself is the end of the scenario.
    async fn look(&mut self) -> Result<DemoState, Problem> {
        if let Some(status) = self.servers.worker.ended() {
            let cause = format!("the worker ended by itself ({status})");
            return Err(Problem::new(Code::System, cause).advice(self.servers.worker.log_end()));
        }
        let look = self.observer.look().await?;
        let left = match self.shop.left() {
            0 => "all told".to_owned(),
            left => format!("{left} to come"),
        };
        self.show(&look, &left);
        Ok(look)
    }

    fn show(&mut self, look: &DemoState, more: &str) {
        let ledger = self.shop.ledger();
        self.screen.progress(&format!(
            "{} paid, {} in the outbox, {} records behind, {} purchases, {} in quarantine ({more})",
            ledger.paid(),
            look.pending,
            look.behind(),
            look.purchases,
            look.quarantined,
        ));
    }

    fn late(&self, what: &str, look: &DemoState) -> Problem {
        let places = look.ends.iter().map(|(partition, end)| {
            let at = look.positions.get(partition).map_or("-".to_owned(), i64::to_string);
            format!("partition {partition} is at {at} of {end}")
        });
        let places: Vec<String> = places.collect();
        let (purchases, paid) = (look.purchases, self.shop.ledger().paid());
        let cause =
            format!("{what}: {purchases} purchases for {paid} payments; {}", places.join(", "));
        Problem::new(Code::TimedOut, cause).advice(self.servers.worker.log_end())
    }
}
