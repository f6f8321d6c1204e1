//! `bin/bench latency`: how long it takes from a payment's commit until its purchase can be seen, all the way
//! through outbox, relay, Kafka, inbox and mapping, beside the floor.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::daemon::Daemon;
use super::figures::{Figures, MeasuredCase};
use super::floor::Floor;
use super::load::Payment;
use super::payers::{Payers, WatchedPayments};
use super::report::{millis, thousands};
use super::{machine, postgres, servers};
use rules::numfmt::quantile;
use rules::problem::Problem;
use servers::{BenchServers, PATIENT_JOB, TOPIC};

/// Payments before the measurement, so that connections are made and code is warm.
const WARM_UP: usize = 500;
/// At which rate they are made.
const WARM_UP_RATE: f64 = 200.0;
/// In so many parts each rate is measured, makegood and the floor in turn.
const TURNS: u32 = 4;

/// How to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Payments per second, on average, at random moments: one rate after the other
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [50.0, 200.0, 1000.0, 5000.0])]
    rates: Vec<f64>,
    /// How long payments are made at each rate; as long again for the floor
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = config::duration)]
    time: Duration,
    /// Then so many payments more, each after a silence
    #[arg(long, value_name = "N", default_value_t = 2)]
    lone: usize,
    /// How long such a silence is
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = config::duration)]
    silence: Duration,
    /// The random moments can be had again with the same number
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// What was seen at one rate.
struct AtRate {
    rate: f64,
    reached: f64,
    makegood: Vec<Duration>,
    floor: Vec<Duration>,
}

/// Measures and prints.
pub async fn run(args: &Args) -> Result<(Figures, ExitCode), Problem> {
    eprintln!("starting PostgreSQL, Kafka and the daemon");
    let servers = BenchServers::prepare(3).await?;
    let machine = machine::describe(&servers.client).await?;
    let plotted = &["makegood_p50_ms", "floor_p50_ms", "makegood_p99_ms", "floor_p99_ms"];
    let mut figures = Figures::new("latency", &machine, plotted, "milliseconds");
    print!("{machine}{}", introduction(args));
    let _daemon = Daemon::start(&(servers.config(TOPIC, "latency", "") + PATIENT_JOB))?;
    let mut payers = Payers::new(&servers, args.seed).await?;
    let mut floor = Floor::new(&servers).await?;

    eprintln!("warming up with {WARM_UP} payments");
    payers.pay(WARM_UP, WARM_UP_RATE, true).await?;
    payers.watched.all_seen().await?;
    payers.watched.take();
    for rate in &args.rates {
        let seen = at_rate(&mut payers, &mut floor, *rate, args.time).await?;
        print!("{}", lines(&seen));
        figures.note(case(&seen));
    }
    print!("{}", stages(&servers.client).await?);
    let lone = lone(args, &mut payers).await?;
    let shown: Vec<String> = lone.iter().map(|took| millis(*took)).collect();
    println!("\nfirst payment after {} s of silence: {}", args.silence.as_secs(), shown.join(", "));
    Ok((figures, ExitCode::SUCCESS))
}

fn introduction(args: &Args) -> String {
    format!(
        "load        payments at random moments, {} s a rate, in {TURNS} parts, each followed by the floor's\n\
         makegood    from the return of the payment's COMMIT until a query sees its purchase\n\
         floor       the same beside the same payments, without makegood: a commit, a record through the broker\n\
         \x20           (acks=all), a commit, by plain code with the same client libraries, one at a time\n\n\
         {:<18}{:>10}{:>11}{:>11}{:>11}{:>11}{:>11}\n",
        args.time.as_secs(),
        "payments/s",
        "measured",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max"
    )
}

/// Payments with events for makegood, then the same without events, beside which the floor is measured, in turn.
async fn at_rate(
    payers: &mut Payers,
    floor: &mut Floor,
    rate: f64,
    time: Duration,
) -> Result<AtRate, Problem> {
    eprintln!("measuring {} payments a second", thousands(rate));
    let part = time / TURNS;
    let count = ((rate * part.as_secs_f64()) as usize).max(1);
    let mut at = AtRate { rate, reached: 0.0, makegood: Vec::new(), floor: Vec::new() };
    for _ in 0..TURNS {
        let began = Instant::now();
        payers.pay(count, rate, true).await?;
        at.reached += count as f64 / began.elapsed().as_secs_f64() / f64::from(TURNS);
        payers.watched.all_seen().await?;
        at.makegood.extend(payers.watched.take());

        let watched = payers.watched.clone();
        let number = payers.reserve(count);
        let passes = pass(floor, &watched, number..number + count, rate, part);
        tokio::try_join!(payers.pay(count, rate, false), passes)?;
        watched.all_seen().await?;
        at.floor.extend(watched.take());
    }
    Ok(at)
}

/// Passes one payment at a time, at most `rate` a second, for so long.
async fn pass(
    floor: &mut Floor,
    watched: &WatchedPayments,
    numbers: std::ops::Range<usize>,
    rate: f64,
    time: Duration,
) -> Result<(), Problem> {
    let began = tokio::time::Instant::now();
    for (n, number) in numbers.enumerate() {
        tokio::time::sleep_until(began + Duration::from_secs_f64(n as f64 / rate)).await;
        if began.elapsed() > time {
            break;
        }
        let payment = Payment::numbered(number);
        watched.paid(payment.id);
        floor.pass(&payment).await?;
    }
    Ok(())
}

const QUANTILES: [(&str, u32); 5] =
    [("p50", 500), ("p90", 900), ("p99", 990), ("p999", 999), ("max", 1000)];

fn lines(at: &AtRate) -> String {
    let line = |name: &str, rate: String, times: &[Duration]| {
        let mut sorted = times.to_vec();
        sorted.sort();
        let quantiles =
            QUANTILES.map(|(_, part)| quantile(&sorted, part as usize).unwrap_or_default());
        let shown: String = quantiles.iter().map(|took| format!("{:>11}", millis(*took))).collect();
        (format!("{name:<18}{rate:>10}{:>11}{shown}\n", thousands(times.len() as f64)), quantiles)
    };
    let reached = match at.reached < 0.95 * at.rate {
        true => format!("(of {}) {}", thousands(at.rate), thousands(at.reached)),
        false => thousands(at.rate),
    };
    let (makegood, ours) = line("makegood", reached, &at.makegood);
    let (floor, least) = line("floor", String::new(), &at.floor);
    let ratios = ours
        .iter()
        .zip(least)
        .map(|(ours, least)| format!("{:>11.2}", ours.as_secs_f64() / least.as_secs_f64()));
    makegood + &floor + &format!("{:<39}{}\n\n", "  times the floor", ratios.collect::<String>())
}

fn case(at: &AtRate) -> MeasuredCase {
    let mut case = MeasuredCase::new(format!("{} payments/s", thousands(at.rate)))
        .with("reached_per_second", at.reached)
        .with("floor_measured", at.floor.len() as f64);
    for (name, times) in [("makegood", &at.makegood), ("floor", &at.floor)] {
        let mut sorted = times.clone();
        sorted.sort();
        for (quantile_name, part) in QUANTILES {
            let took = quantile(&sorted, part as usize).map(|took| took.as_secs_f64() * 1000.0);
            case = case.with(&format!("{name}_{quantile_name}_ms"), took);
        }
    }
    case
}

/// Where the time goes, by the times that are written down on the way: the row's, the record's (whole
/// milliseconds), and the begin of the transaction that applied it.
async fn stages(client: &Client) -> Result<String, Problem> {
    let sql = "SELECT percentile_cont($1::float8) WITHIN GROUP (ORDER BY extract(epoch FROM i.event_at - o.created_at))::float8, \
            percentile_cont($1) WITHIN GROUP (ORDER BY extract(epoch FROM i.applied_at - i.event_at))::float8 \
        FROM makegood.outbox o JOIN makegood.inbox i ON i.event_id = o.id";
    let mut text = format!("{:<36}{:>8}{:>12}\n", "on the way, at all rates", "p50", "p99");
    let mut of = [[0.0; 2]; 2];
    for (column, part) in [0.5, 0.99].into_iter().enumerate() {
        let row = client.query_one(sql, &[&part]).await.map_err(|e| postgres(&e))?;
        for (line, figures) in of.iter_mut().enumerate() {
            figures[column] = row.get::<_, Option<f64>>(line).unwrap_or_default();
        }
    }
    let names = ["published until handed to Kafka", "handed to Kafka until being applied"];
    for (name, [p50, p99]) in names.iter().zip(of) {
        text += &format!("{name:<36}{:>8.1}{:>9.1} ms\n", p50 * 1000.0, p99 * 1000.0);
    }
    Ok(text)
}

/// How long lone payments take, each after a silence.
async fn lone(args: &Args, payers: &mut Payers) -> Result<Vec<Duration>, Problem> {
    let mut lone = Vec::new();
    for _ in 0..args.lone {
        tokio::time::sleep(args.silence).await;
        payers.pay(1, WARM_UP_RATE, true).await?;
        payers.watched.all_seen().await?;
        lone.extend(payers.watched.take());
    }
    Ok(lone)
}
