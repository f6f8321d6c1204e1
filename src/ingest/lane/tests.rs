//! What a lane takes: every record of its claim, from the first on.

use std::path::Path;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};

use super::*;
use crate::config::{self, Overrides};
use crate::ingest::Route;
use crate::progress::Progress;
use crate::store::Store;
use crate::store::mapping::Mapping;
use rules::ids::{Offset, RouteId};
use rules::record::Record;

/// A lane whose database is away, so that whatever it takes is soon reported as held.
fn lane() -> (Lane, mpsc::UnboundedReceiver<LaneReport>) {
    let env = [
        ("DATABASE_URL", "postgres://makegood@127.0.0.1:1/shop"),
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1"),
    ];
    let env = env.map(|(name, value)| (name.into(), value.into())).into();
    let nowhere = Path::new("/nonexistent");
    let config = config::load(&Overrides::default(), &env, nowhere).unwrap().config;
    let store = Store::open(&config.postgres, "makegood-test", 1).unwrap();
    let route = Arc::new(Route::unwatched(RouteId(1), config.inbox[0].clone()));
    let (_, mapping) = watch::channel(Arc::new(Mapping::load(None).unwrap()));
    let (reports, reported) = mpsc::unbounded_channel();
    (Lane::start(0, &route, &store, &mapping, &Progress::new(1), &reports), reported)
}

async fn next(reported: &mut mpsc::UnboundedReceiver<LaneReport>) -> LaneReport {
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, reported.recv()).await.expect("the lane to report").unwrap()
}

fn claim(generation: u64, from: i64) -> Order {
    let log = Log { group: "g".into(), topic: "t".into(), topic_id: uuid::Uuid::nil() };
    let from = BTreeMap::from([(0, Offset(from))]);
    Order::Adopt(Box::new(LaneClaim { generation, from, ..LaneClaim::of_nothing(&log) }))
}

fn delivery(generation: u64, follows: i64, offset: i64) -> Delivery {
    let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let (follows, offset) = (Offset(follows), Offset(offset));
    Delivery { generation, follows, record: Record { offset, ..Record::default() }, room }
}

/// On one thread the lane obeys and reads only once this test waits for it.
#[tokio::test]
async fn records_that_are_there_before_the_claim_is_adopted_belong_to_it() {
    let (lane, mut reported) = lane();
    lane.tell(claim(1, 5)).await;
    lane.tell(claim(2, 5)).await;
    lane.records.try_send(delivery(1, 5, 5)).ok().unwrap();
    lane.records.try_send(delivery(2, 5, 5)).ok().unwrap();
    lane.records.try_send(delivery(2, 6, 9)).ok().unwrap();
    assert!(matches!(next(&mut reported).await, LaneReport::Held(0, _)));
}

#[tokio::test]
async fn a_record_that_does_not_follow_the_last_one_has_all_read_again() {
    for lost in [delivery(1, 6, 6), delivery(1, 25, 25)] {
        let (lane, mut reported) = lane();
        lane.tell(claim(1, 5)).await;
        lane.records.try_send(lost).ok().unwrap();
        lane.records.try_send(delivery(1, 26, 26)).ok().unwrap();
        assert!(matches!(next(&mut reported).await, LaneReport::Restart(_)));
        assert!(reported.try_recv().is_err(), "nothing was kept");
    }
}
