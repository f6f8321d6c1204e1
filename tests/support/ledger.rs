//! The judge: what was paid, kept outside of makegood, compared with the purchases.

use std::collections::BTreeMap;

use tokio_postgres::Client;
use uuid::Uuid;

use super::events::Payment;

/// A purchase as the host's table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    pub student: Uuid,
    pub course: Uuid,
    pub amount: String,
    pub currency: String,
}

/// All purchases by payment; panics if one payment has two.
pub async fn purchases(client: &Client) -> BTreeMap<Uuid, Purchase> {
    let sql = "SELECT payment_id, student_id, course_id, amount::text, currency FROM student_course_purchases";
    let mut found = BTreeMap::new();
    for row in client.query(sql, &[]).await.unwrap() {
        let payment: Uuid = row.get(0);
        let purchase = Purchase {
            student: row.get(1),
            course: row.get(2),
            amount: row.get(3),
            currency: row.get(4),
        };
        assert!(found.insert(payment, purchase).is_none(), "two purchases for payment {payment}");
    }
    found
}

/// How many purchases there are.
pub async fn count(client: &Client) -> usize {
    let row = client.query_one("SELECT count(*) FROM student_course_purchases", &[]).await.unwrap();
    usize::try_from(row.get::<_, i64>(0)).unwrap()
}

/// Fails unless the purchases are exactly these payments', each once, each field as it was paid.
pub async fn assert_exactly(client: &Client, paid: &[Payment]) {
    let found = purchases(client).await;
    let missing: Vec<&Payment> = paid.iter().filter(|p| !found.contains_key(&p.id)).collect();
    if let Some(first) = missing.first() {
        let fate = fate(client, first).await;
        panic!(
            "{} of {} paid, not purchased; the first: {first:?}: {fate}",
            missing.len(),
            paid.len()
        );
    }
    for payment in paid {
        let purchase = &found[&payment.id];
        let expected = Purchase {
            student: payment.student,
            course: payment.course,
            amount: payment.amount.clone(),
            currency: payment.currency.clone(),
        };
        assert_eq!(*purchase, expected, "a purchase differs from its payment {}", payment.id);
    }
    assert_eq!(found.len(), paid.len(), "purchases that nobody paid for");
}

/// What makegood knows of a payment's event, for the message of a failure; it judges nothing.
async fn fate(client: &Client, payment: &Payment) -> String {
    let sql = "SELECT concat_ws(' ', 'inbox', partition, \"offset\", outcome, detail) FROM makegood.inbox WHERE event_id = $1
        UNION ALL
        SELECT concat_ws(' ', 'quarantine', partition, \"offset\", reason) FROM makegood.quarantine WHERE event_id = $1
        UNION ALL
        SELECT concat_ws(' ', 'position', topic_id, partition, step, kind, next_offset) FROM makegood.positions";
    match client.query(sql, &[&payment.event]).await {
        Ok(rows) => rows.iter().map(|row| row.get(0)).collect::<Vec<String>>().join("; "),
        Err(e) => e.to_string(),
    }
}
