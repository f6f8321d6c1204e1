//! Before the first start in a group: purchases made by hand must not be doubled unseen.

use tracing::{info, warn};

use super::ready;
use crate::config;
use crate::pure::problem::{Code, Problem};
use crate::store::mapping::Mapping;
use crate::store::strangers::{self, Stranger};
use crate::store::{Fault, Store};

/// How many are looked for: enough to show that there are some.
const LIMIT: i64 = 10;

/// Asks for a confirmation while there are purchases that belong to no payment and the route has no
/// position yet. A database that is away is waited for.
pub(super) async fn confirmed(
    settings: &config::Inbox,
    store: &Store,
    mapping: &Mapping,
    confirmed: &[String],
) -> Result<(), Problem> {
    let mut attempt = 0;
    loop {
        match look(settings, store, mapping).await {
            Ok(found) if found.is_empty() => return Ok(()),
            Ok(found) if confirmed.contains(&settings.name) => {
                let (route, purchases) = (&settings.name, found.len());
                info!(route, purchases, "purchases without a payment stay as they are: confirmed");
                return Ok(());
            }
            Ok(found) => return Err(strangers::problem(&settings.name, &found, LIMIT)),
            Err(fault @ Fault::Lost { .. }) => {
                ready::wait(&mut attempt, &fault.problem("purchases cannot be looked at")).await;
            }
            // Its tables are not here, or not for us to read: there is nothing to compare.
            Err(fault) if fault.sqlstate().is_some_and(|sqlstate| sqlstate.starts_with("42")) => {
                let route = &settings.name;
                warn!(route, "purchases made by hand are not looked for (strangers.sql): {fault}");
                return Ok(());
            }
            Err(_) if confirmed.contains(&settings.name) => return Ok(()),
            Err(fault) => {
                let doing = "purchases made by hand could not be looked for (strangers.sql)";
                let cause = fault.problem(doing).cause;
                let hint = format!("if there are none: makegood run --confirm {}", settings.name);
                return Err(Problem::new(Code::Confirmation, cause).hint(hint));
            }
        }
    }
}

async fn look(
    settings: &config::Inbox,
    store: &Store,
    mapping: &Mapping,
) -> Result<Vec<Stranger>, Fault> {
    if !strangers::is_first_start(store, &settings.name).await? {
        return Ok(Vec::new());
    }
    strangers::find(store, mapping, LIMIT).await
}
