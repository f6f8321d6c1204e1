//! One transaction, and what is known of its end.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::Object;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, SimpleQueryMessage};
use tracing::trace;

use super::answer_timeout::ANSWER;
use super::copy::CopyRows;
use super::rights::Null;
use super::search_path::{self, HOST, OWN};
use super::{Fault, Shape, answer_timeout, pooler_params};
use config::Pooler;

/// Plans fit the batch at hand: a generic plan takes every array for ten elements and joins two
/// thousand rows by nested loops. The session has JIT off: it would cost more than the statement.
const BEGIN: &str = "BEGIN; SET LOCAL plan_cache_mode = force_custom_plan";
/// Behind a pooler the session is anybody's, and what would be set on connecting is set here.
const BEGIN_POOLED: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
    SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL jit = off; SET LOCAL TimeZone = 'UTC'; \
    SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '10s'; \
    SET LOCAL idle_in_transaction_session_timeout = '60s'";

/// An open transaction. Dropped without an end, it closes its connection, which rolls it back; a
/// statement that still runs can then never be answered to somebody else.
pub struct Tx {
    client: Option<Object>,
    pooler: Pooler,
    name: &'static str,
    /// The statement that has the host's schemas searched, once the server has told which they are.
    host: OnceLock<String>,
    /// Whether nobody shall get the connection after this.
    spent: AtomicBool,
}

/// Why a commit did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitFault {
    /// The server rolled back and said so.
    Refused(Fault),
    /// The connection broke before the answer: it may have been committed, and only the database can
    /// tell.
    Unknown(Fault),
}

impl CommitFault {
    /// The fault, for those who do not mind whether it was committed.
    pub fn into_fault(self) -> Fault {
        match self {
            CommitFault::Refused(fault) | CommitFault::Unknown(fault) => fault,
        }
    }
}

impl Tx {
    pub(super) async fn begin(
        client: Object,
        pooler: Pooler,
        name: &'static str,
    ) -> Result<Tx, Fault> {
        let (host, spent) = (OnceLock::new(), AtomicBool::new(false));
        let tx = Tx { client: Some(client), pooler, name, host, spent };
        tx.batch(if pooler == Pooler::None { BEGIN } else { BEGIN_POOLED }).await?;
        #[cfg(feature = "failpoints")]
        super::failing::at(&format!("{name}.begin")).await?;
        Ok(tx)
    }

    /// Runs a statement and reads all its rows.
    pub async fn query(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Fault> {
        self.judged(super::query(self.client(), self.pooler, sql, params).await)
    }

    /// The same for a statement that may take longer than others, up to `patience`; so may those after it.
    pub async fn query_slow(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
        patience: Duration,
    ) -> Result<Vec<Row>, Fault> {
        self.batch(&format!("SET LOCAL statement_timeout = '{}s'", patience.as_secs())).await?;
        let asked = super::ask(self.client(), self.pooler, sql, params);
        // The server's own time-out speaks first, unless nobody is there to answer.
        match tokio::time::timeout(patience + ANSWER, asked).await {
            Ok(answered) => self.judged(answered.map_err(Fault::from)),
            Err(_) => Err(Fault::unanswered(format!(
                "no answer to a statement within {} s",
                patience.as_secs()
            ))),
        }
    }

    /// Runs one of the mapping's statements, or one about the host's tables: the host's schemas are searched for it. A
    /// refusal leaves them so, as the transaction goes back to a savepoint or ends.
    pub async fn query_host(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Fault> {
        let run = async {
            let client = self.client();
            if self.pooler == Pooler::Transaction {
                let params = pooler_params::params(params);
                return tokio::join!(client.query_typed(sql, &params), client.batch_execute(OWN));
            }
            match client.prepare_cached(sql).await {
                Ok(statement) => {
                    tokio::join!(client.query(&statement, params), client.batch_execute(OWN))
                }
                Err(fault) => (Err(fault), Ok(())),
            }
        };
        // All are sent before the first is answered, but that a statement which the server does not have yet is prepared
        // under the host's path.
        let answered = async {
            let (host, (rows, own)) = tokio::join!(self.search_host(), run);
            let rows = rows.map_err(Fault::from)?;
            own?;
            host.map(|()| rows)
        };
        self.judged(answer_timeout::answer(Box::pin(answered)).await)
    }

    /// The same, of which at most so many rows are kept, whatever it finds.
    pub async fn query_host_few(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
        most: usize,
    ) -> Result<Vec<Row>, Fault> {
        self.search_host().await?;
        let run = async {
            let client = self.client();
            let rows = match self.pooler {
                Pooler::Transaction => {
                    let params = pooler_params::params(params);
                    client.query_typed_raw(sql, params).await?
                }
                Pooler::None => {
                    let statement = client.prepare_cached(sql).await?;
                    client.query_raw(&statement, params.iter().copied()).await?
                }
            };
            rows.take(most).try_collect::<Vec<Row>>().await
        };
        let rows = self.judged(answer_timeout::answer(Box::pin(run)).await)?;
        self.batch(OWN).await?;
        Ok(rows)
    }

    /// Has the host's schemas searched, and keeps how, for the next time: telling which they are costs as much as a small
    /// statement.
    async fn search_host(&self) -> Result<(), Fault> {
        if let Some(set) = self.host.get() {
            return self.batch(set).await;
        }
        let answer = answer_timeout::answer(self.client().simple_query(HOST)).await?;
        let path = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        if let Some(path) = path {
            self.host.get_or_init(|| search_path::set(path));
        }
        Ok(())
    }

    /// Has the host's deferred constraints and triggers speak up now, rather than inside COMMIT, after the last answer
    /// was read; then runs `next`, statements without parameters or answers.
    pub async fn settle_constraints(&self, next: &str) -> Result<(), Fault> {
        let host = self.host.get().map_or(HOST, String::as_str);
        self.batch(&format!("{host}; SET CONSTRAINTS ALL IMMEDIATE; {OWN}; {next}")).await
    }

    /// Runs a statement and returns how many rows it wrote.
    pub async fn execute(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Fault> {
        let client = self.client();
        let run = async {
            if self.pooler == Pooler::Transaction {
                return client.execute_typed(sql, &pooler_params::params(params)).await;
            }
            let statement = client.prepare_cached(sql).await?;
            client.execute(&statement, params).await
        };
        self.judged(answer_timeout::answer(run).await)
    }

    /// Has the server make ready to run one of makegood's own statements, and does not run it.
    pub(super) async fn plan(&self, sql: &str) -> Result<(), Fault> {
        let run = async {
            let statement = self.client().prepare(sql).await?;
            let nulls: Vec<(&(dyn ToSql + Sync), Type)> =
                statement.params().iter().map(|kind| (&Null as _, kind.clone())).collect();
            self.client().query_typed(&format!("EXPLAIN {sql}"), &nulls).await
        };
        self.judged(answer_timeout::answer(run).await).map(drop)
    }

    /// What a statement of the mapping takes and returns.
    pub(super) async fn describe(&self, sql: &str) -> Result<Shape, Fault> {
        self.search_host().await?;
        let prepared = async { self.client().prepare(sql).await.map_err(Fault::of_text) };
        let statement = answer_timeout::answer(prepared).await?;
        let columns = statement.columns().iter();
        let columns = columns.map(|c| (c.name().to_owned(), c.type_().clone())).collect();
        // The statement ends here, within the transaction: the server that has it forgets it.
        Ok(Shape { params: statement.params().to_vec(), columns })
    }

    /// Runs a `COPY … FROM STDIN (FORMAT binary)` and returns how many rows it wrote. `insert` does the
    /// same where a pooler is in between, for the driver prepares a COPY: it takes each column as an
    /// array of these types.
    pub async fn copy(
        &self,
        sql: &str,
        insert: (&str, &[Type]),
        rows: CopyRows,
    ) -> Result<u64, Fault> {
        let client = self.client();
        let run = async {
            if self.pooler == Pooler::Transaction {
                let (insert, types) = insert;
                let columns = rows.columns();
                let arrays = columns.iter().map(|column| column as &(dyn ToSql + Sync));
                let params: Vec<_> = arrays.zip(types.iter().cloned()).collect();
                return client.execute_typed(insert, &params).await;
            }
            let statement = client.prepare_cached(sql).await?;
            rows.send(client, &statement).await
        };
        self.judged(answer_timeout::answer(run).await)
    }

    /// Runs statements without parameters or answers.
    pub async fn batch(&self, sql: &str) -> Result<(), Fault> {
        answer_timeout::answer(self.client().batch_execute(sql)).await
    }

    /// Marks the place that [`Tx::undo`] goes back to.
    pub async fn mark(&self) -> Result<(), Fault> {
        self.batch("SAVEPOINT mark").await
    }

    /// Undoes what was done since the last mark, a refusal too, and forgets the mark: those that pile up make everything
    /// slower.
    pub async fn undo(&self) -> Result<(), Fault> {
        self.batch("ROLLBACK TO SAVEPOINT mark; RELEASE SAVEPOINT mark").await
    }

    /// Keeps what was done since the last mark, and forgets the mark.
    pub async fn keep(&self) -> Result<(), Fault> {
        self.batch("RELEASE SAVEPOINT mark").await
    }

    /// Runs what may be refused: a refusal is undone, and the transaction goes on.
    pub async fn attempt<T>(
        &self,
        run: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        self.mark().await?;
        let answer = run.await;
        match &answer {
            Ok(_) => self.keep().await?,
            Err(Fault::Refused { .. }) => self.undo().await?,
            Err(_) => {}
        }
        answer
    }

    /// Commits. `Ok` from the driver alone would not do: tokio-postgres (0.7.18) also says `Ok` when
    /// the server answered ROLLBACK to a COMMIT in an aborted transaction (rust-postgres#1334). So a
    /// caller's last statement must have returned what it expects, which an aborted one cannot.
    pub async fn commit(mut self) -> Result<(), CommitFault> {
        #[cfg(feature = "failpoints")]
        if let Err(fault) = super::failing::at(&format!("{}.commit.before", self.name)).await {
            return Err(match fault {
                Fault::Refused { .. } => CommitFault::Refused(fault),
                Fault::Lost { .. } => CommitFault::Unknown(fault),
            });
        }
        let answer = self.batch("COMMIT").await;
        #[cfg(feature = "failpoints")]
        let answer = super::failing::answered(&format!("{}.commit.after", self.name), answer).await;
        trace!(tx = self.name, committed = answer.is_ok(), "commit");
        match answer {
            Ok(()) => {
                // Taken out and dropped, so that it goes back to the pool.
                drop(self.client.take());
                Ok(())
            }
            Err(fault @ Fault::Refused { .. }) => Err(CommitFault::Refused(fault)),
            Err(fault) => Err(CommitFault::Unknown(fault)),
        }
    }

    /// Rolls back and keeps the connection if the server still answers.
    pub async fn rollback(mut self) {
        if self.batch("ROLLBACK").await.is_ok() && !self.spent.load(Ordering::Relaxed) {
            drop(self.client.take());
        }
    }

    /// What must not be met again: a plan that DDL made useless, or a server that takes no writes.
    fn judged<T>(&self, answer: Result<T, Fault>) -> Result<T, Fault> {
        answer.inspect_err(|fault| {
            if fault.is_of_the_connection() {
                self.spent.store(true, Ordering::Relaxed);
            }
            if fault.is_stale_plan() {
                super::forget_plans(self.client(), fault);
            }
        })
    }

    fn client(&self) -> &Object {
        self.client.as_ref().expect("a transaction has its connection until it ends")
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            trace!(tx = self.name, "transaction abandoned");
            drop(Object::take(client));
        }
    }
}
