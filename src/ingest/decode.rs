//! Turns records into entries of a batch.

use super::attempt::Attempt;
use super::lane::LaneClaim;
use crate::store::inbox::{self, ApplyFault, Batch, Entry, Kind};
use crate::store::positions::Log;
use crate::store::{Fault, test_events};
use rules::record::Record;

impl Attempt<'_> {
    /// Decodes the records, as many as fit into a batch once they are unpacked. A marked record of send-test is rehearsed here, and only if it was
    /// registered: to any other the mark means nothing.
    pub(super) async fn decode<'r>(
        &self,
        log: &Log,
        records: &[&'r Record],
    ) -> Result<Vec<Entry<'r>>, Fault> {
        let reader = self.route.reader(self.mapping);
        let (mut entries, mut unpacked) = (Vec::with_capacity(records.len()), 0);
        for record in records {
            let mut entry = Entry::decode(record, log.topic_id, &reader);
            if let Some(id) = test_events::marked(record)
                && test_events::is_open(self.store, id, self.route.id).await?
            {
                entry.kind = Kind::Test(id, self.rehearse(log, &entry).await?);
            }
            unpacked += entry.unpacked();
            entries.push(entry);
            if unpacked > self.route.settings.batch.bytes {
                break;
            }
        }
        Box::pin(self.route.topic_settings.judge(&mut entries)).await;
        Ok(entries)
    }

    async fn rehearse(
        &self,
        log: &Log,
        entry: &Entry<'_>,
    ) -> Result<test_events::TestVerdict, Fault> {
        let failed = |detail: String| test_events::TestVerdict {
            outcome: "failed",
            mapping_outcome: None,
            detail: Some(detail),
        };
        match &entry.kind {
            Kind::Event(_) => {}
            Kind::Undecodable(refusal) => return Ok(failed(refusal.detail.clone())),
            Kind::OtherType(_) => {
                return Ok(failed("its event type is not this route's".to_owned()));
            }
            Kind::Tombstone | Kind::Test(..) => return Ok(failed("it has no value".to_owned())),
        }
        let claim = LaneClaim::of_nothing(log);
        // A test makes no purchase, and mostly is about no payment.
        let batch = Batch { payments: None, ..self.batch(&claim, std::slice::from_ref(entry)) };
        match inbox::rehearse(self.store, &batch, false).await {
            Ok(mut outcomes) => {
                let answer = outcomes.pop();
                Ok(test_events::TestVerdict {
                    outcome: "test",
                    mapping_outcome: answer.as_ref().map(|a| a.outcome.as_str().to_owned()),
                    detail: answer.and_then(|a| a.detail),
                })
            }
            Err(ApplyFault::Engine(fault)) => Err(fault),
            Err(fault) => Ok(failed(fault.diagnosis().reason)),
        }
    }
}
