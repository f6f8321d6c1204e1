//! One route at a time: what is wrong with one stops that one only, and is said.

use std::fs;
use std::time::Duration;

use crate::support::daemon::Daemon;
use crate::support::events::payments;
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

const BUILT_IN: &str = include_str!("../../sql/purchases/apply.sql");

/// A second route, in a group of its own.
fn second(rig: &Rig, mapping: &std::path::Path) -> String {
    format!(
        "[[inbox]]\nname = \"second\"\ntopic = \"{}\"\ngroup = \"second-{}\"\nmapping = \"{}\"\n\
         [[reconcile]]\nname = \"of-second\"\ninbox = \"second\"\n",
        rig.topic,
        rig.group,
        mapping.display()
    )
}

/// Waits until the second route is in a state, and returns the reason.
async fn second_is(rig: &Rig, state: &str) -> String {
    let sql = "SELECT coalesce(w.reason, '') FROM makegood.workers w
               JOIN makegood.routes r ON r.id = w.route_id WHERE r.name = 'second' AND w.state = $1";
    let row = eventually(&format!("the second route to be {state}"), || async {
        rig.client.query_opt(sql, &[&state]).await.unwrap()
    })
    .await;
    row.get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_whose_mapping_cannot_be_read_is_named_and_the_others_run() {
    let rig = Rig::new(1).await;
    let folder = rig.path("second");
    let paid = payments(3);
    rig.pay(&paid).await;
    let _daemon = Daemon::start(&rig.config_file(&rig.url(), "", &second(&rig, &folder)), 0);
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
    let reason = second_is(&rig, "held").await;
    assert!(reason.contains(folder.to_str().unwrap()), "{reason}");
    // The folder comes without its file, and then whole.
    fs::create_dir(&folder).unwrap();
    eventually("the reason to name the file", || async {
        second_is(&rig, "held").await.contains("apply.sql").then_some(())
    })
    .await;
    fs::write(folder.join("apply.sql"), BUILT_IN).unwrap();
    second_is(&rig, "running").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_named_must_be_there_at_the_start_and_when_it_is_read_again() {
    let rig = Rig::new(1).await;
    let folder = rig.path("mapping");
    let route = format!("mapping = \"{}\"", folder.display());
    let mut daemon = rig.daemon_with(&route);
    assert_eq!(daemon.wait(Duration::from_secs(30)).code(), Some(78));
    assert!(daemon.log().contains(folder.to_str().unwrap()), "{}", daemon.log());
    fs::create_dir(&folder).unwrap();
    // Another currency's sign shows which mapping is at work.
    let marked = BUILT_IN.replace("'^[A-Z]{3}$'", "'^[A-Z]{4}$'");
    fs::write(folder.join("apply.sql"), marked).unwrap();
    let daemon = rig.daemon_with(&route);
    eventually("the mapping to be checked", || async {
        daemon.log().contains("mapping checked").then_some(())
    })
    .await;
    fs::rename(&folder, rig.path("elsewhere")).unwrap();
    daemon.signal("HUP");
    eventually("the fault to be said", || async {
        daemon.log().contains("the old mapping stays").then_some(())
    })
    .await;
    let mut paid = payments(1);
    paid[0].currency = "INRX".to_owned();
    rig.pay(&paid).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_given_another_route_has_compared_nothing_of_it() {
    let rig = Rig::new(1).await;
    let routes = "INSERT INTO makegood.routes (name, topic, consumer_group) VALUES ('a', 't', 'a'), ('b', 't', 'b') RETURNING id";
    let routes = rig.client.query(routes, &[]).await.unwrap();
    let register = include_str!("../../sql/core/job_register.sql");
    let looked = "UPDATE makegood.jobs SET cursor_at = now(), swept_at = now(), look_at = now(), looked_at = now()";
    let cursors =
        "SELECT num_nonnulls(cursor_at, swept_at, look_at, looked_at)::bigint FROM makegood.jobs";
    for (route, kept) in [(0, 0), (0, 4), (1, 0)] {
        let id: i16 = routes[route].get(0);
        rig.client.execute(register, &[&"purchases", &id]).await.unwrap();
        assert_eq!(rig.number(cursors).await, kept);
        rig.client.batch_execute(looked).await.unwrap();
    }
}
