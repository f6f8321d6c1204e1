//! Purchases that belong to no payment, which a first start would double.

use jiff::Timestamp;
use tokio_postgres::types::ToSql;

use super::mapping::Mapping;
use super::payments_query::cell;
use super::when::When;
use super::{Fault, Store};
use rules::problem::{Code, Problem};

/// How many are named, and how many statements are shown.
const SHOWN: usize = 10;

/// A purchase without its payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// The purchase.
    pub purchase: String,
    /// Its payment, as it stands there.
    pub business_key: Option<String>,
    /// When it was made.
    pub at: Option<Timestamp>,
    /// The statement that would link it with a payment.
    pub link: Option<String>,
}

/// At most `limit` of them; none if the mapping does not say how to find them.
pub async fn find(store: &Store, mapping: &Mapping, limit: i64) -> Result<Vec<Stranger>, Fault> {
    let Some(sql) = &mapping.looks.strangers else { return Ok(Vec::new()) };
    let tx = store.begin("strangers").await?;
    // A payment that a policy hides would make its purchase a stranger.
    tx.batch("SET LOCAL row_security = off").await?;
    let mut params: Vec<&(dyn ToSql + Sync)> = vec![&limit];
    mapping.looks.ask(sql).statuses_behind(&mut params);
    let rows = tx.query_host(sql, &params).await;
    tx.rollback().await;
    let rows = rows?;
    let stranger = |row| Stranger {
        purchase: cell(row, "purchase").unwrap_or_default(),
        business_key: cell(row, "business_key"),
        at: cell(row, "at").map(|When(at)| at),
        link: cell(row, "link"),
    };
    Ok(rows.iter().map(stranger).collect())
}

/// Whether a route has never been free to apply anything.
pub async fn is_first_start(store: &Store, route: &str) -> Result<bool, Fault> {
    let rows = store.query(include_str!("../../../sql/core/first_start.sql"), &[&route]).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// What to tell of `found`, of which at most `limit` were looked for: a first start of the route would
/// double them.
pub fn problem(route: &str, found: &[Stranger], limit: i64) -> Problem {
    let more = if i64::try_from(found.len()).is_ok_and(|n| n < limit) { "" } else { " or more" };
    let shown = found.iter().take(SHOWN).map(|one| {
        let key = one.business_key.as_deref().map_or("no payment id".to_owned(), |key| {
            format!("payment id {key}, which no payment has")
        });
        let at = one.at.map(|at| format!(" of {}", at.strftime("%Y-%m-%d %H:%M UTC")));
        format!("\npurchase {}{}: {key}", one.purchase, at.unwrap_or_default())
    });
    let cause = format!(
        "{} no payment; where one was made by hand for a payment whose event is still to come, the \
         first start would make a second purchase{}",
        match found.len() {
            1 => "1 purchase belongs to".to_owned(),
            n => format!("{n}{more} purchases belong to"),
        },
        shown.collect::<String>()
    );
    let links: Vec<&str> = found.iter().filter_map(|one| one.link.as_deref()).take(SHOWN).collect();
    let links = match links.as_slice() {
        [] => "no payment without a purchase looks like one of theirs".to_owned(),
        links => format!(
            "these payments look like theirs; link them after a look at each:\n{}",
            links.join("\n")
        ),
    };
    Problem::new(Code::Confirmation, cause)
        .advice(format!("{links}\nonce the rest may stay as it is: makegood run --confirm {route}"))
}
