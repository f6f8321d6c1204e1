//! Promise: the status page tells the truth in a real browser: each state, as it changes, with JavaScript and
//! without, to everybody, and it does what no stranger tells it to.

mod incident;

use std::time::Duration;

use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use crate::reconcile::{job_section, recorded};
use crate::support::browser::Browser;
use crate::support::daemon::Daemon;
use crate::support::events::{payments, raw};
use crate::support::eventually;
use crate::support::http::{address, get};
use crate::support::proxy::Proxy;
use crate::support::rig::Rig;
use crate::support::world::connect;

/// Breaks out of text, of an attribute, of a script; and turns around what follows it.
const HOSTILE: &str =
    "<script>window.broken=1</script><img src=x onerror=window.broken=1>'\u{202e}&quot;]]>";

#[tokio::test(flavor = "multi_thread")]
async fn the_page_tells_of_each_state_and_of_its_change() {
    let rig = Rig::new(3).await;
    let proxy = Proxy::start(rig.world.postgres.port()).await.unwrap();
    let job = job_section("max_backfill = { rows = 5 }");
    let route = "other_types = [\"OTHER\"]";
    let config = rig.config_file(&proxy.url(&rig.url()), route, &job);
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[http]\n", "[http]\nexplain = false\n")).unwrap();
    let mut daemon = Daemon::start(&config, 0);
    let at = address(&daemon).await;
    assert_eq!(get(&at, "/explain?id=1").await.status, 403);
    assert!(!get(&at, "/").await.body.contains("<form"), "no field that is of no use");
    let browser = Browser::start().await;
    browser.open(&at, "/").await;
    browser.verdict("ok").await;
    // Its first run is over before there are purchases that no payment was recorded for.
    let done = "SELECT count(*) FROM makegood.runs WHERE state = 'done'";
    eventually("the first run", || async { (rig.number(done).await > 0).then_some(()) }).await;
    // Marks the page: nothing of what follows loads it anew.
    browser.ask("window.mark = 1").await;
    let paid = payments(40);
    rig.pay(&paid).await;
    rig.caught_up().await;
    let publish = "SELECT makegood.publish($1, 'k', 'OTHER', '{}'::jsonb)";
    rig.client.query(publish, &[&rig.topic]).await.unwrap();
    browser.shows("applied\n40").await;
    browser.shows("partitions assigned").await;
    browser.shows("up to date").await;
    browser.shot("healthy", 1440).await;

    for bytes in [b"\xff".as_slice(), b"no json", b"{}"] {
        rig.send(&raw(Some(b"key"), Some(bytes))).await;
    }
    browser.verdict("quarantine").await;
    browser.shows("makegood quarantine replay --route purchases").await;
    browser.shows("not_utf8").await;
    assert!(!browser.text().await.contains("no json"), "no payload is shown");
    browser.shot("quarantine", 1440).await;

    let rename = |from, to| format!("ALTER TABLE student_course_purchases RENAME {from} TO {to}");
    rig.client.batch_execute(&rename("amount", "price")).await.unwrap();
    rig.pay(&payments(1)).await;
    browser.verdict("suspect").await;
    browser.shows("makegood quarantine list").await;
    let announced = browser.ask("return document.getElementById('announce').textContent").await;
    assert!(announced.as_str().unwrap().starts_with("suspect: "), "{announced}");
    browser.shows("1 refused record waits and is tried again").await;
    browser.shot("suspect", 1440).await;
    rig.client.batch_execute(&rename("price", "amount")).await.unwrap();
    browser.verdict("quarantine").await;

    proxy.refuse(true);
    proxy.cut_all();
    browser.verdict("unreachable").await;
    browser.shows("The database does not answer. What is shown of it was read").await;
    browser.shows("applied\n40").await;
    assert_eq!(get(&at, "/").await.status, 200);
    browser.shot("database-down", 1440).await;
    proxy.refuse(false);
    browser.verdict("quarantine").await;

    reconciling(&rig, &browser).await;
    let stalled = "INSERT INTO makegood.workers (id, route_id, host, pid, version, seen_at, state, reason, advice)
        SELECT gen_random_uuid(), id, 'elsewhere', 7, '0', now(), 'stalled',
               'partition 1 has not moved for 2 min', 'The watchdog replaces the client.' FROM makegood.routes";
    rig.client.batch_execute(stalled).await.unwrap();
    let _alive = alive(&rig).await;
    browser.verdict("stalled").await;
    browser.shot("stalled", 1440).await;

    assert_eq!(browser.console().await, Vec::<serde_json::Value>::new());
    assert_eq!(browser.ask("return window.mark").await, 1, "the page was never loaded anew");
    daemon.kill();
    // A minute passes for the browser.
    browser.ask("const now = performance.now(); performance.now = () => now + 60000").await;
    browser.shows("makegood has not been heard of for").await;
    browser.close().await;
}

/// Keeps the row of a daemon elsewhere as a living one keeps its own.
async fn alive(rig: &Rig) -> AbortOnDropHandle<()> {
    let client = connect(&rig.url()).await;
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            let beat = "UPDATE makegood.workers SET seen_at = now() WHERE pid = 7";
            client.batch_execute(beat).await.unwrap();
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }))
}

/// A run that waits for a person, and one that is at work.
async fn reconciling(rig: &Rig, browser: &Browser) {
    recorded(rig, 20).await;
    let run = rig.ask("").await;
    rig.run_is(run, &["held"]).await;
    browser.shows("1 held").await;
    browser.verdict("unpurchased").await;
    let next = "return document.querySelector('#verdict .next code').textContent";
    assert_eq!(browser.ask(next).await, "makegood reconcile list", "another run would wait too");
    browser.shot("run-held", 1440).await;
    // Nobody can write a purchase while somebody holds the table.
    let mut blocker = connect(&rig.url()).await;
    let lock = blocker.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE student_course_purchases IN SHARE MODE").await.unwrap();
    rig.client.query("SELECT makegood.approve($1)", &[&run]).await.unwrap();
    browser.shows(&format!("run {run}, ")).await;
    assert_eq!(browser.ask("return document.querySelectorAll('progress').length").await, 1);
    browser.shot("reconciling", 1440).await;
    lock.rollback().await.unwrap();
    rig.run_is(run, &["done"]).await;
    // The forty purchases are of payments that nobody recorded, as the run has found.
    browser.verdict("mismatch").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_can_use_the_page_and_no_stranger_can_misuse_it() {
    let mut rig = Rig::new(2).await;
    rig.group = format!("{}{HOSTILE}", rig.group);
    let daemon = Daemon::start(&rig.config_file(&rig.url(), "", &job_section("")), 0);
    let at = address(&daemon).await;
    let paid = recorded(&rig, 1).await;
    rig.pay(&paid).await;
    rig.send(&raw(Some(b"key"), Some(b"\xff"))).await;
    rig.caught_up().await;
    let spoil = "UPDATE makegood.quarantine SET reason = $1";
    rig.client.execute(spoil, &[&HOSTILE]).await.unwrap();
    let worker = "INSERT INTO makegood.workers (id, route_id, host, pid, version, seen_at, state, reason, advice)
        SELECT gen_random_uuid(), id, $1, 7, $1, now(), 'held', $1, $1 FROM makegood.routes";
    rig.client.execute(worker, &[&HOSTILE]).await.unwrap();
    let _alive = alive(&rig).await;
    let browser = Browser::start().await;
    browser.open(&at, "/").await;
    browser.verdict("held").await;
    browser.shows(&visible(HOSTILE)).await;
    // However many rows the inbox has: nothing that the page shows by itself is read from there.
    let mut blocker = connect(&rig.url()).await;
    let lock = blocker.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE makegood.inbox IN ACCESS EXCLUSIVE MODE").await.unwrap();
    keeps_what_somebody_holds(&browser).await;
    lock.rollback().await.unwrap();
    for scheme in ["light", "dark"] {
        browser.prefers(scheme).await;
        assert_eq!(browser.barriers().await, Vec::<String>::new(), "{scheme}");
        browser.shot(&format!("hostile-{scheme}"), 1440).await;
    }
    for width in [360, 768, 1440, 2560] {
        browser.sized(width, 800).await;
        assert!(!browser.is_too_wide().await, "{width}");
    }
    browser.shot("narrow", 360).await;
    browser.shot("wall", 2560).await;
    let payment = paid[0].id.to_string();
    browser.open(&at, &format!("/explain?id={payment}")).await;
    browser.shows("The payment has its purchase.").await;
    assert_eq!(browser.barriers().await, Vec::<String>::new());
    browser.sized(360, 800).await;
    assert!(!browser.is_too_wide().await);
    browser.shot("explain", 1440).await;
    assert_eq!(browser.console().await, Vec::<serde_json::Value>::new());
    browser.prefers("light").await;
    browser.scripts(false).await;
    browser.open(&at, "/").await;
    let page = get(&at, "/").await.body;
    assert!(page.contains("<noscript><meta http-equiv=\"refresh\""), "{page}");
    let reload = browser.page.find(fantoccini::Locator::LinkText("reload")).await.unwrap();
    assert!(reload.is_displayed().await.unwrap());
    let copy = browser.page.find(fantoccini::Locator::Css("button.copy")).await.unwrap();
    assert!(!copy.is_displayed().await.unwrap(), "it would do nothing");
    browser.shot("no-script", 1440).await;
    let field = browser.page.find(fantoccini::Locator::Css("#id")).await.unwrap();
    field.send_keys(&format!("{payment}\n")).await.unwrap();
    let sentence = fantoccini::Locator::Css("#explain-name");
    let found = eventually("the answer", || async { browser.page.find(sentence).await.ok() }).await;
    assert_eq!(found.text().await.unwrap(), "The payment has its purchase.");
    browser.scripts(true).await;
    strangers(&browser, &at).await;
    browser.close().await;
}

/// What would turn around the text beside it is shown instead.
fn visible(text: &str) -> String {
    text.replace('\u{202e}', "\\u{202e}")
}

/// What is in somebody's hands stays as it is while the page changes around it.
async fn keeps_what_somebody_holds(browser: &Browser) {
    let keys = fantoccini::key::Key::Tab;
    browser
        .page
        .active_element()
        .await
        .unwrap()
        .send_keys(&char::from(keys).to_string())
        .await
        .unwrap();
    let focused = "return document.activeElement.textContent";
    assert_eq!(browser.ask(focused).await, "Skip to the verdict", "the first stop of the keyboard");
    browser.ask("document.getElementById('checks').open = true; document.querySelector('#verdict .copy').focus()").await;
    let asked = "return document.querySelector('.asked time').getAttribute('datetime')";
    let before = browser.ask(asked).await;
    eventually("two more looks", || async { (browser.ask(asked).await != before).then_some(()) })
        .await;
    let kept = "return document.getElementById('checks').open && document.activeElement.className";
    assert_eq!(browser.ask(kept).await, "copy");
    assert_eq!(
        browser
            .ask(
                "return window.broken || document.querySelectorAll('main script, main img').length"
            )
            .await,
        0
    );
}

/// What comes from outside is text, what asks too much is refused, and nothing is written.
async fn strangers(browser: &Browser, at: &str) {
    let hostile: String = HOSTILE.bytes().map(|byte| format!("%{byte:02X}")).collect();
    browser.open(at, &format!("/explain?id=%22%3E{hostile}&route={hostile}")).await;
    browser.shows("No payment, purchase or event has this id.").await;
    let value = browser.ask("return document.getElementById('id').value").await;
    assert_eq!(value, json!(format!("\">{}", visible(HOSTILE))));
    assert_eq!(
        browser.ask("return window.broken || document.querySelectorAll('main img').length").await,
        0
    );
    for (id, status) in [("", 400), ("%00", 400), (&*"x".repeat(300), 400)] {
        assert_eq!(get(at, &format!("/explain?id={id}")).await.status, status, "{id}");
    }
    let mut refused = 0;
    for _ in 0..40 {
        refused += usize::from(get(at, "/explain?id=1").await.status == 429);
    }
    assert!(refused > 0, "forty in a row are too many");
    let mut viewers = Vec::new();
    for _ in 0..40 {
        let mut viewer = tokio::net::TcpStream::connect(at).await.unwrap();
        let request = format!("GET /live HTTP/1.1\r\nHost: {at}\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut viewer, request.as_bytes()).await.unwrap();
        viewers.push(viewer);
    }
    eventually("no more browsers to be let in", || async {
        let refused =
            tokio::time::timeout(std::time::Duration::from_secs(1), get(at, "/live")).await;
        (refused.ok()?.status == 503).then_some(())
    })
    .await;
    assert_eq!(get(at, "/livez").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_looked_up_by_index_however_many_the_inbox_has() {
    let rig = Rig::new(1).await;
    let fill = "INSERT INTO makegood.routes (name, topic, consumer_group) VALUES ('r', 't', 'g');
        INSERT INTO makegood.inbox (event_id, route_id, digest, outcome, business_key)
        SELECT gen_random_uuid(), r.id, '', 'applied', gen_random_uuid()
        FROM makegood.routes r, generate_series(1, 30000);
        ANALYZE makegood.inbox";
    rig.client.batch_execute(fill).await.unwrap();
    let one = "SELECT event_id::text, business_key FROM makegood.inbox LIMIT 1";
    let row = rig.client.query_one(one, &[]).await.unwrap();
    let (event, payment): (String, String) = (row.get(0), row.get(1));
    // Of its own, since PostgreSQL counts a session's reads.
    let mut client = connect(&rig.url()).await;
    for id in [&event, &payment] {
        let tx = client.transaction().await.unwrap();
        let found = tx.query("SELECT * FROM makegood.explain($1)", &[id]).await.unwrap();
        assert_eq!(found.len(), 1);
        let read =
            "SELECT seq_scan, seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'inbox'";
        let read = tx.query_one(read, &[]).await.unwrap();
        assert_eq!((read.get::<_, i64>(0), read.get::<_, i64>(1)), (0, 0), "by {id}");
    }
}
