//! The routes' short keys.

use super::{Fault, Store};
use rules::ids::RouteId;

/// Registers a route under its name and returns its key.
pub async fn register(store: &Store, route: &config::Inbox) -> Result<RouteId, Fault> {
    let sql = include_str!("../../../sql/core/route_register.sql");
    let rows = store.query(sql, &[&route.name, &route.topic, &route.group]).await?;
    rows.first()
        .map(|row| row.get(0))
        .ok_or_else(|| Fault::Lost { cause: "the route's row did not come back".to_owned() })
}

/// Notes why a route believes events without their payments, if it does.
pub async fn believes(store: &Store, route: RouteId, why: Option<&str>) -> Result<(), Fault> {
    store.query(include_str!("../../../sql/core/route_believes.sql"), &[&route, &why]).await?;
    Ok(())
}

/// Notes, the first time, that a route may apply records.
pub async fn begin(store: &Store, route: RouteId) -> Result<(), Fault> {
    store.query(include_str!("../../../sql/core/route_begin.sql"), &[&route]).await?;
    Ok(())
}
