//! Requests are rows: they survive a daemon that is down or dies, and never run over each other.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use makegood::config;
use makegood::control::Control;
use makegood::heartbeats::Heartbeats;
use makegood::reconcile::{Job, ReconcileTurn, Reconciler};
use makegood::start_gate::admission;
use makegood::store::mapping::Mapping;
use makegood::store::{jobs, runs};
use rules::diagnosis::{Code, Diagnosis};
use tokio::sync::watch;
use uuid::Uuid;

use super::{job_section, recorded};
use crate::support::daemon::Daemon;
use crate::support::library::store;
use crate::support::rig::Rig;
use crate::support::world::connect;
use crate::support::{eventually, ledger};
use rules::ids::RouteId;

const ROOMY: &str = "max_backfill = { rows = 1000000, share = \"100%\" }";

#[tokio::test(flavor = "multi_thread")]
async fn a_request_made_while_no_daemon_runs_is_done_when_one_starts() {
    let rig = Rig::new(1).await;
    let paid = recorded(&rig, 10).await;
    let run = rig.ask("").await;
    assert_eq!(rig.ask("").await, run, "the same request is one run");
    let dry = rig.ask("dry_run => true").await;
    assert_ne!(dry, run);
    let mut daemon = rig.reconciler_with("", "");
    assert_eq!(rig.run_is(run, &["done"]).await.made_good, 10);
    rig.run_is(dry, &["done"]).await;
    ledger::assert_exactly(&rig.client, &paid).await;
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(20)).success());
    let later = rig.ask("").await;
    assert_ne!(later, run, "a run that is done is not taken for a new request");
    let _daemon = rig.reconciler_with("", "");
    rig.run_is(later, &["done"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_and_many_requests_make_each_purchase_once() {
    let rig = Rig::new(2).await;
    let settings = format!("window = 500\n{ROOMY}");
    let _first = rig.reconciler(&settings).await;
    let _second = Daemon::start(&rig.config_file(&rig.url(), "", &job_section(&settings)), 1);
    let paid = recorded(&rig, 3000).await;
    let askers: Vec<_> = (0..8)
        .map(|n| {
            let url = rig.url();
            tokio::spawn(async move {
                let client = connect(&url).await;
                let since = if n % 2 == 0 { "" } else { "since => '2020-01-01Z'" };
                let sql = format!("SELECT makegood.reconcile({since})");
                client.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0)
            })
        })
        .collect();
    let mut made = 0;
    let mut runs = Vec::new();
    for asker in askers {
        runs.push(asker.await.unwrap());
    }
    runs.sort_unstable();
    runs.dedup();
    for run in runs {
        made += rig.run_is(run, &["done"]).await.made_good;
    }
    assert_eq!(made, 3000);
    ledger::assert_exactly(&rig.client, &paid).await;
    let sql = "SELECT count(*) FROM makegood.runs a JOIN makegood.runs b ON a.id < b.id AND a.started_at < b.finished_at
               AND b.started_at < a.finished_at";
    assert_eq!(rig.number(sql).await, 0, "two runs at the same time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_is_killed_is_replaced_and_the_run_goes_on_from_its_last_window() {
    let rig = Rig::new(1).await;
    let settings = format!("window = 50\n{ROOMY}");
    let mut first = rig.reconciler(&settings).await;
    let paid = recorded(&rig, 5000).await;
    let run = rig.ask("").await;
    eventually("the run to be under way", || async {
        (rig.run(run).await.compared >= 500).then_some(())
    })
    .await;
    first.kill();
    let before = rig.run(run).await;
    assert_eq!(before.state, "running", "it was too quick: {before:?}");
    let _second = rig.reconciler_with("", &settings);
    let after = rig.run_is(run, &["done", "failed"]).await;
    // Every payment was compared once: the windows before the kill were not looked at again.
    assert_eq!((after.compared, after.missing, after.made_good), (5000, 5000, 5000), "{after:?}");
    ledger::assert_exactly(&rig.client, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_was_stopped_for_long_cannot_write_over_its_successor() {
    let rig = Rig::new(1).await;
    let settings = format!("window = 50\n{ROOMY}");
    let zombie = rig.reconciler(&settings).await;
    let paid = recorded(&rig, 3000).await;
    let run = rig.ask("").await;
    eventually("the run to be under way", || async {
        (rig.run(run).await.compared >= 200).then_some(())
    })
    .await;
    zombie.signal("STOP");
    let _second = rig.reconciler_with("", &settings);
    rig.run_is(run, &["done"]).await;
    zombie.signal("CONT");
    // It runs on, finds that the job has another runner, and has changed nothing.
    let again = rig.reconcile("").await;
    assert_eq!((again.missing, again.gone), (0, 0), "{again:?}");
    assert_eq!(rig.run(run).await.made_good, 3000);
    ledger::assert_exactly(&rig.client, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigusr1_reconciles_now() {
    let rig = Rig::new(1).await;
    let daemon = rig.reconciler("").await;
    let paid = recorded(&rig, 5).await;
    daemon.signal("USR1");
    let sql = "SELECT count(*) FROM makegood.reconcile_runs WHERE requested_via = 'signal' AND state = 'done'";
    eventually("the run", || async { (rig.number(sql).await == 1).then_some(()) }).await;
    ledger::assert_exactly(&rig.client, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_finds_what_is_new_and_stays_behind_grace() {
    let rig = Rig::new(1).await;
    let _daemon = rig.reconciler("grace = \"1h\"\nevery = \"1s\"").await;
    let paid = crate::support::events::payments(20);
    // Older than the grace and behind the cursor a little, as a transaction that took long.
    rig.record(&paid[..10], 3600.0 + 600.0).await;
    rig.record(&paid[10..], 60.0).await;
    eventually("what is old enough to be made good", || async {
        (ledger::count(&rig.client).await >= 10).then_some(())
    })
    .await;
    let cursor =
        rig.number("SELECT extract(epoch FROM cursor_at)::bigint FROM makegood.jobs").await;
    eventually("another run of the schedule", || async {
        let now =
            rig.number("SELECT extract(epoch FROM cursor_at)::bigint FROM makegood.jobs").await;
        (now > cursor).then_some(())
    })
    .await;
    ledger::assert_exactly(&rig.client, &paid[..10]).await;
}

/// A runner keeps its lease first and takes a run later; a person who asks in between means what is there by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_an_end_looks_at_all_that_was_there_when_it_was_asked_for() {
    let rig = Rig::new(1).await;
    let (store, owner) = (store(&rig.url()), Uuid::new_v4());
    let route = route(&rig).await;
    jobs::register(&store, "purchases", route).await.unwrap();
    let lease = jobs::lease(&store, "purchases", owner).await.unwrap().unwrap();
    recorded(&rig, 1).await;
    let asked = rig.ask("").await;
    let run = runs::take(&store, &lease, Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(run.id.0, asked);
    assert!(run.until > lease.now, "{run:?} ends before it was asked for");
    let rows = rig.client.query_one("SELECT requested_at < until FROM makegood.runs", &[]).await;
    assert!(rows.unwrap().get::<_, bool>(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_without_end_is_everything_and_one_that_nobody_can_hold_is_refused() {
    let rig = Rig::new(1).await;
    let paid = recorded(&rig, 3).await;
    for range in ["since => 'infinity'", "until => '-infinity'", "since => '12000-01-01Z'"] {
        let sql = format!("SELECT makegood.reconcile({range})");
        let refused = rig.client.query_one(&sql, &[]).await.unwrap_err();
        assert_eq!(refused.code().map(|code| code.code()), Some("22023"), "{range}");
    }
    let all = rig.ask("").await;
    assert_eq!(rig.ask("since => '-infinity', until => 'infinity'").await, all);
    let _daemon = rig.reconciler_with("", "");
    assert_eq!(rig.run_is(all, &["done"]).await.made_good, 3);
    ledger::assert_exactly(&rig.client, &paid).await;
}

/// The number of the rig's route, before any daemon runs it.
async fn route(rig: &Rig) -> RouteId {
    let sql = "INSERT INTO makegood.routes (name, topic, consumer_group) VALUES ('purchases', $1, $2) RETURNING id";
    rig.client.query_one(sql, &[&rig.topic, &rig.group]).await.unwrap().get(0)
}

/// A deploy whose mapping does not fit has the job when a daemon comes that can do it.
#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_may_not_apply_anything_yet_leaves_its_job_to_a_daemon_that_does() {
    let rig = Rig::new(1).await;
    let reason = "the mapping does not fit".to_owned();
    let (_told, admission) = admission(Some(Diagnosis::new(Code::Mapping, reason)));
    let path = rig.config_file(&rig.url(), "", &job_section(""));
    let flags = config::Overrides { config: Some(path), ..config::Overrides::default() };
    let loaded = config::load(&flags, &BTreeMap::new(), Path::new("/")).unwrap();
    let job = Job {
        settings: loaded.config.reconcile[0].clone(),
        route: route(&rig).await,
        topic: rig.topic.clone(),
        suspects: 10,
        control: Control::default(),
        source: None,
        sign: Heartbeats::default().expect("reconcile"),
        admission,
    };
    let mapping = Arc::new(Mapping::load(None).unwrap());
    let mut held = Reconciler::new(job, store(&rig.url()), watch::channel(mapping).1);
    // Alone it keeps the job, so that whoever asks is told why nothing is made good.
    let run = rig.ask("").await;
    let ReconcileTurn::Waits(why) = held.run_once().await else { panic!("it does not wait") };
    assert!(why.contains("the mapping does not fit"), "{why}");
    assert_eq!(rig.run(run).await.held, Some(why));
    let daemon = rig.reconciler_with("", "");
    rig.reads(&daemon).await;
    assert_eq!(held.run_once().await, ReconcileTurn::NotOurs);
    let paid = recorded(&rig, 3).await;
    rig.run_is(run, &["done"]).await;
    assert_eq!(held.run_once().await, ReconcileTurn::NotOurs);
    rig.reconcile("").await;
    ledger::assert_exactly(&rig.client, &paid).await;
}
