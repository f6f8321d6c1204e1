//! A mapping held against the catalogue, and a refusal explained by it.

use super::rights::planned;
use super::{Mapping, Unfit};
use crate::{Fault, Store, host_tables};
use rules::diagnosis::{Code, Diagnosis};
use rules::drift::{self, Catalogue, Column, MappingStatement, ServerMessage, Table};
use rules::error_policy::{self, Disposition};
use rules::fields::FieldKind;
use rules::sql;

/// Reads what a statement touches of the catalogue.
pub async fn catalogue(store: &Store, statement: &str) -> Result<Catalogue, Fault> {
    let written = sql::names(statement).tables;
    let tables = host_tables::find(store, &written).await?;
    let sql = include_str!("../../../../sql/core/host_columns.sql");
    let columns = store.query(sql, &[&written, &tables]).await?;
    let mut found = Catalogue::default();
    for row in &columns {
        let written: String = row.get("written");
        if found.tables.last().is_none_or(|table| table.written != written) {
            found.tables.push(Table {
                written,
                columns: Vec::new(),
                has_trigger: row.get("has_trigger"),
                readable: row.get("readable"),
                insertable: row.get("insertable"),
            });
        }
        let column = row.get::<_, Option<String>>("column_name").map(|name| Column {
            name,
            kind: row.get("kind"),
            required: row.get("required"),
        });
        if let Some(table) = found.tables.last_mut() {
            table.columns.extend(column);
        }
    }
    let others =
        store.query_host(include_str!("../../../../sql/core/host_tables_visible.sql"), &[]).await?;
    found.role = others.first().map(|row| row.get("role")).unwrap_or_default();
    found.others = others.iter().map(|row| row.get("table_name")).collect();
    let path = "SELECT pg_catalog.current_setting('search_path')";
    let path: Option<String> = store.query_host(path, &[]).await?.first().map(|row| row.get(0));
    let rights = include_str!("../../../../sql/core/host_rights.sql");
    for row in store.query(rights, &[&written, &tables, &path]).await? {
        let grants = match row.get("is_schema") {
            true => &mut found.schema_grants,
            false => &mut found.default_grants,
        };
        grants.push(row.get("statement"));
    }
    let exhausted =
        store.query(include_str!("../../../../sql/core/host_exhausted.sql"), &[&tables]).await?;
    found.more_numbers = exhausted.iter().map(|row| row.get("statement")).collect();
    Ok(found)
}

impl Mapping {
    /// What to do about a refusal of one of the mapping's statements: exactly, where the catalogue tells.
    pub async fn advice(&self, store: &Store, file: &str, sql: &str, fault: &Fault) -> String {
        let exact = self.fix(store, file, sql, fault).await;
        exact.unwrap_or_else(|| error_policy::advice(fault.sqlstate()).to_owned())
    }

    /// The same about the payments that events are held against; `store` has them.
    pub(crate) async fn advice_on_payments(&self, store: &Store, fault: &Fault) -> Option<String> {
        self.fix(store, "payments.sql", self.looks.payments.as_ref()?, fault).await
    }

    /// The way out, where the catalogue tells it.
    async fn fix(&self, store: &Store, file: &str, sql: &str, fault: &Fault) -> Option<String> {
        let Fault::Refused { sqlstate, about, .. } = fault else { return None };
        if !drift::is_drift(sqlstate) {
            return None;
        }
        let said = ServerMessage {
            sqlstate,
            position: about.position,
            table: about.table.as_deref(),
            column: about.column.as_deref(),
        };
        let mapping = [Some(&self.apply)].into_iter().chain(self.looks.texts()).flatten();
        let mapping: Vec<&str> = mapping.map(String::as_str).collect();
        let mapping = &mapping.join("\n");
        let source =
            MappingStatement { file, sql, mapping, key: (&self.key.table, &self.key.written()) };
        drift::fix(source, said, &catalogue(store, sql).await.ok()?)
    }

    /// A refusal at a check: the tables have drifted, or the database is away.
    pub(crate) async fn refused(
        &self,
        store: &Store,
        file: &str,
        sql: &str,
        fault: Fault,
    ) -> Unfit {
        match &fault {
            // The key's own check knows the way, also where the table is a view or partitioned.
            Fault::Refused { sqlstate, .. }
                if sqlstate == "42P10"
                    && let Err(Unfit::Broken(problem)) = self.check_key(store).await =>
            {
                Unfit::Drifted(drifted(fault.to_string()).advice(problem.advice))
            }
            Fault::Refused { sqlstate, .. } if drift::is_drift(sqlstate) => {
                let advice = self.advice(store, file, sql, &fault).await;
                Unfit::Drifted(drifted(fault.to_string()).advice(advice))
            }
            _ if is_its_own(store, sql, &fault).await => {
                Unfit::Drifted(drifted(format!("{file} cannot be run: {fault}")).advice(format!(
                    "change {file} or the table that it reads until they fit, then send SIGHUP"
                )))
            }
            _ => Unfit::Unknown(fault),
        }
    }

    /// What to do about a column that rounds, where the catalogue shows one.
    pub(crate) async fn rounding_advice(&self, store: &Store) -> Option<String> {
        let known = catalogue(store, &self.apply).await.ok()?;
        self.rounds(&known).map(|diagnosis| diagnosis.advice)
    }

    /// The same with a look at the catalogue.
    pub(super) async fn rounding(&self, store: &Store) -> Result<Option<Unfit>, Fault> {
        let rounds = self.rounds(&catalogue(store, &self.apply).await?);
        Ok(rounds.map(Unfit::Drifted))
    }

    /// Whether the purchases' amount cannot hold what the event's can: PostgreSQL rounds silently. What a changed
    /// mapping makes of it nobody knows before it is stored.
    fn rounds(&self, known: &Catalogue) -> Option<Diagnosis> {
        let FieldKind::Numeric { precision, scale } =
            self.fields.iter().find(|f| f.pointer == "/data/amount").map(|field| field.kind)?
        else {
            return None;
        };
        let table = known.tables.iter().find(|t| t.written == self.key.table)?;
        let column = table.columns.iter().find(|column| column.name == "amount")?;
        let wanted = format!("numeric({precision},{scale})");
        let (name, kind) = (&self.key.table, &column.kind);
        (self.is_shipped() && drift::rounds(kind, scale)).then(|| {
            let reason =
                format!("{name}.amount is {kind}, which rounds an event's {wanted} silently");
            drifted(reason).advice(
                format!(
                    "`ALTER TABLE {name} ALTER amount TYPE {wanted};`\nor, where it counts minor units, map those as README.md of the mapping says"
                ),
            )
        })
    }

    /// Whether every insert of `apply.sql` sets what the tables require. PostgreSQL would say so only with
    /// the first row.
    pub async fn check_columns(&self, store: &Store) -> Result<(), Unfit> {
        let known = catalogue(store, &self.apply).await?;
        if let Some(diagnosis) = self.rounds(&known) {
            return Err(Unfit::Drifted(diagnosis));
        }
        let unset = drift::unset(&self.apply, &known);
        let Some(first) = unset.first() else { return Ok(()) };
        let names: Vec<String> =
            unset.iter().map(|u| format!("{}.{}", u.table, sql::quoted(&u.column.name))).collect();
        let reason = format!("{} must not be null, and nothing sets it", names.join(", "));
        Err(Unfit::Drifted(drifted(reason).advice(first.fix("apply.sql"))))
    }
}

/// A mapping that fits its tables no longer.
pub(crate) fn drifted(reason: String) -> Diagnosis {
    Diagnosis::new(Code::Mapping, reason)
}

/// Whether a refusal is the statement's own: it is refused so again, while another statement is taken.
async fn is_its_own(store: &Store, sql: &str, fault: &Fault) -> bool {
    let Fault::Refused { sqlstate, .. } = fault else { return false };
    if error_policy::disposition(Some(sqlstate)) != Disposition::Isolate {
        return false;
    }
    let again = match store.describe(sql).await {
        Ok(shape) => planned(store, sql, shape.params.len()).await,
        Err(fault) => Err(fault),
    };
    let is_same = |fault: Fault| fault.sqlstate() == Some(sqlstate.as_str());
    again.is_err_and(is_same) && store.query_host("SELECT 1", &[]).await.is_ok()
}
