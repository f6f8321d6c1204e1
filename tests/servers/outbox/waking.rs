//! The word that wakes a relay: sent while it has announced that it sleeps, and at no other time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::outbox::{Numbers, Written};
use crate::support::payments::{Place, Site};
use crate::support::world::connect;

/// Hears every notification.
struct Listener {
    client: Client,
    heard: Arc<AtomicUsize>,
    ended: Arc<Notify>,
}

impl Listener {
    async fn start(url: &str) -> Listener {
        let (client, mut connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        let (heard, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let (count, end) = (heard.clone(), ended.clone());
        tokio::spawn(async move {
            while let Some(Ok(message)) =
                std::future::poll_fn(|cx| connection.poll_message(cx)).await
            {
                match message {
                    AsyncMessage::Notification(n) if n.payload() == "the end" => end.notify_one(),
                    AsyncMessage::Notification(_) => drop(count.fetch_add(1, Ordering::SeqCst)),
                    _ => {}
                }
            }
        });
        client.batch_execute("LISTEN makegood_outbox").await.unwrap();
        Listener { client, heard, ended }
    }

    /// How many there were since the last question. Notifications come in the order of their commits, so
    /// one of our own says that there are no more.
    async fn heard(&self) -> usize {
        self.client.batch_execute("NOTIFY makegood_outbox, 'the end'").await.unwrap();
        self.ended.notified().await;
        self.heard.swap(0, Ordering::SeqCst)
    }
}

const ASLEEP: &str =
    "SELECT count(*) FROM makegood.outbox_cursor WHERE sleeps_until > clock_timestamp()";

async fn sleeps(site: &Site, yes: bool) {
    eventually("the relay to be asleep, or not", || async {
        ((site.number(ASLEEP).await == 1) == yes).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_publishes_wakes_a_sleeping_relay_and_no_other() {
    for place in [Place::Beside, Place::Apart] {
        let site = Site::new(place, 3).await;
        let mut numbers = Numbers::default();
        let listener = Listener::start(&site.payments).await;
        let mut written = vec![numbers.next("before")];
        site.publish(&written).await;
        assert_eq!(listener.heard().await, 0, "there was nobody to wake");
        let mut daemon = site.daemon();
        site.drained().await;
        sleeps(&site, true).await;
        let event = numbers.next("one");
        site.publish(std::slice::from_ref(&event)).await;
        written.push(event);
        assert_eq!(listener.heard().await, 1, "nobody woke the relay");
        site.client.batch_execute("BEGIN").await.unwrap();
        site.publish(&[Numbers::default().next("lost")]).await;
        site.client.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(listener.heard().await, 0, "a rollback woke it");
        sleeps(&site, true).await;
        daemon.kill();
        sleeps(&site, false).await;
        let event = numbers.next("after");
        site.publish(std::slice::from_ref(&event)).await;
        written.push(event);
        assert_eq!(listener.heard().await, 0, "a relay that died asleep is still believed");
        let _daemon = site.daemon();
        site.assert_relayed(&written).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_there_is_next_to_no_notification() {
    let site = Arc::new(Site::new(Place::Beside, 3).await);
    let listener = Listener::start(&site.payments).await;
    let _daemon: Daemon = site.daemon();
    sleeps(&site, true).await;
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let site = site.clone();
            tokio::spawn(async move {
                let client = connect(&site.payments).await;
                let mut numbers = Numbers::default();
                let written: Vec<Written> =
                    (0..1500).map(|_| numbers.next(&format!("w{writer}"))).collect();
                for event in &written {
                    event.publish(&client, &site.rig.topic).await;
                }
                written
            })
        })
        .collect();
    let mut written = Vec::new();
    for writer in writers {
        written.extend(writer.await.unwrap());
    }
    // Few: it was asleep at first, and a machine that stalls the writers lets it fall asleep again.
    let heard = listener.heard().await;
    assert!(heard < written.len() / 10, "{heard} notifications for {} payments", written.len());
    assert_eq!(site.assert_relayed(&written).await, 0);
}
