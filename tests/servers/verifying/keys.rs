//! Payments that cannot be asked for: by a key that is none of theirs, or because what reads them is broken.

use std::collections::BTreeMap;
use std::fs;

use super::VERIFIED;
use crate::hidden::role;
use crate::support::daemon::Daemon;
use crate::support::events::{Payment, payments};
use crate::support::rig::Rig;
use crate::support::{eventually, ledger};

/// Payments behind a view that runs a function of the host's for each of them. It raises what `broken` says, for the
/// payment that is named there or for all.
const VIEW: &str = "ALTER TABLE payments RENAME TO paid;
    CREATE TABLE broken (code text, id uuid);
    CREATE FUNCTION rate(uuid) RETURNS boolean LANGUAGE plpgsql AS $$
    DECLARE says text := (SELECT code FROM public.broken b WHERE b.id IS NULL OR b.id = $1 LIMIT 1);
    BEGIN
        IF says IS NOT NULL THEN RAISE 'the rate is out of reach' USING ERRCODE = says; END IF;
        RETURN true;
    END $$;
    CREATE VIEW payments AS SELECT * FROM paid WHERE public.rate(id);";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_behind_payments_makes_no_payment_nobodys() {
    let rig = Rig::new(1).await;
    rig.client.batch_execute(VIEW).await.unwrap();
    let paid = payments(10);
    let into_paid = "ALTER VIEW payments RENAME TO seen; ALTER TABLE paid RENAME TO payments";
    rig.client.batch_execute(into_paid).await.unwrap();
    rig.record(&paid, 0.0).await;
    let back = "ALTER TABLE payments RENAME TO paid; ALTER VIEW seen RENAME TO payments";
    rig.client.batch_execute(back).await.unwrap();
    let daemon = rig.verifier();
    rig.pay(&paid[..1]).await;
    rig.caught_up().await;
    // A function's error may carry any code, a value's own or that of row security.
    for (at, code) in ["22012", "22P02", "23514", "42501", "P0001"].iter().enumerate() {
        rig.client.execute("INSERT INTO broken VALUES ($1)", &[code]).await.unwrap();
        rig.pay(&paid[at + 1..at + 2]).await;
        let held = eventually("the route to be held, or the event to be set apart", || async {
            if !rig.doubted().await.is_empty() {
                return Some("set apart".to_owned());
            }
            rig.worker(&daemon).await.filter(|worker| worker.state == "held")?.reason
        })
        .await;
        assert!(held.contains("the rate is out of reach"), "{code}: {held}");
        rig.client.execute("DELETE FROM broken", &[]).await.unwrap();
        rig.caught_up().await;
        ledger::assert_exactly(&rig.client, &paid[..at + 2]).await;
    }
    // What one payment breaks keeps no other back; it goes through by itself once that is mended.
    let sql = "INSERT INTO broken VALUES ('P0001', $1)";
    rig.client.execute(sql, &[&paid[6].id]).await.unwrap();
    rig.pay(&paid[6..]).await;
    rig.caught_up().await;
    rig.doubts(&[("no_payment unverified", 1)]).await;
    let detail: String =
        rig.client.query_one("SELECT detail FROM makegood.quarantine", &[]).await.unwrap().get(0);
    assert!(detail.contains("the rate is out of reach (SQLSTATE P0001)"), "{detail}");
    rig.client.execute("DELETE FROM broken", &[]).await.unwrap();
    rig.doubts(&[("no_payment made_good", 1)]).await;
    ledger::assert_exactly(&rig.client, &paid).await;
}

/// The shipped payments.sql, which compares keys as this type; a domain or an enum does not take each of them.
async fn keys_are_refused(types: &str, of: &str, comparison: &str) {
    let rig = Rig::new(1).await;
    let paid: Vec<Payment> = payments(3);
    let labels: Vec<String> = paid.iter().map(|payment| format!("'{}'", payment.id)).collect();
    rig.client.batch_execute(&types.replace("LABELS", &labels.join(", "))).await.unwrap();
    let folder = rig.path("codes");
    fs::create_dir_all(&folder).unwrap();
    let shipped = include_str!("../../../sql/purchases/payments.sql");
    assert!(shipped.contains(of), "{of}");
    fs::write(folder.join("payments.sql"), shipped.replace(of, comparison)).unwrap();
    fs::write(folder.join("apply.sql"), include_str!("../../../sql/purchases/apply.sql")).unwrap();
    let mut forged = payments(4);
    for (at, payment) in forged.iter_mut().enumerate() {
        payment.id = format!("00000000-0000-0000-0000-00000000000{at}").parse().unwrap();
    }
    let _daemon = rig.daemon_with(&format!("{VERIFIED}\nmapping = \"{}\"", folder.display()));
    // Before there is any payment that shows that the others could be found.
    rig.pay(&forged[..1]).await;
    rig.caught_up().await;
    rig.doubts(&[("no_payment unverified", 1)]).await;
    rig.record(&paid, 0.0).await;
    rig.pay(&forged[1..2]).await;
    rig.pay(&paid).await;
    rig.pay(&forged[2..]).await;
    rig.caught_up().await;
    rig.doubts(&[("no_payment unverified", 4)]).await;
    ledger::assert_exactly(&rig.client, &paid).await;
}

const BY_UUID: &str = "id = ANY ($5::text[]::uuid[])";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_domain_of_uuids_refuses_is_nobodys_and_holds_nobody_up() {
    let domain = "CREATE DOMAIN payment_code AS uuid CHECK (VALUE::text NOT LIKE '00000000-%')";
    keys_are_refused(domain, BY_UUID, "id = ANY ($5::text[]::payment_code[])").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_domain_of_texts_refuses_is_nobodys_and_holds_nobody_up() {
    let domain =
        "CREATE DOMAIN payment_code AS varchar(36) CHECK (VALUE::text NOT LIKE '00000000-%')";
    keys_are_refused(domain, BY_UUID, "id::text = ANY ($5::text[]::payment_code[]::text[])").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_an_enum_does_not_have_is_nobodys_and_holds_nobody_up() {
    let labels = "CREATE TYPE payment_code AS ENUM (LABELS)";
    keys_are_refused(labels, BY_UUID, "id::text = ANY ($5::text[]::payment_code[]::text[])").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_behind_row_security_are_nobodys_to_nobody() {
    let rig = Rig::new(1).await;
    let (url, role) = role(&rig).await;
    let paid = payments(3);
    rig.record(&paid, 0.0).await;
    let hide = format!(
        "ALTER TABLE payments ENABLE ROW LEVEL SECURITY;
         CREATE POLICY one_of_them ON payments TO {role} USING (id = '{}')",
        paid[0].id
    );
    rig.client.batch_execute(&hide).await.unwrap();
    let config = rig.config_file(&url, VERIFIED, "[migrate]\nmode = \"check\"\n");
    let daemon = Daemon::start(&config, 0);
    rig.pay(&paid).await;
    let held = eventually("the route to be held for it", || async {
        rig.worker(&daemon).await.filter(|worker| worker.state == "held")?.reason
    })
    .await;
    assert!(held.contains("row-level security") || held.contains("42501"), "{held}");
    assert_eq!(rig.doubted().await, BTreeMap::new(), "what cannot be seen was taken for absent");
    rig.client.batch_execute(&format!("ALTER ROLE {role} BYPASSRLS")).await.unwrap();
    rig.caught_up().await;
    ledger::assert_exactly(&rig.client, &paid).await;
}
