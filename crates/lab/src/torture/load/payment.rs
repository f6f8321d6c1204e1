//! One payment, and what is said of it.

use fastrand::Rng;
use serde_json::{Value, json};
use uuid::Uuid;

/// What the shipped mapping takes.
pub const CONFIRMED: &str = "PURCHASE_CONFIRMED";
/// Another type of event on the same topic, which the route is told to ignore.
pub const FAILED: &str = "PAYMENT_FAILED";

/// A payment of the load.
#[derive(Clone, Debug)]
pub struct Payment {
    /// Its id, the business key.
    pub id: Uuid,
    /// Who paid; the event's key.
    pub student: Uuid,
    /// What for.
    pub course: Uuid,
    /// How much, as event and table write it.
    pub amount: String,
    /// The id of its event.
    pub event: Uuid,
    /// Its number among the payments of this student.
    pub seq: u64,
}

impl Payment {
    /// The next payment of a student.
    pub fn new(rng: &mut Rng, student: Uuid, seq: u64) -> Payment {
        Payment {
            id: id(rng),
            student,
            course: id(rng),
            amount: format!("{}.{:02}", rng.u32(1..2_000_000), rng.u32(0..100)),
            event: id(rng),
            seq,
        }
    }

    /// Its event as JSON, under this id, with this amount. `canary` stands for what no log may say.
    pub fn event(&self, event: Uuid, event_type: &str, amount: &str, canary: &str) -> Value {
        json!({
            "eventId": event, "eventType": event_type, "occurredAt": "2026-01-07T16:55:09Z",
            "data": {
                "paymentId": self.id, "studentId": self.student, "courseId": self.course,
                "amount": amount, "currency": "INR", "seq": self.seq, "email": canary,
            }
        })
    }

    /// For the ledger.
    pub fn line(&self, kind: &str, phase: &str) -> Value {
        json!({
            "act": "pay", "kind": kind, "phase": phase, "payment": self.id, "event": self.event,
            "student": self.student, "course": self.course, "amount": self.amount, "seq": self.seq,
        })
    }
}

/// A random UUID of the seed's making.
pub fn id(rng: &mut Rng) -> Uuid {
    uuid::Builder::from_random_bytes(rng.u128(..).to_be_bytes()).into_uuid()
}
