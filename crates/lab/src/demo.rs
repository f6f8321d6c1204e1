//! The embedded default: private servers, a load with a ledger, the promise made visible.

pub mod broker;
pub mod ledger;
pub mod observer;
pub mod scenario;
pub mod screen;
pub mod script;
pub mod servers;
pub mod shop;
pub mod worker;

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::daemon::{heard_here, program};
use broker::Broker;
use ledger::Verdict;
use observer::DemoObserver;
use rules::problem::{Code, Problem};
use scenario::Scenario;
use screen::Screen;
use script::Script;
use servers::{DemoServers, GROUP};
use shop::Shop;

/// What `makegood-lab demo` can be told.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(after_help = "\
It starts a PostgreSQL of its own, a broker and a worker. A shop publishes the
events of its payments through the outbox, another producer sends everything
that goes wrong, the worker is killed in the middle, and what was paid is
compared with what was bought. Everything it starts and writes is gone when it
ends.

Examples:
  bin/demo
  bin/demo --kafka --exit")]
pub struct DemoArgs {
    /// Use a real Apache Kafka instead of the broker inside this process
    #[arg(long)]
    pub kafka: bool,
    /// End after the report instead of staying up
    #[arg(long)]
    pub exit: bool,
    /// How many payments the shop makes
    #[arg(long, value_name = "N", default_value_t = 3000, value_parser = clap::value_parser!(u32).range(20..=20_000))]
    pub payments: u32,
    /// In how many seconds, about
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// Tell the same story as the run that printed this number
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// Runs the demo on standard output. Fails unless each payment has exactly one purchase; SIGINT, SIGTERM and SIGHUP end it,
/// and nothing it started or wrote stays behind.
pub async fn run(args: &DemoArgs) -> Result<(), Problem> {
    let stop = listen_for_stop()?;
    let mut screen = Screen::new();
    let mut servers = Box::pin(DemoServers::start(args.kafka, &mut screen, &stop)).await?;
    let outcome = Box::pin(perform(args, &mut servers, &mut screen, &stop)).await;
    screen.step("stopping the servers and removing their folders");
    let _ = tokio::task::spawn_blocking(move || drop(servers)).await;
    outcome
}

async fn perform(
    args: &DemoArgs,
    servers: &mut DemoServers,
    screen: &mut Screen,
    stop: &CancellationToken,
) -> Result<(), Problem> {
    let seed = args.seed.unwrap_or_else(|| u64::from(fastrand::u32(..)));
    let script = Script::new(seed, args.payments as usize);
    let (url, bootstrap) = (servers.database_url(), servers.broker.bootstrap());
    let observer =
        DemoObserver::new(shop::connect(&url).await?, bootstrap.clone(), servers::TOPIC, GROUP)?;
    let shop = Shop::open(&url, bootstrap, servers::TOPIC, script).await?;
    screen.step(&format!(
        "shop: {} payments in about {} s, each with its event in its transaction; some fail, some are rolled back, some commit late (--seed {seed})",
        args.payments, args.seconds
    ));
    let others = shop.left() - args.payments as usize;
    screen.step(&format!(
        "another producer: {others} records to the same topic, the shop's events once more or under new ids, some broken"
    ));
    let mut scenario = Scenario { servers, shop, observer, screen };
    let verdict = tokio::select! {
        biased;
        () = stop.cancelled() => return Err(interrupted()),
        verdict = judged(args, &mut scenario) => verdict?,
    };
    if !args.exit {
        let advice = what_to_try(scenario.servers);
        scenario.screen.text(&advice);
        scenario.live(stop).await?;
    }
    verdict.outcome()
}

/// Load, wait, verdict.
async fn judged(args: &DemoArgs, scenario: &mut Scenario<'_>) -> Result<Verdict, Problem> {
    scenario.load(Duration::from_secs(args.seconds.into())).await?;
    let look = scenario.catch_up().await?;
    let purchases = scenario.shop.purchases().await?;
    let verdict = scenario.shop.ledger().judge(&purchases, &look);
    scenario.screen.text(&format!("\n{}\n", verdict.table()));
    if let Broker::Apache(kafka) = &scenario.servers.broker {
        let said = kafka.consumer_groups(&["--describe", "--group", GROUP])?;
        let said = said.trim();
        scenario
            .screen
            .text(&format!("kafka-consumer-groups --describe --group {GROUP}:\n{said}\n"));
    }
    if verdict.outcome().is_ok() {
        let paid = verdict.paid;
        scenario
            .screen
            .text(&format!("{paid} payments succeeded, and each has exactly one purchase.\n"));
    }
    Ok(verdict)
}

/// Commands that work while the demo stays up.
fn what_to_try(servers: &DemoServers) -> String {
    let program = typed();
    let config = servers.worker.config();
    let page = servers.worker.page();
    let (config, url) = (config.display(), servers.database_url());
    let heard: Vec<String> =
        heard_here().iter().map(|name| name.to_string_lossy().into_owned()).collect();
    let warning = match heard.is_empty() {
        true => String::new(),
        false => format!("\n(these are set here and may win over the file: {})", heard.join(" ")),
    };
    format!(
        "All of it stays up until Ctrl-C, and the shop goes on. In another terminal, try:\n\
         \n  {program} status --config {config}\
         \n  {program} outbox list --config {config}\
         \n  {program} quarantine list --config {config}\
         \n  psql '{url}' -c 'select * from makegood.status' -x\
         \n\nThe status page is at {page}\n{warning}"
    )
}

/// makegood as it can be typed here.
fn typed() -> String {
    let Ok(whole) = program() else { return "makegood".to_owned() };
    let here = std::env::current_dir().unwrap_or_default();
    whole.strip_prefix(here).unwrap_or(&whole).display().to_string()
}

/// Cancelled by the first SIGINT, SIGTERM or SIGHUP.
fn listen_for_stop() -> Result<CancellationToken, Problem> {
    let listen = |kind| {
        signal(kind)
            .map_err(|e| Problem::new(Code::System, format!("cannot listen for signals: {e}")))
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        cancel.cancel();
    });
    Ok(stop)
}

fn interrupted() -> Problem {
    Problem::new(Code::System, "stopped before there was a verdict")
}
