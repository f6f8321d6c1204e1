//! Somebody who may create in the schema `public`, and puts a function or an operator there for every name that
//! makegood's SQL uses: for each pair of types that PostgreSQL itself would have to cast, so that theirs fits better.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tokio_postgres::Client;

/// What the server's log has where one of them was called.
pub const WORD: &str = "trapped by foreign code";

const TYPES: &str = "boolean,\"char\",name,smallint,integer,bigint,text,varchar,oid,real,double precision,numeric,\
    timestamptz,timestamp,interval,uuid,jsonb,bytea,xid8,pg_snapshot,regclass,\
text[],varchar[],uuid[],bigint[],integer[],smallint[],\"char\"[],name[],timestamptz[],jsonb[],bytea[]";
const OPERATORS: &str =
    "= <> < > <= >= + - * / % || & | << >> ~ ~* !~ ~~ !~~ -> ->> #>> @> <@ && ^";

/// Every name before a parenthesis in makegood's SQL: nearly all of them functions, and some words of the grammar.
fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut open: Vec<_> =
        ["sql/core", "sql/purchases", "migrations", "deploy", "src/store", "src/cli", "src/doctor"]
            .map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
            .to_vec();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if let Ok(text) = fs::read_to_string(&path) {
            for (at, _) in text.match_indices('(') {
                let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                let before = &text[..at];
                let start = before.rfind(|c| !is_part(c)).map_or(0, |last| last + 1);
                if before.get(start..).is_some_and(|name| name.len() > 1) {
                    names.insert(before[start..].to_owned());
                }
            }
        }
    }
    names
}

/// Lays them as the role that `client` is.
pub async fn lay(client: &Client) {
    let names: Vec<String> = names().into_iter().collect();
    let functions = format!(
        "DO $$
        DECLARE types text[] := string_to_array('{TYPES}', ','); f record; l text; r text;
        BEGIN
            -- What takes anything, or more than one thing, is what an exact match is better than.
            FOR f IN SELECT DISTINCT p.proname FROM pg_proc p
                     WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = ANY ('{{{}}}'::name[])
            LOOP
                FOREACH l IN ARRAY types LOOP
                    CONTINUE WHEN to_regprocedure(format('pg_catalog.%I(%s)', f.proname, l)) IS NOT NULL;
                    EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS bigint LANGUAGE plpgsql
                        AS $f$BEGIN RAISE EXCEPTION ''{WORD}''; END$f$', f.proname, l);
                END LOOP;
            END LOOP;
            FOR f IN SELECT DISTINCT p.proname FROM pg_proc p
                     WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = ANY ('{{{}}}'::name[])
                           AND (p.provariadic <> 0 OR p.pronargs > 1)
            LOOP
                FOREACH l IN ARRAY '{{text,bigint,uuid,numeric,text[],uuid[],timestamptz,boolean,jsonb,integer,name}}'::text[] LOOP
                FOREACH r IN ARRAY '{{text,bigint,uuid,numeric,text[],timestamptz,boolean,jsonb,integer,name}}'::text[] LOOP
                    CONTINUE WHEN to_regprocedure(format('pg_catalog.%I(%s,%s)', f.proname, l, r)) IS NOT NULL;
                    EXECUTE format('CREATE FUNCTION public.%I(%s, %s) RETURNS text LANGUAGE plpgsql
                        AS $f$BEGIN RAISE EXCEPTION ''{WORD}''; END$f$', f.proname, l, r);
                END LOOP; END LOOP;
            END LOOP;
        END $$",
        names.join(","),
        names.join(",")
    );
    let operators = format!(
        "DO $$
        DECLARE types text[] := string_to_array('{TYPES}', ','); op text; l text; r text;
        BEGIN
            FOREACH l IN ARRAY types LOOP FOREACH r IN ARRAY types LOOP
                EXECUTE format('CREATE FUNCTION public.trap(%s, %s) RETURNS boolean LANGUAGE plpgsql
                                AS $f$BEGIN RAISE EXCEPTION ''{WORD}: an operator''; END$f$', l, r);
                FOREACH op IN ARRAY string_to_array('{OPERATORS}', ' ') LOOP
                    CONTINUE WHEN to_regoperator(format('pg_catalog.%s(%s,%s)', op, l, r)) IS NOT NULL;
                    EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.trap)', op, l, r);
                END LOOP;
            END LOOP; END LOOP;
        END $$"
    );
    client.batch_execute(&functions).await.unwrap();
    client.batch_execute(&operators).await.unwrap();
    let error = client.query_one("SELECT cardinality('{}'::uuid[])", &[]).await.unwrap_err();
    assert!(error.as_db_error().unwrap().message().contains(WORD), "{error:?}");
    let error = client.query_one("SELECT 2::bigint ^ 32", &[]).await.unwrap_err();
    assert!(error.as_db_error().unwrap().message().contains(WORD), "{error:?}");
}
