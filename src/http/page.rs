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
use crate::explain::{self, Life};
use crate::pure::visible::visible;
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
        Ok(Life { traces, unseen }) => {
            let status = if traces.is_empty() { StatusCode::NOT_FOUND } else { StatusCode::OK };
            let sentence = match traces.is_empty() {
                false => explain::verdict(&traces),
                true => "No payment, purchase or event has this id. One that has only just been paid may be on its way."
                    .to_owned(),
            };
            let unseen =
                unseen.map(|problem| format!("The outbox could not be asked: {}", problem.cause));
            (status, Explained::new(id, &sentence, unseen, &traces, snapshot.present()))
        }
        Err(refusal) => (refusal.status(), Explained::refused(id, &refusal.sentence())),
    };
    html(status, &Explanation { live, found })
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
