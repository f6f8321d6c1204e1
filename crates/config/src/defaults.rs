//! What holds when nobody says otherwise.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::{
    Alert, Batch, Config, Http, Inbox, Kafka, Log, LogFormat, MaxBackfill, Migrate, MigrateMode,
    Outbox, Postgres, Reconcile, Retention, Start, Watchdog,
};
use rules::envelope::Rules;
use rules::field_path::Place;

impl Default for Config {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Config {
            postgres: Postgres::default(),
            kafka: Kafka {
                bootstrap_servers: "localhost:9092".into(),
                properties: BTreeMap::new(),
                token_command: Vec::new(),
                msk_region: None,
            },
            http: Http {
                listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8745))),
                explain: true,
                token: None,
                open: false,
                hosts: Vec::new(),
            },
            inbox: vec![Inbox {
                event_type: Some("PURCHASE_CONFIRMED".into()),
                ..Inbox::named(
                    "purchase-confirmed",
                    "purchase-confirmed",
                    "purchase-creation-workers",
                )
            }],
            reconcile: vec![Reconcile::named("purchases", "purchase-confirmed")],
            outbox: Outbox { enabled: true, database: None, shards: 1 },
            watchdog: Watchdog { patience: Duration::from_secs(30) },
            retention: Retention {
                inbox: Duration::from_secs(30 * DAY),
                outbox: Duration::from_secs(7 * DAY),
            },
            migrate: Migrate { mode: MigrateMode::Auto },
            databases: BTreeMap::new(),
            alert: Alert {
                through: None,
                after: Duration::from_secs(60),
                repeat: Duration::from_secs(60 * 60),
            },
            log: Log { level: "info".into(), format: LogFormat::Auto },
        }
    }
}

impl Inbox {
    /// Whether the operator knows that the route ignores this type.
    pub fn ignores(&self, event_type: &str) -> bool {
        self.other_types.iter().any(|known| known == "*" || known == event_type)
    }

    /// How its records are read.
    pub fn rules(&self) -> Rules {
        Rules {
            envelopes: self.envelopes.clone(),
            id_from: self.id_from.clone(),
            type_from: self.type_from.clone(),
            event_type: self.event_type.clone(),
            max_bytes: self.max_record,
        }
    }

    /// A route with every default; it takes every record.
    pub fn named(name: &str, topic: &str, group: &str) -> Inbox {
        let headers = |names: &[&str]| names.iter().map(|n| Place::Header((*n).into())).collect();
        let pointers = |texts: &[&str]| texts.iter().map(|t| Place::Json((*t).into())).collect();
        let list = |a: Vec<Place>, b: Vec<Place>| a.into_iter().chain(b).collect();
        Inbox {
            name: name.into(),
            topic: topic.into(),
            group: group.into(),
            event_type: None,
            other_types: Vec::new(),
            mapping: None,
            start: Start::Earliest,
            allow_skip: false,
            envelopes: Vec::new(),
            id_from: list(headers(&["id", "ce_id", "event-id"]), pointers(&["/eventId"])),
            type_from: list(headers(&["type", "ce_type"]), pointers(&["/eventType", "/type"])),
            max_record: 1 << 20,
            suspects: 10,
            verify_payment: true,
            max_quarantine: 1 << 30,
            lanes: 4,
            batch: Batch { rows: 4000, bytes: 4 << 20, linger: Duration::from_millis(1) },
        }
    }
}

impl Reconcile {
    /// A job on a route, with every default.
    pub fn named(name: &str, inbox: &str) -> Reconcile {
        Reconcile {
            name: name.into(),
            inbox: inbox.into(),
            source: None,
            every: Duration::from_secs(5 * 60),
            grace: Duration::from_secs(2 * 60),
            sweep: Duration::from_secs(24 * 60 * 60),
            window: 100_000,
            max_backfill: MaxBackfill { rows: 10_000, share: 50, share_from: 1000 },
        }
    }
}
