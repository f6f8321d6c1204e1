//! Tables as people have them: narrower money, quoted names, partitions, views, unfinished indexes. What does not fit is
//! named before anything is applied, and each statement that is printed runs and mends it.

use std::fs;
use std::path::PathBuf;

use rules::advice::runnable;

use crate::commands::{run, stdout};
use crate::support::events::payments;
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

const APPLY: &str = include_str!("../../sql/purchases/apply.sql");

/// What `mapping check` says of the shipped mapping.
async fn check(rig: &Rig) -> String {
    stdout(&run(rig, &["mapping", "check"]).await)
}

/// Runs the statements of an advice, each as printed and in a transaction of its own.
async fn obey(rig: &Rig, advice: &str) -> usize {
    let runnable = runnable(advice).into_iter();
    let statements: Vec<&str> = runnable.filter(|text| text.ends_with(';')).collect();
    for statement in &statements {
        rig.client.query(*statement, &[]).await.unwrap_or_else(|e| panic!("{statement}: {e:?}"));
    }
    statements.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_rounds_money_is_refused_before_the_start_with_the_statement_that_widens_it()
{
    let rig = Rig::new(1).await;
    let paid = payments(3);
    for kind in ["integer", "bigint", "numeric(10,0)", "numeric(10,1)", "real", "money"] {
        let narrow = format!("ALTER TABLE student_course_purchases ALTER amount TYPE {kind}");
        rig.client.batch_execute(&narrow).await.unwrap();
        let said = check(&rig).await;
        assert!(said.contains(&format!("student_course_purchases.amount is {kind}")), "{said}");
        assert!(obey(&rig, &said).await > 0, "{said}");
        let said = check(&rig).await;
        assert!(!said.contains("FAIL"), "{said}");
    }
    rig.client
        .batch_execute("ALTER TABLE student_course_purchases ALTER amount TYPE integer")
        .await
        .unwrap();
    let daemon = rig.daemon();
    rig.pay(&paid).await;
    eventually("the route to be held", || async {
        rig.worker(&daemon).await.filter(|worker| worker.state == "held")
    })
    .await;
    assert_eq!(ledger::count(&rig.client).await, 0);
    rig.client
        .batch_execute("ALTER TABLE student_course_purchases ALTER amount TYPE numeric(19,4)")
        .await
        .unwrap();
    rig.caught_up().await;
    assert_eq!(ledger::count(&rig.client).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_comes_to_round_money_while_events_flow_stores_none_of_it() {
    let rig = Rig::new(1).await;
    let mut paid = payments(6);
    let _daemon = rig.daemon();
    rig.pay(&paid[..1]).await;
    rig.caught_up().await;
    rig.client
        .batch_execute("ALTER TABLE student_course_purchases ALTER amount TYPE numeric(12,0)")
        .await
        .unwrap();
    paid[5].amount = "7.00".to_owned();
    rig.pay(&paid[1..5]).await;
    rig.pay(&paid[5..]).await;
    rig.caught_up().await;
    let altered = "SELECT count(*) FROM makegood.quarantine_open WHERE reason = 'altered'";
    eventually("the rounded ones to be judged", || async {
        (rig.number(altered).await == 4).then_some(())
    })
    .await;
    assert_eq!(ledger::count(&rig.client).await, 2);
    rig.client
        .batch_execute("ALTER TABLE student_course_purchases ALTER amount TYPE numeric(12,2)")
        .await
        .unwrap();
    rig.client
        .query("SELECT makegood.replay(id) FROM makegood.quarantine_open", &[])
        .await
        .unwrap();
    eventually("all of them", || async { (ledger::count(&rig.client).await == 6).then_some(()) })
        .await;
}

/// The shipped mapping for other names; returns its folder.
fn renamed(rig: &Rig, table: &str, key: &str) -> PathBuf {
    let folder = rig.path("renamed");
    fs::create_dir_all(&folder).unwrap();
    let apply = APPLY.replace(
        "business-key student_course_purchases(payment_id)",
        &format!("business-key {table}({key})"),
    );
    let insert = format!("INSERT INTO {table}");
    let apply = apply
        .replace("INSERT INTO student_course_purchases", &insert)
        .replace(
            "JOIN student_course_purchases p USING (payment_id)",
            &format!("JOIN {table} p ON p.{key} = key.payment_id"),
        )
        .replace(
            "SELECT p.payment_id, p.student_id, p.course_id",
            &format!("SELECT p.{key}, p.student_id, p.course_id"),
        )
        .replace(
            "(payment_id, student_id, course_id, amount, currency, event_id, purchased_at)",
            &format!("({key}, student_id, course_id, amount, currency, event_id, purchased_at)"),
        )
        .replace("ON CONFLICT (payment_id)", &format!("ON CONFLICT ({key})"))
        .replace(
            "RETURNING event_id, payment_id,",
            &format!("RETURNING event_id, {key} AS payment_id,"),
        );
    fs::write(folder.join("apply.sql"), apply).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn quoted_names_are_written_as_in_sql_and_what_is_printed_runs() {
    let rig = Rig::new(1).await;
    rig.client
        .batch_execute(
            r#"ALTER TABLE student_course_purchases RENAME TO "StudentCoursePurchase";
               ALTER TABLE "StudentCoursePurchase" RENAME payment_id TO "paymentId";
               ALTER TABLE "StudentCoursePurchase" DROP CONSTRAINT student_course_purchases_payment_id_key"#,
        )
        .await
        .unwrap();
    let folder = renamed(&rig, r#""StudentCoursePurchase""#, r#""paymentId""#);
    let route = format!("mapping = \"{}\"", folder.display());
    let daemon = rig.daemon_with(&route);
    let held = eventually("the route to be held", || async {
        let sql = "SELECT advice FROM makegood.workers WHERE state = 'held'";
        rig.client.query_opt(sql, &[]).await.unwrap()?.get::<_, Option<String>>(0)
    })
    .await;
    assert_eq!(obey(&rig, &held).await, 2, "{held}");
    let paid = payments(3);
    rig.pay(&paid).await;
    rig.caught_up().await;
    let made = r#"SELECT count(*) FROM "StudentCoursePurchase""#;
    assert_eq!(rig.number(made).await, 3, "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_have_no_unique_key_is_named_with_the_way_out() {
    let rig = Rig::new(1).await;
    let key = "ALTER TABLE student_course_purchases DROP CONSTRAINT student_course_purchases_payment_id_key";
    rig.client.batch_execute(key).await.unwrap();
    // An index that was never finished, because of duplicates.
    let paid = payments(1);
    rig.by_hand(&paid).await;
    rig.by_hand(&paid).await;
    let create = "CREATE UNIQUE INDEX CONCURRENTLY once ON student_course_purchases (payment_id)";
    rig.client.batch_execute(create).await.unwrap_err();
    let said = check(&rig).await;
    assert!(
        said.contains("public.once on student_course_purchases (payment_id) is invalid"),
        "{said}"
    );
    rig.client.batch_execute("DELETE FROM student_course_purchases").await.unwrap();
    assert!(obey(&rig, &said).await >= 3, "{said}");
    let said = check(&rig).await;
    assert!(!said.contains("FAIL"), "{said}");
    // A view.
    rig.client
        .batch_execute(
            "ALTER TABLE student_course_purchases RENAME TO bought;
             CREATE VIEW student_course_purchases AS SELECT * FROM bought",
        )
        .await
        .unwrap();
    let said = check(&rig).await;
    assert!(said.contains("is a view, which can have no unique index"), "{said}");
    // Partitions, by time and by the key.
    for (by, words, statements) in [
        ("RANGE (purchased_at)", "keep the keys in a small table of their own", 0),
        ("HASH (payment_id)", "that locks the table", 1),
    ] {
        let sql = format!(
            "DROP VIEW IF EXISTS student_course_purchases; DROP TABLE IF EXISTS student_course_purchases;
             CREATE TABLE student_course_purchases (LIKE bought INCLUDING DEFAULTS) PARTITION BY {by}"
        );
        let sql = sql.replace(
            "DROP VIEW IF EXISTS student_course_purchases; ",
            match by.starts_with('R') {
                true => "DROP VIEW student_course_purchases; ",
                false => "",
            },
        );
        rig.client.batch_execute(&sql).await.unwrap();
        let said = check(&rig).await;
        assert!(said.contains("is partitioned by") && said.contains(words), "{said}");
        let key: Vec<&str> = said.lines().filter(|line| line.contains("UNIQUE INDEX")).collect();
        assert_eq!(obey(&rig, &key.join("\n")).await, statements, "{said}");
    }
    let said = check(&rig).await;
    assert!(said.contains("has a unique index on payment_id"), "{said}");
    // With its key such a table is filled as any other is, each row into its own part.
    for part in 0..2 {
        let sql = format!(
            "CREATE TABLE part_{part} PARTITION OF student_course_purchases FOR VALUES WITH (MODULUS 2, REMAINDER {part})"
        );
        rig.client.batch_execute(&sql).await.unwrap();
    }
    let daemon = rig.daemon();
    let paid = payments(40);
    rig.pay(&paid).await;
    rig.pay(&paid[..3]).await;
    rig.caught_up().await;
    for (table, least, most) in
        [("student_course_purchases", 40, 40), ("part_0", 1, 39), ("part_1", 1, 39)]
    {
        let count = rig.number(&format!("SELECT count(*) FROM {table}")).await;
        assert!((least..=most).contains(&count), "{table}: {count}\n{}", daemon.log());
    }
}
