//! A route as the loop uses it.

use std::sync::Arc;

use super::ignored::Ignored;
use super::topic_settings::TopicSettings;
use crate::config;
use crate::control::Control;
use crate::heartbeats::{Heartbeats, Sign};
use crate::start_gate::Admission;
use crate::store::Store;
use crate::store::mapping::Mapping;
use rules::envelope::{Reader, Rules};
use rules::ids::RouteId;

/// A configured route with its key in the database.
pub struct Route {
    /// The key that inbox and quarantine rows carry.
    pub id: RouteId,
    /// What the operator configured.
    pub settings: config::Inbox,
    /// How its records are decoded.
    pub rules: Rules,
    /// The payments' database, if it is not the one with the purchases.
    pub source: Option<Store>,
    /// Where its loop shows signs of life.
    pub sign: Arc<Sign>,
    /// Whether anything may be applied yet.
    pub admission: Admission,
    /// An event that its loops know to be sound.
    pub control: Control,
    /// What it has ignored lately.
    pub ignored: Ignored,
    /// What the brokers say of its topic.
    pub topic_settings: TopicSettings,
}

impl Route {
    /// A route that a command looks at: no loop runs it, and nobody waits for its signs of life.
    pub fn unwatched(id: RouteId, settings: config::Inbox) -> Route {
        let sign = Heartbeats::default().expect(&settings.name);
        Route::new(id, settings, None, sign, Admission::granted())
    }

    /// A route under its registered key.
    pub fn new(
        id: RouteId,
        settings: config::Inbox,
        source: Option<Store>,
        sign: Arc<Sign>,
        admission: Admission,
    ) -> Route {
        let rules = settings.rules();
        Route {
            id,
            settings,
            rules,
            source,
            sign,
            admission,
            control: Control::default(),
            ignored: Ignored::default(),
            topic_settings: TopicSettings::default(),
        }
    }

    /// The same, by what these brokers say of its topic.
    pub fn on(mut self, kafka: &config::Kafka) -> Route {
        self.topic_settings = TopicSettings::of(kafka, &self.settings.topic);
        self
    }

    /// What reads its records, for events that go through this mapping.
    pub fn reader<'r>(&'r self, mapping: &'r Mapping) -> Reader<'r> {
        Reader::new(&self.rules, &mapping.fields)
    }
}
