//! The status page: the last snapshot for people. It is whole without JavaScript; with it, it stays up to date.
//! It only reads; what changes anything is a command to copy.

mod live;
mod lookup;
mod view;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use super::Site;
use crate::explain::Part;
use crate::overview::Snapshot;
use rules::visible::visible;
use view::{Explained, Live};

pub use live::Streams;
pub use lookup::Lookup;

/// Nothing from elsewhere, nothing inline, and no form to elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The page's paths.
pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/", get(page))
        .route("/explain", get(explained))
        .route("/live", get(live::stream))
        .route("/page.css", get(async || asset("text/css", include_str!("page/page.css"))))
        .route("/page.js", get(async || asset("text/javascript", include_str!("page/page.js"))))
        .route("/icon.svg", get(async || asset("image/svg+xml", include_str!("page/icon.svg"))))
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    live: Live<'a>,
}

/// What changes by itself, alone: it takes the place of the one that a browser has.
#[derive(Template)]
#[template(path = "live.html")]
struct Fragment<'a> {
    live: Live<'a>,
}

#[derive(Template)]
#[template(path = "explain.html")]
struct Explanation<'a> {
    live: Live<'a>,
    found: Explained,
}

/// What is asked for.
#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    id: String,
    #[serde(default)]
    route: String,
}

async fn page(State(site): State<Site>) -> Response {
    let snapshot = site.snapshots.borrow().clone();
    html(StatusCode::OK, &Page { live: Live::new(&site, &snapshot) })
}

/// The life of one payment.
async fn explained(State(site): State<Site>, Query(wanted): Query<Wanted>) -> Response {
    let id = wanted.id.trim();
    let found = site.lookup.find(&wanted.route, id).await;
    let snapshot = site.snapshots.borrow().clone();
    let live = Live::new(&site, &snapshot);
    let (status, found) = match found {
        Ok(mut lives) => {
            for (_, life) in lives.iter_mut().filter(|(_, life)| !life.is_settled()) {
                unread(&snapshot).into_iter().for_each(|why| life.hides(Part::Kafka, why));
            }
            // What waits in Kafka is no outage.
            let mut unseen = lives.iter().flat_map(|(_, life)| &life.unseen);
            let is_hidden = unseen.any(|unseen| unseen.part != Part::Kafka);
            let status = match (lives.iter().all(|(_, life)| life.traces.is_empty()), is_hidden) {
                (true, true) => StatusCode::SERVICE_UNAVAILABLE,
                (true, false) => StatusCode::NOT_FOUND,
                (false, _) => StatusCode::OK,
            };
            (status, Explained::new(id, &lives, snapshot.present()))
        }
        Err(refusal) => (refusal.status(), Explained::refused(id, &refusal.sentence())),
    };
    html(status, &Explanation { live, found })
}

/// The records that wait in Kafka, any of which may be the payment's event: a browser's question is not looked for there.
fn unread(snapshot: &Snapshot) -> Option<String> {
    let routes = snapshot.overview.as_ref().map_or(&[][..], |overview| &overview.routes);
    let lags = || routes.iter().flat_map(|route| &route.partitions).map(|position| position.lag);
    match lags().flatten().sum::<i64>() {
        1 => Some("a record waits there, not read yet; makegood explain looks at it".to_owned()),
        0 => {
            let is_known = !routes.is_empty()
                && routes.iter().all(|route| route.look.is_ok())
                && lags().all(|lag| lag.is_some());
            (!is_known).then(|| "how much waits there is not known".to_owned())
        }
        n => {
            Some(format!("{n} records wait there, not read yet; makegood explain looks among them"))
        }
    }
}

/// What steers or hides text, as text that can be seen.
fn harmless(text: String) -> String {
    visible(&text, true)
}

fn html(status: StatusCode, page: &impl Template) -> Response {
    match page.render().map(harmless) {
        Ok(text) => {
            (status, [(header::CONTENT_SECURITY_POLICY, POLICY)], Html(text)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "the page cannot be written");
            (StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be written\n").into_response()
        }
    }
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
