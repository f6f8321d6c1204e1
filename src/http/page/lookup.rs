//! Looks one payment up for a browser: a few at a time, not many a minute, none for long. The loops have
//! connections of their own, so that whatever is asked here keeps no payment waiting.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use tokio::sync::Semaphore;
use tokio::time;

use crate::config::{Config, Inbox};
use crate::explain::{self, ExplainSources, Life, Others};
use crate::store::Store;
use crate::store::mapping::Looks;
use rules::problem::Problem;

/// Looks at the same time.
const ABREAST: usize = 2;
/// Looks in a row, and one more each so often.
const BURST: f64 = 20.0;
const EVERY: Duration = Duration::from_secs(1);
/// How long one may take, and each part of it.
const PATIENCE: Duration = Duration::from_secs(4);
const EACH: Duration = Duration::from_millis(900);

/// Looks payments up.
pub struct Lookup {
    routes: Vec<(Inbox, Others, Option<Store>)>,
    store: Store,
    outbox: Option<Store>,
    abreast: Semaphore,
    left: Mutex<(f64, Instant)>,
    is_allowed: bool,
    by_person: bool,
}

/// Why nothing was looked up.
pub enum LookupRefusal {
    /// The operator does not want it.
    Forbidden,
    /// It is no id.
    Unusable(&'static str),
    /// Too much is asked.
    TooMany,
    /// The database was not asked in time.
    Late,
}

impl Lookup {
    /// Connects to nothing yet.
    pub fn new(config: &Config) -> Result<Arc<Lookup>, Problem> {
        let open = |postgres| Store::open(postgres, "makegood page", ABREAST);
        let route = |route: &Inbox| {
            let source = config.source_of(&route.name).map(open).transpose()?;
            Ok((route.clone(), Others::than(route, config), source))
        };
        let outbox = config.outbox.enabled.then(|| open(config.outbox_database()));
        Ok(Arc::new(Lookup {
            routes: config.inbox.iter().map(route).collect::<Result<_, Problem>>()?,
            store: open(&config.postgres)?,
            outbox: outbox.transpose()?,
            abreast: Semaphore::new(ABREAST),
            left: Mutex::new((BURST, Instant::now())),
            is_allowed: config.http.explain,
            by_person: config.http.search,
        }))
    }

    /// Everything that each route knows of an id; of one route alone, if there is one of this name.
    pub async fn find(&self, route: &str, id: &str) -> Result<Vec<(String, Life)>, LookupRefusal> {
        if !self.is_allowed {
            return Err(LookupRefusal::Forbidden);
        }
        if id.is_empty() {
            return Err(LookupRefusal::Unusable(
                "Type the id of a payment, a purchase or an event.",
            ));
        }
        if !explain::is_usable(id) {
            return Err(LookupRefusal::Unusable(
                "That is no id of a payment, a purchase or an event.",
            ));
        }
        if !self.may_go() {
            return Err(LookupRefusal::TooMany);
        }
        let Ok(_turn) = self.abreast.try_acquire() else { return Err(LookupRefusal::TooMany) };
        let is_known = self.routes.iter().any(|(own, ..)| own.name == route);
        let is_asked = |name: &str| !is_known || name == route;
        let asked = self.routes.iter().filter(|(own, ..)| is_asked(&own.name));
        let each = asked.map(|(own, others, source)| {
            let places = self.places(own, others, source.as_ref());
            async move { (own.name.clone(), explain::explain(&places, id).await) }
        });
        let looking = futures_util::future::join_all(each);
        tokio::time::timeout(PATIENCE, looking).await.map_err(|_| LookupRefusal::Late)
    }

    fn places(&self, route: &Inbox, others: &Others, source: Option<&Store>) -> ExplainSources {
        ExplainSources {
            route: route.clone(),
            others: others.clone(),
            store: self.store.clone(),
            source: source.cloned(),
            outbox: self.outbox.clone(),
            looks: Looks::of(route.mapping.as_deref()).map_err(|problem| problem.reason),
            by_person: self.by_person,
            patience: EACH,
            until: time::Instant::now() + PATIENCE,
        }
    }

    /// Takes one of what is left; it fills up with time.
    fn may_go(&self) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = left.1.elapsed().as_secs_f64() / EVERY.as_secs_f64();
        *left = ((left.0 + filled).min(BURST), Instant::now());
        let may = left.0 >= 1.0;
        if may {
            left.0 -= 1.0;
        }
        may
    }
}

impl LookupRefusal {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            LookupRefusal::Forbidden => StatusCode::FORBIDDEN,
            LookupRefusal::Unusable(_) => StatusCode::BAD_REQUEST,
            LookupRefusal::TooMany => StatusCode::TOO_MANY_REQUESTS,
            LookupRefusal::Late => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) fn sentence(&self) -> String {
        match self {
            LookupRefusal::Forbidden => {
                "No payment is shown here (http.explain): use `makegood explain`.".to_owned()
            }
            LookupRefusal::Unusable(why) => (*why).to_owned(),
            LookupRefusal::TooMany => {
                "Too many payments are being looked up: try again in a moment.".to_owned()
            }
            LookupRefusal::Late => {
                "The database did not answer in time: try again, or use `makegood explain`."
                    .to_owned()
            }
        }
    }
}
