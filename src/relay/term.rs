//! One term as the outbox's relay: tells the machine what happens, and carries out what it decides
//! (`crates/rules`, `relay.rs`).

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::Relay;
use super::client::ProducerClient;
use super::housekeeping::Housekeeping;
use super::outbox_reader::Reading;
use super::trial::Trials;
use crate::kafka::sender::{Delivered, HandOver};
use crate::meter;
use crate::stop::unless_stopped;
use crate::store::Fault;
use crate::store::outbox::{Cursor, Lost, OutboxSession, Row, Saying};
use crate::trace;
use rules::ids::StepNumber;
use rules::problem::Problem;
use rules::relay::{Action, Event, Pace, Task, Term};

/// How long a stop waits for acknowledgements.
const DRAIN: Duration = Duration::from_secs(5);
/// How long the last step of a term may take.
const LEAVE: Duration = Duration::from_secs(3);
/// How long a broker may take to answer whether it is there.
const ANSWER: Duration = Duration::from_secs(2);
/// Rows parked that are sent again together.
const RETRIES: i64 = 2000;
/// What they may weigh together, about.
const RETRIES_BYTES: i64 = 8 << 20;

/// Why a term ended.
pub(super) enum TermEnding {
    /// It was told to stop, and gave the lease up.
    Stopped,
    /// It was told to stop while a server said nothing. What it was at may be done by half, a step that parks rows for
    /// one, so nothing is written on top of it; the lease runs out soon.
    GivenUp,
    /// Another daemon took over.
    Lost,
}

/// Whether a step is the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    Yes,
}

/// The daemon that has the lease.
pub(super) struct Leader<'a> {
    pub(super) relay: &'a Relay,
    pub(super) session: OutboxSession,
    pub(super) term: Term<Row, Cursor>,
    reading: Reading,
    client: ProducerClient,
    pub(super) trials: Trials,
    /// The newest step.
    step: StepNumber,
    housekeeping: Housekeeping,
    /// The spans of the messages on their way.
    pub(super) spans: trace::SendSpans,
}

impl<'a> Leader<'a> {
    /// Begins at a claimed step.
    pub(super) fn begin(
        relay: &'a Relay,
        session: OutboxSession,
        client: ProducerClient,
        step: StepNumber,
        cursor: Cursor,
    ) -> Leader<'a> {
        Leader {
            relay,
            term: Term::begin(cursor.clone(), session.can_be_woken, Instant::now()),
            session,
            reading: Reading::from(cursor),
            client,
            trials: Trials::default(),
            step,
            housekeeping: Housekeeping::default(),
            spans: trace::SendSpans::default(),
        }
    }

    /// Relays until told to stop or until another daemon has the lease.
    pub(super) async fn run(mut self, stop: &CancellationToken) -> Result<TermEnding, Problem> {
        let outcome = self.work(stop).await;
        match &outcome {
            Ok(TermEnding::Stopped) => self.leave().await,
            Ok(TermEnding::Lost | TermEnding::GivenUp) => {}
            // Its lease goes on until the next term, and nobody would see that nothing is sent.
            Err(problem) => {
                let saying = Saying::from(self.term.step_in_trouble(problem.clone()));
                let _ = tokio::time::timeout(LEAVE, self.write(&saying)).await;
            }
        }
        self.client.close().await;
        outcome
    }

    async fn work(&mut self, stop: &CancellationToken) -> Result<TermEnding, Problem> {
        self.read_blocked().await?;
        while !stop.is_cancelled() {
            self.relay.sign.tick();
            self.hear().await?;
            self.hand_over(u64::MAX).await?;
            if let Some(task) = self.term.due(Instant::now()) {
                match unless_stopped(stop, self.carry_out(task)).await.transpose()? {
                    Some(Ok(())) => continue,
                    Some(Err(Lost)) => return Ok(TermEnding::Lost),
                    None => return Ok(TermEnding::GivenUp),
                }
            }
            let wake = self.term.wakes_at(Instant::now());
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                report = self.client.report() => self.note(report).await?,
                report = self.trials.report() => self.note_trial(report).await?,
                () = self.session.woken.notified() => self.on(Event::Woken).await?,
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
        Ok(TermEnding::Stopped)
    }

    /// Takes in what both clients have to say.
    async fn hear(&mut self) -> Result<(), Problem> {
        while let Some(report) = self.client.ready() {
            self.note(report).await?;
        }
        while let Some(report) = self.trials.ready() {
            self.note_trial(report).await?;
        }
        if self.term.wonders()
            && let Some(complaint) = self.client.sender.trouble()
        {
            self.on(Event::Complains(complaint.diagnosis)).await?;
        }
        if self.term.in_flight() > 0 && self.client.sender.is_outdated() {
            self.on(Event::LoginChanged).await?;
        }
        Ok(())
    }

    /// Lets the machine decide, and does what that asks for.
    pub(super) async fn on(&mut self, event: Event<Row, Cursor>) -> Result<(), Problem> {
        for action in self.term.on(event, Instant::now(), fastrand::f64()) {
            self.tell(&action);
            if action == Action::ReadBlocked {
                self.read_blocked().await?;
            }
        }
        Ok(())
    }

    async fn read_blocked(&mut self) -> Result<(), Problem> {
        let keys = self.session.parked_keys().await.map_err(unreadable)?;
        // Knowing the keys asks for nothing.
        let keys = Event::Blocked(keys.into_iter().collect());
        self.term.on(keys, Instant::now(), 0.0);
        Ok(())
    }

    async fn carry_out(&mut self, task: Task) -> Result<Result<(), Lost>, Problem> {
        match task {
            Task::Replace(pace) => self.replace(pace).await?,
            Task::AskBroker => {
                let answered = self.client.sender.is_answered(ANSWER).await;
                self.on(Event::Silent { answered }).await?;
            }
            Task::EndTrial => self.end_trial().await?,
            Task::Try(topics) => self.try_topics(topics).await?,
            Task::Step => return self.write_step().await,
            Task::Find => {
                let waiting = self.session.waiting_topics().await.map_err(unreadable)?;
                self.on(Event::Waiting(waiting)).await?;
                let draining = self.term.draining();
                let found = self.session.retries(RETRIES, RETRIES_BYTES, &draining).await;
                self.on(Event::Found(found.map_err(unreadable)?)).await?;
            }
            Task::Send => {}
            Task::Read => {
                #[cfg(feature = "failpoints")]
                crate::store::failing::at("relay.read").await.map_err(unreadable)?;
                let rows = self.reading.next(&self.session).await?;
                let (read_to, more) = (self.reading.cursor().clone(), self.reading.has_more());
                self.on(Event::Read { rows, read_to, more }).await?;
            }
        }
        Ok(Ok(()))
    }

    /// Closes the client and opens another, which sends again whatever is not acknowledged.
    async fn replace(&mut self, pace: Pace) -> Result<(), Problem> {
        let new = ProducerClient::open(&self.relay.kafka, pace).await?;
        for report in std::mem::replace(&mut self.client, new).close().await {
            self.note(report).await?;
        }
        self.on(Event::Replaced(pace)).await
    }

    /// Hands over what may go, and nothing after `last`.
    async fn hand_over(&mut self, last: u64) -> Result<(), Problem> {
        let mut from = 0;
        while let Some((token, row)) = self.term.next_to_send(from, last, Instant::now()) {
            from = token + 1;
            match self.client.hand_over(token, row) {
                Ok(()) => {
                    self.spans.handed_over(token, row);
                    self.term.handed_over(token, Instant::now());
                }
                Err(HandOver::Full) => break,
                Err(HandOver::Refused(refusal)) => self.on(Event::NotTaken(token, refusal)).await?,
            }
        }
        Ok(())
    }

    /// Notes what became of a message.
    async fn note(&mut self, report: Delivered) -> Result<(), Problem> {
        let Delivered { token, outcome } = report;
        if outcome.is_ok() {
            if let Some(handed_over) = self.term.handed_over_at(token) {
                meter::acknowledged(handed_over.elapsed());
            }
            if let Some(row) = self.term.row(token) {
                self.spans.ended(token, row, None);
            }
        }
        self.on(Event::Delivered(token, outcome)).await
    }

    /// Writes a step: the cursor past everything settled, the lease renewed, how things are.
    async fn write_step(&mut self) -> Result<Result<(), Lost>, Problem> {
        let saying = self.saying(Leaving::No);
        if self.write(&saying).await?.is_err() {
            return Ok(Err(Lost));
        }
        self.on(Event::Written(saying.step)).await?;
        let (session, relay) = (&self.session, self.relay);
        self.housekeeping.tidy(session, relay, self.step).await.map_err(unwritable)?;
        Ok(Ok(()))
    }

    fn saying(&mut self, leaving: Leaving) -> Saying {
        let step = self.term.step();
        let remark = self.housekeeping.remark().map(str::to_owned);
        Saying { step, leaving: leaving == Leaving::Yes, remark }
    }

    async fn write(&mut self, saying: &Saying) -> Result<Result<(), Lost>, Problem> {
        let written = self.session.step(self.step, saying).await.map_err(unwritable)?;
        Ok(written.map(|step| self.step = step))
    }

    /// Waits for what is on its way, then gives the lease up. What is not acknowledged by then is sent
    /// again by the next relay.
    async fn leave(&mut self) {
        let deadline = tokio::time::Instant::now() + DRAIN;
        // Rows that waited for another of their key, while later ones of other keys went.
        while self.hand_over(self.term.last_sent()).await.is_ok() && self.term.in_flight() > 0 {
            match tokio::time::timeout_at(deadline, self.client.report()).await {
                Ok(report) if report.outcome.is_ok() => drop(self.note(report).await),
                Ok(_) | Err(_) => break,
            }
        }
        let saying = self.saying(Leaving::Yes);
        match tokio::time::timeout(LEAVE, self.write(&saying)).await {
            Ok(Ok(Ok(()))) => {
                info!(shard = self.relay.shard.number, "gave the outbox up");
                // Followers that do not hear of it look soon anyway.
                let _ = self.session.farewell().await;
            }
            Ok(Ok(Err(Lost)) | Err(_)) | Err(_) => {
                debug!("could not give the outbox up; the lease runs out soon")
            }
        }
    }
}

pub(super) fn unreadable(fault: Fault) -> Problem {
    fault.problem("cannot read what is parked")
}

fn unwritable(fault: Fault) -> Problem {
    fault.problem("cannot write the outbox's step")
}
