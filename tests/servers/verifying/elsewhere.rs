//! Payments in another database: asked there, in the same words.

use crate::reconcile::job_section;
use crate::support::daemon::Daemon;
use crate::support::events::{Payment, payments};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

#[tokio::test(flavor = "multi_thread")]
async fn payments_of_a_source_are_asked_there() {
    let (rig, there) = (Rig::new(1).await, Rig::new(1).await);
    rig.client.execute("DROP TABLE payments", &[]).await.unwrap();
    let paid = payments(6);
    there.record(&paid[..4], 0.0).await;
    let mut forged = payments(3);
    forged[0] = Payment { amount: "0.01".to_owned(), event: forged[0].event, ..paid[0].clone() };
    let job = job_section("grace = \"1h\"\nsource = \"payments\"");
    let more = format!("[databases.payments]\nurl = \"{}\"\n{job}", there.url());
    let daemon = Daemon::start(&rig.config_file(&rig.url(), super::VERIFIED, &more), 0);
    rig.pay(&forged).await;
    rig.pay(&paid).await;
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid[..4]).await;
    there.record(&paid[4..5], 0.0).await;
    // The one that contradicts a purchase of the same batch is in the inbox.
    rig.doubts(&[("no_payment made_good", 1), ("no_payment unverified", 3)]).await;

    ledger::assert_exactly(&rig.client, &paid[..5]).await;
    // Where they are out of reach nothing is believed.
    there.client.execute("ALTER TABLE payments RENAME TO gone", &[]).await.unwrap();
    let last = payments(1);
    rig.pay(&last).await;
    eventually("the route to be held", || async {
        rig.worker(&daemon).await.filter(|worker| worker.state == "held")
    })
    .await;
    there.client.execute("ALTER TABLE gone RENAME TO payments", &[]).await.unwrap();
    there.record(&last, 0.0).await;
    rig.caught_up().await;
    assert_eq!(ledger::count(&rig.client).await, 6);
}
