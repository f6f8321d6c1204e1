//! Whether events are held against their payments, and by what.

use super::{Mapping, Unfit};
use crate::by_keys::LastFound;
use crate::payments_query::PaymentsQuery;
use crate::{Fault, Store, host_tables};
use rules::problem::{Code, Problem};

/// What changes that events are believed.
pub const BELIEVED: &str = "whoever may write to the topic can make purchases; verify_payment = true, a source for the route's [[reconcile]] job where the payments are in another database, and payments.sql in the mapping's folder change that";

/// What tells of payments by their keys.
#[derive(Clone, Copy)]
pub struct Payments<'a> {
    /// `payments.sql`.
    pub ask: PaymentsQuery<'a>,
    /// Where it is run, if not beside the purchases.
    pub source: Option<&'a Store>,
    /// The payment that was found last.
    pub last_found: &'a LastFound,
}

impl Mapping {
    /// What events are held against; `None` where they are believed. `source` is the payments' database, if it is not
    /// the one with the purchases.
    pub fn payments<'a>(&'a self, source: Option<&'a Store>) -> Option<Payments<'a>> {
        let is_believed = self.believes.is_some();
        // Without the file nothing says otherwise than `look_for_payments`, and then everything is believed.
        let sql = self.looks.payments.as_deref().filter(|_| !is_believed)?;
        let ask = self.looks.ask(sql);
        Some(Payments { ask, source, last_found: &self.last_found })
    }

    /// Finds out whether events can be held against their payments, if that is `wanted`, and says why not.
    /// A statement that does not fit the payments is a fault: nobody may turn the check off by breaking it.
    pub async fn look_for_payments(
        &mut self,
        store: &Store,
        source: Option<&Store>,
        wanted: bool,
    ) -> Result<(), Unfit> {
        self.believes = self.why_believed(store, source, wanted).await?;
        Ok(())
    }

    async fn why_believed(
        &self,
        store: &Store,
        source: Option<&Store>,
        wanted: bool,
    ) -> Result<Option<String>, Unfit> {
        if !wanted {
            return Ok(Some("verify_payment is off".to_owned()));
        }
        if self.looks.payments.is_none() {
            let lacks = "the mapping has no payments.sql, which reads payments by their keys";
            return Ok(Some(lacks.to_owned()));
        }
        if self.key.pointers.is_empty() {
            let lacks =
                "the business-key line of apply.sql does not say where the key stands in an event";
            return Ok(Some(lacks.to_owned()));
        }
        let looks = self.looks_for(true);
        let Some(look) = looks.iter().find(|look| look.in_source) else { return Ok(None) };
        if source.is_none()
            && let Some(table) = self.payments_table(true)
            && !is_there(store, &table).await?
        {
            return Ok(Some(format!(
                "there is no table {table} beside the purchases, and no [[reconcile]] section names a source"
            )));
        }
        self.check_look(source.unwrap_or(store), look).await.map_err(|unfit| match unfit {
            Unfit::Broken(Problem { advice, reason, .. }) => {
                let advice =
                    format!("{advice}; or set verify_payment = false, and events are believed");
                Unfit::Broken(Problem { code: Code::Mapping, reason, advice })
            }
            other => other,
        })?;
        Ok(None)
    }
}

async fn is_there(store: &Store, table: &str) -> Result<bool, Fault> {
    let found = host_tables::find(store, &[table.to_owned()]).await?;
    Ok(found.into_iter().any(|id| id.is_some()))
}
