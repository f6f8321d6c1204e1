//! Before a route applies its first record: purchases made by hand must not be doubled unseen.

use tracing::{info, warn};

use super::mapping::Candidate;
use crate::store::mapping::{Mapping, Unfit};
use crate::store::orphan_purchases::{self, Stranger};
use crate::store::{Fault, Store};
use rules::problem::{Code, Problem};

/// How many are looked for: enough to show that there are some.
const LIMIT: i64 = 10;

/// What is done about purchases that belong to no payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByHand {
    /// A first start is held while there are any.
    Ask,
    /// A person said that they may stay as they are.
    Confirmed,
    /// The payments are in another database, where nobody can tell.
    Unknowable,
}

/// Refuses a first start while there are purchases that belong to no payment, unless it was confirmed.
pub(super) async fn look(candidate: &Candidate, mapping: &Mapping) -> Result<(), Unfit> {
    let (route, is_confirmed) = (&candidate.settings.name, candidate.by_hand == ByHand::Confirmed);
    if candidate.by_hand == ByHand::Unknowable {
        return Ok(());
    }
    match find(route, &candidate.store, mapping).await {
        Ok(found) if found.is_empty() => Ok(()),
        Ok(found) if is_confirmed => {
            let purchases = found.len();
            info!(route, purchases, "purchases without a payment stay as they are: confirmed");
            Ok(())
        }
        Ok(found) => Err(Unfit::Broken(orphan_purchases::problem(route, &found, LIMIT))),
        Err(fault @ Fault::Lost { .. }) => Err(fault.into()),
        // Its tables are not here, or not for us to read: there is nothing to compare.
        Err(fault) if matches!(fault.sqlstate(), Some("42P01" | "3F000" | "42501")) => {
            warn!(route, "purchases made by hand are not looked for (strangers.sql): {fault}");
            Ok(())
        }
        Err(_) if is_confirmed => Ok(()),
        Err(fault) => {
            let doing = "purchases made by hand could not be looked for (strangers.sql)";
            let cause = fault.problem(doing).reason;
            let hint = format!("if there are none: makegood run --confirm {route}");
            Err(Unfit::Broken(Problem::new(Code::Confirmation, cause).advice(hint)))
        }
    }
}

async fn find(route: &str, store: &Store, mapping: &Mapping) -> Result<Vec<Stranger>, Fault> {
    if !orphan_purchases::is_first_start(store, route).await? {
        return Ok(Vec::new());
    }
    orphan_purchases::find(store, mapping, LIMIT).await
}
