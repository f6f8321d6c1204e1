//! One round: faults under load, then quiet, then the judge.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::environment::Environment;
use super::faults::{Fault, Need, after_the_first_start, before_the_first_start};
use super::judge::Judge;
use super::load;
use super::well;
use rules::problem::{Code, Problem};

/// How long the load alone goes before the first fault, and after the last.
const CALM: Duration = Duration::from_secs(3);
/// How often a daemon that ended by itself is looked for, as a supervisor does.
const SUPERVISE: Duration = Duration::from_millis(300);

/// What a round is made of.
pub struct Plan {
    /// Where everything random comes from.
    pub seed: u64,
    /// What strikes.
    pub faults: Vec<&'static Fault>,
    /// For how long.
    pub safety: Duration,
}

/// What the judge said of a round.
pub struct Verdict {
    /// The invariants that do not hold, a line each; empty where all do.
    pub said: String,
    /// The same and some figures, as a document.
    pub document: Value,
}

/// Runs a round in a folder of its own.
pub async fn run(plan: &Plan, folder: &Path, judge: &Judge) -> Result<Verdict, Problem> {
    let environment = to_its_end(plan, folder, judge).await?;
    let (said, document) = judge.judge(folder)?;
    drop(environment);
    Ok(Verdict { said, document })
}

/// Runs a round without a fault, and then tests the judge with faults in what it left. Says of each whether it was named.
pub async fn plants(folder: &Path, judge: &Judge) -> Result<(String, bool), Problem> {
    // An odd seed sends broken records too.
    let plan = Plan { seed: 1, faults: Vec::new(), safety: Duration::ZERO };
    let environment = to_its_end(&plan, folder, judge).await?;
    let (said, _) = judge.judge(folder)?;
    if !said.is_empty() {
        return Err(system("a round without a fault did not hold").advice(said));
    }
    let outcome = judge.plants(folder);
    drop(environment);
    outcome
}

/// The round up to where all evidence is in its folder.
async fn to_its_end(
    plan: &Plan,
    folder: &Path,
    judge: &Judge,
) -> Result<Arc<Environment>, Problem> {
    let needs: Vec<Need> =
        plan.faults.iter().flat_map(|fault| fault.needs.iter().copied()).collect();
    let environment = Arc::new(Box::pin(Environment::prepare(folder, plan.seed, &needs)).await?);
    if needs.contains(&Need::Failpoints) {
        before_the_first_start(&environment)?;
    }
    let mut first = environment.daemon("first", &[])?;
    if needs.contains(&Need::Failpoints) {
        first.told = Some("abort");
    }
    environment.daemons.lock().await.push(first);
    let mut watch = judge.watch(folder)?;
    let outcome = strike_and_wait(plan, &environment).await;
    let copied = match outcome {
        Ok(()) => judge.collect(folder),
        Err(problem) => Err(problem),
    };
    // The watch ends when it is let go of.
    drop(watch.stdin.take());
    let _ = tokio::task::block_in_place(|| watch.wait());
    copied?;
    last_words(&environment).await?;
    Ok(environment)
}

async fn strike_and_wait(plan: &Plan, environment: &Arc<Environment>) -> Result<(), Problem> {
    let mut rng = Rng::with_seed(plan.seed);
    let ended = CancellationToken::new();
    let supervisor = tokio::spawn(supervise(Arc::clone(environment), ended.clone()));
    well::has_schema(environment).await?;
    if plan.faults.iter().any(|fault| fault.needs.contains(&Need::Failpoints)) {
        after_the_first_start(environment).await?;
    }
    let load = environment.load.begin(rng.u64(..))?;
    tokio::time::sleep(CALM).await;
    let until = Instant::now() + plan.safety;
    let mut striking = JoinSet::new();
    for fault in &plan.faults {
        striking.spawn(strike(Arc::clone(environment), fault, rng.fork(), until));
    }
    let mut outcome = Ok(());
    while let Some(ended) = striking.join_next().await {
        let ended = ended.map_err(|e| system(format!("a fault failed: {e}")));
        outcome = outcome.and(ended.and_then(|struck| struck));
    }
    environment.ledger.note(json!({"act": "quiet"}))?;
    tokio::time::sleep(CALM).await;
    environment.load.end();
    load::ended(load).await?;
    outcome?;
    let took = well::wait(environment).await?;
    environment.ledger.note(json!({"act": "well", "took": took.seconds, "waits": took.waits}))?;
    environment.ledger.note(json!({"act": "judging"}))?;
    ended.cancel();
    supervisor.await.map_err(|e| system(format!("the supervisor failed: {e}")))?
}

/// Strikes again and again until the safety phase ends; each strike is undone by then.
async fn strike(
    environment: Arc<Environment>,
    fault: &'static Fault,
    mut rng: Rng,
    until: Instant,
) -> Result<(), Problem> {
    loop {
        let pause = rng.u64(0..=fault.pause.as_millis() as u64);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        if Instant::now() >= until {
            return Ok(());
        }
        fault.strike(&environment, rng.fork()).await?;
    }
}

/// Starts a daemon that ended by itself, as systemd would.
async fn supervise(environment: Arc<Environment>, ended: CancellationToken) -> Result<(), Problem> {
    while !ended.is_cancelled() {
        for daemon in environment.daemons.lock().await.iter_mut() {
            daemon.start()?;
        }
        tokio::time::sleep(SUPERVISE).await;
    }
    Ok(())
}

/// Stops the daemons in order, and looks through what they logged for what nobody may say.
async fn last_words(environment: &Environment) -> Result<(), Problem> {
    let canary = environment.load.canary.as_str();
    let secret = environment.secret();
    let mut daemons = environment.daemons.lock().await;
    for daemon in daemons.iter_mut() {
        daemon.stop()?;
    }
    for (name, log) in environment.logs() {
        let text = fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        for (what, word) in [("a secret", secret), ("personal data", canary)] {
            if text.contains(word) {
                environment.ledger.note(json!({"act": "leaked", "name": name, "what": what}))?;
            }
        }
        if let Some(line) = panic_in(&text) {
            environment.ledger.note(json!({"act": "said", "name": name, "text": line}))?;
        }
    }
    Ok(())
}

/// The first panic that nobody asked for. Its message stands in the next line; what follows from one that was asked for, in a
/// call from C, is the end of the process.
fn panic_in(log: &str) -> Option<&str> {
    let mut lines = log.lines().peekable();
    while let Some(line) = lines.next() {
        let says = lines.peek().copied().unwrap_or_default();
        let is_told = says.starts_with("failpoint ") || says.contains("cannot unwind");
        if line.contains("panicked at") && !is_told {
            return Some(line);
        }
    }
    None
}

fn system(cause: impl Into<String>) -> Problem {
    Problem::new(Code::System, cause)
}
