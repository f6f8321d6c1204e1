//! What befalls the daemon itself.

use std::time::Duration;

use super::super::environment::Environment;
use super::{Fault, Strike, Truth};
use rules::problem::Problem;

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "daemon-kill",
        number: "F01",
        what: "kill -9 at a random moment after the start; started again",
        needs: &[],
        pause: Duration::ZERO,
        alone: "daemon",
        act: |environment, strike| Box::pin(kill(environment, strike)),
    },
    Fault {
        name: "daemon-term",
        number: "F03",
        what: "SIGTERM under load; started again",
        needs: &[],
        pause: Duration::from_secs(3),
        alone: "daemon",
        act: |environment, strike| Box::pin(term(environment, strike)),
    },
    Fault {
        name: "daemon-freeze",
        number: "F04",
        what: "SIGSTOP for longer than the group waits, while another daemon takes over; SIGCONT",
        needs: &[],
        pause: Duration::from_secs(4),
        alone: "daemon",
        act: |environment, strike| Box::pin(freeze(environment, strike)),
    },
    Fault {
        name: "daemon-frozen-alone",
        number: "F04",
        what: "SIGSTOP of the only daemon for up to 20 s; SIGCONT",
        needs: &[],
        pause: Duration::from_secs(4),
        alone: "daemon",
        act: |environment, strike| Box::pin(freeze_alone(environment, strike)),
    },
    Fault {
        name: "daemon-storm",
        number: "F05",
        what: "two more daemons start and end, killed or stopped, beside the first",
        needs: &[],
        pause: Duration::from_secs(1),
        alone: "",
        act: |environment, strike| Box::pin(storm(environment, strike)),
    },
    Fault {
        name: "daemon-reload",
        number: "extra",
        what: "SIGHUP and SIGUSR1 in quick succession under load",
        needs: &[],
        pause: Duration::from_secs(1),
        alone: "",
        act: |environment, strike| Box::pin(reload(environment, strike)),
    },
];

async fn kill(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    // Mostly in the middle of the start, now and then after some work.
    match strike.rng.u32(0..4) {
        0 => strike.hold(1500..4000).await,
        _ => strike.hold(20..1200).await,
    }
    let mut daemons = environment.daemons.lock().await;
    let Some(first) = daemons.first_mut() else { return Ok(()) };
    strike.begin(environment, Truth::Open)?;
    first.kill()?;
    first.start()
}

async fn term(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    strike.hold(3000..6000).await;
    let mut daemons = environment.daemons.lock().await;
    let Some(first) = daemons.first_mut() else { return Ok(()) };
    strike.begin(environment, Truth::Open)?;
    first.stop()?;
    first.start()
}

async fn freeze(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut daemons = environment.daemons.lock().await;
    let mut other = environment.daemon("second", &[])?;
    strike.hold(1000..4000).await;
    let Some(first) = daemons.first_mut() else { return Ok(()) };
    strike.begin(environment, Truth::Open)?;
    first.signal("STOP")?;
    strike.hold(1000..9000).await;
    first.signal("CONT")?;
    strike.end(environment)?;
    strike.hold(500..3000).await;
    if strike.rng.bool() { other.kill() } else { other.stop() }
}

async fn freeze_alone(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut daemons = environment.daemons.lock().await;
    let Some(first) = daemons.first_mut() else { return Ok(()) };
    first.signal("STOP")?;
    strike.begin(environment, Truth::Unable)?;
    strike.hold(1000..20_000).await;
    strike.end(environment)?;
    first.signal("CONT")
}

async fn storm(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    strike.begin(environment, Truth::Open)?;
    let mut others = Vec::new();
    for name in ["second", "third"] {
        others.push(environment.daemon(name, &[])?);
        strike.hold(100..3000).await;
    }
    strike.rng.shuffle(&mut others);
    for other in &mut others {
        if strike.rng.bool() {
            other.kill()?;
        } else {
            other.stop()?;
        }
        strike.hold(100..1500).await;
    }
    Ok(())
}

async fn reload(environment: &Environment, strike: &mut Strike<'_>) -> Result<(), Problem> {
    let mut daemons = environment.daemons.lock().await;
    let Some(first) = daemons.first_mut() else { return Ok(()) };
    // Before it listens, either signal is its end.
    if !first.listens() {
        return Ok(());
    }
    strike.begin(environment, Truth::Open)?;
    for _ in 0..strike.rng.u32(1..8) {
        let signal = if strike.rng.bool() { "HUP" } else { "USR1" };
        first.signal(signal)?;
        strike.hold(1..200).await;
    }
    Ok(())
}
