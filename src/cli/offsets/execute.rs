//! Writes a plan down, in PostgreSQL and in Kafka.

use std::collections::BTreeMap;

use super::plan::PlannedMove;
use super::survey::RouteSurvey;
use crate::cli::session::Session;
use crate::stop::blocking;
use crate::store::gaps::Gap;
use crate::store::positions::{self, Claim};
use crate::store::{CommitFault, routes};
use rules::ids::Offset;
use rules::problem::{Code, Problem};

/// Moves the positions and the group's offsets. Kafka comes in the middle of PostgreSQL's transaction:
/// if it refuses, because somebody has joined the group meanwhile, nothing is changed. Should the commit
/// fail after that, Kafka alone has moved: backwards is an operator's rewind, which the next start follows,
/// and forwards it is ignored.
pub(super) async fn execute(
    session: &Session,
    survey: &RouteSurvey,
    plan: &[PlannedMove],
    why: &str,
) -> Result<(), Problem> {
    let doing = "cannot write the positions";
    let route = match survey.registered {
        true => survey.route.id,
        false => routes::register(&session.store, &survey.route.settings)
            .await
            .map_err(|f| f.problem(doing))?,
    };
    let claim = |m: &PlannedMove| Claim {
        partition: m.partition,
        step: m.step,
        next_offset: m.to,
        why: why.to_owned(),
    };
    let gap = |m: &PlannedMove| {
        let range = m.skips.clone()?;
        let (partition, reason) = (m.partition, why.to_owned());
        Some(Gap { partition, from: range.start, to: range.end, reason })
    };
    let claims: Vec<Claim> = plan.iter().map(claim).collect();
    let gaps: Vec<Gap> = plan.iter().filter_map(gap).collect();
    let log = &survey.look.log;
    let tx = session.store.begin("offsets_reset").await.map_err(|f| f.problem(doing))?;
    let moved =
        positions::claim_in(&tx, route, log, &claims, &gaps).await.map_err(|f| f.problem(doing))?;
    if moved.len() < claims.len() {
        tx.rollback().await;
        return Err(Problem::new(Code::Owned, "somebody moved these positions meanwhile")
            .advice("see who with `makegood offsets show`, then plan again"));
    }
    let offsets: BTreeMap<i32, Offset> = plan.iter().map(|m| (m.partition, m.to)).collect();
    let probe = survey.probe.clone();
    if let Err(problem) = blocking(move || probe.commit(&offsets)).await {
        tx.rollback().await;
        return Err(problem);
    }
    tx.commit().await.map_err(|fault| match fault {
        CommitFault::Refused(fault) => fault.problem(doing),
        CommitFault::Unknown(fault) => fault
            .problem("nobody knows whether the positions were written")
            .advice("`makegood offsets show` tells; run this again if they were not"),
    })
}
