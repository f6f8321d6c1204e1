//! Server-sent events: the page's changing part, anew with each snapshot.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::Site;
use super::{Fragment, Live, harmless};

/// Browsers that are kept up to date at the same time: far fewer than connections, so that probes get through.
const STREAMS: usize = 32;
/// How long one goes on; the browser begins another by itself.
const LONGEST: Duration = Duration::from_secs(600);
/// When a browser that lost its stream tries again.
const AGAIN: Duration = Duration::from_secs(2);

/// The places for browsers that are kept up to date.
#[derive(Clone)]
pub struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Streams {
        Streams(Arc::new(Semaphore::new(STREAMS)))
    }
}

/// One browser.
struct Viewer {
    site: Site,
    until: tokio::time::Instant,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn stream(State(site): State<Site>) -> Response {
    let Ok(place) = site.streams.0.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "enough browsers watch already\n")
            .into_response();
    };
    let until = tokio::time::Instant::now() + LONGEST;
    let events = stream::unfold(Viewer { site, until, _place: place }, next);
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

async fn next(mut viewer: Viewer) -> Option<(Result<Event, Infallible>, Viewer)> {
    let changed = tokio::time::timeout_at(viewer.until, viewer.site.snapshots.changed());
    changed.await.ok()?.ok()?;
    let snapshot = viewer.site.snapshots.borrow_and_update().clone();
    let live = Live::new(&viewer.site, &snapshot);
    let text = Fragment { live }.render().map(harmless).ok()?;
    Some((Ok(Event::default().event("live").retry(AGAIN).data(text)), viewer))
}
