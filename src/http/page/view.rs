//! What the templates show, in words. They have no logic of their own, and escape whatever they are given.

mod about;
mod explained;
mod flow;
mod jobs;
mod plots;
mod routes;
mod verdict;
mod waiting;
mod words;

use super::super::Site;
use crate::overview::{Overview, Snapshot};
use crate::store::report::JobStatus;

use about::{About, Happening};
use flow::Hop;
use jobs::JobView;
use plots::Plots;
use routes::{OutboxView, RouteView};
use verdict::Banner;
use words::MomentView;

pub use explained::Explained;

/// How many things that happened are shown.
const HAPPENINGS: usize = 40;

/// Everything that changes by itself.
pub struct Live<'a> {
    pub verdict: Banner,
    pub hops: Vec<Hop>,
    pub routes: Vec<RouteView<'a>>,
    pub outbox: Option<OutboxView>,
    pub jobs: Vec<JobView<'a>>,
    /// Whether nothing is known of what the database has.
    pub is_blank: bool,
    pub plots: Plots,
    pub happenings: Vec<Happening>,
    pub about: About,
    /// Whether payments are looked up here.
    pub explains: bool,
    /// The names of the routes whose mapping can look a payment up.
    pub mappings: Vec<&'a str>,
}

impl<'a> Live<'a> {
    /// What a snapshot shows.
    pub fn new(site: &'a Site, snapshot: &'a Snapshot) -> Live<'a> {
        let lines = site.feed.lines();
        let overview = snapshot.overview.as_ref();
        let now = snapshot.present();
        let jobs: &'a [JobStatus] = overview.map_or(&[], |overview| &overview.jobs);
        Live {
            verdict: Banner::new(snapshot),
            hops: overview.map_or_else(Vec::new, |o| flow::hops(o, snapshot, &lines)),
            routes: overview.map_or_else(Vec::new, |overview| {
                let (is_stale, told) = (overview.trouble.is_some(), verdict::told(overview));
                (overview.routes.iter())
                    .map(|route| RouteView::new(route, (now, is_stale), told))
                    .collect()
            }),
            outbox: overview
                .and_then(|o| o.outbox.as_ref())
                .map(|outbox| OutboxView::new(outbox, now, overview.map_or("", verdict::told))),
            is_blank: overview.is_none_or(Overview::is_blank),
            jobs: jobs.iter().map(|job| JobView::new(job, now)).collect(),
            plots: plots::all(&snapshot.history),
            happenings: lines.into_iter().take(HAPPENINGS).map(Happening::new).collect(),
            about: About::new(&site.config, &site.librdkafka, snapshot),
            explains: site.config.http.explain,
            mappings: site.config.inbox.iter().map(|route| route.name.as_str()).collect(),
        }
    }
}
